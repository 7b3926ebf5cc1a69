"""Texts are found, judged, shown, exported, corrected, learned from and predicted as texts."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from contract.command import call, read_csv, succeed

import mixnn
import mixnn.config
import mixnn.data.read
from mixnn.data.readers.arrays import arrays_in_memory
from mixnn.data.records.records import Records
from mixnn.data.records.text_encoders import TfIdf, text_encoder
from mixnn.errors import InputError
from mixnn.results.report.content import texts_within
from mixnn.runs.directory import RunDirectory
from mixnn.runs.sample_lists import read_records

TOPICS = {"bill": "invoice charge fee payment refund", "login": "password account sign email code", "ship": "parcel"}
TOPICS["ship"] += " courier delivery address late"
ENCODER = ["--data.text-encoder", "tf-idf"]
DEVICE = ["--device", "cpu"]
WRONG, LONG, EMPTY, NONE, TWICE = (5, 45, 85), 7, 11, 13, 17  # data rows from 0


def texts() -> tuple[list[str], list[str]]:
    """120 texts of three topics, shuffled, and their right labels."""
    random, said, labels = np.random.default_rng(0), [], []
    for i in range(120):
        label = list(TOPICS)[i % 3]
        words = random.choice(TOPICS[label].split(), 4)
        said.append(f"My {words[0]} and {words[1]} <b>{words[2]}</b>, {words[3]}: number {i}")
        labels.append(label)
    return said, labels


def write_table(path: Path) -> Path:
    said, labels = texts()
    for row in WRONG:
        labels[row] = list(TOPICS)[(row + 1) % 3]
    said[LONG] += " refund" * 2000
    said[EMPTY], labels[NONE] = "  ", "NaN"
    said.append(said[TWICE].upper() + " ")
    labels.append("ship" if labels[TWICE] != "ship" else "bill")
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "label", "stars"])
        writer.writerows(
            [f"A{i}", text, label, i % 5] for i, (text, label) in enumerate(zip(said, labels, strict=True))
        )
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of texts, with a run of `mixnn find` and one of `mixnn train`."""
    root = tmp_path_factory.mktemp("texts")
    table = write_table(root / "reviews.csv")
    found = succeed("find", table, "--out", root / "found", *ENCODER, *DEVICE)
    (root / "found.txt").write_text(found.err + found.out)
    trained = succeed("train", table, "--out", root / "trained", "--epochs", 10, "--batch-size", 32, *ENCODER, *DEVICE)
    (root / "trained.txt").write_text(trained.err + trained.out)
    return root


def test_the_screen_says_what_was_taken_and_what_is_odd(place: Path) -> None:
    said, table = (place / "found.txt").read_text(), place / "reviews.csv"
    for line in (
        f"mixnn: table {table}: column 'text' has the texts; --data.text-column takes another, --data.columns values\n",
        "mixnn: wrong: conflicting labels: 1, train row 121 A120 'bill' = train row 18 A17 'ship' (the same content)\n",
        "mixnn: 1 label is missing ('NaN' 1): such samples count as unlabeled;",
        "mixnn: 1 of 121 texts are empty and are set aside; the first: row 12 A11 (the text is empty).",
        "\n120 texts in 3 classes, on cpu\n",
        "the same text under two labels: 2 samples (review_reason in labels.csv)\n",
        "set aside: 1 text that is empty (unreadable.csv)\n",
    ):
        assert line in said
    assert re.search(r"mixnn: features of texts: TF-IDF of \d+ words and pairs of words, along \d+ singular", said)


def test_lists_name_rows_and_say_their_texts(place: Path) -> None:
    rows = {row["file_name"]: row for row in read_csv(place / "found/labels.csv")}
    issues = {row["file_name"] for row in read_csv(place / "found/label_issues.csv")}
    assert issues >= {f"row {row + 1} A{row}" for row in WRONG}
    assert rows["row 6 A5"]["text"] == texts()[0][5]
    assert len(rows["row 8 A7"]["text"]) == 300
    assert rows["row 8 A7"]["text"].endswith(" …")
    assert rows["row 121 A120"]["review_reason"] == "conflicting_duplicate: row 18 A17 labeled ship"
    assert "row 12 A11" not in rows
    assert rows["row 14 A13"]["given_label"] == "NaN"


def test_an_explanation_shows_texts(place: Path) -> None:
    lines = succeed("find", "--out", place / "found", "--explain", "A5").out.splitlines()
    assert lines[:2] == ["row 6 A5", f"  {'text':<17} {texts()[0][5]}"]
    assert len([line for line in lines if "  distance 0" in line and "My " in line]) == 10
    assert succeed("find", "--out", place / "found", "--explain", "6").out.splitlines() == lines
    assert any(
        line.startswith("  same text         row 18 A17")
        for line in succeed("find", "--out", place / "found", "--explain", "row 121 A120").out.splitlines()
    )


def test_a_report_has_texts_in_place_of_pictures(place: Path) -> None:
    page = (place / "found/report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert data["noun"] == "text"
    assert texts()[0][5] in data["texts"]
    assert max(map(len, data["texts"])) == 2002  # what is kept of a long one
    assert "<b>" not in page.split('id="data">')[1].split("</script>")[0]  # escaped
    assert "Map of the texts" in page
    assert '<label>Text <input id="search"' in page


def test_texts_of_a_page_have_a_limit() -> None:
    assert texts_within(["a" * 100, "b" * 100, "c"], 190) == ["a" * 100, "b" * 80 + " …", "c"]


def test_corrections_go_back_into_the_table(place: Path, tmp_path: Path) -> None:
    decided = tmp_path / "corrections.csv"
    decided.write_text("file_name,corrected_label,decision\nrow 6 A5,ship,accept\nrow 46 A45,,drop\n")
    result = succeed("apply", place / "found", decided, "--out", tmp_path / "clean/reviews.csv")
    assert (
        f"mixnn find {tmp_path}/clean/reviews.csv --config {place}/found/config.yaml --out runs/cleaned" in result.out
    )
    rows = {row["id"]: row for row in read_csv(tmp_path / "clean/reviews.csv")}
    before = {row["id"]: row for row in read_csv(place / "reviews.csv")}
    assert rows["A5"] == before["A5"] | {"label": "ship", "original_label": before["A5"]["label"]}
    assert rows.keys() == before.keys() - {"A45"}
    assert rows["A11"]["text"] == "  "


def test_exports_have_the_texts(place: Path, tmp_path: Path) -> None:
    for tool in ("label-studio", "hf", "cleanlab", "numpy"):
        succeed("export", place / "found", "--to", tool, "--out", tmp_path / tool)
    tasks = json.loads((tmp_path / "label-studio/tasks.json").read_text(encoding="utf-8"))
    task = next(task for task in tasks if task["data"]["file_name"] == "row 6 A5")
    assert task["data"]["text"] == texts()[0][5]
    assert task["predictions"][0]["result"][0]["to_name"] == "text"
    assert '<Text name="text" value="$text" />' in (tmp_path / "label-studio/label_config.xml").read_text()
    rows = {row["row"]: row for row in read_csv(tmp_path / "hf/data.csv")}
    assert len(rows["row 8 A7"]["text"]) > 14_000  # whole
    assert rows["row 6 A5"]["is_label_issue"] == "True"
    refused = call("export", place / "found", "--to", "fiftyone", "--out", tmp_path / "no")
    assert (refused.code, refused.err) == (
        2,
        "mixnn: --to fiftyone shows images, and the run has texts: take label-studio\n",
    )


def test_a_trained_run_predicts_new_texts(place: Path, tmp_path: Path) -> None:
    screen = (place / "trained.txt").read_text()
    assert "mixnn: a network for texts: --network mlp, on features that stay as they are\n" in screen
    assert yaml.safe_load((place / "trained/config.yaml").read_text())["network"] == "mlp"
    new = tmp_path / "new.csv"
    said, right = texts()
    new.write_text(f'text,other\n"{said[1]}!",1\n,2\n"{said[0]}?",3\n')
    result = succeed("predict", place / "trained", new)
    lines = list(csv.DictReader(result.out.splitlines()))
    assert [(line["row"], line["label"]) for line in lines] == [("row 1", right[1]), ("row 2", ""), ("row 3", right[0])]
    assert f"mixnn: {new}: 1 of 3 texts are empty and get no label" in result.err
    model = mixnn.Run(place / "trained").model("cpu")
    assert [model.classes[i] for i in model.predict(said[:6]).argmax(1)] == right[:6]
    accuracy = succeed("evaluate", place / "trained", place / "reviews.csv", *DEVICE)
    assert float(accuracy.out.splitlines()[-1].split(",")[2]) > 0.9


def test_what_no_prediction_can_be_made_of_is_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("body,label\na,b\n")
    refused = call("predict", place / "trained", tmp_path / "other.csv")
    assert refused.code == 2
    assert "has no column 'text' ('body', 'label'): the run was trained on that column: rename one" in refused.err
    refused = call("predict", place / "trained", "a.jpg")
    assert "a.jpg is no table, and the run was trained on texts" in refused.err


def test_a_check_finds_double_and_empty_texts(place: Path) -> None:
    result = call("check", place / "reviews.csv")
    assert result.code == 1
    assert "texts    120 can be read, 1 cannot\n" in result.out
    assert "wrong: conflicting labels: 1  (the same text under another label)\n" in result.out
    assert "wrong: unreadable: 1  (texts that cannot be read)\n" in result.out
    assert "  train row 12 A11 (the text is empty)\n" in result.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--data.text-column", "body"],
            "--data.text-column: table {} has no column 'body' ('id', 'text', 'label', 'stars'): name those that it",
        ),
        (
            ["--data.text-column", "label"],
            "table {}: column 'label' has both texts and labels: name the labels with --data.label-column",
        ),
        (
            ["--data.text-column", "text", "--data.image-column", "id"],
            "--data.image-column id and --data.text-column text say what a sample is, each in its way: give one",
        ),
        (["--data.text-encoder", "bert"], "--data.text-encoder bert: use auto, wordllama, tf-idf or sentence-trans"),
        (
            ["--network", "cnn"],
            "--network cnn is for images, and {} has texts: leave it away; --data.text-encoder says",
        ),
        (["--data.label-column", "kind"], "--data.label-column: table {} has no column 'kind'"),
    ],
)
def test_wrong_options_are_told(place: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = call("find", place / "reviews.csv", "--out", tmp_path / "run", *options)
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith(f"mixnn: {message.format(place / 'reviews.csv')}")
    assert not (tmp_path / "run/config.yaml").exists()


def test_several_columns_and_numbers_as_text(tmp_path: Path) -> None:
    table = tmp_path / "a.tsv"
    table.write_text("title\tbody\tlabel\tn\n" + "".join(f"t{i}\tb {i}\t{i % 2}\t{i}\n" for i in range(6)))
    dataset = mixnn.data.read.read(str(table), mixnn.config.DataOptions(text_column="title,body"))
    assert isinstance(dataset.train.images, Records)
    assert dataset.train.images.text(1) == "t1\nb 1"
    result = call("check", table, "--data.text-column", "n")
    assert "column 'n' has numbers only, which are taken as text; --data.columns takes values" in result.err


def test_lines_of_json_and_parquet(tmp_path: Path) -> None:
    said, labels = texts()
    rows = [{"text": text, "label": label} for text, label in zip(said[:30], labels[:30], strict=True)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        dataset = mixnn.data.read.read(str(tmp_path / name), mixnn.config.DataOptions())
        assert dataset.train.names[:2] == ["row 1", "row 2"]
        assert isinstance(dataset.train.images, Records)
        assert dataset.train.images.texts() == said[:30]
        assert dataset.label_words(dataset.train.labels) == labels[:30]


def test_a_data_set_of_hugging_face(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    said, labels = texts()
    rows = datasets.Dataset.from_dict({"text": said, "label": labels})
    rows.save_to_disk(str(tmp_path / "set"))
    dataset = mixnn.data.read.read(f"hf:{tmp_path / 'set'}", mixnn.config.DataOptions())
    assert isinstance(dataset.train.images, Records)
    assert dataset.train.images.texts() == said


def test_texts_in_memory() -> None:
    said, labels = texts()
    source = arrays_in_memory([*said[:9], " "], [*labels[:9], "ship"])
    part = source.parts["train"]
    assert isinstance(part.images, Records)
    assert part.images.texts() == said[:9]
    assert (part.labels, part.unreadable) == (labels[:9], [("train/00009", "the text is empty")])


def test_tf_idf_comes_back_from_its_arrays() -> None:
    said, _ = texts()
    records = Records("text", ["text"], [(text,) for text in said])
    one, other = TfIdf(), TfIdf()
    one.fit(said, 0)
    other.load(one.about(), one.arrays())
    features = one.encode(records, lambda done, total: None)
    np.testing.assert_array_equal(other.encode(records, lambda done, total: None), features)
    assert features.dtype == np.float32
    with pytest.raises(InputError, match="the texts have no words that TF-IDF could count"):
        TfIdf().fit(["… …", "!! !", "? !"], 0)


def test_chinese_has_no_spaces() -> None:
    encoder = TfIdf()
    encoder.fit(["我的银行卡丢了", "我的银行卡在哪里", "退款什么时候到", "退款没有到账"], 0)
    x = encoder.encode(Records("text", ["t"], [("银行卡丢了",), ("我的银行卡",), ("退款到账",)]), lambda *_: None)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    assert x[0] @ x[1] > 2 * x[0] @ x[2]


def test_wordllama_needs_no_network() -> None:
    pytest.importorskip("wordllama")
    encoder = text_encoder("auto")
    said = ["where is my card", "has my card come yet", "what is the exchange rate", "\u200b"]
    x = encoder.encode(Records("text", ["text"], [(text,) for text in said]), lambda *_: None)
    assert x.shape == (4, 256)
    assert np.isfinite(x).all()
    x = x[:3] / np.linalg.norm(x[:3], axis=1, keepdims=True)
    assert x[0] @ x[1] > x[0] @ x[2] + 0.2


def test_without_packages_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"features of texts need wordllama, .*: pip install 'mixnn\[text\]'"):
        text_encoder("auto")
    with pytest.raises(InputError, match=r"wordllama needs wordllama: pip install 'mixnn\[text\]'"):
        text_encoder("wordllama")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "wordllama" else 1)
    assert "pip install 'mixnn[text]'" in text_encoder("auto").better
    with pytest.raises(InputError, match="sentence-transformers:x needs its package: pip install sentence-transf"):
        text_encoder("sentence-transformers:x")


def test_the_run_keeps_no_more_of_a_text_than_is_looked_at(place: Path) -> None:
    noun, kept = read_records(RunDirectory(place / "found"))
    assert noun == "text"
    assert len(kept) == 120
    assert max(map(len, kept)) == 2002
