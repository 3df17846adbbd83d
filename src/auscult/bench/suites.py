"""The table of benchmarks: a new one is a module with a `SUITE` and one line here."""

from pathlib import Path

from auscult.bench import (
    asr,
    big_bench_audio,
    gym,
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
from auscult.bench.files import MissingData
from auscult.bench.question import Question, Suite

_ALL = (
    gym.SUITE,
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


def questions(suite: Suite, data: Path | None) -> list[Question]:
    """The suite's questions. Raises `ValueError` with the command that fetches them where they are
    not there."""
    here = data or Path("data") / suite.name
    if suite.name == "gym":  # is made, not read
        return suite.load(data or Path())
    try:
        if not here.exists():
            raise MissingData(f"{here} does not exist")
        return suite.load(here)
    except MissingData as error:
        command = suite.fetch.replace("DATA", str(here))
        raise ValueError(f"{error}. Fetch {suite.name} with:\n  {command}") from error
