"""Runs as records, what stands beside the scores, and what a page says in words."""

import math
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixture_results import FULL, SILENT, controls, reply, run

from auscult.bench.sets.voicebench import LEADERBOARD, suite_name
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.report.page import numbers
from auscult.evaluate.results import runs as records
from auscult.evaluate.results.analysis import Family, contrast
from auscult.evaluate.results.page import sections
from auscult.evaluate.results.runs import Run, distinct, figures, read, runs_in
from auscult.evaluate.results.sweeps import LADDERS, rungs

WORDS = {"kimi_edits": 1.0, "kimi_length": 4.0, "per_utterance": 0.25}
MORE_WORDS = {"kimi_edits": 6.0, "kimi_length": 6.0, "per_utterance": 1.0}


def made(runs: list[Run]) -> dict[str, dict[str, Any]]:
    return {s.title: numbers(s) for s in sections(runs)}


def heard(**more: Any) -> Run:
    """Four utterances of four words, four of six."""
    some = [[reply(0.25, weight=4.0, parts=WORDS)], [reply(1.0, weight=6.0, parts=MORE_WORDS)]] * 4
    return run(some, suite="librispeech_test_clean", **more)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of the framework, of three questions; the model fails on the last."""
    import inspect_ai.model as models
    from inspect_ai import eval as evaluated

    from auscult.evaluate.tasks import task_of

    out = tmp_path_factory.mktemp("log")
    task = task_of(Protocol(suite="gym", data="n=3,tasks=name_note"), out / "sounds")
    output = models.ModelOutput.from_content("mockllm/model", "<think>I hear.</think>Z9")
    output.usage = models.ModelUsage(input_tokens=3, output_tokens=4, total_tokens=7)
    model = models.get_model("mockllm/model", custom_outputs=[output] * 2)
    evaluated(task, model=model, log_dir=str(out / "logs"), display="none", fail_on_error=False)
    return next((out / "logs").glob("*.eval"))


def test_a_finished_log_reads_the_same_from_its_end_as_sample_by_sample(
    log: Path, monkeypatch: pytest.MonkeyPatch
):
    quick = read(log)
    monkeypatch.setattr(records, "_reduced", lambda _, file: records._streamed(file))
    slow = read(log)
    assert len(quick.rows) == 2 and quick.rows == slow.rows and quick.failed == slow.failed == 1


def test_states_of_the_weights_are_kept_apart_and_the_newest_of_each_stays(
    monkeypatch: pytest.MonkeyPatch,
):
    some = [replace(run(FULL), weights=w, created=c, file=Path(f"{w}{c}"))
            for w, c in (("aa", "1"), ("aa", "2"), ("bb", "1"))]  # fmt: skip
    by_file = {r.file: r for r in some}
    monkeypatch.setattr(records, "logs_in", lambda _: list(by_file))
    monkeypatch.setattr(records, "read", by_file.__getitem__)
    found = runs_in(Path())
    assert [(r.model, r.created) for r in found] == [("auscult/nano@aa", "2"),
                                                     ("auscult/nano@bb", "1")]  # fmt: skip
    rows = made(found)["gym: runs"]["tables"]["All runs"]
    assert [r["model"] for r in rows] == ["auscult/nano@aa", "auscult/nano@bb"]
    assert {r.command for r in found} == {"auscult eval gym --model nano"}


def test_one_state_needs_no_name_and_two_versions_of_the_questions_do():
    assert [r.model for r in distinct(controls())] == ["auscult/nano"] * 2
    old, new = controls(), [replace(r, questions="def") for r in controls()]
    found = distinct([*old, *new])
    assert {r.model for r in found} == {"auscult/nano@questions abc", "auscult/nano@questions def"}
    assert len(made(found)["gym: controls"]["tables"]["Paired differences"]) == 2


def test_strict_error_rates_are_per_utterance_and_official_ones_per_word():
    found = figures(heard())
    assert found.official.mean == pytest.approx((4 * 0.25 + 6 * 1.0) / 10)
    assert found.strict.mean == pytest.approx((0.25 + 1.0) / 2)
    better = run([[reply(0.25, weight=4.0)], [reply(0.0, weight=6.0)]] * 4,
                 suite="librispeech_test_clean")  # fmt: skip
    gap = contrast("", ("a", heard()), ("b", better))
    assert gap is not None and gap.difference.mean == pytest.approx(0.5)


def test_parts_stand_beside_the_scores_and_edits_become_a_corpus_rate():
    rows = {
        r["part"]: r for r in made([heard()])["librispeech_test_clean: runs"]["tables"]["Beside it"]
    }
    assert rows["kimi (edits / length)"]["mean [95 %]"]["mean"] == pytest.approx(7 / 10)
    assert rows["per_utterance"]["mean [95 %]"]["mean"] == pytest.approx(0.625)
    assert rows["per_utterance"]["replies"] == 8 and len(rows) == 2
    unknown = run([[reply(1.0, parts={"pedant": math.nan})]] * 4)
    for bare in (run(FULL), unknown):
        assert "Beside it" not in made([bare])["gym: runs"]["tables"]


def test_voicebench_has_its_mean_only_where_all_nine_suites_are_there():
    judged = {"alpacaeval_full", "commoneval", "wildvoice", "sd-qa"}
    points = judged - {"sd-qa"}
    every = [
        run([[reply(4.0 if c in points else 0.5, parts={"instructions": 1.0, "unchecked": 0.0,
             "strict": 0.5, "loose": 0.5, "strict_followed": 0.5, "loose_followed": 0.5})]] * 6,
            suite=suite_name(c), judge="openai/judge" if c in judged else "")
        for c in LEADERBOARD
    ]  # fmt: skip
    (row,) = made(every)["VoiceBench: overall"]["tables"]["Overall"]
    assert row["overall"] == f"{(3 * 80 + 6 * 50) / 9:.1f} %" and row["model"] == "auscult/nano"
    assert "VoiceBench: overall" not in made(every[1:])
    limited = [*every[1:], replace(every[0], protocol=replace(every[0].protocol, limit=6))]
    assert "VoiceBench: overall" not in made(limited)


def test_selectors_are_left_out_for_error_rates_with_a_sentence():
    pool = run([[reply(0.2), reply(0.4)]] * 6, suite="librispeech_test_clean", samples=2,
               temperature=1.0)  # fmt: skip
    found = made([pool])["librispeech_test_clean: selectors"]
    assert not found["tables"] and "lower is better" in found["found"][0]
    assert "librispeech_test_clean: selectors" not in made([heard()])


def test_controls_say_that_no_texts_were_given():
    said = made(controls())["gym: controls"]["found"][-1]
    assert said == "no transcripts and no captions given: --texts"
    some = [*controls(), run(SILENT, condition="transcript")]
    assert made(some)["gym: controls"]["found"][-1] == "no captions given: --texts"
    some.append(run(SILENT, condition="caption"))
    assert "--texts" not in " ".join(made(some)["gym: controls"]["found"])


@pytest.mark.parametrize("settings", [
    {}, {"verify": False}, {"condition": "silence", "think": "8", "samples": 4},
    {"contrast": 0.5, "without": "nothing", "temperature": 0.7, "data": "n=2,tasks=a b"},
])  # fmt: skip
def test_the_command_that_repeats_a_run_is_taken_by_the_command_line(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    import functools

    from auscult import cli
    from auscult.evaluate import commands

    found: dict[str, Any] = {}

    @functools.wraps(commands.evaluate)
    def taken(suite: str, **given: Any) -> None:
        found.update(given, suite=suite)

    monkeypatch.setattr(commands, "evaluate", taken)
    made = run(FULL, **settings)
    assert cli.main(shlex.split(made.command)[1:]) == 0
    assert found["suite"] == "gym" and found["model"] == "nano"
    assert replace(found["protocol"], suite=found["suite"]) == made.protocol


def test_noise_and_silence_before_a_sound_are_drawn_as_curves_in_order():
    names = ("pink_20db", "pink_0db", "pink_10db", "white_20db", "position_before_0.5s",
             "position_before_1s", "position_around_1s")  # fmt: skip
    runs = {name: run(SILENT, corruption=name) for name in names} | {"clean": run(FULL)}
    family = Family(model="auscult/nano", base=Protocol(suite="gym"), runs=runs)
    noise, position = (rungs(ladder, family, "clean") for ladder in LADDERS)
    assert {k: [x for x, _ in points] for k, points in noise.items()} == {"pink": [0, 10, 20]}
    # The sound as it is has no silence added, and no finite ratio of noise.
    assert {k: [x for x, _ in points] for k, points in position.items()} == {
        "position before": [0, 0.5, 1]
    }
    assert position["position before"][0][1].mean > position["position before"][1][1].mean
    (spoilt,) = [s for s in sections(list(runs.values())) if s.title == "gym: spoilt sound"]
    pictures = [p.name for block in spoilt.blocks if isinstance(block, list) for p in block]
    assert len(pictures) == 3 and "noise" in pictures[1] and "position" in pictures[2]
