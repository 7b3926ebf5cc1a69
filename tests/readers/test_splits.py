"""What is called like a part of the data, in folders, columns and lists alike."""

import pytest

from mixnn.data.readers.splits import split_of

NAMES = {
    "train": "train Training TRAIN seg_train training_set train2017 trainset TrainSet train-images images.train",
    "val": "val VALID validation dev eval seg_val val_set validationSet validation_matched dev-clean",
    "test": "test Testing seg_test test_set TestData testset my-test",
    "pred": "pred seg_pred predictions",
    None: "bus trainer untested contest train_val no-train invalid predator deviation valley 1 latest trainee",
}


@pytest.mark.parametrize(("split", "name"), [(split, name) for split, names in NAMES.items() for name in names.split()])
def test_names(split: str | None, name: str) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("name", "split"), [("Test set", "test"), (" train ", "train"), ("not test", None), ("", None), ("XTrain", "train")]
)
def test_words_with_spaces_and_camel_case(name: str, split: str | None) -> None:
    assert split_of(name) == split
