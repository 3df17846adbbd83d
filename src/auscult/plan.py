"""What a recipe would run: replies, tokens, steps, memory per device and time. Arithmetic only;
nothing is loaded or trained. Every assumption is printed with the result."""

from dataclasses import dataclass

from auscult.model import SIZES
from auscult.recipe import Recipe
from auscult.train.core import Machine
from auscult.train.distil import Distil
from auscult.train.sft import Sft
from auscult.train.stages import Rl, SelfCognition


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The machine that is planned for.

    tflops: dense bf16 of one device; mfu: the share of them that training reaches; decode_tokens_s:
    tokens per second that one device samples (an inference server, many rows).
    """

    devices: int = 16
    gib: float = 139.0
    tflops: float = 990.0
    mfu: float = 0.35
    decode_tokens_s: float = 1500.0
    thought: int = 2600  # tokens of a reply; the paper's runs lie between 2,500 and 3,200
    prompt: int = 400  # tokens of a question with its sound: 25 s are 313


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One stage of the plan. Example: Line(stage="rl_1", steps=59, replies=60_416, trained=1.6e8,
    sampled=2.2e8, gib=61.0, hours=21.0)."""

    stage: str
    steps: int
    replies: int
    trained: float  # tokens read by forward and backward passes
    sampled: float  # tokens written
    gib: float  # per device: the greater of loading and training
    hours: float


def _weights_gib(parameters: float, machine: Machine, hardware: Hardware, models: float) -> float:
    """Weights, gradients and optimiser states of one device: 16 bytes a parameter with AdamW in
    float32, 10 with 8-bit states; sharded over all devices."""
    bytes_each = 16 if machine.optimizer == "adamw" else 10
    share = hardware.devices if machine.shard else 1
    return models * parameters * bytes_each / share / 2**30


def _loading_gib(parameters: float, models: float, machine: Machine) -> float:
    """Every process opens each model whole and in float32 before it keeps its share, and the engine
    has a whole copy and the fused weights of its own, unless a server samples."""
    copies = models + (0 if machine.rollouts.startswith("http") else 2)
    return copies * parameters * 4 / 2**30


def _activations_gib(size: str, machine: Machine) -> float:
    """Activations of one pass: 34 bytes per position, width and layer (Korthikanti et al. 2022,
    without attention maps); with recomputation 2 per layer and the 34 of one layer."""
    s = SIZES[size]
    layers = 2 * s.layers + 34 if machine.recompute else 34 * s.layers
    return layers * s.hidden * machine.micro_tokens / 2**30


def plan(recipe: Recipe, size: str, parameters: float, hardware: Hardware) -> list[Line]:
    """One line per stage. `size` is a name in `model.SIZES`, `parameters` their number."""
    speed = hardware.devices * hardware.tflops * 1e12 * hardware.mfu
    lines: list[Line] = []
    for stage in recipe.stages:
        steps, replies, trained, sampled, machine, models = _counts(stage.config, hardware)
        seconds = 6 * parameters * models * trained / speed
        seconds += sampled / (hardware.devices * hardware.decode_tokens_s)
        gib = _weights_gib(parameters, machine, hardware, models) + _activations_gib(size, machine)
        gib = max(gib, _loading_gib(parameters, models, machine))
        lines.append(
            Line(
                stage=stage.name, steps=steps, replies=replies, trained=trained, sampled=sampled,
                gib=gib, hours=seconds / 3600,
            )
        )  # fmt: skip
    return lines


def _counts(config: object, hardware: Hardware) -> tuple[int, int, float, float, Machine, float]:
    """(steps, sampled replies, tokens trained on, tokens sampled, machine, models in memory)."""
    thought, prompt = hardware.thought, hardware.prompt
    if isinstance(config, Sft):
        examples = config.steps * config.batch_size
        return config.steps, 0, examples * (prompt + thought / 4), 0, config.machine, 1
    if isinstance(config, Distil):
        steps, _, trained, _, machine, _ = _counts(config.sft, hardware)
        replies = config.questions * (config.k + config.silent)
        return steps, replies, trained, replies * thought, machine, 1
    if isinstance(config, Rl):
        ppo, band = config.ppo, config.band
        judged = (config.audio * 2 + config.text) * band.n if band else 0
        rollouts = ppo.steps * ppo.prompts * ppo.samples
        trained = ppo.steps * ppo.prompts * (prompt + ppo.samples * thought)
        sampled = (judged + rollouts) * thought
        models = 2 if ppo.advantage == "gae" else 1
        return ppo.steps, judged + rollouts, trained, sampled, ppo.machine, models
    if isinstance(config, SelfCognition):
        dpo = config.dpo
        replies = 2 * config.prompts * config.k
        trained = dpo.steps * dpo.pairs * (prompt + 2 * thought / 8)
        return dpo.steps, replies, trained, replies * thought / 8, dpo.machine, 1.25
    raise ValueError(f"there is no plan for a stage with settings {type(config).__name__}")


def table(lines: list[Line], parameters: float, hardware: Hardware) -> str:
    """The plan as text, with its assumptions."""
    head = f"{'stage':16}{'steps':>8}{'replies':>12}{'trained':>10}{'sampled':>10}"
    rows = [head + f"{'GiB/device':>12}{'hours':>9}"]
    for x in lines:
        rows.append(
            f"{x.stage:16}{x.steps:>8,}{x.replies:>12,}{_short(x.trained):>10}"
            f"{_short(x.sampled):>10}{x.gib:>12.1f}{x.hours:>9.1f}"
            + ("  does not fit" if x.gib > hardware.gib else "")
        )
    total = sum(x.hours for x in lines)
    rows.append(
        f"\n{total:,.0f} hours on {hardware.devices} devices of {hardware.gib:g} GiB in all, "
        f"without measuring between the stages.\nAssumed: {parameters / 1e9:.1f} B parameters; "
        f"{hardware.thought} tokens a reply, {hardware.prompt} a prompt; "
        f"{hardware.tflops:g} TFLOP/s at {hardware.mfu:.0%}; {hardware.decode_tokens_s:g} tokens/s "
        "sampled per device; AdamW in float32 sharded over all devices; activations of "
        "one pass without attention maps. Models are opened whole by every process: there is no "
        "loading in parts yet, so what does not fit cannot be run by this code. An estimate: "
        "nothing of it was measured."
    )
    return "\n".join(rows)


def _short(tokens: float) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if tokens >= size:
            return f"{tokens / size:.1f} {unit}"
    return f"{tokens:.0f}"
