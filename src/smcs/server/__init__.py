"""The server: one OpenAI-compatible endpoint for the whole pool, and a page that shows why."""
