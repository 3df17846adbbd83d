"""Packages read: decoders, tables, one reader for each source."""
