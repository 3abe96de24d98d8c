"""The pool: every LLM behind one place for limits, retries, failures and cost."""

from smcs.pool.calling import PooledLLM
from smcs.pool.check import LLMCheck
from smcs.pool.health import Health
from smcs.pool.outcomes import Result, failure_of, unsupported
from smcs.pool.pool import Pool

__all__ = ["Health", "LLMCheck", "Pool", "PooledLLM", "Result", "failure_of", "unsupported"]
