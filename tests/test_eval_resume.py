"""An evaluation that is killed goes on where it stopped, and ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalLog, read_eval_log
from scripted_server import Scripted, Seen, numbered

from auscult.evaluate.door import Effort, model_named, run
from auscult.evaluate.protocol import Protocol

RUN = """
import json, sys
from pathlib import Path
from auscult.evaluate.door import Effort, model_named, run
from auscult.evaluate.protocol import Protocol
model, url, protocol, effort, out = sys.argv[1:]
hard = Effort(**json.loads(effort))
whole, _ = run([Protocol(**json.loads(protocol))], model_named(model, hard, url), Path(out), hard)
sys.exit(0 if whole else 3)
"""
SERVER = {"connections": 2, "tries": 0, "retries": 0, "wait_s": 0.02, "timeout_s": 20}
GYM = {"suite": "gym", "data": "n=2,tasks=tempo+meter", "verify": False}


def started(model: str, url: str, protocol: dict[str, Any], effort: dict[str, Any], out: Path):
    """A run in a process of its own."""
    import json

    arguments = [model, url, json.dumps(protocol), json.dumps(effort), str(out)]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def here(
    model: str, url: str, protocol: dict[str, Any], effort: dict[str, Any], out: Path
) -> EvalLog:
    """The same in this process, to its end."""
    hard = Effort(**effort, display="none")
    whole, (log,) = run([Protocol(**protocol)], model_named(model, hard, url), out, hard)
    assert whole
    return read_eval_log(log.location)


def flushed(out: Path) -> set[str]:
    """Keys of the questions that are in the newest log on disk."""
    logs = sorted((out / "logs").glob("*.eval"), key=lambda f: f.stat().st_mtime)
    if not logs:
        return set()
    with zipfile.ZipFile(logs[-1]) as log:
        names = [n for n in log.namelist() if n.startswith("samples/")]
    return {n.removeprefix("samples/").removesuffix("_epoch_1.json") for n in names}


def wait(until: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert process.poll() is None and time.monotonic() < end, process.poll()
        time.sleep(0.01)


def story(log: EvalLog) -> dict[str, Any]:
    """All of a log but ids, times and the folders of files."""
    assert log.status == "success" and log.results
    samples: dict[str, Any] = {}
    for s in log.samples or []:
        assert s.scores and s.error is None
        (score,) = s.scores.values()
        kept = dict(score.metadata or {})
        kept |= {"seconds": 0, "given": [Path(f).name for f in kept["given"]]}
        messages = [m.model_dump(exclude={"id"}) for m in s.messages]
        choices = [c.model_dump(exclude={"message": {"id"}}) for c in s.output.choices]
        told = (s.input, s.target, s.metadata, messages, choices, s.output.usage)
        assert s.id not in samples
        samples[str(s.id)] = (told, score.value, score.answer, kept)
    metrics = {k: m.value for k, m in log.results.scores[0].metrics.items()}
    return {"samples": samples, "metrics": metrics, "order": log.eval.dataset.sample_ids}


# ------------------------------------------------------------- a slow server, to the question


@pytest.fixture
def slow_server(tmp_path: Path):
    """24 questions, a third of them answered wrong, one twentieth of a second each."""
    answers = numbered(tmp_path / "mmsu", 24)
    answers |= dict.fromkeys(list(answers)[::3], "A")
    with Scripted(answers, pause_s=0.05) as server:
        yield server


def mmsu(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {"suite": "mmsu", "data": str(tmp_path / "mmsu"), "verify": False} | more


def key(seen: Seen) -> str:
    return f"mmsu/{seen.question.removeprefix('Number ').removesuffix('.')}"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_in_the_middle_asks_only_what_is_open_and_gives_the_same_log(
    tmp_path, slow_server, end
):
    protocol, out = mmsu(tmp_path), tmp_path / "out"
    process = started("step-audio/m", slow_server.url, protocol, SERVER, out)
    try:
        wait(lambda: len(slow_server.seen) >= 12, process)
        process.send_signal(end)
        code = process.wait(30)
    finally:
        process.kill()
    assert code != 0
    kept = flushed(out)
    # At the end 2 were on their way, and at most 2 more were answered but not yet written.
    assert len(slow_server.seen) - 4 <= len(kept) < 24
    if end == signal.SIGINT:
        (log,) = (out / "logs").glob("*.eval")
        assert read_eval_log(str(log), header_only=True).status in ("cancelled", "error")

    slow_server.forget()
    slow_server.pause_s = 0
    resumed = here("step-audio/m", slow_server.url, protocol, SERVER, out)
    assert sorted(map(key, slow_server.seen)) == sorted({f"mmsu/{i + 1}" for i in range(24)} - kept)
    whole = here("step-audio/m", slow_server.url, protocol, SERVER, tmp_path / "whole")
    assert story(resumed) == story(whole)
    assert story(whole)["metrics"]["strict"] == pytest.approx(2 / 3)
    slow_server.forget()
    again = here("step-audio/m", slow_server.url, protocol, SERVER, out)
    assert not slow_server.seen and story(again) == story(whole)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_comes_to_its_end(tmp_path, slow_server):
    """Six kills, also while a log is being written."""
    protocol, out = mmsu(tmp_path), tmp_path / "out"
    for kills in range(6):
        before = len(slow_server.seen)
        process = started("step-audio/m", slow_server.url, protocol, SERVER, out)
        try:
            wait(lambda before=before: len(slow_server.seen) >= before + 3, process)
            time.sleep(0.013 * kills)
        finally:
            process.kill()
            process.wait()
    assert len(slow_server.seen) < 24 + 6 * 4
    resumed = here("step-audio/m", slow_server.url, protocol, SERVER, out)
    whole = here("step-audio/m", slow_server.url, protocol, SERVER, tmp_path / "whole")
    assert story(resumed) == story(whole)


# ------------------------------------------------------------------------- our own engine


def killed_and_resumed(tmp_path: Path, effort: dict[str, Any]) -> list[int]:
    """Kill a run of nano after its first finished question; the processes that it had started."""
    out = tmp_path / "out"
    process = started("nano", "", GYM, effort, out)
    try:
        wait(lambda: bool(flushed(out)), process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    finally:
        process.kill()
        process.wait()
    kept = flushed(out)
    resumed = here("nano", "", GYM, effort, out)
    whole = here("nano", "", GYM, effort, tmp_path / "whole")
    assert story(resumed) == story(whole) and len(story(whole)["samples"]) == 4
    starts = {str(s.id): s.started_at for s in resumed.samples or []}
    assert 0 < len(kept) <= 4 and max(starts[k] or "" for k in kept) <= resumed.eval.created
    return [int(c) for c in children]


def test_a_killed_run_of_our_engine_goes_on_and_gives_the_same_log(tmp_path):
    killed_and_resumed(tmp_path, {"inside": True, "rows": 1, "device": "cpu"})


@pytest.mark.slow
def test_a_killed_run_leaves_no_engine_behind_and_goes_on(tmp_path):
    children = killed_and_resumed(tmp_path, {"rows": 1, "device": "cpu"})
    assert children
    end = time.monotonic() + 20
    while any(_alive(pid) for pid in children) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in children)


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


# ------------------------------------------------------------------- what lies in the folder


def test_logs_of_other_questions_are_not_taken_for_answers_to_these(tmp_path, slow_server):
    slow_server.pause_s = 0
    protocol, out = mmsu(tmp_path), tmp_path / "out"
    here("step-audio/m", slow_server.url, protocol, SERVER, out)
    lines = tmp_path / "mmsu" / "question" / "mmsu.jsonl"
    before = lines.read_text()
    lines.write_text(before.replace("A child", "A parrot"))
    with pytest.raises(ValueError, match="holds answers to other questions"):
        here("step-audio/m", slow_server.url, protocol, SERVER, out)
    here("step-audio/m", slow_server.url, protocol, SERVER, tmp_path / "other")
    lines.write_text(before)
    slow_server.forget()
    here("step-audio/m", slow_server.url, protocol, SERVER, out)
    assert not slow_server.seen


def test_one_folder_holds_several_protocols_and_models_and_keeps_all(tmp_path, slow_server):
    slow_server.pause_s = 0
    out, silent = tmp_path / "out", mmsu(tmp_path, condition="silence")
    for model in ("step-audio/m", "step-audio/other"):
        for protocol in (mmsu(tmp_path), silent):
            here(model, slow_server.url, protocol, SERVER, out)
    assert len(slow_server.seen) == 4 * 24 and len(list((out / "logs").glob("*.eval"))) == 4
    slow_server.forget()
    here("step-audio/m", slow_server.url, silent, SERVER, out)
    assert not slow_server.seen
