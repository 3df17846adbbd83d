"""Items by their key, whatever they come from: the gym, text problems, self-cognition prompts, a
manifest of a user's own recordings. Records hold keys; the sound is made or read when it is needed.
"""

from dataclasses import replace
from functools import lru_cache

from auscult.gym import problems
from auscult.train.feed import awareness
from auscult.train.feed.manifest import Manifest, Row, open_manifest
from auscult.types import Item

_MANIFEST = "manifest:"


@lru_cache(maxsize=256)
def fetch(key: str) -> Item:
    """The item of a key; the last few hundred are remembered.

    Raises `ValueError` for a key that none of the sources has.
    """
    if key.startswith(_MANIFEST):
        return _from_manifest(key)
    if key.startswith(awareness.TASK + "/"):
        _, split, _, index = key.split("/")
        return awareness.make_prompt(int(index), split=split)
    return problems.fetch(key)


def neighbour(key: str) -> str:
    """Another item of the same kind and split, for the control with a swapped sound."""
    if key.startswith(_MANIFEST):
        file, _, index = key.removeprefix(_MANIFEST).rpartition("#")
        manifest = _open(file)
        same = manifest.indices(manifest.rows[int(index)].split)
        return f"{_MANIFEST}{file}#{same[(same.index(int(index)) + 1) % len(same)]}"
    start, _, index = key.rpartition("/")
    return f"{start}/{int(index) + 1}"


def row_of(key: str) -> Row:
    """The line of a manifest that a key stands for."""
    file, _, index = key.removeprefix(_MANIFEST).rpartition("#")
    return _open(file).rows[int(index)]


@lru_cache(maxsize=8)
def manifest_keys(file: str, split: str) -> list[str]:
    """Keys of all items of a manifest's split. Raises `ValueError` for a manifest with faults."""
    return [f"{_MANIFEST}{file}#{i}" for i in _open(file).indices(split)]


def _from_manifest(key: str) -> Item:
    """ "manifest:FILE#12": item number 12 of that file."""
    file, _, index = key.removeprefix(_MANIFEST).rpartition("#")
    return replace(_open(file).item(int(index)), key=key)


@lru_cache(maxsize=4)
def _open(file: str) -> Manifest:
    return open_manifest(file)
