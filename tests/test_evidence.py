"""What a trained method says of every label: who is asked, and how many."""

import numpy as np
import pytest
import torch
from contract.cases import build, make_data, method_case

from mixnn import METHODS, Classifier, TrainData
from mixnn.evidence.forward_pass import eval_pass
from mixnn.evidence.knn import vote_k
from mixnn.evidence.loss_mixture import min_max
from mixnn.training.evidence import collect_evidence, judge_labels
from mixnn.training.metrics import count_predictions

CLASSES = 3


@pytest.fixture
def evidence():
    torch.manual_seed(0)
    labels = torch.arange(150) % CLASSES
    data = TrainData(torch.randn(150, 4) + 2 * torch.nn.functional.one_hot(labels, 4), labels, batch_size=16, seed=0)
    network = Classifier(torch.nn.Identity(), 4, CLASSES, torch.zeros(4), torch.ones(4))
    found = judge_labels(
        collect_evidence(METHODS["ce"](network, labels, CLASSES), data), data, CLASSES, [str(i) for i in range(150)]
    ).evidence
    z = torch.nn.functional.normalize(torch.cat(list(data.full_batches())))
    near = (z @ z.T).fill_diagonal_(-2).argsort(1, descending=True).numpy()
    return found, near


def test_ten_neighbors_are_kept_with_their_distances(evidence):
    found, near = evidence
    assert found.neighbors.shape == (150, 10)
    assert (found.neighbors == near[:, :10]).all()
    assert (np.diff(found.distances, axis=1) >= -1e-6).all()


def test_label_quality_is_worked_out_and_kept(evidence):
    found, _ = evidence
    np.testing.assert_allclose(found.label_posterior.sum(1), 1, rtol=1e-5)
    assert (found.label_posterior.argmax(1) == found.given).mean() > 0.8  # classes lie apart
    np.testing.assert_allclose(found.noise_matrix.sum(1), 1, rtol=1e-5)
    low, high = found.noise_rate_interval
    assert 0 <= low <= found.noise_rate <= high <= 1


def test_what_each_class_is_taken_for():
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, -1])  # the last has none
    seen = torch.tensor([0, 0, 2, 1, 2, 2, 2, 0])  # the network says what it sees
    network = Classifier(torch.nn.Identity(), 3, CLASSES, torch.zeros(3), torch.ones(3))
    with torch.no_grad():
        network.head.weight.copy_(torch.eye(3))
    method = METHODS["ce"](network, labels, CLASSES)
    data = TrainData(torch.nn.functional.one_hot(seen, 3).float(), labels, batch_size=3, seed=0)
    assert count_predictions(method, data).tolist() == [[2, 0, 1], [0, 1, 1], [0, 0, 2]]


@pytest.mark.parametrize(
    ("samples", "classes", "neighbors"),
    [(10_000, 10, 100), (3_385, 77, 43), (500, 100, 20), (8, 2, 7), (2_400_000, 1000, 10), (20_000_000, 1000, 10)],
)
def test_how_many_are_asked(samples, classes, neighbors):
    assert vote_k(samples, classes) == neighbors


def test_several_networks_are_believed_in_the_mean():
    data = make_data(48, batch_size=12)
    method, *_ = build(method_case("coteaching"), data)
    evidence = judge_labels(
        collect_evidence(method, data), data, method.num_classes, [str(i) for i in range(48)]
    ).evidence
    each = [eval_pass([network], data).probs for network in method.classifiers]
    assert not torch.allclose(*each, atol=1e-3)
    mean = torch.stack(each).mean(0)
    np.testing.assert_allclose(evidence.probs, mean, atol=1e-6)
    losses = -mean.gather(1, data.labels[:, None])[:, 0].log()
    np.testing.assert_allclose(evidence.loss, min_max(losses), atol=1e-5)
