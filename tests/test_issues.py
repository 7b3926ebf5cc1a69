"""From evidence to the list of labels; the evidence is that of conftest.py."""

from dataclasses import replace

import numpy as np
import pytest

from mixnn.belief import POWERS
from mixnn.confusion import estimate_confusion, neighbor_vote
from mixnn.issues import (
    belief,
    closer_words,
    estimated_wrong,
    issue_lines,
    judge,
    label_rows,
    neighbor_agreement,
    summary_figures,
    write_labels,
    wrong_between,
    wrong_words,
)
from mixnn.run import Evidence, RunDirectory


def test_belief_is_made_of_the_neighbours_and_the_prediction(evidence):
    likely = np.sqrt(evidence.vote.astype(float) ** 3 * evidence.probs.clip(1e-8))
    np.testing.assert_allclose(belief(evidence), likely / likely.sum(1, keepdims=True), rtol=1e-5)


def test_a_run_of_before_asks_the_neighbours_it_kept(evidence):
    made = neighbor_vote(evidence.given, evidence.neighbors, 3)
    np.testing.assert_allclose(belief(replace(evidence, vote=None)), belief(replace(evidence, vote=made)), rtol=1e-5)


def test_quality_is_what_bayes_says_of_the_given_label(evidence):
    def believed(power):
        likely = belief(evidence).astype(float) ** power
        likely /= likely.sum(1, keepdims=True)
        likely = likely / likely.mean(0) * (evidence.joint[:, evidence.given].T + 1e-6)
        return likely / likely.sum(1, keepdims=True)

    def likelihood(power):  # P(label | looks) = Σ_c P(c | looks) J[c, label] / π_c, with P(c | looks) ∝ π_c · looks
        likely = belief(evidence).astype(float) ** power
        likely /= likely.sum(1, keepdims=True)
        share = evidence.joint.sum(1)
        of_class = likely / likely.mean(0) * share
        of_class /= of_class.sum(1, keepdims=True)
        return np.log((of_class * (evidence.joint / share[:, None])[:, evidence.given].T).sum(1)).sum()

    likely = believed(max(POWERS, key=likelihood))
    quality, labels, confidence, *_ = judge(evidence)
    np.testing.assert_allclose(quality, likely[range(4), evidence.given], atol=1e-4)
    np.testing.assert_allclose(confidence, likely.max(1), atol=1e-4)
    assert labels.tolist() == [0, 0, 0, 1]  # sample 2 looks like 1, but most labels of class 0 are right


def test_an_issue_is_a_label_that_is_not_the_likeliest(evidence):
    assert judge(evidence).issue.tolist() == [False, True, False, True]
    noisier = replace(evidence, joint=np.full((3, 3), 1 / 9))  # labels that say nothing
    assert judge(noisier).issue.tolist() == [False, True, True, True]
    trusted = replace(evidence, joint=np.eye(3) / 3)
    assert not judge(trusted).issue.any()


def test_a_run_of_before_is_judged_by_a_matrix_made_now(evidence):
    old = replace(evidence, joint=None)
    made = estimate_confusion(evidence.given, evidence.neighbors, 3).joint
    np.testing.assert_array_equal(judge(old).quality, judge(replace(evidence, joint=made)).quality)


def test_worst_first_has_the_issues_before_the_rest_each_by_quality(evidence):
    assert judge(evidence).order.tolist() == [1, 3, 2, 0]
    backwards = {name: getattr(evidence, name)[::-1] for name in ("given", "probs", "vote")}
    assert judge(replace(evidence, **backwards)).order.tolist() == [2, 0, 1, 3]
    doubtful = replace(evidence, joint=np.full((3, 3), 1 / 9))
    assert judge(doubtful).order.tolist() == [3, 1, 2, 0]
    trusted = replace(evidence, joint=np.eye(3) * 0.3 + 0.1 / 9)
    assert judge(trusted).order.tolist() == [1, 3, 2, 0]  # no issue among them


def test_equal_suspects_stay_in_order(evidence):
    of_samples = {name: values for name, values in vars(evidence).items() if np.shape(values)[:1] == (4,)}
    same = {name: np.repeat(values[1:2], 4, axis=0) for name, values in of_samples.items()}
    assert judge(replace(evidence, **same)).order.tolist() == [0, 1, 2, 3]


def test_look_closer_where_two_classes_tie_or_none_fits(evidence, classes):
    doubtful = replace(evidence, joint=np.full((3, 3), 1 / 9))  # labels say nothing: looks alone count
    vote = np.array([[0.45, 0.45, 0.1], [0.97, 0.02, 0.01], [0.34, 0.33, 0.33], [0.02, 0.95, 0.03]], dtype=np.float32)
    verdicts = judge(replace(doubtful, vote=vote, probs=vote))
    words = [closer_words(evidence, verdicts, classes, i) for i in range(4)]
    assert words[0] == f"{classes[verdicts.suggested[0]]} or {classes[verdicts.second[0]]}"
    assert words[1:] == ["", "like no class", ""]
    rows = list(label_rows(evidence, verdicts, classes, range(4)))
    assert [row["look_closer"] for row in rows] == words


def test_the_same_picture_under_two_labels_is_named(evidence, classes):
    twins = np.array([[0, 1], [0, 2]])  # 0 and 2 have the same label
    found = replace(evidence, twins=twins)
    verdicts = judge(found)
    assert verdicts.twin.tolist() == [1, 0, -1, -1]
    words = [closer_words(found, verdicts, classes, i) for i in range(2)]
    assert words == ["same picture as sub/b.png, labelled dog", "same picture as a.png, labelled cat"]
    unlabelled = replace(found, given=np.array([-1, 1, 0, 2]))
    assert (judge(unlabelled).twin == -1).all()


def test_neighbor_agreement(evidence):
    assert neighbor_agreement(evidence).tolist() == [0.5, 0.0, 0.0, 0.0]


def test_rows_of_the_list(evidence, classes):
    rows = list(label_rows(evidence, judge(evidence), classes, range(4)))
    assert [row["file_name"] for row in rows] == ["a.png", "sub/b.png", "ü.png", 'c, "d".png']
    assert rows[3] == {
        "file_name": 'c, "d".png',
        "given_label": "owl",
        "predicted_label": "dog",
        "label_quality": judge(evidence).quality[3],
        "is_label_issue": True,
        "clean_prob": pytest.approx(0.01),
        "suggested_label": "dog",
        "suggested_confidence": judge(evidence).confidence[3],
        "neighbor_agreement": 0.0,
        "look_closer": "",
    }
    assert [(row["predicted_label"], row["suggested_label"]) for row in rows[1:3]] == [("cat", "cat"), ("cat", "cat")]


def test_the_list_on_disk(tmp_path, evidence, classes):
    run = RunDirectory(tmp_path)
    run.write_evidence(evidence)
    run.write_json(run.classes, classes)
    write_labels(run)
    assert run.labels.read_text(encoding="utf-8").splitlines()[0] == (
        "file_name,given_label,predicted_label,label_quality,is_label_issue,"
        "clean_prob,suggested_label,suggested_confidence,neighbor_agreement,look_closer"
    )
    rows = run.read_table(run.labels)
    assert [row["is_label_issue"] for row in rows] == ["False", "True", "False", "True"]
    assert rows[3]["file_name"] == 'c, "d".png'
    assert float(rows[1]["label_quality"]) == pytest.approx(judge(evidence).quality[1], rel=1e-5)
    issues = run.read_table(run.label_issues)
    assert issues == [rows[1], rows[3]]  # the worst first
    noise = run.read_json(run.label_noise)
    assert (noise["labels"], noise["flagged"], noise["flagged_by_class"]) == (4, 2, [0, 1, 1])
    assert noise["estimated_wrong"] == pytest.approx(
        np.mean([1 - float(row["label_quality"]) for row in rows]), abs=1e-4
    )
    assert noise["estimated_wrong_between"] == [0.4, 0.6]
    assert noise["transition_between"][1] == [[1, 1, 1]] * 3
    np.testing.assert_allclose(noise["transition"], evidence.joint / evidence.joint.sum(1, keepdims=True), atol=1e-4)


def test_the_estimated_share_comes_with_what_other_estimates_say(evidence):
    verdicts = judge(evidence)
    share = estimated_wrong(verdicts)
    assert wrong_words(replace(evidence, rate_bounds=None), verdicts) == f"{share:.0%}"  # a run of before has no others
    bounded = replace(evidence, rate_bounds=np.array([0.1, 0.3]), transition_bounds=np.zeros((2, 3, 3)))
    assert wrong_between(bounded, verdicts) == (0.1, max(0.3, share))
    assert wrong_words(bounded, verdicts) == f"{share:.0%} (10 to {max(0.3, share):.0%})"


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
    looks = belief(partly_labelled)  # alone counts where there is no label
    np.testing.assert_allclose(verdicts.confidence[[0, 3]], looks[[0, 3]].max(1), rtol=1e-6)
    assert verdicts.order.tolist() == [1, 2, 0, 3]  # nothing to doubt: last
    np.testing.assert_equal(neighbor_agreement(partly_labelled), [np.nan, 0.0, 0.0, np.nan])


def test_the_list_keeps_the_words_of_those_who_did_not_know(tmp_path, partly_labelled, classes):
    run = RunDirectory(tmp_path)
    run.write_evidence(partly_labelled)
    run.write_json(run.classes, classes)
    write_labels(run)
    rows = run.read_table(run.labels)
    assert [row["given_label"] for row in rows] == ["Skip, please", "dog", "cat", "Not sure"]
    assert [row["suggested_label"] for row in rows] == ["cat", "cat", "cat", "dog"]
    assert [row["is_label_issue"] for row in rows] == ["False", "True", "False", "False"]
    for column in ("label_quality", "clean_prob", "neighbor_agreement"):
        assert [row[column] == "" for row in rows] == [True, False, False, True]


def test_lines_for_a_terminal(evidence, classes):
    (line,) = issue_lines(evidence, judge(evidence), classes, [3])
    assert line.split() == ["c,", '"d".png', "owl", "→", "dog", "68%"]


def test_figures_of_a_run(tmp_path, evidence):
    """Two labels are held to be wrong, one of them was flipped, and one flipped label is missed."""
    run = RunDirectory(tmp_path)
    run.write_evidence(evidence)
    run.write_table(run.metrics, [{"accuracy": 0.5}, {"accuracy": 0.75}, {"accuracy": 0.625}])
    run.write_arrays(run.noise, {"flipped": np.array([True, True, False, False])})
    expected = {"last_accuracy": 0.625, "best_accuracy": 0.75, "precision": 0.5, "recall": 0.5}
    assert summary_figures(run) == expected
