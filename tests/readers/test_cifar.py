"""CIFAR's own files, as Python 2 and 3 write them; and what damaged ones are answered with."""

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mixnn.data.readers import read_source
from mixnn.errors import InputError


def opcodes(value: object) -> bytes:
    """As Python 2 and NumPy 1 wrote them: strings are bytes, arrays go by their old names."""
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(opcodes, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(opcodes(item) for pair in value.items() for item in pair) + b"u"
    shape = b"(" + b"".join(map(opcodes, value.shape)) + b"t"
    dtype = b"cnumpy\ndtype\n(" + opcodes(b"u1") + opcodes(0) + opcodes(1) + b"tR"
    dtype += b"(" + opcodes(3) + opcodes(b"|") + b"NNN" + opcodes(-1) + opcodes(-1) + opcodes(0) + b"tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + opcodes(0) + b"t" + opcodes(b"b") + b"tR"
    return empty + b"(" + opcodes(1) + shape + dtype + b"\x89" + opcodes(value.tobytes()) + b"tb"


def python2(value: object) -> bytes:
    return b"\x80\x02" + opcodes(value) + b"."


def planes(labels: list[int]) -> np.ndarray:
    """Images as CIFAR stores them; red is the label, green the row, blue the column."""
    pixels = np.zeros((len(labels), 3, 32, 32), dtype=np.uint8)
    pixels[:, 0] = np.array(labels)[:, None, None]
    pixels[:, 1:] = np.indices((32, 32))
    return pixels.reshape(len(labels), 3072)


def write_cifar(root: Path, kind: str, dump: Callable[[object], bytes] = python2) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    if kind == "cifar10":
        files = {f"data_batch_{i}": [i, i - 1] for i in range(1, 6)} | {"test_batch": [9, 0]}
        meta, names, key = "batches.meta", {b"label_names": [b"class%d" % i for i in range(10)]}, b"labels"
    else:
        files = {"train": [97, 3], "test": [99, 0]}
        meta, names, key = "meta", {b"fine_label_names": [b"class%d" % i for i in range(100)]}, b"fine_labels"
    (root / meta).write_bytes(dump(names))
    for file, labels in files.items():
        (root / file).write_bytes(dump({b"data": planes(labels), key: labels, b"coarse_labels": [0, 0]}))
    return root


@pytest.mark.parametrize("dump", [python2, lambda value: pickle.dumps(value, protocol=2)], ids=["old", "new"])
@pytest.mark.parametrize(
    ("kind", "inside", "train", "test"),
    [
        ("cifar10", "cifar-10-batches-py", [1, 0, 2, 1, 3, 2, 4, 3, 5, 4], [9, 0]),
        ("cifar100", "cifar-100-python", [97, 3], [99, 0]),
    ],
)
def test_cifar(tmp_path, kind, inside, train, test, dump):
    write_cifar(tmp_path / inside, kind, dump)
    for root in (tmp_path, tmp_path / inside):  # the folder of the archive, or what lies in it
        dataset = read_source(f"{kind}:{root}")
        assert dataset.classes == [f"class{i}" for i in range(10 if kind == "cifar10" else 100)]
        assert dataset.heldout_name == "test"
        for part, labels in ((dataset.train, train), (dataset.heldout, test)):
            assert part.labels.tolist() == labels
            assert part.images.shape == (len(labels), 32, 32, 3)
            assert part.images[:, 20, 30].tolist() == [[label, 20, 30] for label in labels]
        assert [dataset.train.names[1], dataset.heldout.names[0]] == ["train/00001", "test/00000"]


def test_a_pickle_that_runs_something_is_refused(tmp_path):
    root, trace = write_cifar(tmp_path / "cifar", "cifar10"), tmp_path / "trace"
    attack = b"cos\nmkdir\n(" + opcodes(str(trace).encode()) + b"tR"
    (root / "data_batch_3").write_bytes(b"\x80\x02" + attack + b".")
    with pytest.raises(InputError, match=r"data_batch_3 is no CIFAR batch \(it wants to run \w+\.mkdir"):
        read_source(f"cifar10:{root}")
    assert not trace.exists()
    pickle.loads(b"\x80\x02" + attack + b".")  # it would have
    assert trace.exists()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("data_batch_2", None, "data_batch_2 cannot be read"),
        ("data_batch_2", b"", "data_batch_2 is no CIFAR batch"),
        ("data_batch_2", python2({b"data": planes([1])})[:1000], "data_batch_2 is no CIFAR batch"),
        ("data_batch_2", python2([1]), "data_batch_2 is no CIFAR batch"),
        ("data_batch_2", python2({b"data": planes([1])}), "data_batch_2 has no field labels"),
        ("data_batch_2", python2({b"data": planes([1]), b"labels": [1, 2]}), "2 labels for pixels of shape"),
        ("data_batch_2", python2({b"data": planes([1]), b"labels": [10]}), "has label 10, but 10 classes"),
        ("batches.meta", None, "batches.meta cannot be read"),
        ("data_batch_1", None, "holds no cifar-10-batches-py"),
        ("data_batch_2", python2({b"data": planes([1])[:, 1:], b"labels": [1]}), "shape"),
        (
            "data_batch_2",
            python2({b"data": planes([1]), b"labels": [b"cat"]}),
            "data_batch_2 holds no pixels and labels",
        ),
        ("batches.meta", python2({b"label_names": 7}), "batches.meta has no list of names in label_names"),
    ],
)
def test_damaged_cifar(tmp_path, file, content, message):
    root = write_cifar(tmp_path, "cifar10")
    (root / file).unlink()
    if content is not None:
        (root / file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_source(f"cifar10:{root}")
