"""What is sent back: whole replies, chunks of a stream, usage, log-probabilities, evidence."""

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from auscult.engine.request import Answered
from auscult.types import Reply
from auscult.verify.claims import Finding
from auscult.verify.grounded import grounded, grounding
from auscult.verify.scores import Scores

FINISH = {"end": "stop", "stop": "stop", "length": "length", "loop": "stop"}
"""Why a reply ended -> OpenAI's word; the engine's own stands beside it as `stop_reason`."""

Decode = Callable[[int], str]
"""The text of a token."""


def head(model: str, kind: str, number: str = "") -> dict[str, Any]:
    """What every object begins with."""
    return {
        "id": number or f"chatcmpl-{uuid.uuid4().hex}", "object": kind,
        "created": int(time.time()), "model": model,
    }  # fmt: skip


def usage(answered: Answered, audio_tokens: int) -> dict[str, Any]:
    """OpenAI's counts, with those of thought and sound."""
    written = sum(len(r.tokens) for r in answered.replies)
    thought = sum(r.thought_tokens for r in answered.replies)
    return {
        "prompt_tokens": answered.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": answered.prompt_tokens + written,
        "prompt_tokens_details": {
            "audio_tokens": audio_tokens,
            "cached_tokens": answered.prompt_tokens - answered.read_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": 0},
    }


def choice(
    index: int, reply: Reply, *, reasoning: bool, decode: Decode | None, top: int = 0
) -> dict[str, Any]:
    """One reply of a whole answer."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.answer.strip()}
    if reasoning:
        message |= {"reasoning_content": reply.thought, "reasoning": reply.thought}
    return {
        "index": index, "message": message, "finish_reason": FINISH[reply.stop],
        "stop_reason": reply.stop,
        "logprobs": {"content": _logprobs(reply, decode, top)} if decode is not None else None,
    }  # fmt: skip


def _logprobs(reply: Reply, decode: Decode, top: int) -> list[dict[str, Any]]:
    likeliest = reply.likeliest or [()] * len(reply.tokens)
    return [
        _token(decode(token), value)
        | {"top_logprobs": [_token(decode(t), v) for t, v in best[:top]]}
        for token, value, best in zip(reply.tokens, reply.logprobs, likeliest, strict=True)
    ]


def _token(text: str, value: float) -> dict[str, Any]:
    return {"token": text, "logprob": max(value, -9999.0), "bytes": [*text.encode()]}


def evidence(scores: Scores, findings: Sequence[Finding], samples: int) -> dict[str, Any]:
    """Ours: every claim of the thought, with its verdict, what was measured, and where."""
    verdict = grounded(scores)
    return {
        "samples": samples, "grounding": grounding(scores), "grounded": verdict.keep,
        "why": verdict.why,
        "claims": [
            {
                "start": f.claim.start, "end": f.claim.end, "verdict": f.verdict, "says": f.says,
                "measured": f.measured, "span": f.span, "clip": f.clip,
                "claim": asdict(f.claim),
            }
            for f in findings
        ],
    }  # fmt: skip


def sse(record: dict[str, Any]) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(record, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
IDLE = b": keep-alive\n\n"


def delta(index: int, part: str, text: str, *, reasoning: bool) -> dict[str, Any] | None:
    """A piece of a reply as a choice of a chunk; None for what is not to be sent."""
    if part == "thought":
        if not reasoning:
            return None
        return _chunk(index, {"reasoning_content": text, "reasoning": text})
    if part == "stop":
        return _chunk(index, {}, FINISH[text]) | {"stop_reason": text}
    return _chunk(index, {"content": text})


def first(index: int) -> dict[str, Any]:
    """The chunk with which a reply begins."""
    return _chunk(index, {"role": "assistant", "content": ""})


def _chunk(index: int, change: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": change, "finish_reason": finish, "logprobs": None}
