"""Silence, noise alone, and a sound without a name: what a thought says of them is checked too."""

import numpy as np
import pytest

from auscult import gym
from auscult.audio.masking import pink, white
from auscult.audio.synth import to_level, tone
from auscult.gym.render import chain
from auscult.gym.tasks.events import NOISE_ALONE, NOTHING
from auscult.types import Audio
from auscult.verify.claims import CONTRADICTED, SUPPORTED
from auscult.verify.read.extract import extract
from auscult.verify.verify import check_text

SILENCE = np.zeros(16_000, dtype=np.float32)


@pytest.mark.parametrize(
    ("text", "subject", "negated"),
    [
        ("I hear nothing.", "sound", True),
        ("There is no sound at all.", "sound", True),
        ("Clip 2: no sound is heard.", "sound", True),
        ("I hear nothing but noise.", "noise alone", False),
        ("There is only a steady hiss.", "noise alone", False),
        ("I hear a sound that I cannot name.", "sound", False),
    ],
)
def test_what_says_that_nothing_is_there_is_a_claim(text: str, subject: str, negated: bool):
    [claim] = extract(text)
    assert (claim.kind, claim.about.subject, claim.negated) == ("presence", subject, negated)
    assert claim.about.clip == (2 if text.startswith("Clip") else None)


@pytest.mark.parametrize(
    "text",
    ["There is nothing unusual here.", "I hear nothing like a bell.", "Is there nothing?",
     "Nothing changes.", "There is nothing to say about the answer.", "I hear a sound."],
)  # fmt: skip
def test_what_only_uses_the_word_is_none(text: str):
    assert not [c for c in extract(text) if c.about.subject in ("sound", "noise alone")]


def test_nothing_but_the_absence_of_a_bell_is_said_of_the_bell_alone():
    for text in ("There is no sound of a bell.", "I hear nothing of the bell."):
        assert [(c.about.subject, c.negated) for c in extract(text)] == [("bell", True)]


def sounds(rng: np.random.Generator) -> dict[str, Audio]:
    voice = gym.make("voice_register", 3).clips[0]
    return {
        "silence": SILENCE,
        "white": to_level(white(rng, 16_000), -30),
        "pink": np.pad(to_level(pink(rng, 16_000), -45), 8000),
        "tone": tone(440.0, 1.0),
        "voice": voice,
        "knock": gym.make("event_count", 1).clips[0],
        "click": np.where(np.arange(16_000) == 8000, 0.5, 0).astype(np.float32),
    }


@pytest.mark.parametrize(
    ("text", "borne_out"),
    [
        ("I hear nothing.", {"silence"}),
        ("I hear nothing but noise.", {"white", "pink"}),
        ("I hear a sound that I cannot name.",
         {"white", "pink", "tone", "voice", "knock", "click"}),
    ],
)  # fmt: skip
def test_the_sound_decides(text: str, borne_out: set[str], rng: np.random.Generator):
    for name, clip in sounds(rng).items():
        [finding] = check_text(text, [clip])
        assert finding.verdict == (SUPPORTED if name in borne_out else CONTRADICTED), name


@pytest.mark.parametrize("anywhere", [False, True])
def test_true_chains_about_nothing_are_borne_out_and_others_are_not(anywhere: bool):
    items = [gym.make("anything_there", i, anywhere=anywhere) for i in range(24)]
    empty = [item for item in items if item.answer in (NOTHING, NOISE_ALONE)]
    assert {item.answer for item in empty} == {NOTHING, NOISE_ALONE} and len(empty) < len(items)
    for item in empty:
        assert {f.verdict for f in check_text(chain(item), item.clips)} == {SUPPORTED}
        other = next(o for o in items if o.answer != item.answer)
        assert CONTRADICTED in {f.verdict for f in check_text(chain(other), item.clips)}
