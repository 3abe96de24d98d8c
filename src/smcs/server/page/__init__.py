"""The page at ``/``: ask, see the pool work, and see why this answer was chosen. Static files and JSON for them."""
