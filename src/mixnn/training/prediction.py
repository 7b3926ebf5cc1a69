"""What a trained run says of images. Must not know: training, the run directory, the screen's lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.config import DataOptions
from mixnn.data.augment.policies import augment
from mixnn.data.dataset import Samples
from mixnn.data.images.decode_pool import Stream
from mixnn.data.images.decoder import DEEPER, read_image
from mixnn.data.images.intensity import UnknownRangeError, as_uint8
from mixnn.data.readers.arrays import arrays_in_memory
from mixnn.errors import InputError
from mixnn.models.saved import Predictor, load_model
from mixnn.training.records import RunEncoder
from mixnn.utils.console import counter
from mixnn.utils.processes import default_workers

BATCH = 128


class Model:
    """The trained model of a run, see `mixnn.Run.model`.

    Attributes:
        classes: C names, in the order of the probabilities.
        size: pixels of what the network sees; the width of embeddings.
        network: an `nn.Module`, ready to predict.
    """

    def __init__(
        self,
        path: Path,
        classes: list[str],
        device: torch.device,
        network: str | None = None,
        encoder: RunEncoder | None = None,
    ) -> None:
        self.encoder = encoder
        self.network, self.classes = load_model(path, device, network, classes), classes
        self.size = self.network.size

    def __call__(self, x: Tensor) -> Tensor:
        """Probabilities (B, C) of `x`: pixels (B, 3, S, S), uint8 or in 0–1, or embeddings (B, D), on any device."""
        probs: Tensor = self.network(x.to(next(self.network.parameters()).device))
        return probs

    def predict(self, images: Any) -> NDArray[np.float32]:
        """Probabilities (N, C) of image files, or of an array; of texts, or rows, where the run was made of these.

        Args:
            images: N file names; or uint8 (N, S, S, 3) or (N, 3, S, S), or embeddings (N, D). For a run on texts N
                texts, and for one on columns N dicts of their values, or a frame of pandas or Polars.

        Raises:
            InputError: a file cannot be read, or an array has another size than the run was trained on.

        Example:
            >>> model.classes[model.predict(["a.jpg"])[0].argmax()]  # doctest: +SKIP
        """
        batches: Iterable[Tensor]
        if self.encoder is not None and not isinstance(images, np.ndarray):
            images = self.encoder.encode(self.encoder.cells(images))
        size, intensity = self.network.image_size, self.network.intensity
        if isinstance(images, np.ndarray):
            array = np.asarray(arrays_in_memory(images, np.zeros(len(images), np.int64)).parts["train"].images)
            check_array(self.network, array)
            batches = torch.from_numpy(scaled(array, self.network)).split(BATCH)
        elif size is None:
            raise InputError("the run was trained on embeddings, not on image files: give an array (N, D)")
        else:
            chunks = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
            batches = (
                torch.from_numpy(np.stack([read_image(Path(file), size, intensity) for file in part]))
                for part in chunks
            )
        none = np.zeros((0, len(self.classes)), np.float32)
        return np.concatenate([none, *(probabilities(self.network, pixels) for pixels in batches)])


def check_array(model: Predictor, array: NDArray[Any]) -> None:
    """Raise InputError unless `array`, (N, H, W, 3) or embeddings (N, D), has the size that the run was trained on."""
    size = model.image_size
    if array.shape[1:] != ((model.size,) if size is None else (size, size, 3)):
        kind = f"embeddings of {model.size}" if size is None else f"images of {size} px"
        raise InputError(f"the array has shape {array.shape}, but the run was trained on {kind}: give such an array")


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
    chunks: list[NDArray[np.float32]] = []
    bad: dict[int, str] = {}
    for pixels, reasons in batches(model, samples, data):
        bad |= {done + place: reason for place, reason in reasons.items()}
        chunks.append(probabilities(model, pixels))
        done += len(pixels)
        progress(done, len(samples))
    return np.concatenate(chunks), bad


def batches(model: Predictor, samples: Samples, data: DataOptions) -> Iterator[tuple[Tensor, dict[int, str]]]:
    """Pixels, or embeddings, of `samples` in order, with what is bad among them."""
    if isinstance(samples.images, np.ndarray):
        check_array(model, samples.images)
        yield from ((part, {}) for part in torch.from_numpy(scaled(samples.images, model)).split(BATCH))
        return
    if model.image_size is None:
        raise InputError("the run was trained on embeddings, the data has images: give embeddings")
    workers = default_workers() if data.workers is None else data.workers
    stream = Stream(samples.images, model.image_size, workers, model.intensity)
    try:
        for pixels, bad in stream.batches(np.array_split(np.arange(len(samples)), -(-len(samples) // BATCH))):
            yield torch.from_numpy(pixels), bad
    except UnknownRangeError as error:
        raise InputError(f"the data's {DEEPER}: save them with 8 bits") from error


def scaled(array: NDArray[Any], model: Predictor) -> NDArray[Any]:
    """An array as `as_uint8` makes it, by the scale of the run."""
    try:
        return as_uint8(array, model.intensity)
    except UnknownRangeError as error:
        raise InputError(f"the array's {DEEPER}: save it as uint8, from 0 to 255") from error
