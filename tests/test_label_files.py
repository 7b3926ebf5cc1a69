"""Labels from a file beside the data: every form that is published, and no program in any of them."""

import json
import os
import pickle
import re

import numpy as np
import pytest
import torch

from mixnn.data.labels.files import read_label_file
from mixnn.errors import InputError

NAMES = ["train/00000", "b, c.png", "ü.png", "d.png"]
CLASSES = ["cat", "dog", "big, owl"]
LABELS = [2, 0, 1, 2]
WORDS = [CLASSES[label] for label in LABELS]
CSV = '﻿label,note,file_name\r\ncat,x,"b, c.png"\r\n\r\n"big, owl",,d.png\r\n"big, owl",,train/00000\r\n'


def read(spec: object) -> np.ndarray:
    return read_label_file(str(spec), NAMES, CLASSES, "--data.labels")


def refused(spec: object) -> str:
    with pytest.raises(InputError) as caught:
        read(spec)
    message = str(caught.value)
    assert message.startswith(f"--data.labels {spec}: ")
    assert "\n" not in message
    return message


def test_csv_goes_by_name(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text(CSV + "dog,,ü.png\r\nno class,,other.png\r\n", encoding="utf-8")
    assert read(file).tolist() == LABELS
    assert read(file).dtype == np.int64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CSV, "no row for 1 of 4 training samples, first 'ü.png'"),
        ("file_name,label\n", "no row for 4 of 4 training samples, first 'train/00000'"),
        (CSV + "owl,,ü.png\n", "label 'owl' is no class: correct it; the classes are 'cat', 'dog', 'big, owl'"),
        (CSV + "dog,,d.png\n", "two labels for 'd.png', 'big, owl' and 'dog'"),
        (CSV + "dog\n", "line 6: 1 values for 3 columns"),
        ("file_name,given_label\n", "no column label"),
        ("", "is empty: write the columns file_name,label into its first line"),
        ('file_name,label\n"' + "x" * 200_000, "line 2: no CSV (field larger"),
    ],
)
def test_csv_errors(tmp_path, content, message):
    (tmp_path / "labels.csv").write_text(content, encoding="utf-8")
    assert message in refused(tmp_path / "labels.csv")


def test_numpy_files(tmp_path):
    for content in (np.array(LABELS, dtype=np.uint8), np.array(LABELS, dtype=">i8"), np.array(WORDS)):
        np.save(tmp_path / "a.npy", content)
        assert read(tmp_path / "a.npy").tolist() == LABELS
        assert read(tmp_path / "a.npy").dtype == np.int64
    np.savez(tmp_path / "one.npz", noisy=LABELS, matrix=np.eye(4), others=[0, 1])
    assert read(tmp_path / "one.npz").tolist() == LABELS  # the only array that can be labels
    np.savez(tmp_path / "two.npz", noisy=LABELS, clean=[0, 0, 0, 0], loss=np.zeros(4), words=np.array([b"dog"] * 4))
    assert read(tmp_path / "two.npz:noisy").tolist() == LABELS
    assert read(tmp_path / "two.npz:words").tolist() == [1, 1, 1, 1]
    assert "several arrays fit (noisy, clean, words): name one as two.npz:KEY" in refused(tmp_path / "two.npz")
    assert "no array 'worse' (there are noisy, clean, loss, words)" in refused(tmp_path / "two.npz:worse")
    assert "labels have dtype float64" in refused(tmp_path / "two.npz:loss")
    os.rename(tmp_path / "a.npy", tmp_path / "12:30.npy")
    assert read(tmp_path / "12:30.npy").tolist() == LABELS
    assert ".npy files have no keys" in refused(tmp_path / "12:30.npy:key")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([0, 1, 2], "3 labels for 4 training samples"),
        ([[0, 1, 2, 0]], "labels have shape (1, 4)"),
        ([0, 1, 3, 0], "label 3 (sample 2) is no class: use 0 to 2"),
        ([0, -1, 3, 0], "label -1 (sample 1) is no class"),
        ([0.0, 1.0, 2.0, 0.0], "labels have dtype float64"),
        ([True, False, True, False], "labels have dtype bool"),
        (["cat", "dog", "owl", "cat"], "label 'owl' is no class"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, content, message):
    np.save(tmp_path / "a.npy", np.array(content))
    assert message in refused(tmp_path / "a.npy")


def test_json_list(tmp_path):
    for content in (LABELS, WORDS):
        (tmp_path / "a.json").write_text(json.dumps(content))
        assert read(tmp_path / "a.json").tolist() == LABELS
    for content in ({"a": 1}, [0, "cat", 1, 2], [0.0, 1.0, 0.0, 0.0], [True] * 4, [[0], [1], [2], [0]], []):
        (tmp_path / "a.json").write_text(json.dumps(content))
        assert "no list of integers, or of words" in refused(tmp_path / "a.json")


@pytest.mark.parametrize("new_format", [True, False])
def test_pt_of_arrays(tmp_path, new_format):
    """CIFAR-N's layout: a dict of arrays; by a NumPy before 2.0, which called its modules otherwise."""
    file = tmp_path / "CIFAR-10_human.pt"
    content = {"clean_label": np.zeros(4, dtype=np.int64), "worse_label": np.array(LABELS), "t": torch.tensor(LABELS)}
    content |= {"list": LABELS, "words": np.array(WORDS), "time": np.zeros(4)}
    torch.save(content, file, _use_new_zipfile_serialization=new_format)
    for key in ("worse_label", "t", "list", "words"):
        assert read(f"{file}:{key}").tolist() == LABELS
    assert "several arrays fit (clean_label, worse_label, t, list, words)" in refused(file)
    assert "there are clean_label, worse_label, t, list, words, time" in refused(f"{file}:aggre")
    if not new_format:  # no checksum in the way
        raw = file.read_bytes()
        assert b"numpy._core.multiarray\n_reconstruct" in raw
        file.write_bytes(raw.replace(b"numpy._core.multiarray\n_reconstruct", b"numpy.core.multiarray\n_reconstruct"))
        assert read(f"{file}:worse_label").tolist() == LABELS


class Attack:
    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.trace,)


def test_no_program_is_run(tmp_path):
    trace = tmp_path / "trace"
    attack = Attack(str(trace))
    torch.save({"labels": attack}, tmp_path / "a.pt")
    torch.save({"labels": attack}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({"labels": np.array([attack], dtype=object)}, tmp_path / "objects.pt")
    np.save(tmp_path / "a.npy", np.array([attack], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", labels=np.array([attack], dtype=object))
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(attack))
    for name in ("a.pt", "old.pt", "objects.pt"):
        assert "could be a program" in refused(f"{tmp_path / name}:labels")
    for name in ("a.npy", "a.npz", "pickle.npy"):
        assert "Python objects, which are never unpickled" in refused(tmp_path / name)
    assert not trace.exists()
    torch.load(tmp_path / "a.pt", weights_only=False)  # it would have
    assert trace.exists()


@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.npz", "a.pt", "a.json"])
def test_damaged_and_missing_files(tmp_path, name):
    assert re.search(r"no file .*/a\.\w+: give a \.csv", refused(tmp_path / name))
    np.savez(tmp_path / "whole.npz", labels=np.arange(4000))
    for content in (b"", b"\xff\xfe\0\0", (tmp_path / "whole.npz").read_bytes()[:2000]):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)


def test_unknown_endings_are_named(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"")
    assert "files ending in '.mat' are unknown" in refused(tmp_path / "a.mat")
