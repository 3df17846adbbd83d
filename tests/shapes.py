"""Checks types and shapes of every call in tests: beartype, an int allowed for a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
