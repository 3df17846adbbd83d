"""Log-mel: ours against `WhisperFeatureExtractor`, side by side in one run.

    python benchmarks/mel.py

Prints milliseconds per clip (median of rounds, one thread, the two alternating) and the ratio, for
clips of several lengths. Two ways of calling the reference are shown: as it is called by default,
padded to 30 s, and with `padding="longest"`, which computes the same frames as ours.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from machine import processor
from transformers import WhisperFeatureExtractor

from auscult.audio.mel import log_mel

ROUNDS = 15


def alternate(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median milliseconds of each call; the calls take turns, so that load hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(values[2:]) for name, values in times.items()}


def main() -> None:
    torch.set_num_threads(1)
    reference = WhisperFeatureExtractor(feature_size=128)
    rng = np.random.default_rng(0)
    print("| clip s | ours ms | default (30 s) | longest ms | default/ours | longest/ours | on |")
    print("|---|---|---|---|---|---|---|")
    for seconds in (2, 5, 10, 25):
        x = (0.1 * rng.standard_normal(16000 * seconds)).astype(np.float32)
        ms = alternate(
            {
                "ours": lambda x=x: log_mel(x, tail_pad=0),
                "default": lambda x=x: reference(x, sampling_rate=16000, return_tensors="pt"),
                "longest": lambda x=x: reference(
                    x, sampling_rate=16000, return_tensors="pt", padding="longest"
                ),
            }
        )
        theirs = reference(x, sampling_rate=16000, return_tensors="pt", padding="longest")
        gap = float((log_mel(x, tail_pad=0) - theirs.input_features[0]).abs().max())
        print(
            f"| {seconds} | {ms['ours']:.2f} | {ms['default']:.2f} | {ms['longest']:.2f} "
            f"| {ms['default'] / ms['ours']:.1f} | {ms['longest'] / ms['ours']:.1f} "
            f"| {processor()} | max difference {gap:.1e}"
        )


if __name__ == "__main__":
    main()
