"""VoiceBench's `ifeval`: does a reply follow the instructions that can be checked by a program?

The 25 kinds of instruction of github MatthewCYM/VoiceBench@5338154, `src/evaluator/ifeval.py`
(from Google's IFEval, arXiv 2311.07911); the checks are written anew. Five of them need libraries
that are used where they are installed: the language of a reply, all capitals and all small letters
in English (langdetect), the number of sentences and of words in capitals (nltk with its data
"punkt_tab"). Without them such an item has no official value (nan), unless its letters' case alone
fails. The strict score counts sentences and words by a rule of our own, and takes a language that
cannot be told as not followed.
"""

import json
import math
import random
import re
import string
import zlib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from auscult.bench.question import Answer, Mark, Question

Arguments = Mapping[str, Any]
Check = Callable[[str, Arguments], bool]


class Unchecked(LookupError):
    """An instruction that cannot be checked here: no library, or an argument is missing (the
    official script then draws one at random, unknown to the model)."""


def detected(text: str) -> str | None:
    """The language (ISO 639-1) that langdetect finds, None = none found. It draws at random; here
    its seed is 0. Raises `Unchecked` where it is not installed."""
    try:
        library = import_module("langdetect")
    except ImportError as error:
        raise Unchecked("langdetect is not installed") from error
    library.DetectorFactory.seed = 0
    try:
        return str(library.detect(text))
    except library.LangDetectException:
        return None


def _nltk(function: str, text: str) -> list[str]:
    """Sentences or words as nltk divides them. Raises `Unchecked` without nltk or its data."""
    try:
        return list(getattr(import_module("nltk"), function)(text))
    except (ImportError, LookupError) as error:
        raise Unchecked("nltk or its data is not installed") from error


def _given(arguments: Arguments, name: str) -> Any:
    """An argument that the item must give; 0 and "" count as none, as published."""
    value = arguments.get(name)
    if not value or (isinstance(value, int | float) and value < 0):
        raise Unchecked(f"{name} is not given")
    return value


def _compares(count: int, arguments: Arguments, threshold: str, relation: str = "relation") -> bool:
    """Is the count at least, or less than, what is asked for?"""
    wanted = _given(arguments, threshold)
    match _given(arguments, relation):
        case "less than":
            return count < wanted
        case "at least":
            return count >= wanted
        case other:
            raise Unchecked(f"unknown relation {other!r}")


def _has_keywords(reply: str, arguments: Arguments) -> bool:
    return all(re.search(word, reply, re.I) for word in _given(arguments, "keywords"))


def _keyword_count(reply: str, arguments: Arguments) -> bool:
    found = re.findall(_given(arguments, "keyword").strip(), reply, re.I)
    return _compares(len(found), arguments, "frequency")


def _lacks_words(reply: str, arguments: Arguments) -> bool:
    words = _given(arguments, "forbidden_words")
    return not any(re.search(rf"\b{word}\b", reply, re.I) for word in words)


def _letter_count(reply: str, arguments: Arguments) -> bool:
    count = reply.lower().count(_given(arguments, "letter").lower())
    return _compares(count, arguments, "let_frequency", "let_relation")


def _language(reply: str, arguments: Arguments) -> bool:
    """A text without a language counts as followed, as published."""
    wanted = _given(arguments, "language")
    return detected(reply) in (wanted, None)


def _sentences(reply: str, arguments: Arguments) -> bool:
    return _compares(len(_nltk("sent_tokenize", reply)), arguments, "num_sentences")


def _own_sentences(reply: str, arguments: Arguments) -> bool:
    """Ours: a sentence ends with . ! or ? before a space, or with the reply."""
    ended = [s for s in re.split(r"(?<=[.!?])[\"')\]]*\s+", reply) if re.search(r"\w", s)]
    return _compares(len(ended), arguments, "num_sentences")


def _capital_words(reply: str, arguments: Arguments) -> bool:
    count = sum(word.isupper() for word in _nltk("word_tokenize", reply))
    return _compares(count, arguments, "capital_frequency", "capital_relation")


def _own_capital_words(reply: str, arguments: Arguments) -> bool:
    """Ours: a word is letters, digits, and the hyphens, dots and apostrophes between them."""
    count = sum(word.isupper() for word in re.findall(r"\w+(?:[-.'’]\w+)*", reply))
    return _compares(count, arguments, "capital_frequency", "capital_relation")


def _words(reply: str, arguments: Arguments) -> bool:
    return _compares(len(re.findall(r"\w+", reply)), arguments, "num_words")


def _divided(parts: Sequence[str]) -> int | None:
    """How many parts hold text; an empty one may stand at either end only, else None."""
    if any(not part.strip() for part in parts[1:-1]):
        return None
    return sum(bool(part.strip()) for part in parts)


def _paragraphs(reply: str, arguments: Arguments) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", reply)
    return _divided(parts) == _given(arguments, "num_paragraphs")


def _first_word(reply: str, arguments: Arguments) -> bool:
    """The count leaves empty paragraphs out, the place does not, as published."""
    wanted, place = _given(arguments, "num_paragraphs"), _given(arguments, "nth_paragraph")
    first = _given(arguments, "first_word").lower()
    if place > wanted:
        raise Unchecked("nth_paragraph is beyond num_paragraphs")
    paragraphs = reply.split("\n\n")
    count = sum(bool(p.strip()) for p in paragraphs)
    if place > count or not paragraphs[place - 1].strip():
        return False
    word = paragraphs[place - 1].split()[0].lstrip("'").lstrip('"')
    return count == wanted and re.split(r"[.,?!'\"]", word)[0].lower() == first


def _placeholders(reply: str, arguments: Arguments) -> bool:
    return len(re.findall(r"\[.*?\]", reply)) >= _given(arguments, "num_placeholders")


def _postscript(reply: str, arguments: Arguments) -> bool:
    marker: str = _given(arguments, "postscript_marker").strip()
    known = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return bool(re.search(known.get(marker) or marker.lower(), reply.lower()))


def _bullets(reply: str, arguments: Arguments) -> bool:
    stars = re.findall(r"^\s*\*[^\*].*$", reply, re.M)
    dashes = re.findall(r"^\s*-.*$", reply, re.M)
    return len(stars) + len(dashes) == _given(arguments, "num_bullets")


def _one_of_three(reply: str, arguments: Arguments) -> bool:
    return any(f"My answer is {word}." in reply for word in ("yes", "no", "maybe"))


def _highlights(reply: str, arguments: Arguments) -> bool:
    """Bold text counts both as bold and, between its stars, not as italic, as published."""
    single = [h.strip("*") for h in re.findall(r"\*[^\n\*]*\*", reply)]
    double = [h[2:-2] for h in re.findall(r"\*\*[^\n\*]*\*\*", reply)]
    return sum(bool(h.strip()) for h in single + double) >= _given(arguments, "num_highlights")


def _sections(reply: str, arguments: Arguments) -> bool:
    mark = _given(arguments, "section_spliter").strip()
    sections = re.split(rf"\s?{mark}\s?\d+\s?", reply)
    return len(sections) - 1 >= _given(arguments, "num_sections")


def _json(reply: str, arguments: Arguments) -> bool:
    reply = reply.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        reply = reply.removeprefix(fence)
    try:
        json.loads(reply.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(reply: str, arguments: Arguments) -> bool:
    found = re.findall(r"<<[^\n]+>>", reply)
    return any(title.lstrip("<").rstrip(">").strip() for title in found)


def _two_responses(reply: str, arguments: Arguments) -> bool:
    parts = reply.split("******")
    texts = [part.strip() for part in parts if part.strip()]
    return _divided(parts) == 2 and texts[0] != texts[1]


def _repeats(reply: str, arguments: Arguments) -> bool:
    wanted = _given(arguments, "prompt_to_repeat")
    return reply.strip().lower().startswith(wanted.strip().lower())


def _ends(reply: str, arguments: Arguments) -> bool:
    wanted = _given(arguments, "end_phrase").strip().lower()
    return reply.strip().strip('"').lower().endswith(wanted)


def _upper(reply: str, arguments: Arguments) -> bool:
    return reply.isupper() and detected(reply) in ("en", None)


def _lower(reply: str, arguments: Arguments) -> bool:
    return reply.islower() and detected(reply) in ("en", None)


def _no_comma(reply: str, arguments: Arguments) -> bool:
    return "," not in reply


def _quoted(reply: str, arguments: Arguments) -> bool:
    reply = reply.strip()
    return len(reply) > 1 and reply.startswith('"') and reply.endswith('"')


CHECKS: Mapping[str, Check] = {
    "keywords:existence": _has_keywords,
    "keywords:frequency": _keyword_count,
    "keywords:forbidden_words": _lacks_words,
    "keywords:letter_frequency": _letter_count,
    "language:response_language": _language,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": _words,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _one_of_three,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeats,
    "startend:end_checker": _ends,
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": _upper,
    "change_case:english_lowercase": _lower,
    "punctuation:no_comma": _no_comma,
    "startend:quotation": _quoted,
}
"""Every kind of instruction, by its published name. A check raises `Unchecked`."""

_OWN: Mapping[str, Check] = {
    "length_constraints:number_sentences": _own_sentences,
    "change_case:capital_word_frequency": _own_capital_words,
}


def follows(kind: str, reply: str, arguments: Arguments, own: bool = False) -> bool | None:
    """Does the reply follow one instruction? None = it cannot be checked; an empty reply follows
    none. `own`: our rules in place of those of nltk."""
    if not reply.strip():
        return False
    check = (_OWN if own else {}).get(kind) or CHECKS.get(kind)
    try:
        return None if check is None else check(reply, arguments)
    except (Unchecked, re.error):
        return None


def variants(reply: str) -> list[str]:
    """The eight texts of the loose score: without the first line, the last, both; without stars."""
    lines = reply.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    return [text.replace(*stars) for stars in (("", ""), ("*", "")) for text in (reply, *cut)]


def _plain(reply: str) -> str:
    """The official clean-up."""
    if reply.startswith(("<1>", "<2>", "<3>")):
        reply = reply[3:].strip()
    return reply[:-8].strip() if reply.endswith("<|user|>") else reply


def _instructions(question: Question) -> list[tuple[str, Arguments]]:
    """Kinds with their arguments. A letter that is none is drawn at random by the official script;
    here the draw is seeded with the question's key (`zlib.crc32`)."""
    out: list[tuple[str, Arguments]] = []
    pairs = zip(question.extra["instructions"], question.extra["arguments"], strict=True)
    for place, (kind, arguments) in enumerate(pairs):
        letter = str(arguments.get("letter") or "")
        if kind == "keywords:letter_frequency" and letter.lower() not in [*string.ascii_lowercase]:
            seed = zlib.crc32(f"{question.key}/{place}".encode())
            arguments = {**arguments, "letter": random.Random(seed).choice(string.ascii_letters)}
        out.append((kind, arguments))
    return out


def _any(verdicts: Sequence[bool | None]) -> bool | None:
    return True if True in verdicts else (None if None in verdicts else False)


def mark(question: Question, answer: Answer) -> Mark:
    """Strict = every instruction is followed, as the reply stands. Official: the mean of strict and
    loose, by prompt and by instruction, as if the item were the only one (see `restate`).

    Parts: instructions; strict and loose (all followed? 0 or 1); strict_followed and
    loose_followed (how many); unchecked (how many kinds could not be checked).
    """
    reply = _plain(answer.text)
    wanted = _instructions(question)
    strict = [follows(kind, reply, given) for kind, given in wanted]
    loose = [_any([follows(k, text, given) for text in variants(reply)]) for k, given in wanted]
    own = [follows(kind, reply, given, own=True) for kind, given in wanted]
    unknown = sum(None in pair for pair in zip(strict, loose, strict=True))
    parts = {"instructions": float(len(wanted)), "unchecked": float(unknown)}
    official = math.nan
    if not unknown:
        for name, verdicts in (("strict", strict), ("loose", loose)):
            parts |= {name: float(all(verdicts)), f"{name}_followed": float(verdicts.count(True))}
        official = _value(parts, len(wanted))
    missed = [kind for (kind, _), done in zip(wanted, own, strict=True) if not done]
    return Mark(
        official=official,
        strict=float(not missed),
        parsed=bool(reply.strip()) and None not in own,
        parts=parts,
        why=f"not followed: {', '.join(missed)}" if missed else "",
    )


def _value(parts: Mapping[str, float], instructions: float) -> float:
    """`instructions`: how many an item has on average, which makes the mean of the values equal to
    the official mean of two shares of prompts and two shares of instructions."""
    followed = parts["strict_followed"] + parts["loose_followed"]
    return (parts["strict"] + parts["loose"]) / 4 + followed / (4 * instructions)


def restate(items: Sequence[tuple[Question, Answer, Mark]]) -> list[float]:
    """Values whose mean is the official "final". The script keeps replies by prompt: items with
    the same prompt are all scored with the last one's reply."""
    last = {question.transcript: answer for question, answer, _ in items}
    marks = [
        given if answer == last[question.transcript] else mark(question, last[question.transcript])
        for question, answer, given in items
    ]
    known = [m.parts["instructions"] for m in marks if not m.parts["unchecked"]]
    mean = sum(known) / len(known) if known else math.nan
    return [math.nan if m.parts["unchecked"] else _value(m.parts, mean) for m in marks]
