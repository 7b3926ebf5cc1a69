"""What a person decided: every fault of the file is one line that names it."""

import pytest

from mixnn.data.labels.corrections import Correction, check_corrections, read_corrections
from mixnn.errors import InputError

HEAD = "file_name,corrected_label,decision\n"
CLASSES = ["cat", "dog", "big, owl"]
WHOLE = HEAD + 'a.png,dog,accept\n"b, c.png","big, owl",other\nü.png,cat,keep\n\nd.png,,drop\n'


def write(tmp_path, content):
    file = tmp_path / "corrections.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def test_the_decisions(tmp_path):
    found = read_corrections(write(tmp_path, WHOLE))
    assert found == {
        "a.png": Correction("accept", "dog"),
        "b, c.png": Correction("other", "big, owl"),
        "ü.png": Correction("keep", "cat"),
        "d.png": Correction("drop", None),
    }
    check_corrections(found, "corrections.csv", [*found, "z.png"], CLASSES)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + WHOLE.replace("\n", "\r\n"),  # as Excel saves it
        "decision,note,corrected_label,file_name\naccept,x,dog,a.png\n" + 'other,,"big, owl","b, c.png"\n'
        "KEEP ,,cat,ü.png\ndrop,,,d.png\n",
        WHOLE + "a.png,dog,accept\n",
    ],
    ids=["windows", "other order", "twice the same"],
)
def test_other_ways_to_write_it(tmp_path, content):
    assert read_corrections(write(tmp_path, content)) == read_corrections(write(tmp_path, WHOLE))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (HEAD, "has no rows: decide about a label first"),
        ("file_name,label\na.png,cat\n", "has no column corrected_label or decision"),
        (
            "file_name,decision,corrected_label,decision\n",
            "has no column decision: put file_name,corrected_label,decis",
        ),
        (HEAD.replace(",", ";"), "has one column only"),
        (HEAD + "a.png,cat\n", "line 2: 2 values for 3 columns"),
        (HEAD + 'a.png,"cat,accept\n', "no CSV"),
        (HEAD + "a.png,cat,maybe\n", "line 2: decision 'maybe' is unknown: use one of accept, other, keep, drop"),
        (HEAD + "\na.png,cat,\n", "line 3: decision '' is unknown"),
        (HEAD + "a.png,cat,drop\n", "line 2: drop does not go with the label 'cat'"),
        (HEAD + "a.png,,accept\n", "line 2: accept needs a label"),
        (HEAD + "a.png,cat,keep\na.png,,drop\n", "line 3: a.png is decided twice, keep cat and drop: keep one"),
        (WHOLE.encode("utf-16"), "not text in UTF-8"),
        (HEAD.encode() + "a.png,Käfer,other\n".encode("latin-1"), "line 2: label 'K\\udce4fer' is not UTF-8"),
    ],
)
def test_what_is_wrong_with_the_file(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_corrections(path)
    assert message in str(caught.value)
    assert path in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_corrections(str(tmp_path / "no.csv"))


@pytest.mark.parametrize(
    ("correction", "name", "message"),
    [
        (
            Correction("accept", "cat"),
            "z.png",
            "1 of 1 files that the data has not, first 'z.png': corrections of anot",
        ),
        (Correction("drop", None), "z.png", "corrections of another data set"),
        (Correction("keep", "cat"), "K\udce4fer.png", "is no UTF-8"),
        (Correction("other", "cow"), "a.png", "a.png is 'cow', which is no class: correct it; they are 'cat', 'dog'"),
    ],
)
def test_what_is_about_something_else(correction, name, message):
    with pytest.raises(InputError) as caught:
        check_corrections({name: correction}, "corrections.csv", ["a.png"], CLASSES)
    assert message in str(caught.value)


def test_new_classes_where_they_are_wanted():
    found = {"a.png": Correction("other", "cow")}
    check_corrections(found, "corrections.csv", ["a.png"], CLASSES, new_classes=True)


def test_numbers_that_a_table_program_wrote_as_floats(tmp_path):
    path = write(tmp_path, HEAD + "a.png,1.0,other\nb.png,02,accept\nc.png,,drop\nd.png,3.0,keep\n")
    found = read_corrections(path, ["1", "2", "3.0", "3"])
    assert [correction.label for correction in found.values()] == ["1", "2", None, "3.0"]
