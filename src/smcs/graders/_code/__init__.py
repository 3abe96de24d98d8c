"""The parts of the grader ``code``: reading responses and tests, and judging what programs did. No I/O anywhere."""
