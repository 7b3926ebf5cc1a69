"""Images a second: training beside the bare loop that decodes and resizes, on the same cores.

    python benchmarks/throughput.py IMAGES --out FILE [--size 96] [--workers 2] [--repeat 4] [--rounds 5]

IMAGES is a folder of image files, listed --repeat times. Taken in turn, the median counts:
* bare: Pillow opens, resizes (short side, center) and hands out an array; --workers processes do nothing else.
* bare, simplejpeg: the same with the decoder that `mixnn[jpeg]` brings, which is what the next ones use.
* nowhere, cache: an epoch of cross-entropy on a network too small to matter, images decoded by --workers
  processes at each use (training itself on one thread), or taken from the memory-mapped cache.
* MixNN with the cache, each sample with one neighbor, beside cross-entropy, with the small network of the default.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from mixnn.config import DataOptions, TrainOptions
from mixnn.data.batches import TrainData
from mixnn.data.dataset import Samples
from mixnn.data.images.cache import open_images
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.load import train_data
from mixnn.methods.base import Method
from mixnn.methods.ce import CrossEntropy
from mixnn.methods.mixnn import MixNN
from mixnn.models.classifier import Classifier, build_network
from mixnn.runs.environment import environment
from mixnn.training.build import build_optimizer
from mixnn.training.loop import fit
from mixnn.utils.memory import keep_freed_memory

CLASSES = 10
Decode = Callable[[str, int], NDArray[np.uint8]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    names = sorted(os.listdir(given.images)) * given.repeat
    labels = np.random.RandomState(0).randint(CLASSES, size=len(names))
    samples = Samples(ImageFiles(given.images, names), labels, names)
    options = TrainOptions(data=DataOptions(workers=given.workers))
    device = torch.device("cpu")
    keep_freed_memory()  # as `mixnn train` does

    with tempfile.TemporaryDirectory() as folder:
        sets = {}
        for store in ("nowhere", "cache"):
            opened = open_images(samples.images, given.size, store=store, cache_dir=Path(folder), workers=given.workers)
            sets[store] = train_data(samples, opened, given.size, options, device)
        measures: dict[str, Callable[[], float]] = {
            "bare": lambda: bare(with_pillow, given.images, names, given.size, given.workers),
            "bare, simplejpeg": lambda: bare(with_simplejpeg, given.images, names, given.size, given.workers),
            "nowhere": on_one_thread(
                trained(CrossEntropy(tiny(given.size), sets["nowhere"].labels, CLASSES), sets["nowhere"], options)
            ),
            "cache": trained(CrossEntropy(tiny(given.size), sets["cache"].labels, CLASSES), sets["cache"], options),
            "ce, default network": trained(
                CrossEntropy(default(given.size), sets["cache"].labels, CLASSES), sets["cache"], options
            ),
            "mixnn, default network": trained(
                MixNN(default(given.size), sets["cache"].labels, CLASSES, warmup=0, mixup_until=0, correct_from=0),
                sets["cache"],
                options,
            ),
        }
        rates: dict[str, list[float]] = {name: [] for name in measures}
        for round in range(given.rounds + 1):
            for name, measure in measures.items():
                seconds = measure()
                if round:  # the first fills caches and starts processes
                    rates[name].append(len(names) / seconds)
            print({name: round_to(values[-1:]) for name, values in rates.items()}, flush=True)
    median = {name: statistics.median(values) for name, values in rates.items()}
    ratios = {
        "nowhere / bare": median["nowhere"] / median["bare"],
        "nowhere / bare, simplejpeg": median["nowhere"] / median["bare, simplejpeg"],
        "cache / bare": median["cache"] / median["bare"],
        "mixnn epoch / ce epoch": median["ce, default network"] / median["mixnn, default network"],
    }
    result = {
        "images": len(names),
        "size": given.size,
        "workers": given.workers,
        "images_per_second": rates,
        "median": median,
        "ratios": ratios,
        "environment": environment(0, "cpu", "bfloat16"),
    }
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({"median": median, "ratios": ratios}, indent=2))


def round_to(values: list[float]) -> list[int]:
    return [round(value) for value in values]


def bare(decode: Decode, folder: Path, names: list[str], size: int, workers: int) -> float:
    """Seconds to decode and resize every image in `workers` processes that are there already."""
    parts = [names[i::workers] for i in range(workers)]
    with multiprocessing.Pool(workers) as pool:
        pool.starmap(decode_all, [(decode, folder, part[:10], size) for part in parts])
        began = time.perf_counter()
        pool.starmap(decode_all, [(decode, folder, part, size) for part in parts], chunksize=1)
        return time.perf_counter() - began


def decode_all(decode: Decode, folder: Path, names: list[str], size: int) -> None:
    for name in names:
        assert decode(os.path.join(folder, name), size).shape == (size, size, 3)


def with_pillow(path: str, size: int) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return resized(image.convert("RGB"), size)


def with_simplejpeg(path: str, size: int) -> NDArray[np.uint8]:
    with open(path, "rb", buffering=0) as file:
        pixels = simplejpeg.decode_jpeg(file.read(), colorspace="RGB")
    if min(pixels.shape[:2]) != size:
        return resized(Image.fromarray(pixels), size)
    top, left = ((side - size) // 2 for side in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]


def resized(image: Image.Image, size: int) -> NDArray[np.uint8]:
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)))


def trained(method: Method, data: TrainData, options: TrainOptions) -> Callable[[], float]:
    """A function that trains `method` for its next epoch and gives the seconds."""
    optimizer, scheduler = build_optimizer(method, options.for_optimizer())
    epoch = -1

    def one_epoch() -> float:
        nonlocal epoch
        epoch += 1
        began = time.perf_counter()
        fit(method, data, optimizer, scheduler, epochs=epoch + 1, start=epoch)
        return time.perf_counter() - began

    return one_epoch


def on_one_thread(measure: Callable[[], float]) -> Callable[[], float]:
    """`measure` with the cores left to the processes that decode."""

    def measured() -> float:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return measure()
        finally:
            torch.set_num_threads(threads)

    return measured


class Sparse(nn.Module):
    """Every eighth pixel both ways: (B, 3, S, S) -> (B, 3 (S / 8)²)."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, ::8, ::8].flatten(1)


def sparse(size: int) -> tuple[nn.Module, int]:
    """A body that costs next to nothing, so that what is measured is what comes before it."""
    return Sparse(), 3 * (-(-size // 8)) ** 2


def tiny(size: int) -> Classifier:
    return Classifier(*sparse(size), CLASSES, torch.full((3,), 0.5), torch.full((3,), 0.25), bf16=True)


def default(size: int) -> Classifier:
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    return build_network("cnn", size, CLASSES, mean, std, bf16=True)


if __name__ == "__main__":
    main()
