"""A chat-completions server on this machine whose every reply is scripted, well or badly."""

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fixture_mmsu import rows
from fixture_sounds import tone, wav_bytes

from auscult.audio.io import read_encoded
from auscult.types import Audio

THOUGHT = "I hear one voice."
STALL_S = 3.0
"""How long a stalled reply takes: longer than any time-out in these tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request. question: the known words that it holds; time: how often it was asked before.

    Example: Seen(question="Who speaks?", time=0, body={"messages": [...], ...}, at=12.5).
    """

    question: str
    time: int
    body: Mapping[str, Any]
    at: float

    @property
    def prefill(self) -> str:
        """What the reply has to go on from; "" for nothing."""
        last = self.body["messages"][-1]
        return str(last["content"]) if last["role"] == "assistant" else ""

    @property
    def roles(self) -> list[str]:
        """Of all messages."""
        return [m["role"] for m in self.body["messages"]]

    @property
    def sounds(self) -> list[Audio]:
        """What arrived as sound, decoded."""
        parts = [
            part
            for message in self.body["messages"]
            if not isinstance(message["content"], str)
            for part in message["content"]
            if part["type"] == "input_audio"
        ]
        assert all(part["input_audio"]["format"] == "wav" for part in parts)
        return [
            read_encoded(base64.b64decode(part["input_audio"]["data"]), "request") for part in parts
        ]


Script = Callable[[Seen], str]
"""request -> name of a behaviour in `BEHAVIOURS`."""


@dataclass
class Scripted:
    """The server. answers: words of each question -> the letter to give. Use as a context."""

    answers: Mapping[str, str]
    script: Script = lambda seen: "right"
    pause_s: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "Scripted":
        outer = self

        class Handler(_Handler):
            server_of = outer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def note(self, body: Mapping[str, Any]) -> Seen:
        """Keep a request."""
        told = json.dumps(body, ensure_ascii=False)
        # The longest, so that "Number 11" is not taken for "Number 1".
        fits = [q for q in self.answers if q in told]
        question = max(fits, key=len) if fits else ""
        with self.lock:
            time_ = sum(s.question == question for s in self.seen)
            seen = Seen(question=question, time=time_, body=body, at=time.monotonic())
            self.seen.append(seen)
        return seen

    def asked(self) -> dict[str, int]:
        """question -> number of requests since `forget`."""
        found: dict[str, int] = {}
        for seen in self.seen:
            found[seen.question] = found.get(seen.question, 0) + 1
        return found

    def forget(self) -> None:
        """Begin to count anew."""
        self.seen.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: Scripted
    wanted: int

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seen = self.server_of.note(body)
        self.wanted = body.get("n") or 1
        time.sleep(self.server_of.pause_s)
        with suppress(OSError):  # the client has gone
            BEHAVIOURS[self.server_of.script(seen)](self, seen)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def send(self, status: int, body: str, kind: str = "application/json", **headers: str) -> None:
        """A whole reply."""
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def say(
        self, content: str | None, finish: str = "stop", n: int | None = None, **more: Any
    ) -> None:
        """A completion; n of them where n are wanted."""
        n = n or self.wanted
        message = {"role": "assistant", "content": content} | more
        choices = [{"index": i, "message": message, "finish_reason": finish} for i in range(n)]
        words = len((content or "").split())
        usage = {"prompt_tokens": 50, "completion_tokens": words, "total_tokens": 50 + words}
        told = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
        self.send(200, json.dumps(told | {"choices": choices, "usage": usage}))

    def close(self) -> None:
        """Hang up."""
        self.close_connection = True
        self.connection.close()


def _letter(handler: _Handler, seen: Seen) -> str:
    return handler.server_of.answers[seen.question]


def _right(handler: _Handler, seen: Seen) -> None:
    """Goes on from a prefill as vLLM does: only what is new comes back, stop words do not."""
    if "</think>" in seen.prefill:
        handler.say(_letter(handler, seen))
    elif "</think>" in (seen.body.get("stop") or []):
        words = THOUGHT.split()
        kept = words[: seen.body["max_tokens"]]
        handler.say(" ".join(kept), "stop" if kept == words else "length")
    else:
        start = "" if seen.prefill else "<think>\n"
        handler.say(f"{start}{THOUGHT}\n</think>\n{_letter(handler, seen)}")


def _separate(handler: _Handler, seen: Seen) -> None:
    """A server with a reasoning parser."""
    if "</think>" in seen.prefill or "</think>" not in (seen.body.get("stop") or []):
        handler.say(f"\n{_letter(handler, seen)}", reasoning_content=f"{THOUGHT}\n")
    else:
        handler.say(None, "stop", reasoning_content=THOUGHT)


def _swallowed(handler: _Handler, seen: Seen) -> None:
    """A reasoning parser that takes everything before an absent tag for thought."""
    done = "</think>" in seen.prefill
    handler.say(None, reasoning_content=_letter(handler, seen) if done else THOUGHT)


def _deaf_to_stop(handler: _Handler, seen: Seen) -> None:
    """Writes on over the stop word."""
    rest = "" if "</think>" in seen.prefill else f"{THOUGHT}\n</think>\n"
    handler.say(f"{rest}{_letter(handler, seen)}<|EOT|>")


def _dropped(handler: _Handler, seen: Seen) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(b'{"id": "x", "choi')
    handler.wfile.flush()
    handler.close()


def _stalled(handler: _Handler, seen: Seen) -> None:
    time.sleep(STALL_S)
    _right(handler, seen)


def _refused(status: int, **headers: str) -> "Behaviour":
    return lambda handler, seen: handler.send(
        status, json.dumps({"error": {"message": f"scripted {status}", "code": status}}), **headers
    )


def _body(text: str, kind: str = "application/json") -> "Behaviour":
    return lambda handler, seen: handler.send(200, text, kind)


Behaviour = Callable[[_Handler, Seen], None]

_SHELL = '{"id": "x", "object": "chat.completion", "created": 1, "model": "m"'

BEHAVIOURS: dict[str, Behaviour] = {
    "right": _right,
    "reasoning_content": _separate,
    "swallowed": _swallowed,
    "deaf to stop": _deaf_to_stop,
    "no tags": lambda handler, seen: handler.say(_letter(handler, seen)),
    "cut": lambda handler, seen: handler.say(f"{'' if seen.prefill else '<think>'}I he", "length"),
    "null content": lambda handler, seen: handler.say(None),
    "empty content": lambda handler, seen: handler.say(""),
    "babble": lambda handler, seen: handler.say("</think>\nWell, who could ever tell?"),
    "one reply": lambda handler, seen: handler.say("</think>B", n=1),
    "dropped": _dropped,
    "hung up": lambda handler, seen: handler.close(),
    "stalled": _stalled,
    "429": _refused(429),
    "429 with a wait": _refused(429, Retry_After="0.3"),
    "500": _refused(500),
    "503": _refused(503),
    "400": _refused(400),
    "401": _refused(401),
    "404": _refused(404),
    "html": _body("<html><body>Bad gateway</body></html>", "text/html"),
    "broken json": _body('{"id": "x", "choices": [{"index": 0, "mess'),
    "no choices": _body(_SHELL + ', "choices": []}'),
    "null choices": _body(_SHELL + ', "choices": null}'),
    "no message": _body(_SHELL + ', "choices": [{"index": 0, "finish_reason": "stop"}]}'),
    "error in 200": _body('{"error": {"message": "out of memory", "code": 500}}'),
    "a number": _body("17"),
}
"""name -> what the server does with one request."""


def numbered(folder: Path, count: int) -> dict[str, str]:
    """MMSU questions with numbers, as many as wanted. What they hold -> the right letter."""
    questions = [f"Number {i + 1}." for i in range(count)]
    (folder / "question").mkdir(parents=True)
    (folder / "audio").mkdir()
    lines: list[str] = []
    for i, question in enumerate(questions):
        path = f"audio/{i}.wav"
        (folder / path).write_bytes(wav_bytes(tone(i)))
        own = {"id": i + 1, "question": question, "audio_path": path}
        lines.append(json.dumps(rows()[0] | own))
    (folder / "question" / "mmsu.jsonl").write_text("\n".join(lines) + "\n")
    return dict.fromkeys(questions, "B")
