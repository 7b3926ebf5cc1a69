"""Posterior step by step: plain Python over float64, against ours."""

import math

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, make_data, make_network

from mixnn.assemble import with_defaults
from mixnn.commands.train import parse
from mixnn.config import RunConfig, TrainOptions
from mixnn.confusion import estimate_confusion
from mixnn.errors import InputError
from mixnn.methods.posterior import Posterior, rarity
from mixnn.neighbors import nearest_neighbors
from mixnn.passes import full_pass

COUNT = 60


def prepared(epoch: int, **options):
    torch.manual_seed(0)
    data = make_data(COUNT, batch_size=COUNT, augment="none")
    method = Posterior(make_network(norm=False, dropout=0), data.labels, CLASSES, split=1, turns=1, **options)
    with torch.no_grad():
        method.network.head.weight *= 8  # opinions, so that probabilities differ
    method.begin_epoch(epoch, data)
    [batch] = method.batches(epoch, data)
    return method, data, batch


def probabilities(method, inputs):
    with torch.no_grad():
        z = method.network(inputs).double().numpy()
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_first_a_robust_loss_on_the_given_labels():
    method, _, batch = prepared(0, correct_from=3, q=0.4)
    p = probabilities(method, batch.inputs)
    given = batch.y.tolist()
    method.rarity.copy_(torch.arange(1, CLASSES + 1))
    expected = np.mean([(1 + y) * (1 - row[y] ** 0.4) / 0.4 for row, y in zip(p, given, strict=True)])
    assert method(batch).item() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(method.soft_targets()[batch.index].argmax(1), batch.y)


def test_a_label_counts_by_how_rare_it_is():
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 3 + [-1] * 5)
    assert rarity(labels, 3).tolist() == pytest.approx([4 / 6, 4 / 3, 4 / 3])
    assert rarity(torch.tensor([0] * 98 + [1, 1]), 3).tolist() == pytest.approx([100 / 3 / 98, 10, 10])  # no more
    assert rarity(torch.arange(30) % 3, 3).tolist() == [1, 1, 1]


@pytest.mark.parametrize(("classes", "q"), [(2, 0.7), (10, 0.7), (100, 0.35), (1000, 0.7 / 3)])
def test_q_goes_by_the_number_of_classes_where_none_is_given(classes, q):
    method = Posterior(make_network(), make_data().labels % classes, classes)
    assert method.q == pytest.approx(q)
    assert Posterior(make_network(), make_data().labels % classes, classes, q=0.5).q == 0.5


def slow_posterior(f, p, given, joint, voters):
    """Bayes' rule over loops: what a sample looks like, and how samples of each class are labelled."""
    unit = f / np.linalg.norm(f, axis=1, keepdims=True)
    likeness = unit @ unit.T
    share = np.bincount(given, minlength=CLASSES) / len(given)
    looks = []
    for i in range(len(f)):
        nearest = sorted((j for j in range(len(f)) if j != i), key=lambda j: -likeness[i, j])[:voters]
        vote = [sum(given[j] == c for j in nearest) / share[c] / CLASSES + 0.5 for c in range(CLASSES)]
        vote = [v / sum(vote) for v in vote]
        looks.append([v**1.5 * q**0.5 for v, q in zip(vote, p[i], strict=True)])
    looks = np.array(looks)
    looks /= looks.sum(1, keepdims=True)

    def bayes(power):
        sure = looks**power
        sure /= sure.sum(1, keepdims=True)
        sure /= sure.mean(0)
        t = np.array([[sure[i][c] * (joint[c][given[i]] + 1e-6) for c in range(CLASSES)] for i in range(len(f))])
        return t / t.sum(1, keepdims=True)

    def likelihood(power):  # Π_i Σ_c P(c | looks) P(given | c)
        sure = looks**power
        sure /= sure.sum(1, keepdims=True)
        sure = sure / sure.mean(0) * joint.sum(1)
        sure /= sure.sum(1, keepdims=True)
        labelled = joint / joint.sum(1, keepdims=True)
        return math.prod(sum(sure[i][c] * labelled[c][given[i]] for c in range(CLASSES)) for i in range(len(f)))

    return bayes(max((2 ** (k / 4) for k in range(-8, 13)), key=likelihood))  # as sure as makes the labels likeliest


def test_then_bayes_from_neighbours_network_and_label():
    method, data, batch = prepared(3, correct_from=3)
    f, log_p = full_pass(method.network, data)
    given = data.labels.numpy()
    near = nearest_neighbors(f, 10, metric="cosine").numpy()
    joint = estimate_confusion(given, near, CLASSES).joint  # has tests of its own
    expected = slow_posterior(f.double().numpy(), log_p.double().exp().numpy(), given, joint, 20)
    np.testing.assert_allclose(method.soft_targets().numpy(), expected, atol=2e-4)
    assert method.figures["relabelled_share"] == pytest.approx((expected.argmax(1) != given).mean())
    assert method.figures["clean_share"] == pytest.approx(expected[np.arange(COUNT), given].mean(), abs=1e-4)

    p = probabilities(method, batch.inputs)
    rows = batch.index.tolist()
    loss = -np.mean([(expected[i] * np.log(p[n])).sum() for n, i in enumerate(rows)])
    assert method(batch).item() == pytest.approx(loss, rel=1e-3)


def test_most_wrong_labels_are_put_right():
    data = make_data(600, batch_size=64, augment="none")
    truth = torch.arange(600) % CLASSES
    method = Posterior(make_network(), data.labels, CLASSES, correct_from=4)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(5):
        method.train()
        method.begin_epoch(epoch, data)
        for batch in method.batches(epoch, data):
            optimizer.zero_grad()
            method(batch).backward()
            optimizer.step()
    wrong = data.labels != truth
    found = method.soft_targets().argmax(1)
    assert (found == truth)[wrong].float().mean() > 0.9
    assert (found == truth)[~wrong].float().mean() > 0.95


def test_a_posterior_holds_until_the_next():
    method, data, _ = prepared(2, correct_from=2, correct_every=3)
    before = method.targets.clone()
    with torch.no_grad():
        method.network.head.weight *= -1
    for epoch in (3, 4):
        method.begin_epoch(epoch, data)
        assert torch.equal(method.targets, before)
    method.begin_epoch(5, data)
    assert not torch.equal(method.targets, before)


def test_small_batches():
    data = make_data(96, batch_size=32)
    method = Posterior(make_network(), data.labels, CLASSES, split=2)
    assert [len(batch.index) for batch in method.batches(0, data)] == [16] * 6
    data = make_data(96, batch_size=12)  # six a step are too few to be shared out
    assert [len(batch.index) for batch in method.batches(0, data)] == [12] * 8


def test_it_then_goes_twice_through_the_samples_in_other_colours():
    plain, epochs = make_data(64, batch_size=32, augment="none"), (0, 1)
    data = make_data(64, batch_size=32)
    method = Posterior(make_network(), data.labels, CLASSES, correct_from=1, turns=2, split=2)
    first, second = [list(method.batches(epoch, data)) for epoch in epochs]
    assert [len(batch.index) for batch in first] == [16] * 4
    assert [len(batch.index) for batch in second] == [16] * 8
    turns = torch.cat([batch.index for batch in second]).view(2, 64)
    assert torch.equal(turns.sort(1).values, torch.arange(64).expand(2, 64))
    assert not torch.equal(*turns)
    one, other = [torch.cat([batch.inputs for batch in second])[64 * turn :][turns[turn].argsort()] for turn in (0, 1)]
    assert (one != other).flatten(1).any(1).all()  # each time augmented anew
    light = [torch.cat([batch.inputs for batch in part]).float().mean((1, 2, 3)).std() for part in (first, second)]
    assert light[1] > 1.5 * light[0]
    pixels = torch.cat([batch.inputs for batch in method.batches(1, plain)])  # a run that does not augment stays so
    assert torch.equal(pixels.flatten(1).unique(dim=0), next(plain.inputs(torch.arange(64))).flatten(1).unique(dim=0))


def test_where_correction_begins_goes_by_the_length_of_the_run():
    for epochs, first in [(40, 22), (100, 55), (2, 1)]:
        config = with_defaults(RunConfig("data", TrainOptions(method="posterior", epochs=epochs)))
        assert config.method_options["correct_from"] == first
        config, _, _ = parse(["data", "--out", "x", "--method", "posterior", "--epochs", str(epochs)])
        assert with_defaults(config).method_options["correct_from"] == first
    given = RunConfig("data", TrainOptions(method="posterior", epochs=40), {"correct_from": 5})
    assert with_defaults(given).method_options["correct_from"] == 5


@pytest.mark.parametrize(
    ("option", "value"),
    [("q", 0), ("correct_from", -1), ("correct_every", 0), ("split", 0), ("turns", 0), ("augment", "x")],
)
def test_options_out_of_range(option, value):
    with pytest.raises(InputError, match=rf"posterior.{option} is '?{value}"):
        Posterior(make_network(), make_data().labels, CLASSES, **{option: value})
