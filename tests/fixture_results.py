"""Runs made up for the results page, and what reads its tables back."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from auscult.audio.respeak import SPEAKERS
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.results.runs import Row, Run

EVIL = "I hear <script>alert(1)</script> | `two` *notes*."
N = 12


def reply(right: float, answer: str = "", thought: str = EVIL, **more: Any) -> dict[str, Any]:
    """One reply as the scorer keeps it."""
    numbers = {"tokens": 20, "thought_tokens": 8, "closed": "model", "logprob": -2.0, "chosen": 10}
    mark = {"official": right, "strict": right, "parsed": True, "weight": 1.0, "parts": {},
            "why": ""}  # fmt: skip
    answer = answer or ("yes" if right else "no")
    return {"text": answer, "thought": thought, "stop": "stop", "denies": False, **mark,
            "answer": answer, "numbers": numbers, **more}  # fmt: skip


def run(
    rights: list[Any], *, model: str = "auscult/nano", status: str = "success", failed: int = 0,
    given: tuple[str, ...] = (), cluster: int = 1, **settings: Any,
) -> Run:  # fmt: skip
    """One question for each score, or for each list of replies; `cluster` questions share one."""
    protocol = Protocol(**{"suite": "gym", **settings})
    replies = [x if isinstance(x, list) else [reply(float(x))] for x in rights]
    rows = tuple(
        Row(key=f"gym/t/{i}", cluster=f"c{i // cluster}", task="t",
            groups={"task": "even" if i % 3 else "third", "kind": "all"}, reference=("yes",),
            options=("yes", "no"), question="Is it?", given=given, replies=tuple(some),
            input_tokens=5, output_tokens=20 * len(some), seconds=0.1, extra={})
        for i, some in enumerate(replies)
    )  # fmt: skip
    return Run(
        file=Path(f"{model}-{protocol.name()}.eval"), model=model, protocol=protocol,
        questions="abc", created="2026-01-02T03:04:05+00:00", status=status, rows=rows,
        total=len(rows) + failed, failed=failed, seconds=24.0,
        packages={"inspect_ai": "0.3.999"}, revision="f00f00",
    )  # fmt: skip


FULL = [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
SILENT = [1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0]


def controls(model: str = "auscult/nano", **more: Any) -> list[Run]:
    """The suite as it is, and under silence."""
    return [run(FULL, model=model, **more),
            run(SILENT, model=model, condition="silence", **more)]  # fmt: skip


def everything(given: tuple[str, ...] = ()) -> list[Run]:
    """A run of every study, and one that broke off."""
    pool = [[reply(1.0, "a"), reply(1.0, "a"), reply(0.0, "b"), reply(0.0, "c")]] * 3
    pool += [[reply(0.0, "b"), reply(0.0, "b"), reply(1.0, "a"), reply(0.0, "c")]] * 3
    more: list[dict[str, Any]] = [
        {"think": "none"}, {"think": "8"}, {"contrast": 0.5},
        {"contrast": 0.5, "without": "nothing"},
        {"corruption": "pink_10db"}, {"voice": next(iter(SPEAKERS))}, {"language": "de"},
    ]  # fmt: skip
    swept = [run(SILENT, **settings) for settings in more]
    pools = [run(pool, samples=4, temperature=1.0),
             run(pool[::-1], samples=4, temperature=1.0, condition="silence")]  # fmt: skip
    bad = run(FULL[:8], model="auscult/nano-base", status="cancelled", failed=3)
    return [run(FULL, given=given), controls()[1], *swept, *pools, bad]


class Tables(HTMLParser):
    """All tables of a page as rows of texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.inside = False
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.inside = True
        elif tag == "small" and self.inside:
            self.tables[-1][-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.tables[-1][-1][-1] += data


def markdown_tables(text: str) -> list[list[list[str]]]:
    """All tables of a Markdown page, as `Tables` has them."""
    blocks = re.findall(r"(?:^\|.*\|\n?)+", text, flags=re.M)
    plain = lambda c: html.unescape(re.sub(r"\\(.)", r"\1", c)).strip()  # noqa: E731
    rows = [[re.split(r"(?<!\\)\|", line)[1:-1] for line in b.splitlines()] for b in blocks]
    return [[[plain(c) for c in row] for i, row in enumerate(b) if i != 1] for b in rows]
