"""From a response to a grade, one module each (see `smcs.protocols.Grader`)."""
