"""Prose of audio language models: numbers, times and markup as people write them; what is named
and measured by nobody stays open; nothing that is written makes the reader fall."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.audio.synth import tone
from auscult.verify.claims import CONTRADICTED, SUPPORTED, UNVERIFIABLE
from auscult.verify.read.extract import extract, unread
from auscult.verify.read.lexicon import lexicon
from auscult.verify.read.masking import mask
from auscult.verify.verify import check_text

WILD = Path(__file__).parent / "data" / "grounding" / "prose_wild.jsonl"


def said(text: str) -> set[tuple[str, object, str]]:
    return {(c.attribute, c.value, c.about.at) for c in extract(text)}


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("A pause of half a second.", ("gap", 0.5, "")),
        ("The recording is six and a half seconds long.", ("duration", 6.5, "")),
        ("The clip lasts a second and a half.", ("duration", 1.5, "")),
        ("The clip lasts just under five seconds.", ("duration", 5.0, "")),
        ("The pitch lies at 180-220 Hz.", ("pitch", 200.0, "")),
        ("The pitch is between 180 and 220 Hz.", ("pitch", 200.0, "")),
        ("The pitch is 210 ± 5 Hz.", ("pitch", 210.0, "")),
        ("I hear 3-4 knocks.", ("count", 3.5, "")),
        ("A bell rings at 0:07.", ("time", 7.0, "")),
        ("[00:08-00:13] There is silence.", ("presence", True, "8.0-13.0")),
        ("The first two seconds are silent.", ("presence", True, "0.0-2.0")),
        ("The music is silent during seconds 1 to 4.", ("presence", True, "1.0-4.0")),
        ("The second pause falls at 6.7 seconds.", ("time", 6.7, "2")),
        ("The signal peaks at -7 dBFS.", ("peak", -7.0, "")),
        ("The piece is in B-flat major.", ("key", "A# major", "")),
        ("Her pace is moderate.", ("rate", "moderate", "")),
        ("She coughs twice.", ("count", 2.0, "")),
        ("Music plays first and a woman starts talking.", ("before", ("music", "voice"), "")),
        ("A siren gets louder.", ("event", True, "")),
        ("He sounds bored.", ("emotion", True, "")),
        ("템포는 분당 약 90박이고 단조로 들린다.", ("mode", "minor", "")),
        ("<think>**Pitch**: the voice rises.</think> It falls.", ("pitch", "rising", "")),
    ],
)
def test_what_is_written_is_read(text: str, claim: tuple[str, object, str]):
    assert claim in said(text)


@pytest.mark.parametrize(
    "text",
    [
        "The file is sampled at 16 kHz.",
        "I am 90 % sure.",
        "Step 2: compare them.",
        "The first thing to say is consistent with that.",
        "<think>Let me see.</think> The pitch rises.",
        "It makes me feel calm.",
    ],
)
def test_what_is_no_statement_of_the_sound_is_no_claim(text: str):
    assert extract(text) == []


def test_what_speaks_of_sound_and_is_not_understood_is_told():
    text = "A bell rings twice. The timbre and intonation undulate."
    assert unread(text, extract(text)) == ["The timbre and intonation undulate"]
    assert unread("I went home and had tea.", []) == []
    assert unread("A bell rings twice.", extract("A bell rings twice.")) == []


def test_each_sentence_has_its_own_language():
    found = said("A bell rings twice. 敲门声响了三次。 노크 소리가 네 번 들린다.")
    assert {("count", 2.0, ""), ("count", 3.0, ""), ("count", 4.0, "")} <= found


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("The pitch lies at 180-220 Hz.", SUPPORTED),
        ("The pitch is 205 ± 10 Hz.", SUPPORTED),
        ("The pitch lies at 250-300 Hz.", CONTRADICTED),
        ("The tone peaks at -6 dBFS.", SUPPORTED),
        ("The tone peaks at -12 dBFS.", CONTRADICTED),
        ("She coughs twice.", UNVERIFIABLE),
        ("The siren is louder than the voice.", UNVERIFIABLE),
        ("The music comes before the voice.", UNVERIFIABLE),
    ],
)
def test_a_range_holds_any_of_its_values_and_what_nothing_measures_stays_open(text, verdict):
    x = tone(200.0, 1.0, "pure")
    x = np.pad(x * np.float32(0.501 / np.abs(x).max()), 1600)
    assert [f.verdict for f in check_text(text, [x])] == [verdict] * len(extract(text))


def test_a_stretch_is_silent_beside_the_rest_of_its_clip():
    x = np.concatenate([np.zeros(32_000, np.float32), tone(300.0, 2.0, "pure")])
    (finding,) = check_text("The first two seconds are silent.", [x])
    assert finding.verdict == SUPPORTED
    (finding,) = check_text("It is silent from 2.5 to 3.5 seconds.", [x])
    assert finding.verdict == CONTRADICTED


_FORMS = sorted(form for code in ("en", "zh", "ko") for form in lexicon(code).senses)
_WORDS = st.sampled_from(
    [
        *_FORMS, "half a", "3-4", "0:07", "5", "second", "seconds", "A#4", "B-flat major", ",", ".",
        ";", "than", "and", "or", "not", "the", "<think>", "</think>", "**", "Step 3:", "90%", '"',
        "?", "±",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(_WORDS, max_size=25).map(" ".join))
def test_no_text_makes_the_reader_fall(text: str):
    for claim in extract(text):
        assert 0 <= claim.start < claim.end <= len(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_masking_keeps_every_place(text: str):
    assert len(mask(text, lambda _: lexicon("en"))) == len(text)


def test_a_long_text_takes_no_longer_than_its_length():
    text = "The second note is higher than the first, and a bell rings at 0:07. " * 150

    def seconds(times: int) -> float:
        began = time.process_time()
        extract(text * times)
        return time.process_time() - began

    seconds(1)
    assert seconds(8) < 24 * max(seconds(1), 0.02)


def test_the_frozen_texts_are_read_as_well_as_before():
    """Labelled by others before these rules were written; `benchmarks/prose.py` has the table."""
    rows = [json.loads(line) for line in WILD.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 150
    empty = [r for r in rows if not r["claims"]]
    assert sum(not extract(r["text"]) for r in empty) >= 0.6 * len(empty)
    labels = sum(len(r["claims"]) for r in rows)
    assert sum(len(extract(r["text"])) for r in rows) > 0.7 * labels
