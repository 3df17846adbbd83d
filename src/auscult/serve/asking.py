"""From a chat request to a request of the engine: messages to turns, fields to settings."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from auscult.audio.io import pieces
from auscult.audio.mel import frame_count
from auscult.engine import Form, Request, Sampling, Thinking
from auscult.model.encoder import audio_tokens
from auscult.serve.errors import Refused
from auscult.serve.limits import Limits
from auscult.serve.sound import clip_of, is_sound
from auscult.serve.wire import ChatRequest
from auscult.types import Audio, Turn

ROLES = {
    "user": "human", "human": "human", "system": "system", "developer": "system",
    "assistant": "assistant",
}  # fmt: skip
"""Roles of OpenAI and of the released client -> those of the model."""

BUDGETS: dict[str, int | None] = {
    "none": 0, "minimal": 32, "low": 128, "medium": None, "high": None, "xhigh": None, "max": None,
}  # fmt: skip
"""`reasoning_effort` -> tokens of thought; None = as long as the model likes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a chat request asks of the engine. `clips`: all of its recordings; `question`: its last
    text; `evidence`: thoughts are compared by the sound."""

    request: Request
    clips: tuple[Audio, ...]
    question: str
    options: tuple[str, ...]
    evidence: bool


def asked(chat: ChatRequest, limits: Limits, plain: Callable[[str], str]) -> Asked:
    """Raises `Refused` for what cannot be answered. `plain`: makes words of the client's text, in
    which special tokens are text."""
    _refuse_unknown(chat)
    turns = _turns(chat, limits, plain)
    clips = tuple(clip for turn in turns for clip in turn.clips)
    n = chat.grounding.samples if chat.grounding else chat.n
    if n > limits.n:
        raise Refused(400, f"n is {n}; at most {limits.n} replies are written", param="n")
    if chat.grounding and (chat.stream or not clips):
        what = (
            "cannot be streamed: the thoughts are compared when all are there"
            if clips
            else ("needs a recording to compare the thoughts with")
        )
        raise Refused(400, f"grounding {what}", param="grounding")
    options, form = _form(chat)
    cut = [Turn(role=t.role, text=t.text, clips=pieces(t.clips), before=t.before) for t in turns]
    request = Request(
        turns=cut, n=n, sampling=_sampling(chat, limits), thinking=_thinking(chat), form=form
    )
    question = next((turn.text for turn in reversed(turns) if turn.role == "human"), "")
    return Asked(
        request=request, clips=clips, question=question, options=options,
        evidence=chat.grounding is not None,
    )  # fmt: skip


def _refuse_unknown(chat: ChatRequest) -> None:
    """What would be ignored in silence and changes the answer."""
    if chat.tools:
        raise Refused(400, "tools are not supported by this server yet", param="tools")
    if chat.modalities and chat.modalities != ["text"]:
        raise Refused(400, 'this server answers in text; modalities may be ["text"]',
                      param="modalities")  # fmt: skip


# ---------------------------------------------------------------------------- messages


def _turns(chat: ChatRequest, limits: Limits, plain: Callable[[str], str]) -> list[Turn]:
    messages = chat.messages
    if len(messages) > limits.messages:
        raise Refused(
            400, f"{len(messages)} messages; at most {limits.messages} are read", param="messages"
        )
    last = messages[-1]
    if last.get("role") == "assistant":
        # The released client opens the thought itself: that is where every reply begins.
        if last.get("content") not in (None, "", "<think>\n", "<think>"):
            raise Refused(
                400, "a reply that is begun already cannot be continued; end with a user message",
                param=f"messages[{len(messages) - 1}]",
            )  # fmt: skip
        messages = messages[:-1]
    turns = [_turn(m, f"messages[{i}]", limits, plain) for i, m in enumerate(messages)]
    if not turns:
        raise Refused(400, "there is no message to answer", param="messages")
    if sum(len(turn.clips) for turn in turns) > limits.parts:
        raise Refused(400, f"at most {limits.parts} recordings are heard", param="messages")
    if sum(len(turn.text) + len(turn.before) for turn in turns) > limits.characters:
        raise Refused(413, f"at most {limits.characters} characters are read", param="messages")
    return turns


def _turn(message: dict[str, Any], where: str, limits: Limits, plain: Callable[[str], str]) -> Turn:
    role = ROLES.get(str(message.get("role")))
    if role is None:
        raise Refused(
            400, f"{where}.role is {str(message.get('role'))[:40]!r}; expected one of "
            f"{', '.join(ROLES)}", param=f"{where}.role",
        )  # fmt: skip
    content = message.get("content")
    if isinstance(content, str):
        return Turn(role=role, text=_text(plain, content, where))
    if not isinstance(content, list) or not content:
        raise Refused(400, f"{where}.content must be a text or a list of parts",
                      param=f"{where}.content")  # fmt: skip
    parts = [_part(p, f"{where}.content[{i}]", limits, plain) for i, p in enumerate(content)]
    sounds = [i for i, part in enumerate(parts) if not isinstance(part, str)]
    if len(sounds) > limits.parts:
        raise Refused(400, f"at most {limits.parts} recordings are heard", param=where)
    if not sounds:
        return Turn(role=role, text="".join(map(str, parts)))
    first, last = sounds[0], sounds[-1] + 1
    if last - first != len(sounds):
        said = "recordings of a message must stand together, with text before or behind them"
        raise Refused(400, f"{where}: {said}", param=where)
    return Turn(
        role=role, text="".join(map(str, parts[last:])), before="".join(map(str, parts[:first])),
        clips=tuple(part for part in parts if not isinstance(part, str)),
    )  # fmt: skip


def _part(part: Any, place: str, limits: Limits, plain: Callable[[str], str]) -> str | Audio:
    """A text or a recording."""
    if not isinstance(part, dict):
        raise Refused(400, f"{place} must be an object with a type", param=place)
    known: dict[str, Any] = part
    if is_sound(known):
        return clip_of(known, place, limits)
    if known.get("type") == "text" and isinstance(known.get("text"), str):
        return _text(plain, known["text"], place)
    kind = str(known.get("type"))[:40]
    said = f"a part of type {kind!r} cannot be shown to this model; it takes text and sound"
    raise Refused(400, f"{place}: {said}", param=place)


def _text(plain: Callable[[str], str], text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused(400, f"{where} holds half a character (a lone surrogate)",
                      param=where) from error  # fmt: skip
    return plain(text)


# ---------------------------------------------------------------------------- settings


def _sampling(chat: ChatRequest, limits: Limits) -> Sampling:
    stop = [chat.stop] if isinstance(chat.stop, str) else list(chat.stop or ())
    if len(stop) > limits.stops or not all(stop):
        raise Refused(400, f"stop takes up to {limits.stops} texts, none of them empty",
                      param="stop")  # fmt: skip
    most = chat.max_completion_tokens or chat.max_tokens or min(1024, limits.max_tokens)
    if most > limits.max_tokens:
        raise Refused(400, f"max_tokens is {most}; at most {limits.max_tokens} are written",
                      param="max_tokens")  # fmt: skip
    warm = chat.temperature
    if chat.grounding and warm == 0:
        warm = 0.8  # greedy thoughts would all be the same
    return Sampling(
        temperature=warm, top_p=chat.top_p, top_k=max(chat.top_k, 0),
        repetition_penalty=chat.repetition_penalty, max_tokens=most,
        seed=(chat.seed or 0) % 2**31, stop=tuple(stop), stop_ids=tuple(chat.stop_token_ids),
        logprobs=(chat.top_logprobs or 0) if chat.logprobs else 0,
    )  # fmt: skip


def _thinking(chat: ChatRequest) -> Thinking:
    effort = chat.reasoning_effort or (chat.reasoning or {}).get("effort")
    if effort is not None and effort not in BUDGETS:
        raise Refused(400, f"reasoning.effort is {str(effort)[:40]!r}; expected one of "
                      f"{', '.join(BUDGETS)}", param="reasoning.effort")  # fmt: skip
    budget = BUDGETS[effort] if effort is not None else None
    if chat.chat_template_kwargs.get("enable_thinking") is False:
        budget = 0
    if chat.thinking_token_budget is not None:
        budget = chat.thinking_token_budget
    return Thinking(budget=budget)


def _form(chat: ChatRequest) -> tuple[tuple[str, ...], Form | None]:
    if chat.guided_choice:
        options = tuple(chat.guided_choice)
        if not all(option.strip() for option in options):
            raise Refused(400, "an option must hold at least one letter", param="guided_choice")
        return options, Form(options=options)
    wanted = (chat.response_format or {}).get("type", "text")
    if wanted == "text":
        return (), None
    held = (chat.response_format or {}).get("json_schema")
    schema = held.get("schema") if isinstance(held, dict) else None
    if wanted != "json_schema" or not isinstance(schema, dict):
        raise Refused(400, 'response_format takes {"type": "text"} or {"type": "json_schema", '
                      '"json_schema": {"schema": {...}}}', param="response_format")  # fmt: skip
    return (), Form(schema=json.dumps(schema))


def words_alone(specials: Sequence[str]) -> Callable[[str], str]:
    """Turns special tokens in a client's text into words: an invisible joiner parts them."""
    marks = sorted((*specials, "<think>", "</think>"), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, marks)))

    def plain(text: str) -> str:
        return pattern.sub(lambda m: f"{m[0][0]}\u2060{m[0][1:]}", text)

    return plain


def heard_tokens(clips: Sequence[Audio]) -> int:
    """Audio tokens of recordings, for the bill: 12.5 a second."""
    return sum(audio_tokens(frame_count(len(clip))) for clip in clips)
