"""How much memory the tables of a run take, at most. Must not know: torch, images, networks, methods by name."""

from __future__ import annotations

from typing import NamedTuple

from mixnn.label_quality.sampling import head_samples
from mixnn.tables.topk_rows import feature_bytes, feature_width, row_bytes, topk_size

LISTED = 10 * (8 + 4) + 8 * 8  # bytes a sample: neighbors that are written, with distances, and what is said of it
ALL_PAIRS, SEARCHED = 60_000, 256  # samples up to which features are searched as they are; above, so many of them
HEAD, CELL = 4 * 4 * 256, 60  # bytes of a sample that linear heads are fitted to, and of each of its probabilities
WORTH_TELLING = 10**9  # bytes


class Footprint(NamedTuple):
    """What the size of a run's tables goes by.

    Attributes:
        samples, classes: N, C.
        width: D, of the network's features.
        neighbors: how many are looked up of each sample, see `evidence.knn.vote_k`.
        held: what the method holds of each sample, see `methods.base.Tables`: numbers for each class, for each
            feature, and besides.

    Example:
        >>> Footprint(samples=1_000_000, classes=100, width=512, neighbors=20, held=(0, 0, 0)).bytes // 10**9
        5
    """

    samples: int
    classes: int
    width: int
    neighbors: int
    held: tuple[int, int, int]

    @property
    def bytes(self) -> int:
        """A bound for all tables with a row for each sample at once, on the CPU and on one process.

        Left out are the network and its batches, the scores of a search (half a gigabyte at most), images and names.
        """
        n, c, d = self.samples, self.classes, self.width
        probs, features, values = self.held
        row, z = row_bytes(n, c), feature_bytes(n, d) * self.directions  # of probabilities, and of features
        training = 4 * (c * probs + d * features + values)
        searched = 4 * (d if n <= ALL_PAIRS else min(d, SEARCHED)) + 12 * self.neighbors
        evidence = 4 * c * min(1, probs) + 4 * row + z + searched + LISTED
        fitting = min(n, head_samples(c)) * (HEAD + CELL * c)
        return n * max(training, evidence) + fitting

    @property
    def kept(self) -> int:
        """How many of the C probabilities of a row the larger tables keep."""
        return topk_size(self.samples, self.classes) or self.classes

    @property
    def directions(self) -> int:
        """Along how many directions features that neighbors are searched by are kept; D: as they are."""
        return feature_width(self.samples, self.width)

    @property
    def rounded(self) -> bool:
        """Whether features that neighbors are searched by are kept in 16 bits."""
        return feature_bytes(self.samples, self.width) == 2

    @property
    def worth_telling(self) -> bool:
        return self.kept < self.classes or self.rounded or self.bytes >= WORTH_TELLING

    def __str__(self) -> str:
        """What a run is told at its start."""
        told = []
        if self.kept < self.classes:
            told.append(f"of each row the {self.kept} largest shares are kept, in 16 bits")
        if self.rounded:
            along = "" if self.directions == self.width else f" along {self.directions} directions"
            told.append(f"{self.width:,} features of each sample are kept{along} in 16 bits")
        if told and any(self.held):
            told.append("the method's own stay whole")
        return (
            f"tables of {self.samples:,} samples × {self.classes:,} classes{': ' if told else ''}{'; '.join(told)}: "
            f"they are predicted to need at most {self.bytes / 1e9:.1f} GB"
        )
