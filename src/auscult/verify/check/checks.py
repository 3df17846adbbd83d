"""Claim against sound: one function per kind of claim, one line in `CHECKS`.

A check returns what it measured and how that stands to the claim. A difference between one and
1.6 tolerances is *ambiguous*, so that a claim is called true or false only where the sound is
clear.
"""

from collections.abc import Callable

from auscult.verify.check import quality, things, values
from auscult.verify.check.base import Outcome
from auscult.verify.claims import (
    Claim,
)
from auscult.verify.hear.listening import Listening

CHECKS: dict[tuple[str, str], Callable[[Listening, Claim], Outcome]] = {
    ("value", "pitch"): values.check_pitch,
    ("value", "note"): values.check_note,
    ("value", "interval"): values.check_interval,
    ("value", "tempo"): values.check_tempo,
    ("value", "gap"): values.check_gap,
    ("value", "duration"): values.check_duration,
    ("value", "level_change"): values.check_level_change,
    ("value", "peak"): values.check_peak,
    ("value", "level"): values.plain_number("loudness", "LUFS", 0.0, 1.5),
    ("value", "reverberation"): values.plain_number("reverberation", "s", 0.3, 0.05),
    ("value", "modulation"): values.plain_number("modulation", "Hz", 0.15, 0.8),
    ("value", "pitch_range"): values.plain_number("pitch_range", "semitones", 0.25, 1.0),
    ("value", "snr"): values.plain_number("snr", "dB", 0.25, 5.0),
    ("value", "rate"): values.plain_number("rate", "syllables/s", 0.25, 0.5),
    ("value", "brightness"): values.plain_number("brightness", "Hz", 0.15, 100.0),
    ("count", "count"): things.check_count,
    ("count", "meter"): things.check_meter,
    ("order", "sequence"): things.check_sequence,
    ("order", "before"): things.check_before,
    ("time", "time"): things.check_time,
    ("presence", "presence"): things.check_presence,
    ("direction", "pitch"): quality.pitch_course,
    ("direction", "level"): quality.course("level_course"),
    ("direction", "tempo"): quality.check_tempo_course,
    ("direction", "brightness"): quality.course("brightness_course"),
    ("direction", "contour"): quality.check_contour,
    **{("quality", name): check for name, check in quality.QUALITY_CHECKS.items()},
}
"""(kind, attribute) -> check. Comparisons are in `compare`. What is not here is unverifiable."""
