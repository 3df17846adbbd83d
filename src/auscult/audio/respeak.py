"""A written question spoken by voices, accents and speeds of a table (extra `[speech]`).

For spoken questions of a benchmark: the words stay, the speaker changes.
"""

import numpy as np

from auscult.audio.speech import Manner, say
from auscult.types import Audio

SPEAKERS: dict[str, Manner] = {
    "us_man": Manner(voice="en-us"),
    "us_woman": Manner(voice="en-us+f2"),
    "us_deep": Manner(voice="en-us+m3", pitch=20),
    "us_high": Manner(voice="en-us+f4", pitch=80),
    "us_flat": Manner(voice="en-us", range=0),
    "us_lively": Manner(voice="en-us+f2", range=99),
    "us_slow": Manner(voice="en-us", rate=110),
    "us_fast": Manner(voice="en-us", rate=280),
    "us_woman_slow": Manner(voice="en-us+f2", rate=110),
    "us_woman_fast": Manner(voice="en-us+f2", rate=280),
    "us_whisper": Manner(voice="en-us+whisper"),
    "new_york_man": Manner(voice="en-us-nyc"),
    "british_man": Manner(voice="en"),
    "british_woman": Manner(voice="en+f2"),
    "received_man": Manner(voice="en-gb-x-rp"),
    "received_woman": Manner(voice="en-gb-x-rp+f4"),
    "scottish_man": Manner(voice="en-gb-scotland"),
    "scottish_woman": Manner(voice="en-gb-scotland+f2"),
    "lancaster_man": Manner(voice="en-gb-x-gbclan+m3"),
    "midlands_woman": Manner(voice="en-gb-x-gbcwmd+f2"),
    "caribbean_man": Manner(voice="en-029"),
    "caribbean_woman": Manner(voice="en-029+f3"),
}
"""Speakers by accent, sex or register, and speed (175 words a minute where none is named)."""


def respeak(text: str, voice: str) -> Audio:
    """`text` by one of `SPEAKERS`: 16 kHz, at an RMS level of -20 dB, peak at most 1. The same
    arguments give the same samples. Lines of the text are read one after another.

    Raises `ValueError` for an unknown speaker or a text without a letter or digit, and
    `SpeechUnavailable` without the extra.
    """
    if voice not in SPEAKERS:
        raise ValueError(f"unknown speaker {voice!r}; expected one of {', '.join(SPEAKERS)}")
    if not any(c.isalnum() for c in text):
        raise ValueError(f"nothing to say in {text!r}; expected words")
    x = say(text, SPEAKERS[voice])
    peak = float(np.abs(x).max())
    return x / np.float32(peak) if peak > 1 else x
