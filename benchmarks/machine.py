"""The processor that a ratio was measured on: another one gives another ratio."""

import os
import platform
from pathlib import Path

SHOWN = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
"""Instruction sets that change what matrix products cost."""


def processor() -> str:
    """Name, instruction sets and cores. Example: "AMD EPYC 9V74 (avx2, avx512f), 2 cores"."""
    file = Path("/proc/cpuinfo")
    facts = dict[str, str]()
    for line in file.read_text().splitlines() if file.is_file() else []:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip().lower(), value.strip())
    name = facts.get("model name") or platform.processor() or platform.machine() or "unknown"
    flags = (facts.get("flags") or facts.get("features") or "").split()
    sets = ", ".join(flag for flag in SHOWN if flag in flags)
    return f"{name}{f' ({sets})' if sets else ''}, {os.cpu_count()} cores"


def on() -> str:
    """What a line with a ratio ends with."""
    return f"; on {processor()}"
