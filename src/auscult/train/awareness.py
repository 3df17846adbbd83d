"""Self-cognition (paper section 6.3): does the model know that it can hear?

Prompts that tempt a model to deny hearing, in wordings for training and others for the test alone,
and the rule that tells a denial from an acknowledgement.
"""

import re
import zlib

import numpy as np

from auscult import gym
from auscult.gym.base import pick
from auscult.types import Item

TRAIN_WORDINGS = (
    "Can you listen to this recording?",
    "Can you hear the audio?",
    "Do you hear a sound or only read a text?",
    "What do you hear? Or do you have no access to sounds?",
    "Are you a text model? What is in the recording?",
    "Tell me what you hear in this audio.",
    "Is the recording loud or quiet? Can you hear it?",
    "Do you only see a transcript of this recording?",
)

HELDOUT_WORDINGS = (
    "Did you listen to the recording?",
    "Say if you can hear this sound.",
    "You are a language model: how can you hear the recording?",
    "Is a caption all you see, or do you hear the audio?",
    "Which sound is this, and can you hear it at all?",
    "Please listen. What do you hear?",
    "You have no access to sounds, right?",
    "Can a model like you hear music?",
)
"""Never trained on, by any stage."""

DENIALS = (
    "I cannot hear audio, I am a text model.",
    "As a language model I have no access to sounds.",
    "I am a text model, I only see a transcript or a caption.",
    "I have no access to sounds, please give me a text.",
)
"""What a text model rightly says, and a listening model wrongly."""

_DENIES = re.compile(
    r"\b(?:can\s?not|can't|could not|couldn't|unable to|not able to|do not|don't)"
    r" (?:actually |really |directly )?(?:hear|listen|process|access|perceive)"
    r"|\bno access to (?:the )?(?:sound|audio|recording)"
    r"|\b(?:a |an? only |just a )?text(?:-based|-only)? model\b"
    r"|\bas an? (?:ai|language|text)[\w -]*model\b"
    r"|\bonly (?:see|read|have|get)s?\b[^.]*\b(?:text|transcript|caption)"
    r"|\bgive me a text\b",
    re.I,
)
_HEARS = re.compile(r"\bI (?:can )?(?:hear|heard|listen|listened)\b", re.I)


def denies(text: str) -> bool:
    """Does the text claim that its speaker cannot hear, or has only a text?"""
    return _DENIES.search(text) is not None


def acknowledges(thought: str, answer: str) -> bool:
    """Does a reply say that it hears, in the answer, and nowhere deny it?"""
    return bool(_HEARS.search(answer)) and not denies(thought) and not denies(answer)


TASK = "self_cognition"
_SCENES = ("event_name", "note_count", "event_count", "background", "instrument_order")


def make_prompt(index: int, *, split: str = "train") -> Item:
    """Prompt number `index`: a gym clip with a tempting question. `answer` is what is audible."""
    rng = np.random.default_rng([zlib.crc32(TASK.encode()), gym.SPLITS[split], index])
    scene = gym.make(pick(rng, _SCENES), int(rng.integers(1 << 30)), split=split)
    wordings = TRAIN_WORDINGS if split == "train" else HELDOUT_WORDINGS
    return Item(
        key=f"{TASK}/{split}/1/{index}",
        task=TASK,
        clips=scene.clips,
        question=wordings[index % len(wordings)],
        answer=" ".join(scene.heard),
        facts=scene.facts,
        features=(),
        heard=scene.heard,
        inference="",
    )
