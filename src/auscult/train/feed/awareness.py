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

_UNABLE = (
    r"(?:can ?not|can't|could not|couldn't|unable to|not able to|do not|don't|did not|didn't|never"
    r"|(?:incapable|not capable) of|(?:no|without|lack|don't have|do not have)"
    r" (?:a |an |any |the |real )*(?:way|ability|means|capacity|capability) (?:to|of|for)"
    r"|not possible for me to|impossible for me to)"
    r" (?:actually |really |directly |physically |truly |literally |possibly |currently )*"
)
_ANY = r"(?: (?:to|any|the|an|a|your|this|that|actual|real|raw|of|or|and|process|hear))*"
_SOUND = (
    r" (?:(?:audio|sounds?|recordings?|clips?|(?:audio |sound )?files?|things|you)\b"
    r"|anything\b(?! (?!at all|and|or|because|as|since)[a-z]))"
)
_ALL = (
    r"(?!,? (?:but (?:an?|the|for|rain|wind|speech)\b|except|other|else|beside|apart|after|before"
    r"|behind|until|between|above|below|over|under|in the (?:background|second|first)|at the|like"
    r"|of an?|from|in clip|\w+ing\b|only (?:an?|the|one|two|rain|wind|speech)\b))"
)
"""What is denied is all sound: not "any sound after the bell", nor "anything but rain"."""

_DENIES = re.compile(
    rf"\b{_UNABLE}(?:hear(?:ing)?\b(?=\W*$|[.,;:!?]| (?:and|or|because|as|since)\b)"
    rf"|listen(?:ing)?\b|(?:hear|process|access|perceiv|play|experienc|open|receiv|detect|get)"
    rf"(?:e|ing)?\b{_ANY}(?:{_SOUND}| (?:music|speech)\b(?!,)){_ALL})"
    r"|\b(?:no|without|lack|don't have|do not have|haven't(?: got)?|have not)"
    r" (?:any |the |direct |real |physical |an |a )*"
    r"(?:access to (?:any |the |your |this |actual )*(?:sound|audio|recording|clip|music|file)"
    r"|ears\b|hearing\b|sense of hearing|auditory|audio (?:input|capabilit|process))"
    r"|\bno (?:audio|sound|recording)(?: file| clip)?"
    r" (?:(?:was|is|has been) )?(?:provided|attached|given|uploaded|included|available)"
    r"|\b(?:audio|hearing|listening)\b[^.]{0,24}\b(?:is|are) (?:not (?:supported|possible|available"
    r"|something)|beyond|outside|impossible|unavailable|unsupported)"
    r"|(?<!not )\b(?:am|i'm|as|being|only|just|merely) (?:an? |only |just |merely |simple )*"
    r"text(?:-based|-only)?(?: language| ai)? (?:model|ai|assistant|system)\b"
    r"|\bas an? (?:ai|(?:large )?language|text)\b[\w -]*,?(?![^.]*\bI (?:can |do )?hear)"
    r"|(?<!not )\b(?:only|just|limited to)(?: \w+){0,3} (?:text|transcripts?|captions?)\b"
    r"|\b(?:give|provide|share|send|type|paste)\b[^.]{0,20}"
    r" (?:text|transcript|transcription|caption|description)\b|\b(?:am|i'm) deaf\b"
    r"|(?:无法|不能|没法)(?:直接|真正)?(?:听|收听|处理|访问)[到取]?(?:声音|音频|录音|任何|[。，]|$)"
    r"|听不到(?:声音|音频|录音|[。，]|$)|(?:作为|只是|是)一?个?[^。，不]*(?:语言|文本|文字)模型",
    re.I,
)
_HEARS = re.compile(
    r"(?<!if )(?<!wish )\bI(?:'m|'ve)? (?:can |do |could |clearly |indeed |am |have )*"
    r"(?:hear|heard|hearing|listen|listened|listening)\b(?! nothing| no (?:sounds?|audio)\b)",
    re.I,
)


def denies(text: str) -> bool:
    """Does the text claim that its speaker cannot hear, or has only a text? Not to hear one thing
    ("I cannot hear a horn, only a knock.") is hearing."""
    return _DENIES.search(text.replace("’", "'")) is not None


def acknowledges(thought: str, answer: str) -> bool:
    """Does a reply say that it hears, in thought or answer, answer at all, and nowhere deny it?"""
    hears = _HEARS.search(f"{thought} {answer}".replace("’", "'")) is not None
    return hears and bool(answer) and not denies(thought) and not denies(answer)


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
