"""The table of benchmarks: a new one is a module with a `SUITE` and one line here."""

from pathlib import Path

from auscult.bench import mmsu
from auscult.bench.files import MissingData
from auscult.bench.question import Question, Suite

SUITES: dict[str, Suite] = {s.name: s for s in (mmsu.SUITE,)}


def suite_named(name: str) -> Suite:
    """Raises `ValueError` with all names for an unknown one."""
    if name not in SUITES:
        raise ValueError(f"unknown suite {name!r}; expected one of {', '.join(SUITES)}")
    return SUITES[name]


def questions(suite: Suite, data: Path | None) -> list[Question]:
    """The suite's questions. Raises `ValueError` with the command that fetches them where they are
    not there."""
    here = data or Path("data") / suite.name
    try:
        if not here.exists():
            raise MissingData(f"{here} does not exist")
        return suite.load(here)
    except MissingData as error:
        command = suite.fetch.replace("DATA", str(here))
        raise ValueError(f"{error}. Fetch {suite.name} with:\n  {command}") from error
