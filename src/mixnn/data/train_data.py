"""The training set as tensors, and the order of its batches. Must not know: methods, files, networks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mixnn.data.augment import Augmentation, crop_flip
from mixnn.data.batch import Batch
from mixnn.data.random import generator
from mixnn.distributed import rank, shard, world_size

SHUFFLE, AUGMENT, AUGMENT_PARTNERS = range(3)  # purposes of a derived seed


class TrainData:
    """Images (or embeddings) with their given labels, both on one device.

    Batch order and augmentation follow from (seed, epoch, index) alone: they are the same on any
    number of ranks, and nothing has to be stored to resume.

    Args:
        images: uint8 (N, 3, H, W), or float32 (N, D) embeddings (these are not augmented).
        labels: int64 (N,).
        batch_size: samples a step, over all ranks.
        seed: of the order and of the augmentation.
        augment: "crop-flip" or "none".
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        batch_size: int = 128,
        seed: int = 0,
        augment: Augmentation = "crop-flip",
    ) -> None:
        self.images, self.labels = images, labels
        self.batch_size, self.seed, self.augment = batch_size, seed, augment

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_batches(self) -> int:
        return -(-len(self) // self.batch_size)

    @property
    def smallest_batch(self) -> int:
        """Samples that a rank sees at least in a step."""
        return -(-(len(self) // self.num_batches) // world_size())

    def train_batches(
        self, epoch: int, *, partners: Tensor | None = None, shuffle: bool = True, augment: bool = True
    ) -> Iterator[Batch]:
        """This rank's share of every batch of one epoch.

        Batches differ in size by one sample at most, so there is no tiny last one; where ranks do
        not divide a batch evenly, its first samples are used twice.

        Args:
            epoch: counts from 0.
            partners: int64 (N, K), rows that travel with each sample; augmented on their own.
            shuffle: a new order each epoch; otherwise that of the data set.
            augment: whether this epoch augments at all.
        """
        n, device = len(self), self.labels.device
        order = torch.randperm(n, generator=generator(self.seed, epoch, SHUFFLE)) if shuffle else torch.arange(n)
        augment = augment and self.augment == "crop-flip" and self.images.dim() == 4
        draws = self._draws(epoch, AUGMENT, n) if augment else None
        partner_draws = (
            self._draws(epoch, AUGMENT_PARTNERS, *partners.shape) if augment and partners is not None else None
        )
        for batch in order.tensor_split(self.num_batches):
            index = self._own_share(batch).to(device)
            own = self._batch(index, None if draws is None else draws[index])
            if partners is not None:
                others = self._batch(partners[index], None if partner_draws is None else partner_draws[index])
                own = Batch(own.index, own.x, own.y, others)
            yield own

    def full_batches(self, batch_size: int | None = None) -> Iterator[Tensor]:
        """This rank's contiguous share of the inputs, in order and without augmentation: float (B, …).

        Where no size is given, it is what a CPU's cache or a GPU's width likes.
        """
        batch_size = batch_size or inference_batch(self.labels.device)
        for rows in torch.arange(len(self), device=self.labels.device)[shard(len(self))].split(batch_size):
            yield as_input(self.images[rows])

    def _own_share(self, batch: Tensor) -> Tensor:
        ranks = world_size()
        places = torch.arange(-(-len(batch) // ranks) * ranks) % len(batch)
        return batch[places[rank() :: ranks]]

    def _draws(self, epoch: int, purpose: int, *shape: int) -> Tensor:
        """What augmentation does with each sample in this epoch: (*shape, 3) in 0–1."""
        return torch.rand(*shape, 3, generator=generator(self.seed, epoch, purpose)).to(self.labels.device)

    def _batch(self, rows: Tensor, draws: Tensor | None) -> Batch:
        """Samples `rows` of any shape, with `draws` (*rows.shape, 3)."""
        flat = rows.flatten()
        x = self.images[flat] if draws is None else crop_flip(self.images, flat, draws.reshape(-1, 3))
        return Batch(rows, as_input(x).unflatten(0, rows.shape), self.labels[rows])


def inference_batch(device: torch.device) -> int:
    """Samples at a time where nothing is learnt."""
    return 128 if device.type == "cpu" else 1024


def as_input(x: Tensor) -> Tensor:
    """uint8 pixels as float32 in 0–1; embeddings as they are."""
    return x.float() / 255 if x.dtype == torch.uint8 else x


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of what the network will see: (3,) each, (D,) for embeddings.

    At most 10 000 samples, evenly spread, are looked at.
    """
    x = as_input(images[:: -(-len(images) // 10_000)]).transpose(0, 1).flatten(1)
    return x.mean(1), x.std(1).clamp_min(1e-3)
