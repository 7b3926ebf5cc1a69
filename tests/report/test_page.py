"""What stands in the report, and how large it gets."""

import base64
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract.command import call
from report.cases import HOSTILE_CLASSES, hostile_run, made_up, write_run

from mixnn.errors import InputError
from mixnn.results.issues import stored_label_issues
from mixnn.results.report import content, page, selection
from mixnn.results.report.columns import column, file_names, name_html, places, probs_column, script_json
from mixnn.results.report.page import SCRIPTS, STYLES, TEMPLATE, TRAINING, build_page, write_report
from mixnn.results.report.pictures import SIDE, decoded_pictures, encoded_pictures, read_pictures
from mixnn.results.report.umap_2d import umap_2d
from mixnn.runs.directory import RunDirectory

CLASSES = ["apple", "pear", "plum"]
TYPES = {"u1": np.uint8, "u2": np.uint16, "u4": np.uint32}


def decoded(packed_column: dict[str, str]) -> Any:
    return np.frombuffer(base64.b64decode(packed_column["bytes"]), TYPES[packed_column["type"]])


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def words_of(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text.partition('id="summary"')[2].partition("</section>")[0]))


def test_columns_come_back() -> None:
    assert decoded(column([1, 70000], "u4")).tolist() == [1, 70000]
    assert [places(np.zeros(1), count)["type"] for count in (256, 257, 1 << 16, 1 << 17)] == ["u1", "u2", "u2", "u4"]
    np.testing.assert_allclose(decoded(probs_column(np.array([0, 0.5, 1, np.nan]))) / 0xFFFF, [0, 0.5, 1, 0], atol=1e-4)
    names = ["a/b/c.png", "a/b/d.png", "e.png"]
    packed_names = file_names(names)
    folders = [packed_names["folders"][i] for i in decoded(packed_names["folder"])]
    assert [folder + file for folder, file in zip(folders, packed_names["files"], strict=True)] == names
    assert packed_names["folders"] == ["a/b/", ""]


@pytest.mark.parametrize("text", ["</script>", "<!--", "&amp;", "\u2028", "\udce4", "🦊", "<script>"])
def test_json_stands_safely_in_a_page(text: str) -> None:
    written = script_json({text: [text]})
    assert not set("<>&\u2028") & set(written)
    written.encode("utf-8")
    assert json.loads(written) == {text: [text]}


def test_a_name_as_html() -> None:
    assert name_html('<b> & "x"\n') == "<bdi>&lt;b&gt; &amp; &quot;x&quot;\\n</bdi>"
    assert name_html("👩‍🔬 \udce4") == "<bdi>👩‍🔬 \\udce4</bdi>"


class Tags(HTMLParser):
    """Counts tags, and remembers addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]


def test_hostile_names_make_no_tags(tmp_path: Path) -> None:
    text = build_page(hostile_run(tmp_path / "run"))
    text.encode("utf-8")
    tags = Tags()
    tags.feed(text)
    assert tags.tags.count("script") == 2
    assert "b" not in tags.tags
    assert "img" not in tags.tags
    assert all((address and address[0] == "#") or address == "data:," for address in tags.addresses)
    assert data_of(text)["labels"] == HOSTILE_CLASSES


def test_the_columns_say_what_the_evidence_says(tmp_path: Path) -> None:
    evidence = made_up(200, 3, unlabeled=4)
    run = write_run(tmp_path / "run", evidence, CLASSES)
    issues = stored_label_issues(evidence)
    data = content.collect(run, evidence, issues)
    samples = data["samples"]
    rows = decoded(samples["row"]).astype(int)
    assert sorted(rows) == list(range(200))  # all are on the map
    assert rows[: data["groups"]["flagged"]].tolist() == issues.ranking[: issues.is_label_issue.sum()].tolist()
    assert data["labels"] == [*CLASSES, "Not sure"]
    given = decoded(samples["given"])
    assert [data["labels"][i] for i in given] == [
        row["given_label"] for row in np.array(run.read_table(run.labels))[rows]
    ]
    assert (decoded(samples["suggested"]) == issues.suggested[rows]).all()
    neighbor_labels = decoded(samples["neighbors"]).reshape(200, 8)
    assert (neighbor_labels == evidence.given[evidence.neighbors[rows, :8]] % 4).all()
    nearest = decoded(data["nearest"]).reshape(-1, 8)
    assert (rows[nearest] == evidence.neighbors[rows[: len(nearest)], :8]).all()
    assert sum(n for *_, n in data["pairs"]) == issues.is_label_issue.sum()
    assert len(decoded(data["map"]["index"])) == 200
    assert data["marks"] == [
        {"after": 1, "text": "mixing with neighbors begins"},
        {"after": 1, "text": "warm-up ends"},
        {"after": 2, "text": "correction begins"},
    ]
    assert [moment["epoch"] for moment in data["losses"]] == [2, 3, None]
    assert data["losses"][1]["mixture"][0] == [None, None]


def test_a_run_from_before(tmp_path: Path) -> None:
    """No coordinates, no history of losses, and pictures as they were."""
    run = write_run(tmp_path / "run", replace(made_up(50, 3), coordinates=None), CLASSES, side=None)
    run.losses.unlink()
    images = np.zeros((2, 200, 100, 3), dtype=np.uint8)
    run.write_arrays(run.thumbnails, {"rows": stored_label_issues(run.read_evidence()).ranking[:2], "images": images})
    data = data_of(build_page(run))
    assert data["map"] is None
    assert len(data["losses"]) == 1
    assert len(decoded(data["pictures"]["index"])) == 2


def test_a_run_without_a_training(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("targets", "loss", "loss_mixture_clean_prob", "mixture", "heldout"))
    trained = write_run(tmp_path / "trained", made_up(50, 3), CLASSES)
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.write_config({"command": "find", "source": "photos", "seed": 0, "noise": None})
    run.write_json(run.classes, CLASSES)
    run.write_evidence(replace(made_up(50, 3), **nothing))
    text, before = build_page(run), build_page(trained)
    for part in ('id="training"', 'href="#training"', "curveChart"):
        assert (part in before, part in text) == (True, False)
    assert "found without training, seed 0" in text
    assert f"mixnn find --config {run.config} --data.corrections corrections.csv" in words_of(text)
    data = data_of(text)
    assert (data["curves"], data["losses"], data["marks"]) == ({}, [], [])


def test_how_right_each_class_is_on_the_part_held_out(tmp_path: Path) -> None:
    heldout = np.array([[30, 9, 1], [0, 0, 0], [0, 5, 1195]])
    evidence = replace(made_up(50, 3), heldout=heldout)
    rows = build_page(write_run(tmp_path / "run", evidence, CLASSES)).partition("<tbody>")[2].partition("</tbody>")[0]
    assert [row.rpartition("<td>")[2].partition("</td>")[0] for row in rows.strip().splitlines()] == [
        "75.0 % of 40",
        "–",
        "99.6 % of 1,200",
    ]


@pytest.mark.slow
def test_a_map_by_umap_puts_like_to_like(tmp_path: Path) -> None:
    """Two groups, whose members are each other's neighbors, on top of each other by principal components."""
    samples, random = 60, np.random.default_rng(0)
    ring = (np.arange(samples)[:, None] + 2 * np.arange(1, 6)) % samples  # even rows with even ones
    evidence = replace(
        made_up(samples, 2),
        neighbors=ring,
        distances=np.tile(np.linspace(0.1, 0.3, 5, dtype=np.float32), (samples, 1)),
        coordinates=random.normal(size=(samples, 2)).astype(np.float32),
    )
    points = umap_2d(evidence)
    assert points.shape == (samples, 2)
    assert np.array_equal(points, umap_2d(evidence))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert apart[::2, 1::2].mean() > 1.5 * apart[::2, ::2].mean()
    run = write_run(tmp_path / "run", evidence, CLASSES[:2])
    page = build_page(run, "umap")
    assert data_of(page)["map"]["x"] != data_of(build_page(run))["map"]["x"]
    assert "UMAP, from the nearest neighbors of each" in page
    assert len(decoded(data_of(page)["map"]["index"])) == samples


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"distances": None}, "needs distances, which runs of this age have not kept: use --map pca"),
        ({"given": np.zeros(3, dtype=np.int64)}, "needs 8 samples, the run has 3: use --map pca"),
    ],
)
def test_runs_that_umap_cannot_map(changes: dict[str, Any], said: str) -> None:
    evidence = made_up(60, 2)
    known = {"distances": np.zeros(evidence.neighbors.shape, dtype=np.float32)} | changes
    with pytest.raises(InputError, match=said):
        umap_2d(replace(evidence, **known))


def test_without_umap_the_report_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    evidence = made_up(60, 2)
    evidence = replace(evidence, distances=np.zeros(evidence.neighbors.shape, dtype=np.float32))
    run = write_run(tmp_path / "run", evidence, CLASSES[:2])
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match=r"pip install 'mixnn\[map\]', or --map pca"):
        write_report(run, run.report, "umap")
    assert not run.report.exists()


def test_pictures_come_back_small(tmp_path: Path) -> None:
    import io

    from PIL import Image

    images = [np.full((200, 100, 3), shade, dtype=np.uint8) for shade in (10, 200)]
    kept = decoded_pictures(encoded_pictures(np.array([7, 3]), images))
    assert list(kept) == [7, 3]
    for shade, file in zip((10, 200), kept.values(), strict=True):
        with Image.open(io.BytesIO(file)) as picture:
            assert max(picture.size) == SIDE
            assert abs(np.asarray(picture.convert("RGB")).mean() - shade) < 4
    run = RunDirectory(tmp_path)
    assert read_pictures(run) == {}


def test_points_on_the_map_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "POINTS", 60)
    evidence = made_up(500, 3, noise=0.2)
    issues = stored_label_issues(evidence)
    points = selection.mapped(evidence, selection.cards(evidence, issues))
    assert len(points) == len(set(points.tolist())) == 60
    assert points[:30].tolist() == issues.ranking[:30].tolist()
    assert points.tolist() == selection.mapped(evidence, selection.cards(evidence, issues)).tolist()


@pytest.mark.slow
def test_a_hundred_thousand_samples_stay_below_15_mb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of them, all limits being a tenth as well, and pictures of noise, which no encoder makes small."""
    for limit in ("FLAGGED", "WITHOUT_LABEL", "POINTS"):
        monkeypatch.setattr(selection, limit, getattr(selection, limit) // 10)
    evidence = made_up(10_000, 10, noise=0.6, names=[f"photos/{i:036x}.jpg" for i in range(10_000)])
    run = write_run(tmp_path / "run", evidence, [f"class {i}" for i in range(10)], side=SIDE)
    data = content.collect(run, evidence, stored_label_issues(evidence))
    pictures = len(json.dumps(data["pictures"]))
    columns = len(json.dumps([data["samples"], data["map"]]))
    assert pictures < 1.4 * content.PICTURE_BYTES
    assert len(build_page(run)) + 9 * columns < 15e6


def test_the_summary_in_words(tmp_path: Path) -> None:
    run = write_run(tmp_path / "my run", made_up(300, 3, unlabeled=5), CLASSES)
    words = words_of(build_page(run))
    flagged = int(stored_label_issues(run.read_evidence()).is_label_issue.sum())
    assert (
        f"{flagged} of 295 labels ({100 * flagged / 295:.1f} %) are flagged as label issues; about 20 % (18 to 22 %)"
        in words
    )
    assert "Confused most: " in words
    assert "right for 90.0 % after the last epoch; its best was epoch 4 with 90.0 %" in words
    assert "5 samples have no label" in words
    assert "almost no noise" not in words
    assert f"mixnn apply &#x27;{run.path}&#x27; corrections.csv --out CLEAN" in words  # a path with a space


def test_a_summary_where_nothing_is_wrong(tmp_path: Path) -> None:
    words = words_of(build_page(write_run(tmp_path / "run", made_up(300, 3, noise=0), CLASSES)))
    assert "There seems to be almost no noise here. 0 of 300 labels (0.0 %) are flagged as label issues;" in words
    assert "The model can be used as it is." in words


def test_a_model_that_cannot_tell_does_not_say_that_all_is_well(tmp_path: Path) -> None:
    evidence = made_up(300, 3, noise=0)
    unsure = np.full_like(evidence.probs, 1 / 3)
    evidence = replace(evidence, label_posterior=unsure, noise_rate=np.array(0.6), given=np.zeros(300, np.int64))
    words = words_of(build_page(write_run(tmp_path / "run", evidence, CLASSES)))
    assert "The evidence does not suffice to tell wrong labels" in words
    assert "almost no noise" not in words


def test_files_of_the_page_are_short_and_used() -> None:
    files = {file.name: file.read_text(encoding="utf-8") for file in TEMPLATE.iterdir()}
    assert set(files) == {"page.html", *STYLES, *SCRIPTS, *TRAINING}
    assert {name for name, text in files.items() if len(text.splitlines()) > 300} == set()
    for name, text in files.items():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), name


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return write_run(tmp_path / "run", made_up(40, 3), CLASSES)


def test_the_command_writes_the_file(run: RunDirectory, tmp_path: Path) -> None:
    result = call("report", run.path)
    assert (result.code, result.err) == (0, "")
    assert str(run.report) in result.out
    assert call("report", run.path, "--out", tmp_path / "other.html").code == 0
    assert (tmp_path / "other.html").read_bytes() == run.report.read_bytes()


def refused(*words: object) -> str:
    result = call("report", *words)
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1), result
    return result.err


def test_what_is_no_finished_run(run: RunDirectory, tmp_path: Path) -> None:
    assert "is not a run directory" in refused(tmp_path / "none")
    kept = run.evidence.read_bytes()
    run.evidence.write_bytes(b"hello")
    assert f"{run.evidence} is damaged" in refused(run.path)
    run.evidence.unlink()
    assert "evidence.npz is missing, the run is not finished: repeat `mixnn train … --resume`" in refused(run.path)
    run.evidence.write_bytes(kept)
    run.label_quality.unlink()
    assert "label_quality.npz is missing, the run is not finished: repeat" in refused(run.path)
    assert not run.report.exists()


def test_an_out_that_cannot_be_written(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file/report.html"
    assert f"{out} cannot be written" in refused(run.path, "--out", out)
    assert "is a folder" in refused(run.path, "--out", tmp_path)


def test_a_placeholder_too_many_is_noticed(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    read = page.read
    monkeypatch.setattr(page, "read", lambda name: read(name) + ("{{ forgotten }}" if name == "page.html" else ""))
    assert "forgotten" in refused(run.path)
