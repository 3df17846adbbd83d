"""Scores of a thought, the attacks on them, and the frozen sets of prose."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_verify import PLAIN_TASKS, melody

from auscult import gym
from auscult.gym.render import chain
from auscult.verify.claims import Claim, Part
from auscult.verify.coherence import coherence, wrong_steps
from auscult.verify.grounded import grounded, grounding, thresholds
from auscult.verify.lab.attacks import ATTACKS
from auscult.verify.read.extract import extract
from auscult.verify.scores import (
    Elsewhere,
    contradictions,
    information_bits,
    lift,
    precision,
    score,
    surrogate,
)
from auscult.verify.verify import check_text, listen

DATA = Path(__file__).parent / "data" / "grounding"


def test_a_vacuous_claim_carries_no_information_and_a_rare_one_does():
    found = check_text("There are two notes.", [melody(60, 67)])
    assert information_bits(found, [Elsewhere(supported=9, decided=9)]) < 0.1
    assert information_bits(found, [Elsewhere(supported=0, decided=9)]) > 4
    assert information_bits(found, [Elsewhere(supported=0, decided=0)]) == 0


def test_lift_is_support_here_minus_support_elsewhere():
    found = check_text("There are two notes.", [melody(60, 67)])
    assert lift(found, [Elsewhere(supported=2, decided=8)]) == pytest.approx(0.75)
    assert lift(found, [Elsewhere(supported=8, decided=8)]) == 0.0


def test_a_hedge_counts_half_and_a_denial_that_holds_not_at_all():
    firm = check_text("There are two notes.", [melody(60, 67)])
    hedged = check_text("Maybe there are two notes.", [melody(60, 67)])
    denial = check_text("There is no bark.", [melody(60, 67)])
    assert precision(firm) == 1.0 and precision(hedged) == 0.5 and np.isnan(precision(denial))
    assert precision(check_text("There are not two notes.", [melody(60, 67)])) == 0.0


def test_what_is_false_counts_however_late_it_comes():
    many = [f"The first note is not {n}." for n in "DEFGAB"] * 3
    text = " ".join(["There are two notes.", *many, "There are nine notes."])
    scores, _ = score(text, listen([melody(60, 67)]))
    assert scores.hallucination > 0 and scores.precision == 0.5


def test_opposites_are_counted_as_contradictions():
    assert contradictions(extract("The pitch rises. The pitch falls.")) == 1
    assert contradictions(extract("There are two knocks. There are three knocks.")) == 1
    assert (
        contradictions(
            extract("The first is louder than the second. The second is louder than the first.")
        )
        == 1
    )
    assert contradictions(extract("The pitch rises. The level falls.")) == 0
    assert contradictions(extract("I hear chirp, horn, chirp. Counting chirp: 1, 2, 3.")) == 1
    assert contradictions(extract("I hear chirp, horn, chirp. Counting chirp: 1, 2.")) == 0


def test_reasoning_about_a_text_is_seen():
    assert surrogate("According to the transcript it is raining. The caption agrees.") == 1.0
    assert surrogate("I hear rain. It is steady.") == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "1 + 1 = 3.",
        "7 is even.",
        "C4 is higher than E4.",
        "Counting: 1, 2, 4.",
        "0.4 s is longer. 3 > 5.",
        "A4 equals C5.",
        "C5 differs from C5.",
        "Semitones from A4: A#4 1, B4 3.",
        "Semitones from A4: A#4 1, C5 2.",
    ],
)
def test_a_false_step_is_incoherent(text: str):
    assert wrong_steps(text)
    assert not coherence(text, [])[0]


@pytest.mark.parametrize("task", PLAIN_TASKS)
def test_true_chains_are_coherent_with_their_answer_and_with_no_other(task: str):
    item = gym.make(task, 72_001)
    text = chain(item)
    assert coherence(text, extract(text), item.answer, item.options) == (True, "")


def test_an_answer_that_the_thought_does_not_conclude_is_incoherent():
    ok, why = coherence("I hear two notes. So it is major.", [], "minor", ("major", "minor"))
    assert not ok and "'major'" in why


@pytest.mark.parametrize("name", list(ATTACKS))
def test_no_attack_scores_above_the_true_chain(name: str):
    for task in ("event_order", "tempo", "highest_note", "background", "liveliness", "gap_compare"):
        items = [gym.make(task, 73_000 + i) for i in range(5)]
        ears = [listen(item.clips) for item in items]
        item = items[0]
        known = {
            "features": item.features, "answer": item.answer, "options": item.options,
            "question": item.question, "others": ears[1:],
        }  # fmt: skip
        true, _ = score(chain(item), ears[0], **known)
        text = ATTACKS[name](item, items[1], np.random.default_rng(0))
        attack, _ = score(text, ears[0], **known)
        assert grounding(attack) <= grounding(true) + 1e-9


def test_a_true_chain_is_grounded_and_another_clips_chain_is_not():
    items = [gym.make("event_order", 74_000 + i) for i in range(6)]
    ears = [listen(item.clips) for item in items]
    true, _ = score(chain(items[0]), ears[0], features=items[0].features, others=ears[1:])
    other, _ = score(chain(items[1]), ears[0], features=items[0].features, others=ears[1:])
    assert grounded(true).keep and not grounded(other).keep
    assert true.lift > 0.5 > other.lift
    assert 0 < thresholds().grounding < 1


def test_what_the_question_already_says_earns_nothing():
    clip = melody(60, 67)
    free, _ = score("There are two notes.", listen([clip]))
    given_, _ = score("There are two notes.", listen([clip]), question="There are two notes?")
    assert free.claims == 1 and given_.claims == 0


# ------------------------------------------------------------------------------ the frozen sets


def test_the_prose_sets_are_whole():
    for name in ("prose_test", "prose_dev"):
        rows = [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]
        assert len(rows) == 200 and len({row["item"] for row in rows}) == 40
        assert all(c["verdict"] in ("true", "false", "open") for r in rows for c in r["claims"])


def test_the_grammar_keeps_what_it_has_learnt_on_the_development_prose():
    from auscult.verify.lab.agree import same_content

    rows = [json.loads(line) for line in (DATA / "prose_dev.jsonl").read_text().splitlines()]
    found = wanted = 0
    for row in rows:
        rest = extract(row["text"])
        for label in row["claims"]:
            value = label["value"]
            value = tuple(value) if isinstance(value, list) else value
            number = isinstance(value, int) and not isinstance(value, bool)
            claim = Claim(
                kind=label["kind"], attribute=label["attribute"],
                about=Part(subject=label["subject"]), negated=label["negated"],
                value=float(value) if number else value,
            )  # fmt: skip
            wanted += 1
            found += any(same_content(c, claim) for c in rest)
    assert found / wanted >= 0.65
