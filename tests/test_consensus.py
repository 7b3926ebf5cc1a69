"""`mixnn.find_consensus` and `mixnn consensus`: labels of several annotators."""

import csv

import numpy as np
import pytest

from mixnn import InputError, find_consensus, find_label_issues
from mixnn.cli.main import main
from mixnn.label_quality.annotators import infer_truth
from mixnn.label_quality.consensus import mutual_information
from mixnn.label_quality.votes import sorted_votes

N, CLASSES = 200, 3


def truth_of(n=N, seed=0):
    return np.random.default_rng(seed).permutation(np.arange(n) % CLASSES)


def said(truth, rate, seed):
    random = np.random.default_rng(seed)
    return np.where(
        random.random(len(truth)) < rate, (truth + random.integers(1, CLASSES, len(truth))) % CLASSES, truth
    )


def table(rates, n=N):
    truth = truth_of(n)
    return truth, np.stack([said(truth, rate, seed + 1) for seed, rate in enumerate(rates)], 1)


def points(truth, distance=4.0, seed=9):
    return distance * np.eye(CLASSES, 8)[truth] + np.random.default_rng(seed).normal(size=(len(truth), 8))


def long(labels):
    items, annotators = np.nonzero(labels >= 0)
    return labels[items, annotators], items, annotators


def test_a_good_annotator_outvotes_two_bad_ones():
    truth, labels = table([0.05, 0.5, 0.5])
    found = find_consensus(labels)
    assert (found.consensus_label == truth).mean() > 0.93
    assert found.annotator_accuracy[0] > 0.75 > 0.65 > found.annotator_accuracy[1:].max()
    assert found.label_posterior.shape == (N, CLASSES)
    assert np.allclose([found.noise_matrix(m).sum(1) for m in range(3)], 1)
    assert found.annotation_quality.shape == (3 * N,)
    assert found.annotation_quality.mean() < found.consensus_quality.mean()


def test_features_say_what_annotators_do_not():
    truth, labels = table([0.4, 0.4])
    alone, both = find_consensus(labels), find_consensus(labels, points(truth))
    assert (both.consensus == truth).mean() > 0.95 > (alone.consensus == truth).mean() + 0.1
    assert (both.by_votes == alone.consensus).all()
    assert (find_consensus(labels, pred_probs=0.7 * np.eye(3)[truth] + 0.1).consensus == truth).mean() > 0.95


def test_one_annotator_is_find_label_issues():
    truth, labels = table([0.15])
    x = points(truth)
    one, issues = find_consensus(labels, x), find_label_issues(labels[:, 0], x)
    assert (np.asarray(one.label_posterior) == issues.label_posterior).all()
    assert (one.noise_matrix(0) == issues.noise_matrix).all()
    with pytest.raises(InputError, match=r"^no item has labels of two annotators, .* give features as well$"):
        find_consensus(labels)


def test_a_long_table_is_the_same_in_any_order_of_rows():
    _, labels = table([0.2, 0.3, 0.3, 0.5])
    labels[np.random.default_rng(0).random(labels.shape) < 0.4] = -1
    labels = labels[(labels >= 0).any(1)]
    label, item, annotator = long(labels)
    order = np.random.default_rng(1).permutation(len(label))
    wide = find_consensus(labels)
    tall = find_consensus(label[order], items=item[order], annotators=annotator[order])
    assert tall.items == list(range(len(labels)))
    assert (tall.consensus == wide.consensus).all()
    assert (tall.label_posterior == wide.label_posterior).all()


def test_ties_are_drawn_by_the_seed():
    labels = np.array([[0, 1]] * 200)
    found = [find_consensus(labels[:, order], seed=seed) for order, seed in (([0, 1], 0), ([1, 0], 0), ([0, 1], 1))]
    assert 60 < int((found[0].consensus == 0).sum()) < 140
    assert (found[0].consensus == found[1].consensus).all()
    assert (found[0].consensus != found[2].consensus).any()


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
def test_gaps_names_and_items_without_labels(missing):
    truth, labels = table([0.1, 0.1, 0.2])
    cells = [[str(label) if i % 7 else missing for label in row] for i, row in enumerate(labels)]
    found = find_consensus(cells, points(truth), annotators=["Ann", "Ben", "Cem"])
    assert found.classes == ["0", "1", "2"]
    assert (found.num_labels == np.where(np.arange(N) % 7, 3, 0)).all()
    assert (found.by_votes[::7] == -1).all()
    assert (found.consensus[::7] == truth[::7]).mean() > 0.9
    assert np.isnan(found.item_agreement[::7]).all()


def test_minus_one_is_a_gap_and_said(capfd):
    labels = np.array([[0, 0, -1], [1, 1, 1], [0, -1, 0], [1, 1, 0]] * 5)
    found = find_consensus(labels)
    assert (found.classes, found.num_labels[:3].tolist()) == ([0, 1], [2, 3, 2])
    assert "labels that say that there is none: '-1' 10; give them other names" in capfd.readouterr().err


def test_few_labels_lean_on_all_and_a_constant_annotator_is_seen():
    truth, labels = table([0.1, 0.1, 0.1, 0.1, 0.1])
    labels[:, 3] = 0  # always
    labels[1:, 4] = -1
    labels[0, 4] = (truth[0] + 1) % 3  # the only label, and wrong
    found = find_consensus(labels)
    accuracy = found.annotator_accuracy
    assert abs(accuracy[3] - 1 / 3) < 0.1
    assert 0.3 < accuracy[4] < accuracy[:3].min()
    assert found.most_confused(3)[1] == 0
    assert (found.consensus == truth).mean() > 0.95


def test_annotators_who_never_meet_are_held_to_be_typical():
    _, labels = table([0.1, 0.1, 0.1, 0.3])
    labels[:100, 3] = -1
    labels[100:, :3] = -1  # the last is alone with its items
    found = find_consensus(labels)
    assert np.isnan(found.annotator_agreement[3])
    assert 0.8 < found.annotator_accuracy[3] < 0.97  # not 1
    assert found.consensus_quality[100:].max() < 0.97


def test_a_double_label_counts_once(capfd):
    label, item, annotator = [0, 1, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 1, 1]
    votes = sorted_votes(*map(np.array, (item, annotator, label)), (2, 2, 2))
    assert votes.weight.tolist() == [0.5, 0.5, 1, 1, 1]
    found = find_consensus(label, items=item, annotators=annotator)
    assert found.num_labels.tolist() == [2, 2]
    assert "2 labels are of annotators who gave an item several: together they count as one" in capfd.readouterr().err
    assert found.annotator_agreement.tolist() == [0.75, 0.75]


def test_ask_next_names_what_is_unclear_and_who_knows():
    _, labels = table([0.02, 0.5, 0.5, 0.5])
    labels[:50, 0] = -1
    found = find_consensus(labels)
    asked = found.ask_next(20)
    assert len({request.item for request in asked}) == 20
    assert sum(request.item < 50 for request in asked) >= 19
    assert {request.annotator for request in asked if request.item < 50} == {0}
    assert [request.information for request in asked] == sorted((r.information for r in asked), reverse=True)
    assert {request.annotator for request in found.ask_next(3, annotators=[2])} == {None}
    with pytest.raises(InputError, match=r"^no annotator is 'Eve': use one of 0, 1, 2, 3$"):
        found.ask_next(3, annotators=["Eve"])
    assert mutual_information(np.array([[0.5, 0.5], [1, 0]]), np.eye(2)).round(3).tolist() == [0.693, 0]


def test_a_thousand_annotators_take_little_memory():
    random = np.random.default_rng(0)
    n, m, classes = 4_000, 1_000, 8
    truth = random.integers(0, classes, n)
    item, annotator = np.repeat(np.arange(n), 3), random.integers(0, m, 3 * n)
    skill = random.beta(6, 2, m)
    label = np.where(random.random(3 * n) < skill[annotator], truth[item], random.integers(0, classes, 3 * n))
    votes = sorted_votes(item, annotator, label, (n, m, classes))
    found = infer_truth(votes)
    majority = (votes.counts + random.random((n, classes)) / 2).argmax(1)
    assert (found.posterior.argmax(1) == truth).mean() > (majority == truth).mean() + 0.01


def test_very_many_classes_have_a_rate_alone():
    random = np.random.default_rng(0)
    truth = random.integers(0, 400, 2_000)
    label = np.stack(
        [np.where(random.random(2_000) < 0.3 * k, random.integers(0, 400, 2_000), truth) for k in range(3)]
    )
    found = infer_truth(
        sorted_votes(np.tile(np.arange(2_000), 3), np.repeat([0, 1, 2], 2_000), label.ravel(), (2_000, 3, 400))
    )
    assert found.model.matrices is None
    assert np.abs(found.model.accuracy - [1, 0.7, 0.4]).max() < 0.05
    assert np.allclose(found.model.matrix(2).sum(1), 1)
    assert (found.posterior.argmax(1) == truth).mean() > 0.97


def test_tables_of_pandas_and_polars():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    truth, labels = table([0.1, 0.2, 0.3], 60)
    label, item, annotator = long(labels)
    columns = {"worker": annotator, "label": label, "task": [f"t{i}" for i in item]}
    plain = find_consensus(labels)
    x = pandas.DataFrame(points(truth), index=[f"t{i}" for i in range(60)])
    for kind in (pandas.DataFrame, polars.DataFrame):
        found = find_consensus(kind(columns))
        assert found.items == [f"t{i}" for i in range(60)]
        assert (found.consensus == plain.consensus).all()
        assert (
            find_consensus(kind(columns), x.iloc[::-1]).consensus == find_consensus(labels, points(truth)).consensus
        ).all()
    assert find_consensus(pandas.DataFrame(labels, columns=list("abc"))).annotators == ["a", "b", "c"]
    shown = found.to_frame()
    assert list(shown)[:3] == ["item", "consensus_label", "consensus_quality"]
    assert sorted(shown["ask_next"]) == list(range(1, 61))
    assert list(found.annotators_to_frame()["num_labels"]) == [60, 60, 60]
    assert list(found.annotations_to_frame()) == ["item", "annotator", "label", "label_quality"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ([0, 1], None, {"items": [0], "annotators": [0, 1]}),
            "items have the shape (1,): give one for each of 2 labels",
        ),
        (([[0, 1], [1, 1]], None, {"annotators": ["a", "a"]}), "annotators has 2 names, 1 of them different: give one"),
        (([0, 1], None, {"items": ["a", None], "annotators": [0, 1]}), "items: row 1 has none (1 rows): fill it in"),
        (([0, 1, 1], [[1.0]] * 2, {"items": ["a", "a", "b"], "annotators": [0, 1, 1]}), "items are names, so that"),
        (
            ([0, 1, 1], [[1.0]], {"items": ["a", "a", "b"], "annotators": [0, 1, 1], "feature_items": ["a"]}),
            "feature_items lacks 'b' (1 items): add it, with its features",
        ),
        (([[0, 0], [0, None]], None, {}), "labels have 1 class: give at least two"),
    ],
)
def test_what_does_not_fit_is_told(given, message):
    labels, features, names = given
    with pytest.raises(InputError) as error:
        find_consensus(labels, features, **names)
    assert str(error.value).startswith(message)


def write_votes(path, labels, name=str):
    rows = [f"{name(i)},w{m},{'abc'[label]}" for i, row in enumerate(labels) for m, label in enumerate(row)]
    path.write_text("\n".join(["task,worker,label", *rows]) + "\n")


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_without_features(tmp_path, capfd):
    truth, labels = table([0.1, 0.2, 0.3])
    write_votes(tmp_path / "votes.csv", labels)
    words = ["consensus", str(tmp_path / "votes.csv"), "--out", str(tmp_path / "run")]
    assert main(words) == 0
    out = capfd.readouterr().out
    assert "200 items, annotators: 3, 600 labels, 3 classes; items with several labels: 200" in out
    rows = read(tmp_path / "run/consensus.csv")
    assert np.mean([row["consensus_label"] == "abc"[t] for row, t in zip(rows, truth, strict=True)]) > 0.9
    assert [row["num_labels"] for row in read(tmp_path / "run/annotators.csv")] == ["200"] * 3
    assert read(tmp_path / "run/ask_next.csv")[0]["annotator"] == ""  # all have labeled all
    assert len(read(tmp_path / "run/annotations.csv")) == 600
    assert (tmp_path / "run/consensus.png").stat().st_size > 10_000
    assert main(words) == 2
    assert "already holds other files: choose a new directory" in capfd.readouterr().err
    assert main(["consensus", str(tmp_path / "votes.csv"), "--label-column", "x", "--out", str(tmp_path / "b")]) == 2
    told = "has no column 'x', it has 'task', 'worker', 'label': name it with --label-column; there is a row for each"
    assert told in capfd.readouterr().err


def test_the_command_with_features_is_a_run_that_apply_and_export_take(tmp_path, capfd):
    truth, labels = table([0.3, 0.4], 90)
    write_votes(tmp_path / "votes.csv", labels, lambda i: f"item {i}")
    np.save(tmp_path / "x.npy", points(truth))
    run = str(tmp_path / "run")
    words = [
        "consensus",
        str(tmp_path / "votes.csv"),
        "--features",
        str(tmp_path / "x.npy"),
        "--out",
        run,
        "--device",
        "cpu",
    ]
    assert main(words) == 0
    seen = capfd.readouterr()
    assert "the first row is 'item 0', the last 'item 89'" in seen.err
    rows, issues = read(tmp_path / "run/consensus.csv"), read(tmp_path / "run/label_issues.csv")
    changed = {row["item"]: row["consensus_label"] for row in rows if row["consensus_label"] != row["votes_label"]}
    assert {row["file_name"]: row["suggested_label"] for row in issues} == changed
    assert len(changed) > 10
    assert f"features speak against the labels of {len(changed)} items" in seen.out
    corrections = tmp_path / "corrections.csv"
    first = issues[0]
    corrections.write_text(
        f"file_name,corrected_label,decision\n{first['file_name']},{first['suggested_label']},accept\n"
    )
    assert main(["apply", run, str(corrections), "--out", str(tmp_path / "clean")]) == 0
    clean = {row["item"]: row["votes_label"] for row in read(tmp_path / "clean/consensus.csv")}
    assert clean[first["file_name"]] == first["suggested_label"]
    assert main(["export", run, "--to", "cleanlab", "--out", str(tmp_path / "out")]) == 0
    assert main(["report", run]) == 0


def test_the_command_sees_photos_beside_the_table(tmp_path, capfd):
    image = pytest.importorskip("PIL.Image")
    truth, labels = table([0.1, 0.3], 30)
    for i, label in enumerate(truth):
        pixels = np.random.default_rng(i).normal(0, 20, (16, 16, 3)) + 200 * np.eye(3)[label]
        image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{i}.png")
    write_votes(tmp_path / "votes.csv", labels, lambda i: f"{i}.png")
    run = tmp_path / "run"
    np.save(tmp_path / "x.npy", points(truth))
    words = ["consensus", tmp_path / "votes.csv", "--out", run, "--features", tmp_path / "x.npy", "--device", "cpu"]
    assert main([*map(str, words), "--data.image-size", "16", "--data.workers", "0"]) == 0, capfd.readouterr().err
    assert {"report.html", "thumbnails.npz", "consensus.csv"} <= {path.name for path in run.iterdir()}
