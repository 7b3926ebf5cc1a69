"""MixNN by the scheme of its public code, written anew as a baseline. Must not know: what it is compared with.

Once its warm-up and its random mixup are over, that code does this:

    epoch   losses of all images, batch by batch, in eval mode; scikit-learn's mixture of them, normalized
    step    a forward in train mode for features; a graph (HNSW) of these; the two nearest, the image itself counted;
            image by image, a mix of both by their clean probabilities; a second forward, of the mix; loss and step
    at times  image by image, t ← α t + (1 − α) p

What is not known of it is decided in its favor: the first forward keeps nothing for a backward, losses are written a
batch at a time, and images come from our loader.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.nn.functional import cross_entropy

from mixnn.data.batches import Batch, TrainData
from mixnn.evidence.loss_mixture import min_max
from mixnn.methods.base import Method
from mixnn.methods.losses import one_hot_or_uniform, soft_cross_entropy
from mixnn.methods.mixing import ema
from mixnn.models.classifier import Classifier

EM = {"max_iter": 10, "tol": 1e-2, "reg_covar": 5e-4}
FOUND = 2  # neighbors asked for; an image is its own first
LINKS = 32
INDEX = "faiss IndexHNSWFlat" if importlib.util.find_spec("faiss") is not None else "exact"


class PublicScheme(Method):
    """What stands at the head of this file.

    Args:
        correct_from, correct_every: first epoch that corrects labels, and epochs from one to the next.
        alpha: α.
    """

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        correct_from: int,
        correct_every: int = 10,
        alpha: float = 0.9,
    ) -> None:
        super().__init__(network, labels, num_classes)
        self.correct_from, self.correct_every, self.alpha = correct_from, correct_every, alpha
        self.targets = one_hot_or_uniform(labels, num_classes)  # t (N, C)
        self.clean = np.ones(len(labels))  # w (N,)

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        with self.phase("eval_pass"):
            losses = self._losses(data)
        with self.phase("mixture"):
            self.clean = low_posterior(losses)

    @torch.no_grad()
    def _losses(self, data: TrainData) -> Tensor:
        """Of every image against its current label: (N,), in 0–1."""
        self.network.eval()
        losses, done = torch.empty(len(data), device=data.labels.device), 0
        for x in data.full_batches(data.batch_size):
            rows = slice(done, done + len(x))
            losses[rows] = cross_entropy(self.network(x), self.targets[rows].argmax(1), reduction="none")
            done += len(x)
        self.network.train()
        return min_max(losses)

    def forward(self, batch: Batch) -> Tensor:
        with self.part("features"), torch.no_grad():
            features, logits = self.network.features_and_logits(batch.inputs)
        since = self.epoch - self.correct_from
        if since >= 0 and since % self.correct_every == 0:
            with self.part("correction"):
                self._correct(batch.index, logits.softmax(1))
        with self.part("index"):
            nearest = nearest_in_batch(features)
        with self.part("mixing"):
            x, t = self._mixed(batch, nearest)
        return soft_cross_entropy(self.network(x), t)

    def _correct(self, index: Tensor, probs: Tensor) -> None:
        for place, row in enumerate(index.tolist()):
            self.targets[row] = ema(self.targets[row], probs[place], self.alpha)

    def _mixed(self, batch: Batch, nearest: list[list[int]]) -> tuple[Tensor, Tensor]:
        x, t = batch.x, self.targets[batch.index]
        clean = (self.clean[batch.index.cpu().numpy()] + 1e-10).tolist()
        mixed_x, mixed_t = torch.empty_like(x), torch.empty_like(t)
        for i, (j, k) in enumerate(nearest):
            share = clean[j] / (clean[j] + clean[k])
            mixed_x[i] = share * x[j] + (1 - share) * x[k]
            mixed_t[i] = share * t[j] + (1 - share) * t[k]
        return mixed_x, mixed_t

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Times a part of a step on a CPU; a GPU would have to be waited for."""
        if self.targets.device.type == "cuda":
            yield
        else:
            with self.phase(name):
                yield


def low_posterior(losses: Tensor) -> NDArray[np.float64]:
    """Probability of the component of low losses: (N,) -> (N,)."""
    x = losses.double().cpu().numpy()[:, None]
    mixture = GaussianMixture(n_components=2, random_state=0, **EM).fit(x)
    low: NDArray[np.float64] = mixture.predict_proba(x)[:, mixture.means_[:, 0].argmin()]
    return low


def nearest_in_batch(features: Tensor) -> list[list[int]]:
    """The two nearest of each image of a batch, nearly always itself and another: (B, D) -> B pairs of places."""
    if INDEX == "exact":
        near: list[list[int]] = torch.cdist(features, features).topk(FOUND, largest=False).indices.tolist()
        return near
    z = features.cpu().numpy()
    index = importlib.import_module("faiss").IndexHNSWFlat(z.shape[1], LINKS)
    index.add(z)
    found = index.search(z, FOUND)[1]
    found = np.where(found < 0, np.arange(len(z))[:, None], found)  # where the graph gives too few
    pairs: list[list[int]] = found.tolist()
    return pairs
