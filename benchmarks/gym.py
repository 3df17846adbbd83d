"""How fast the gym makes clips, on one core.

    python benchmarks/gym.py [--n 50]

Prints clips per second over all tasks without spoken words (the mean time of a task's item, with
equal weight), the slowest tasks, and the same for spoken tasks where the extra is installed.
"""

import argparse
import time

from machine import on

from auscult import gym
from auscult.audio import speech


def seconds_per_item(task: str, n: int) -> float:
    """CPU time of this process for one item, the first two left out."""
    for i in range(2):
        gym.make(task, i)
    began = time.process_time()
    for i in range(2, n + 2):
        gym.make(task, i)
    return (time.process_time() - began) / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=50)
    args = parser.parse_args()
    groups = {"without words": [t for t in gym.TASKS if t not in gym.SPEECH_TASKS]}
    if speech.available():
        groups["with words"] = [t for t in gym.TASKS if t in gym.SPEECH_TASKS]
    for name, tasks in groups.items():
        cost = {task: seconds_per_item(task, args.n) for task in tasks}
        slow = sorted(cost, key=lambda t: -cost[t])[:3]
        worst = ", ".join(f"{t} {1000 * cost[t]:.1f} ms" for t in slow)
        rate = len(cost) / sum(cost.values())
        print(f"{name}: {len(cost)} tasks, {rate:.0f} items/s/core; slowest: {worst}{on()}")


if __name__ == "__main__":
    main()
