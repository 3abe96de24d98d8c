"""The subcommands of ``smcs experiment``, one module each, found by their names."""
