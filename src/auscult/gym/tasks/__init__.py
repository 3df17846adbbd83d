"""The synthetic tasks, one file a family."""
