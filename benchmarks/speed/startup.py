"""How long does one wait for `mixnn --help`, and what does `import mixnn` add to `import torch`?

    python benchmarks/speed/startup.py [--rounds 10]

Each in a fresh process, in turn; medians, after one round that fills the page cache. `all of mixnn` takes every public
name, as a program does that trains. The bare interpreter is a part of each figure.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

import torch
from measuring import Parser, count, ended_well, result_file, save, say, seconds_of

from mixnn.errors import InputError

COMMANDS = {
    "mixnn --help": ["-m", "mixnn", "--help"],
    "import mixnn": ["-c", "import mixnn"],
    "all of mixnn": ["-c", "from mixnn import *"],
    "import torch": ["-c", "import torch"],
    "bare interpreter": ["-c", "pass"],
}
CPU = torch.device("cpu")


def start(words: list[str]) -> None:
    """Raise InputError if the process fails: what it would measure is how fast it does."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"`python {' '.join(words)}` fails: {done.stderr.strip().splitlines()[-1:]}")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--rounds", type=count, default=10)
    given = parser.parse_args()
    out = result_file(given.out, "startup")
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round in range(1 + given.rounds):
        for name, words in COMMANDS.items():
            taken = seconds_of(lambda words=words: start(words), CPU)
            if round:
                seconds[name].append(taken)
        say(f"round {round} of {given.rounds}")
    median = {name: statistics.median(each) for name, each in seconds.items()}
    against = median["import torch"]
    result = {
        "median_seconds": median,
        "ratio": {f"{name} / import torch": median[name] / against for name in ("import mixnn", "all of mixnn")},
        "seconds": seconds,
    }
    save(out, result, CPU, "none")


if __name__ == "__main__":
    ended_well(main)
