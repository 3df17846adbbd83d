"""Intervals, paired comparisons, selectors. Pure."""
