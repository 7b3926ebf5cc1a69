"""Labels that a person has reviewed: no method changes them, leaves them out, or doubts them."""

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, EPOCHS, Case, assert_same, build, method_case
from torch.nn.functional import cross_entropy, one_hot

from mixnn import METHODS, Method, TrainData, fit
from mixnn.results.issues import stored_label_issues
from mixnn.training.evidence import collect_evidence, judge_labels

# Methods that treat verified labels in a way of their own.
TREATING = [name for name, kind in METHODS.items() if kind.verified_labels != Method.verified_labels]


def reviewed(case: Case, *, verified: bool) -> TrainData:
    """Six labels that contradict their image, seen to be right where `verified`."""
    data = case.data()
    rows = torch.arange(5, 47, 8)
    data.labels[rows] = (rows + 2) % CLASSES
    data.verified[rows] = verified
    data.labeled = data.labels.ge(0).nonzero()[:, 0]
    return data


def trained(case: Case, data: TrainData) -> Method:
    method, optimizer, scheduler = build(case, data)
    fit(method, data, optimizer, scheduler, epochs=EPOCHS)
    return method


def test_they_end_as_they_were_given(case: Case) -> None:
    data = reviewed(case, verified=True)
    method = trained(case, data)
    rows = data.verified.nonzero()[:, 0]
    given = one_hot(data.labels[rows], CLASSES).float()
    targets = method.soft_targets()
    if method.corrects_labels:
        assert targets is not None
        assert_same(targets[rows], given)
    if (clean := method.clean_labels()) is not None:
        assert clean[rows].all()
    evidence = judge_labels(
        collect_evidence(method, data), data, method.num_classes, [f"{i}.png" for i in range(len(data))]
    ).evidence
    assert_same(torch.from_numpy(evidence.targets)[rows], given)
    assert (evidence.loss_mixture_clean_prob is not None) == method.uses_loss_mixture
    if method.uses_loss_mixture:
        assert evidence.loss_mixture_clean_prob[rows].tolist() == [1] * len(rows)
    assert evidence.verified.tolist() == rows.tolist()
    issues = stored_label_issues(evidence)
    assert not issues.is_label_issue[rows].any()
    assert issues.label_quality[rows].tolist() == [1] * len(rows)
    assert issues.suggested[rows].tolist() == data.labels[rows].tolist()


@pytest.mark.parametrize("name", TREATING)
def test_without_review_they_would_not_have_been_believed(name: str) -> None:
    """That the test above looks at labels which the method would otherwise change or leave out."""
    case = method_case(name)
    doubted, believed = (trained(case, reviewed(case, verified=verified)) for verified in (False, True))
    rows = torch.arange(5, 47, 8)
    with pytest.raises(AssertionError):
        assert_same(believed.state_dict(), doubted.state_dict())
    if (clean := doubted.clean_labels()) is not None:
        assert not clean[rows].all()


def test_coteaching_picks_them_first() -> None:
    """Where nearly all of a batch is left out, what is verified stays, whatever its loss."""
    case = method_case("coteaching")
    data = case.data(batch_size=47)
    method, *_ = build(case, data, norm=False, dropout=0)
    method.begin_epoch(0, data)
    [batch] = method.batches(0, data)
    losses = torch.stack(
        [cross_entropy(network(batch.inputs), batch.y, reduction="none") for network in method.networks]
    )
    worst = losses.sum(0).topk(6).indices
    method.forgotten = 0.99
    before = method(batch)
    method.verified[batch.index[worst]] = True
    assert before < 0.9 * method(batch)
    torch.testing.assert_close(method(batch), losses[:, worst].mean(1).sum())


def test_distances_are_those_of_the_neighbors(case: Case) -> None:
    data = case.data()
    method, *_ = build(case, data)
    evidence = judge_labels(
        collect_evidence(method, data), data, method.num_classes, [f"{i}.png" for i in range(len(data))]
    ).evidence
    assert evidence.distances is not None
    assert evidence.distances.shape == evidence.neighbors.shape
    assert (np.diff(evidence.distances, axis=1) >= -1e-5).all()  # near to far
    assert ((evidence.distances >= 0) & (evidence.distances <= 2)).all()
