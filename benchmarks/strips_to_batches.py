"""CIFAR kept as picture strips, laid out as the archive's batches, which `cifar10:DEST` and `cifar100:DEST` read.

    python benchmarks/strips_to_batches.py STRIPS LABELS DEST

STRIPS holds train_00000.webp, train_00500.webp …, test_00000.webp …: lossless pictures, 500 images of 32 × 32 px below
each other, in the original order, named after the first. LABELS is an .npz with the arrays train, test, class_names.
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PIXELS = 3 * 32 * 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("strips", "labels", "dest"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    labels = np.load(given.labels)
    names = [str(name).encode() for name in labels["class_names"]]
    train, test = (rows(given.strips, part, len(labels[part])) for part in ("train", "test"))
    given.dest.mkdir(parents=True, exist_ok=True)
    if len(names) == 10:
        for i, (x, y) in enumerate(zip(np.split(train, 5), np.split(labels["train"], 5), strict=True), 1):
            write(given.dest / f"data_batch_{i}", {b"data": x, b"labels": y.tolist()})
        write(given.dest / "test_batch", {b"data": test, b"labels": labels["test"].tolist()})
        write(given.dest / "batches.meta", {b"label_names": names})
    else:
        for part, x in {"train": train, "test": test}.items():
            write(given.dest / part, {b"data": x, b"fine_labels": labels[part].tolist()})
        write(given.dest / "meta", {b"fine_label_names": names})


def rows(folder: Path, part: str, count: int) -> NDArray[np.uint8]:
    """The images of a part as the archive has them: uint8 (n, 3072), channel after channel."""
    strips = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob(f"{part}_*.webp"))]
    if sum(map(len, strips)) != 32 * count:
        raise SystemExit(
            f"{folder} has {sum(map(len, strips)) // 32} of the {count} {part} images: both halves are needed"
        )
    return np.concatenate(strips).reshape(count, 32, 32, 3).transpose(0, 3, 1, 2).reshape(count, PIXELS)


def write(path: Path, content: dict[bytes, object]) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


if __name__ == "__main__":
    main()
