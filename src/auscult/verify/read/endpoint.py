"""Claims extracted by any OpenAI-compatible endpoint, in the same records as the grammar's."""

import json
import math
import os
import re
import urllib.error
import urllib.request
from typing import Any

from auscult.faults import lasting
from auscult.verify.check.checks import CHECKS
from auscult.verify.check.compare import SCALES
from auscult.verify.claims import REST, Claim, Part

KINDS = sorted({f"{kind}/{attribute}" for kind, attribute in CHECKS}) + sorted(
    f"comparison/{name}" for name in SCALES
)

PROMPT = f"""You extract acoustic claims from a text about recordings. A claim says something
audible that measuring the sound could bear out or refute. Questions, conditions, options, words in
quotation marks and
pure logic are no claims. Reply with a JSON array only. Each element:
{{"kind": ..., "attribute": ..., "value": ..., "subject": "", "place": null, "clip": null,
 "other_subject": "", "other_place": null, "other_clip": null, "negated": false, "hedged": false,
 "quote": "the exact words of the text"}}
kind/attribute is one of: {", ".join(KINDS)}.
value: a number (Hz, semitones, BPM, s, dB, count), a word (rising, falling, level, rising-falling,
falling-rising, or the quality's word), a list of words (contour: up/down/same; order: things in
order of time), true (presence), or more/less/same (comparison of subject/place/clip with other_*;
other_subject "rest" for all others). place and clip count from 1; place -1 is the last sound."""


def _part(data: dict[str, Any], prefix: str = "") -> Part:
    place, clip = data.get(f"{prefix}place"), data.get(f"{prefix}clip")
    if place is not None and (int(place) == 0 or int(place) < -1):
        raise ValueError(f"place {place}: expected 1, 2, ... or -1")
    if clip is not None and int(clip) < 1:
        raise ValueError(f"clip {clip}: expected 1, 2, ...")
    return Part(
        subject=str(data.get(f"{prefix}subject") or ""),
        place=int(place) if place is not None else None,
        clip=int(clip) if clip is not None else None,
    )


WORDS = {
    "comparison": {"more", "less", "same"},
    "direction": {"rising", "falling", "level", "rising-falling", "falling-rising"},
}


def _well_formed(kind: str, attribute: str, value: Any) -> bool:
    """Is the value of the sort that the checks of this kind expect?"""
    if kind in ("count", "time") or (kind == "value" and attribute != "note"):
        return isinstance(value, float)
    if kind == "order" or attribute == "contour":
        return isinstance(value, tuple) and all(value) and len(value) > 0
    if kind in WORDS:
        return value in WORDS[kind]
    if attribute == "note":
        return isinstance(value, str) and re.fullmatch(r"[A-G]#?-?\d?", value) is not None
    return value is True if kind == "presence" else isinstance(value, str) and bool(value)


def claim_of(data: dict[str, Any], text: str) -> Claim | None:
    """One element as a claim; None where kind, value or quotation are not what was asked for: the
    endpoint's words are not trusted, and a quotation that is not in the text was made up."""
    name = f"{data.get('kind')}/{data.get('attribute')}"
    quote = str(data.get("quote") or "")
    start = text.find(quote) if quote else -1
    if name not in KINDS or start < 0:
        return None
    value: Any = data.get("value")
    if isinstance(value, list):
        value = tuple(str(v) for v in value)
    elif isinstance(value, (bool, str)):
        pass
    elif isinstance(value, (int, float)) and math.isfinite(value):
        value = float(value)
    else:
        return None
    if not _well_formed(data["kind"], data["attribute"], value):
        return None
    other = None
    if data["kind"] == "comparison":
        other = REST if data.get("other_subject") == "rest" else _part(data, "other_")
    return Claim(
        kind=data["kind"], attribute=data["attribute"], value=value, about=_part(data),
        other=other, negated=bool(data.get("negated")), hedged=bool(data.get("hedged")),
        start=start, end=start + len(quote),
    )  # fmt: skip


def parse_reply(reply: str, text: str) -> list[Claim]:
    """The claims of a reply: the outermost JSON array in it. Raises `ValueError` without one."""
    first, last = reply.find("["), reply.rfind("]")
    try:
        data = json.loads(reply[first : last + 1])
    except json.JSONDecodeError as error:
        raise ValueError(
            f"the extractor was asked for a JSON array and replied {reply[:200]!r}"
        ) from error
    if first < 0 or not isinstance(data, list):
        raise ValueError(f"the extractor was asked for a JSON array and replied {reply[:200]!r}")
    found: list[Claim] = []
    for element in data:
        try:
            claim = claim_of(element, text) if isinstance(element, dict) else None
        except (TypeError, ValueError):  # a place that is no number: untrusted output
            claim = None
        if claim is not None:
            found.append(claim)
    return sorted(found, key=lambda c: (c.start, c.end))


def extract_by_endpoint(
    text: str, *, url: str, model: str, timeout_s: float = 60.0, attempts: int = 3
) -> list[Claim]:
    """Ask `{url}/chat/completions` for the claims of a text, at temperature 0.

    The key is read from the environment variable OPENAI_API_KEY. Raises `ValueError` when the
    endpoint cannot be reached or does not reply with JSON after `attempts` tries.
    """
    body = {
        "model": model,
        "temperature": 0,
        "messages": [{"role": "system", "content": PROMPT}, {"role": "user", "content": text}],
    }
    request = urllib.request.Request(
        url.rstrip("/") + "/chat/completions",
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}",
        },
    )
    problem = ""
    for _ in range(attempts):
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as reply:
                content = json.load(reply)["choices"][0]["message"]["content"]
            return parse_reply(str(content), text)
        except (
            urllib.error.URLError,
            OSError,
            KeyError,
            IndexError,
            TypeError,
            ValueError,
        ) as error:
            problem = f"{type(error).__name__}: {error}"
            if lasting(error):
                raise ValueError(f"{url} refuses to extract claims: {problem}") from error
    raise ValueError(f"no claims from {url} in {attempts} attempts; the last problem was {problem}")
