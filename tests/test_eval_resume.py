"""An evaluation that is killed goes on where it stopped, and ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalLog, read_eval_log
from scripted_server import Scripted, Seen, numbered

from auscult.evaluate.door import Effort, model_named, run
from auscult.evaluate.protocol import Protocol

RUNS = """
import json, os, signal, sys, traceback
from pathlib import Path
import auscult.evaluate.provider, auscult.evaluate.server
from auscult.evaluate.door import Effort, model_named, run
from auscult.evaluate.protocol import Protocol
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the shell ignores it
for line in sys.stdin:
    model, url, protocol, effort, out = json.loads(line)
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(2, 1)
        code, hard = 4, Effort(**effort)
        try:
            model = model_named(model, url)
            code = 0 if run([Protocol(**protocol)], model, Path(out), hard)[0] else 3
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""A process that reads everything once and then makes one run after the other, each in a process
of its own."""
SERVER = {"connections": 2, "tries": 0, "retries": 0, "wait_s": 0.02, "timeout_s": 20}
GYM = {"suite": "gym", "data": "n=2,tasks=tempo+meter", "verify": False}


class Runs:
    """Runs in processes of their own, one at a time."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUNS],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )

    def start(
        self, model: str, url: str, protocol: dict[str, Any], effort: dict[str, Any], out: Path
    ) -> int:
        """The process of a new run."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([model, url, protocol, effort, str(out)]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self, pid: int, by: signal.Signals = signal.SIGKILL) -> int:
        """The exit status of a run that is ended with a signal."""
        assert self.process.stdout
        os.kill(pid, by)
        return int(self.process.stdout.readline())

    def wait(self, pid: int, until: Callable[[], bool], seconds: float = 90) -> None:
        """Until something has come about, which must be before the run's end."""
        end = time.monotonic() + seconds
        while not until():
            assert alive(pid) and time.monotonic() < end, self.log.read_text()[-2000:]
            time.sleep(0.01)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    found = Runs(tmp_path_factory.mktemp("runs") / "log.txt")
    yield found
    found.process.kill()
    found.process.wait()


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def here(
    model: str, url: str, protocol: dict[str, Any], effort: dict[str, Any], out: Path
) -> EvalLog:
    """The same in this process, to its end."""
    hard = Effort(**effort, display="none")
    whole, (log,) = run([Protocol(**protocol)], model_named(model, url), out, hard)
    assert whole
    return read_eval_log(log.location)


def newest(out: Path) -> Path | None:
    """The log that was written last."""
    logs = sorted((out / "logs").glob("*.eval"), key=lambda f: f.stat().st_mtime)
    return logs[-1] if logs else None


def written(out: Path) -> bool:
    """Is a question in the log?"""
    file = newest(out)
    if file is None:
        return False
    with zipfile.ZipFile(file) as log:
        return any(name.startswith("samples/") for name in log.namelist())


def finished(out: Path) -> set[str]:
    """Keys of the questions that are in the log with a score."""
    log = read_eval_log(str(newest(out)))
    return {str(s.id) for s in log.samples or [] if s.scores and s.error is None}


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


@pytest.mark.parametrize(
    "end", [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGINT]
)
def test_a_run_that_is_ended_in_the_middle_asks_only_what_is_open_and_gives_the_same_log(
    tmp_path, runs, slow_server, end
):
    protocol, out = mmsu(tmp_path), tmp_path / "out"
    pid = runs.start("step-audio/m", slow_server.url, protocol, SERVER, out)
    runs.wait(pid, lambda: len(slow_server.seen) >= 12)
    assert runs.end(pid, end) == (-9 if end == signal.SIGKILL else 3)  # 3: not whole
    kept = finished(out)
    # At the end 2 were on their way, and at most 2 more were answered but not yet written.
    assert len(slow_server.seen) - 4 <= len(kept) < 24
    status = read_eval_log(str(newest(out)), header_only=True).status
    assert status == ("started" if end == signal.SIGKILL else "cancelled")

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
def test_a_run_that_is_killed_again_and_again_comes_to_its_end(tmp_path, runs, slow_server):
    """Six kills, also while a log is being written."""
    protocol, out = mmsu(tmp_path), tmp_path / "out"
    for kills in range(6):
        goal = len(slow_server.seen) + 3
        pid = runs.start("step-audio/m", slow_server.url, protocol, SERVER, out)
        runs.wait(pid, lambda goal=goal: len(slow_server.seen) >= goal)
        time.sleep(0.013 * kills)
        assert runs.end(pid) == -9
    assert len(slow_server.seen) < 24 + 6 * 4
    resumed = here("step-audio/m", slow_server.url, protocol, SERVER, out)
    whole = here("step-audio/m", slow_server.url, protocol, SERVER, tmp_path / "whole")
    assert story(resumed) == story(whole)


# ------------------------------------------------------------------------- our own engine


def killed_and_resumed(tmp_path: Path, runs: Runs, effort: dict[str, Any]) -> list[int]:
    """Kill a run of nano after its first finished question; the processes that it had started."""
    out = tmp_path / "out"
    pid = runs.start("nano", "", GYM, effort, out)
    runs.wait(pid, lambda: written(out))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert runs.end(pid) == -9
    kept = finished(out)
    resumed = here("nano", "", GYM, effort, out)
    whole = here("nano", "", GYM, effort, tmp_path / "whole")
    assert story(resumed) == story(whole) and len(story(whole)["samples"]) == 4
    starts = {str(s.id): str(s.started_at) for s in resumed.samples or []}
    assert kept and all(starts[k] <= resumed.eval.created for k in kept)
    return [int(child) for child in children]


def test_a_killed_run_of_our_engine_goes_on_and_gives_the_same_log(tmp_path, runs):
    killed_and_resumed(tmp_path, runs, {"inside": True, "rows": 1, "device": "cpu"})


@pytest.mark.slow
def test_a_killed_run_leaves_no_engine_behind_and_goes_on(tmp_path, runs):
    children = killed_and_resumed(tmp_path, runs, {"rows": 1, "device": "cpu"})
    assert children
    end = time.monotonic() + 20
    while any(map(alive, children)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(alive, children))


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
    out, silent = tmp_path / "out", mmsu(tmp_path, condition="silence", limit=6)
    for model in ("step-audio/m", "step-audio/other"):
        for protocol in (mmsu(tmp_path, limit=6), silent):
            here(model, slow_server.url, protocol, SERVER, out)
    assert len(slow_server.seen) == 4 * 6 and len(list((out / "logs").glob("*.eval"))) == 4
    slow_server.forget()
    here("step-audio/m", slow_server.url, silent, SERVER, out)
    assert not slow_server.seen
