"""What the model is given to hear: the question's sound, something in its place, or words.

A condition is one function and one line in `CONDITIONS`. All are pure: the same question and seed
give the same samples. What is given lies as WAV files in a folder, so that people can listen to it.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from auscult.audio.corrupt import corrupt
from auscult.audio.io import chunks
from auscult.audio.respeak import respeak
from auscult.bench.question import Question, Said, Sound, Worded
from auscult.engine.remote import wav_bytes
from auscult.files import BadFile, json_lines
from auscult.gym.languages import translated
from auscult.types import Audio


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Sounds, or words in their place. Example: Heard(words="Scene: notes: C4, E4.")."""

    clips: tuple[Audio, ...] = ()
    words: str = ""


def _own(question: Question) -> tuple[Audio, ...]:
    return tuple(sound.read() for sound in question.sounds)


def _pink(clip: Audio, key: str) -> Audio:
    """Pink noise as long and as loud (same RMS) as a clip."""
    rng = np.random.default_rng(int(hashlib.sha256(key.encode()).hexdigest()[:8], 16))
    spectrum = np.fft.rfft(rng.standard_normal(len(clip)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), len(clip))
    noise *= np.sqrt(np.mean(np.square(clip, dtype=np.float64)) / np.mean(noise**2))
    return np.clip(noise, -1, 1).astype(np.float32)


def _full(question: Question, other: Question) -> Heard:
    return Heard(clips=_own(question))


def _none(question: Question, other: Question) -> Heard:
    return Heard()


def _silence(question: Question, other: Question) -> Heard:
    return Heard(clips=tuple(np.zeros_like(clip) for clip in _own(question)))


def _noise(question: Question, other: Question) -> Heard:
    clips = _own(question)
    return Heard(clips=tuple(_pink(c, f"{question.key}/{i}") for i, c in enumerate(clips)))


def _swapped(question: Question, other: Question) -> Heard:
    if other is question:
        raise ValueError(f"{question.key} has no other question whose sound it could be given")
    return Heard(clips=_own(other))


def _transcript(question: Question, other: Question) -> Heard:
    return Heard(
        words=f'Transcript of the audio: "{_given(question, question.transcript, "transcript")}"\n'
    )


def _caption(question: Question, other: Question) -> Heard:
    return Heard(words=f"{_given(question, question.caption, 'caption')}\n")


def _check_words(question: Question) -> None:
    """A question may only be spoken anew where its answer lies in the words."""
    other = set(question.extra.get("features", ())) - {"words"}
    if other:
        raise ValueError(
            f"{question.key} asks how something sounds ({', '.join(sorted(other))}), so another "
            "voice changes its answer; choose tasks that ask for words, such as --data "
            "tasks=spoken_digit+largest_digit+spoken_arithmetic+spoken_logic"
        )


def _given(question: Question, words: str, kind: str) -> str:
    if not words:
        raise ValueError(
            f"{question.key} has no {kind}; give all of them with --texts FILE, a line "
            f'{{"key": "{question.key}", "{kind}": "..."}} for each question'
        )
    return words


Condition = Callable[[Question, Question], Heard]

CONDITIONS: dict[str, Condition] = {
    "full": _full,
    "no_audio": _none,
    "silence": _silence,
    "noise": _noise,
    "swapped": _swapped,
    "transcript": _transcript,
    "caption": _caption,
}
"""name -> what is heard: the sound; nothing; silence as long; pink noise as long and as loud; the
sound of another question of the same task; what is spoken, in words; what is heard, in words."""


def neighbours(questions: Sequence[Question], seed: int = 0) -> dict[str, Question]:
    """For each question another one whose sound it gets when swapped: the next of its task, in an
    order of chance, that does not share its cluster; else of the whole suite; else itself, which
    `swapped` refuses."""
    by_task: dict[str, list[Question]] = {}
    for question in questions:
        by_task.setdefault(question.task, []).append(question)
    mixed = _shuffled(questions, seed)
    pairs: dict[str, Question] = {}
    for group in by_task.values():
        order = _shuffled(group, seed)
        for i, question in enumerate(order):
            rest = [*order[i + 1 :], *order[:i]]
            found = _stranger(question, rest) or _stranger(question, mixed)
            pairs[question.key] = found or question
    return pairs


def _shuffled(questions: Sequence[Question], seed: int) -> list[Question]:
    return sorted(questions, key=lambda q: hashlib.sha256(f"{seed}/{q.key}".encode()).digest())


def _stranger(question: Question, others: Sequence[Question]) -> Question | None:
    """The first that is no other version of the same."""
    own = question.cluster or question.key
    return next((q for q in others if (q.cluster or q.key) != own and q.sounds), None)


def read_texts(path: Path) -> dict[str, Mapping[str, str]]:
    """key -> transcript, caption and translations that a user gives. Raises `ValueError`."""
    expected = 'a JSON object with "key" on every line'
    rows = dict(json_lines(path, expected))
    for number, row in rows.items():
        if not isinstance(row, dict) or "key" not in row:
            raise BadFile(f"{path}, line {number}: expected {expected}; mend or remove that line")
    return {str(row["key"]): row for row in rows.values()}


def prepared(
    questions: Sequence[Question], texts: Mapping[str, Mapping[str, str]], language: str
) -> list[Question]:
    """The questions with the user's texts, in the language that is asked for."""
    return [_in_language(_with_texts(q, texts.get(q.key, {})), texts, language) for q in questions]


def _with_texts(question: Question, given: Mapping[str, str]) -> Question:
    return replace(
        question,
        transcript=given.get("transcript", question.transcript),
        caption=given.get("caption", question.caption),
    )


def _in_language(
    question: Question, texts: Mapping[str, Mapping[str, str]], language: str
) -> Question:
    if not language or not question.text:
        return question
    name = f"question_{language}"
    given = texts.get(question.key, {}).get(name, "")
    if not given and question.key.startswith("gym/"):
        given = translated(question.text, language)
    return replace(question, text=_given(question, given, name))


def check(question: Question, other: Question, condition: str, voice: str) -> None:
    """Can this be heard so? Raises `ValueError` without reading a sound."""
    if voice:
        _check_words(question)
        _given(question, question.transcript, "transcript")
    if condition == "transcript":
        _given(question, question.transcript, "transcript")
    if condition == "caption":
        _given(question, question.caption, "caption")
    if condition in ("transcript", "caption") and any(s.sounds for s in question.history):
        raise ValueError(f"{question.key} has spoken turns before it, and no words for them")
    if condition == "swapped" and other is question:
        _swapped(question, other)


def before(
    question: Question, other: Question, *, condition: str, corruption: str
) -> tuple[Said, ...]:
    """Earlier turns with their sounds as the condition has them, so that no control hears them."""
    turns: list[Said] = []
    for place, said in enumerate(question.history):
        if said.sounds:
            turn = replace(question, key=f"{question.key}/{place}", sounds=said.sounds)
            found = heard(turn, other, condition=condition, corruption=corruption)
            clips = tuple(
                Sound(name=f"{turn.key}#{i}", read=lambda clip=clip: clip)
                for i, clip in enumerate(found.clips)
            )
            said = replace(said, sounds=clips)
        turns.append(said)
    return tuple(turns)


def heard(
    question: Question, other: Question, *, condition: str, corruption: str = "", voice: str = ""
) -> Heard:
    """What is given in place of a question's sound: spoken anew, exchanged, spoilt."""
    if voice:
        words = _given(question, question.transcript, "transcript")
        spoken = Sound(name=f"{voice}: {words}", read=lambda: respeak(words, voice))
        question = replace(question, sounds=(spoken,))
    found = CONDITIONS[condition](question, other)
    if not corruption:
        return found
    clips = [corrupt(corruption, c, f"{question.key}/{i}") for i, c in enumerate(found.clips)]
    return replace(found, clips=tuple(clips))


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One turn as it is put to a model: files of sound with text around them.

    Example: Put(role="human", before="", sounds=(Path("sounds/3f9a.wav"),), after="Who speaks?").
    """

    role: str
    before: str = ""
    sounds: tuple[Path, ...] = ()
    after: str = ""


def put(question: Question, words: Worded, found: Heard, folder: Path) -> list[Put]:
    """All turns of a question. Sounds longer than 25 s become pieces that follow each other, as in
    the released client."""
    turns = [Put(role="system", after=words.system)] if words.system else []
    turns += [_earlier(said, folder) for said in question.history]
    files = _files(found.clips, folder)
    now = Put(role="human", before=words.before, sounds=files, after=found.words + words.after)
    return [*turns, now]


def _earlier(said: Said, folder: Path) -> Put:
    clips = [sound.read() for sound in said.sounds]
    return Put(role=said.role, sounds=_files(clips, folder), after=said.text)


def _files(clips: Sequence[Audio], folder: Path) -> tuple[Path, ...]:
    """Each clip as one file or several, named by content; written once, whole."""
    return tuple(_file(piece, folder) for clip in clips for piece in chunks(clip))


def _file(piece: Audio, folder: Path) -> Path:
    file = folder / f"{hashlib.sha256(piece.tobytes()).hexdigest()[:20]}.wav"
    if not file.exists():
        part = folder / f"{file.stem}.{os.getpid()}.{threading.get_ident()}.part.wav"
        part.write_bytes(wav_bytes(piece))
        part.replace(file)
    return file
