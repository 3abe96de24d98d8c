"""Ways to answer a question with a pool, one module each (see `smcs.protocols.Strategy`)."""

from smcs.strategies._calls import call_seed
from smcs.strategies._parts import Parts
from smcs.strategies._spec import StrategySpec, build, expand, parse_specs, settings_of

__all__ = ["Parts", "StrategySpec", "build", "call_seed", "expand", "parse_specs", "settings_of"]
