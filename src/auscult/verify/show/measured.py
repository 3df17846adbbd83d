"""`auscult measure`: what is measured in a recording, for a person and as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from auscult.verify.hear.listening import Listening, Sound
from auscult.verify.hear.long import LongListening
from auscult.verify.hear.measures import MEASURES, Measured, take

LIST_SHOWN = 46  # characters: a longer list of a long recording is counted instead
_MOST_KINDS = 5


def measured_json(name: str, ear: Listening) -> dict[str, object]:
    """All values; of a long recording also those of every window and their spread."""
    found = [take(ear, measure) for measure in MEASURES]
    record: dict[str, object] = {"file": name, "measured": [asdict(m) for m in found]}
    if isinstance(ear, LongListening):
        spread = {m.name: spread_of(ear.values(m.name)) for m in found}
        record["spread"] = {k: asdict(v) for k, v in spread.items() if v is not None}
        record["windows"] = [
            {"start": w.start_s, "end": w.start_s + w.seconds, "measured": values}
            for w, values in zip(ear.windows, _by_window(ear), strict=True)
        ]
    return record


def _by_window(ear: LongListening) -> list[dict[str, float | str | None]]:
    columns = {name: ear.values(name) for name in MEASURES}
    return [{n: columns[n][i].value for n in MEASURES} for i in range(len(ear.windows))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a number differs from window to window: its 5 and 95 % points over the `count` windows
    that have it. Example: Spread(low=152.0, high=214.5, count=58)."""

    low: float
    high: float
    count: int


def spread_of(values: Sequence[Measured]) -> Spread | None:
    """The spread of a measurement's numbers; None for words, and where fewer than two have it."""
    known = [m.value for m in values if isinstance(m.value, float) and np.isfinite(m.value)]
    if len(known) < 2:
        return None
    low, high = np.percentile(known, (5, 95))
    return Spread(low=float(low), high=float(high), count=len(known))


def measured_text(name: str, ear: Listening) -> str:
    """A line for every measurement, then the sounds, or the windows of a long recording."""
    if not isinstance(ear, LongListening):
        lines = [f"{name}  ({ear.seconds:.2f} s)"]
        lines += [_line(take(ear, measure)) for measure in MEASURES]
        return "\n".join([*lines, *map(_sound_line, ear.sounds)])
    count = len(ear.windows)
    lines = [f"{name}  ({ear.seconds:.2f} s, {clock(ear.seconds)}; heard in {count} windows)"]
    for measure in MEASURES:
        lines.append(_line(_short(take(ear, measure)), _spread_text(ear.values(measure))))
    lines.append("windows (a stretch of their own: --span START END, in seconds)")
    for i, window in enumerate(ear.windows):
        lines.append(_window_line(ear, i, window.start_s, window.start_s + window.seconds))
    return "\n".join(lines)


def _line(m: Measured, spread: str = "") -> str:
    value = f"{m.value:.2f}" if isinstance(m.value, float) else str(m.value)
    trust = f"  right on {m.reliability:.0%} of known sounds" if m.reliability else ""
    shown = f"{value} {m.unit}{spread or trust}" if not m.refused else f"- ({m.refused})"
    return f"  {m.name:18} {shown:46} {MEASURES[m.name].what}"


def _short(m: Measured) -> Measured:
    """A list of hundreds as the counts of what is in it."""
    if not isinstance(m.value, str) or len(m.value) <= LIST_SHOWN:
        return m
    words = m.value.split()
    common = Counter(words).most_common(_MOST_KINDS)
    told = ", ".join(f"{word} {count}" for word, count in common)
    more = len(set(words)) - len(common)
    text = f"{len(words)} in all: {told}" + (f", {more} other kinds" if more else "")
    return Measured(
        name=m.name, value=text, unit=m.unit, span=m.span, reliability=None
    )  # fmt: skip


def _spread_text(values: Sequence[Measured]) -> str:
    found = spread_of(values)
    if found is None:
        return ""
    return f"  {found.low:.2f} to {found.high:.2f} in {found.count} windows"


def _sound_line(s: Sound) -> str:
    hz = "" if s.hz != s.hz else f"{s.hz:7.1f} Hz"
    when = f"{s.start_s:6.2f} to {s.end_s:6.2f} s"
    return f"    {when}  {s.kind:10} {s.sure:4.0%} {s.level_db:7.1f} dB {hz}"


def _window_line(ear: LongListening, number: int, start_s: float, end_s: float) -> str:
    told = [f"    {clock(start_s)} to {clock(end_s)}"]
    for name in ("loudness", "pitch"):
        m = ear.values(name)[number]
        told.append(
            f"{m.value:7.1f} {m.unit}" if isinstance(m.value, float) else f"{'-':>7} {m.unit}"
        )
    kinds = Counter(s.kind for s in ear.sounds if start_s <= s.start_s < end_s)
    told.append(", ".join(f"{kind} {count}" for kind, count in kinds.most_common(_MOST_KINDS)))
    return "  ".join(told)


def clock(seconds: float) -> str:
    """A time as a person reads it: 1:02:03."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
