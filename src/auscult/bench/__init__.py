"""Benchmarks as they are published: their files, prompts and scorers, and no framework."""
