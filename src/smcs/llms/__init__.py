"""Ways to reach an LLM, one module each (see `smcs.protocols.LLM`)."""
