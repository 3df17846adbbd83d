"""One self-contained page: the sound playable, the thought with its claims marked, the picture."""

import base64
import html
import io
import math
from collections.abc import Sequence
from dataclasses import fields

import soundfile as sf

from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Verdict
from auscult.verify.claims import Finding
from auscult.verify.hear.listening import Listening
from auscult.verify.hear.long import LongListening
from auscult.verify.read.extract import unread
from auscult.verify.scores import Scores
from auscult.verify.show.picture import COLOURS, SIGNS, draw
from auscult.verify.verify import Ears, describe

STYLE = """
body{font:16px/1.55 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;
color:#1f2328}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
.thought{background:#f6f8fa;padding:1rem;border-radius:8px;white-space:pre-wrap}
mark{cursor:pointer;padding:1px 3px;border-radius:4px;color:inherit}
table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{text-align:left;padding:.3rem .5rem;border-bottom:1px solid #d0d7de;vertical-align:top}
img{max-width:100%}audio{width:100%;margin:.3rem 0}.key span{margin-right:1.2rem}
@media (prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}
.thought{background:#161b22}td,th{border-color:#30363d}}
"""

SCRIPT = """
function play(clip,start,end){const a=document.getElementById('clip'+clip);if(!a)return;
a.currentTime=start;a.play();clearTimeout(a.stopper);
a.stopper=setTimeout(()=>a.pause(),Math.max(120,(end-start)*1000));}
"""


def _sound(index: int, ear: Ears) -> str:
    kind, data = playable(ear[index])
    encoded = base64.b64encode(data).decode()
    return (
        f"<div>clip {index + 1}, {ear[index].seconds:.2f} s"
        f'<audio id="clip{index + 1}" controls src="data:{kind};base64,{encoded}"></audio></div>'
    )


def playable(ear: Listening) -> tuple[str, bytes]:
    """(media type, file) of a clip: WAV, or MP3 (about 20 MB an hour) of a long recording."""
    out = io.BytesIO()
    if not isinstance(ear, LongListening):
        sf.write(out, ear.clip, SAMPLE_RATE, format="WAV", subtype="PCM_16")
        return "audio/wav", out.getvalue()
    with sf.SoundFile(out, "w", SAMPLE_RATE, 1, format="MP3") as file:
        for piece in ear.pieces():
            file.write(piece)
    return "audio/mpeg", out.getvalue()


def marked(thought: str, findings: Sequence[Finding]) -> str:
    """The thought with each claim in the colour of its verdict; the first of overlapping claims
    wins, the others are in the table."""
    out, at = "", 0
    for f in sorted(findings, key=lambda f: (f.claim.start, -f.claim.end)):
        start, end = f.claim.start, f.claim.end
        if start < at:
            continue
        a, b = f.span or (0.0, 0.0)
        out += html.escape(thought[at:start])
        out += (
            f'<mark style="background:{COLOURS[f.verdict]}33;border-bottom:2px solid '
            f'{COLOURS[f.verdict]}" title="{html.escape(f.says, quote=True)}" '
            f'onclick="play({f.clip},{a:.3f},{b:.3f})">{html.escape(thought[start:end])}'
            f"<sup>{SIGNS[f.verdict]}</sup></mark>"
        )
        at = end
    return out + html.escape(thought[at:])


def _rows(findings: Sequence[Finding]) -> str:
    return "".join(
        f'<tr><td style="color:{COLOURS[f.verdict]};font-weight:600">{f.verdict}</td>'
        f"<td>{html.escape(describe(f.claim))}</td><td>{html.escape(f.measured)}</td>"
        f"<td>{html.escape(f.tolerance)}</td><td>{html.escape(f.function)}</td>"
        f"<td>{'' if f.span is None else f'{f.span[0]:.2f} to {f.span[1]:.2f} s'}</td></tr>"
        for f in findings
    )


def _value(value: object) -> str:
    if isinstance(value, float):
        return "not measured" if math.isnan(value) else f"{value:.2f}"
    return html.escape(str(value))


def _not_read(thought: str, findings: Sequence[Finding]) -> str:
    """What speaks of sound and was not understood: the verdict knows nothing of it."""
    found = unread(thought, [f.claim for f in findings])
    if not found:
        return ""
    rows = "".join(f"<li>{html.escape(statement)}</li>" for statement in found)
    return f"<h2>Not read</h2><p>Speaks of sound; no claim was understood.</p><ul>{rows}</ul>"


def page(
    thought: str,
    ears: Ears,
    findings: Sequence[Finding],
    scores: Scores,
    verdict: Verdict,
    title: str = "A thought, checked",
    question: str = "",
    answer: str = "",
) -> str:
    """The page as one HTML text: no file beside it, nothing loaded from anywhere."""
    picture = base64.b64encode(draw(ears, findings)).decode()
    sounds = "".join(_sound(i, ears) for i in range(len(ears)))
    score_rows = "".join(
        f"<tr><td>{f.name.replace('_', ' ')}</td><td>{_value(getattr(scores, f.name))}</td></tr>"
        for f in fields(scores)
    )
    key = "".join(f'<span style="color:{COLOURS[v]}">{SIGNS[v]} {v}</span>' for v in COLOURS)
    asked = f"<p><b>Question:</b> {html.escape(question)}</p>" if question else ""
    replied = f"<p><b>Answer:</b> {html.escape(answer)}</p>" if answer else ""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{html.escape(title)}</title><style>{STYLE}</style>
<h1>{html.escape(title)}</h1>
<p><b>{"Grounded" if verdict.keep else "Not grounded"}</b>: {html.escape(verdict.why)}</p>
{sounds}{asked}
<p class="key">{key}</p>
<div class="thought">{marked(thought, findings)}</div>{replied}
<p>Click a claim to hear what it speaks of.</p>
<img alt="spectrogram with pitch, onsets and claims" src="data:image/png;base64,{picture}">
<h2>Claims</h2>
<table><tr><th>verdict</th><th>claimed</th><th>measured</th><th>tolerance</th><th>by</th><th>where</th>
</tr>{_rows(findings)}</table>
{_not_read(thought, findings)}
<h2>Scores</h2><table>{score_rows}</table>
<script>{SCRIPT}</script></html>
"""
