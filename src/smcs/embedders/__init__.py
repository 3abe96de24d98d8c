"""Ways to embed a text, one module each (see `smcs.protocols.Embedder`)."""
