"""Frozen features of every data set of this benchmark, each made once and kept as NAME.npy in a cache folder.

Images: EfficientNet-Lite0 with ImageNet's weights at 96 px (1 280 wide), which comes by pip. Text: wordllama (256
wide). Speech: mean and deviation of 64 log-mel bands over time (128 wide).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

SIZE, BATCH = 96, 250  # pixels, images
CLOTHING = ("T-Shirt", "Longsleeve", "Pants", "Shoes", "Shirt", "Dress", "Outwear", "Shorts", "Hat", "Skirt")
RATE, WINDOW, FFT, HOP, BANDS = 8000, 200, 256, 80, 64  # Hz; 25 ms every 10 ms


def features_of(name: str, data: Path, cache: Path) -> NDArray[np.float32]:
    """(N, D) of the data set `name` below `data`, made where `cache` has none yet."""
    path = cache / f"{name}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(path, MAKERS[name](data).astype(np.float16))
    return np.load(path).astype(np.float32)


def cifar_images(data: Path, name: str) -> NDArray[np.uint8]:
    """The training images of `mixnn`'s own reader, (N, 32, 32, 3)."""
    from mixnn.data.readers import read_source

    images = read_source(f"{name}:{data / name}").train.images
    assert isinstance(images, np.ndarray)
    return images


def clothing_rows(data: Path) -> list[tuple[str, str]]:
    """(file name, label) of the photos of the ten classes, in the table's order."""
    with open(data / "clothing" / "labels.csv", newline="", encoding="utf-8") as file:
        return [(row["image"], row["label"]) for row in csv.DictReader(file) if row["label"] in CLOTHING]


def speech_rows(data: Path) -> list[tuple[str, str]]:
    with open(data / "speech" / "labels.csv", newline="", encoding="utf-8") as file:
        return [(row["fname"], row["label"]) for row in csv.DictReader(file)]


def banking_rows(data: Path) -> list[tuple[str, str]]:
    with open(data / "text" / "banking77_train.csv", newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def clothing_features(data: Path) -> NDArray[np.float32]:
    from PIL import Image

    def batches() -> Iterator[Tensor]:
        names = [name for name, _ in clothing_rows(data)]
        for start in range(0, len(names), BATCH):
            photos = []
            for name in names[start : start + BATCH]:
                with Image.open(data / "clothing" / "images" / name) as photo:
                    photos.append(np.asarray(photo.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)))
            yield torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2)

    return encoded(batches())


def cifar_features(name: str) -> Callable[[Path], NDArray[np.float32]]:
    def make(data: Path) -> NDArray[np.float32]:
        images = torch.from_numpy(cifar_images(data, name)).permute(0, 3, 1, 2)
        return encoded(iter(images.split(BATCH)))

    return make


@torch.inference_mode()
def encoded(batches: Iterator[Tensor]) -> NDArray[np.float32]:
    """Of uint8 (B, 3, H, W): what EfficientNet-Lite0 has before its head, float32 (N, 1280)."""
    from mixnn.models.efficientnet_lite import efficientnet_lite0
    from mixnn.models.pretrained import load_pretrained

    network, _ = efficientnet_lite0(SIZE)
    load_pretrained(network, "pip", "efficientnet-lite0")
    network = network.eval().to(memory_format=torch.channels_last)
    rows = []
    for images in batches:
        x = (images.float() - 127) / 128
        if x.shape[-1] != SIZE:
            x = interpolate(x, SIZE, mode="bilinear", align_corners=False)
        rows.append(network(x.contiguous(memory_format=torch.channels_last)).flatten(1))
    return torch.cat(rows).numpy()


def banking_features(data: Path) -> NDArray[np.float32]:
    import wordllama

    # Its tokenizer is looked for beside its own package only where told so (wordllama 0.4.0).
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    made: NDArray[np.float32] = model.embed([text for text, _ in banking_rows(data)])
    return made


def speech_features(data: Path) -> NDArray[np.float32]:
    import soundfile

    rows = []
    for name, _ in speech_rows(data):
        wave, rate = soundfile.read(data / "speech" / "recordings" / name, dtype="float32")
        assert rate == RATE, name
        wave = np.pad(wave, (0, max(0, FFT - len(wave))))
        frames = np.lib.stride_tricks.sliding_window_view(wave, FFT)[::HOP]  # (T, FFT)
        window = np.pad(np.hanning(WINDOW + 1)[:-1], (0, FFT - WINDOW))
        bands = np.log(np.abs(np.fft.rfft(frames * window)) @ mel_filters().T + 1e-3)  # (T, BANDS)
        rows.append(np.concatenate([bands.mean(0), bands.std(0)]))
    return np.stack(rows).astype(np.float32)


def mel_filters(low: float = 20.0, high: float = RATE / 2) -> NDArray[np.float64]:
    """Triangles on the HTK mel scale, (BANDS, FFT / 2 + 1)."""
    mel = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    frequencies = np.linspace(0, RATE / 2, FFT // 2 + 1)
    up = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return np.minimum(up, down).clip(0)


MAKERS: dict[str, Callable[[Path], NDArray[np.float32]]] = {
    "cifar10": cifar_features("cifar10"),
    "cifar100": cifar_features("cifar100"),
    "clothing": clothing_features,
    "speech": speech_features,
    "banking77": banking_features,
}
