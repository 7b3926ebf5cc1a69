"""What several annotators say together, and how good each of them is. Must not know: torch, runs, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError, require_between
from mixnn.label_quality.annotators import AnnotatorModel
from mixnn.label_quality.probabilities import FloatArray, largest_two, probability_of
from mixnn.label_quality.votes import Votes
from mixnn.tables.topk_rows import Table, chunks

TIE = 1e-6  # of probabilities that are as good as equal
MIN_PROB = 1e-12


class Request(NamedTuple):
    """A label to ask for: of which item, of which annotator, and what is to be expected of it, in nats.

    `annotator` is None where all have labeled the item: somebody new, as good as a typical one.
    """

    item: Any
    annotator: Any
    information: float


@dataclass(frozen=True)
class Consensus:
    """The answer of `mixnn.find_consensus`.

    Attributes:
        label_posterior: (N, C), rows sum to one: P(true label | all labels, evidence).
        items: N names.
        annotators: M names.
        classes: C names, in the order of the columns.
        votes: the labels that were given, as places in these lists.
        model: how each annotator labels.
        by_votes: int64 (N,), the consensus of the labels alone; -1 where an item has none.
        evidence: what the rule chose by itself, by name.
        seed: of the draw between classes that are equally likely.
    """

    label_posterior: Table
    items: Sequence[Any]
    annotators: Sequence[Any]
    classes: Sequence[Any]
    votes: Votes
    model: AnnotatorModel
    by_votes: NDArray[np.int64]
    evidence: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def consensus(self) -> NDArray[np.int64]:
        """The likeliest true label, (N,), as a place in `classes`."""
        return likeliest(self.label_posterior, self.seed)

    @cached_property
    def consensus_label(self) -> NDArray[Any]:
        """The likeliest true label, (N,), as one of `classes`."""
        return np.asarray(self.classes)[self.consensus]

    @cached_property
    def consensus_quality(self) -> NDArray[np.float64]:
        """P(the consensus is right), (N,) in 0–1."""
        return probability_of(self.label_posterior, self.consensus)

    @cached_property
    def ranking(self) -> NDArray[np.int64]:
        """Rows in the order a person should look at them, (N,): the worst consensus first."""
        return np.argsort(self.consensus_quality, kind="stable")

    @cached_property
    def num_labels(self) -> NDArray[np.int64]:
        """How many annotators labeled each item, (N,)."""
        return np.bincount(self.votes.item, self.votes.weight, len(self)).round().astype(np.int64)

    @cached_property
    def item_agreement(self) -> NDArray[np.float64]:
        """Share of an item's labels that are the consensus, (N,); NaN where it has none."""
        same = self.votes.label == self.consensus[self.votes.item]
        return ratio(np.bincount(self.votes.item, self.votes.weight * same, len(self)), self.num_labels)

    @cached_property
    def annotation_quality(self) -> NDArray[np.float64]:
        """P(a single label is right), (V,), in the order of `votes`."""
        found = np.empty(len(self.votes.item))
        for part in chunks(len(found), len(self.classes)):
            rows = np.atleast_2d(self.label_posterior[self.votes.item[part]])
            found[part] = rows[np.arange(len(rows)), self.votes.label[part]]
        return found

    @cached_property
    def annotator_labels(self) -> NDArray[np.int64]:
        """How many items each annotator labeled, (M,)."""
        return np.bincount(self.votes.annotator, self.votes.weight, len(self.annotators)).round().astype(np.int64)

    @property
    def annotator_accuracy(self) -> FloatArray:
        """P(right label) of each annotator, (M,) in 0–1; shrunk toward the others where there are few labels."""
        return self.model.accuracy

    @cached_property
    def annotator_agreement(self) -> NDArray[np.float64]:
        """Share of the others' labels for the same items that are the annotator's, (M,); NaN where there are none."""
        votes, size = self.votes, len(self.annotators)
        whole = np.bincount(votes.item, votes.weight, votes.items)[votes.item]
        _, same, inverse = np.unique(
            votes.item * votes.classes + votes.label, return_index=True, return_inverse=True
        )  # no table of N × C
        of_label = np.bincount(inverse, votes.weight, len(same))[inverse]
        pair = votes.item * size + votes.annotator  # shares of one annotator's vote are no others
        _, place = np.unique(pair, return_inverse=True)
        own = np.bincount(place, votes.weight)[place]
        others = whole - own
        several = others > 0.5
        share = np.divide(of_label - votes.weight, others, out=np.zeros(len(others)), where=several)
        weight = votes.weight * several
        return ratio(np.bincount(votes.annotator, weight * share, size), np.bincount(votes.annotator, weight, size))

    def noise_matrix(self, annotator: Any) -> FloatArray:
        """P(label | true label) of one annotator, (C, C), rows sum to one.

        Raises:
            InputError: there is no annotator of that name.
        """
        return self.model.matrix(place_of(annotator, self.annotators))

    @cached_property
    def information(self) -> NDArray[np.float64]:
        """What one more label, of a typical annotator, is expected to tell of each item, (N,), in nats."""
        matrix = self.model.typical.matrix
        found = np.empty(len(self))
        for part in chunks(*self.label_posterior.shape):
            found[part] = mutual_information(self.label_posterior[part], matrix)
        return found

    def ask_next(self, count: int = 10, annotators: Sequence[Any] | None = None) -> list[Request]:
        """Which items to ask about next, and whom: the labels of which most is expected, one an item.

        An annotator is not asked twice about an item. Of several annotators who tell the same, the one with the fewest
        labels is asked.

        Args:
            count: how many items, at most.
            annotators: who can be asked; all where None.

        Raises:
            InputError: `count` is below 1, or there is no annotator of that name.
        """
        require_between("count", count, 1)
        whom = range(len(self.annotators)) if annotators is None else annotators
        places = list(whom) if annotators is None else [place_of(name, self.annotators) for name in annotators]
        order = np.lexsort((np.random.default_rng(self.seed).random(len(self)), -self.information))
        rows = order[: 2 * count]  # an annotator may tell more of an item than a typical one does
        probs = self.label_posterior[rows]
        at = {int(row): i for i, row in enumerate(rows)}
        asked = np.isin(self.votes.item, rows)
        done = list(zip(self.votes.annotator[asked].tolist(), self.votes.item[asked].tolist(), strict=True))
        best, who = np.full(len(rows), -1.0), np.full(len(rows), -1)
        for place in sorted(places, key=lambda one: int(self.annotator_labels[one])):
            told = mutual_information(probs, self.model.matrix(place))
            told[[at[item] for annotator, item in done if annotator == place]] = -1
            better = told > best + TIE
            best[better], who[better] = told[better], place
        nobody = who < 0
        best[nobody] = self.information[rows[nobody]]
        names = [*self.annotators, None]  # the last is nobody
        first = np.argsort(-best, kind="stable")[:count].tolist()
        return [Request(self.items[rows[i]], names[who[i]], float(best[i])) for i in first]

    def to_frame(self) -> Any:
        """A pandas DataFrame, a row an item.

        Raises:
            InputError: pandas is not installed.
        """
        return frame(self.item_columns())

    def annotators_to_frame(self) -> Any:
        """A pandas DataFrame, a row an annotator. Raises InputError without pandas."""
        return frame(self.annotator_columns())

    def annotations_to_frame(self) -> Any:
        """A pandas DataFrame, a row a label that was given, with P(it is right). Raises InputError without pandas."""
        names = [np.asarray(list(part), dtype=object) for part in (self.items, self.annotators, self.classes)]
        places = (self.votes.item, self.votes.annotator, self.votes.label)
        columns = dict(zip(("item", "annotator", "label"), map(np.take, names, places), strict=True))
        return frame(columns | {"label_quality": self.annotation_quality})

    def item_columns(self) -> dict[str, Any]:
        """What is known of every item, by name; `ask_next` is 1 for the item to ask about first."""
        rank = np.empty(len(self), np.int64)
        rank[np.lexsort((np.random.default_rng(self.seed).random(len(self)), -self.information))] = range(
            1, len(self) + 1
        )
        names = np.array([*self.classes, None], dtype=object)  # -1, no label, is the last
        return {
            "item": list(self.items),
            "consensus_label": self.consensus_label,
            "consensus_quality": self.consensus_quality,
            "votes_label": names[self.by_votes],
            "num_labels": self.num_labels,
            "agreement": self.item_agreement,
            "information": self.information,
            "ask_next": rank,
        }

    def annotator_columns(self) -> dict[str, Any]:
        """What is known of every annotator, by name."""
        confused = [self.most_confused(place) for place in range(len(self.annotators))]
        return {
            "annotator": list(self.annotators),
            "num_labels": self.annotator_labels,
            "accuracy": self.annotator_accuracy,
            "agreement": self.annotator_agreement,
            "true_label": [self.classes[true] for true, _, _ in confused],
            "often_labeled": [self.classes[given] for _, given, _ in confused],
            "how_often": [prob for _, _, prob in confused],
        }

    def most_confused(self, annotator: int) -> tuple[int, int, float]:
        """(true class, label, P(label | true class)): the commonest confusion of an annotator, by its place."""
        matrix = self.model.matrix(annotator)
        joint = matrix * self.model.prior[:, None] * (1 - np.eye(len(matrix)))
        true, given = np.unravel_index(int(joint.argmax()), joint.shape)
        return int(true), int(given), float(matrix[true, given])

    def __repr__(self) -> str:
        return (
            f"Consensus({len(self):,} items, {len(self.annotators):,} annotators, {len(self.votes.item):,} labels, "
            f"{len(self.classes):,} classes)"
        )


def likeliest(table: Table, seed: int = 0) -> NDArray[np.int64]:
    """The likeliest class of each row, (N,); between equal ones it is drawn."""
    first, value, _, other = largest_two(table)
    found = np.asarray(first, dtype=np.int64).copy()
    random = np.random.default_rng(seed)
    for row in np.flatnonzero(value - other < TIE).tolist():
        found[row] = random.choice(np.flatnonzero(table[row] > value[row] - TIE))
    return found


def mutual_information(probs: FloatArray, matrix: FloatArray) -> NDArray[np.float64]:
    """Between the true label, P(true label) (n, C), and one more label by a noise matrix (C, C): (n,), in nats."""
    label = probs @ matrix  # (n, C)
    entropy = -(matrix * np.log(matrix.clip(MIN_PROB))).sum(1)  # (C,)
    found: NDArray[np.float64] = -(label * np.log(label.clip(MIN_PROB))).sum(1) - probs @ entropy
    return found.clip(0)


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """NaN where there is nothing to divide by."""
    found: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return found


def place_of(name: Any, names: Sequence[Any]) -> int:
    """Raises InputError where there is no such annotator."""
    found = list(names)
    if name not in found:
        some = ", ".join(map(repr, found[:5])) + (", …" if len(found) > 5 else "")
        raise InputError(f"no annotator is {name!r}: use one of {some}")
    return found.index(name)


def frame(columns: dict[str, Any]) -> Any:
    """As a pandas DataFrame; InputError where pandas is not installed."""
    try:
        import pandas  # type: ignore[import-untyped]  # its stubs are another package
    except ImportError:
        raise InputError("a table needs pandas: pip install pandas") from None
    return pandas.DataFrame(columns)
