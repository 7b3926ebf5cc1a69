"""How much memory the tables of a run will take. Must not know: torch, images, networks, what is in the tables.

Letters: N samples, C classes, D the width of features.
"""

from __future__ import annotations

from mixnn.confusion import HOODS, voters
from mixnn.rows import KEPT, PART, kept_of, row_bytes

# Tables N × C in float32 that a method holds in its epochs besides one like those of the evidence, as counted in trials of
# 20 000 × 100; one of your own is taken to need what MixNN does.
WHOLE = {"posterior": 0, "ce": 0, "mixup": 0, "sce": 0, "colearning": 0, "gce": 1, "fine": 1, "elr": 4, "selc": 4}
WHOLE |= {"coteaching": 5, "ssr": 5, "mixnn": 7, "dividemix": 12}
GRAPH = 2 * 4 * 33  # bytes a sample, for the links of a graph of neighbours
LISTED = 10 * (8 + 4) + 8 * 8  # bytes a sample: neighbours with distances, verdicts
WORK = 80  # bytes for a share that is worked on: float64, about ten times


def table_bytes(method: str, samples: int, classes: int, width: int) -> int:
    """The most that all tables with a row for each sample take at once, on the CPU and on one process, in bytes.

    Left out is what does not grow with N · C, such as the network, its batches, and the scores of a search (half a
    gigabyte at most); and images, embeddings and names.

    Args:
        method: its name, as in `METHODS`.
        samples, classes, width: N, C and D.
    """
    row, features, near = row_bytes(samples, classes), 4 * width, 8 * voters(samples, classes)
    training = 4 * classes * WHOLE.get(method, WHOLE["mixnn"]) + features
    held = row if method == "posterior" else 4 * classes if WHOLE.get(method, WHOLE["mixnn"]) > 1 else 0
    asking = (
        features + row + near + max(features + GRAPH, row + 8 * max(HOODS))
    )  # the pass; then search, or count votes
    judging = 3 * row + LISTED  # from the files of the run
    return samples * max(training, held + max(asking, judging)) + WORK * min(samples * classes, PART)


def footprint_words(method: str, samples: int, classes: int, width: int) -> str:
    """What a run is told at its start, in a line."""
    size = f"tables of {samples:,} samples × {classes:,} classes"
    kept = kept_of(samples, classes)
    held = "" if kept is None else f", the {KEPT} largest shares of each row kept in 16 bits"
    return f"{size}{held}: about {table_bytes(method, samples, classes, width) / 1e9:.1f} GB at most"


def tables_record(method: str, samples: int, classes: int, width: int) -> dict[str, object]:
    """The same for `environment.json`, where the measured peak comes to stand beside it."""
    kept = kept_of(samples, classes)
    return {
        "tables_gb": round(table_bytes(method, samples, classes, width) / 1e9, 3),
        "shares_kept": classes if kept is None else kept,
    }
