"""Ways to answer a question with a pool, one module each (see `smcs.protocols.Strategy`)."""
