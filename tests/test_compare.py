"""Runs from the door to the comparison: what is refused, what is counted, judges and ratings."""

import math
from dataclasses import replace
from pathlib import Path

import fixture_mmsu
import pytest
from fixture_results import FULL, SILENT, reply
from fixture_results import run as made
from scripted import Scripted, scripted_model

from auscult.bench.suites import suite_named
from auscult.cli import main
from auscult.evaluate.compare import compare_places, compared, markdown, pairs
from auscult.evaluate.door import Effort, run
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.results.runs import figures, read, runs_in
from auscult.stats.paired import detectable, needed, paired_bootstrap, permutation_p

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
    # Four questions say nothing about the spread.
    assert math.isnan(found.wanted) and math.isnan(found.shows)


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


def test_questions_that_the_script_leaves_out_are_dropped_in_pairs_and_said():
    odd = [[reply(float(x), official=math.nan if i < 3 else float(x))]
           for i, x in enumerate(SILENT)]  # fmt: skip
    found = compared(made(FULL), made(odd))
    assert (found.n, found.dropped, found.missing) == (9, 3, 0)
    assert found.official == (pytest.approx(sum(FULL[3:]) / 9), pytest.approx(sum(SILENT[3:]) / 9))
    assert found.table is not None and found.table.n == 9
    assert found.strict.n == 12
    assert found.strict.mean == pytest.approx((sum(SILENT) - sum(FULL)) / 12)
    assert "| 9 | 0 | 3 |" in markdown([found])


def test_a_comparison_without_any_official_score_still_compares_the_strict_one():
    nothing = [[reply(float(x), official=math.nan)] for x in SILENT]
    found = compared(made(FULL), made(nothing))
    assert found.n == 0 and found.dropped == 12 and math.isnan(found.p)
    assert found.strict.mean == pytest.approx((sum(SILENT) - sum(FULL)) / 12)
    text = markdown([found, compared(made(FULL), made(SILENT))])
    assert " nan" not in text and "| not right or wrong | - | - | - |" in text
    # Holm counts the tests that were made: one.
    assert "0.07" in text


def test_a_pair_that_is_not_unique_is_refused_with_all_candidates():
    first = [made(FULL)]
    second = [made(SILENT, think=t) for t in ("4", "8")]
    with pytest.raises(ValueError, match=r"second place holds 2 runs .*think 4.*think 8.*logs"):
        pairs(first, second, ("think",))
    assert len(pairs(first, second[:1], ("think",))) == 1
    assert len(pairs(second, second, ())) == 2


def test_p_heeds_the_weights_and_the_clusters():
    heavy = [[reply(float(x), weight=9.0 if i < 2 else 1.0)] for i, x in enumerate(FULL)]
    found = compared(made(heavy, cluster=2), made(SILENT, cluster=2))
    weights = [9.0 if i < 2 else 1.0 for i in range(12)]
    a = [x * w for x, w in zip(FULL, weights, strict=True)]
    b = [x * w for x, w in zip(SILENT, weights, strict=True)]
    clusters = [f"c{i // 2}" for i in range(12)]
    assert found.p == permutation_p(a, b, clusters, 0, 4000)
    gaps = sum(y - x for x, y in zip(a, b, strict=True)) / sum(weights)
    assert found.difference.mean == pytest.approx(gaps)
    # The strict difference counts every question the same.
    assert found.strict.mean == pytest.approx((sum(SILENT) - sum(FULL)) / 12)


def test_power_counts_copies_in_a_cluster_once():
    one, other = [1, 1, 0, 1, 0, 1, 1, 0, 1, 1] * 4, [0, 1, 0, 0, 1, 0, 1, 0, 0, 1] * 4
    plain = compared(made(one), made(other))
    thrice = [[x for x in xs for _ in range(3)] for xs in (one, other)]
    copies = compared(made(thrice[0], cluster=3), made(thrice[1], cluster=3))
    # Three times the questions show no more.
    assert copies.shows == pytest.approx(plain.shows, rel=0.02)
    assert copies.wanted == pytest.approx(3 * plain.wanted, rel=0.05)
    gaps = [y - x for x, y in zip(one, other, strict=True)]
    mean = sum(gaps) / 40
    sd = math.sqrt(sum((g - mean) ** 2 for g in gaps) / 39)
    assert plain.shows == pytest.approx(detectable(40, sd=sd))
    assert plain.wanted == pytest.approx(needed(abs(mean), 0.0, sd=sd))


def test_power_is_not_told_for_few_clusters_or_without_spread():
    few = compared(made(FULL, cluster=3), made(SILENT, cluster=3))
    same = compared(made(FULL), made(FULL))
    for found in (few, same):
        assert math.isnan(found.wanted) and math.isnan(found.shows)
        assert "| - | - |" in markdown([found])


def test_two_states_of_one_model_are_told_apart_in_a_comparison():
    found = compared(replace(made(FULL), weights="aaa"), replace(made(SILENT), weights="bbb"))
    assert found.names == ("auscult/nano@aaa", "auscult/nano@bbb")
