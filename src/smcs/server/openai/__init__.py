"""The OpenAI API: chat completions, models, embeddings, and errors in its form."""
