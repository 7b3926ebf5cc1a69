"""Reviewed labels on their way into training: verified, untouched by noise, and what was dropped left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mixnn.config import TrainOptions
from mixnn.data.dataset import Dataset, Samples
from mixnn.data.labels.override import with_corrections, with_label_file
from mixnn.data.load import load
from mixnn.data.noise.injection import add_noise, noise_record
from mixnn.data.split import fingerprint, prepare
from mixnn.errors import InputError

N = 60


@pytest.fixture
def dataset():
    images = np.arange(N * 8 * 8 * 3).reshape(N, 8, 8, 3).astype(np.uint8)
    labels = np.arange(N) % 3
    labels[[4, 7]] = -1
    names = [f"{i:02d}.png" for i in range(N)]
    return Dataset(["cat", "dog", "owl"], Samples(images, labels, names), unlabeled=["?"])


def corrections(tmp_path, *rows):
    file = tmp_path / "corrections.csv"
    file.write_text("\n".join(["file_name,corrected_label,decision", *rows]) + "\n")
    return str(file)


REVIEWED = ["00.png,owl,accept", "01.png,dog,keep", "02.png,,drop", "04.png,dog,other", "07.png,?,keep"]


def test_decisions_become_certain_labels(dataset, tmp_path):
    found = with_corrections(dataset, corrections(tmp_path, *REVIEWED))
    assert found.train.labels[[0, 1, 2, 4, 7]].tolist() == [2, 1, 2, 1, -1]
    assert np.flatnonzero(found.train.verified).tolist() == [0, 1, 4]  # nobody knows what 7 is
    assert found.dropped.tolist() == [2]
    assert (found.train.labels != dataset.train.labels).sum() == 2
    assert dataset.train.verified is None


def test_decisions_about_another_data_set(dataset, tmp_path):
    with pytest.raises(InputError, match="corrections of another data set"):
        with_corrections(dataset, corrections(tmp_path, "train/00001,cat,keep"))
    with pytest.raises(InputError, match="'cow', which is no class"):
        with_corrections(dataset, corrections(tmp_path, "01.png,cow,other"))


@pytest.mark.parametrize("noise", ["symmetric:0.5", "pairflip:0.5"])
def test_noise_spares_what_is_certain_and_is_the_same_for_all_others(dataset, tmp_path, noise):
    plain = add_noise(dataset, noise, 3, lambda samples: samples.images)
    rows = [f"{i:02d}.png,{dataset.classes[i % 3]},keep" for i in range(30, N)]
    reviewed = with_corrections(dataset, corrections(tmp_path, *rows, "20.png,,drop"))
    noisy = add_noise(reviewed, noise, 3, lambda samples: samples.images)
    assert (plain.train.labels != dataset.train.labels)[30:].any()
    assert noisy.train.labels[30:].tolist() == dataset.train.labels[30:].tolist()
    assert noisy.train.labels[:30].tolist() == plain.train.labels[:30].tolist()
    assert max(noise_record(noisy, noise, 3)["flipped"]) < 30
    used = prepare(noisy, holdout=0)
    assert "20.png" not in used.train.names
    assert used.train.labels[:20].tolist() == plain.train.labels[:20].tolist()


def test_noise_of_a_file_spares_it_too(dataset, tmp_path):
    reviewed = with_corrections(dataset, corrections(tmp_path, "04.png,dog,other"))
    file = tmp_path / "noisy.csv"
    words = dataset.label_words(dataset.train.labels)  # 04.png has no label there
    file.write_text("file_name,label\n" + "".join(f"{i:02d}.png,{word}\n" for i, word in enumerate(words)))
    assert add_noise(reviewed, f"file:{file}", 0, lambda samples: samples.images).train.labels[4] == 1


def test_what_is_certain_stays_so_through_hold_out_and_limit(dataset, tmp_path):
    rows = [f"{i:02d}.png,{dataset.classes[i % 3]},keep" for i in range(0, N, 5)]
    used = prepare(with_corrections(dataset, corrections(tmp_path, *rows, "01.png,,drop")), holdout=0.2, limit=30)
    assert len(used.dropped) == 0
    for part in (used.train, used.heldout):
        assert part.verified.tolist() == [int(name[:2]) % 5 == 0 for name in part.names]
    assert "01.png" not in [*used.train.names, *used.heldout.names]


def test_the_fingerprint_knows_what_is_certain(dataset, tmp_path):
    checksums = np.zeros(N, np.uint32)
    plain = fingerprint(dataset.train, checksums, dataset.classes)
    kept = with_corrections(dataset, corrections(tmp_path, "01.png,dog,keep")).train  # not one label is another
    assert kept.labels.tolist() == dataset.train.labels.tolist()
    assert fingerprint(kept, checksums, dataset.classes) != plain
    assert fingerprint(replace(kept, verified=None), checksums, dataset.classes) == plain


def test_training_data_knows_what_is_certain(dataset, tmp_path, capsys):
    options = TrainOptions().for_reading()
    options.data.holdout = 0
    reviewed = with_corrections(dataset, corrections(tmp_path, *REVIEWED))
    loaded = load(reviewed, options, torch.device("cpu"))
    names = np.array(loaded.dataset.train.names)
    assert names[loaded.train.verified.numpy()].tolist() == ["00.png", "01.png", "04.png"]
    assert "1 sample is left out, as reviewed" in capsys.readouterr().err
    assert not load(dataset, options, torch.device("cpu")).train.verified.any()


def test_a_label_file_without_a_label_leaves_its_sample_out(dataset, tmp_path):
    words = dataset.label_words(dataset.train.labels)
    words[5] = ""
    file = tmp_path / "labels.csv"
    file.write_text("file_name,label\n" + "".join(f"{i:02d}.png,{word}\n" for i, word in enumerate(words)))
    found = with_label_file(dataset, str(file))
    assert found.dropped.tolist() == [5]
    assert found.train.labels.tolist() == dataset.train.labels.tolist()
    assert len(prepare(found, holdout=0).train) == N - 1
