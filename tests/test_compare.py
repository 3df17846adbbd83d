"""Runs from the door to the comparison: what is refused, what is counted, judges and ratings."""

import math
from pathlib import Path

import fixture_mmsu
import pytest
from scripted import Scripted, scripted_model

from auscult.bench.suites import suite_named
from auscult.cli import main
from auscult.evaluate.compare import compare_places, compared
from auscult.evaluate.door import Effort, run
from auscult.evaluate.paired import paired_bootstrap
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.runs import figures, read, runs_in

QUIET = Effort(inside=True, rows=16, retries=0, wait_s=0.1, display="none")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("compare") / "mmsu"
    fixture_mmsu.lines(folder)
    return folder


def done(data: Path, out: Path, letter: str, **fields):
    """A scripted model that always says the same letter; the folder and its runs."""
    model = scripted_model(f"says-{letter}", lambda messages, config: letter)
    protocols = [Protocol(suite="mmsu", data=str(data), **fields)]
    assert run(protocols, model, out, QUIET)[0]
    return out, model


@pytest.fixture(scope="module")
def both(data, tmp_path_factory) -> tuple[Path, Path]:
    """Right on one of four (B), and on two of four (C)."""
    root = tmp_path_factory.mktemp("runs")
    return tuple(done(data, root / x, x)[0] for x in ("B", "C"))


def test_the_comparison_is_what_a_hand_computes(both):
    (first,), (second,) = runs_in(both[0]), runs_in(both[1])
    # B is right on the woman and the "No", C on the 5 and the 他.
    assert [row.mean("strict") for row in first.rows] == [1, 0, 1, 0]
    assert [row.mean("strict") for row in second.rows] == [0, 1, 0, 1]
    found = compared(first, second)
    assert found.n == 4 and found.missing == 0 and found.table is not None
    assert (found.table.first_only, found.table.second_only, found.p) == (2, 2, 1.0)
    wanted = paired_bootstrap([0, 1, 0, 1], [1, 0, 1, 0], ["1", "2", "3", "4"], 0)
    assert found.difference.mean == wanted.mean == 0
    assert math.isinf(found.wanted)


def test_the_table_and_the_plot_are_written(both, tmp_path):
    text = compare_places(*both, vary=(), out=tmp_path)
    assert "scripted/says-B" in text and "| 4 |" in text
    assert (tmp_path / "compare.md").read_text().startswith("| run |")
    assert (tmp_path / "compare.png").stat().st_size > 5000


def test_runs_with_other_protocols_are_refused_with_every_difference(both, data, tmp_path):
    other, _ = done(data, tmp_path / "o", "C", condition="silence", think="8", verify=False)
    with pytest.raises(ValueError) as error:
        compare_places(both[0], other, vary=(), out=None)
    said = str(error.value)
    assert "condition: 'full' against 'silence'" in said and "think: 'free' against '8'" in said
    assert "--vary condition think" in said and "verify" not in said
    text = compare_places(both[0], other, vary=("condition", "think"), out=None)
    assert "scripted/says-C, condition silence, think 8" in text


def test_runs_over_other_questions_are_refused(both, data, tmp_path):
    fewer, _ = done(data, tmp_path / "few", "C", limit=3)
    with pytest.raises(ValueError, match=r"limit: 0 against 3; questions: \w+ against \w+"):
        compare_places(both[0], fewer, vary=(), out=None)
    with pytest.raises(ValueError, match="questions: "):
        compare_places(both[0], fewer, vary=("limit",), out=None)


def test_the_command_prints_the_table_and_names_what_is_wrong(both, capsys, tmp_path):
    assert main(["compare", str(both[0]), str(both[1])]) == 0
    assert "points [95 %]" in capsys.readouterr().out
    assert main(["compare", str(both[0]), str(tmp_path)]) == 2
    assert "holds no .eval log" in capsys.readouterr().err
    assert main(["compare", *map(str, both), "--vary", "mood"]) == 2
    assert "unknown setting 'mood'" in capsys.readouterr().err


def test_a_log_of_something_else_is_refused(tmp_path):
    from inspect_ai import Task
    from inspect_ai import eval as inspect_eval
    from inspect_ai.dataset import Sample

    model = scripted_model("plain", lambda messages, config: "x")
    inspect_eval(Task(dataset=[Sample(input="?")]), model=model, log_dir=str(tmp_path),
                 display="none")  # fmt: skip
    with pytest.raises(ValueError, match="is not a log of `auscult eval`"):
        read(next(tmp_path.glob("*.eval")))


def test_left_out_questions_are_counted_and_stale_letters_restated(data, tmp_path):
    answers = iter(["B", "", "nothing said", "B"])
    model = scripted_model("odd", lambda messages, config: next(answers))
    effort = Effort(inside=True, rows=1, retries=0, wait_s=0.1, display="none", connections=1)
    run([Protocol(suite="mmsu", data=str(data))], model, tmp_path, effort)
    (found,) = runs_in(tmp_path)
    by_text = {row.replies[0]["text"]: row for row in found.rows}
    assert set(by_text) == {"B", "", "nothing said"}
    got = figures(found)
    assert got.left_out == 1 and got.n == 4 and got.unparsed == 0.5


def test_a_judge_is_asked_once_and_remembered(tmp_path):
    import fixture_spoken

    fixture_spoken.FIXTURES["big_bench_audio"](tmp_path / "bba")
    judge = scripted_model("memory", lambda messages, config: "CORRECT")
    protocol = Protocol(
        suite="big_bench_audio", data=str(tmp_path / "bba"), judge="scripted/memory",
        verifier="scripted/rater", samples=2, temperature=1.0,
    )  # fmt: skip
    calls: list[str] = []

    def verdict(messages, config):
        calls.append(messages[-1].text)
        return "CORRECT"

    assert isinstance(judge.api, Scripted)
    scripted_model("memory", verdict)
    scripted_model("rater", lambda messages, config: "7 of 10")
    model = scripted_model("candidate", lambda messages, config: "valid")
    run([protocol], model, tmp_path / "one", QUIET)
    first = len(calls)
    run([protocol], model, tmp_path / "two", QUIET)
    assert first > 0 and len(calls) == first
    (found,) = runs_in(tmp_path / "two")
    assert all(
        r["official"] == 1.0 and r["judge"] == 0.7 for row in found.rows for r in row.replies
    )


def test_equal_requests_to_a_judge_are_different_draws(tmp_path):
    import fixture_mmau

    fixture_mmau.FIXTURES["mmar_rubrics"](tmp_path / "mmar")
    asked: list[str] = []

    def rate(messages, config):
        asked.append(f"{config.seed} {config.temperature}")
        return "[]"

    scripted_model("rubric", rate)
    first = next(q for q in suite_named("mmar_rubrics").load(tmp_path / "mmar"))
    model = scripted_model("right", lambda messages, config: first.answers[0])
    protocol = Protocol(suite="mmar_rubrics", data=str(tmp_path / "mmar"), judge="scripted/rubric",
                        limit=1)  # fmt: skip
    run([protocol], model, tmp_path / "out", QUIET)
    assert asked == ["42 0.0"] * 5
