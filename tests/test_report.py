"""The report of a recipe run, on a run folder made up here: two measured stages, one of them
reinforcement learning, a distillation, and a stage that still trains."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from auscult.evaluate.report import data
from auscult.evaluate.report.data import FAMILIES
from auscult.evaluate.report.recipe import SECTIONS, write_report
from auscult.gym import TASKS

N = 20
EVIL = "I hear <script>alert(1)</script> | `two` *notes*."


def put(file: Path, record: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record))


def put_lines(file: Path, records: list[Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(r) + "\n" for r in records))


def answers(right: int, tokens: int) -> list[dict[str, Any]]:
    made = {"thought": EVIL, "answer": "two", "truth": "two", "tokens": tokens + 3, "stop": "end"}
    return [made | {"right": float(i < right), "thought_tokens": tokens} for i in range(N)]


def result(rights: dict[str, int]) -> dict[str, Any]:
    """Protocol -> how many of the N items are right."""
    numbers = {"claims": 2, "precision": 0.5, "lift": 0.25, "surrogate": 0.5, "hallucination": 0.5}
    bare = {"claims": 0, "precision": None, "lift": None, "surrogate": 0.0, "hallucination": None}
    hearing = {"question": "Can you hear?", "thought": "", "answer": "I cannot hear audio."}
    return {
        "keys": [f"{('tempo', 'note_count')[i % 2]}/heldout/1/{i}" for i in range(N)],
        "protocols": {k: answers(v, 40 if k == "thinking" else 4) for k, v in rights.items()},
        "grounding": [
            (numbers if i else bare) | {"grounded": i < 5, "coherent": True} for i in range(N)
        ],
        "self_cognition": [hearing | {"denies": i < 2, "acknowledges": False} for i in range(8)],
    }


def rising() -> dict[str, int]:
    return {"direct": 4, "budget_4": 8, "budget_16": 12, "thinking": 16, "free": 15,
            "prompted": 10, "silence": 5, "swapped": 6}  # fmt: skip


def falling() -> dict[str, int]:
    return rising() | {"direct": 16, "budget_4": 12, "budget_16": 8, "thinking": 4}


def run_json(stage: str, **config: Any) -> dict[str, Any]:
    around = {"python": "3.11", "packages": {"torch": "2"}, "machine": "x86_64", "cores": 2}
    return {"stage": stage, "hash": "abc", "config": {"seed": 7} | config, "environment": around}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Start and RL measured, a distillation in training."""
    put(tmp_path / "measured/00_start/result.json", result(falling()))
    put(tmp_path / "measured/01_text_rl/result.json", result(rising()))
    rl = tmp_path / "01_text_rl"
    put(rl / "run.json", run_json("ppo", steps=8, ppo={"seed": 3}))
    put(rl / "done.json", {})
    step = {"reward/audio": None, "entropy": 0.5, "clip_fraction": 0.0, "replies": 4, "tokens": 10}
    put_lines(rl / "metrics.jsonl", [
        step | {"step": i + 1, "reward/text": i / 10, "seconds": 1.0} for i in range(8)
    ])  # fmt: skip
    put(rl / "data/run.json", run_json("select", band={"low": 3, "high": 6, "n": 8}))
    put_lines(rl / "data/selection.jsonl", [
        {"key": f"tempo/train/1/{i}", "passes": i, "silent": None if i > 6 else 0,
         "keep": 3 <= i <= 6, "why": "selected" if 3 <= i <= 6 else "too hard"}
        for i in range(9)
    ])  # fmt: skip
    distil = tmp_path / "02_distil_1"
    put(distil / "run.json", run_json("sft", steps=70))
    put_lines(distil / "metrics.jsonl", [{"step": 1, "loss": 2.0, "reply_tokens": 5}])
    with (distil / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')  # being written
    put(distil / "data/run.json", run_json("distil", filters=["novelty", "correctness"]))
    base = {"key": "tempo/train/1/5", "thought": EVIL, "answer": "two", "truth": "three"}
    put_lines(distil / "data/judged/00000.jsonl", [
        {"judged": [
            base | {"keep": True, "filter": "", "why": "right"},
            base | {"keep": False, "filter": "correctness", "why": "the answer is wrong"},
        ]}
    ])  # fmt: skip
    spent = {"training": 99.5, "measuring": 30.0}
    put(tmp_path / "seconds.json", {"00_start": spent, "01_text_rl": spent})
    return tmp_path


def test_the_report_of_a_run(folder: Path):
    page = write_report(folder).read_text()
    text = (folder / "report.md").read_text()
    # 16 of 20 by hand: centre (.8 + 1.92 / 20) / (1 + 3.84 / 20) = .7517, half width .1682.
    shown = "80.0 %<small>[58.4, 91.9]</small>"
    assert shown in page and "80.0 % [58.4, 91.9]" in text
    rows = re.findall(r"^\| 1 text rl \|.*$", text, flags=re.M)
    cells = [c.strip() for c in rows[0].strip("|").split("|")][1:]
    assert len(cells) == 10 and cells[0].startswith("80.0 %") and cells[3].startswith("+60.0 [")
    for cell in cells:  # the page's headline says the same
        number, interval = cell.split(" [")
        assert f"{number}<small>[{interval}</small>" in page
    assert "surrogate rate" in page and "25.0 % [11.2, 46.9]" in text  # grounded: 5 of 20

    assert "<script" not in page and "&lt;script&gt;alert(1)" in page and "http" not in re.sub(
        r"<svg.*?</svg>", "", page, flags=re.S
    )  # fmt: skip
    assert "<script" not in text and r"&lt;/script&gt; \| \`two\` \*notes\*" in text
    assert "2 distil 1: training is not finished: step 1 of 70" in page and page.count("<h2") == 10
    named = set(re.findall(r"\(plots/(\S+\.png)\)", text))
    assert named and {p.name for p in (folder / "plots").iterdir()} == named

    record = json.loads((folder / "report.json").read_text())
    assert [s["state"] == "finished" for s in record["stages"]] == [True, True, False]
    rl = record["sections"][0]["tables"]["Every stage"][1]
    assert rl["thinking (n 20)"] | {"low": 0, "high": 0} == {
        "mean": 0.8, "low": 0, "high": 0, "n": 20, "unit": "%"
    }  # fmt: skip
    words = " ".join(record["sections"][1]["found"])
    assert "0 start: longer thought hurts: inverse scaling (-" in words
    assert "1 text rl: longer thought helps (+" in words
    assert "1 of 2 samples so far pass all filters" in " ".join(record["sections"][5]["found"])
    assert "1 text rl: reward on text rose (+60.0" in " ".join(record["sections"][3]["found"])


def test_slope_has_the_sign_of_the_data(folder: Path):
    down, up = (data.slope(s.measured) for s in data.read_run(folder)[:2])
    assert down and up and down.high < 0 < up.low and down.mean == pytest.approx(-up.mean)


def test_slope_by_hand():
    """Right at no thought, wrong at 3 tokens: -1 over log2(4) = 2 doublings."""
    a, b = data.Answer(right=1.0), data.Answer(right=0.0, thought_tokens=3)
    found = data.Measured(
        keys=("tempo/heldout/1/0",), answers={"direct": (a,), "thinking": (b,)},
        thoughts=(), hearings=(),
    )  # fmt: skip
    slope = data.slope(found)
    assert slope and slope.mean == pytest.approx(-0.5)


def test_all_equal_shares_still_have_an_interval():
    found = data.rate([0.0] * 20)
    assert found and found.mean == 0.0 and 0.1 < found.high < 0.2


def test_nothing_measured_yet_is_said(tmp_path: Path):
    with pytest.raises(ValueError, match="holds no stage"):
        write_report(tmp_path)
    (tmp_path / "01_cold_start").mkdir()
    page = write_report(tmp_path).read_text()
    assert "1 cold start: training has not begun" in page and "no stage is measured yet" in page


def test_families_hold_every_task_once_in_the_gyms_order():
    assert [t for tasks in FAMILIES.values() for t in tasks] == list(TASKS)
    assert len(SECTIONS) == 9  # and the configuration
