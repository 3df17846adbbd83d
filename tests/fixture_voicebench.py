"""VoiceBench and WildSpeech-Bench as the hub has them: Parquet, `<config>/<split>-*.parquet`."""

import types
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from fixture_sounds import encoded, tone, wav_bytes

OPEN = (
    {"prompt": "How do bees make honey?"},
    {"prompt": "Tell me about “tides”, please."},
    {"prompt": "What is {response} in a template?"},
    {"prompt": "为什么天空是蓝色的?"},
)
CHOICE = (
    {"prompt": "Which one flies? A. a stone B. a bird C. a fish D. a tree", "reference": "B"},
    {"prompt": "Which one is red? A. grass B. sky C. blood D. snow", "reference": "C"},
)
BBH = (
    {"prompt": "Is this plausible? He kicked a goal.", "reference": "yes",
     "id": "sports_understanding_3"},
    {"prompt": "Which order? (A) big old box (B) old big box", "reference": "(A)",
     "id": "hyperbaton_7"},
    {"prompt": "Turn around twice. Are you back?", "reference": "Yes", "id": "navigate_1"},
    {"prompt": "Ann lies. Bob says Ann tells the truth. Does Bob?", "reference": "No",
     "id": "web_of_lies_9"},
)  # fmt: skip
REGIONS = {
    "usa": ({"prompt": "Who wrote Emma?", "reference": "Jane Austen"},
            {"prompt": "Where is Quito?", "reference": "Ecuador"}),
    "ind_n": ({"prompt": "Who wrote Emma?", "reference": "Jane Austen"},
              {"prompt": "Where is Quito?", "reference": "Ecuador"}),
}  # fmt: skip
IFEVAL = (
    {"key": 1001, "prompt": "Describe a lake without commas in at least 5 words.",
     "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
     "kwargs": [{}, {"num_words": 5, "relation": "at least"}]},
    {"key": 1002, "prompt": "Name a boat. Use the word oar and a title.",
     "instruction_id_list": ["keywords:existence", "detectable_format:title"],
     "kwargs": [{"keywords": ["oar"]}, {}]},
    {"key": 1003, "prompt": "Shout a greeting.",
     "instruction_id_list": ["change_case:english_capital"], "kwargs": [{}]},
    {"key": 1004, "prompt": "Use ! often.",
     "instruction_id_list": ["keywords:letter_frequency"],
     "kwargs": [{"letter": "!", "let_frequency": 3, "let_relation": "at least"}]},
    {"key": 1005, "prompt": "Write two sentences or more.",
     "instruction_id_list": ["length_constraints:number_sentences"],
     "kwargs": [{"num_sentences": 2, "relation": "at least"}]},
)  # fmt: skip
DIALOGUES = (
    {"question_id": 81, "category": "writing", "turns": ["Write a poem.", "Now in one line."],
     "reference": None},
    {"question_id": 101, "category": "reasoning", "turns": ["Who is second?", "And last?"],
     "reference": ["You are.", "Nobody is."]},
)  # fmt: skip
WILD = (
    {"user_query": "Plan a trip to Rome.", "taskType": "solution request",
     "checklist": "- Does it name a day?\n- Is it short?", "conversation_hash": "aa",
     "modification_type": "natural_noise", "additional_info": None},
    {"user_query": "Plan a trip to Rome.", "taskType": "solution request",
     "checklist": "- Does it name a day?\n- Is it short?", "conversation_hash": "aa",
     "modification_type": "human_noise", "additional_info": None},
    {"user_query": "I I want {tea}.", "taskType": "prosodical", "checklist": "- Is tea offered?",
     "conversation_hash": "bb", "modification_type": None,
     "additional_info": "stuttering: first word"},
    {"user_query": "Really?", "taskType": "prosodical", "checklist": "- Is doubt heard?",
     "conversation_hash": "cc", "modification_type": "clean", "additional_info": "emotion"},
)  # fmt: skip


def langdetect() -> types.ModuleType:
    """A stand-in: "fr" for a text with an "ç", else "en"; an error for one without letters."""
    library = types.ModuleType("langdetect")

    class LangDetectException(Exception): ...

    def detect(text: str) -> str:
        if not any(c.isalpha() for c in text):
            raise LangDetectException
        return "fr" if "ç" in text.lower() else "en"

    library.__dict__.update(
        detect=detect, LangDetectException=LangDetectException, DetectorFactory=type("F", (), {})
    )
    return library


def cell(seed: int, kind: str = "wav") -> dict:
    """A cell of a sound column."""
    data = wav_bytes(tone(seed)) if kind == "wav" else encoded(tone(seed), kind)
    return {"bytes": data, "path": f"{seed}.{kind}"}


def shard(file: Path, rows: Sequence[dict]) -> None:
    """One Parquet file; a name that a row lacks is null, within `kwargs` too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), file)


def heard(rows: Sequence[dict]) -> list[dict]:
    """The rows with a sound each; one in FLAC."""
    return [{"audio": cell(i, "flac" if i == 1 else "wav")} | row for i, row in enumerate(rows)]


def one_split(config: str, rows: Sequence[dict], folder: Path) -> None:
    """`<config>/test-00000-of-00001.parquet`."""
    shard(folder / config / "test-00000-of-00001.parquet", heard(rows))


def two_shards(config: str, rows: Sequence[dict], folder: Path) -> None:
    """A split in two files."""
    for i in range(2):
        part = heard(rows)[2 * i : 2 * i + 2]
        shard(folder / config / f"test-0000{i}-of-00002.parquet", part)


def domains(folder: Path) -> None:
    """`mmsu`: a split for each domain."""
    for i, domain in enumerate(("law", "physics")):
        shard(folder / "mmsu" / f"{domain}-00000-of-00001.parquet", heard(CHOICE)[i:] * 2)


def regions(folder: Path) -> None:
    """`sd-qa`: a split for each region, the same questions in all."""
    for region, rows in REGIONS.items():
        shard(folder / "sd-qa" / f"{region}-00000-of-00001.parquet", heard(rows))


def dialogues(folder: Path) -> None:
    """`mtbench`: two sounds a row; references null or two."""
    rows = [row | {"audio1": cell(2 * i), "audio2": cell(2 * i + 1)}
            for i, row in enumerate(DIALOGUES)]  # fmt: skip
    shard(folder / "mtbench" / "test-00000-of-00001.parquet", rows)


def wild(folder: Path) -> None:
    """WildSpeech-Bench: one split, `train`."""
    shard(folder / "data" / "train-00000-of-00001.parquet", heard(WILD))


FIXTURES: dict[str, Callable[[Path], None]] = {
    "voicebench_alpacaeval": partial(one_split, "alpacaeval", OPEN),
    "voicebench_alpacaeval_full": partial(one_split, "alpacaeval_full", OPEN),
    "voicebench_commoneval": partial(one_split, "commoneval", OPEN),
    "voicebench_wildvoice": partial(two_shards, "wildvoice", OPEN),
    "voicebench_openbookqa": partial(one_split, "openbookqa", CHOICE),
    "voicebench_mmsu": domains,
    "voicebench_sd_qa": regions,
    "voicebench_mtbench": dialogues,
    "voicebench_ifeval": partial(one_split, "ifeval", IFEVAL),
    "voicebench_bbh": partial(one_split, "bbh", BBH),
    "voicebench_advbench": partial(one_split, "advbench", OPEN),
    "wildspeech": wild,
}
"""suite -> what writes its fixture into a folder that does not exist yet."""
