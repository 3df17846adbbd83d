"""Rollouts from several processes and from a server, against one engine."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auscult.engine import Engine, Sampling, Thinking
from auscult.engine.pool import EnginePool, serve
from auscult.engine.remote import Endpoint, EndpointError, logprobs_known
from auscult.gym import make
from auscult.gym.render import question_turns
from auscult.model.weights import open_model
from auscult.types import Item, Reply, Turn

TASKS = ("pitch_direction", "which_vowel", "tremor", "intonation", "breathiness", "who_higher")
WARM = Sampling(temperature=1.0, max_tokens=40, seed=7)
TEXT = [Turn(role="human", text="a question")]


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return [make(task, 0) for task in TASKS]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(*open_model("nano", device="cpu"), sampling=WARM)


@pytest.fixture(scope="module")
def pool() -> Iterator[EnginePool]:
    with EnginePool("nano", processes=2, sampling=WARM) as pool:
        yield pool


def words(replies: list[list[Reply]]) -> list[list[Reply]]:
    """The replies without their log-probabilities, which agree to rounding only."""
    return [[replace(r, logprobs=()) for r in group] for group in replies]


def assert_same(ours: list[list[Reply]], others: list[list[Reply]]) -> None:
    assert words(ours) == words(others)
    for a, b in zip(chain(*ours), chain(*others), strict=True):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-4)


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


# ------------------------------------------------------------------------------ the pool


def test_a_pool_gives_the_replies_of_one_engine_in_order(pool, engine, items):
    ours = pool.sample(items, 2)
    assert_same(ours, engine.sample(items, 2))
    assert len({r.tokens for group in ours for r in group}) > 6


def test_a_part_of_a_list_samples_what_the_whole_list_would(pool, engine, items):
    turns, thinking = [question_turns(item) for item in items], Thinking(budget=5)
    whole = engine.several(turns, 2, thinking=thinking)
    part = pool.several([turns[4], turns[1]], 2, thinking=thinking, draws=[4, 1])
    assert words(part) == words([whole[4], whole[1]]) and pool.several([], 2) == []


def test_after_sync_the_pool_replies_as_the_trained_model_does(pool, items):
    model, processor = open_model("nano", device="cpu")
    before = pool.sample(items, 1)
    torch.manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.6 * p.std() * torch.randn_like(p) if p.ndim > 1 else 0)
    pool.sync(model)
    after = pool.sample(items, 1)
    assert words(after) == words(Engine(model, processor, sampling=WARM).sample(items, 1))
    assert words(after) != words(before)
    old = pool.workers[1].process  # one that dies comes back with the synced weights
    old.kill()
    assert words(pool.sample(items, 1)) == words(after)
    assert pool.workers[1].process.pid != old.pid and old.returncode == -9
    pool.sync(open_model("nano", device="cpu")[0])
    assert words(pool.sample(items, 1)) == words(before)
    assert len(os.listdir(pool.exchange.name)) == 1


def test_what_cannot_be_done_is_the_engines_error_and_the_pool_goes_on(pool, model, items):
    before = words(pool.sample(items[:2], 1))
    long = [Turn(role="human", text="long " * 3000)]
    with pytest.raises(ValueError, match="the model reads at most"):
        pool.several([question_turns(items[0]), long], 1)
    with pytest.raises(ValueError, match="the model given to sync do not fit"):
        pool.sync(model)
    with pytest.raises(ValueError, match="one draw number per conversation; got 1 for 2"):
        pool.several([TEXT, TEXT], 1, draws=[3])
    with pytest.raises(ValueError, match="processes must be 1 or more; got 0"):
        EnginePool("nano", processes=0)
    assert words(pool.sample(items[:2], 1)) == before


def test_a_worker_that_dies_twice_is_an_error_and_closes_the_pool(monkeypatch):
    start, started = subprocess.Popen, []

    def mortal(command: list[str], **options: Any) -> Any:
        """A process that says it has read the model and ends at its first work."""
        code = (
            "from multiprocessing.connection import Connection\n"
            f"end = Connection({options['pass_fds'][0]})\n"
            "end.recv_bytes(); end.send(None); end.recv_bytes(); raise SystemExit(3)"
        )
        started.append(start([sys.executable, "-c", code], **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", mortal)
    pool = EnginePool("nano", processes=1)
    with pytest.raises(RuntimeError, match="exit status 3 in the middle of its work"):
        pool.several([TEXT], 1)
    assert [p.returncode for p in started] == [3, 3] and not os.path.exists(pool.exchange.name)
    with pytest.raises(ValueError, match="the pool is closed"):
        pool.several([TEXT], 1)
    pool.close()


def test_no_process_outlives_a_program_that_is_killed():
    ours, theirs = os.pipe()
    program = os.fork()
    if program == 0:
        end, other = Pipe()
        if os.fork() == 0:  # a worker that holds its program's end too, so that no line closes
            os.write(theirs, str(os.getpid()).encode())
            serve(other.fileno(), os.getppid())
        time.sleep(60)
        os._exit(end.fileno())
    pid = int(os.read(ours, 20))
    assert alive(pid)
    os.kill(program, signal.SIGKILL)
    os.waitpid(program, 0)
    for _ in range(200):
        time.sleep(0.05 if alive(pid) else 0)
    assert not alive(pid)


# ------------------------------------------------------------------------------ the server

Script = Callable[[dict[str, Any]], Any]
"""request -> answer: an object, (status, text[, headers]), or None to drop the line."""


@contextmanager
def server(script: Script) -> Iterator[str]:
    """An API on a free port, answered by `script` in one thread per request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/chat/completions"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = script(body)
            if said is None:
                return
            status, text, *more = said if isinstance(said, tuple) else (200, json.dumps(said))
            self.send_response(status)
            for name, value in (more[0] if more else {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{web.server_port}/v1"
        finally:
            web.shutdown()


def answers(*texts: str, finish: str = "stop", **more: Any) -> dict[str, Any]:
    """An answer with these replies, the last one first, as a server may send them."""
    messages = [{"role": "assistant", "content": text} for text in texts]
    choices = [{"index": i, "message": m} for i, m in enumerate(messages)]
    return {"choices": [c | {"finish_reason": finish} | more for c in choices[::-1]]}


def heard(part: dict[str, Any]) -> np.ndarray:
    """What a server makes of a part with sound."""
    assert part["type"] == "input_audio" and part["input_audio"]["format"] == "wav"
    with wave.open(io.BytesIO(base64.b64decode(part["input_audio"]["data"]))) as file:
        assert (file.getframerate(), file.getnchannels()) == (16000, 1)
        raw = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return raw.astype(np.float32) / 32768


def serving(engine: Engine) -> Script:
    """An API in front of a real engine, with vLLM's way of continuing a reply."""
    lock = threading.Lock()

    def script(body: dict[str, Any]) -> Any:
        *sounds, text = body["messages"][0]["content"]
        turn = Turn(role="human", text=text["text"], clips=tuple(heard(s) for s in sounds))
        start, thinking = "", Thinking()
        if body.get("continue_final_message"):
            assert body["add_generation_prompt"] is False
            start = body["messages"][1]["content"].removeprefix("<think>\n")
            thinking = Thinking(opening=start) if start.strip()[0] == "I" else Thinking(budget=0)
        limit = body["max_tokens"] + len(engine.tags.encode(start))
        sampling = Sampling(temperature=body["temperature"], max_tokens=limit, seed=7)
        draws = [body["seed"] // body["n"]]
        options = {"sampling": sampling, "thinking": thinking, "draws": draws}
        with lock:
            (replies,) = engine.several([[turn]], body["n"], **options)
        return {"choices": [choice(i, r) for i, r in enumerate(replies)]}

    def choice(index: int, reply: Reply) -> dict[str, Any]:
        made = [i for i, forced in enumerate(reply.forced) if not forced]
        tokens = [reply.tokens[i] for i in made]
        pairs = [(f"token_id:{t}", reply.logprobs[i]) for t, i in zip(tokens, made, strict=True)]
        return {
            "index": index,
            "message": {"content": engine.tags.text(tokens)},
            "finish_reason": {"end": "stop", "length": "length"}[reply.stop],
            "logprobs": {"content": [{"token": t, "logprob": p} for t, p in pairs]},
        }

    return script


def as_sent(item: Item) -> list[Turn]:
    """The item's conversation with its sound in 16 bit, as the server hears it."""
    (turn,) = question_turns(item)
    clips = [np.round(c * 32768).clip(-32768, 32767) / 32768 for c in turn.clips]
    return [replace(turn, clips=tuple(c.astype(np.float32) for c in clips))]


def endpoint(url: str, engine: Engine, **options: Any) -> Endpoint:
    settings = {"backoff_s": 0.01, "attempts": 3, "timeout_s": 5.0} | options
    return Endpoint(url, "nano", engine.processor, **settings)


WAYS = (Thinking(), Thinking(budget=0), Thinking(opening="I hear"))


@pytest.mark.parametrize("thinking", WAYS, ids=str)
def test_a_server_in_front_of_an_engine_gives_the_engines_replies(engine, items, thinking):
    with server(serving(engine)) as url:
        policy = endpoint(url, engine, sampling=replace(WARM, seed=0), thinking=thinking)
        ours = policy.sample(items[:4], 2)
    sent = [as_sent(item) for item in items[:4]]
    assert_same(ours, engine.several(sent, 2, sampling=WARM, thinking=thinking))
    assert all(logprobs_known(r) for group in ours for r in group)


def replied(engine: Engine, text: str, **more: Any) -> Reply:
    with server(lambda _: answers(text, **more)) as url:
        return endpoint(url, engine).several([TEXT], 1)[0][0]


def test_thought_and_answer_are_parted_however_the_server_writes_them(engine):
    plain = replied(engine, "I hear C4.\n</think>\nhigher")
    assert (plain.thought, plain.answer) == ("I hear C4.", "higher")
    assert (plain.stop, plain.closed) == ("end", "model")
    assert engine.tags.text(list(plain.tokens[: plain.thought_tokens])).strip() == "I hear C4."
    assert plain.tokens[-1] == engine.processor.end_of_turn
    assert not logprobs_known(plain) and set(plain.logprobs) == {0.0}
    assert len(plain.tokens) == len(plain.logprobs) == len(plain.forced)
    assert replied(engine, "<think>\nI hear C4.\n</think>\nhigher") == plain
    assert replied(engine, "I hear C4.\n</think>\nhigher<|EOT|>") == plain
    parsed = {"message": {"content": "higher", "reasoning_content": "I hear C4.\n"}}
    assert replied(engine, "", **parsed) == plain
    cut = replied(engine, "I hear C4 and", finish="length")
    assert (cut.thought, cut.answer, cut.stop) == ("I hear C4 and", "", "length")
    assert cut.closed == "open" and cut.thought_tokens == len(cut.tokens)


def test_log_probabilities_that_do_not_fit_our_tokens_are_unknown(engine):
    count = len(replied(engine, "x\n</think>\n4").tokens)
    for n, value in ((count, -0.5), (count - 2, -0.5), (count, float("nan"))):
        logprobs = {"content": [{"token": "x", "logprob": value}] * n}
        reply = replied(engine, "x\n</think>\n4", logprobs=logprobs)
        known = n == count and value < 0
        assert logprobs_known(reply) == known
        assert reply.logprobs == (-0.5 if known else 0.0,) * count


def test_busy_servers_dropped_lines_and_garbage_are_tried_again(engine):
    troubles = [(429, "slow down", {"Retry-After": "0"}), None, (200, "<html>"), (503, "loading")]
    troubles += [{"choices": []}, {"choices": [{"message": "?"}]}]
    asked: list[int] = []

    def script(body: dict[str, Any]) -> Any:
        asked.append(body["n"])
        return troubles[len(asked) - 1] if len(asked) <= len(troubles) else answers("a", "b")

    with server(script) as url:
        (replies,) = endpoint(url, engine, attempts=7).several([TEXT], 2, sampling=WARM)
    assert [r.thought for r in replies] == ["a", "b"] and asked == [2] * 7


def test_order_is_kept_when_the_first_conversation_ends_last(engine):
    def script(body: dict[str, Any]) -> Any:
        name = body["messages"][0]["content"]
        time.sleep(0.2 if name == "0" else 0.0)
        return answers(*[f"{name}\n</think>\n{k}" for k in range(body["n"])])

    turns = [[Turn(role="human", text=str(i))] for i in range(12)]
    with server(script) as url:
        groups = endpoint(url, engine, concurrency=4).several(turns, 3, sampling=WARM)
    came = [[(r.thought, r.answer) for r in group] for group in groups]
    assert came == [[(str(i), str(k)) for k in range(3)] for i in range(12)]


def test_a_server_that_gives_one_choice_at_a_time_is_asked_for_the_rest(engine):
    asked: list[tuple[int, int]] = []
    seeds = iter(["15", "16", "17", "0"])
    with server(lambda b: asked.append((b["n"], b["seed"])) or answers(next(seeds))) as url:
        policy = endpoint(url, engine)
        (warm,) = policy.several([TEXT], 3, sampling=replace(WARM, seed=0), draws=[5])
        assert asked == [(3, 15), (2, 16), (1, 17)]
        asked.clear()
        (greedy,) = policy.several([TEXT], 3)
        assert asked == [(1, 0)]
    assert [r.thought for r in warm] == ["15", "16", "17"]
    assert greedy == [greedy[0]] * 3


def test_settings_reach_the_server(engine):
    seen: list[dict[str, Any]] = []
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=7, repetition_penalty=1.1, max_tokens=50)
    with server(lambda body: seen.append(body) or answers("x")) as url:
        policy = endpoint(url + "/", engine, human="human", extra={"stop_token_ids": [0]})
        reply = policy.several([TEXT], 1, sampling=sampling, thinking=Thinking(budget=0))[0][0]
    forced = len(engine.tags.close_ids)
    assert (reply.closed, reply.answer, reply.thought_tokens) == ("empty", "x", 0)
    question, start = seen[0]["messages"]
    assert question == {"role": "human", "content": "a question"}
    assert start == {"role": "assistant", "content": "<think>\n\n</think>\n"}
    expected = {"model": "nano", "temperature": 0.5, "top_p": 0.9, "top_k": 7, "n": 1}
    expected |= {"repetition_penalty": 1.1, "max_tokens": 50 - forced, "stop_token_ids": [0]}
    expected |= {"continue_final_message": True, "add_generation_prompt": False}
    assert expected.items() <= seen[0].items()


def test_garbage_is_a_clear_error_and_what_was_finished_is_kept(engine):
    def script(body: dict[str, Any]) -> Any:
        bad = body["messages"][0]["content"] == "2"
        time.sleep(0.05 if bad else 0)
        return (200, "<html>no JSON") if bad else answers("fine")

    turns = [[Turn(role="human", text=str(i))] for i in range(4)]
    with server(script) as url, pytest.raises(EndpointError) as caught:
        endpoint(url, engine).several(turns, 1)
    told = str(caught.value)
    assert told.startswith(f"conversation 2 got no replies from {url}/chat/completions: 3 attempts")
    assert "expected JSON; got b'<html>no JSON'" in told and "3 of 4 conversations" in told
    kept = {i: g[0].thought for i, g in caught.value.finished.items()}
    assert kept == {0: "fine", 1: "fine", 3: "fine"}


def test_a_refusal_is_not_tried_again_and_shows_what_the_server_said(engine):
    said = iter([(400, "unknown field"), (404, "no such model"), answers("never asked for")])
    with server(lambda _: next(said)) as url:
        with pytest.raises(EndpointError, match=r"HTTP 400 Bad Request: unknown field; .* prefill"):
            endpoint(url, engine).several([TEXT], 1, thinking=Thinking(opening="I hear"))
        with pytest.raises(EndpointError, match="HTTP 404 Not Found: no such model"):
            endpoint(url, engine).several([TEXT], 1)


def test_what_a_server_cannot_do_is_said_before_it_is_asked(engine):
    policy = endpoint("http://127.0.0.1:9/v1", engine, attempts=1)
    with pytest.raises(ValueError, match="tell the server by its own API"):
        policy.sync()
    with pytest.raises(ValueError, match="takes no thinking budget of 9 tokens"):
        policy.several([TEXT], 1, thinking=Thinking(budget=9))
    with pytest.raises(ValueError, match="cannot hold a thought open for 4 tokens"):
        policy.several([TEXT], 1, thinking=Thinking(minimum=4))
    with pytest.raises(ValueError, match="expected an address such as"):
        endpoint("localhost:8000", engine)
    with pytest.raises(EndpointError, match="refused"):
        policy.several([TEXT], 1)
