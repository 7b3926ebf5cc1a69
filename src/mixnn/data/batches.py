"""What a step sees of the data, the training set as tensors, and the order of its batches.

Must not know: methods, files, networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mixnn.data.augment.policies import DRAWS, MIRROR_DRAW, Augmentation
from mixnn.data.counted import Counted
from mixnn.data.images.pixels import Pixels, TensorPixels, Wanted, at_once
from mixnn.data.seeds import generator
from mixnn.distributed.ranks import rank_places, shard, world_size

SHUFFLE, AUGMENT, AUGMENT_PARTNERS = range(3)  # purposes of a derived seed
GROUPS, FLIP = 4, 5
STATISTICS_SAMPLES = 10_000  # samples that channel statistics are made of


@dataclass(frozen=True)
class Batch:
    """Samples with their indices.

    Attributes:
        index: int64 (B,), rows of the training set.
        inputs: uint8 pixels (B, 3, H, W), augmented, or float32 embeddings (B, D): what networks take.
        y: int64 (B,), given labels; below 0 where nobody knows.
        partners: the samples that came along with each of these: the same fields with shapes
            (B, K), (B, K, …), (B, K); None where none were asked for.
    """

    index: Tensor
    inputs: Tensor
    y: Tensor
    partners: Batch | None = None

    @cached_property
    def x(self) -> Tensor:
        """The inputs as float32 (B, …), pixels in 0–1: for arithmetic, such as mixing."""
        return as_input(self.inputs)


def as_input(inputs: Tensor) -> Tensor:
    """uint8 pixels as float32 in 0–1; floats as they are."""
    return inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs


class TrainData:
    """Images (or embeddings) with their given labels.

    Batch order and augmentation follow from (seed, epoch, index) alone: they are the same on any
    number of ranks, and nothing has to be stored to resume.

    Args:
        images: uint8 (N, 3, H, W), or float32 (N, D) embeddings (these are not augmented), on the
            labels' device; or `Pixels`, which bring them there.
        labels: int64 (N,); below 0 for samples whose label nobody knows: no batch is drawn from these.
        batch_size: samples a step, over all ranks.
        seed: of the order and of the augmentation.
        augment: "crop-flip", "resized-crop", "color", "strong" or "none".
        alternate_flips: `train_batches` mirrors a sample every other time, the first time by chance, and not each
            time by chance (Jordan, arXiv 2404.00498).
        balanced: draw every class equally often.
        steps_per_epoch: batches in an epoch; as many as use each sample once where None.
        verified: bool (N,) on the labels' device, labels that a person has reviewed; none where None.
    """

    def __init__(
        self,
        images: Tensor | Pixels,
        labels: Tensor,
        *,
        batch_size: int = 128,
        seed: int = 0,
        augment: Augmentation = "crop-flip",
        alternate_flips: bool = False,
        balanced: bool = False,
        steps_per_epoch: int | None = None,
        verified: Tensor | None = None,
    ) -> None:
        if isinstance(images, Tensor):
            images = TensorPixels(images, labels.device, images.shape[-1])
        self.pixels, self.labels = images, labels
        self.batch_size, self.seed, self.augment = batch_size, seed, augment
        self.alternate_flips, self.balanced, self.steps_per_epoch = alternate_flips, balanced, steps_per_epoch
        self.verified = torch.zeros_like(labels, dtype=torch.bool) if verified is None else verified
        self.labeled = labels.cpu().ge(0).nonzero()[:, 0]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_batches(self) -> int:
        return self.steps_per_epoch or -(-len(self.labeled) // self.batch_size)

    @property
    def samples_per_epoch(self) -> int:
        return self.steps_per_epoch * self.batch_size if self.steps_per_epoch else len(self.labeled)

    @property
    def smallest_batch(self) -> int:
        """Samples that a rank sees at least in a step."""
        return -(-(self.samples_per_epoch // self.num_batches) // world_size())

    def train_batches(
        self,
        epoch: int,
        *,
        rows: Tensor | None = None,
        partners: Tensor | None = None,
        views: int = 1,
        shuffle: bool = True,
        augment: bool | Augmentation = True,
        batch_size: int | None = None,
        repeats: int = 1,
    ) -> Iterator[Batch]:
        """This rank's share of every batch of one epoch.

        Batches differ in size by one sample at most, so there is no tiny last one; where ranks do
        not divide a batch evenly, its first samples are used twice.

        Args:
            epoch: counts from 0.
            rows: int64 (M,), M ≥ 1, the samples an epoch is made of; all that have a label where None.
            partners: int64 (N, K), rows that travel with each sample; augmented on their own.
            views: how often a sample comes in its batch, each time augmented anew; the second and later ones
                are its partners, (B, views - 1, …).
            shuffle: a new order each epoch; otherwise that of the data set.
            augment: whether this epoch augments at all, or how, instead of the data's own way.
            batch_size: samples a step, over all ranks; the data's own where None.
            repeats: how often the epoch goes through its samples, each time in another order and augmented anew.
        """
        rows = self.labeled if rows is None else rows.cpu()
        order = torch.cat([self._order(epoch, rows, shuffle, turn) for turn in range(repeats)])
        again = len(order) > len(rows) or self.balanced
        # A sample that comes twice in an epoch is augmented in two ways: its draws go by its place in the order.
        keys = torch.arange(len(order)) if again else order
        steps = -(-len(order) // (batch_size or self.batch_size))
        shards = [
            (batch[places], key[places])
            for batch, key in zip(order.tensor_split(steps), keys.tensor_split(steps), strict=True)
            for places in [rank_places(len(batch))]
        ]
        count = len(order) if again else len(self)
        mirror = None
        if self.alternate_flips:
            turns = epoch * repeats + torch.arange(len(order)) * repeats // len(order)
            first = torch.randint(2, (len(self),), generator=generator(self.seed, FLIP))
            mirror = keys, (first[order] + turns) % 2
        batches = self._batches(epoch, shards, count, self._traveling(partners, views), augment, mirror)
        return Counted(batches, len(shards))

    def grouped_batches(
        self, epoch: int, groups: Sequence[Tensor], steps: int, *, size: int | None = None, views: int = 1
    ) -> Iterator[Batch]:
        """`steps` batches with as many samples out of each of several groups, such as labeled and unlabeled ones.

        Each group is gone through in a new order, again and again, for as long as the epoch lasts.

        Args:
            epoch: counts from 0.
            groups: G times int64 (M_g,), M_g ≥ 1.
            steps: batches.
            size: samples of each group in a step, over all ranks; batch_size where None.
            views: see `train_batches`.

        Yields:
            G · b samples, group after group, where b is this rank's share of `size`: `batch.index.view(G, -1)`.
        """
        size = size or self.batch_size
        orders = []
        for place, rows in enumerate(groups):
            random = generator(self.seed, epoch, GROUPS, place)
            rows = rows.cpu()
            turns = -(-steps * size // len(rows))
            order = torch.cat([rows[torch.randperm(len(rows), generator=random)] for _ in range(turns)])
            orders.append(order[: steps * size].view(steps, size))
        rows = torch.stack(orders, 1)  # (steps, G, size)
        keys = torch.arange(rows.numel()).view(rows.shape)
        places = rank_places(size)
        shards = [(rows[step][:, places].flatten(), keys[step][:, places].flatten()) for step in range(steps)]
        return Counted(self._batches(epoch, shards, rows.numel(), self._traveling(None, views), augment=True), steps)

    def _traveling(self, partners: Tensor | None, views: int) -> Tensor | None:
        """Which rows come along with each sample, int64 (N, K) on the CPU."""
        if views > 1:
            return torch.arange(len(self))[:, None].expand(-1, views - 1)
        return None if partners is None else partners.cpu()

    def _batches(
        self,
        epoch: int,
        steps: Sequence[tuple[Tensor, Tensor]],
        count: int,
        partners: Tensor | None,
        augment: bool | Augmentation,
        mirror: tuple[Tensor, Tensor] | None = None,
    ) -> Iterator[Batch]:
        """A batch for each step: its samples (B,), and which of `count` draws each of them takes (B,).

        `mirror`: some of the draws, (M,), and whether they mirror, 0 or 1 (M,).
        """
        policy: Augmentation = augment if isinstance(augment, str) else self.augment if augment else "none"
        draws = self._draws(epoch, AUGMENT, policy, count)
        if mirror is not None and policy in MIRROR_DRAW:
            draws[mirror[0], MIRROR_DRAW[policy]] = mirror[1].float()
        partner_draws = (
            None if partners is None else self._draws(epoch, AUGMENT_PARTNERS, policy, count, partners.shape[1])
        )
        plan = []
        for index, key in steps:
            rows, drawn = [index], [draws[key]]
            if partners is not None and partner_draws is not None:
                rows.append(partners[index].flatten())
                drawn.append(partner_draws[key].flatten(0, 1))
            plan.append(Wanted(torch.cat(rows), None if policy == "none" else torch.cat(drawn)))
        rows_on_device = at_once((wanted.rows for wanted in plan), self.labels.device)
        for (index, _), batch_rows, inputs in zip(steps, rows_on_device, self.pixels.get(plan, policy), strict=True):
            yield self._batch(len(index), batch_rows, inputs, None if partners is None else partners.shape[1])

    def full_batches(self, batch_size: int | None = None) -> Iterator[Tensor]:
        """This rank's contiguous share of the inputs, in order and without augmentation: (B, …), as networks take them.

        Where no size is given, it is what a CPU's cache or a GPU's width likes.
        """
        rows = torch.arange(len(self))[shard(len(self))]
        return self.inputs(rows, batch_size)

    def inputs(self, rows: Tensor, batch_size: int | None = None) -> Iterator[Tensor]:
        """Samples `rows` int64 (n,) in order, without augmentation, `batch_size` at a time; nothing of no rows.

        uint8 pixels (B, 3, H, W) or float32 embeddings (B, D), as networks take them.
        """
        size = batch_size or inference_batch(self.labels.device)
        plan = [Wanted(part) for part in rows.split(size) if len(part)]  # few samples leave some ranks without any
        return self.pixels.get(plan, "none")

    def _order(self, epoch: int, rows: Tensor, shuffle: bool, turn: int) -> Tensor:
        """The samples of a turn, out of `rows`: int64 (samples_per_epoch,) where these are the labeled ones."""
        wanted = self.steps_per_epoch * self.batch_size if self.steps_per_epoch else len(rows)
        random = generator(self.seed, epoch, SHUFFLE, *([turn] if turn else []))
        if self.balanced:
            rows = self._balanced_rows(rows, wanted, random)
        order = rows[torch.randperm(len(rows), generator=random)] if shuffle else rows.sort().values
        return order.repeat(-(-wanted // len(order)))[:wanted]

    def _balanced_rows(self, rows: Tensor, wanted: int, random: torch.Generator) -> Tensor:
        """Equally many of `rows` of every class, up to one; each is used once before any comes again."""
        labels = self.labels.cpu()[rows]
        classes = labels.unique()
        chosen = []
        for place, kind in enumerate(torch.randperm(len(classes), generator=random).tolist()):
            class_rows = rows[labels == classes[kind]]
            quota = wanted // len(classes) + (place < wanted % len(classes))
            shuffled = [
                class_rows[torch.randperm(len(class_rows), generator=random)]
                for _ in range(-(-quota // len(class_rows)))
            ]
            chosen.append(torch.cat([class_rows[:0], *shuffled])[:quota])
        return torch.cat(chosen)

    def _draws(self, epoch: int, purpose: int, policy: Augmentation, *shape: int) -> Tensor:
        """What augmentation does with each sample in this epoch: (*shape, number of draws) in 0–1."""
        return torch.rand(*shape, DRAWS[policy], generator=generator(self.seed, epoch, purpose))

    def _batch(self, size: int, rows: Tensor, inputs: Tensor, k: int | None) -> Batch:
        """`size` samples, and after them in `rows` and `inputs` their k partners each."""
        labels = self.labels[rows]
        partners = None
        if k is not None:
            partners = Batch(*(part[size:].unflatten(0, (size, k)) for part in (rows, inputs, labels)))
        return Batch(rows[:size], inputs[:size], labels[:size], partners)


def inference_batch(device: torch.device) -> int:
    """Samples at a time where nothing is learned."""
    return 128 if device.type == "cpu" else 1024


def channel_statistics(data: TrainData) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of what the network will see: (3,) each, (D,) for embeddings.

    At most 10 000 samples, evenly spread, are looked at.
    """
    rows = torch.arange(0, len(data), -(-len(data) // STATISTICS_SAMPLES))
    count, first, second = 0, torch.zeros(1), torch.zeros(1)
    for x in data.inputs(rows):
        flat = as_input(x).double().transpose(0, 1).flatten(1)  # (channels, values)
        count += flat.shape[1]
        first, second = first.to(flat) + flat.sum(1), second.to(flat) + flat.square().sum(1)
    mean = first / count
    std = (second / count - mean.square()).clamp_min(0).sqrt()
    return mean.float(), std.float().clamp_min(1e-3)
