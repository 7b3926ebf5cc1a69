"""How much memory the tables of a run will take. Must not know: torch, images, networks, what is in the tables."""

from __future__ import annotations

from typing import NamedTuple

from mixnn.label_quality.sampling import head_samples
from mixnn.tables.topk_rows import feature_bytes, feature_width, kept_of, row_bytes

# What a method holds in its epochs besides one table of `posterior` like those of the evidence: tables in float32,
# N × C and N × D, and other bytes a sample (the votes of 200 neighbours). N × C as counted in trials of 20 000 × 100,
# but `coteaching`; N × D and votes of `fine` and `ssr` in trials of 20 000 × 512; all else from the code. A method of
# your own is taken to need what MixNN does.
OWN = dict.fromkeys(("posterior", "ce", "mixup", "sce", "colearning"), (0, 0, 0)) | {
    "gce": (1, 1, 0),
    "fine": (1, 4, 0),
    "elr": (4, 0, 0),
    "selc": (4, 0, 0),
    "coteaching": (5, 1, 0),
    "ssr": (5, 1, 4_000),
    "mixnn": (7, 1, 0),
    "dividemix": (12, 1, 0),
}
LISTED = 10 * (8 + 4) + 8 * 8  # bytes a sample: neighbours with distances, verdicts
COMPONENTS = 256  # of the features, that a linear head sees
HEAD, CELL = 4 * 4 * COMPONENTS, 60  # bytes that a sample which heads are fitted to takes, and each of its shares
WORTH_TELLING = 10**9  # bytes


class Footprint(NamedTuple):
    """What the size of a run's tables goes by.

    Attributes:
        method: its name, as in `METHODS`.
        samples, classes: N, C.
        width: D, of the network's features.
        bank: whether features and log-probabilities are kept from one epoch to the next, see `evidence.feature_bank`.
        neighbors: how many are looked up of each sample, see `evidence.knn.vote_k`.
        searched: bytes that a sample takes in what is searched for neighbours, see `neighbors.sharded`.
    """

    method: str
    samples: int
    classes: int
    width: int
    bank: bool
    neighbors: int
    searched: int

    @property
    def bytes(self) -> int:
        """The most that all tables with a row for each sample take at once, on the CPU and on one process.

        With what is worked out from them. Left out are the network and its batches, the scores of a search (half a
        gigabyte at most); and images, embeddings and names.
        """
        row, wide = row_bytes(self.samples, self.classes), 4 * self.width
        features = feature_bytes(self.samples, self.width) * self.directions
        tables, copies, votes = self.own
        whole = 4 * self.classes * tables
        held = row if self.method == "posterior" else min(whole, 4 * self.classes)  # when epochs are over
        near = (8 + 4) * self.neighbors  # which they are, and their labels
        probing = 4 * min(COMPONENTS, self.width) + row  # what a linear head sees, and says
        asking = features + 2 * row + near + max(self.searched, probing)  # a pass, a search, label quality
        judging = 3 * row + LISTED  # from the files of the run
        fitted = min(self.samples, head_samples(self.classes))
        work = fitted * (HEAD + CELL * self.classes)
        banked = self.bank * (wide + 4 * self.classes)  # three times: while what was written takes its place
        in_epochs = copies * wide + bool(copies) * self.searched + votes + whole + 3 * banked
        return max(self.samples * in_epochs, self.samples * (held + banked + max(asking, judging)) + work)

    @property
    def own(self) -> tuple[int, int, int]:
        """What the method itself holds whole, at most: tables N × C, tables N × D, and other bytes a sample."""
        return OWN.get(self.method, OWN["mixnn"])

    @property
    def kept(self) -> int:
        """How many of the C shares of a row the larger tables keep."""
        return kept_of(self.samples, self.classes) or self.classes

    @property
    def directions(self) -> int:
        """Along how many directions features that neighbours are searched by are kept; D: as they are."""
        return feature_width(self.samples, self.width)

    @property
    def rounded(self) -> bool:
        """Whether features that neighbours are searched by are kept in 16 bits."""
        return feature_bytes(self.samples, self.width) == 2

    @property
    def worth_telling(self) -> bool:
        return self.kept < self.classes or self.rounded or self.bytes >= WORTH_TELLING

    def __str__(self) -> str:
        """What a run is told at its start."""
        held = []
        if self.kept < self.classes:
            held.append(f"of each row the {self.kept} largest shares are kept, in 16 bits")
        if self.rounded:
            along = "" if self.directions == self.width else f" along {self.directions} directions"
            held.append(f"{self.width:,} features of each sample are kept{along} in 16 bits")
        if held and (any(self.own) or self.bank):
            held.append(f"those of {self.method} itself stay whole")
        return (
            f"tables of {self.samples:,} samples × {self.classes:,} classes{': ' if held else ''}{'; '.join(held)}: "
            f"they are predicted to need {self.bytes / 1e9:.1f} GB"
        )
