"""The TRL half of the training benchmark: one optimiser step of PPO or GRPO on the nano model.

    python benchmarks/trl_side.py ppo  [--prompts 4] [--samples 16] [--prompt 96] [--reply 48]
    python benchmarks/trl_side.py grpo [--precision fp32|bf16] [--steps 4] [--warmup 1] [--rows 64]

It runs with the python of an environment of its own: PPO_PINS for `ppo` (1.12 is the last TRL with
that trainer), GRPO_PINS for `grpo`, then `pip install --no-deps --no-build-isolation -e .`. The
model is our class with the nano weights. TRL trains no sound, so the prompts are text, every prompt
has `--prompt` tokens and every reply exactly `--reply`: end-of-turn, padding and `<audio_patch>`
are never drawn.

A step is all that lies between the ends of two steps: replies, forward passes, update. The last
line is JSON: median wall and process seconds per step, what part generation and the frozen passes
take, and tokens made per step, which are counted and must be prompts * samples * reply.

`ppo`: K samples of a prompt are K copies of it, for the trainer draws one reply per prompt. One
epoch, one minibatch, gamma = lam = 1, no KL term. The critic is a second decoder of the same size.
The trainer scores with a reference model in any case: it is a copy, as the trainer makes it, or,
with `--stub-reference`, one that costs nothing. The reward model always costs nothing.

`grpo`: `num_generations` = K, no reference model (beta = 0), one iteration, a reward that is the
share of odd tokens. Its fused head wants a `base_model`: here the decoder without the sound.

Both run without gradient checkpointing, logging and saving, with the whole batch in one pass unless
`--rows` says how many rows one forward and backward pass takes.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from random import Random
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

_SHARED_PINS = (
    "torch==2.13.0",  # the CPU build, as in constraints.txt
    "transformers==5.23.0",
    "accelerate==1.15.0",
    "datasets==5.2.0",
    "tokenizers==0.23.3",
    "safetensors==0.8.0",
    "huggingface_hub==2.4.0",
    "numpy==2.4.6",
    "scipy==1.17.1",
    "soundfile==0.14.0",
    "jaxtyping==0.3.11",
    "tyro==1.0.17",
    "tqdm==4.70.1",
    "hatchling==1.27.0",  # builds our package in place
    "editables==0.6",
)
PPO_PINS = ("trl==1.12.0", *_SHARED_PINS)
GRPO_PINS = ("trl==1.16.0", *_SHARED_PINS)

WORDS = ("high", "low", "note", "sound", "bell", "dog", "rain", "voice", "first", "louder", "which")


class Probe:
    """Measures steps: their seconds, the seconds of named parts, and the tokens made."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.parts: dict[str, float] = defaultdict(float)
        self.tokens = 0
        self.wall = self.cpu = 0.0

    def start(self) -> None:
        """The clock of the next step begins now."""
        self.parts.clear()
        self.tokens = 0
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def end_step(self) -> None:
        """One step is done, the next begins."""
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        self.steps.append({"wall": wall, "cpu": cpu, "tokens": self.tokens, **self.parts})
        self.start()

    def timed(self, part: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """`call` with its seconds booked, where no gradient is recorded (so not in the update)."""
        began = time.perf_counter()
        out = call(*args, **kwargs)
        if not torch.is_grad_enabled():
            self.parts[part] += time.perf_counter() - began
        return out

    def watch(self, part: str, module: nn.Module, method: str = "forward") -> None:
        """Book the seconds of one method of a module."""
        setattr(module, method, partial(self.timed, part, getattr(module, method)))

    def watch_generate(self, model: Any) -> None:
        """Book the seconds of `generate` and count the tokens that it makes."""
        plain, pad = model.generate, model.config.pad_token_id

        def generate(input_ids: Tensor, **kwargs: Any) -> Any:
            out = self.timed("generate", plain, input_ids=input_ids, **kwargs)
            made = getattr(out, "sequences", out)[:, input_ids.shape[1] :]
            self.tokens += int((made != pad).sum())
            return out

        model.generate = generate


class CheapScore(nn.Module):
    """The least that PPOTrainer takes for a reward model: a "body" and a head `score`. The score of
    a token is its parity, so that advantages are not all alike."""

    base_model_prefix = "body"

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Identity()

    def body(self, input_ids: Tensor, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(hidden_states=((input_ids % 2).float()[..., None],))


class CheapReference(nn.Module):
    """Logits without a model behind them; with no KL term nothing depends on them."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary

    def forward(self, input_ids: Tensor, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, self.vocabulary))


class Critic(nn.Module):
    """Our critic under the names that PPOTrainer asks for: a decoder and a head `score`."""

    base_model_prefix = "body"

    def __init__(self, critic: Any) -> None:
        super().__init__()
        self.body, self.score = critic.model, critic.score


def open_nano() -> tuple[Any, Any]:
    """Policy in float32, without gradients for what hears, and the tokenizer."""
    from auscult.model.weights import open_model

    model, processor = open_model("nano", device="cpu", dtype=torch.float32)
    model.encoder.requires_grad_(False)
    model.adapter.requires_grad_(False)
    return model, processor.tokenizer


def never_drawn(model: Any) -> list[int]:
    """Tokens that would end a reply early or ask for sound."""
    config = model.config
    return sorted({config.eos_token_id, config.pad_token_id, config.audio_patch_token_id})


def text_prompts(tokenizer: Any, n: int, length: int) -> list[str]:
    """n different texts of exactly `length` tokens."""
    rng, out = Random(0), []
    while len(out) < n:
        text = " ".join(rng.choice(WORDS) for _ in range(length))
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][:length]
        text = tokenizer.decode(ids)
        if len(tokenizer(text)["input_ids"]) == length:
            out.append(text)
    return out


def step_callback(probe: Probe) -> Any:
    """Tells the probe where steps end; the same two events in both trainers."""
    from transformers import TrainerCallback

    class Steps(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            probe.start()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            probe.end_step()

    return Steps()


def common_settings(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    """What both trainers share."""
    batch = args.prompts * args.samples
    return {
        "output_dir": folder,
        "per_device_train_batch_size": args.rows,
        "gradient_accumulation_steps": batch // args.rows,
        "temperature": 1.0,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "gradient_checkpointing": False,  # TRL's default is True
        "bf16": args.precision == "bf16",  # TRL's default is True
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def ppo_trainer(args: argparse.Namespace, probe: Probe, folder: str) -> Any:
    """PPOTrainer with a critic of the policy's size."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    from auscult.model.model import StepAudio2ForTokenClassification
    from auscult.model.weights import locate

    policy, tokenizer = open_nano()
    # GenerationConfig is made inside the trainer; what it leaves open comes from the model's.
    policy.generation_config.suppress_tokens = never_drawn(policy)
    reference = CheapReference(policy.config.vocab_size) if args.stub_reference else None
    critic = Critic(
        StepAudio2ForTokenClassification.from_pretrained(locate("nano"), dtype=torch.float32)
    )
    batch = args.prompts * args.samples
    config = PPOConfig(
        **common_settings(args, folder),
        total_episodes=batch * (args.warmup + args.steps),
        num_ppo_epochs=1,
        num_mini_batches=1,
        local_rollout_forward_batch_size=batch,
        num_sample_generations=0,
        response_length=args.reply,
        gamma=1.0,
        lam=1.0,
        kl_coef=0.0,
        cliprange=0.2,
    )
    texts = text_prompts(tokenizer, args.prompts, args.prompt)
    rows = [tokenizer(text)["input_ids"] for text in texts for _ in range(args.samples)]
    trainer = PPOTrainer(
        args=config, processing_class=tokenizer, model=policy, ref_model=reference,
        reward_model=CheapScore(), value_model=critic, callbacks=[step_callback(probe)],
        train_dataset=Dataset.from_dict({"input_ids": rows}),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)  # it prints at every step
    probe.watch_generate(policy)
    probe.watch("reference", trainer.ref_model)
    probe.watch("value", critic.body)
    return trainer


def odd_reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
    """The share of odd tokens: the samples of a prompt rarely tie, so the gradient is not zero."""
    return [sum(token % 2 for token in ids) / len(ids) for ids in completion_ids]


def grpo_trainer(args: argparse.Namespace, probe: Probe, folder: str) -> Any:
    """GRPOTrainer on `generate` of transformers."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    model, tokenizer = open_nano()
    model.base_model_prefix = "model"  # where its fused head finds the decoder
    total = args.warmup + args.steps
    config = GRPOConfig(
        **common_settings(args, folder),
        max_steps=total,
        num_generations=args.samples,
        steps_per_generation=args.prompts * args.samples // args.rows,
        max_completion_length=args.reply,
        generation_kwargs={"suppress_tokens": never_drawn(model)},
        num_iterations=1,
        beta=0.0,
        epsilon=0.2,
    )
    probe.watch_generate(model)
    trainer = GRPOTrainer(
        model=model, reward_funcs=odd_reward, args=config, processing_class=tokenizer,
        callbacks=[step_callback(probe)],
        train_dataset=Dataset.from_dict(
            {"prompt": text_prompts(tokenizer, args.prompts, args.prompt) * total}
        ),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return trainer


def report(args: argparse.Namespace, probe: Probe) -> dict[str, Any]:
    """Medians over the timed steps. `RuntimeError` where steps or tokens are not as asked."""
    expected = args.prompts * args.samples * args.reply
    if len(probe.steps) != args.warmup + args.steps:
        raise RuntimeError(f"{len(probe.steps)} steps were made, not {args.warmup + args.steps}")
    made = [int(step["tokens"]) for step in probe.steps]
    if any(n != expected for n in made):
        raise RuntimeError(f"tokens per step are {made}; {expected} were asked for")
    timed = probe.steps[args.warmup :]

    def middle(name: str) -> float:
        return round(statistics.median(step[name] for step in timed), 4)

    parts = sorted(timed[0].keys() - {"wall", "cpu", "tokens"})
    return {
        "mode": args.mode,
        "model": "nano",
        "trl": version("trl"),
        "transformers": version("transformers"),
        "torch": torch.__version__,
        "precision": args.precision,
        "threads": torch.get_num_threads(),
        "prompts": args.prompts,
        "samples": args.samples,
        "prompt_tokens": args.prompt,
        "reply_tokens": args.reply,
        "rows_per_pass": args.rows,
        "stub_reference": args.stub_reference,
        "tokens_per_step": made[-1],
        "seconds_per_step": middle("wall"),
        "cpu_seconds_per_step": middle("cpu"),
        "parts": {part: middle(part) for part in parts},
        "steps": [round(step["wall"], 4) for step in timed],
    }


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=("ppo", "grpo"))
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=96, help="tokens of a prompt")
    parser.add_argument("--reply", type=int, default=48, help="tokens of a reply")
    parser.add_argument("--steps", type=int, default=4, help="timed steps")
    parser.add_argument("--warmup", type=int, default=1, help="steps before them")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, help="rows per pass of the update; the default is all")
    parser.add_argument("--stub-reference", action="store_true", help="ppo: a free reference model")
    args = parser.parse_args()
    batch = args.prompts * args.samples
    args.rows = args.rows or batch
    if batch % args.rows:
        parser.error(f"--rows {args.rows} does not divide the {batch} rows of a step")
    return args


def main() -> None:
    args = settings()
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "ACCELERATE_USE_CPU": "1",
    }
    if args.precision == "bf16":  # PPOTrainer hands its setting to accelerate only this way
        os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16"
    torch.set_num_threads(args.threads)
    probe = Probe()
    build = {"ppo": ppo_trainer, "grpo": grpo_trainer}[args.mode]
    with tempfile.TemporaryDirectory() as folder:
        build(args, probe, folder).train()
    print(json.dumps(report(args, probe)), flush=True)


if __name__ == "__main__":
    main()
