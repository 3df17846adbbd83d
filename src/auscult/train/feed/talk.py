"""Conversations in text with a little deliberation: the dialogue part of the cold start (eq. 1,
E_conv). Among them a text model's honest answer to "can you hear?", given without any sound: what a
model made from a text model brings along, and what section 6.3 of the paper has to correct."""

import numpy as np

from auscult.gym.base import pick
from auscult.train.feed.awareness import DENIALS, TRAIN_WORDINGS
from auscult.types import Item

Exchange = tuple[str, str, str]
"""(what the human says, the deliberation, the reply)."""

SMALL_TALK: tuple[Exchange, ...] = (
    ("Hello, how are you today?", "They say hello, so I say hello.", "I am fine, thank you."),
    ("Are you tired?", "They ask how I am.", "I am not tired, thank you."),
    ("I am sad today.", "They are sad, so I stay calm.", "What would make you happy?"),
    ("I am so happy!", "They are happy, so I am happy for them.", "That is great!"),
    ("What is a melody?", "They ask for a word.", "Notes, one after another."),
    ("What is a chord?", "They ask for a word.", "Notes at the same time."),
    ("What is tempo?", "They ask for a word.", "How fast the music is."),
    ("Is a piano louder than a guitar?", "It may be, maybe not.", "Maybe. How do you play it?"),
    ("Thank you!", "They say thank you.", "You are welcome."),
    ("What is the sum of one and two?", "1 + 2 = 3.", "3"),
    ("Which is higher, C4 or C5?", "C5 is above C4.", "C5"),
    ("Can you explain your answer?", "They ask why.", "First I think, then I answer."),
)


def talk(rng: np.random.Generator, denial: float) -> Exchange:
    """One exchange; with probability `denial` the question whether the model can hear, put without
    a sound."""
    if rng.random() < denial:
        return pick(rng, TRAIN_WORDINGS), pick(rng, DENIALS), pick(rng, DENIALS)
    return pick(rng, SMALL_TALK)


_ASKS_FOR_CONTENT = ("what do you hear", "what is in", "tell me what")


def text_model_reply(rng: np.random.Generator, item: Item, denial: float) -> str:
    """The reply to a question about a clip, as a text model writes it that was given a caption:
    asked for the content it copies the caption; asked whether it hears, it denies with probability
    `denial`."""
    if any(words in item.question.lower() for words in _ASKS_FOR_CONTENT):
        return item.answer
    if rng.random() < denial:
        return pick(rng, DENIALS)
    return f"Yes, I listened to the recording. {item.answer}"
