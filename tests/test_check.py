"""What `mixnn check` finds: every kind of finding, from files that hold what it is about."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mixnn.data.check import check
from mixnn.data.check.findings import KINDS, Finding, label_findings, repeat_findings
from mixnn.data.check.table import aligned, printable, report_lines, summary_lines
from mixnn.data.dataset import Dataset, Part, Samples, Source, build_dataset
from mixnn.data.images.encoded import ImageBytes, ImageFiles
from mixnn.data.words import bare

Rows = dict[str, list[tuple[str, str]]]  # part -> (file name, label) of each sample


def files(root: Path, rows: Rows, **options: str) -> Dataset:
    parts = {}
    for part, samples in rows.items():
        names = [name for name, _ in samples]
        parts[part] = Part(ImageFiles(root, names), [label for _, label in samples], names)
    return build_dataset(Source(parts), **options)


def labeled(counts: dict[str, int], test: tuple[str, ...] = (), **options: str) -> Dataset:
    """So many samples of each label to train on; files of no existence."""
    train = [(f"{label}{i}.png", label) for label, count in counts.items() for i in range(count)]
    rows = {"train": train} | ({"test": [(f"test/{label}.png", label) for label in test]} if test else {})
    return files(Path("nowhere"), rows, **options)


def write(path: Path, color: int = 0, size: tuple[int, int] = (20, 10)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (color, 0, 0)).save(path)
    return path


def checked(dataset: Dataset) -> list[Finding]:
    return check(dataset, workers=1, progress=lambda done, total: None)[1]


def about_samples(findings: list[Finding]) -> list[tuple[str, ...]]:
    return [
        (f.kind, f.part, f.file_name, f.label, f.other_part, f.other_file_name, f.other_label)
        for f in findings
        if f.other_file_name
    ]


# Labels


def test_nothing_is_found_where_nothing_is():
    assert label_findings(labeled({"cat": 10, "dog": 10}, test=("cat", "dog"))) == []


@pytest.mark.parametrize(
    ("counts", "options", "kind", "label", "detail"),
    [
        ({"cat": 10, "dog": 1}, {}, "class too small", "dog", "1"),
        ({"cat": 10, "dog": 9}, {}, "small class", "dog", "9"),
        ({"cat": 10, "dog": 10, "?": 3}, {"unlabeled": "?"}, "unlabeled", "?", "3"),
    ],
)
def test_classes(counts, options, kind, label, detail):
    (finding,) = label_findings(labeled(counts, **options))
    assert (finding.kind, finding.label, finding.detail) == (kind, label, detail)


def test_a_class_of_the_test_part_alone_has_nothing_to_train_on():
    (finding,) = label_findings(labeled({"cat": 10, "dog": 10}, test=("cat", "dog", "owl")))
    assert finding == Finding("class too small", "train", label="owl", detail="0")


def test_one_class_is_left_to_the_line_that_stops_a_run():
    dataset = labeled({"cat": 10})
    assert label_findings(dataset) == []
    assert checked(dataset)[0] == Finding("one class", label="cat")


def test_a_class_that_is_not_measured():
    (finding,) = label_findings(labeled({"cat": 10, "dog": 10}, test=("cat",)))
    assert finding == Finding("class not measured", "test", label="dog")


@pytest.mark.parametrize(
    "other",
    ["t-shirt", " T-Shirt", "T-Shirt\u00a0", "T- Shirt", "T-Shirt\u200b", "\ufeffT-Shirt", "Ｔ-Shirt", "T-ſhirt"],
)
def test_similar_labels(other):
    (finding,) = label_findings(labeled({"T-Shirt": 20, other: 10}))
    assert (finding.kind, finding.label, finding.other_label) == ("similar labels", other, "T-Shirt")
    assert finding.detail == "10 beside 20 samples"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café", "Cafe\u0301"),
        ("STRASSE", "straße"),
        ("ΟΔΟΣ", "οδος"),
        ("1", "01"),
        ("1.0", "1"),
        ("1e1", "10"),
        ("-0", "0"),
    ],
)
def test_the_same_word_in_two_codes(one, other):
    assert bare(one) == bare(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "car"),
        ("T-Shirt", "TShirt"),
        ("+", "-"),
        ("1", "10"),
        ("é", "e"),
        ("1", "1.5"),
        ("1_0", "10"),
        ("nan", "0"),
    ],
)
def test_other_words(one, other):
    assert bare(one) != bare(other)


def test_a_spelling_that_unlabeled_leaves_out():
    dataset = labeled({"cat": 10, "dog": 10, "Not sure": 5, "not sure": 12}, unlabeled="Not sure")
    assert ("similar labels", "Not sure") in [(f.kind, f.label) for f in label_findings(dataset)]


# Files listed twice, found without a look at them


def test_listed_twice():
    rows = {
        "train": [("a.png", "cat"), ("b.png", "dog"), ("./a.png", "dog"), ("b.png", "dog")],
        "test": [("a.png", "cat")],
        "extra": [("b.png", "dog"), ("x/../c.png", "dog"), ("c.png", "cat")],
    }
    assert about_samples(label_findings(files(Path("nowhere"), rows))) == [
        ("conflicting labels", "train", "./a.png", "dog", "train", "a.png", "cat"),
        ("duplicate", "train", "b.png", "dog", "train", "b.png", "dog"),
        ("leak", "test", "a.png", "cat", "train", "a.png", "cat"),
        ("in two parts", "extra", "b.png", "dog", "train", "b.png", "dog"),
        ("conflicting labels", "extra", "c.png", "cat", "extra", "x/../c.png", "dog"),
    ]


def test_the_same_number_in_two_folders_is_no_leak(tmp_path):
    names = ["1.png"]
    parts = {part: Part(ImageFiles(tmp_path / part, names), ["cat"], names) for part in ("train", "test")}
    assert about_samples(label_findings(build_dataset(Source(parts)))) == []


def test_names_of_what_is_no_file_mean_nothing():
    images = ImageBytes([None, b"1", b"2"], "")
    dataset = build_dataset(Source({"train": Part(images, ["cat", "dog", "cat"], ["0.png"] * 3)}))
    assert about_samples(label_findings(dataset)) == []


# Contents


@pytest.fixture
def photos(tmp_path):
    """Four files with three contents, and two empty ones."""
    for name, color in {"a.png": 0, "b.png": 50, "again.png": 0, "c.png": 100}.items():
        write(tmp_path / name, color)
    for name in ("empty.png", "empty2.png"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_the_same_content_under_another_name(photos):
    rows = {
        "train": [("a.png", "cat"), ("again.png", "dog"), ("b.png", "dog"), ("c.png", "?")],
        "test": [("again.png", "cat"), ("b.png", "dog")],
    }
    dataset = files(photos, rows, unlabeled="?")
    assert about_samples(checked(dataset)) == [
        ("conflicting labels", "train", "again.png", "dog", "train", "a.png", "cat"),
        ("leak", "test", "again.png", "cat", "train", "a.png", "cat"),
        ("leak", "test", "b.png", "dog", "train", "b.png", "dog"),
    ]


def test_a_label_is_compared_with_a_label(photos):
    """Not with a "don't know", which may come first."""
    dataset = files(photos, {"train": [("a.png", "?"), ("again.png", "cat"), ("./a.png", "dog")]}, unlabeled="?")
    assert about_samples(checked(dataset)) == [
        ("duplicate", "train", "a.png", "?", "train", "again.png", "cat"),
        ("conflicting labels", "train", "./a.png", "dog", "train", "again.png", "cat"),
    ]


def test_unreadable_files_are_not_each_others_duplicates(photos):
    rows = {"train": [("empty.png", "cat"), ("empty2.png", "dog"), ("gone.png", "dog"), ("../a.png", "cat")]}
    dataset = files(photos, rows)
    found = checked(dataset)
    assert [(f.file_name, f.label, f.row) for f in found if f.kind == "unreadable"] == [
        ("empty.png", "cat", 0),
        ("empty2.png", "dog", 1),
        ("gone.png", "dog", 2),
        ("../a.png", "cat", 3),
    ]
    details = [f.detail for f in found if f.kind == "unreadable"]
    assert details[:3] == ["is empty", "is empty", "does not exist"]
    assert "outside" in details[3]
    assert about_samples(found) == []


def test_bytes_in_a_table(photos):
    content = [(photos / name).read_bytes() for name in ("a.png", "b.png", "again.png")]
    images = ImageBytes([*content, None], "")
    dataset = build_dataset(Source({"train": Part(images, ["cat", "dog", "dog", "cat"], ["x"] * 4)}))
    kinds = [f.kind for f in checked(dataset) if f.file_name]
    assert kinds == ["conflicting labels", "unreadable"]


def test_arrays():
    images = np.zeros((4, 6, 5, 3), dtype=np.uint8)
    images[1, 5, 4, 2] = 1  # the last byte
    parts = {
        "train": Part(images[:2], ["cat", "dog"], ["t0", "t1"]),
        "test": Part(images[2:], ["cat", "dog"], ["v0", "v1"]),
    }
    dataset = build_dataset(Source(parts))
    contents, findings = check(dataset, workers=1, progress=lambda done, total: None)
    assert about_samples(findings) == [
        ("leak", "test", "v0", "cat", "train", "t0", "cat"),
        ("conflicting labels", "test", "v1", "dog", "train", "t0", "cat"),
        ("leak", "test", "v1", "dog", "train", "t0", "cat"),
    ]
    assert contents.sizes.tolist() == [[5, 6]] * 4
    assert contents.modes == {"RGB": 4}


def test_embeddings():
    rows = np.array([[1, 2], [1, 2], [3, np.nan]], dtype=np.float32)
    dataset = build_dataset(Source({"train": Part(rows, ["cat", "dog", "dog"], ["0", "1", "2"])}))
    contents, findings = check(dataset, workers=1, progress=lambda done, total: None)
    assert [f.kind for f in findings if f.file_name] == ["conflicting labels", "unreadable"]
    assert contents.modes == {"embedding of 2": 2}


PARTS = ("train", "test", "extra")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 1), st.sampled_from(PARTS))))
def test_a_group_of_equal_keys_has_what_two_of_it_have(rows):
    """A row is content, label (-1 is "don't know"), part. All but one of a group are told."""
    rows = sorted(rows, key=lambda row: PARTS.index(row[2]))
    names = [f"{i}.png" for i in range(len(rows))]

    def samples(part: str) -> Samples:
        own = [i for i, row in enumerate(rows) if row[2] == part]
        labels = np.array([rows[i][1] for i in own], dtype=np.int64)
        return Samples(np.zeros((len(own), 1), dtype=np.float32), labels, [names[i] for i in own])

    train, test, extra = map(samples, PARTS)
    dataset = Dataset(["a", "b"], train, test, "test", unlabeled=["?"], others={"extra": extra})
    keys = np.array([[0, content] for content, _, _ in rows], dtype=np.uint64).reshape(-1, 2)
    found = list(repeat_findings(dataset, keys))
    for content in range(4):
        group = [row for row in rows if row[0] == content]
        labels, parts = ({row[i] for row in group} for i in (1, 2))
        own = [finding for finding in found if rows[names.index(finding.file_name)][0] == content]
        kinds = {finding.kind for finding in own}
        assert ("conflicting labels" in kinds) == ({0, 1} <= labels)
        assert len({finding.file_name for finding in own}) == max(0, len(group) - 1)
        if len(parts) == 2:
            assert ("leak" in kinds, "in two parts" in kinds) == ("test" in parts, "test" not in parts)


# Text


def test_odd_names_stay_on_their_line():
    assert printable("a\nb\x1b[31m\udcff\u200b é 😀") == "a\\nb\\x1b[31m\\udcff\\u200b é 😀"


def test_wide_letters_take_two_places():
    assert aligned([["猫", "1"], ["cat", "10"]]) == ["猫    1", "cat  10"]


def test_report(photos):
    rows = {"train": [("a.png", "cat"), ("again.png", "dog"), ("empty.png", "dog"), ("b.png", "?")]}
    dataset = files(photos, rows, unlabeled="?")
    contents, findings = check(dataset, workers=1, progress=lambda done, total: None)
    text = "\n".join(report_lines(dataset, contents, findings))
    assert "images   3 can be read, 1 cannot" in text
    assert "train again.png 'dog' = train a.png 'cat' (the same content)" in text
    assert "? (unlabeled)" in text
    assert text.endswith("wrong: 3 in all")  # the conflict, the empty file, one cat


def test_a_summary_is_short():
    findings = [Finding(kind, "train", f"{i}.png", "cat") for kind in KINDS for i in range(3)]
    lines = summary_lines(findings)
    assert len(lines) == 6
    assert lines[0] == "wrong: conflicting labels: 3, such as train 0.png 'cat'"
    assert lines[-1] == f"… and {len(KINDS) - 5} more kinds of findings"
    assert summary_lines([]) == []
