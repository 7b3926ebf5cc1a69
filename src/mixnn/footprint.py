"""How much memory the tables of a run will take. Must not know: torch, images, networks, what is in the tables."""

from __future__ import annotations

from typing import NamedTuple

from mixnn.confusion import HOODS, voters
from mixnn.rows import PART, feature_bytes, kept_of, row_bytes

# Tables N × C in float32 that a method holds in its epochs, besides one of `posterior` like those of the evidence: as
# counted in trials of 20 000 × 100, `coteaching` from its code. A method of your own is taken to need what MixNN does.
WHOLE = {"posterior": 0, "ce": 0, "mixup": 0, "sce": 0, "colearning": 0, "gce": 1, "fine": 1, "elr": 4, "selc": 4}
WHOLE |= {"coteaching": 5, "ssr": 5, "mixnn": 7, "dividemix": 12}
LISTED = 10 * (8 + 4) + 8 * 8  # bytes a sample: neighbours with distances, verdicts
WORK = 80  # bytes for a share that is worked on: float64, about ten times
RESAMPLES = 3 * 8 * 20  # bytes a pair of classes: how often one is labelled as the other, by twenty estimates
WORTH_TELLING = 10**9  # bytes


class Footprint(NamedTuple):
    """What the size of a run's tables goes by.

    Attributes:
        method: its name, as in `METHODS`.
        samples, classes: N, C.
        width: D, of the features.
        bank: whether features and log-probabilities are kept from one epoch to the next, see `mixnn.bank`.
        searched: bytes that a sample takes in what is searched for neighbours, see `mixnn.search.searched_bytes`; None:
            as many as its features in float32.
    """

    method: str
    samples: int
    classes: int
    width: int
    bank: bool = False
    searched: int | None = None

    @property
    def bytes(self) -> int:
        """The most that all tables with a row for each sample take at once, on the CPU and on one process.

        With what is worked out from them. Left out are the network and its batches, the scores of a search (half a
        gigabyte at most); and images, embeddings and names.
        """
        row, wide = row_bytes(self.samples, self.classes), 4 * self.width
        features = feature_bytes(self.samples, self.width) * self.width
        whole = 4 * self.classes * self.whole
        held = row if self.method == "posterior" else min(whole, 4 * self.classes)  # when epochs are over
        near, searched = 8 * voters(self.samples, self.classes), wide if self.searched is None else self.searched
        asking = features + row + near + max(searched, row + 8 * max(HOODS))  # a pass; search, or count votes
        judging = 3 * row + LISTED  # from the files of the run
        work = WORK * min(self.samples * self.classes, PART) + RESAMPLES * self.classes**2
        banked = self.bank * (wide + 4 * self.classes)  # three times: while what was written takes its place
        in_epochs = (wide if self.whole or self.bank else features) + whole + 3 * banked
        return self.samples * max(in_epochs, held + banked + max(asking, judging)) + work

    @property
    def whole(self) -> int:
        """Tables that the method itself holds whole, at most."""
        return WHOLE.get(self.method, WHOLE["mixnn"])

    @property
    def kept(self) -> int:
        """How many of the C shares of a row the larger tables keep."""
        return kept_of(self.samples, self.classes) or self.classes

    @property
    def rounded(self) -> bool:
        """Whether of features that are searched a byte each is kept."""
        return feature_bytes(self.samples, self.width) == 1

    @property
    def worth_telling(self) -> bool:
        return self.kept < self.classes or self.rounded or self.bytes >= WORTH_TELLING

    def __str__(self) -> str:
        """What a run is told at its start."""
        held, own = "", f"; those of {self.method} itself stay whole" if self.whole else ""
        if self.kept < self.classes:
            held = f": of each row the {self.kept} largest shares are kept, in 16 bits{own}"
        if self.rounded:
            held += f"; a byte of each of {self.width:,} features"
        return (
            f"tables of {self.samples:,} samples × {self.classes:,} classes{held}: "
            f"they are predicted to need {self.bytes / 1e9:.1f} GB"
        )
