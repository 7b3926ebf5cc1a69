"""Posterior: train on what neighbours, network and given label together make of each label. It is not MixNN: nothing
is mixed; what it keeps of it is that neighbours tell right labels from wrong ones.

Ours. A robust loss first (Zhang & Sabuncu, arXiv 1805.07836), then cross-entropy against the same probabilities as the
list of labels is made of (`mixnn.belief`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mixnn.bank import Bank, Origin
from mixnn.belief import appearance, believed
from mixnn.confusion import Rows, Shares, close, estimate_confusion
from mixnn.data.augment import DRAWS, Augmentation
from mixnn.data.batch import Batch
from mixnn.data.train_data import TrainData
from mixnn.distributed import gather_rows
from mixnn.errors import InputError, require_between
from mixnn.functional import gce_loss, min_max, sample_losses, soft_cross_entropy, soft_labels
from mixnn.methods.base import Method
from mixnn.networks import Classifier
from mixnn.packing import filled, pack, unpack, unpacked_parts
from mixnn.passes import Look, look
from mixnn.rows import kept_of, parts
from mixnn.votes import ask_neighbors

ROBUST_SHARE = 0.55  # of a run, where nothing else is said
Q = 0.7  # of the robust loss with up to ten classes (GCE's paper)
RAREST = 10.0  # times as much as in the mean a label counts, at most
SMALLEST = 8  # samples of a step that comes of splitting, over all ranks: batch norm wants some on each


class Posterior(Method):
    """A robust loss on the given labels first, then cross-entropy on what each label probably is.

    Args:
        network, labels, num_classes: see `Method`.
        q: of the robust loss, from 0.001, next to cross-entropy, to 1 (`gce`); where None, see `robust_q`.
        correct_from: first epoch that trains on the posterior, counted from 0; where None, after 55 % of a run, and in
            a loop of one's own 22, as of 40 epochs.
        correct_every: epochs from one posterior to the next.
        turns: how often an epoch goes through the samples from `correct_from` on.
        augment: how, from `correct_from` on, where a run augments by crop-flip and nothing else.
        bank: what network and neighbours say comes from a "pass" over all samples, or from the "steps", see `Bank`.
        split: a batch is taken in so many steps, since many small ones withstand noise better than few large ones.

    Raises:
        InputError: an option is out of its range.
    """

    targets: Tensor  # t, a table (N, C), see `packing`: what each label probably is; before `correct_from` as given
    rarity: Tensor  # (C,), see below

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        q: float | None = None,
        correct_from: int | None = None,
        correct_every: int = 3,
        turns: int = 2,
        augment: Augmentation = "colour",
        bank: Origin = "pass",
        split: int = 2,
    ) -> None:
        super().__init__(network, labels, num_classes)
        if correct_from is None:
            correct_from = self.options_for(40)["correct_from"]
        q = robust_q(num_classes) if q is None else q
        require_between("posterior.q", q, 1e-3, 1)
        require_between("posterior.correct_from", correct_from, 0)
        require_between("posterior.correct_every", correct_every, 1)
        require_between("posterior.turns", turns, 1)
        require_between("posterior.split", split, 1)
        if augment not in DRAWS:
            raise InputError(f"posterior.augment is {augment!r}: use one of {', '.join(DRAWS)}")
        self.q, self.correct_every, self.split = q, correct_every, split
        self.turns, self.augment = turns, augment
        self.correct_from = self.first_own_epoch = correct_from
        self.register_buffer("rarity", rarity(labels, num_classes), persistent=False)
        self.kept = kept_of(len(labels), num_classes)
        if bank == "steps" and self.kept is not None:
            raise InputError(f"posterior.bank is 'steps': {len(labels):,} × {num_classes:,} are too many, use pass")
        self.bank = Bank(bank, 1, self.network, labels, num_classes, name="posterior")
        as_given = (soft_labels(labels[rows], num_classes) for rows in parts(len(labels), num_classes))
        self.register_buffer("targets", filled(len(labels), ((pack(t, self.kept),) for t in as_given))[0])

    @classmethod
    def options_for(cls, epochs: int) -> dict[str, Any]:
        return {"correct_from": round(ROBUST_SHARE * epochs)}

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        if epoch < self.correct_from:
            return
        if self._corrects(epoch):
            self._correct(data)
        labelled, y = data.labels >= 0, data.labels.clamp_min(0)
        every = unpacked_parts(self.targets, self.num_classes)  # t (n, C)
        of_each = ((t.argmax(1), t.gather(1, y[rows, None])[:, 0]) for rows, t in every)
        likeliest, of_given = filled(len(data), of_each)  # (N,) each
        self.figures["clean_share"] = of_given[labelled].mean().item()
        self.figures["relabelled_share"] = (likeliest != y)[labelled].float().mean().item()

    def _correct(self, data: TrainData) -> None:
        """t_i(c) ∝ look_i(c) · J[c, y_i], look of the neighbours' given labels and the network's prediction."""
        classes, given = self.num_classes, data.labels.cpu().numpy()
        with self.phase("full_pass"):
            f, probs, log_given = self._look(data)  # (N, D), (N, C), (N, 1)
        with self.phase("neighbors"):  # each rank searches for its share
            asked = ask_neighbors(f, data.labels, classes, self.kept)
            near, vote = gather_rows(asked.near), gather_rows(asked.vote)  # (N, ≤ 40), (N, C)
            self.choices["neighbors"] = asked.how.search
            self.figures |= asked.how.figures
            del f, asked  # by far the largest where few classes, or few shares, are kept
        self.losses = min_max(-log_given[:, 0], data.labels >= 0).where(data.labels >= 0, torch.nan)
        with self.phase("mixture"):
            closest = near[:, : close(len(data), classes)].cpu().numpy()
            joint = estimate_confusion(given, closest, classes).joint  # J (C, C)
            reviewed = self.certain.cpu().numpy()

            def looks(rows: Rows) -> Shares:
                seen = appearance(*(unpack(table[rows], classes).cpu().numpy() for table in (vote, probs)))
                certain = reviewed[rows]  # a person has looked
                seen[certain] = soft_labels(torch.from_numpy(given[rows][certain]), classes).numpy()
                return seen

            for rows, _, t in believed(looks, given, joint):
                self.targets[rows] = pack(torch.from_numpy(t).float(), self.kept).to(self.targets.device)

    def _corrects(self, epoch: int) -> bool:
        since = epoch - self.correct_from
        return since >= 0 and since % self.correct_every == 0

    def _look(self, data: TrainData) -> Look:
        if self.bank.origin == "pass":  # which can be of any size
            return look([self.network], data, self.kept)
        f, log_p = self.bank.look(self.network, data, self.epoch)
        return Look(f, log_p.exp(), log_p.gather(1, data.labels.clamp_min(0)[:, None]))

    def batches(self, epoch: int, data: TrainData) -> Iterator[Batch]:
        size = data.batch_size // min(self.split, max(1, data.batch_size // SMALLEST))
        if epoch < self.correct_from:
            return data.train_batches(epoch, batch_size=size)
        augment: bool | Augmentation = self.augment if data.augment == "crop-flip" else True
        return data.train_batches(epoch, batch_size=size, turns=self.turns, augment=augment)

    def forward(self, batch: Batch) -> Tensor:
        features, logits = self.network.features_and_logits(batch.inputs)  # (B, D), (B, C)
        if self._corrects(self.epoch + 1):
            self.bank.note(self.epoch, batch.index, features, logits)
        if self.epoch < self.correct_from:
            losses = gce_loss(-sample_losses(logits.log_softmax(1), batch.y), self.q)  # (B,)
            return (self.rarity[batch.y] * losses).mean()
        return soft_cross_entropy(logits, unpack(self.targets[batch.index], self.num_classes))

    def soft_targets(self) -> Tensor:
        return self.targets


def robust_q(classes: int) -> float:
    """0.7 up to ten classes; with more so much less that C^-q stays what it is with ten.

    The gradient of L_q is p^q times that of cross-entropy, and p = 1 / C where nothing is learnt yet: with a hundred
    classes and q = 0.7 that is a twenty-fifth, and a network learns slowly.
    """
    return Q * min(1.0, math.log(10) / math.log(max(2, classes)))


def rarity(labels: Tensor, classes: int) -> Tensor:
    """How much a label of each class counts in the robust loss, (C,): the rarer, the more; 1 if all are equal.

    The loss gives up on samples that it cannot fit, and so on a rare class as a whole; then no neighbour and no
    prediction speaks for it any more, and all of its labels are held to be wrong.

    Args:
        labels: int64 (N,), as given; below 0 where there is none.
        classes: C.
    """
    counts = labels[labels >= 0].bincount(minlength=classes).float()
    return (counts.sum() / classes / counts.clamp_min(1)).clamp_max(RAREST)
