"""Findings and measurements for people."""
