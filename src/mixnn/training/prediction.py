"""What a trained run says of images. Must not know: training, the run directory, the screen's lines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.config import DataOptions
from mixnn.data.augment.policies import augment
from mixnn.data.dataset import Samples
from mixnn.data.images.decode_pool import Stream
from mixnn.data.load import image_size
from mixnn.errors import InputError
from mixnn.models.saved import Predictor
from mixnn.utils.console import counter
from mixnn.utils.processes import default_workers

BATCH = 128


def probabilities(model: Predictor, pixels: Tensor) -> NDArray[np.float32]:
    """Class probabilities (B, C) for uint8 images (B, S, S, 3), or embeddings float32 (B, D)."""
    x = pixels.to(next(model.parameters()).device)
    if x.dim() == 4:
        x = augment("none", x.permute(0, 3, 1, 2), None, model.size)
    result: NDArray[np.float32] = model(x).cpu().numpy()
    return result


def predict_samples(
    model: Predictor, samples: Samples, data: DataOptions
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Class probabilities (N, C) of `samples`, and the row of each bad image with the reason.

    Raises:
        InputError: they are not of the size that the run was trained on.
    """
    progress, done = counter("predicting"), 0
    parts: list[NDArray[np.float32]] = []
    bad: dict[int, str] = {}
    for pixels, reasons in batches(model, samples, data):
        bad |= {done + place: reason for place, reason in reasons.items()}
        parts.append(probabilities(model, pixels))
        done += len(pixels)
        progress(done, len(samples))
    return np.concatenate(parts), bad


def batches(model: Predictor, samples: Samples, data: DataOptions) -> Iterator[tuple[Tensor, dict[int, str]]]:
    """Pixels, or embeddings, of `samples` in order, with what is bad among them."""
    if isinstance(samples.images, np.ndarray):
        wide = image_size(samples, data) or samples.images.shape[1]
        if (samples.images.ndim == 2) != (model.image_size is None) or wide != (model.image_size or model.size):
            raise InputError(f"the data has inputs of {wide}, the run {model.image_size or model.size}: give others")
        yield from ((part, {}) for part in torch.from_numpy(samples.images).split(BATCH))
        return
    if model.image_size is None:
        raise InputError("the run was trained on embeddings, the data has images: give embeddings")
    workers = default_workers() if data.workers is None else data.workers
    stream = Stream(samples.images, model.image_size, workers)
    for pixels, bad in stream.batches(np.array_split(np.arange(len(samples)), -(-len(samples) // BATCH))):
        yield torch.from_numpy(pixels), bad
