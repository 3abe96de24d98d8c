"""Calls over a network, for LLMs and embedders alike: JSON over HTTP, typed failures, retries.

Nothing is imported here, so that a pool without remote LLMs does not pay for an HTTP client.
"""
