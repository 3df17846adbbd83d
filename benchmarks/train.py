"""One PPO step against TRL 1.12's PPO, one GRPO-style step against TRL's current GRPO, and SFT
tokens per second against a bare loop: the same nano model, prompts, replies and token counts, one
thread, float32, measured in turn in one run.

    python benchmarks/train.py            # makes two environments for TRL below .venv-trl
    python benchmarks/train.py --no-trl   # SFT against the bare loop only

Text only, because TRL trains no sound. Replies are exactly `--reply` tokens long on both sides.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from machine import on

sys.path.insert(0, str(Path(__file__).parent))
ROOT = Path(__file__).parent.parent


def environment(name: str, pins: tuple[str, ...]) -> str:
    """The python of an environment with these packages and this project, made when missing."""
    folder = ROOT / ".venv-trl" / name
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"making {folder} (once, some minutes)")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *pins], check=True)
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", ROOT], check=True)
        (folder / "ready").touch()
    return str(python)


def trl(python: str, mode: str, args: argparse.Namespace) -> dict[str, float]:
    """What TRL takes; see trl_side.py."""
    sizes = [f"--{n}={getattr(args, n)}" for n in ("prompts", "samples", "prompt", "reply")]
    command = [python, str(ROOT / "benchmarks" / "trl_side.py"), mode, *sizes, "--steps=3"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        raise SystemExit(f"TRL's side failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


class Ours:
    """Our side: the same sizes through our engine and our trainer."""

    def __init__(self, args: argparse.Namespace, advantage: str) -> None:
        from auscult.model.weights import locate
        from auscult.train.core import Learner, Machine, Rate, make_critic, open_for_training
        from auscult.train.forward import Actor
        from auscult.train.rl.ppo import Ppo, PpoStep
        from auscult.train.rl.rollout import Rollouts

        self.args = args
        machine = Machine(precision="fp32")
        model, self.processor = open_for_training(locate("nano"), machine)
        parts: dict[str, torch.nn.Module] = {"actor": Actor(model)}
        if advantage == "gae":
            parts["critic"] = make_critic(model)
        config = Ppo(
            steps=99, actor=Rate(peak=1e-6, end=1.0), critic=Rate(peak=1e-6, end=1.0),
            critic_warmup=0, advantage=advantage, machine=machine,
        )  # fmt: skip
        learner = Learner(parts, machine, weight_decay=0.0)
        self.sampler = Rollouts(model, self.processor, machine, rows=args.prompts * args.samples)
        self.step = PpoStep(config, [], learner, self.processor, self.sampler)
        rng = np.random.default_rng(0)
        words = [i for i in range(100, 1200) if i != model.config.audio_patch_token_id]
        self.prompts = [
            tuple(int(x) for x in rng.choice(words, args.prompt)) for _ in range(args.prompts)
        ]

    def __call__(self, number: int) -> int:
        """One whole step: sampling, rewards, update; tokens that were sampled."""
        from auscult.train.feed.batch import Encoded
        from auscult.types import Rollout

        engine = self.sampler.refresh()
        groups = [
            [Rollout(item=_item(), score=0.0, reply=reply) for reply in replies]
            for replies in _sample(engine, self.prompts, self.args, number)
        ]
        encoded = [
            Encoded(
                prompt=prompt, replies=tuple(r.reply.tokens for r in group),
                numbers=tuple(range(i * len(group), (i + 1) * len(group))),
                sampled=tuple(r.reply.logprobs for r in group),
            )
            for i, (prompt, group) in enumerate(zip(self.prompts, groups, strict=True))
        ]  # fmt: skip
        rewards = [float(sum(r.reply.tokens) % 2) for group in groups for r in group]
        self.step.update(encoded, groups, rewards, number)
        return sum(len(r.reply.tokens) for group in groups for r in group)


def _item():
    from auscult.types import Item

    return Item(key="", task="", clips=(), question="", answer="", facts={}, features=(),
                heard=(), inference="")  # fmt: skip


def _sample(engine, prompts, args, seed):
    """K replies of exactly G tokens to each prompt, which is given as ids and not as a turn."""
    from auscult.engine import Request, Sampling, Thinking
    from auscult.engine.reading import Prompt
    from auscult.types import Turn

    def prepare(turns, *_, **__):
        ids = tuple(prompts[int(turns[0].text)])
        return Prompt(ids, engine.model.splice(torch.tensor([ids]), None)[0])

    engine.listener.prepare = torch.inference_mode()(prepare)
    sampling = Sampling(temperature=1.0, max_tokens=args.reply, min_tokens=args.reply + 1,
                        loop=0, seed=seed)  # fmt: skip
    numbers = [[Turn(role="human", text=str(i))] for i in range(len(prompts))]
    free, n = Thinking(minimum=0), args.samples
    answers = engine.ask([
        Request(turns=turns, n=n, sampling=sampling, thinking=free, draw=i * n)
        for i, turns in enumerate(numbers)
    ])  # fmt: skip
    return [answered.replies for answered in answers]


def ours(args: argparse.Namespace, advantage: str) -> float:
    """Median seconds of a step."""
    step = Ours(args, advantage)
    wanted = args.prompts * args.samples * args.reply
    seconds = []
    for number in range(args.steps + 1):
        began = time.perf_counter()
        tokens = step(number)
        seconds.append(time.perf_counter() - began)
        if tokens != wanted:
            raise SystemExit(f"{tokens} tokens were sampled, {wanted} were asked for")
    return statistics.median(seconds[1:])


def sft(args: argparse.Namespace) -> tuple[float, float]:
    """Tokens per second of (our SFT step, a bare loop over the same batches), in turn."""
    from auscult.model.weights import locate
    from auscult.train.core import Learner, Machine, open_for_training
    from auscult.train.feed.data import Mixture, Stream
    from auscult.train.forward import Actor
    from auscult.train.sft import Sft, _step

    machine = Machine(precision="fp32")
    model, processor = open_for_training(locate("nano"), machine)
    bare, _ = open_for_training(locate("nano"), machine)
    mixture = Mixture(kinds=(("twin_chain", 1.0),), tasks=("sort_tones", "event_arithmetic"))
    config = Sft(mixture=mixture, steps=99, batch_size=32, machine=machine)
    batches = Stream(mixture, processor, 32, 0)[0][: args.steps + 1]
    learner = Learner({"actor": Actor(model)}, machine)
    trained = [p for p in bare.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-6, fused=True)
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    for number, batch in enumerate(batches):
        began = time.perf_counter()
        _step(learner, None, batch, number, config)
        middle = time.perf_counter()
        _bare(bare, optimizer, batch, trained)
        if number:
            times["ours"].append(middle - began)
            times["bare"].append(time.perf_counter() - middle)
    tokens = float(np.mean([b.input_ids.numel() for b in batches[1:]]))
    return tokens / float(np.mean(times["ours"])), tokens / float(np.mean(times["bare"]))


def _bare(model, optimizer, batch, trained) -> None:
    """The plainest training step: logits of all positions, cross-entropy, clip, step."""
    labels = torch.full_like(batch.input_ids, -100).flatten()
    labels[batch.source] = batch.targets
    logits = model(batch.input_ids, attention_mask=(batch.segments >= 0).long()).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def main() -> None:
    """Print the three ratios and what they are made of."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("prompts", 4), ("samples", 16), ("prompt", 96), ("reply", 48)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--no-trl", action="store_true")
    parser.add_argument("--trl-ppo", default="", help="python with TRL 1.12; '' = make it")
    parser.add_argument("--trl-grpo", default="", help="python with the current TRL; '' = make it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, one thread, float32")
    mine, bare = sft(args)
    print(f"SFT: {mine:,.0f} tokens/s, bare loop {bare:,.0f}: ratio {mine / bare:.2f}{on()}")
    if args.no_trl:
        return
    from trl_side import GRPO_PINS, PPO_PINS

    for mode, advantage, python, pins in (
        ("ppo", "gae", args.trl_ppo, PPO_PINS),
        ("grpo", "group_normalised", args.trl_grpo, GRPO_PINS),
    ):
        first = ours(args, advantage)
        other = trl(python or environment(mode, pins), mode, args)
        again = ours(args, advantage)
        seconds = (first + again) / 2
        print(
            f"{mode}: {seconds:.2f} s a step (before and after: {first:.2f}, {again:.2f}), TRL "
            f"{other['trl']} {other['seconds_per_step']:.2f} s: ratio "
            f"{other['seconds_per_step'] / seconds:.2f}{on()}"
        )


if __name__ == "__main__":
    main()
