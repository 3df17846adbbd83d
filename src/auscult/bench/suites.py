"""The table of benchmarks: a new one is a module with a `SUITE` and one line here."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auscult.bench import gym, real
from auscult.bench.files import MissingData
from auscult.bench.question import Question, Suite
from auscult.bench.sets import (
    asr,
    big_bench_audio,
    mmar,
    mmau,
    mmsu,
    spoken_digits,
    spoken_mqa,
    step_eval_360,
    step_paralinguistic,
    step_r15,
    voicebench,
    wildspeech,
)

_ALL = (
    gym.SUITE,
    real.SUITE,
    # the report's five
    big_bench_audio.SUITE,
    spoken_mqa.SUITE,
    mmsu.SUITE,
    *mmau.SUITES_HERE,
    wildspeech.SUITE,
    # beside them
    *mmar.SUITES_HERE,
    *step_r15.SUITES_HERE,
    step_paralinguistic.SUITE,
    step_eval_360.SUITE,
    *voicebench.SUITES_HERE,
    *asr.SUITES_HERE,
    spoken_digits.SUITE,
)

SUITES: dict[str, Suite] = {suite.name: suite for suite in _ALL}
"""name -> benchmark."""


def suite_named(name: str) -> Suite:
    """Raises `ValueError` with all names for an unknown one."""
    if name not in SUITES:
        raise ValueError(f"unknown suite {name!r}; expected one of {', '.join(SUITES)}")
    return SUITES[name]


_STAMPED = 200_000  # files and folders; a larger copy is loaded anew each time

_loaded: dict[tuple[Any, ...], tuple[int, list[Question]]] = {}


def questions(suite: Suite, data: Path | None) -> list[Question]:
    """The suite's questions; the protocols of a run share them as long as no file below `data`
    changes. Raises `ValueError` with the command that fetches them where they are not there."""
    here = data or Path("data") / suite.name
    try:
        if suite.made:  # is made, not read
            return suite.load(data or Path())
        if not here.exists():
            raise MissingData(f"{here} does not exist")
        return list(_shared(suite, here))
    except MissingData as error:
        command = suite.fetch.replace("DATA", str(here))
        raise ValueError(f"{error}. Fetch {suite.name} with:\n  {command}") from error


def _shared(suite: Suite, here: Path) -> list[Question]:
    """Loaded now or before. The stamp is taken first, so that a change while loading is seen."""
    key, stamp = (suite.name, suite.load, here.resolve(), str(here)), _stamp(here)
    before = _loaded.get(key)
    if stamp is not None and before is not None and before[0] == stamp:
        return before[1]
    found = suite.load(here)
    if stamp is not None:
        _loaded[key] = stamp, found
    return found


def _stamp(here: Path) -> int | None:
    """A number that changes with the name, size or time of any file below `here` (for a file, of
    those beside it, which its loader may read too); None = too many to look at, or unreadable."""
    total = 0
    try:
        for count, entry in enumerate(_entries(here)):
            if count == _STAMPED:
                return None
            found = entry.stat()
            total += hash((entry.path, found.st_size, found.st_mtime_ns))
    except OSError:  # a link to nothing, or a download under way
        return None
    return total


def _entries(here: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder, the targets of links included, or beside a file."""
    folders = [str(here if here.is_dir() else here.parent)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                yield entry
                if here.is_dir() and entry.is_dir():
                    folders.append(entry.path)
