from pathlib import Path

from auscult.evaluate.runs import figures, runs_in


def write_page(place: Path, out: Path) -> str:
    return "\n".join(
        f"{r.model} {r.protocol.name()} {figures(r)} failed {r.failed} {r.seconds:.1f} s"
        for r in runs_in(place)
    )
