"""Posterior: train on the probability of every true label, as the list of label issues has it.

Ours. A robust loss first (Zhang & Sabuncu, arXiv 1805.07836), then cross-entropy against the label posterior of
`mixnn.evidence`, from features that have not seen the label. A part of the labels is held out at first: they tell
whether any of this harms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from mixnn.data.augment.policies import DRAWS, Augmentation
from mixnn.data.batches import Batch, TrainData
from mixnn.errors import InputError, require_between
from mixnn.evidence.forward_pass import embeddings, eval_pass, is_embeddings
from mixnn.evidence.held_out_labels import HeldOutLabels
from mixnn.evidence.label_issues import targets_from
from mixnn.evidence.loss_mixture import min_max
from mixnn.methods.base import Method
from mixnn.methods.losses import gce_loss, nll, one_hot_or_uniform, soft_cross_entropy
from mixnn.models.classifier import Classifier
from mixnn.tables.topk_rows import chunks, topk_size
from mixnn.tables.topk_tensors import concatenated, dense_chunks, to_dense, to_topk

ROBUST_SHARE = 0.55  # of a run, where nothing else is said
Q = 0.7  # of the robust loss with up to ten classes (GCE's paper)
MAX_CLASS_WEIGHT = 10.0  # times as much as in the mean a label counts, at most
MIN_STEP_SAMPLES = 8  # samples of a step that comes of splitting, over all ranks: batch norm wants some on each
TRIAL = 3  # epochs after which held-out labels say whether something harms
NEVER = 2**40  # epochs
MEMORIZED, POOR, HARMFUL = 1, 2, 3  # why the given labels are kept


class Posterior(Method):
    """A robust loss on the given labels first, then cross-entropy on what each label probably is.

    Args:
        network, labels, num_classes: see `Method`.
        q: of the robust loss, from 0.001, next to cross-entropy, to 1 (`gce`); where None, see `robust_q`.
        correct_from: first epoch that trains on the posterior, counted from 0; where None, after 55 % of a run, and in
            a loop of one's own 22, as of 40 epochs.
        correct_every: epochs from one posterior to the next.
        repeats: how often an epoch goes through the samples from `correct_from` on.
        augment: how, from `correct_from` on, where a run augments by crop-flip and nothing else.
        steps_per_batch: a batch is taken in so many steps: many small ones withstand noise better than few large ones.

    Raises:
        InputError: an option is out of its range.
    """

    paper = "ours"
    extra_passes, cost, cost_by_phase = "1 every 6 epochs, in the second part", 1.7, "1, then 2.1"
    verified_labels = "its target is that label, from `correct_from` on"
    short_options: ClassVar = {"correct_from": 2}

    targets: Tensor  # t, (N, C) as in `topk_tensors`: what each label probably is; before `correct_from` as given
    class_weights: Tensor  # (C,), see below
    due: Tensor  # (), epoch of the next posterior; before the first epoch -1
    given_up: Tensor  # (), why the given labels are kept; 0 where they are corrected
    recolors: Tensor  # (), whether colors may change

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        q: float | None = None,
        correct_from: int | None = None,
        correct_every: int = 6,
        repeats: int = 2,
        augment: Augmentation = "color",
        steps_per_batch: int = 2,
    ) -> None:
        super().__init__(network, labels, num_classes)
        if correct_from is None:
            correct_from = self.default_options(40)["correct_from"]
        self.q = require_between("posterior.q", robust_q(num_classes) if q is None else q, 1e-3, 1)
        self.correct_from = self.main_phase_start = require_between("posterior.correct_from", correct_from, 0)
        self.correct_every = require_between("posterior.correct_every", correct_every, 1)
        self.repeats = require_between("posterior.repeats", repeats, 1)
        self.steps_per_batch = require_between("posterior.steps_per_batch", steps_per_batch, 1)
        if augment not in DRAWS:
            raise InputError(f"posterior.augment is {augment!r}: use one of {', '.join(DRAWS)}")
        self.augment = augment
        self.register_buffer("class_weights", class_weights(labels, num_classes), persistent=False)
        self.k = topk_size(len(labels), num_classes)
        self.register_buffer("targets", self._as_given(labels))
        self.start, self.robust = correct_from, True
        self.register_buffer("due", torch.tensor(-1))
        self.register_buffer("given_up", torch.tensor(0))
        self.register_buffer("recolors", torch.tensor(True))
        self.held_out = HeldOutLabels(labels)

    @classmethod
    def default_options(cls, epochs: int) -> dict[str, Any]:
        return {"correct_from": round(ROBUST_SHARE * epochs)}

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        self.start = self.correct_from // 2 if is_embeddings(data) else self.correct_from
        self.robust = epoch < self.start
        if int(self.due) < 0:
            self.due.fill_(self.start)
            self.held_out.rows &= ~data.verified
        if epoch >= int(self.due) and not int(self.given_up):
            self._correct(data)
        if not self.robust:
            self._count(data.labels)
        self.auto_selected |= self._reasons()

    def _correct(self, data: TrainData) -> None:
        """New targets, unless the held-out labels say that the given ones are better."""
        first = int(self.due) == self.start
        with self.phase("eval_pass"):
            features, probs, log_given = eval_pass([self.network], data, compact=True)  # (N, D), (N, C), (N, 1)
            inputs = embeddings(data) if is_embeddings(data) else None
        labeled = data.labels >= 0
        self.losses = min_max(-log_given[:, 0], labeled).where(labeled, torch.nan)
        if self.held_out:
            known = likeliest(probs, self.num_classes) == data.labels
            self._check_held_out(known, labeled, data, first)
        del probs
        if int(self.given_up):
            return
        with self.phase("evidence"):
            labels = data.labels.masked_fill(self.held_out.rows, -1)
            seen = features if inputs is None else inputs
            table, search = targets_from(seen, labels, self.num_classes, self.verified)
        self.auto_selected["neighbors"] = search.search
        self.metrics |= search.metrics
        if (
            first
            and self.held_out
            and self.held_out.evidence_is_worse(likeliest(table, self.num_classes) == data.labels)
        ):
            self._give_up(POOR, data)
        else:
            self.targets.copy_(table)
            again = NEVER if inputs is not None else self.correct_every  # embeddings stay what they are
            self.due.fill_(self.epoch + (TRIAL if self.held_out else again))

    def _check_held_out(self, known: Tensor, labeled: Tensor, data: TrainData, first: bool) -> None:
        """Leave out what harms, by the held-out labels, and hold them out no longer once nothing does.

        Args:
            known: bool (N,), whose given label the network gives.
            labeled: bool (N,).
            first: whether nothing has been corrected yet.
        """
        if first:
            if self.held_out.memorized(known, labeled) and not is_embeddings(data):
                self._give_up(MEMORIZED, data)
        elif not self.held_out.is_worse_than_before(known):
            self.held_out.release()
        elif self._augmentation(data) is not True:
            self.recolors.fill_(False)
        else:
            self._give_up(HARMFUL, data)

    def _give_up(self, why: int, data: TrainData) -> None:
        """Train on the given labels for the rest of the run."""
        self.given_up.fill_(why)
        self.held_out.release()
        self.targets.copy_(self._as_given(data.labels))

    def _as_given(self, labels: Tensor) -> Tensor:
        """The given labels as a table of targets."""
        rows = (one_hot_or_uniform(labels[part], self.num_classes) for part in chunks(len(labels), self.num_classes))
        return concatenated(len(labels), ((to_topk(t, self.k),) for t in rows))[0]

    def _count(self, labels: Tensor) -> None:
        """How much of the given labels the targets keep."""
        labeled, y = labels >= 0, labels.clamp_min(0)
        dense = dense_chunks(self.targets, self.num_classes)  # t (n, C)
        of_rows = ((t.argmax(1), t.gather(1, y[rows, None])[:, 0]) for rows, t in dense)
        suggested, of_given = concatenated(len(labels), of_rows)  # (N,) each
        self.metrics["clean_fraction"] = of_given[labeled].mean().item()
        self.metrics["relabeled_share"] = (suggested != y)[labeled].float().mean().item()

    def _reasons(self) -> dict[str, str]:
        """What was chosen, in words."""
        seen, unseen, evidence, later = (f"{100 * accuracy:.0f} %" for accuracy in self.held_out.accuracies.tolist())
        known = f"of the held-out labels, the evidence knew {evidence}, the network {unseen}"
        reasons = {}
        if not bool(self.recolors):
            reasons["colors"] = (
                f"left as they are: of the held-out labels, {later} were known with other colors, {unseen} before"
            )
        if int(self.given_up) or float(self.held_out.accuracies[0]):
            reasons["labels"] = {
                0: f"corrected: {known}",
                MEMORIZED: f"as given: the network has memorized them ({seen} of those it was trained on, {unseen} of "
                "those it was not), so its features are no evidence",
                POOR: f"as given: {known}",
                HARMFUL: f"as given: of the held-out labels, {later} were known after the others were corrected, "
                f"{unseen} before",
            }[int(self.given_up)]
        return reasons

    def _augmentation(self, data: TrainData) -> bool | Augmentation:
        """How the second part augments."""
        return self.augment if data.augment == "crop-flip" and bool(self.recolors) else True

    def batches(self, epoch: int, data: TrainData) -> Iterator[Batch]:
        size = data.batch_size // min(self.steps_per_batch, max(1, data.batch_size // MIN_STEP_SAMPLES))
        if self.robust:
            seen = data.labeled[~self.held_out.rows.cpu()[data.labeled]] if self.held_out else None
            return data.train_batches(epoch, rows=seen, batch_size=size)
        return data.train_batches(epoch, batch_size=size, repeats=self.repeats, augment=self._augmentation(data))

    def forward(self, batch: Batch) -> Tensor:
        logits = self.network(batch.inputs)  # (B, C)
        if self.robust:
            losses = gce_loss(-nll(logits.log_softmax(1), batch.y), self.q)  # (B,)
            return (self.class_weights[batch.y] * losses).mean()
        return soft_cross_entropy(logits, to_dense(self.targets[batch.index], self.num_classes))

    def soft_targets(self) -> Tensor:
        return self.targets


def robust_q(classes: int) -> float:
    """0.7 up to ten classes; with more so much less that C^-q stays what it is with ten.

    The gradient of L_q is p^q times that of cross-entropy, and p = 1 / C where nothing is learned yet: with a hundred
    classes and q = 0.7 that is a twenty-fifth, and a network learns slowly.
    """
    return Q * min(1.0, math.log(10) / math.log(max(2, classes)))


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """How much a label of each class counts in the robust loss, (C,): the rarer, the more; 1 if all are equal.

    The loss gives up on samples that it cannot fit, and so on a rare class as a whole; then no neighbor and no
    prediction speaks for it any more, and all of its labels are flagged as issues.

    Args:
        labels: int64 (N,), as given; below 0 where there is none.
        classes: C.
    """
    counts = labels[labels >= 0].bincount(minlength=classes).float()
    return (counts.sum() / classes / counts.clamp_min(1)).clamp_max(MAX_CLASS_WEIGHT)


def likeliest(table: Tensor, classes: int) -> Tensor:
    """The class of the largest probability in each row of a table, int64 (N,)."""
    return torch.cat([rows.argmax(1) for _, rows in dense_chunks(table, classes)])
