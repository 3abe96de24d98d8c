"""The paper's tables and figures, and studies of our own. Each module computes; the command line shows and saves."""
