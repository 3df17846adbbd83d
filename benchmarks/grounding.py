"""The verifier's figures: `python benchmarks/grounding.py`. Every line has n and a 95 % interval.

Claims come from gym facts of held-out items (true, and false by a margin), in phrases of
tests/data/grounding/phrases_heldout.toml that nobody looked at while the grammar was written. A
claim counts as parsed when the intended claim is among those extracted; a verdict is right when a
true claim is supported and a false one contradicted, through the whole way from text and sound. A
false statement out of which *any* claim is supported in place of the intended one counts as falsely
supported.
"""

import argparse
import json
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from machine import on
from praat import real_figure
from tqdm import tqdm

from auscult import gym
from auscult.audio import speech
from auscult.gym.render import chain
from auscult.stats.intervals import wilson
from auscult.types import Item
from auscult.verify.claims import CONTRADICTED, REST, SUPPORTED, Claim, Part
from auscult.verify.grounded import grounded, grounding
from auscult.verify.hear.measures import MEASURES, take
from auscult.verify.lab.agree import same_claim, same_content
from auscult.verify.lab.attacks import ATTACKS
from auscult.verify.lab.fit import in_noise
from auscult.verify.lab.statements import Statement, statements
from auscult.verify.read.extract import extract
from auscult.verify.scores import score
from auscult.verify.verify import Ears, listen, verify

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data" / "grounding"
SEED = 7
# Noise changes what is true of these.
NOISE_CHANGES = ("quality.noise", "comparison.noise", "quality.breath")


def phrases(file: Path) -> dict[str, list[str]]:
    """Key -> templates, from nested tables."""

    def walk(table: dict, prefix: str) -> Iterator[tuple[str, list[str]]]:
        for name, value in table.items():
            if name == "templates":
                yield prefix, value
            elif isinstance(value, dict):
                yield from walk(value, f"{prefix}.{name}" if prefix else name)

    return dict(walk(tomllib.loads(file.read_text()), ""))


def tasks() -> list[str]:
    return [t for t in gym.TASKS if t not in gym.SPEECH_TASKS or speech.available()]


ANYWHERE = [False]
"""Whether the sounds lie anywhere in a longer recording; set by --anywhere."""


def made(task: str, index: int) -> Item:
    """A held-out item."""
    return gym.make(task, index, split="heldout", anywhere=ANYWHERE[0])


def share(right: int, n: int) -> str:
    e = wilson(right, n)
    return f"{100 * e.mean:6.2f} % [{100 * e.low:.1f}, {100 * e.high:.1f}] n={n}"


def drawn(per_task: int, file: Path) -> Iterator[tuple[Statement, str, bool]]:
    """(statement, its sentence, whether the sentence names both sides of a comparison)."""
    templates = phrases(file)
    for task in tasks():
        for i in range(per_task):
            item = made(task, 40_000 + i)
            rng = np.random.default_rng([SEED, i, len(task)])
            for s in statements(item, rng):
                text = templates[s.key][int(rng.integers(len(templates[s.key])))]
                both = "comparison" not in s.key or "{b}" in text
                if not both and len(s.claim.key) and _more_than_two(s, item):
                    continue  # "the longer one is the third" says nothing of three tones
                yield s, text.format(**s.slots), both


def _more_than_two(s: Statement, item: Item) -> bool:
    return len(item.clips) == 1 and len(listen(item.clips)[0].sounds) > 2


def claims_figure(per_task: int, file: Path, snr_db: float) -> None:
    """Parsed, right verdicts and false support, end to end and for typed claims."""
    tally: Counter[str] = Counter()
    by_key: dict[str, list[bool]] = defaultdict(list)
    heard: dict[tuple[int, ...], Ears] = {}
    for s, text, both in tqdm(list(drawn(per_task, file)), desc=f"{snr_db} dB", disable=None):
        if np.isfinite(snr_db) and s.key.startswith(NOISE_CHANGES):
            continue
        key = tuple(id(c) for c in s.clips)
        if key not in heard:
            rng = np.random.default_rng(SEED)
            heard[key] = listen([in_noise(rng, c, snr_db) for c in s.clips])
        ears, wanted = heard[key], SUPPORTED if s.true else CONTRADICTED
        got = extract(text)
        match = next((c for c in got if same_claim(c, s.claim, other_named=both)), None)
        typed = verify(s.claim, ears).verdict
        tally["n"] += 1
        tally["false"] += not s.true
        tally["typed right"] += typed == wanted
        tally["typed false support"] += (not s.true) and typed == SUPPORTED
        tally["parsed"] += match is not None
        if match is not None:
            verdict = verify(match, ears).verdict
            tally["right"] += verdict == wanted
            tally["false support"] += (not s.true) and verdict == SUPPORTED
            tally["believed"] += (not s.true) and verdict == SUPPORTED
            tally["false parsed"] += not s.true
            by_key[s.key].append(verdict == wanted)
        elif not s.true:
            tally["false support"] += any(verify(c, ears).verdict == SUPPORTED for c in got)
    name = "clean" if not np.isfinite(snr_db) else f"{snr_db:.0f} dB SNR"
    print(f"claims from facts, {file.stem}, {name}, seed {SEED}:")
    print(f"  parsed                        {share(tally['parsed'], tally['n'])}")
    print(f"  verdict right, of parsed      {share(tally['right'], tally['parsed'])}")
    print(f"  verdict right, end to end     {share(tally['right'], tally['n'])}")
    print(f"  false, parsed, supported      {share(tally['believed'], tally['false parsed'])}")
    print(f"  false, anything supported     {share(tally['false support'], tally['false'])}")
    print(f"  verdict right, typed claims   {share(tally['typed right'], tally['n'])}")
    print(f"  false typed claims supported  {share(tally['typed false support'], tally['false'])}")
    worst = sorted(by_key.items(), key=lambda kv: np.mean(kv[1]))[:5]
    print("  weakest: " + ", ".join(f"{k} {np.mean(v):.2f} (n={len(v)})" for k, v in worst))


def labelled(data: dict) -> Claim:
    """A hand label as a claim."""

    def part(at: object, subject: str) -> Part:
        text = str(at or "")
        if text.startswith("clip "):
            return Part(subject=subject, clip=int(text[5:]))
        if text == "last":
            return Part(subject=subject, place=-1)
        return Part(subject=subject, place=int(text)) if text.isdigit() else Part(subject=subject)

    value = data["value"]
    value = tuple(value) if isinstance(value, list) else value
    value = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    other = data.get("other")
    if other is not None and other != "":
        other = (
            REST if other == "rest" else part(other, "" if str(other)[:1].isdigit() else str(other))
        )
    return Claim(
        kind=data["kind"], attribute=data["attribute"], value=value,
        about=part(data.get("at"), data.get("subject", "")), other=other or None,
        negated=bool(data.get("negated")), hedged=bool(data.get("hedged")),
    )  # fmt: skip


def prose_figure(file: Path) -> None:
    """Precision and recall of extraction, and of verdicts, on hand-labelled prose."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    tally: Counter[str] = Counter()
    meaning = {"true": SUPPORTED, "false": CONTRADICTED}
    for row in rows:
        task, split, level, index = row["item"].split("/")
        item = gym.make(task, int(index), split=split, level=int(level), anywhere=False)
        ears = listen(item.clips)
        rest = extract(row["text"])
        tally["extracted"] += len(rest)
        for label in row["claims"]:
            tally["labelled"] += 1
            wanted = labelled(label)
            hit = next((c for c in rest if same_content(c, wanted)), None)
            if hit is None:
                tally["decided"] += label["verdict"] in meaning
                continue
            rest.remove(hit)
            tally["matched"] += 1
            verdict = verify(hit, ears).verdict
            if label["verdict"] in meaning:
                tally["decided"] += 1
                tally["matched decided"] += 1
                tally["verdict right"] += verdict == meaning[label["verdict"]]
                tally["false"] += label["verdict"] == "false"
                tally["false supported"] += label["verdict"] == "false" and verdict == SUPPORTED
            else:
                tally["open"] += 1
                tally["open right"] += verdict not in (SUPPORTED, CONTRADICTED)
    print(f"free prose, {file.stem}: {len(rows)} sentences, {tally['labelled']} labelled claims")
    print(f"  extraction precision      {share(tally['matched'], tally['extracted'])}")
    print(f"  extraction recall         {share(tally['matched'], tally['labelled'])}")
    print(f"  verdict right, of matched {share(tally['verdict right'], tally['matched decided'])}")
    print(f"  verdict right, of all     {share(tally['verdict right'], tally['decided'])}")
    print(f"  false claims supported    {share(tally['false supported'], tally['false'])}")
    print(f"  open claims left open     {share(tally['open right'], tally['open'])}")


def lift_figure(per_task: int, others: int = 8) -> None:
    """AUC of grounding lift: the true chain on its own clip against on another item's clip; and the
    attacks. Clips of the same task serve as the others."""
    own: list[float] = []
    swapped: list[float] = []
    table: dict[str, list[tuple[float, float, bool]]] = defaultdict(list)
    for task in tqdm(tasks(), desc="lift and attacks", disable=None):
        items = [made(task, 50_000 + i) for i in range(per_task + others)]
        ears = [listen(item.clips) for item in items]
        for i in range(per_task):
            item, j = items[i], (i + 1) % per_task
            if set(item.features) <= {"words"}:
                continue
            rest = [e for k, e in enumerate(ears) if k not in (i, j)][:others]
            known: dict = {
                "features": item.features, "answer": item.answer, "options": item.options,
                "question": item.question, "others": rest,
            }  # fmt: skip
            true, _ = score(chain(item), ears[i], **known)
            other, _ = score(chain(item), ears[j], **known)
            if not (np.isnan(true.lift) or np.isnan(other.lift)):
                own.append(true.lift)
                swapped.append(other.lift)
            table["true chain"].append((grounding(true), grounding(true), grounded(true).keep))
            for name, attack in ATTACKS.items():
                text = attack(item, items[j], np.random.default_rng([SEED, i]))
                s, _ = score(text, ears[i], **known)
                table[name].append((grounding(s), grounding(true), grounded(s).keep))
    p, q = np.array(own), np.array(swapped)
    print(f"grounding lift, true chains, n={len(p)} own and {len(q)} swapped, {others} others:")
    print(f"  own {p.mean():.3f}, swapped {q.mean():.3f}, AUC {auc(p, q):.4f} {auc_interval(p, q)}")
    print(f"attacks: {'grounding mean':>33}  max   called grounded        above the true chain")
    for name, rows in table.items():
        got = np.array([r[0] for r in rows])
        above = sum(a > b + 1e-9 for a, b, _ in rows)
        kept = sum(k for *_, k in rows)
        print(f"  {name:28} {got.mean():10.3f} {got.max():8.3f}  {share(kept, len(rows))}  {above}")


def auc(p: np.ndarray, q: np.ndarray) -> float:
    """P(own > swapped) + P(equal) / 2."""
    return float(np.mean((p[:, None] > q[None]) + 0.5 * (p[:, None] == q[None])))


def auc_interval(p: np.ndarray, q: np.ndarray, draws: int = 300) -> str:
    rng = np.random.default_rng(SEED)
    found = [
        auc(p[i], q[i]) for i in (rng.integers(len(p), size=len(p)) for _ in range(draws))
    ]  # items are drawn, so that both sides of an item stay together
    low, high = np.percentile(found, (2.5, 97.5))
    return f"[{low:.3f}, {high:.3f}] (bootstrap over items)"


def model_figure(model: str, per_task: int, others: int = 8) -> None:
    """A model's own thoughts: what the verifier says of them, and how well grounding lift and the
    entropy gap tell its thoughts on their own clip from the same thoughts on another item's."""
    from dataclasses import replace

    from auscult.engine import Engine, Sampling, Thinking
    from auscult.gym.render import question_turns
    from auscult.model.weights import open_model
    from auscult.verify.lab.entropy import entropy_gap

    net, processor = open_model(model)
    engine = Engine(
        net, processor, rows=32, sampling=Sampling(temperature=0.0, max_tokens=256),
        thinking=Thinking.parse("free"),
    )  # fmt: skip
    pairs: dict[str, list[tuple[float, float]]] = {"grounding lift": [], "entropy gap": []}
    tally: Counter[str] = Counter()
    for task in tqdm(tasks(), desc=model, disable=None):
        items = [made(task, 90_000 + i) for i in range(per_task + others)]
        ears = [listen(item.clips) for item in items]
        replies = engine.sample(items[:per_task], 1)
        for i in range(per_task):
            item, thought, j = items[i], replies[i][0].thought, (i + 1) % per_task
            if set(item.features) <= {"words"} or not thought.strip():
                continue
            rest = [e for k, e in enumerate(ears) if k not in (i, j)][:others]
            here, findings = score(
                thought, ears[i], features=item.features, others=rest, question=item.question
            )
            there, _ = score(thought, ears[j], others=rest)
            tally["thoughts"] += 1
            tally["grounded"] += grounded(here).keep
            tally["supported"] += sum(f.verdict == SUPPORTED for f in findings)
            tally["contradicted"] += sum(f.verdict == CONTRADICTED for f in findings)
            swapped = replace(item, clips=items[j].clips)
            gaps = [
                entropy_gap(net, processor, question_turns(x), thought).mean
                for x in (item, swapped)
            ]
            pairs["entropy gap"].append((gaps[0], gaps[1]))
            if not (np.isnan(here.lift) or np.isnan(there.lift)):
                pairs["grounding lift"].append((here.lift, there.lift))
    decided = tally["supported"] + tally["contradicted"]
    print(f"thoughts of {model} on held-out items, greedy, {per_task} per task:")
    print(f"  thoughts called grounded  {share(tally['grounded'], tally['thoughts'])}")
    print(f"  claims borne out          {share(tally['supported'], decided)}")
    for name, rows in pairs.items():
        p, q = np.array(rows).T
        print(
            f"  {name:15} own {p.mean():.3f}, swapped {q.mean():.3f}, AUC {auc(p, q):.3f} "
            f"{auc_interval(p, q)}, n={len(rows)}"
        )


def speed_figure(n: int = 300) -> None:
    """Traces per minute with measurements cached, and the cold cost of measuring."""
    rng = np.random.default_rng(SEED)
    names = [t for t in tasks() if t in ("event_order", "count_among", "rule_following")]
    items = [gym.make(names[k % len(names)], 60_000 + k) for k in range(12)]
    clips = [np.concatenate([i.clips[0], np.zeros(64_000, np.float32)])[:64_000] for i in items]
    texts = [
        f"{chain(item)} The clip lasts 4 seconds. The first sound starts at 0.05 s and the last "
        f"one is quieter than the first. I listen again from the beginning to be sure of what I "
        f"heard, since it is easy to be misled by what one expects; nothing else changes my mind. "
        f"There is no rain in the background, the recording is rather clean, and no voice can be "
        f"heard. All in all the evidence points in one direction, and I can answer with confidence."
        for item in items
    ]
    ears = [listen([c]) for c in clips]
    began = time.process_time()
    for ear in ears:
        for name in MEASURES:
            take(ear[0], name)
    cold = 1000 * (time.process_time() - began) / sum(len(c) / 16000 for c in clips)
    words = np.mean([len(t.split()) for t in texts])
    found = np.mean([len(extract(t)) for t in texts])
    for k in range(12):
        score(texts[k], ears[k])
    began = time.process_time()
    for _ in range(n):
        k = int(rng.integers(12))
        score(texts[k], ears[k])
    per_minute = 60 * n / (time.process_time() - began)
    print(
        f"speed, one core: {per_minute:.0f} traces a minute ({words:.0f} words, {found:.1f} claims,"
    )
    print(f"  4 s clips, measurements cached); all {len(MEASURES)} measurements cold {cold:.1f} ms")
    print(f"  per second of clip (target: 1,000 traces a minute on two cores, 60 ms){on()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10, help="items per task for the claims")
    parser.add_argument("--chains", type=int, default=6, help="items per task for lift and attacks")
    parser.add_argument("--real", type=Path, default=ROOT.parent / "shared" / "real")
    parser.add_argument("--phrases", type=Path, default=DATA / "phrases_heldout.toml")
    parser.add_argument("--only", default="", help="one of claims, prose, lift, model, speed, real")
    parser.add_argument("--model", default="nano", help="whose thoughts to look at")
    parser.add_argument("--anywhere", action="store_true", help="sounds within longer recordings")
    args = parser.parse_args()
    ANYWHERE[0] = args.anywhere
    parts = {
        "claims": lambda: [claims_figure(args.items, args.phrases, s) for s in (np.inf, 10.0)],
        "prose": lambda: [prose_figure(DATA / f"prose_{name}.jsonl") for name in ("test", "dev")],
        "lift": lambda: lift_figure(args.chains),
        "model": lambda: model_figure(args.model, max(2, args.chains // 2)),
        "speed": speed_figure,
        "real": lambda: real_figure(args.real),
    }
    for name, run in parts.items():
        if args.only in ("", name):
            run()


if __name__ == "__main__":
    main()
