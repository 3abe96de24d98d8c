"""The method as pure functions on arrays. Each cites its equation."""
