"""The question bank: its arrays, its store, and evaluating LLMs on it."""
