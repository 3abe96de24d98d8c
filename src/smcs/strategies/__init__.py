"""Ways to answer a question with a pool, one module each (see `smcs.protocols.Strategy`)."""

from smcs.strategies._parts import Parts
from smcs.strategies._spec import StrategySpec, build, parse_specs

__all__ = ["Parts", "StrategySpec", "build", "parse_specs"]
