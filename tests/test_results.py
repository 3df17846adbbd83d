"""The results page, on runs made up here whose numbers are worked out the slow way."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixture_results import (
    FULL,
    SILENT,
    N,
    Tables,
    controls,
    everything,
    markdown_tables,
    reply,
    run,
)
from fixture_sounds import tone, wav_bytes

from auscult.evaluate.protocol import Protocol
from auscult.evaluate.results import analysis as about
from auscult.evaluate.results import page as results
from auscult.evaluate.results.page import published, sections, write_page
from auscult.evaluate.results.runs import Run


def made(runs: list[Run]) -> dict[str, dict[str, Any]]:
    """Section title -> its record in results.json."""
    from auscult.evaluate.report.page import numbers

    return {s.title: numbers(s) for s in sections(runs)}


def written(runs: list[Run], out: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(results, "runs_in", lambda _: runs)
    return write_page(out, out)


def wilson_slow(right: int, n: int) -> tuple[float, float]:
    """Both ends solve (p - q)^2 = z^2 q (1 - q) / n for q: found by halving."""
    z, p = 1.959964, right / n

    def far(q: float) -> bool:
        return (p - q) ** 2 > z * z * q * (1 - q) / n

    def edge(inside: float, outside: float) -> float:
        for _ in range(80):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if far(middle) else (middle, outside)
        return inside

    return edge(p, 0.0), edge(p, 1.0)


def mcnemar_slow(b: int, c: int) -> float:
    tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
    return min(1.0, 2 * tail)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of every section, with sounds; it is written once."""
    out = tmp_path_factory.mktemp("page")
    sound = out / "tone.wav"
    sound.write_bytes(wav_bytes(tone()))
    with pytest.MonkeyPatch.context() as patch:
        written([*everything((str(sound),)), run(FULL, suite="mmsu")], out, patch)
    return out


@pytest.fixture(scope="module")
def study(whole: Path) -> dict[str, dict[str, Any]]:
    """Its sections, as results.json has them."""
    return {s["title"]: s for s in json.loads((whole / "results.json").read_text())["sections"]}


# --- numbers


def test_the_overview_is_what_counting_gives():
    found = made([run(FULL)])["gym: runs"]["tables"]
    (row,) = found["All runs"]
    low, high = wilson_slow(9, 12)
    strict = row["strict [95 %]"]
    assert strict["mean"] == 0.75 and strict["n"] == row["n"] == 12
    assert (strict["low"], strict["high"]) == pytest.approx((low, high), abs=1e-9)
    assert row["thought tokens"] == "8" and row["all tokens"] == "20"
    assert row["s per question"] == "2" and row["unparsed"] == "0.0 %" and row["failed"] == 0
    (repeat,) = found["How to repeat every run"]
    assert repeat["command"] == "auscult eval gym --model nano"
    assert repeat["git revision"] == "f00f00" and repeat["inspect_ai"] == "0.3.999"


def test_macro_counts_groups_the_same_and_micro_questions():
    rows = made([run(FULL)])["gym: runs"]["tables"]["By task"]
    score = {r["task"]: r["auscult/nano, strict [95 %]"]["mean"] for r in rows}
    third = [FULL[i] for i in range(N) if i % 3 == 0]
    even = [FULL[i] for i in range(N) if i % 3]
    assert score["third"] == sum(third) / 4 and score["even"] == sum(even) / 8
    assert score["all questions (micro)"] == 0.75
    macro = score["mean of the groups (macro)"]
    assert macro == pytest.approx((sum(third) / 4 + sum(even) / 8) / 2)


def test_controls_are_what_counting_gives():
    noise = run([0] * N, condition="noise")
    found = made([*controls(), noise])["gym: controls"]["tables"]
    rows = {r["comparison"]: r for r in found["Paired differences"]}
    gain = rows["audio gain: full - silence"]
    assert gain["difference [95 %]"]["mean"] == pytest.approx(6 / 12)
    assert gain["right -> wrong [95 %]"]["mean"] == pytest.approx(7 / 12)
    assert gain["wrong -> right [95 %]"]["mean"] == pytest.approx(1 / 12)
    ps = {"silence": mcnemar_slow(7, 1), "noise": mcnemar_slow(9, 0)}
    assert gain["p"] == f"{ps['silence']:.2g}" == "0.07"
    # Holm over two tests: the smaller p doubles, the larger is at least that.
    assert rows["audio gain: full - noise"]["p (Holm)"] == f"{2 * ps['noise']:.2g}"
    assert gain["p (Holm)"] == f"{max(ps['silence'], 2 * ps['noise']):.2g}"
    kept = {r["condition"]: r["retention [95 %]"] for r in found["Score by condition"]}
    assert kept["silence"]["mean"] == pytest.approx((3 / 12) / (9 / 12)) and kept["full"] is None
    same = {r["condition"]: r for r in found["Behaviour by condition"]}
    unchanged = same["silence"]["answer unchanged from full [95 %]"]["mean"]
    assert unchanged == pytest.approx(sum(a == b for a, b in zip(FULL, SILENT, strict=True)) / N)


def test_the_bootstrap_interval_covers_what_a_slow_one_does():
    import random

    full, silent = run(FULL, cluster=2), run(SILENT, cluster=2, condition="silence")
    found = about.contrast("", ("full", full), ("silence", silent))
    assert found is not None
    gaps = [a - b for a, b in zip(FULL, SILENT, strict=True)]
    groups = [gaps[i : i + 2] for i in range(0, N, 2)]
    draw = random.Random(1)
    means = sorted(sum(sum(draw.choice(groups)) for _ in groups) / N for _ in range(4000))
    assert found.difference.low == pytest.approx(means[100], abs=0.09)
    assert found.difference.high == pytest.approx(means[3900], abs=0.09)
    # Clusters are not independent, so McNemar is not the test here.
    assert found.p != pytest.approx(mcnemar_slow(7, 1))


def test_phantom_cues_count_thoughts_and_grounding_asks_both_sounds():
    def heard(claims: int, supported: int, grounding: float) -> dict[str, Any]:
        return {"claims": claims, "supported": supported, "contradicted": 0,
                "grounding": grounding, "grounded": grounding > 0.5, "surrogate": 0.0}  # fmt: skip

    some = [[reply(0.0, given=heard(2, 1, 0.0), own={})], [reply(0.0, given=heard(1, 1, 1.0))],
            [reply(0.0, given=heard(0, 0, 0.0))],
            [reply(0.0, thought="", given={}, own={})]]  # fmt: skip
    swapped = [[reply(0.0, given=heard(1, 1, 0.8), own=heard(1, 0, 0.2))]] * 4
    runs = [run([1, 1, 1, 1]), run(some, condition="silence"), run(swapped, condition="swapped")]
    found = made(runs)["gym: controls"]["tables"]
    cue = {r["condition"]: r for r in found["Behaviour by condition"]}
    assert cue["silence"]["n of phantom cue"] == 3  # the fourth has no thought
    assert cue["silence"]["phantom cue [95 %]"]["mean"] == pytest.approx(1 / 3)
    assert cue["swapped"]["phantom cue [95 %]"] is None
    told = {
        (r["condition"], r["thought checked against"]): r
        for r in found["Grounding of the thoughts"]
    }
    given = told["swapped", "the given sound"]
    own = told["swapped", "the question's own sound"]
    assert given["mean grounding [95 %]"]["mean"] == pytest.approx(0.8)
    assert own["mean grounding [95 %]"]["mean"] == pytest.approx(0.2)
    assert given["grounded [95 %]"]["mean"] == 1.0 and own["grounded [95 %]"]["mean"] == 0.0


def thought(right: float, tokens: int, closed: str = "model") -> list[dict[str, Any]]:
    numbers = {"tokens": tokens + 4, "thought_tokens": tokens, "closed": closed}
    return [reply(right, numbers=numbers)]


def test_budgets_have_their_order_their_shares_and_the_slope_of_least_squares():
    import numpy as np

    rights = {"none": 3, "16": 9, "4": 6, "free": 11}
    used = {"none": 0, "16": 12, "4": 4, "free": 30}
    runs = [
        run([thought(float(i < k), used[t], "budget" if t == "4" else "model") for i in range(N)],
            think=t)
        for t, k in rights.items()
    ]  # fmt: skip
    found = made(runs)["gym: thought budgets"]["tables"]
    assert [r["think"] for r in found["Score by budget"]] == ["none", "4", "16", "free"]
    assert [r["closed by the budget [95 %]"]["mean"] for r in found["Score by budget"]] == [
        0,
        1,
        0,
        0,
    ]
    scores = [rights[t] / N for t in ("none", "4", "16", "free")]
    slopes = {r["per doubling of"]: r["slope [95 %]"] for r in found["Slope per doubling"]}
    for name, x in (("tokens used", (0, 4, 12, 30)),
                    ("tokens allowed (free: its mean length)", (0, 4, 16, 30))):  # fmt: skip
        wanted = np.polyfit(np.log2(1 + np.array(x)), scores, 1)[0]
        assert slopes[name]["mean"] == pytest.approx(wanted)
    against = found["Thought against none"]
    names = [r["comparison"] for r in against]
    assert names == ["think 4 - none", "think 16 - none", "think free - none"]
    assert against[2]["wrong -> right [95 %]"]["mean"] == pytest.approx(8 / 12)
    assert against[2]["right -> wrong [95 %]"]["mean"] == 0.0


def test_the_slope_within_questions_is_beside_the_pooled_one():
    pool = [[thought(1.0, 8)[0], thought(0.0, 4)[0]]] * 3 + [[thought(0.0, 64)[0]] * 2] * 3
    found = made([run(pool, samples=2, temperature=1.0)])["gym: thought budgets"]["tables"]
    (row,) = found["Slope per doubling of the thought, in a pool"]
    assert row["within questions [95 %]"]["mean"] == pytest.approx(1.0)
    assert row["pooled [95 %]"]["mean"] < 0
    assert row["questions with one length"] == 3


def test_selectors_choose_as_by_hand_and_silence_stands_below(study: dict[str, Any]):
    found = study["gym: selectors"]
    (title,) = (t for t in found["tables"] if "at 4 replies" in t)
    rows = {r["selector"]: r for r in found["tables"][title]}
    score = {k: r["strict at 4 replies [95 %]"]["mean"] for k, r in rows.items()}
    # Three questions: a a b c, a is right; three: b b a c.
    assert score["majority"] == 0.5 and score["oracle"] == 1.0
    assert score["single"] == pytest.approx((3 * 0.5 + 3 * 0.25) / 6)
    assert score["majority of silence"] == 0.5
    assert next(iter(rows)) == "oracle"
    paper = {k for k, r in rows.items() if r["from"] == "paper"}
    assert paper == {"single", "majority", "total_logprob"}
    assert rows["majority"]["against single [95 %]"]["mean"] == pytest.approx(0.5 - 0.375)
    assert rows["majority"]["tokens per question"] == "80"
    assert rows["single"]["tokens per question"] == "20"
    assert "judge, judge_vote" in found["found"][-1] and "grounding" not in rows


def test_a_change_for_the_worse_is_right_to_wrong_in_every_sweep(study: dict[str, Any]):
    for title, word, name in (
        ("gym: spoilt sound", "corruption", "pink_10db"),
        ("gym: languages", "language", "de"),
        ("gym: audio-aware decoding", "strength", "silence 0.5"),
    ):
        rows = {r[word]: r for r in study[title]["tables"][f"Score by {word}"]}
        assert rows[name]["right -> wrong [95 %]"]["mean"] == pytest.approx(7 / 12)
        (gap,) = (v for k, v in rows[name].items() if k.startswith("against"))
        assert gap["mean"] == pytest.approx(-6 / 12)


# --- what is shown


def test_sections_are_there_only_when_their_runs_are(study: dict[str, Any]):
    assert list(made([run(FULL)])) == ["gym: runs", "Published numbers"]
    assert list(made(controls())) == ["gym: runs", "gym: controls", "Published numbers"]
    assert list(study) == [
        "gym: runs", "gym: controls", "gym: thought budgets", "gym: selectors",
        "gym: audio-aware decoding", "gym: spoilt sound", "gym: voices", "gym: languages",
        "gym: examples", "mmsu: runs", "Published numbers",
    ]  # fmt: skip


def test_broken_runs_are_marked_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bad = run(FULL[:8], model="auscult/half", status="cancelled", failed=3)
    empty = replace(run([], model="auscult/none", status="error"), total=5)
    short = replace(run(FULL, model="auscult/short"), total=20)
    told = written([run(FULL), bad, empty, short], tmp_path, monkeypatch)
    lines = {line.split()[0]: line for line in told.splitlines()}
    assert "status cancelled, 3 of 11 questions failed" in lines["auscult/half"]
    assert "status error, 5 of 5 questions not reached" in lines["auscult/none"]
    assert "8 of 20 questions not reached" in lines["auscult/short"]
    assert not lines["auscult/nano"].rstrip()[-1].isalpha()
    for name in ("results.html", "results.md"):
        text = (tmp_path / name).read_text()
        assert "3 of them INCOMPLETE" in text
        assert "auscult/half (INCOMPLETE)" in text
        assert text.count("INCOMPLETE: status cancelled") >= 1
    states = {r["model"]: r["state"] for r in json.loads(
        (tmp_path / "results.json").read_text())["runs"]}  # fmt: skip
    assert states["auscult/nano"] == "whole" and states["auscult/none"].startswith("INCOMPLETE")


def test_a_score_that_the_script_leaves_out_is_a_dash_and_json_has_no_nan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    left_out = [[reply(1.0, official=math.nan)] for _ in range(4)]
    told = written([run(left_out)], tmp_path, monkeypatch)
    line = told.splitlines()[1]
    assert " - " in line and "nan " not in line

    def refuse(name: str) -> None:
        raise AssertionError(name)

    record = json.loads((tmp_path / "results.json").read_text(), parse_constant=refuse)
    assert record["runs"][0]["official"]["mean"] is None and record["runs"][0]["left_out"] == 4


def test_the_page_loads_nothing_and_runs_nothing(whole: Path):
    text = (whole / "results.html").read_text()
    page = Tables()
    page.feed(text)
    for tag, attributes in page.found:
        assert tag not in ("script", "link", "iframe", "object", "base")
        for name in ("src", "href", "xlink:href", "data", "poster"):
            assert re.match(r"data:image/png;base64,|#", attributes.get(name) or "#")
        assert not [a for a in attributes if a.startswith("on")]
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    assert "<script" not in text and "&lt;script&gt;" in text


def test_markdown_has_the_same_tables_and_its_pictures(whole: Path):
    page = Tables()
    page.feed((whole / "results.html").read_text())
    text = (whole / "results.md").read_text()
    squeeze = lambda tables: [[[" ".join(c.split()) for c in r] for r in t] for t in tables]  # noqa: E731
    assert squeeze(page.tables) == squeeze(markdown_tables(text))
    assert len(page.tables) > 20
    pictures = re.findall(r"\]\((plots/[^)]+)\)", text)
    assert len(pictures) == len({*pictures}) > 7
    for name in pictures:
        assert (whole / name).read_bytes().startswith(b"\x89PNG")


def test_examples_need_their_sound(whole: Path):
    text = (whole / "results.md").read_text()
    assert "## gym: examples" in text
    assert len(re.findall(r"^\*\*auscult/nano, wrong: ", text, flags=re.M)) == 3
    assert len(re.findall(r"^\*\*auscult/nano, right: ", text, flags=re.M)) == 2
    assert "gym: examples" not in made([run(FULL, given=(str(whole / "gone.wav"),))])


def test_every_interval_is_called_a_95_percent_one(whole: Path):
    for section in json.loads((whole / "results.json").read_text())["sections"]:
        for title, rows in section["tables"].items():
            for row in rows:
                for head, cell in row.items():
                    if isinstance(cell, dict) and "Published" not in section["title"]:
                        said = head in ("score",) or "95 %" in head
                        assert said, f"{section['title']}: {title}: {head}"
    assert "Every interval is a 95 % interval" in (whole / "results.html").read_text()


# --- published numbers


def test_every_published_number_says_who_where_and_how():
    known = published()
    assert len(known["results"]) > 100
    for r in known["results"]:
        words = ("model", "measured_by", "source", "protocol")
        assert {*r} == {"benchmark", "value", "unit", *words}
        assert r["benchmark"] in known["benchmarks"]
        assert 0 < r["value"] <= 100 and r["unit"] == "%"
        for name in words:
            assert isinstance(r[name], str) and r[name].strip(), r
    lines = [json.dumps(r, sort_keys=True) for r in known["results"]]
    assert len(lines) == len({*lines})


@pytest.mark.parametrize(("benchmark", "model", "values"), [
    ("mmau_mini", "Step-Audio-R1", {77.7, 77.0, 78.67}),
    ("mmsu", "Gemini 3 Pro", {82.9, 83.7, 81.28}),
    ("mmsu", "Gemini 2.5 Pro", {79.3, 77.7}),
    ("mmar", "Step-Audio-R1", {58.6, 69.15}),
    ("big_bench_audio", "Step-Audio 2", {59.1, 80.0}),
    ("wildspeech", "Gemini 2.5 Pro", {60.0, 60.2}),
])  # fmt: skip
def test_diverging_numbers_are_all_kept(benchmark: str, model: str, values: set[float]):
    found = {r["value"] for r in published()["results"]
             if r["benchmark"] == benchmark and r["model"] == model}  # fmt: skip
    assert found == values


def test_our_run_stands_in_the_table_of_its_benchmark_only():
    found = made([run(FULL, suite="mmau_mini")])["Published numbers"]
    ours = {t for t, rows in found["tables"].items() if rows[0]["model"].startswith("OURS")}
    assert ours == {"MMAU test-mini"}
    first = found["tables"]["MMAU test-mini"][0]
    assert first["score"]["mean"] == 0.75 and "auscult eval mmau_mini" in first["source"]
    assert "not comparable" in " ".join(found["found"])


# --- a real log


def test_a_log_of_the_framework_gives_a_page(tmp_path: Path):
    pytest.importorskip("inspect_ai")
    import inspect_ai.model as models
    from inspect_ai import eval as evaluated

    from auscult.evaluate.tasks import task_of

    protocol = Protocol(suite="gym", data="n=2,tasks=name_note", verify=False)
    task = task_of(protocol, tmp_path / "sounds")
    output = models.ModelOutput.from_content("mockllm/model", "<think>I hear.</think>Z9")
    output.usage = models.ModelUsage(input_tokens=3, output_tokens=4, total_tokens=7)
    model = models.get_model("mockllm/model", custom_outputs=[output] * 2)
    evaluated(task, model=model, log_dir=str(tmp_path / "logs"), display="none")
    told = write_page(tmp_path / "logs", tmp_path)
    assert re.search(r"^mockllm/model +gym.* 0\.0 % +0\.0 % \[0\.0, \d", told, flags=re.M)
    assert told.endswith(str(tmp_path / "results.html"))
    text = (tmp_path / "results.html").read_text()
    assert "gym: examples" in text and "data:image/png;base64," in text
    assert "not comparable" in text and "<td>Z9</td>" in text
