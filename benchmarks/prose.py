"""The verifier on the prose of audio language models: what it finds, misreads and decides.

    python benchmarks/prose.py TEXTS.jsonl [--clips FOLDER] [--show]

One text a line: {"id", "lang", "clip", "text", "claims": [{"type", "polarity", "value", "truth"}]};
`clip` is a path below --clips or null, `truth` T, F or O (not to be decided by acoustics).

found: labels of whose type the text yields a claim; right: those whose value and polarity agree,
too; extra: claims of no label's type; verdict: of labels that can be decided on a clip, how many
end in the right verdict, in the wrong one, or open. Intervals are Wilson's, 95 %.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from machine import on

from auscult.audio.io import read_audio
from auscult.stats.intervals import wilson
from auscult.verify.claims import CONTRADICTED, SUPPORTED, Claim
from auscult.verify.read.extract import extract
from auscult.verify.verify import listen, verify

Fits = Callable[[Claim], bool]


def of(*pairs: str, subject: str = "") -> Fits:
    """Claims of these kinds, "kind/attribute"; of a subject where one is given."""
    among = {tuple(pair.split("/")) for pair in pairs}
    return lambda c: (c.kind, c.attribute) in among and subject in ("", c.about.subject)


def named(*categories: str) -> Fits:
    """What is heard and measured by nobody here."""
    return lambda c: c.kind == "presence" and c.attribute in categories


def either(*fits: Fits) -> Fits:
    """A claim that fits one of these."""
    return lambda c: any(fit(c) for fit in fits)


def there(*subjects: str) -> Fits:
    """Presence of one of these."""
    return lambda c: c.kind == "presence" and c.about.subject in subjects


def compared(attribute: str) -> Fits:
    """A comparison of that property."""
    return lambda c: c.kind == "comparison" and c.attribute == attribute


NOISE = either(of("quality/noise", "value/snr"), there("noise", "rain", "wind"), compared("noise"))
PAUSE = either(there("pause", "silence"), of("count/count", subject="pause"), of("value/gap"))
EVENT = either(
    named("event", "instrument"),
    lambda c: c.about.subject not in ("", "voice", "speech", "music", "noise", "silence", "pause"),
    lambda c: c.kind == "order",
)

TYPES: dict[str, Fits] = {
    "pitch_level": of("quality/register", "value/pitch"),
    "pitch_hz": either(of("value/pitch"), compared("pitch")),
    "pitch_compare": either(compared("pitch"), of("value/interval")),
    "pitch_trend": of("direction/pitch"),
    "pitch_variation": either(
        of("quality/liveliness", "value/pitch_range"), of("direction/pitch")
    ),
    "note": of("value/note", "order/sequence"),
    "interval": of("value/interval"),
    "key": of("quality/key"),
    "mode": of("quality/mode", "quality/key", "quality/chord"),
    "tempo_bpm": of("value/tempo"),
    "tempo_level": of("quality/tempo", "quality/rate"),
    "tempo_change": of("direction/tempo"),
    "tempo_compare": compared("tempo"),
    "meter": of("count/meter"),
    "beat_regular": either(of("quality/spacing"), of("direction/tempo")),
    "melody_contour": of("direction/contour", "direction/pitch"),
    "instrument": either(named("instrument", "event"), there("drum", "bell", "whistle")),
    "music": there("music"),
    "speech": there("speech", "voice"),
    "singing": there("voice", "singing"),
    "speaker_count": of("count/count", subject="voice"),
    "speaker_gender": named("gender"),
    "speaker_age": named("age"),
    "emotion": named("emotion"),
    "accent": named("accent"),
    "language": named("language"),
    "words": named("words"),
    "pace": either(of("quality/rate"), compared("rate")),
    "speech_rate": of("value/words_per_minute", "value/rate"),
    "voice_quality": either(
        of("quality/breath", "quality/voicing", "quality/tremor"), named("voice_quality")
    ),
    "pause": PAUSE,
    "pause_count": of("count/count", subject="pause"),
    "pause_duration": of("value/gap", "quality/length", "value/duration"),
    "pause_time": either(of("time/time"), lambda c: c.about.span is not None),
    "silence": either(there("silence", "pause"), of("count/count", subject="silence")),
    "silence_time": there("silence", "music", "voice", "sound"),
    "loudness_level": of("quality/level"),
    "loudness_change": of("direction/level", "value/level_change"),
    "loudness_compare": compared("level"),
    "loudness_lufs": of("value/level"),
    "peak_dbfs": of("value/peak"),
    "fade": of("direction/level"),
    "duration": of("value/duration"),
    "event_class": EVENT,
    "event_count": of("count/count"),
    "event_time": either(of("time/time"), lambda c: c.about.span is not None),
    "event_order": either(lambda c: c.kind == "order", of("time/time")),
    "event_interval": of("value/gap"),
    "noise": NOISE,
    "noise_level": NOISE,
    "hiss": NOISE,
    "hum": either(named("hum"), there("engine", "noise")),
    "snr": of("value/snr", "value/level_change", "quality/noise"),
    "clipping": named("clipping"),
    "bandwidth": named("bandwidth"),
    "stereo": named("stereo"),
    "reverb": either(
        of("quality/room", "value/reverberation"), there("echo"), compared("reverberation")
    ),
    "room_size": of("quality/room"),
    "distance": either(named("distance"), of("quality/room")),
    "brightness": either(of("quality/brightness", "value/brightness"), compared("brightness")),
    "attack": either(named("attack"), of("quality/length")),
    "brightness_change": of("direction/brightness"),
}  # fmt: skip

WORDS: dict[str, dict[str, str]] = {
    "pitch_level": {"low": "low", "high": "high", "medium": "middle", "mid": "middle"},
    "pitch_trend": {"ris": "rising", "fall": "falling", "up": "rising", "down": "falling"},
    "pace": {"slow": "slow", "fast": "fast", "moderate": "moderate", "medium": "moderate"},
    "tempo_level": {"slow": "slow", "fast": "fast", "moderate": "moderate"},
    "tempo_change": {"fast": "rising", "acc": "rising", "slow": "falling"},
    "loudness_level": {"quiet": "soft", "soft": "soft", "loud": "loud"},
    "loudness_change": {"incr": "rising", "loud": "rising", "decr": "falling", "quiet": "falling"},
    "fade": {"out": "falling", "in": "rising"},
    "mode": {"minor": "minor", "major": "major"},
    "brightness": {"dark": "dark", "bright": "bright"},
    "beat_regular": {"irreg": "irregular", "uneven": "irregular"},
}
"""Type -> a word of the label -> the value that the claim must have or hold."""


@dataclass(frozen=True, slots=True)
class Match:
    """A label with the claim that reads it best: found, and right in value and polarity."""

    label: dict[str, Any]
    claim: Claim | None
    right: bool


def numbers(value: object) -> list[float]:
    """The numbers of a label."""
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", str(value))]


def agrees(label: dict[str, Any], claim: Claim) -> bool:
    """Does the claim say what the label says?"""
    if (label["polarity"] == "-") != claim.negated:
        return _opposite(label, claim)
    kind, said = label["type"], str(claim.value)
    for word, value in WORDS.get(kind, {}).items():
        if word in str(label["value"]).lower() and claim.kind in ("quality", "direction"):
            return value in said
    stated = numbers(label["value"])
    if stated and isinstance(claim.value, float) and not isinstance(label["value"], bool):
        near = claim.within + max(0.06 * abs(claim.value), 0.02)
        return any(abs(n - claim.value) <= near for n in stated)
    return True


_CONTRARY = ("clean", "dry", "level", "monotone", "steady")


def _opposite(label: dict[str, Any], claim: Claim) -> bool:
    """ "no noise" as the quality clean, "no longer steady" as its contrary."""
    return label["polarity"] == "-" and str(claim.value) in _CONTRARY


def matched(text: str, labels: list[dict[str, Any]]) -> tuple[list[Match], list[Claim]]:
    """Every label with its claim, and the claims that fit no label."""
    claims = extract(text)
    found: list[Match] = []
    for label in labels:
        fitting = [c for c in claims if TYPES[label["type"]](c)]
        right = [c for c in fitting if agrees(label, c)]
        best = (right or fitting or [None])[0]
        found.append(Match(label, best, bool(right)))
    extra = [c for c in claims if not any(TYPES[label["type"]](c) for label in labels)]
    return found, extra


@lru_cache(maxsize=64)
def ears(path: Path):
    """A clip, measured once."""
    return listen([read_audio(path)])


def share(name: str, k: int, n: int) -> None:
    """One line of the table."""
    if n:
        e = wilson(k, n)
        within = f"[{100 * e.low:.1f}, {100 * e.high:.1f}]"
        print(f"{name:44} {k:4} of {n:4}  {100 * e.mean:5.1f} % {within}")


def main() -> None:
    """Print the table, by language, and with --show every label that was missed or misread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--clips", type=Path, default=None)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    rows = [json.loads(line) for line in args.texts.read_text(encoding="utf-8").splitlines()]
    count: Counter[str] = Counter()
    for row in rows:
        found, extra = matched(row["text"], row["claims"])
        count["extra"] += len(extra)
        count["claims"] += len(extra) + sum(m.claim is not None for m in found)
        for m in found:
            for key in ("all", row["lang"]):
                count[f"labels {key}"] += 1
                count[f"found {key}"] += m.claim is not None
                count[f"right {key}"] += m.right
            if args.show and not m.right:
                how = "misread" if m.claim else "missed"
                label = (m.label["type"], m.label["polarity"], m.label["value"])
                said = m.claim and (m.claim.kind, m.claim.attribute, m.claim.value, m.claim.negated)
                print(f"{row['id']} {how}: {label} {said or ''}\n      {row['text'][:200]!r}")
        if args.show and extra:
            said = [(c.kind, c.attribute, c.value, row["text"][c.start : c.end]) for c in extra]
            print(f"{row['id']} extra: {said}")
        if row["clip"] and args.clips:
            judge(row, found, args.clips, count, args.show)
    print(f"{len(rows)} texts{on()}")
    for key in ("all", "en", "zh", "ko"):
        share(f"claims found, {key}", count[f"found {key}"], count[f"labels {key}"])
    share("right value and polarity, of those found", count["right all"], count["found all"])
    share("claims that no label has", count["extra"], count["claims"])
    if count["decidable"]:
        for name in ("right", "wrong", "open"):
            share(f"decidable labels: verdict {name}", count[f"verdict {name}"], count["decidable"])


def judge(
    row: dict[str, Any], found: list[Match], clips: Path, count: Counter[str], show: bool
) -> None:
    """The verdicts on the labels that a clip can decide."""
    for m in found:
        if m.label["truth"] not in ("T", "F"):
            continue
        count["decidable"] += 1
        verdict = verify(m.claim, ears(clips / row["clip"])) if m.claim and m.right else None
        wanted = SUPPORTED if m.label["truth"] == "T" else CONTRADICTED
        decided = verdict is not None and verdict.verdict in (SUPPORTED, CONTRADICTED)
        how = "open" if not decided else "right" if verdict.verdict == wanted else "wrong"
        count[f"verdict {how}"] += 1
        if show and how != "right":
            label = f"{m.label['truth']}: {m.label['type']} {m.label['value']}"
            print(f"{row['id']} {how}, is {label} | {verdict and verdict.says}")


if __name__ == "__main__":
    main()
