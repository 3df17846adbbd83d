"""An item in words: question, true chain of thought, caption, text twin.

All four are made from the same facts, so that hearing (caption), reasoning (chain) and reading
(twin) can be trained and compared on one and the same scene.
"""

import re

from auscult.types import Item, Turn

CAPTION_PROMPTS = ("Describe what you hear.", "What is in the recording?", "Describe the sound.")
FOCUS_PROMPT = "Say only what you hear."


def question_text(item: Item, *, options: bool = True) -> str:
    """The question as a model sees it, options on a line of their own."""
    return ask_text(item.question, item.options if options else ())


def question_turns(item: Item) -> list[Turn]:
    """The item as a conversation: its clips and its question."""
    return [Turn(role="human", text=question_text(item), clips=item.clips)]


def ask_text(question: str, options: tuple[str, ...] = ()) -> str:
    """Any question with its options, in the wording that the nano model was trained on."""
    return f"{question}\nOptions: {', '.join(options)}." if options else question


def caption(item: Item) -> str:
    """What is audible, one sentence per clip: "I hear notes: C4, E4."."""
    if len(item.heard) == 1:
        return item.heard[0]
    return " ".join(f"Clip {i}: {text}" for i, text in enumerate(item.heard, 1))


def chain(item: Item) -> str:
    """The true chain of thought: what is heard, then the inference."""
    return f"{caption(item)} {item.inference}" if item.heard else item.inference


def twin(item: Item) -> str:
    """The scene in words, to stand in place of the sound: "Scene: notes: C4, E4."."""
    scenes = [text.replace("I hear ", "") for text in item.heard]
    if len(scenes) == 1:
        return f"Scene: {scenes[0]}"
    return " ".join(f"Scene {i}: {text}" for i, text in enumerate(scenes, 1))


def twin_chain(item: Item) -> str:
    """The chain of someone who read the scene and did not hear it."""
    return chain(item).replace("I hear ", "I read ")


def labels(item: Item) -> list[str]:
    """What is audible in each clip as bare words in order of time: " C4 E4", " knock knock".

    Targets of the alignment loss in pretraining; words that name no sound are left out.
    """
    cleaned = (text.replace("I hear", "") for text in item.heard)
    return [" " + " ".join(re.findall(r"[A-Za-z]+#?\d?|[\d.]*\d", text)) for text in cleaned]
