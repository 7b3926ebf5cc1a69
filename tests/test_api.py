"""The Python door: `mixnn.train` and `mixnn.Run`."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from contract.command import COLORS, ENVIRONMENT, SIZE, figures, succeed, write_folder

import mixnn
from mixnn.api import as_keywords, as_words

SMALL: dict[str, Any] = {"network": "cnn", "batch_size": 16, "precision": "float32", "device": "cpu", "epochs": 2}
FILES: dict[str, Any] = {"data": {"image_size": SIZE, "workers": 0}}
WORDS = ["--batch-size=16", "--precision=float32", "--device=cpu", "--epochs=2", f"--data.image-size={SIZE}"]
WORDS += ["--network=cnn"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("api") / "photos")


@pytest.fixture(scope="module")
def run(photos: Path) -> mixnn.Run:
    return mixnn.train(photos, out=photos.parent / "run", **SMALL, **FILES)


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of two classes; the first two labels are wrong."""
    labels = np.repeat(["cat", "dog"], 60)
    x = np.random.default_rng(0).normal(size=(120, 8)) + 5 * np.eye(2, 8)[np.repeat([0, 1], 60)]
    labels[:2] = "dog"
    return x, labels


def test_tab_completion_shows_what_is_public_without_torch() -> None:
    code = "import mixnn, sys; mixnn.Run; mixnn.train; print('torch' in sys.modules, *dir(mixnn))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    torch_loaded, *names = done.stdout.split()
    assert torch_loaded == "False"
    assert {"Run", "train", "find_label_issues", "LabelIssues", "InputError", "Model"} <= set(names)
    assert all(hasattr(mixnn, name) for name in names)


def test_it_trains_as_the_command_does(run: mixnn.Run, photos: Path, tmp_path: Path) -> None:
    succeed("train", photos, "--out", tmp_path / "run", *WORDS, "--data.workers=0")
    assert figures(run.path) == figures(tmp_path / "run")
    assert (run.path / "labels.csv").read_bytes() == (tmp_path / "run/labels.csv").read_bytes()


def test_label_issues_are_the_run_s(run: mixnn.Run) -> None:
    issues = run.label_issues()
    frame = issues.to_frame()
    assert issues.classes == run.classes == sorted(COLORS)
    assert list(frame["file_name"]) == [str(name) for name in issues.names]
    assert set(frame["given_label"]) == set(COLORS)
    assert [name.split("/")[0] for name in frame["file_name"]] == list(frame["given_label"])


def test_metrics_are_numbers(run: mixnn.Run) -> None:
    rows = run.metrics()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(isinstance(row["accuracy"], float) and row["heldout"] == "holdout" for row in rows)
    assert rows[0]["clean_fraction"] is None or 0 <= rows[0]["clean_fraction"] <= 1


def test_the_model_takes_files_and_arrays(run: mixnn.Run, photos: Path) -> None:
    from PIL import Image

    model, files = run.model("cpu"), sorted((photos / "red").iterdir())[:3]
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    expected = model(torch.from_numpy(pixels).permute(0, 3, 1, 2)).numpy()
    assert expected.shape == (3, len(model.classes))
    for images in (files, [str(file) for file in files], pixels, pixels.transpose(0, 3, 1, 2)):
        np.testing.assert_allclose(model.predict(images), expected, atol=1e-6)
    assert model.predict([]).shape == (0, 3)
    with pytest.raises(mixnn.InputError, match=r"\(3, 8, 8, 3\).* images of 16"):
        model.predict(pixels[:, :8, :8])
    said = r"the array has shape \(2, 7\), but the run was trained on images of 16 px: give such an array"
    with pytest.raises(mixnn.InputError, match=said):
        model.predict(np.zeros((2, 7), np.float32))


def test_the_report_is_written_where_it_is_missing(run: mixnn.Run) -> None:
    run.report().unlink()
    assert "href" not in run._repr_html_()
    assert "</html>" in run.report().read_text(encoding="utf-8")


def test_a_notebook_shows_suspects_and_a_link(run: mixnn.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.path.parent)
    run.report()
    page, issues = run._repr_html_(), run.label_issues()
    assert "of the labels" in page
    assert 'href="run/report.html"' in page
    flagged = int(issues.is_label_issue.sum())
    assert page.count("<tr><td><img") == min(10, flagged) > 0
    assert page.count("<tr><td><b>") == len(issues.classes)
    assert 'src="data:image/webp;base64,UklGR' in page
    assert str(issues.names[issues.ranking[0]]) in page
    assert repr(run).startswith(f"Run({str(run.path)!r}): {flagged} label issues of 54 labels, 3 classes; ")


def test_a_notebook_shows_names_as_text() -> None:
    x, labels = blobs()
    labels = np.where(labels == "cat", "<b>x</b>", "\"&'<script>")
    page = mixnn.find_label_issues(labels, x)._repr_html_()
    assert page.startswith("<p>LabelIssues(120 samples, 2 classes, 2 label issues, noise rate 0.0")
    assert "<td>0</td><td>&quot;&amp;&#x27;&lt;script&gt;</td><td>&lt;b&gt;x&lt;/b&gt;</td>" in page
    assert "<th>&quot;&amp;&#x27;&lt;script&gt;</th><th>&lt;b&gt;x&lt;/b&gt;</th>" in page
    assert "<script>" not in page
    assert "<b>x" not in page


def test_of_many_classes_a_notebook_shows_those_that_are_mixed_up() -> None:
    truth = np.repeat(np.arange(13), 20)
    x, labels = np.random.default_rng(0).normal(size=(260, 40)) + 9 * np.eye(13, 40)[truth], truth.copy()
    labels[:5] = 7
    found = mixnn.find_label_issues(labels, x)
    head, row = found._repr_html_().partition("how often</th></tr></thead><tbody>")[::2]
    assert "<th>true label</th><th>given label</th>" in head
    share = 100 * found.noise_matrix[0, 7]
    assert re.match(rf"<tr><td>0</td><td>7</td><td><div [^>]*>{share:.1f} %</div></td></tr>", row)


def test_a_command_in_a_notebook_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook gives it a terminal, but keeps every state of a bar."""
    from mixnn.utils.console import error_console, rewritten_line

    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    assert error_console().is_terminal
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert not error_console().is_terminal
    assert rewritten_line() is None  # this is no notebook


def test_find_from_python_is_the_command(tmp_path: Path) -> None:
    x, labels = blobs()
    np.savez(tmp_path / "data.npz", x=x, y=labels)
    run = mixnn.find(tmp_path / "data.npz", out=tmp_path / "run", seed=1)
    succeed("find", tmp_path / "data.npz", "--out", tmp_path / "other", "--seed=1")
    assert (run.path / "labels.csv").read_bytes() == (tmp_path / "other/labels.csv").read_bytes()
    again = mixnn.find((x, labels), out=tmp_path / "arrays")
    assert np.flatnonzero(again.label_issues().is_label_issue).tolist() == [0, 1]
    for settings, said in [({"epochs": 2}, "epochs"), ({"source": "x"}, "give it as the first argument, as find")]:
        with pytest.raises(mixnn.InputError, match=said):
            mixnn.find((x, labels), out=tmp_path / "no", **settings)


def test_a_run_of_find_has_no_model(tmp_path: Path) -> None:
    x, labels = blobs()
    np.savez(tmp_path / "data.npz", x=x, y=labels)
    succeed("find", tmp_path / "data.npz", "--out", tmp_path / "run")
    run = mixnn.Run(tmp_path / "run")
    assert np.flatnonzero(run.label_issues().is_label_issue).tolist() == [0, 1]
    for method in (run.model, run.metrics):
        with pytest.raises(mixnn.InputError, match="trains no network"):
            method()


def test_a_run_that_is_not_finished_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("source: photos\n")
    run = mixnn.Run(tmp_path)
    assert repr(run).endswith("not finished")
    assert "not finished" in run._repr_html_()
    with pytest.raises(mixnn.InputError, match="is missing"):
        run.label_issues()


def test_arrays_in_memory(tmp_path: Path) -> None:
    x, labels = blobs()
    settings = SMALL | {"network": "mlp", "lr": np.float32(0.05), "data.holdout": 0.1}
    run = mixnn.train((x, labels), out=tmp_path / "run", **settings)
    issues = run.label_issues()
    assert len(issues) == 108
    assert issues.classes == ["cat", "dog"]
    assert run.model("cpu").predict(x).argmax(1).tolist() == [0] * 60 + [1] * 60
    again = mixnn.train((torch.from_numpy(x), labels.astype(object)), out=run.path, resume=True, **settings)
    assert again.label_issues().label_quality.tolist() == issues.label_quality.tolist()
    with pytest.raises(
        mixnn.InputError, match="epochs is 3 here, the checkpoint was made with 2: give the same settings, or a new out"
    ):
        mixnn.train((x, labels), out=run.path, resume=True, **(settings | {"epochs": 3}))


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        ("photos", {"epoch": 3}, "epoch=3: did you mean epochs"),
        ("photos", {"data": {"hold_out": 0.1}}, "data.hold_out=0.1: did you mean data.holdout"),
        ("photos", {"epochs": "many"}, "epochs: Expected an integer. Got value: many"),
        ("photos", {"batch_size": 1}, "batch_size is 1: use 2 to 1000000"),
        ("photos", {"source": "photos"}, "give it as the first argument"),
        ("nosuch", {}, "nosuch does not exist"),
        ((np.zeros((3, 4)),), {}, "data has 1 parts: give"),
        (np.zeros((3, 4)), {}, "type ndarray: give"),
        ((np.zeros((3, 4)), [0, 1]), {}, "labels has 2 labels for 3 images"),
        ((np.zeros((3, 8, 8, 3)), [0, 1, 1]), {"data.intensity_range": "9"}, "data.intensity_range is '9': give two"),
        ((np.zeros((3, 4)), [0, 1, 1]), {"data.root": "x"}, "data.root 'x' is about files"),
        ((np.zeros((3, 4)), [0, 1, 1]), {"data.labels": "none.csv"}, "none.csv"),
    ],
)
def test_wrong_input(data: Any, settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(mixnn.InputError, match=message) as caught:
        mixnn.train(data, out=tmp_path / "run", **settings)
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value).replace("`mixnn train --help`", "")
    assert not (tmp_path / "run").exists()


def test_a_directory_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(mixnn.InputError, match="is not a run directory"):
        mixnn.Run(tmp_path)


def test_keywords_and_words() -> None:
    settings = {"epochs": 3, "data": {"holdout": 0.2, "root": Path("a b")}, "milestones": [1, 2], "compile": True}
    expected = ["--epochs=3", "--data.holdout=0.2", "--data.root=a b", "--milestones=[1, 2]", "--compile=true"]
    assert list(as_words(settings | {"limit": None, "seed": np.int64(4)})) == [*expected, "--limit=null", "--seed=4"]
    assert as_keywords("--batch-size a--b.jpg `mixnn x --help`") == "batch_size a--b.jpg `mixnn x --help`"
