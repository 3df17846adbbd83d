"""The recipe as a whole, at the smallest scale: every stage runs and is skipped when done, a killed
run ends in the same model; plan, ablation tables and command line."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_report import write_report

from auscult import ablate, cli, gym, plan, recipe
from auscult.engine import Thinking
from auscult.gym.problems import PROBLEMS, fetch, make_problem
from auscult.gym.score import score_answer
from auscult.model.weights import open_model
from auscult.train import distil, stages
from auscult.train.feed import awareness
from auscult.train.rl import select
from auscult.train.rl.rollout import Asking, collect, rollouts
from auscult.types import Reply

TASKS = ("event_count", "pitch_direction")
REAL = [p / "shared" / "real" / "fsdd" for p in Path(__file__).parents]


class Scripted:
    """A policy that answers every question in the same way."""

    def __init__(self, thought: str, answer: str) -> None:
        self.thought, self.answer, self.asked = thought, answer, 0

    def several(self, conversations, n, *, sampling=None, thinking=None, draws=None):
        self.asked += len(conversations)
        reply = Reply(
            thought=self.thought, answer=self.answer, tokens=(5, 6), logprobs=(-0.1, -0.2),
            forced=(False, False), stop="end", closed="model", thought_tokens=1,
        )  # fmt: skip
        return [[reply] * n for _ in conversations]


def small(seed: int = 0) -> recipe.Recipe:
    """All stages in seconds; from the shipped nano, so that something is right."""
    made = recipe.nano(rounds=1, k=2, seed=seed, scale=0.01, tasks=TASKS, start="nano")

    def smaller(stage: recipe.Stage) -> recipe.Stage:
        config = stage.config
        if isinstance(config, distil.Distil):
            config = replace(config, questions=6, silent=2, awareness=2)
        elif isinstance(config, stages.Rl):
            ppo = replace(config.ppo, prompts=2, samples=2, critic_warmup=1)
            band = select.Band(n=2, low=1, high=1, probe=False) if config.band else None
            config = replace(config, ppo=ppo, band=band, audio=12, text=4)
        elif isinstance(config, stages.SelfCognition):
            config = replace(config, prompts=4, k=2)
        else:
            config = replace(config, batch_size=2)
        return replace(stage, config=config)

    measure = replace(made.measure, n=2, budgets=(4,), self_cognition=2)
    return replace(made, stages=tuple(map(smaller, made.stages)), measure=measure)


# --- questions in words


@pytest.mark.parametrize("kind", PROBLEMS)
def test_problems_in_words_are_right_and_found_again_by_their_key(kind):
    for i in range(30):
        item = make_problem(kind, i, task="tempo")
        again = fetch(item.key)
        assert (again.question, again.answer, again.clips) == (item.question, item.answer, ())
        assert score_answer(item, item.answer) == 1.0
        assert not item.options or item.answer in item.options


def test_arithmetic_problems_are_what_python_computes():
    for i in range(200):
        item = make_problem("text_arithmetic", i)
        assert eval(item.question.removeprefix("What is ").rstrip("?")) == int(item.answer)
        for step in item.inference.split(". "):
            left, right = step.rstrip(".").split(" = ")
            assert eval(left) == int(right)


def test_the_order_of_a_logic_problem_is_told():
    for i in range(100):
        item = make_problem("text_order", i)
        above = [s.split(" is above ") for s in item.question.split(". ")[:2]]
        score = {x: 0 for pair in above for x in pair}
        for _ in range(3):
            for a, b in above:
                score[a] = max(score[a], score[b.rstrip(".")] + 1)
        end = max if "highest" in item.question else min
        assert item.answer == end(score, key=lambda x: score[x])


def test_an_unknown_key_says_what_a_key_looks_like():
    with pytest.raises(ValueError, match="expected task/split/level/index"):
        fetch("tempo")
    with pytest.raises(ValueError, match="unknown problem"):
        make_problem("text_riddle", 1)


def test_self_cognition_wordings_of_test_and_training_differ():
    assert not {*awareness.TRAIN_WORDINGS} & {*awareness.HELDOUT_WORDINGS}
    item = awareness.make_prompt(3, split="heldout")
    assert item.question in awareness.HELDOUT_WORDINGS and len(item.clips) == 1


# --- sampling, filters, selection


def test_sampling_goes_on_where_it_was_killed_and_refuses_other_questions(tmp_path):
    keys = [f"event_count/train/1/{i}" for i in range(50)]
    policy = Scripted("I hear a bell.", "1")
    first = collect(policy, keys, Asking(n=2), tmp_path / "s")
    assert policy.asked == 50
    (tmp_path / "s" / "00001.jsonl").unlink()
    again = collect(policy, keys, Asking(n=2), tmp_path / "s")
    assert policy.asked == 50 + 24
    assert [[r.reply for r in g] for g in first] == [[r.reply for r in g] for g in again]
    with pytest.raises(ValueError, match="other settings or questions"):
        collect(policy, keys, Asking(n=3), tmp_path / "s")


def test_a_share_of_the_questions_samples_what_the_whole_list_would():
    from auscult.engine import Engine

    engine = Engine(*open_model("nano", device="cpu"))
    keys = [f"{t}/train/1/{i}" for i in range(2) for t in TASKS]
    ask = Asking(n=2, thinking=Thinking(minimum=0), seed=4)
    whole = rollouts(engine, keys, ask, range(4))
    part = rollouts(engine, keys[1::2], ask, range(1, 4, 2))
    texts = [[r.reply.tokens for r in g] for g in whole]
    assert texts[1::2] == [[r.reply.tokens for r in g] for g in part]


def test_a_stage_samples_from_the_processes_what_it_samples_itself():
    from auscult.model.weights import locate
    from auscult.train.core import Machine, open_for_training
    from auscult.train.rl.rollout import Rollouts

    machine = Machine(precision="fp32")
    model, processor = open_for_training(locate("nano"), machine)
    keys = ["event_count/train/1/0", "tempo/train/1/1"]
    own = rollouts(Rollouts(model, processor, machine).refresh(), keys, Asking(n=2))
    others = Rollouts(model, processor, replace(machine, rollouts="pool:1"))
    theirs = rollouts(others.refresh(), keys, Asking(n=2))
    others.policy.close()
    assert [[r.reply.tokens for r in g] for g in own] == [
        [r.reply.tokens for r in g] for g in theirs
    ]
    with pytest.raises(ValueError, match="expected engine, pool:N or http"):
        Rollouts(model, processor, replace(machine, rollouts="carrier pigeon")).refresh()


def test_a_question_answered_as_often_with_silence_is_no_perception_question():
    item = gym.make("event_count", 0)
    right = rollouts(Scripted("", item.answer), [item.key], Asking(n=4))
    wrong = rollouts(Scripted("", "none"), [item.key], Asking(n=4))
    assert distil.perception(right, wrong) == [True]
    assert distil.perception(right, right) == [False]


def test_rejected_samples_are_kept_with_their_reason(tmp_path):
    item = gym.make("event_count", 0)
    groups = rollouts(Scripted("I hear a horn. I hear a dog.", "none"), [item.key], Asking(n=3))
    names = ("novelty", "correctness", "coherence", "grounding")
    kept = distil._judged(groups, [True], names, 3, tmp_path, "judged")
    assert kept == []
    tally = json.loads((tmp_path / "judged.json").read_text())
    assert {(t["filter"], t["n"]) for t in tally} == {("correctness", 1), ("novelty", 2)}


@pytest.mark.parametrize(
    ("passes", "silent", "keep"),
    [(2, 0, False), (3, 0, True), (6, 5, True), (7, 0, False), (4, 4, False), (4, None, True)],
)
def test_the_band_is_three_to_six_of_eight_and_better_than_silence(passes, silent, keep):
    assert select.in_band(passes, silent, select.Band()).keep is keep


def test_a_model_that_never_denies_hearing_is_passed_on_untrained(source_of_nano, tmp_path):
    config = stages.SelfCognition(dpo=stages.Dpo(steps=3), prompts=2, k=1)
    out = stages.self_cognition(config, source_of_nano, tmp_path / "out")
    done = json.loads((out / "done.json").read_text())
    pairs = (out / "data" / "pairs.jsonl").read_text()
    assert done["pairs"] == pairs.count("\n")
    if not pairs:
        a, b = (open_model(f, device="cpu")[0].state_dict() for f in (source_of_nano, out))
        assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture
def source_of_nano() -> Path:
    from auscult.model.weights import locate

    return locate("nano")


# --- the whole


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("recipe") / "run"
    recipe.run(small(), out)
    return out


def test_every_stage_leaves_a_model_its_metrics_and_its_measurement(finished):
    names = [f"{i + 1:02d}_{s.name}" for i, s in enumerate(small().stages)]
    for name in names:
        assert (finished / name / "model.safetensors").exists()
        assert (finished / name / "done.json").exists()
        result = json.loads((finished / "measured" / name / "result.json").read_text())
        assert {"thinking", "direct", "silence", "budget_4"} <= result["protocols"].keys()
        assert len(result["protocols"]["direct"]) == len(result["grounding"]) == 4
    assert json.loads((finished / "seconds.json").read_text()).keys() == {"00_start", *names}


def test_a_finished_recipe_does_nothing_again(finished):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("model.safetensors")}
    recipe.run(small(), finished)
    assert before == {p: p.stat().st_mtime_ns for p in finished.rglob("model.safetensors")}


def test_another_configuration_is_refused(finished):
    with pytest.raises(ValueError, match="another configuration"):
        recipe.run(small(seed=5), finished)


def test_the_report_of_a_run_names_every_stage(finished):
    pytest.importorskip("matplotlib")
    page = write_report(finished).read_text()
    for stage in small().stages:
        assert stage.name.replace("_", " ") in page.replace("_", " ")


RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_recipe import often
from auscult import recipe
recipe.run(often(), Path({out!r}))
"""


def often() -> recipe.Recipe:
    """`small` with a checkpoint at every step."""
    made = small()

    def machine(config):
        inner = {"ppo", "dpo", "sft"} & {*config.__dataclass_fields__}
        for name in inner:
            config = replace(config, **{name: machine(getattr(config, name))})
        if "machine" in config.__dataclass_fields__:
            config = replace(config, machine=replace(config.machine, checkpoint_minutes=0.0))
        return config

    return replace(made, stages=tuple(replace(s, config=machine(s.config)) for s in made.stages))


def _start(out: Path) -> subprocess.Popen:
    code = RUN.format(tests=str(Path(__file__).parent), out=str(out))
    return subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
    )  # fmt: skip


def _same_models(one: Path, other: Path) -> None:
    for stage in [f"{i + 1:02d}_{s.name}" for i, s in enumerate(small().stages)]:
        a, b = (load_file(f / stage / "model.safetensors") for f in (one, other))
        assert all(torch.equal(a[k], b[k]) for k in a), stage


@pytest.mark.slow
def test_twenty_random_kills_end_in_the_same_model(tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    began = time.monotonic()
    process = _start(straight)
    assert process.communicate()[1] is not None and process.returncode == 0
    whole, rng, kills = time.monotonic() - began, random.Random(7), 0
    while kills < 20:
        process = _start(killed)
        try:
            process.wait(timeout=rng.uniform(0.2, 0.5) * whole)
            _same_models(straight, killed)  # it came to its end: once more from the beginning
            shutil.rmtree(killed)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    process = _start(killed)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors.decode()[-2000:]
    _same_models(straight, killed)


@pytest.mark.slow
def test_the_whole_recipe_runs_on_real_spoken_digits(tmp_path):
    folder = next((p for p in REAL if p.is_dir()), None)
    if folder is None:
        pytest.skip("the recordings of spoken digits are not here")
    from auscult.train.feed.manifest import fsdd_manifest

    file = tmp_path / "digits.jsonl"
    fsdd_manifest(folder, file, 120, 0)
    made = small()

    def own(stage: recipe.Stage) -> recipe.Stage:
        config = stage.config
        if isinstance(config, stages.Rl) and stage.name != "text_rlvr":
            config = replace(config, manifest=str(file), band=None)
        elif isinstance(config, distil.Distil):
            lesson = replace(config.sft.mixture, manifest=str(file))
            sft = replace(config.sft, mixture=lesson)
            # What is said is not measured: nothing here can be called grounded.
            config = replace(
                config, sft=sft, manifest=str(file), questions=24, silent=0,
                filters=("novelty", "correctness"), opening="",
            )  # fmt: skip
        return replace(stage, config=config)

    measured = replace(made.measure, manifest=str(file))
    out = tmp_path / "run"
    model = recipe.run(replace(made, stages=tuple(map(own, made.stages)), measure=measured), out)
    assert (model / "model.safetensors").exists()
    result = json.loads(next(out.glob("measured/*self*/result.json")).read_text())
    assert result["keys"] and all(k.startswith("manifest:") for k in result["keys"])
    kept = (out / "03_distil_1" / "data" / "kept.jsonl").read_text()
    assert "manifest:" in kept


# --- plan, ablations, command line


def test_the_plan_of_r1_states_tokens_steps_memory_and_time(capsys):
    assert cli.main(["recipe", "r1", "--plan"]) == 0
    text = capsys.readouterr().out
    for word in ("cold_start", "rl_3", "GiB/device", "hours", "Assumed"):
        assert word in text
    assert cli.main(["recipe", "r1", "--plan", "--devices", "2"]) == 0
    assert "does not fit" in capsys.readouterr().out
    assert cli.main(["recipe", "nano", "--plan"]) == 0


def test_the_plan_grows_with_the_model_and_shrinks_with_the_devices():
    made = recipe.r1(start="x", manifest="y")
    few, many = plan.Hardware(devices=8), plan.Hardware(devices=32)
    a, b = plan.plan(made, "r1", 33.5e9, few), plan.plan(made, "r1", 33.5e9, many)
    small_ = plan.plan(made, "mini", 8.3e9, few)
    assert all(x.hours > y.hours and x.gib >= y.gib for x, y in zip(a, b, strict=True))
    assert all(x.hours > y.hours and x.gib > y.gib for x, y in zip(a, small_, strict=True))
    rl = next(x for x in a if x.stage == "rl_1")
    assert rl.replies == (12_000 * 2 + 8_000) * 8 + 59 * 64 * 16


def test_r1_without_a_manifest_says_what_it_needs(capsys):
    assert cli.main(["recipe", "r1"]) == 2
    assert "--manifest" in capsys.readouterr().err


@pytest.mark.parametrize("name", ablate.ABLATIONS)
def test_every_ablation_has_arms_that_differ_and_share_their_beginning(name):
    made = ablate.ABLATIONS[name](0, 1.0)
    names = [arm.name for arm in made.arms]
    assert len(set(names)) == len(names) >= 2 and made.shared
    settings = [(arm.stages, arm.protocol) for arm in made.arms]
    assert all(a != b for i, a in enumerate(settings) for b in settings[:i])


def test_the_table_of_an_ablation_is_paired():
    def arm(rights):
        return {
            "counted": [{"right": r, "thought_tokens": 3} for r in rights],
            "direct": [{"right": 0.0}] * len(rights),
            "silence": [{"right": 0.0}] * len(rights),
            "grounding": [{"grounded": True, "surrogate": 0.5}] * len(rights),
        }

    text = ablate.table({"a": arm([1.0, 0.0] * 30), "b": arm([1.0, 1.0] * 30)}, 3)
    first, second = text.splitlines()[2:4]
    assert "50.0 [" in first and "| 100.0 [" in second and "+50.0 +50.0 +50.0" in second
    with pytest.raises(ValueError, match="unknown ablation"):
        ablate.ablate("colour")
