"""``python -m smcs``."""

from smcs.cli import main

main()
