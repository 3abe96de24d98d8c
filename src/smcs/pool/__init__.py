"""The pool: every LLM behind one place for limits, retries, failures and cost."""
