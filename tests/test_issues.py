"""From stored label quality to the list of labels; the evidence is that of conftest.py."""

from dataclasses import replace

import numpy as np
import pytest

from mixnn.results.issues import (
    neighbor_agreement,
    noise_rate_words,
    rate_words,
    review,
    review_reason,
    stored_label_issues,
)
from mixnn.results.label_lists import issue_lines, label_rows, summary_figures, write_labels
from mixnn.runs.directory import Evidence, RunDirectory


def reasons(evidence: Evidence, classes: list[str]) -> list[str]:
    issues = stored_label_issues(evidence)
    why = review(evidence, issues)
    return [review_reason(evidence, issues, why, classes, i) for i in range(len(evidence.given))]


def test_what_is_stored_is_what_is_said(evidence):
    issues = stored_label_issues(evidence)
    np.testing.assert_allclose(issues.label_quality, evidence.label_posterior[range(4), evidence.given])
    assert issues.suggested.tolist() == [0, 0, 0, 1]
    assert issues.is_label_issue.tolist() == [False, True, False, True]
    assert issues.ranking.tolist() == [1, 3, 2, 0]
    assert (issues.noise_rate, issues.noise_rate_interval) == (0.5, (0.4, 0.6))


def test_a_verified_label_is_no_issue(evidence):
    assert stored_label_issues(replace(evidence, verified=np.array([3]))).is_label_issue.tolist() == [
        False,
        True,
        False,
        False,
    ]


def test_equal_suspects_stay_in_order(evidence):
    same = {"given": np.repeat(evidence.given[1], 4), "label_posterior": evidence.label_posterior[[1] * 4]}
    assert stored_label_issues(replace(evidence, **same)).ranking.tolist() == [0, 1, 2, 3]


def test_a_person_should_see_where_two_classes_tie_or_none_fits(evidence, classes):
    posterior = [[0.55, 0.42, 0.03], [0.97, 0.02, 0.01], [0.34, 0.33, 0.33], [0.02, 0.95, 0.03]]
    score = np.array([0.5, 0.1, 0.9, 0.0], dtype=np.float32)
    found = replace(evidence, label_posterior=np.array(posterior, dtype=np.float32), outlier_score=score)
    assert reasons(found, classes) == ["ambiguous: cat or dog", "", "out_of_distribution", ""]
    rows = label_rows(found, stored_label_issues(found), classes, range(4))
    assert [row["review_reason"] for row in rows] == reasons(found, classes)


def test_the_same_picture_under_two_labels_is_named(evidence, classes):
    found = replace(evidence, near_duplicates=np.array([[0, 1], [0, 2]]))  # 0 and 2 have the same label
    assert review(found, stored_label_issues(found)).duplicate.tolist() == [1, 0, -1, -1]
    named = ["conflicting_duplicate: sub/b.png labeled dog", "conflicting_duplicate: a.png labeled cat"]
    assert reasons(found, classes)[:2] == named
    unlabeled = replace(found, given=np.array([-1, 1, 0, 2]))
    assert (review(unlabeled, stored_label_issues(unlabeled)).duplicate == -1).all()


def test_neighbor_agreement(evidence):
    assert neighbor_agreement(evidence).tolist() == [0.5, 0.0, 0.0, 0.0]


def test_rows_of_the_list(evidence, classes):
    rows = list(label_rows(evidence, stored_label_issues(evidence), classes, range(4)))
    assert [row["file_name"] for row in rows] == ["a.png", "sub/b.png", "ü.png", 'c, "d".png']
    assert rows[3] == {
        "file_name": 'c, "d".png',
        "given_label": "owl",
        "predicted_label": "dog",
        "label_quality": stored_label_issues(evidence).label_quality[3],
        "is_label_issue": True,
        "loss_mixture_clean_prob": pytest.approx(0.01),
        "suggested_label": "dog",
        "suggested_confidence": stored_label_issues(evidence).suggested_confidence[3],
        "neighbor_agreement": 0.0,
        "outlier_score": pytest.approx(np.nan, nan_ok=True),
        "is_outlier": False,
        "near_duplicate_set": "",
        "review_reason": "",
    }
    assert [(row["predicted_label"], row["suggested_label"]) for row in rows[1:3]] == [("cat", "cat"), ("cat", "cat")]


def test_the_list_on_disk(tmp_path, evidence, classes):
    run = RunDirectory(tmp_path)
    run.write_evidence(evidence)
    run.write_json(run.classes, classes)
    write_labels(run)
    assert run.labels.read_text(encoding="utf-8").splitlines()[0] == (
        "file_name,given_label,predicted_label,label_quality,is_label_issue,"
        "loss_mixture_clean_prob,suggested_label,suggested_confidence,neighbor_agreement,"
        "outlier_score,is_outlier,near_duplicate_set,review_reason"
    )
    rows = run.read_table(run.labels)
    assert [row["is_label_issue"] for row in rows] == ["False", "True", "False", "True"]
    assert rows[3]["file_name"] == 'c, "d".png'
    assert float(rows[1]["label_quality"]) == pytest.approx(stored_label_issues(evidence).label_quality[1], rel=1e-5)
    issues = run.read_table(run.label_issues)
    assert issues == [rows[1], rows[3]]  # the worst first
    noise = run.read_json(run.label_noise)
    assert (noise["labels"], noise["flagged"], noise["flagged_by_class"]) == (4, 2, [0, 1, 1])
    assert (noise["noise_rate"], noise["noise_rate_interval"]) == (0.5, [0.4, 0.6])
    np.testing.assert_allclose(noise["noise_matrix"], evidence.noise_matrix, atol=1e-4)


def test_outliers_and_near_duplicates_have_lists_of_their_own(tmp_path, evidence, classes):
    run = RunDirectory(tmp_path)
    distances = np.tile(np.array([0.1, 0.2], np.float32), (4, 1))[:, : evidence.neighbors.shape[1]]
    twice = {"near_duplicates": np.array([[1, 3]]), "neighbors": np.array([[1, 2], [3, 0], [0, 1], [0, 1]])}
    score = np.array([0.6, 0.1, 0.9, 0.0], dtype=np.float32)
    run.write_evidence(replace(evidence, outlier_score=score, distances=distances, **twice))
    run.write_json(run.classes, classes)
    write_labels(run)
    rows = run.read_table(run.labels)
    assert [row["is_outlier"] for row in rows] == ["True", "False", "True", "False"]
    assert [row["near_duplicate_set"] for row in rows] == ["", "0", "", "0"]
    odd = run.read_table(run.outliers)
    assert [row["file_name"] for row in odd] == ["ü.png", "a.png"]  # the farthest out first
    assert odd[0] == {
        "file_name": "ü.png",
        "given_label": "cat",
        "outlier_score": "0.9",
        "nearest": "a.png",
        "nearest_label": "cat",
    }
    same = run.read_table(run.near_duplicates)
    assert [row["file_name"] for row in same] == ["sub/b.png", 'c, "d".png']
    assert [(row["near_duplicate_set"], row["distance"]) for row in same] == [("0", "0.1")] * 2
    assert [row["conflicting_labels"] for row in same] == ["True", "True"]


def test_the_list_of_issues_begins_with_the_worst_wherever_it_stands_in_the_data(tmp_path, evidence, classes):
    run, posterior = RunDirectory(tmp_path), evidence.label_posterior.copy()
    posterior[1] = [0.6, 0.35, 0.05]  # less surely wrong than the last sample
    run.write_evidence(replace(evidence, label_posterior=posterior))
    run.write_json(run.classes, classes)
    write_labels(run)
    issues = run.read_table(run.label_issues)
    assert [row["file_name"] for row in issues] == ['c, "d".png', "sub/b.png"]
    assert [float(row["label_quality"]) for row in issues] == pytest.approx([0.3, 0.35], abs=1e-5)


def test_without_a_training_the_list_has_no_clean_prob(tmp_path, found_evidence, classes):
    run = RunDirectory(tmp_path)
    run.write_evidence(found_evidence)
    run.write_json(run.classes, classes)
    write_labels(run)
    rows = run.read_table(run.labels)
    assert list(rows[0])[4:6] == ["is_label_issue", "suggested_label"]
    assert len(run.read_table(run.label_issues)) == 2


def test_a_share_of_wrong_labels_in_words(evidence):
    assert rate_words(0.34, (0.271, 0.38)) == "34 % (27 to 38 %)"
    assert rate_words(0.003, (0.0, 0.01)) == "0.3 % (0.0 to 1.0 %)"
    assert noise_rate_words(stored_label_issues(evidence)) == "about 50 % (40 to 60 %) of the labels look wrong"
    clean = replace(evidence, noise_rate=np.array(0.003), noise_rate_interval=np.array([0.0, 0.01]))
    assert (
        noise_rate_words(stored_label_issues(clean))
        == "almost nothing is wrong here: 0.3 % (0.0 to 1.0 %) of the labels"
    )


def test_labels_that_the_evidence_contradicts_are_told_where_the_rate_does_not_explain_them(evidence):
    """Hard samples and mistakes that go by the look of a sample cannot be told apart: so both are named."""
    clean = replace(evidence, noise_rate=np.array(0.003), noise_rate_interval=np.array([0.0, 0.01]))
    told = noise_rate_words(stored_label_issues(replace(clean, contradicted=np.array(0.31))))
    assert told.startswith(
        "0.3 % (0.0 to 1.0 %) of the labels look wrong; the evidence contradicts 31 %, which are hard"
    )
    assert "almost" in noise_rate_words(stored_label_issues(replace(clean, contradicted=np.array(0.1))))


@pytest.fixture
def partly_labeled(evidence) -> Evidence:
    """The same four; of sample 3 nobody knew the label, of sample 0 either, who wrote another word."""
    return replace(
        evidence,
        given=np.array([-2, 1, 0, -1]),
        loss=np.array([np.nan, 0.7, 0.3, np.nan], dtype=np.float32),
        loss_mixture_clean_prob=np.array([np.nan, 0.1, 0.75, np.nan], dtype=np.float32),
        unlabeled=np.array(["Not sure", "Skip, please"]),
    )


def test_a_sample_without_a_label_gets_a_suggestion_and_is_no_issue(partly_labeled, evidence):
    issues = stored_label_issues(partly_labeled)
    assert issues.is_label_issue.tolist() == [False, True, False, False]
    assert np.isnan(issues.label_quality).tolist() == [True, False, False, True]
    assert issues.suggested.tolist() == stored_label_issues(evidence).suggested.tolist()
    assert issues.ranking.tolist() == [1, 2, 0, 3]  # nothing to doubt: last
    np.testing.assert_equal(neighbor_agreement(partly_labeled), [np.nan, 0.0, 0.0, np.nan])


def test_the_list_keeps_the_words_of_those_who_did_not_know(tmp_path, partly_labeled, classes):
    run = RunDirectory(tmp_path)
    run.write_evidence(partly_labeled)
    run.write_json(run.classes, classes)
    write_labels(run)
    rows = run.read_table(run.labels)
    assert [row["given_label"] for row in rows] == ["Skip, please", "dog", "cat", "Not sure"]
    assert [row["suggested_label"] for row in rows] == ["cat", "cat", "cat", "dog"]
    assert [row["is_label_issue"] for row in rows] == ["False", "True", "False", "False"]
    for column in ("label_quality", "loss_mixture_clean_prob", "neighbor_agreement"):
        assert [row[column] == "" for row in rows] == [True, False, False, True]


def test_lines_for_a_terminal(evidence, classes):
    (line,) = issue_lines(evidence, stored_label_issues(evidence), classes, [3])
    assert line.split() == ["c,", '"d".png', "owl", "→", "dog", "68%"]


def test_figures_of_a_run(tmp_path, evidence):
    """Two labels are flagged, one of them was flipped, and one flipped label is missed."""
    run = RunDirectory(tmp_path)
    run.write_evidence(evidence)
    run.write_table(run.metrics, [{"accuracy": 0.5}, {"accuracy": 0.75}, {"accuracy": 0.625}])
    run.write_arrays(run.noise, {"flipped": np.array([True, True, False, False])})
    expected = {"last_accuracy": 0.625, "best_accuracy": 0.75, "precision": 0.5, "recall": 0.5}
    assert summary_figures(run) == expected
