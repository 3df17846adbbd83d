"""`auscult real make | list | check`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from auscult.real.make import MOST_PROCESSES, Outcome, summary
from auscult.real.make import make as make_all
from auscult.real.packages import Places
from auscult.real.recording import Recording, default_folder, read_recordings
from auscult.real.sources import SOURCES


def make(
    *,
    debs: Path | None = None,
    fsdd: Path | None = None,
    vocobox: str = "",
    sources: tuple[str, ...] = (),
    processes: int = MOST_PROCESSES,
) -> None:
    """Fetch real sound and make 16 kHz clips with a manifest; a second call does what is missing.

    Without Debian's tools, download the packages that are named by hand from
    https://packages.debian.org/bookworm and say --debs FOLDER. The folder that is filled is
    ~/.cache/auscult/real, or what AUSCULT_REAL says.

    Args:
        debs: folder with .deb files fetched by hand.
        fsdd: recordings of the Free Spoken Digit Dataset; three speakers are read.
        vocobox: address or folder of the git repository with sung notes, where not the public one.
        sources: only these (names as in `auscult real list`); default all.
        processes: how many convert at once, at most 2.
    """
    places = Places(cache=default_folder(), debs=debs, fsdd=fsdd, vocobox=vocobox)
    outcome = make_all(places, sources, processes)
    print(report(outcome, places.cache))
    if not outcome.recordings:
        raise ValueError("not one source could be had; what to do stands above")


def report(outcome: Outcome, folder: Path) -> str:
    """What was made, what was left out and why, and what to do about what is missing."""
    said = summary(outcome)
    lines = [
        f"{said['clips']} clips, {said['speakers']} voices, {len(said['languages'])} languages "
        f"in {folder}"
    ]
    for split, side in said["by_split"].items():
        lines.append(
            f"  {split:8} {side['clips']:6} clips {side['minutes']:7.1f} min, "
            f"{side['speech_minutes']:.1f} of them speech, {side['speakers']} voices, "
            f"{side['languages']} languages"
        )
    lines += [f"  left out {count:6}  {why}" for why, count in said["left_out"].items()]
    lines.append(f"  soundfonts: {', '.join(outcome.fonts) or 'none'}")
    lines += [f"NOT THERE {name}: {why}" for name, why in outcome.failed.items()]
    return "\n".join(lines)


def _table(rows: Sequence[Sequence[object]], right: Iterable[int]) -> str:
    """Columns as wide as their widest cell; those of `right` are set to the right."""
    cells = [[str(c) for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    side = set(right)
    return "\n".join(
        "  ".join(
            c.rjust(w) if i in side else c.ljust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def sources_table(recordings: Iterable[Recording]) -> str:
    """Per source, split and kind: clips, minutes, voices, languages, licence."""
    found: defaultdict[tuple[str, str, str], list[Recording]] = defaultdict(list)
    for r in recordings:
        found[r.source, r.split, r.kind].append(r)
    rows: list[list[object]] = [
        ["source", "split", "kind", "clips", "minutes", "voices", "languages", "licence"]
    ]
    missing: list[str] = []
    for source in SOURCES:
        keys = sorted(key for key in found if key[0] == source.name)
        missing += [] if keys else [source.name]
        for key in keys:
            clips = found[key]
            licences = sorted({r.licence for r in clips})
            rows.append(
                [*key, len(clips), f"{sum(r.seconds for r in clips) / 60:.1f}",
                 len({r.speaker for r in clips} - {""}),
                 " ".join(sorted({r.language for r in clips} - {""})), ", ".join(licences)]
            )  # fmt: skip
    lines = [_table(rows, (3, 4, 5))]
    lines += [f"not there: {', '.join(missing)}"] if missing else []
    return "\n".join(lines)


def labels_table(recordings: Iterable[Recording]) -> str:
    """Per family and label of effects and music: clips and sources on either side."""
    count: Counter[tuple[str, str, str]] = Counter()
    sources: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for r in recordings:
        if r.kind in ("effect", "music"):
            key = (r.family or "-", r.label or "-", r.split)
            count[key] += 1
            sources[key].add(r.source)
    rows: list[list[object]] = [["family", "label", "train", "heldout", "sources"]]
    for family, label in sorted({key[:2] for key in count}):
        both = [(family, label, side) for side in ("train", "heldout")]
        rows.append(
            [family, label, *(count[k] for k in both),
             " | ".join(" ".join(sorted(sources[k])) or "-" for k in both)]
        )  # fmt: skip
    asked = sum(
        1 for family, label in {key[:2] for key in count}
        if label != "-" and all(count[family, label, s] for s in ("train", "heldout"))
    )  # fmt: skip
    return f"{_table(rows, (2, 3))}\n{asked} classes are on both sides"


def list_recordings(*, labels: bool = False) -> None:
    """All sources that are there: split, kind, clips, minutes, voices, languages, licence.

    Args:
        labels: how many clips each class of sound has on either side instead.
    """
    recordings = read_recordings(default_folder())
    print(labels_table(recordings) if labels else sources_table(recordings))


def check(*, n: int = 50, seed: int = 0, sources: tuple[str, ...] = ()) -> None:
    """Check labels by means that do not know them: a recogniser, a pitch tracker, durations.

    Needs the extra 'real-check' and fetches a recogniser of 71 MB. Writes check.json.

    Args:
        n: clips per source and way of checking, or all when fewer.
        seed: which ones are drawn.
        sources: only these; default all.
    """
    from auscult.real.check import check_all, results_table

    folder = default_folder()
    recordings = read_recordings(folder)
    results = check_all(folder, recordings, n=n, seed=seed, sources=sources)
    print(results_table(results))
    print(f"written to {folder / 'check.json'}")
