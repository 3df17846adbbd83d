"""`auscult VERB ...`: the table of verbs. A verb's module is imported only when it is used."""

import importlib
import json
import os
import select
import sys
import warnings
from collections.abc import Callable
from typing import Any

VERBS: dict[str, tuple[str, str]] = {
    "ask": ("auscult.ask:ask", "ask a question about one or more recordings"),
    "listen": (
        "auscult.listen:listen",
        "what is in a recording: measured, and said by a model, side by side",
    ),
    "serve": (
        "auscult.serve.commands:serve",
        "an OpenAI-compatible server: chat about sound, and what the sound bears out",
    ),
    "demo": ("auscult.demo:demo", "make a few gym clips and ask about them, and about a file"),
    "gym list": ("auscult.gym.commands:list_tasks", "all tasks with an example of each"),
    "gym show": ("auscult.gym.commands:show", "one item: wav, spectrogram, question, chain"),
    "gym validate": ("auscult.gym.commands:validate", "let every task prove itself"),
    "gym export": ("auscult.gym.commands:export", "items as JSONL and FLAC"),
    "real make": (
        "auscult.real.commands:make",
        "fetch recordings of real sound, convert them, write their manifest",
    ),
    "real list": ("auscult.real.commands:list_recordings", "what real sound is there"),
    "real check": (
        "auscult.real.commands:check",
        "labels of real sound against a recogniser, a pitch tracker and durations",
    ),
    "recipe": (
        "auscult.recipe_commands:recipe",
        "the whole recipe: from a base model to a report, or the plan of it",
    ),
    "cold-start": ("auscult.recipe_commands:cold", "stage 1: SFT; thinks about words only"),
    "rlvr": ("auscult.recipe_commands:words", "stage 2: PPO on problems in words"),
    "distil": ("auscult.recipe_commands:distillation", "a round: sample, filter, SFT"),
    "rl": ("auscult.recipe_commands:reinforce", "a round: select questions, PPO"),
    "self-cognition": ("auscult.recipe_commands:aware", "last stage: DPO, it can hear"),
    "ablate": ("auscult.ablate:ablate", "one ablation with several seeds, paired"),
    "report": ("auscult.recipe_commands:report", "the report of a recipe's folder"),
    "check": (
        "auscult.verify.commands:check",
        "a thought against the sound: every acoustic claim, true, false or open",
    ),
    "measure": ("auscult.verify.commands:measure", "everything that is measured in a recording"),
    "traces": ("auscult.verify.commands:traces", "SQL over checked traces"),
    "nano": ("auscult.nano:nano", "the whole of nano from scratch: ear, alignment, decoder"),
    "init": (
        "auscult.train.commands:init",
        "a nano model with random weights, or with Whisper's ear",
    ),
    "align": ("auscult.ear.commands:align", "ear and adaptor learn to name what they hear"),
    "keep-ear": ("auscult.ear.commands:keep_ear", "an aligned ear alone, in 16 bits, to ship"),
    "spell": ("auscult.ear.commands:spell", "what an aligned ear spells in held-out sound"),
    "probe": ("auscult.ear.commands:probe", "what an ear carries, read by small readers"),
    "sft": ("auscult.train.commands:finetune", "encoder frozen, chains and direct answers"),
    "pack": ("auscult.train.pack:pack", "a trained folder as a checkpoint to ship, with a card"),
    "eval": ("auscult.evaluate.commands:evaluate", "a benchmark, with controls and budgets"),
    "suites": ("auscult.evaluate.commands:suites", "all benchmarks"),
    "results": ("auscult.evaluate.commands:results", "the page of finished evaluations"),
    "submission": (
        "auscult.evaluate.commands:submission",
        "replies to MMAU's full test as its authors want them",
    ),
    "compare": ("auscult.evaluate.commands:compare", "two evaluations, paired"),
}


ARGUMENTS = "AUSCULT_ARGUMENTS"
"""Where a command that starts itself again as several processes leaves its arguments."""


def _usage() -> str:
    width = max(map(len, VERBS))
    rows = [f"  {name:<{width}}  {text}" for name, (_, text) in VERBS.items()]
    return "usage: auscult VERB [options]; auscult VERB --help for the options\n\n" + "\n".join(
        rows
    )


def _find(args: list[str]) -> tuple[str, list[str]]:
    for words in (2, 1):
        verb = " ".join(args[:words])
        if verb in VERBS:
            return verb, args[words:]
    import difflib

    near = difflib.get_close_matches(" ".join(args[:2]), VERBS, n=1, cutoff=0.3)
    hint = f"; did you mean `auscult {near[0]}`?" if near else ""
    raise SystemExit(f"auscult: unknown verb {args[0]!r}{hint}\n\n{_usage()}")


def _load(target: str) -> Callable[..., Any]:
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


def main(argv: list[str] | None = None) -> int:
    """Run one verb. What the user can mend ends in one line on standard error and exit code 2; a
    reader that wants no more (`| head`) ends it in silence, with the exit code of its signal."""
    if argv is None and ARGUMENTS in os.environ:  # one of several processes of a command
        sys.argv[1:] = json.loads(os.environ[ARGUMENTS])
    args = sys.argv[1:] if argv is None else argv
    _open_streams()
    try:
        code = _run(args)
        sys.stdout.flush()  # now, while a closed pipe can still be told from an error
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        return 128 + _SIGPIPE
    return code


def _open_streams() -> None:
    """In place of a stream that was closed (`>&-`, `<&-`), which is None in Python, stands the null
    device: written to in vain, and empty."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, for the whole process


_SIGPIPE = 13


def _nobody_reads() -> bool:
    """Is standard output a pipe that was closed? Then nothing more is written to it."""
    out = sys.stdout.fileno()
    watch = select.poll()
    watch.register(out, 0)  # an error is reported unasked
    closed = any(event & select.POLLERR for _, event in watch.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out)
    return closed


def _run(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if args[0] == "--version":
        from auscult import __version__

        print(__version__)
        return 0
    verb, rest = _find(args)
    import tyro

    from auscult.audio.speech import SpeechUnavailable

    warnings.showwarning = _show_warning
    try:
        tyro.cli(_load(VERBS[verb][0]), prog=f"auscult {verb}", args=rest)
    except BrokenPipeError:
        raise
    except (ValueError, OSError, FloatingPointError, SpeechUnavailable) as error:
        print(f"auscult: {error}", file=sys.stderr)
        return 2
    return 0


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: object
) -> None:
    """Ours in one line, as errors are; others as Python shows them."""
    if category.__module__.startswith("auscult."):
        print(f"auscult: warning: {message}", file=sys.stderr)
    else:
        text = warnings.formatwarning(message, category, filename, lineno)
        print(text, end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
