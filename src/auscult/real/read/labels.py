"""What each sound is called: one English noun per class, the same in all sources.

`labels.json` holds, per source, patterns of names in order (the first that fits counts) and the
class, then per family its classes. "" is a sound whose class is not clear; "?animal" is one of
which only the family is known; a leading "*" marks phrases and pieces of music.
"""

import json
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from auscult.real.recording import Clip, RealSoundError


@cache
def _table() -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Patterns by source, family by class."""
    read = json.loads((files("auscult.real.read") / "labels.json").read_text(encoding="utf-8"))
    families: dict[str, list[str]] = read["families"]
    return read["sources"], {name: family for family, names in families.items() for name in names}


@cache
def _entry(source: str, name: str) -> str:
    sources, _ = _table()
    if source not in sources:
        raise RealSoundError(f"labels.json knows nothing of source {source!r}; add its names")
    return next((c for p, c in sources[source].items() if fnmatchcase(name, p)), "")


def family_of(label: str) -> str:
    """The family of a class. Raises `RealSoundError` for a class of no family."""
    families = _table()[1]
    if label not in families:
        raise RealSoundError(f"labels.json puts {label!r} into no family; add it to one")
    return families[label]


def label_of(source: str, name: str) -> tuple[str, str]:
    """Class and family of a sound of `source`; each may be empty."""
    entry = _entry(source, name).removeprefix("*")
    if entry.startswith("?"):
        return "", entry[1:]
    return (entry, family_of(entry)) if entry else ("", "")


def labelled(source: str, clip: Clip) -> Clip:
    """`clip` with its label from the table, and with the kind that goes with it."""
    label, family = label_of(source, clip.name)
    music = _entry(source, clip.name).startswith("*")
    return replace(clip, label=label, family=family, kind="music" if music else "effect")


def classes() -> dict[str, str]:
    """All classes with their families."""
    return dict(_table()[1])
