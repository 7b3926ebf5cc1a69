"""How much memory do the tables of a run of `posterior` take, and how much was predicted?

    python benchmarks/speed/memory_tables.py [--sizes 100000 1000000 2400000] [--classes 10 100 1000] [--width 64]
        [--search]

For each size a process of its own: what the method does before an epoch that corrects labels (the full pass, votes,
the posterior of every sample), then the evidence after training, written into a run directory, read again and judged.
Embeddings of 64 numbers and labels are drawn, and the network is two linear layers on them, with `--width` features
between. What is left out: training itself, which adds nothing with a row for each sample; file names; and, without
`--search`, the search for neighbors, which takes many minutes for millions on a few cores, and for which random
samples stand in (`neighbors.py` measures it). The prediction has a search in it.

Measured is by how much the peak of the process's resident memory rises above what it was when the data was drawn, and
the libraries were loaded by a small trial.
"""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Any

import torch
from measuring import SEED, Parser, count, ended_well, in_own_process, result_file, save, say, seconds_of
from torch import Tensor, nn

from mixnn.data.batches import TrainData
from mixnn.data.seeds import generator
from mixnn.errors import InputError
from mixnn.evidence import knn
from mixnn.evidence.knn import vote_k
from mixnn.methods.posterior import Posterior
from mixnn.models.classifier import Classifier
from mixnn.results.issues import stored_label_issues
from mixnn.runs.directory import RunDirectory
from mixnn.training.evidence import collect_evidence, judge_labels
from mixnn.training.memory_estimate import Footprint
from mixnn.utils.memory import peak_memory

FEW = 200, 10  # samples and classes of the trial before
GIVEN = 64  # numbers of an embedding
CPU = torch.device("cpu")


def random_neighbors(features: Tensor, k: int, *, rows: slice = slice(None), **_: object) -> Tensor:
    """In place of `nearest_neighbors`."""
    asked = len(range(len(features))[rows])
    return torch.randint(len(features), (asked, k), generator=generator(SEED, k))


def drawn(n: int, classes: int) -> TrainData:
    """Embeddings of independent normal numbers."""
    random = generator(SEED, n, classes)
    labels = torch.randint(classes, (n,), generator=random)
    return TrainData(torch.randn(n, GIVEN, generator=random), labels, batch_size=256, seed=SEED, augment="none")


def tables(data: TrainData, classes: int, width: int, run: RunDirectory) -> None:
    """All of a run that has tables with a row for each sample."""
    network = Classifier(nn.Linear(GIVEN, width), width, classes, torch.zeros(GIVEN), torch.ones(GIVEN))
    method = Posterior(network, data.labels, classes, correct_from=0)
    method.begin_epoch(0, data)
    run.write_evidence(
        judge_labels(collect_evidence(method, data), data, method.num_classes, [""] * len(data)).evidence
    )
    stored_label_issues(run.read_evidence())


def measure(n: int, classes: int, width: int, searched: bool) -> dict[str, Any]:
    """One size, in a process of its own."""
    if not searched:
        knn.nearest_neighbors = random_neighbors
    with TemporaryDirectory() as folder:
        run = RunDirectory(folder)
        tables(drawn(*FEW), FEW[1], width, run)
        data = drawn(n, classes)
        before = peak_memory()
        if before is None:
            raise InputError("this system does not say how much memory a process took: use Linux or macOS")
        seconds = seconds_of(lambda: tables(data, classes, width, run), CPU)
    footprint = Footprint(n, classes, width, vote_k(n, classes), Posterior.tables)
    return {
        "samples": n,
        "classes": classes,
        "width": width,
        "searched": searched,
        "shares_kept": footprint.kept,
        "features_rounded": footprint.rounded,
        "predicted_gb": footprint.bytes / 1e9,
        "measured_gb": ((peak_memory() or 0) - before) / 1e9,
        "process_gb": (peak_memory() or 0) / 1e9,
        "one_whole_table_gb": 4 * n * classes / 1e9,
        "seconds": seconds,
    }


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--sizes", type=count, nargs="+", default=[100_000, 1_000_000, 2_400_000])
    parser.add_argument("--classes", type=count, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--width", type=count, default=64)
    parser.add_argument("--search", action="store_true", help="really search for neighbors")
    given = parser.parse_args()
    out = result_file(given.out, "memory_tables")
    found = []
    for n in given.sizes:
        for classes in given.classes:
            say(f"{n} samples, {classes} classes …")
            found.append(in_own_process("process", measure, n, classes, given.width, given.search))
            say(f"predicted {found[-1]['predicted_gb']:.2f} GB, measured {found[-1]['measured_gb']:.2f} GB")
    save(out, {"tables": found}, CPU, "float32, packed in float16")


if __name__ == "__main__":
    ended_well(main)
