"""Evaluation of a model behind a server that replies well, badly, late or not at all."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixture_mmsu
import inspect_ai._util.rich
import numpy as np
import openai._base_client
import pytest
from fixture_sounds import tone
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import get_model
from inspect_ai.model._providers.openai_compatible import OpenAICompatibleAPI
from scripted_server import THOUGHT, Scripted, numbered
from tenacity import wait_fixed

from auscult.evaluate.door import Effort, Patience, _reach, faults, model_named, run
from auscult.evaluate.protocol import Protocol

PLAIN, OURS = "openai-api/test/model", "step-audio/model"
ANSWERS = {"Who speaks?": "B", "How many words?": "C", "Is it a question?": "B", "强调": "C"}
ODD = "How many words?"
LASTING = (
    "dropped", "hung up", "stalled", "429", "429 with a wait", "500", "503", "400", "401", "404",
    "html", "broken json", "no choices", "null choices", "no message", "error in 200", "a number",
)  # fmt: skip
"""What is no reply of the model: errors, never marks."""


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of the framework (3 s and more) and of the client (0.5 s and more) are short here, and
    tracebacks are not painted (0.1 s each, and all requests wait for it)."""
    monkeypatch.setenv("TEST_API_KEY", "key")
    monkeypatch.setattr(OpenAICompatibleAPI, "retry_wait", lambda self: wait_fixed(0.02))
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.02)
    monkeypatch.setattr(inspect_ai._util.rich, "rich_traceback", lambda *a, **k: "")


def evaluate(
    folder: Path, server: Scripted, model: str, effort: dict[str, Any] | None = None, **more: Any
) -> tuple[bool, EvalLog]:
    """A run over the data in a folder; the fixture's four questions where there are none."""
    if not (folder / "mmsu").exists():
        fixture_mmsu.lines(folder / "mmsu")
    protocol = Protocol(suite="mmsu", data=str(folder / "mmsu"), verify=False, **more)
    hard = Effort(
        **{"tries": 0, "retries": 0, "wait_s": 0.02, "timeout_s": 2, "display": "none"}
        | (effort or {})
    )
    whole, (log,) = run([protocol], model_named(model, server.url), folder / "out", hard)
    return whole, read_eval_log(log.location)


def replies(log: EvalLog) -> dict[str, list[dict[str, Any]]]:
    """key -> replies, of the questions that were finished."""
    return {
        str(s.id): (next(iter(s.scores.values())).metadata or {})["replies"]
        for s in log.samples or []
        if s.error is None and s.scores
    }


def the_odd_one(log: EvalLog) -> dict[str, Any]:
    (reply,) = replies(log)["mmsu/2"]
    return reply


def odd(behaviour: str) -> Callable[..., str]:
    return lambda seen: behaviour if seen.question == ODD else "right"


# ------------------------------------------------------------------------ what is sent


@pytest.mark.parametrize(("model", "role"), [(PLAIN, "user"), (OURS, "human")])
def test_words_sound_and_settings_arrive(tmp_path, model, role):
    with Scripted(ANSWERS) as server:
        whole, log = evaluate(tmp_path, server, model, samples=3, seed=5)
    assert whole and log.status == "success" and set(server.asked().values()) == {1}
    assert [len(r) for r in replies(log).values()] == [3] * 4
    place = {question: number for number, question in enumerate(ANSWERS, 1)}
    for seen in server.seen:
        assert seen.roles[0] == role and seen.body["model"] == "model"
        assert (seen.body["n"], seen.body["temperature"]) == (3, 0.7)
        (sound,) = seen.sounds
        np.testing.assert_allclose(sound, tone(place[seen.question]), atol=1e-4)
    assert len({seen.body["seed"] for seen in server.seen}) == 4


def test_a_plain_server_gets_no_prefill_and_nothing_of_vllm(tmp_path):
    with Scripted(ANSWERS) as server:
        evaluate(tmp_path, server, PLAIN)
    for seen in server.seen:
        assert seen.roles == ["user"] and not seen.prefill
        assert not {"continue_final_message", "stop_token_ids", "stop"} & seen.body.keys()


def test_ours_goes_on_from_the_open_thought_as_the_released_client_does(tmp_path):
    with Scripted(ANSWERS) as server:
        evaluate(tmp_path, server, OURS)
    for seen in server.seen:
        assert seen.roles == ["human", "assistant"] and seen.prefill == "<think>\n"
        body = seen.body
        assert body["continue_final_message"] is True and body["add_generation_prompt"] is False
        assert body["skip_special_tokens"] is False and body["stop_token_ids"] == [151665]


def test_without_a_thought_the_prefill_has_closed_it(tmp_path):
    with Scripted(ANSWERS) as server:
        whole, log = evaluate(tmp_path, server, OURS, think="none")
    assert whole and {s.prefill for s in server.seen} == {"<think>\n\n</think>\n"}
    assert {(r["thought"], r["strict"]) for (r,) in replies(log).values()} == {("", 1.0)}


@pytest.mark.parametrize(
    ("budget", "thought", "closed"), [(2, "I hear", "budget"), (9, THOUGHT, "model")]
)
def test_a_budget_takes_two_requests_the_second_after_the_thought(
    tmp_path, budget, thought, closed
):
    with Scripted(ANSWERS) as server:
        whole, log = evaluate(tmp_path, server, OURS, think=str(budget), max_tokens=50)
    assert whole and set(server.asked().values()) == {2}
    for question in ANSWERS:
        first, second = (s for s in server.seen if s.question == question)
        assert first.prefill == "<think>\n" and first.body["max_tokens"] == budget
        assert first.body["stop"] == ["</think>"]
        assert second.prefill == f"<think>\n{thought}\n</think>\n"
        assert second.body["max_tokens"] == 50 - budget and "stop" not in second.body
        assert first.body["seed"] == second.body["seed"]
    for (reply,) in replies(log).values():
        assert (reply["thought"], reply["strict"]) == (thought, 1.0)
        assert reply["numbers"] == {"closed": closed, "thought_tokens": len(thought.split())}


# -------------------------------------------------------------------- what comes back

FORMS = [
    # model, thought wanted, what the server does -> answer, thought
    (PLAIN, "free", "right", "C", THOUGHT),
    (PLAIN, "free", "reasoning_content", "C", THOUGHT),
    (PLAIN, "free", "no tags", "C", ""),
    (PLAIN, "free", "cut", "", "I he"),
    (PLAIN, "free", "null content", "", ""),
    (PLAIN, "free", "empty content", "", ""),
    (OURS, "free", "right", "C", THOUGHT),
    (OURS, "free", "reasoning_content", "C", THOUGHT),
    (OURS, "free", "deaf to stop", "C", THOUGHT),
    (OURS, "free", "no tags", "", "C"),  # all that follows an open thought without its end
    (OURS, "free", "cut", "", "I he"),
    (OURS, "free", "null content", "", ""),
    (OURS, "none", "swallowed", "C", ""),
    (OURS, "none", "cut", "I he", ""),
    (OURS, "none", "babble", "Well, who could ever tell?", ""),
    (OURS, "9", "swallowed", "C", THOUGHT),
    (OURS, "9", "deaf to stop", "C", THOUGHT),
    (OURS, "9", "null content", "", ""),
    (OURS, "9", "babble", "Well, who could ever tell?", ""),
]


@pytest.mark.parametrize(("model", "think", "behaviour", "answer", "thought"), FORMS)
def test_thought_and_answer_are_told_apart_in_every_form_of_reply(
    tmp_path, model, think, behaviour, answer, thought
):
    with Scripted(ANSWERS, odd(behaviour)) as server:
        whole, log = evaluate(tmp_path, server, model, think=think)
    reply = the_odd_one(log)
    assert whole and (reply["text"], reply["thought"]) == (answer, thought)
    assert (reply["parsed"], reply["strict"]) == (answer == "C", float(answer == "C"))
    assert reply["stop"] == ("max_tokens" if behaviour == "cut" else "stop")


def test_a_second_thought_after_the_budgeted_one_joins_it(tmp_path):
    with Scripted(ANSWERS, odd("reasoning_content")) as server:
        _, log = evaluate(tmp_path, server, OURS, think="9")
    reply = the_odd_one(log)
    assert reply["text"] == "C" and reply["thought"].split() == (THOUGHT.split() * 2)


@pytest.mark.parametrize("model", [PLAIN, OURS])
@pytest.mark.parametrize("behaviour", ["null content", "empty content", "cut", "babble"])
def test_a_reply_that_says_nothing_useful_is_the_models_own_and_counts_as_wrong(
    tmp_path, model, behaviour
):
    with Scripted(ANSWERS, odd(behaviour)) as server:
        whole, log = evaluate(tmp_path, server, model)
        reply = the_odd_one(log)
        assert whole and (reply["parsed"], reply["strict"]) == (False, 0.0)
        assert log.results and log.results.scores[0].metrics["strict"].value == 0.75
        server.forget()
        assert evaluate(tmp_path, server, model)[0] and not server.seen  # nor is it asked again


# ------------------------------------------------------------------------ what fails


@pytest.mark.parametrize("model", [PLAIN, OURS])
def test_what_is_no_completion_is_an_error_that_a_second_run_asks_again_and_nothing_else(
    tmp_path, model
):
    """A mark of 0 would be the server's failure counted against the model."""
    numbers = numbered(tmp_path / "mmsu", len(LASTING) + 3)
    bad = dict(zip(numbers, LASTING, strict=False))
    with Scripted(numbers, lambda seen: bad.get(seen.question, "right")) as server:
        whole, log = evaluate(tmp_path, server, model, {"connections": 5})
        assert not whole and log.status == "error" and len(log.samples or []) == len(numbers)
        done = replies(log)
        assert sorted(done) == sorted(f"mmsu/{i + 1}" for i in range(len(LASTING), len(numbers)))
        assert all(r["strict"] == 1.0 for (r,) in done.values())
        asked = server.asked()
        assert {asked[q] for q in numbers if q not in bad} == {1}
        assert min(asked[q] for q in bad) >= 2  # a sample that fails is tried once more

        server.script = lambda seen: "right"
        server.forget()
        whole, log = evaluate(tmp_path, server, model)
        assert whole and log.status == "success" and len(replies(log)) == len(numbers)
        assert server.asked() == dict.fromkeys(bad, 1)
        assert log.results and log.results.scores[0].metrics["n"].value == len(numbers)

        server.forget()
        assert evaluate(tmp_path, server, model)[0] and not server.seen


@pytest.mark.parametrize("model", [PLAIN, OURS])
def test_trouble_that_passes_costs_no_question_and_no_second_run(tmp_path, model):
    numbers = numbered(tmp_path / "mmsu", len(LASTING) + 1)
    bad = dict(zip(numbers, LASTING, strict=False))
    with Scripted(numbers) as server:
        server.script = lambda seen: bad.get(seen.question, "right") if not seen.time else "right"
        whole, log = evaluate(tmp_path, server, model, {"connections": 5, "tries": 1})
    assert whole and all(r["strict"] == 1.0 for (r,) in replies(log).values())
    assert server.asked() == {q: 1 + (q in bad) for q in numbers}


def test_a_wait_that_the_server_asks_for_is_kept(tmp_path):
    with Scripted(ANSWERS) as server:
        server.script = lambda seen: "right" if seen.time else odd("429 with a wait")(seen)
        whole, _ = evaluate(tmp_path, server, OURS)
    first, second = (s.at for s in server.seen if s.question == ODD)
    assert whole and 0.3 <= second - first < 0.9


def test_failed_questions_are_asked_again_when_all_others_are_done(tmp_path):
    with Scripted(ANSWERS) as server:
        # A page is repeated neither by the client nor by the framework: 2 tries make one pass.
        server.script = lambda seen: "html" if seen.question == ODD and seen.time < 4 else "right"
        whole, log = evaluate(tmp_path, server, OURS, {"retries": 2})
    assert whole and the_odd_one(log)["strict"] == 1.0
    assert server.asked() == dict.fromkeys(ANSWERS, 1) | {ODD: 5}
    assert [s.question for s in server.seen[-3:]] == [ODD] * 3


def test_a_half_of_a_budgeted_reply_is_no_reply(tmp_path):
    """The second request fails for good: an error, and both are made anew."""
    with Scripted(ANSWERS) as server:
        server.script = lambda s: (
            "500" if s.question == ODD and "</think>" in s.prefill else "right"
        )
        whole, log = evaluate(tmp_path, server, OURS, think="2")
        assert not whole and len(replies(log)) == 3
        server.script = lambda seen: "right"
        server.forget()
        whole, log = evaluate(tmp_path, server, OURS, think="2")
    assert whole and server.asked() == {ODD: 2} and the_odd_one(log)["thought"] == "I hear"


def test_fewer_replies_than_were_wanted_are_an_error(tmp_path):
    """A vote over those that came would pass for one over all."""
    with Scripted(ANSWERS, odd("one reply")) as server:
        whole, log = evaluate(tmp_path, server, OURS, samples=3)
    assert not whole and len(replies(log)) == 3
    (error,) = (s.error for s in log.samples or [] if s.error)
    assert "1 replies where 3 are wanted" in error.traceback


@pytest.mark.parametrize("behaviour", ["400", "401", "404"])
def test_what_lasts_is_not_waited_for(tmp_path, behaviour):
    with Scripted(ANSWERS, odd(behaviour)) as server:
        began = time.monotonic()
        whole, log = evaluate(tmp_path, server, OURS, {"retries": 2, "wait_s": 60.0})
    assert not whole and time.monotonic() - began < 30 and len(replies(log)) == 3
    assert server.asked() == dict.fromkeys(ANSWERS, 1) | {ODD: 2}
    (fault,) = faults([log])
    assert fault.lasting and fault.key == "mmsu/2" and behaviour in fault.why


def test_a_server_that_refuses_everything_is_not_asked_again_and_again(tmp_path):
    numbers = numbered(tmp_path / "mmsu", 40)
    with Scripted(numbers, lambda seen: "404") as server:
        began = time.monotonic()
        hard = {"connections": 4, "retries": 2, "wait_s": 60.0}
        whole, log = evaluate(tmp_path, server, OURS, hard)
    assert not whole and time.monotonic() - began < 50 and len(server.seen) < 60
    assert all(fault.lasting for fault in faults([log]))


def test_a_proxy_is_the_way_to_a_server_that_cannot_be_reached_otherwise(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    _reach("http://nowhere.invalid/v1")
    monkeypatch.setenv("no_proxy", "nowhere.invalid")
    with pytest.raises(ValueError, match=r"no server answers at http://nowhere\.invalid/v1"):
        _reach("http://nowhere.invalid/v1")


def test_a_broken_recording_is_named_and_not_waited_for(tmp_path):
    fixture_mmsu.lines(tmp_path / "mmsu")
    broken = tmp_path / "mmsu" / "audio" / "3.wav"
    broken.write_bytes(b"")
    with Scripted(ANSWERS) as server:
        began = time.monotonic()
        whole, log = evaluate(tmp_path, server, OURS, {"retries": 2, "wait_s": 60.0})
    assert not whole and time.monotonic() - began < 30 and len(replies(log)) == 3
    (fault,) = faults([log])
    assert fault.lasting and f"{broken} is empty (0 bytes); copy or record it again" in fault.why


def test_an_address_where_nobody_listens_is_said_before_anything_is_asked(tmp_path):
    with Scripted(ANSWERS) as server:
        url = server.url
    fixture_mmsu.lines(tmp_path / "mmsu")
    protocol = Protocol(suite="mmsu", data=str(tmp_path / "mmsu"), verify=False)
    began = time.monotonic()
    with pytest.raises(ValueError, match=rf"no server answers at {url} .*--base-url"):
        run([protocol], model_named(OURS, url), tmp_path / "out", Effort(display="none"))
    assert time.monotonic() - began < 10


# ------------------------------------------------------------------- a server that is gone


def test_a_server_that_is_gone_is_not_asked_five_thousand_times(tmp_path):
    numbers = numbered(tmp_path / "mmsu", 20)
    hard = {"connections": 4, "tries": 1}
    with Scripted(numbers, lambda seen: "503") as server:
        whole, log = evaluate(tmp_path, server, OURS, hard)
        assert not whole and len(log.samples or []) == 20 and not replies(log)
        # 50 failures, of 3 requests each, and what was on its way; not 20 * 2 * 2 * 3.
        assert 50 * 3 <= len(server.seen) <= 54 * 3
        errors = [s.error.message for s in log.samples or [] if s.error]
        assert any("the server is not asked" in error for error in errors)
        server.script = lambda seen: "right"
        server.forget()
        whole, log = evaluate(tmp_path, server, OURS, hard)
    assert whole and server.asked() == dict.fromkeys(numbers, 1)


def test_nobody_at_the_address_is_an_error_before_any_question(tmp_path):
    with Scripted(ANSWERS) as server:
        pass
    with pytest.raises(ValueError, match="no server answers at"):
        evaluate(tmp_path, server, PLAIN, {"timeout_s": 1})
    with pytest.raises(OSError, match="not asked"):
        patience = Patience(_failing([True]), 1)
        asyncio.run(_twice(patience))


def _failing(bad: list[bool]) -> Callable[..., Any]:
    async def generate(request: str) -> str:
        if bad[0]:
            raise RuntimeError("bad")
        return request

    return generate


async def _twice(patience: Patience) -> str:
    with pytest.raises(RuntimeError, match="bad"):
        await patience("a")
    return await patience("a")


def test_patience_tries_now_and_then_and_one_reply_restores_it():
    bad = [True]
    patience = Patience(_failing(bad), 2, every_s=0.0)

    async def story() -> None:
        for _ in range(3):
            with pytest.raises(RuntimeError, match="bad"):
                await patience("a")
        bad[0] = False
        assert await patience("a") == "a" and patience.failed == 0

    asyncio.run(story())


def test_patience_is_not_wrapped_in_patience():
    api = get_model(OURS, base_url="http://127.0.0.1:9/v1", memoize=False).api
    own = api.generate
    api.generate = Patience.around(api, 3)
    assert Patience.around(api, 4).generate == own
