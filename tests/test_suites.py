"""Every suite, on its fixture, from the door to the page: a scripted model and nano answer them."""

import importlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixture_bank import build
from scripted import Scripted, scripted_model, sounds_in

from auscult.bench.suites import SUITES, questions
from auscult.cli import main
from auscult.evaluate.door import Effort, model_named, run
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.results.runs import Run, figures, runs_in

FAMILIES = ("mmsu", "mmau", "spoken", "step", "voicebench", "digits")
FIXTURES = {
    name: make
    for family in FAMILIES
    for name, make in importlib.import_module(f"fixture_{family}").FIXTURES.items()
}
QUIET = Effort(inside=True, rows=16, retries=0, wait_s=0.1, display="none")
JUDGE = "scripted/judge"
UNANSWERED = {"mmau_test"}
"""Their answers are not public."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Iterator[Path]:
    """All fixtures, one folder each."""
    root = tmp_path_factory.mktemp("suites")
    for name, make in FIXTURES.items():
        make(root / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUSCULT_REAL", str(build(root / "bank")))
        yield root


MADE = {"gym": "n=1,tasks=tempo+meter", "real": "n=1,tasks=real_digit+real_event_name"}
"""What the suites that are made on the spot are asked for."""


def protocols(data: Path) -> list[Protocol]:
    """Every suite once, with its default prompt; judged where it has a judge."""
    return [
        Protocol(
            suite=suite.name,
            data=MADE.get(suite.name, str(data / suite.name)),
            judge=JUDGE if suite.judged else "",
            max_tokens=24,
        )
        for suite in SUITES.values()
    ]


@pytest.fixture(scope="module")
def asked(data, tmp_path_factory) -> tuple[Scripted, dict[str, Run]]:
    """A scripted model's runs of all suites, by name; the judge finds everything good."""
    scripted_model("judge", lambda messages, config: "CORRECT yes [[5]] Score: [9]")
    model = scripted_model("model", lambda messages, config: "A")
    out = tmp_path_factory.mktemp("scripted")
    whole, _ = run(protocols(data), model, out, QUIET)
    assert whole
    assert isinstance(model.api, Scripted)
    return model.api, {r.protocol.suite: r for r in runs_in(out)}


def test_replies_to_the_full_test_of_mmau_become_a_submission(asked, tmp_path, capsys):
    log = asked[1]["mmau_test"].file
    assert main(["submission", str(log), str(tmp_path / "out.json")]) == 0
    rows = json.loads((tmp_path / "out.json").read_text())
    assert len(rows) == len(asked[1]["mmau_test"].rows)
    assert all(row["model_output"] == row["choices"][0] for row in rows)  # "A" as its text
    assert main(["submission", str(asked[1]["mmsu"].file), str(tmp_path / "no.json")]) == 2
    assert "a submission is made of mmau_test" in capsys.readouterr().err


def test_every_suite_has_a_fixture():
    assert set(SUITES) - set(MADE) == set(FIXTURES)


@pytest.mark.parametrize("name", SUITES)
def test_a_scripted_model_runs_through_every_suite(asked, data, name: str):
    done = asked[1][name]
    loaded = questions(SUITES[name], Path(done.protocol.data))
    assert [row.key for row in done.rows] == [q.key for q in loaded]
    assert done.failed == 0 and done.status == "success"
    for row in done.rows:
        (reply,) = row.replies
        assert reply["thought"] == "I hear a tone." and reply["text"] == "A"
        assert math.isnan(reply["strict"]) == (name in UNANSWERED)
    if name not in UNANSWERED:
        found = figures(done)
        assert found.n == len(loaded) and found.strict.low <= found.strict.mean <= found.strict.high


def test_every_question_comes_with_its_sound(asked, data):
    heard = [sounds_in(messages) for messages in asked[0].asked]
    wanted = sum(len(done.rows) for done in asked[1].values())
    assert len(heard) == wanted and min(heard) >= 1


def test_every_prompt_of_every_suite_words_every_question(data):
    for protocol in protocols(data):
        for question in questions(protocol.found, Path(protocol.data)):
            for prompt in protocol.found.prompts.values():
                words = prompt.word(question)
                assert "None" not in words.after and isinstance(words.before, str)


def test_nano_runs_through_every_suite(data, tmp_path):
    scripted_model("judge", lambda messages, config: "INCORRECT no [[1]] Score: [1]")
    whole, _ = run(protocols(data), model_named("nano"), tmp_path, QUIET)
    found = {r.protocol.suite: r for r in runs_in(tmp_path)}
    assert whole and found.keys() == SUITES.keys()
    for done in found.values():
        assert done.failed == 0
        assert all(1 <= r["numbers"]["tokens"] <= 24 for row in done.rows for r in row.replies)


@pytest.mark.parametrize("name", [s.name for s in SUITES.values() if s.mark is None])
def test_a_judged_suite_without_a_judge_says_whom_its_authors_use(name: str):
    with pytest.raises(ValueError, match=r"is scored by a judge .* pass --judge"):
        Protocol(suite=name)


@pytest.mark.parametrize("name", sorted(set(SUITES) - set(MADE)))
def test_missing_data_names_the_command_that_fetches_it(name: str, tmp_path):
    with pytest.raises(ValueError, match=f"Fetch {name} with:\n  "):
        questions(SUITES[name], tmp_path / "nowhere")
