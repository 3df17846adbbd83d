"""English words spoken by a synthesiser: what the recordings lack is words whose text is known.

Flite (Black and Lenzo 2001; its own free licence) from its Debian package speaks words and short
phrases drawn from a word list. Nobody's voice is in it, so its clips name no speaker.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from auscult.real.recording import Clip, Found, Reader, RealSoundError, Skip

VOICES = ("awb", "kal16", "rms", "slt")
CLIPS = 1250
"""Clips of each voice."""
JOINING = ("the", "a", "my", "your", "is", "and", "of", "to", "for", "not", "this", "in")
LONGEST_WORD = 11
_WAIT_S = 20.0


def vocabulary(path: Path) -> tuple[str, ...]:
    """Plain lower-case words of a list with one word in each line."""
    words = path.read_text(encoding="utf-8").split()
    return tuple(
        w for w in words if 3 <= len(w) <= LONGEST_WORD and w.isascii() and w.isalpha()
        and w.islower()
    )  # fmt: skip


def phrase(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    """One word in half of the cases, else two or three, some of them joining words."""
    n = int(rng.choice((1, 2, 3), p=(0.5, 0.25, 0.25)))
    drawn: list[str] = []
    for i in range(n):
        joining = i < n - 1 and rng.random() < 0.4
        drawn.append(str(rng.choice(JOINING)) if joining else _word(rng, words))
    return " ".join(drawn)


def _word(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    """Short words are common ones: of two draws the shorter."""
    return min((words[int(rng.integers(len(words)))] for _ in range(2)), key=len)


def with_libraries(package: Path, links: Path) -> dict[str, str]:
    """An environment in which the program finds its libraries: they were unpacked without links."""
    for path in package.parent.glob("lib*/usr/lib/*/*.so.*"):
        for major in ("1", "2"):
            link = links / f"{path.name.split('.so.')[0]}.so.{major}"
            if not link.exists():
                link.symlink_to(path.resolve())
    return os.environ | {"LD_LIBRARY_PATH": str(links)}


def _speak(program: Path, environment: dict[str, str], options: list[str], out: Path) -> bytes:
    command = [str(program), *options, "-o", str(out)]
    try:
        subprocess.run(
            command, env=environment, check=True, capture_output=True, timeout=_WAIT_S
        )  # fmt: skip
        return out.read_bytes()
    except (OSError, subprocess.SubprocessError) as error:
        raise RealSoundError(
            f"flite does not run here ({error}); its packages are programs for Linux of one kind "
            "of processor"
        ) from error


def flite(voice: str) -> Reader:
    """Words and phrases in one voice, each with a tempo of its own."""

    def read(folder: Path) -> Iterator[Found]:
        program = (folder / "flite/usr/bin/flite").resolve()
        program.chmod(0o755)
        words = vocabulary(folder / "wamerican-small/usr/share/dict/american-english-small")
        rng = np.random.default_rng([len(voice), *voice.encode()])
        said: set[str] = set()
        with tempfile.TemporaryDirectory() as made:
            environment = with_libraries(folder / "flite", Path(made))
            for number in range(CLIPS):
                text, stretch = phrase(rng, words), float(rng.uniform(0.85, 1.3))
                if text in said:
                    yield Skip(f"{number:04d}", "a phrase that the voice has said")
                    continue
                said.add(text)
                options = ["-voice", voice, "-t", text, "--setf", f"duration_stretch={stretch:.3f}"]
                sound = _speak(program, environment, options, Path(made) / "said.wav")
                yield Clip(
                    name=f"{number:04d}", sound=sound, kind="speech", text=text, exact=True,
                    language="en",
                )  # fmt: skip

    return read
