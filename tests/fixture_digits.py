"""The Free Spoken Digit Dataset's layout."""

from pathlib import Path

from fixture_sounds import tone, wav_bytes


def recordings(folder: Path) -> None:
    """Two speakers, four takes, and a file that is none."""
    (folder / "recordings").mkdir(parents=True)
    for name in ("3_jackson_0", "7_jackson_1", "0_theo_0", "9_theo_12"):
        (folder / "recordings" / f"{name}.wav").write_bytes(wav_bytes(tone(int(name[0])), 8000))
    (folder / "recordings" / "noise.wav").write_bytes(wav_bytes(tone(1)))


FIXTURES = {"fsdd": recordings}
