"""Benchmarks, one file each: where its questions come from, its splits, its prompt and its grader."""
