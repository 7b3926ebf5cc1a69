"""From DATA to tensors: noise, hold-out and images that cannot be read keep labels with their images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mixnn.config import DataOptions, TrainOptions
from mixnn.data.load import Loaded, load
from mixnn.data.read import read
from mixnn.errors import InputError

CLASSES, PER_CLASS, SIZE = ["blue", "green", "red"], 12, 16
BAD = ("red/03.jpg", "blue/11.jpg")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEGs of many shapes, each of one color, which tells the class; two of them cannot be read."""
    root = tmp_path_factory.mktemp("loading")
    for label, word in enumerate(CLASSES):
        (root / word).mkdir()
        for i in range(PER_CLASS):
            color = tuple(200 if label == 2 - channel else 10 * i for channel in range(3))
            Image.new("RGB", (20 + i, 31 - i), color).save(root / word / f"{i:02d}.jpg", quality=95)
    for name in BAD:
        (root / name).write_bytes((root / name).read_bytes()[:200])
    return root


def loaded(source: object, *, noise: str | None = None, seed: int = 0, **data: object) -> Loaded:
    options = TrainOptions(
        noise=noise, seed=seed, batch_size=8, data=DataOptions(**{"image_size": SIZE, "workers": 0} | data)
    )
    return load(read(str(source), options.data), options.for_reading(), torch.device("cpu"))


def words_of(names: list[str]) -> list[str]:
    return [name.split("/")[0] for name in names]


def looks_like(inputs: torch.Tensor) -> list[str]:
    """The class that shows in the pixels (N, 3, H, W)."""
    return [CLASSES[2 - channel] for channel in inputs.float().mean((2, 3)).argmax(1)]


@pytest.mark.parametrize("noise", [None, "symmetric:0.5"])
def test_labels_stay_with_their_images_when_some_are_set_aside(photos: Path, noise: str | None) -> None:
    found = loaded(photos, noise=noise)
    train, heldout = found.dataset.train, found.dataset.heldout
    assert heldout is not None
    assert found.heldout is not None
    assert {str(row["file_name"]) for row in found.unreadable} == set(BAD)
    assert {*train.names, *heldout.names, *BAD} == {f"{word}/{i:02d}.jpg" for word in CLASSES for i in range(12)}
    for samples, data in ((train, found.train), (heldout, found.heldout)):
        assert len(samples) == len(data) == len(data.pixels)
        assert looks_like(next(data.full_batches(100))) == words_of(samples.names)
        assert data.labels.tolist() == samples.labels.tolist()
    right = train.labels if found.dataset.original is None else found.dataset.original
    assert found.dataset.label_words(right) == words_of(train.names)
    assert found.dataset.label_words(heldout.labels) == words_of(heldout.names)
    assert (found.dataset.label_words(train.labels) == words_of(train.names)) == (noise is None)
    assert (found.noise_record is None) == (noise is None)


def test_noise_leaves_the_holdout_as_it_is_without(photos: Path) -> None:
    plain, noisy, other = loaded(photos), loaded(photos, noise="symmetric:0.5"), loaded(photos, seed=1)
    assert plain.dataset.train.names == noisy.dataset.train.names
    assert plain.dataset.heldout.names == noisy.dataset.heldout.names
    assert plain.dataset.heldout.labels.tolist() == noisy.dataset.heldout.labels.tolist()
    assert plain.dataset.heldout.names != other.dataset.heldout.names
    assert len({plain.fingerprint, noisy.fingerprint, other.fingerprint}) == 3


@pytest.mark.parametrize("workers", [0, 1])
def test_it_makes_no_difference_where_images_are_kept(photos: Path, tmp_path: Path, workers: int) -> None:
    options = {"crop_size": 12, "cache_dir": str(tmp_path), "workers": workers}
    memory, *others = (loaded(photos, store=store, **options) for store in ("memory", "cache", "nowhere", "cache"))
    partners = torch.arange(len(memory.train))[:, None].flip(0)
    expected = list(memory.train.train_batches(1, partners=partners))
    assert expected[0].x.shape[1:] == (3, 12, 12)
    for other in others:
        assert other.fingerprint == memory.fingerprint
        assert other.unreadable == memory.unreadable
        for batch, one in zip(other.train.train_batches(1, partners=partners), expected, strict=True):
            assert torch.equal(batch.index, one.index)
            assert torch.equal(batch.y, one.y)
            assert torch.equal(batch.x, one.x)
            assert torch.equal(batch.partners.x, one.partners.x)
        assert torch.equal(next(other.heldout.full_batches()), next(memory.heldout.full_batches()))


@pytest.mark.parametrize("known_before", [True, False])
def test_labels_beside_the_data_may_be_unknown(photos: Path, tmp_path: Path, known_before: bool) -> None:
    names = [f"{word}/{i:02d}.jpg" for word in CLASSES for i in range(PER_CLASS)]
    own = {name: "Not sure" if "05" in name and known_before else name.split("/")[0] for name in names}
    given = own | {"red/07.jpg": "Not sure", "blue/05.jpg": "Not sure", "red/05.jpg": "blue"}
    for file, labels in {"own.csv": own, "given.csv": given}.items():
        lines = [f"{name},{word}" for name, word in labels.items()]
        (tmp_path / file).write_text("\n".join(["file_name,label", *lines]))
    found = loaded(
        f"csv:{tmp_path / 'own.csv'}",
        root=str(photos),
        labels=str(tmp_path / "given.csv"),
        unlabeled="Not sure",
        holdout=0,
    )
    train = found.dataset.train
    assert found.dataset.classes == CLASSES
    assert found.dataset.label_words(train.labels) == [given[name] for name in train.names]
    assert (train.labels < 0).sum() == sum(word == "Not sure" for word in given.values())
    assert looks_like(next(found.train.full_batches(100))) == words_of(train.names)
    assert found.train.labeled.tolist() == np.flatnonzero(train.labels >= 0).tolist()


def test_embeddings_have_no_size(tmp_path: Path) -> None:
    x = np.random.RandomState(0).standard_normal((20, 5)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(20) % 2)
    found = loaded(tmp_path / "data.npz", image_size=None, holdout=0)
    assert found.image_size is None
    assert torch.equal(next(found.train.full_batches()), torch.from_numpy(x))
    with pytest.raises(InputError, match="do not go with embeddings"):
        loaded(tmp_path / "data.npz", image_size=None, crop_size=8)


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [((8, 10), None, "10 × 8 pixels"), ((10, 10), 12, "--data.image-size is 12, but the images are 10 pixels")],
)
def test_arrays_of_another_size(tmp_path: Path, shape: tuple[int, int], size: int | None, message: str) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((20, *shape, 3), np.uint8), y=np.arange(20) % 2)
    with pytest.raises(InputError, match=message):
        loaded(tmp_path / "data.npz", image_size=size)


@pytest.mark.parametrize("test", [(20, 20, 3), (12, 12, 3), (5,)])
def test_parts_of_other_sizes(tmp_path: Path, test: tuple[int, ...]) -> None:
    parts = {"train_images": np.zeros((20, 16, 16, 3), np.uint8), "test_images": np.zeros((10, *test), np.float32)}
    if len(test) == 3:
        parts["test_images"] = parts["test_images"].astype(np.uint8)
    np.savez(tmp_path / "data.npz", **parts, train_labels=np.arange(20) % 2, test_labels=np.arange(10) % 2)
    with pytest.raises(InputError, match=r"part 'test' has inputs of shape .*, 'train' of 16 × 16 × 3"):
        loaded(tmp_path / "data.npz", image_size=None)


def test_a_part_without_one_image_to_measure_on_is_told(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad files, or labels that nobody knows: then some of the training part is held out."""
    rows = [f"{word}/{i:02d}.jpg,{word},train" for word in CLASSES for i in range(3)]
    table = photos / "parts.csv"

    def found(*measured: str) -> Loaded:
        table.write_text("\n".join(["image,label,split", *rows, *measured, "blue/09.jpg,unsure,train"]))
        return loaded(f"csv:{table}", unlabeled="unsure")

    bad = found(*(f"{name},red,test" for name in BAD))
    assert (bad.heldout, bad.dataset.heldout) == (None, None)
    assert "no accuracy: no image of part 'test' is of use" in capsys.readouterr().err
    unlabeled = found("red/05.jpg,unsure,test")
    assert (unlabeled.dataset.heldout_name, len(unlabeled.dataset.heldout or [])) == ("holdout", 3)
    told = "1 of 1 samples of part 'test' have no label: accuracy is not measured on it; `mixnn predict` labels them"
    assert f"mixnn: {told}" in capsys.readouterr().err.splitlines()
