"""The report of a recipe run."""
