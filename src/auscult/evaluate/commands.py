"""`auscult eval SUITE`: benchmarks, controls, budgets and selectors inside inspect_ai."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from auscult.bench.suites import SUITES, suite_named
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.studies import STUDIES, Extent, protocols
from auscult.work.run import write_whole

if TYPE_CHECKING:
    from auscult.evaluate.door import Fault

Flat = tyro.conf.OmitArgPrefixes


def suites() -> None:
    """All benchmarks, with where they come from."""
    width = max(map(len, SUITES))
    for suite in SUITES.values():
        scored = "judge" if suite.mark is None else "rule"
        scored += " or judge" if suite.mark and suite.judged else ""
        print(f"{suite.name:<{width}}  {suite.about} [{scored}; {suite.source}]")


def evaluate(
    suite: Annotated[str, tyro.conf.Positional],
    /,
    *,
    model: str = "nano",
    study: tuple[str, ...] = ("plain",),
    out: Path = Path("runs/eval"),
    base_url: str = "",
    rows: int = 64,
    threads: int = 1,
    connections: int = 16,
    retries: int = 2,
    protocol: Flat[Annotated[Protocol, tyro.conf.arg(name="")]] = Protocol(),
    extent: Flat[Annotated[Extent, tyro.conf.arg(name="")]] = Extent(),
) -> None:
    """Evaluate a model on a benchmark; the logs are inspect_ai's (`inspect view --log-dir`).

    Args:
        suite: name of a benchmark; `auscult suites` lists them.
        model: nano, nano-base, a checkpoint's folder, step-audio/NAME (a released model behind
            vLLM), or any model of inspect_ai (openai-api/SERVICE/NAME, ...).
        study: plain, controls, budgets, selectors, decoding, corruptions, voices, languages.
        out: folder of the logs and the page; a killed run continues there.
        base_url: address of a server.
        rows: questions in flight in our engine.
        threads: CPU threads of the engine's process.
        connections: requests at once to a server.
        retries: times that failed questions are asked again.
        protocol: how the questions are put.
        extent: how far the studies go.
    """
    suite_named(suite)
    unknown = [name for name in study if name not in STUDIES]
    if unknown:
        raise ValueError(f"unknown study {unknown[0]!r}; expected one of {', '.join(STUDIES)}")
    _framework()
    from auscult.evaluate.door import Effort, faults, model_named, run
    from auscult.evaluate.tasks import asked

    base = replace(protocol, suite=suite)
    questions = list(asked(base, out / "sounds").questions.values())
    effort = Effort(rows=rows, threads=threads, connections=connections, retries=retries)
    chosen = protocols(study, base, extent, questions)
    print(f"{suite}: {len(questions)} questions, {len(chosen)} protocols, model {model}")
    whole, logs = run(chosen, model_named(model, base_url), out, effort)
    results(out)
    if not whole:
        raise ValueError(_unanswered(faults(logs), out))


_MOST_TOLD = 5


def _unanswered(found: "Sequence[Fault]", out: Path) -> str:
    """What got no answer, the same reason once, and what to do."""
    told = [f"some questions got no answer; the others are kept in {out}"]
    for why in list(dict.fromkeys(fault.why for fault in found))[:_MOST_TOLD]:
        keys = [fault.key for fault in found if fault.why == why]
        told.append(f"  {keys[0]}{f' and {len(keys) - 1} more' if len(keys) > 1 else ''}: {why}")
    last = "run the same command again to ask only those"
    lasting = any(fault.lasting for fault in found)
    told.append(f"mend what is said above, then {last}" if lasting else last)
    return "\n".join(told)


def results(
    place: Annotated[Path, tyro.conf.Positional] = Path("runs/eval"), /, *, out: Path | None = None
) -> None:
    """The results page of all logs below a folder.

    Args:
        place: a log, or a folder with logs (the --out of `auscult eval`).
        out: folder of results.html and results.md; default beside the logs.
    """
    _framework()
    from auscult.evaluate.results.page import write_page

    print(write_page(place, out or (place if place.is_dir() else place.parent)))


def compare(
    first: Annotated[Path, tyro.conf.Positional],
    second: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    vary: tuple[str, ...] = (),
    out: Path | None = None,
) -> None:
    """Two runs over the same questions, paired: difference, interval, McNemar, the n it takes.

    Args:
        first: a log, or a folder of logs.
        second: the one to compare with.
        vary: settings of the protocol that may differ (think, condition, prompt, ...).
        out: folder of compare.md and compare.png; default prints only.
    """
    _framework()
    from auscult.evaluate.compare import compare_places

    print(compare_places(first, second, vary=vary, out=out))


def submission(
    log: Annotated[Path, tyro.conf.Positional],
    out: Annotated[Path, tyro.conf.Positional] = Path("submission.json"),
    /,
) -> None:
    """The replies of a log of mmau_test as the file that its authors score.

    Args:
        log: of `auscult eval mmau_test`.
        out: the JSON file to write.
    """
    _framework()
    from auscult.bench.question import Answer
    from auscult.bench.sets.mmau import submission as rows_of
    from auscult.bench.suites import questions
    from auscult.evaluate.results.runs import read

    run = read(log)
    if run.protocol.suite != "mmau_test":
        raise ValueError(f"{log} is of {run.protocol.suite}; a submission is made of mmau_test")
    data = Path(run.protocol.data) if run.protocol.data else None
    asked = {q.key: q for q in questions(run.protocol.found, data)}
    missing = len(asked) - len(run.rows)
    if missing:
        print(f"{missing} of {len(asked)} questions have no reply and are left out")
    items = [(asked[row.key], Answer(text=row.replies[0]["text"])) for row in run.rows]
    write_whole(out, json.dumps(rows_of(items), ensure_ascii=False, indent=1))
    print(f"{len(items)} replies written to {out}")


def _framework() -> None:
    try:
        import inspect_ai  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise ValueError(
            "evaluation runs inside inspect_ai: pip install 'auscult[eval]'"
        ) from error
