"""What the report is made of: tables of numbers with intervals, examples, pictures; and these
written as one HTML page, as Markdown and as JSON.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from auscult.evaluate.report.plots import Picture
from auscult.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A number in a table. unit: "%" a share, "points" a difference of shares, "" plain.

    Example: Value(estimate=wilson(180, 200), unit="%") reads "90.0 % [85.1, 93.4]".
    """

    estimate: Estimate
    unit: str = "%"

    def words(self) -> tuple[str, str]:
        """(the number, its interval)"""
        e = self.estimate
        scale = 1.0 if self.unit == "" else 100.0
        form = {"%": "{:.1f}", "points": "{:+.1f}", "": "{:.3g}"}[self.unit]
        digits = 12 if self.unit == "" else 1  # + 0.0: no "-0.0"
        mean, low, high = (
            form.format(round(scale * v, digits) + 0.0) for v in (e.mean, e.low, e.high)
        )
        return mean + (" %" if self.unit == "%" else ""), f"[{low}, {high}]"

    def __str__(self) -> str:
        return " ".join(self.words())


Cell = str | int | float | Value | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows below a head. The first cell of a row names it."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Folded texts of a model: each is a list of (name, text). `code` keeps lines and spaces."""

    title: str
    items: Sequence[Sequence[tuple[str, str]]]
    code: bool = False


Block = Table | Examples | Sequence[Picture]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report: how to read it, what came out, and the blocks that show it."""

    title: str
    read: str
    found: tuple[str, ...]
    blocks: Sequence[Block] = ()


def value(estimate: Estimate | None, unit: str = "%") -> Value | None:
    """A table's cell."""
    return None if estimate is None else Value(estimate=estimate, unit=unit)


def table(
    title: str,
    rows: Sequence[str],
    columns: Mapping[str, Sequence[Cell]],
    *,
    first: str = "stage",
    folded: bool = False,
) -> Table:
    """A row per name, a column per list of cells; n stands in the head of a column."""
    head = [first]
    for name, cells in columns.items():
        ns = sorted({c.estimate.n for c in cells if isinstance(c, Value)})
        n = "" if not ns else f" (n {ns[0]})" if len(ns) == 1 else f" (n {ns[0]} to {ns[-1]})"
        head.append(name + n)
    body = [[r, *(cells[i] for cells in columns.values())] for i, r in enumerate(rows)]
    return Table(title=title, head=head, rows=body, folded=folded)


def side(e: Estimate | None, up: str, down: str, neither: str) -> str:
    """On which side of 0 does the interval lie?"""
    if e is None:
        return "not measured"
    return up if e.low > 0 else down if e.high < 0 else neither


def verdict(e: Estimate | None, up: str, down: str, neither: str) -> str:
    """The same, with the points: "rose (+4.1 [1.0, 7.2] points)"."""
    said = side(e, up, down, neither)
    return said if e is None else f"{said} ({Value(estimate=e, unit='points')} points)"


def numbers(section: Section) -> dict[str, Any]:
    """All tables of a section for JSON; shares as fractions of 1."""

    def cell(c: Cell) -> Any:
        return asdict(c.estimate) | {"unit": c.unit} if isinstance(c, Value) else c

    tables = {
        b.title: [{h: cell(c) for h, c in zip(b.head, row, strict=True)} for row in b.rows]
        for b in section.blocks
        if isinstance(b, Table)
    }
    return {"title": section.title, "found": list(section.found), "tables": tables}


STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--paper:#fff;--line:#d0d7de;--soft:#f6f8fa}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--line:#30363d;
--soft:#161b22}}
body{font:16px/1.55 system-ui,sans-serif;max-width:1160px;margin:1.5rem auto;padding:0 1rem;
color:var(--ink);background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.6rem;border-top:1px solid var(--line);
padding-top:1.2rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}
.read{opacity:.75}.found{border-left:4px solid #0969da;padding-left:.8rem}
.found p{margin:.25rem 0}
.wide{overflow-x:auto;margin:.6rem 0}
table{border-collapse:separate;border-spacing:0;font-size:.85rem}
td,th{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line);
vertical-align:top;overflow-wrap:normal}
td.n{white-space:nowrap}td small,th small{display:block;opacity:.7;
font-weight:400;white-space:nowrap}
tr>:first-child{position:sticky;left:0;background:var(--paper);max-width:11rem;min-width:6rem}
.pictures{display:flex;flex-wrap:wrap;gap:.8rem 1rem}
.pictures div{flex:1 1 340px;overflow-x:auto}
svg{height:auto;display:block}
details{margin:.5rem 0}summary{cursor:pointer;font-weight:600}
.example{background:var(--soft);border-radius:8px;padding:.6rem .9rem;margin:.5rem 0;
font-size:.9rem}.example b{opacity:.7;font-weight:600}
pre{background:var(--soft);padding:.8rem;border-radius:8px;overflow-x:auto;font-size:.8rem}
nav a{margin-right:1rem;white-space:nowrap}a{color:#4493f8}
"""


def _plain(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:,.1f}" if isinstance(cell, float) else str(cell)


def _cell(cell: Cell) -> str:
    if isinstance(cell, Value):
        number, interval = cell.words()
        n = f"n = {cell.estimate.n}"
        return f'<td class="n" title="{n}">{number}<small>{interval}</small></td>'
    return f"<td>{html.escape(_plain(cell))}</td>"


def _small_n(head: str) -> str:
    return re.sub(r" \((n [^)]*)\)$", r"<small>\1</small>", head)


def _html_block(block: Block) -> str:
    if isinstance(block, Table):
        head = "".join(f"<th>{_small_n(html.escape(h))}</th>" for h in block.head)
        rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in block.rows)
        body = f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'
        title = html.escape(block.title)
        if block.folded:
            return f"<details><summary>{title}</summary>{body}</details>"
        return (f"<h3>{title}</h3>" if title else "") + body
    if isinstance(block, Examples):
        tag = "<pre>{}</pre>" if block.code else "<span>{}</span>"
        items = "".join(
            '<div class="example">'
            + "".join(
                f"<div><b>{html.escape(k)}</b> {tag.format(html.escape(v))}</div>" for k, v in x
            )
            + "</div>"
            for x in block.items
        )
        return f"<details><summary>{html.escape(block.title)}</summary>{items}</details>"
    return '<div class="pictures">' + "".join(f"<div>{p.svg}</div>" for p in block) + "</div>"


def _paragraphs(found: Sequence[str]) -> str:
    return "".join(f"<p>{html.escape(x)}</p>" for x in found)


def page(title: str, intro: str, sections: Sequence[Section]) -> str:
    """The page as one HTML text: nothing beside it, nothing loaded, no script."""
    links = "".join(f'<a href="#s{i}">{html.escape(s.title)}</a>' for i, s in enumerate(sections))
    parts = [
        f'<h2 id="s{i}">{html.escape(s.title)}</h2><p class="read">{html.escape(s.read)}</p>'
        f'<div class="found">{_paragraphs(s.found)}</div>' + "\n".join(map(_html_block, s.blocks))
        for i, s in enumerate(sections)
    ]
    name, body = html.escape(title), "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{name}</title><style>{STYLE}</style><h1>{name}</h1>"
        f"<p>{html.escape(intro)}</p><nav>{links}</nav>\n{body}\n</html>\n"
    )


def _flat(text: str) -> str:
    """Text of a model as Markdown that shows it and does nothing else."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _markdown_cell(cell: Cell) -> str:
    return _flat(cell) if isinstance(cell, str) else _plain(cell)


def _markdown_block(block: Block) -> str:
    if isinstance(block, Table):
        rows = [
            block.head,
            ["---"] * len(block.head),
            *(map(_markdown_cell, r) for r in block.rows),
        ]
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        return f"**{block.title}**\n\n{table}" if block.title else table
    if isinstance(block, Examples):
        if block.code:
            items = [f"{k}\n\n~~~\n{v}\n~~~" for x in block.items for k, v in x]
        else:
            items = ["- " + "<br>".join(f"**{k}** {_flat(v)}" for k, v in x) for x in block.items]
        title = html.escape(block.title)
        return f"<details><summary>{title}</summary>\n\n" + "\n\n".join(items) + "\n\n</details>"
    return "\n".join(f"![{p.alt}](plots/{p.name}.png)" for p in block)


def markdown(title: str, intro: str, sections: Sequence[Section]) -> str:
    """The same as Markdown, its pictures in plots/."""
    parts = [f"# {title}\n\n{_flat(intro)}"]
    for s in sections:
        parts += [
            f"## {s.title}",
            f"*{_flat(s.read)}*",
            "\n".join(f"- {html.escape(x, quote=False)}" for x in s.found),
        ]
        parts += map(_markdown_block, s.blocks)
    return "\n\n".join(parts) + "\n"
