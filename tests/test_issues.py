"""From evidence to the list of labels; the evidence is that of conftest.py."""

from dataclasses import replace

import numpy as np
import pytest

from mixnn.issues import issue_lines, judge, label_rows, neighbor_agreement, summary_figures, write_labels
from mixnn.run import Evidence, RunDirectory


def test_quality_is_the_mean_of_target_prediction_and_neighbors_at_the_given_label(evidence):
    expected = np.array([1.0 + 0.8 + 0.4, 0.5 + 0.2 + 0.4, 0.4 + 0.45 + 0.25, 0.1 + 0.1 + 0.05]) / 3
    np.testing.assert_allclose(judge(evidence).quality, expected, rtol=1e-6)


def test_suggestion_is_the_likeliest_label_by_the_same_belief(evidence):
    _, labels, confidence, _, _ = judge(evidence)
    assert labels.tolist() == [0, 0, 1, 1]  # of samples 1 and 2, target and network say different ones
    np.testing.assert_allclose(confidence, np.array([2.2, 1.55, 1.55, 1.95]) / 3, rtol=1e-6)


def test_an_issue_needs_both_a_likelier_label_and_a_high_loss(evidence):
    assert judge(evidence).issue.tolist() == [False, True, False, True]
    unlikely = replace(evidence, clean_prob=np.zeros(4, dtype=np.float32))
    assert judge(unlikely).issue.tolist() == [False, True, True, True]  # 0 keeps its label all the same
    undecided = replace(evidence, clean_prob=np.full(4, 0.5, dtype=np.float32))
    assert not judge(undecided).issue.any()


def test_worst_first_has_the_issues_before_the_rest_each_by_quality(evidence):
    assert judge(evidence).order.tolist() == [3, 1, 2, 0]
    swapped = replace(evidence, clean_prob=evidence.clean_prob[[0, 2, 1, 3]])
    assert judge(swapped).order.tolist() == [3, 2, 1, 0]


def test_equal_suspects_stay_in_order(evidence):
    of_samples = {name: values for name, values in vars(evidence).items() if len(values) == len(evidence.names)}
    same = {name: np.repeat(values[1:2], 4, axis=0) for name, values in of_samples.items()}
    assert judge(replace(evidence, **same)).order.tolist() == [0, 1, 2, 3]


def test_neighbor_agreement(evidence):
    assert neighbor_agreement(evidence).tolist() == [0.5, 0.0, 0.0, 0.0]


def test_rows_of_the_list(evidence, classes):
    rows = list(label_rows(evidence, classes))
    assert [row["file_name"] for row in rows] == ["a.png", "sub/b.png", "ü.png", 'c, "d".png']
    assert rows[3] == {
        "file_name": 'c, "d".png',
        "given_label": "owl",
        "predicted_label": "dog",
        "label_quality": pytest.approx(0.25 / 3),
        "is_label_issue": True,
        "clean_prob": pytest.approx(0.01),
        "suggested_label": "dog",
        "suggested_confidence": pytest.approx(0.65),
        "neighbor_agreement": 0.0,
    }
    assert [(row["predicted_label"], row["suggested_label"]) for row in rows[1:3]] == [("cat", "cat"), ("cat", "dog")]


def test_the_list_on_disk(tmp_path, evidence, classes):
    run = RunDirectory(tmp_path)
    run.write_evidence(evidence)
    run.write_json(run.classes, classes)
    write_labels(run)
    assert run.labels.read_text(encoding="utf-8").splitlines()[0] == (
        "file_name,given_label,predicted_label,label_quality,is_label_issue,"
        "clean_prob,suggested_label,suggested_confidence,neighbor_agreement"
    )
    rows = run.read_table(run.labels)
    assert [row["is_label_issue"] for row in rows] == ["False", "True", "False", "True"]
    assert rows[3]["file_name"] == 'c, "d".png'
    assert float(rows[1]["label_quality"]) == pytest.approx(1.1 / 3, rel=1e-5)


@pytest.fixture
def partly_labelled(evidence) -> Evidence:
    """The same four; of sample 3 nobody knew the label, of sample 0 either, who wrote another word."""
    return replace(
        evidence,
        given=np.array([-2, 1, 0, -1]),
        loss=np.array([np.nan, 0.7, 0.3, np.nan], dtype=np.float32),
        clean_prob=np.array([np.nan, 0.1, 0.75, np.nan], dtype=np.float32),
        unlabelled=np.array(["Not sure", "Skip, please"]),
    )


def test_a_sample_without_a_label_gets_a_suggestion_and_is_no_issue(partly_labelled, evidence):
    verdicts, before = judge(partly_labelled), judge(evidence)
    assert verdicts.issue.tolist() == [False, True, False, False]
    assert np.isnan(verdicts.quality).tolist() == [True, False, False, True]
    assert verdicts.suggested.tolist() == before.suggested.tolist()
    assert verdicts.confidence.tolist() == before.confidence.tolist()
    assert verdicts.order.tolist() == [1, 2, 0, 3]  # nothing to doubt: last
    np.testing.assert_equal(neighbor_agreement(partly_labelled), [np.nan, 0.0, 0.0, np.nan])


def test_the_list_keeps_the_words_of_those_who_did_not_know(tmp_path, partly_labelled, classes):
    run = RunDirectory(tmp_path)
    run.write_evidence(partly_labelled)
    run.write_json(run.classes, classes)
    write_labels(run)
    rows = run.read_table(run.labels)
    assert [row["given_label"] for row in rows] == ["Skip, please", "dog", "cat", "Not sure"]
    assert [row["suggested_label"] for row in rows] == ["cat", "cat", "dog", "dog"]
    assert [row["is_label_issue"] for row in rows] == ["False", "True", "False", "False"]
    for column in ("label_quality", "clean_prob", "neighbor_agreement"):
        assert [row[column] == "" for row in rows] == [True, False, False, True]


def test_lines_for_a_terminal(evidence, classes):
    (line,) = issue_lines(evidence, judge(evidence), classes, [3])
    assert line.split() == ["c,", '"d".png', "owl", "→", "dog", "65%"]


def test_figures_of_a_run(tmp_path, evidence):
    """Two labels are held to be wrong, one of them was flipped, and one flipped label is missed."""
    run = RunDirectory(tmp_path)
    run.write_evidence(evidence)
    run.write_table(run.metrics, [{"accuracy": 0.5}, {"accuracy": 0.75}, {"accuracy": 0.625}])
    run.write_arrays(run.noise, {"flipped": np.array([True, True, False, False])})
    expected = {"last_accuracy": 0.625, "best_accuracy": 0.75, "precision": 0.5, "recall": 0.5}
    assert summary_figures(run) == expected
