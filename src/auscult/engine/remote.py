"""Replies from any OpenAI-compatible server that hears: vLLM with its Step-Audio fork, or others.

One request asks for all replies to a conversation; requests run at the same time and are repeated
where the server is busy or the line drops.

What differs from `Engine`:
- A thought is free or empty. A budget and a minimum above 1 need the engine's hand on every token
  and are errors; a minimum of 1 (no empty thought) is left to the model. Loops go on.
- An empty thought and an opening are a prefilled reply that the server continues: the fields
  `continue_final_message` and `add_generation_prompt` of vLLM, sent only then. A server without
  them refuses the request or, if it ignores them, thinks all the same.
- Tokens are those of our tokenizer for the text that came back, which may be cut otherwise than
  the sampled ones. With vLLM, `extra={"return_tokens_as_token_ids": True}` returns the true ids.
- Log-probabilities are the server's where it returns one for each of our tokens, else zeros: ask
  `logprobs_known`, and compute them again for training. vLLM returns those of temperature 1 unless
  it was started with `--logprobs-mode processed_logprobs`. Sound is sent as 16 bit WAV.
"""

import base64
import http.client
import io
import json
import math
import os
import random
import threading
import urllib.error
import urllib.request
import wave
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from auscult.audio.synth import SAMPLE_RATE
from auscult.engine.sampling import Sampling
from auscult.engine.thinking import CLOSE_TAG, Tags, Thinking
from auscult.faults import Garbled, lasting
from auscult.gym.render import question_turns
from auscult.model import StepAudio2Processor
from auscult.model.processor import THINK_CLOSE, THINK_OPEN, plain_ids
from auscult.types import Audio, Item, Reply, Turn

OPEN_TAG = THINK_OPEN.strip()
LONGEST_WAIT_S = 60.0  # between two tries
_TOKEN_ID = "token_id:"  # vLLM's return_tokens_as_token_ids
_FIELDS = {"top_k": "top_k", "repetition_penalty": "repetition_penalty", "stop": "stop",
           "min_tokens": "min_tokens", "stop_token_ids": "stop_ids"}  # fmt: skip


class EndpointError(ValueError):
    """A conversation got no replies. `finished` holds those of the others: number -> n replies."""

    def __init__(self, message: str, finished: Mapping[int, list[Reply]]) -> None:
        super().__init__(message)
        self.finished = dict(finished)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """One reply as the server gave it."""

    text: str
    stop: str  # "end" | "length"
    tokens: tuple[str, ...] = ()  # with their log-probabilities, where the server returns them
    logprobs: tuple[float, ...] = ()


def logprobs_known(reply: Reply) -> bool:
    """Are the log-probabilities of a reply real, or zeros in place of unknown ones?"""
    return any(p != 0.0 for p, f in zip(reply.logprobs, reply.forced, strict=True) if not f)


def wav_bytes(clip: Audio) -> bytes:
    """A clip [samples] as a WAV file: mono, 16 bit, 16 kHz."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, len(clip), "NONE", ""))
        file.writeframes(np.clip(np.round(clip * 32768), -32768, 32767).astype("<i2").tobytes())
    return out.getvalue()


def message_of(turn: Turn, human: str = "user") -> dict[str, Any]:
    """A turn as the API has it: its clips as `input_audio` parts, then its text."""
    role = human if turn.role == "human" else turn.role
    if not turn.clips:
        return {"role": role, "content": turn.before + turn.text}
    sounds = [base64.b64encode(wav_bytes(clip)).decode() for clip in turn.clips]
    parts = [{"type": "input_audio", "input_audio": {"data": s, "format": "wav"}} for s in sounds]
    first, last = ([{"type": "text", "text": t}] * bool(t) for t in (turn.before, turn.text))
    return {"role": role, "content": first + parts + last}


def forced_text(thinking: Thinking) -> str:
    """What a reply starts with and the server must continue; "" = nothing.

    Raises `ValueError` for rules that need the engine's hand on every token.
    """
    if thinking.budget:
        raise ValueError(
            f"a server takes no thinking budget of {thinking.budget} tokens; use free thought "
            "(bounded by max_tokens), no thought (budget 0), or the engine"
        )
    if thinking.budget is None and thinking.minimum > 1:
        raise ValueError(
            f"a server cannot hold a thought open for {thinking.minimum} tokens; use a minimum of "
            "0 or 1, or the engine"
        )
    return THINK_CLOSE if thinking.budget == 0 else thinking.opening


# ------------------------------------------------------------------------------ what comes back


def _shape_error(expected: str, came: Any) -> ValueError:
    return Garbled(f"expected {expected}; got {json.dumps(came)[:200]}")


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise Garbled(f"expected JSON; got {data[:200]!r}") from error


def _text_of(choice: Any) -> str:
    """The reply in one piece; servers with a reasoning parser return the thought on its own."""
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict) or not {"content", "reasoning_content"} & message.keys():
        raise _shape_error("a choice with a message that has content", choice)
    content = message.get("content") or ""
    thought = message.get("reasoning_content") or message.get("reasoning") or ""
    if not isinstance(content, str) or not isinstance(thought, str):
        raise _shape_error("text as the message's content", choice)
    return f"{thought.rstrip()}{THINK_CLOSE}{content}" if thought and content else thought + content


def _token_entries(choice: dict[str, Any]) -> list[tuple[str, float]]:
    """Tokens with log-probabilities; empty where the server sent none that can be used."""
    logprobs = choice.get("logprobs")
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    try:
        found = [(str(e["token"]), float(e["logprob"])) for e in entries or []]
    except (KeyError, TypeError, ValueError):
        return []
    return found if all(math.isfinite(p) for _, p in found) else []


def parse_choices(data: Any) -> list[_Choice]:
    """The replies in a server's answer. Raises `ValueError` that shows what came instead."""
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list) or not choices:
        raise _shape_error('an object with at least one of "choices"', data)
    if all(isinstance(c, dict) and isinstance(c.get("index"), int) for c in choices):
        choices = sorted(choices, key=lambda c: c["index"])
    out: list[_Choice] = []
    for choice in choices:
        text, entries = _text_of(choice), _token_entries(choice)
        out.append(
            _Choice(
                text=text,
                # A reply cut off by anything else, such as a filter, was not ended by the model.
                stop="end" if choice.get("finish_reason") == "stop" else "length",
                tokens=tuple(token for token, _ in entries),
                logprobs=tuple(p for _, p in entries),
            )
        )
    return out


def _said(error: Exception) -> str:
    """An error in words, with the beginning of what the server wrote about it."""
    if not isinstance(error, urllib.error.HTTPError):
        return f"{type(error).__name__}: {error}"
    body = b""
    with suppress(OSError, http.client.HTTPException):
        body = error.read(500)
    return f"HTTP {error.code} {error.reason}: {body.decode(errors='replace')}".rstrip(" :")


def _retry_after(error: Exception) -> float:
    """The seconds that the server asks to wait; 0 where it does not say."""
    if not isinstance(error, urllib.error.HTTPError):
        return 0.0
    value = str(error.headers.get("Retry-After", ""))
    return float(value) if value.isdigit() else 0.0


class Endpoint:
    """A `Policy` behind an OpenAI-compatible API; see the head of this file for its limits.

    Example: Endpoint("http://localhost:9999/v1", "Step-Audio-R1", processor,
    sampling=Sampling(temperature=0.7)).sample(items, 8)
    """

    def __init__(
        self,
        url: str,
        model: str,
        processor: StepAudio2Processor,
        *,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
        concurrency: int = 16,
        attempts: int = 6,
        backoff_s: float = 1.0,
        timeout_s: float = 600.0,
        human: str = "user",
        logprobs: bool = True,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """`url` ends before /chat/completions; `processor` is that of the served checkpoint; the
        key is read from OPENAI_API_KEY. A request is sent at most `attempts` times; `backoff_s`
        doubles from one to the next, `timeout_s` bounds each. `human` is the role that questions
        have; `extra` fields replace or join those of a request."""
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"expected an address such as http://localhost:8000/v1; got {url!r}")
        for name, value in (("concurrency", concurrency), ("attempts", attempts)):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more; got {value}")
        self.url = url.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        self.model, self.processor = model, processor
        self.sampling, self.thinking = sampling or Sampling(), thinking or Thinking()
        self.concurrency, self.attempts = concurrency, attempts
        self.backoff_s, self.timeout_s = backoff_s, timeout_s
        self.human, self.logprobs, self.extra = human, logprobs, dict(extra or {})
        tokenizer = processor.tokenizer
        self.tags = Tags(tokenizer, len(tokenizer), [processor.end_of_turn])

    def sync(self, model: object = None) -> None:
        """Raises `ValueError`: the API that samples has no way to take weights."""
        raise ValueError(
            f"{self.url} cannot be given new weights from here; save a checkpoint and tell the "
            "server by its own API or start it again, or train with Engine or EnginePool"
        )

    def sample(self, items: Sequence[Item], n: int = 1) -> list[list[Reply]]:
        """n replies for each item; see `Policy`."""
        return self.several([question_turns(item) for item in items], n)

    def several(
        self,
        conversations: Sequence[Sequence[Turn]],
        n: int,
        *,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
        draws: Sequence[int] | None = None,
    ) -> list[list[Reply]]:
        """n replies to each conversation, in order. `draws` and the sampling's seed make the seeds
        of the requests. At temperature 0 one reply is asked for and given n times.

        Raises `EndpointError`, with the finished replies of the other conversations, when one got
        none after `attempts` tries or was refused; requests not yet sent are then given up.
        """
        sampling, thinking = sampling or self.sampling, thinking or self.thinking
        start = forced_text(thinking)
        forced = plain_ids(self.processor.tokenizer, start) if start else []
        draws = range(len(conversations)) if draws is None else draws
        if len(draws) != len(conversations):
            count = f"{len(draws)} for {len(conversations)}"
            raise ValueError(f"expected one draw number per conversation; got {count}")
        halt = threading.Event()
        threads = ThreadPoolExecutor(self.concurrency)
        try:
            calls = [
                threads.submit(self._collect, turns, n, draw, sampling, start, len(forced), halt)
                for turns, draw in zip(conversations, draws, strict=True)
            ]
            failed = _first_error(calls, halt)
        finally:
            halt.set()
            threads.shutdown(wait=False, cancel_futures=True)
        replies = {
            i: [self._reply(choice, start, forced, thinking) for choice in call.result()]
            for i, call in enumerate(calls)
            if not call.cancelled() and call.exception() is None
        }
        if failed is not None:
            number, error = failed
            raise EndpointError(
                f"conversation {number} got no replies from {self.url}: {error} ({len(replies)} of "
                f"{len(calls)} conversations are finished: see `finished` of this error)",
                replies,
            ) from error
        return [replies[i] for i in range(len(calls))]

    def _body(self, turns: Sequence[Turn], sampling: Sampling, start: str, forced: int) -> Any:
        """The request without number of choices and seed."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [message_of(turn, self.human) for turn in turns],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": max(1, sampling.max_tokens - forced),
            "logprobs": self.logprobs,
        }
        if sampling.contrast or sampling.certainty or sampling.logprobs:
            raise ValueError("a server has no contrast, certainty or logprobs; use the engine")
        given = {theirs: getattr(sampling, ours) for theirs, ours in _FIELDS.items()}
        body |= {name: value for name, value in given.items() if value and value != 1.0}
        if start:
            body["messages"].append({"role": "assistant", "content": THINK_OPEN + start})
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    def _collect(
        self, turns: Sequence[Turn], n: int, draw: int, sampling: Sampling, start: str, forced: int,
        halt: threading.Event,
    ) -> list[_Choice]:  # fmt: skip
        """n choices. A server that gives fewer than asked for is asked again for the rest."""
        body = self._body(turns, sampling, start, forced)
        wanted = n if sampling.temperature > 0 else min(n, 1)  # vLLM refuses several greedy choices
        got: list[_Choice] = []
        while len(got) < wanted:
            seed = (sampling.seed * 1_000_003 + draw * n + len(got)) % 2**31
            got += self._post(body | {"n": wanted - len(got), "seed": seed} | self.extra, halt)
        return got[:n] if sampling.temperature > 0 else got[:1] * n

    def _post(self, body: dict[str, Any], halt: threading.Event) -> list[_Choice]:
        """One request, repeated with growing pauses while the server is busy or unwell."""
        key = os.environ.get("OPENAI_API_KEY", "none")
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers)
        for attempt in range(1, self.attempts + 1):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                    return parse_choices(_json(answer.read()))
            except (OSError, http.client.HTTPException, ValueError) as error:
                said = _said(error)
                if lasting(error):
                    hint = "; it continues a prefilled reply, which not every server allows"
                    hint = hint if "continue_final_message" in body else ""
                    raise ValueError(f"the server refused the request with {said}{hint}") from error
                pause = self.backoff_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
                pause = min(max(pause, _retry_after(error)), LONGEST_WAIT_S)
                if attempt == self.attempts or halt.wait(pause):
                    raise ValueError(f"{attempt} attempts failed, the last with {said}") from error
        raise AssertionError  # the last attempt returns or raises

    def _reply(self, choice: _Choice, start: str, forced: list[int], thinking: Thinking) -> Reply:
        ids, logprobs = self._tokens(choice, start)
        tokens = [*forced, *ids]
        thought, tag, answer = self.tags.text(tokens).partition(CLOSE_TAG)
        closed = "empty" if thinking.budget == 0 else "model" if tag else "open"
        return Reply(
            thought=thought.strip(),
            answer=answer.strip() if tag else "",
            tokens=tuple(tokens),
            logprobs=(*[0.0] * len(forced), *logprobs),
            forced=tuple([True] * len(forced) + [False] * len(ids)),
            stop=choice.stop,
            closed=closed,
            thought_tokens=0 if closed == "empty" else self._thought_tokens(tokens),
        )

    def _tokens(self, choice: _Choice, start: str) -> tuple[list[int], list[float]]:
        """Ids and log-probabilities after the prefill, the end-of-turn token included."""
        end = self.processor.end_of_turn
        text = choice.text.removeprefix(THINK_OPEN + start) if start else choice.text
        if text.lstrip().startswith(OPEN_TAG):
            text = text.lstrip().removeprefix(OPEN_TAG).removeprefix("\n")
        numbers = [t.removeprefix(_TOKEN_ID) for t in choice.tokens if t.startswith(_TOKEN_ID)]
        exact = text == choice.text and len(numbers) == len(choice.tokens) > 0
        if exact and "".join(numbers).isdecimal():
            ids = [int(t) for t in numbers]
        else:
            ids = plain_ids(self.processor.tokenizer, text)
        if choice.stop == "end" and ids[-1:] != [end]:
            ids.append(end)
        known = len(choice.logprobs) == len(ids)
        return ids, list(choice.logprobs) if known else [0.0] * len(ids)

    def _thought_tokens(self, tokens: list[int]) -> int:
        """The number of tokens before those of the closing tag; all where there is none."""
        for i in range(1, len(tokens) + 1):
            if n := self.tags.tag_length(tokens[:i]):
                return i - n
        return len(tokens)


def _first_error(
    calls: Sequence[Future[list[_Choice]]], halt: threading.Event
) -> tuple[int, BaseException] | None:
    """Wait for all calls. After the first failure those not begun are given up, none is repeated,
    and what is on its way may arrive."""
    wait(calls, return_when=FIRST_EXCEPTION)
    for i, call in enumerate(calls):
        if call.done() and (error := call.exception()) is not None:
            halt.set()
            for other in calls:
                other.cancel()
            wait(calls)
            return i, error
    return None
