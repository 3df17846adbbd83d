"""Claims against what was measured."""
