"""Posterior step by step: plain Python over float64, against ours."""

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, assert_same, make_data, make_network

from mixnn import TrainData
from mixnn.cli.train import parse
from mixnn.config import RunConfig, TrainOptions
from mixnn.errors import InputError
from mixnn.evidence.forward_pass import EvalOutputs, eval_pass
from mixnn.evidence.held_out_labels import HeldOutLabels, held_out_rows, significantly_fewer
from mixnn.evidence.knn import SearchInfo
from mixnn.evidence.label_issues import label_issues
from mixnn.methods import posterior as module
from mixnn.methods.posterior import Posterior, class_weights
from mixnn.models.classifier import Classifier
from mixnn.training.build import with_defaults

COUNT = 60


def prepared(epoch: int, **options):
    torch.manual_seed(0)
    data = make_data(COUNT, batch_size=COUNT, augment="none")
    method = Posterior(
        make_network(norm=False, dropout=0), data.labels, CLASSES, steps_per_batch=1, repeats=1, **options
    )
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
    method.class_weights.copy_(torch.arange(1, CLASSES + 1))
    expected = np.mean([(1 + y) * (1 - row[y] ** 0.4) / 0.4 for row, y in zip(p, given, strict=True)])
    assert method(batch).item() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(method.soft_targets()[batch.index].argmax(1), batch.y)


def test_a_label_counts_by_how_rare_it_is():
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 3 + [-1] * 5)
    assert class_weights(labels, 3).tolist() == pytest.approx([4 / 6, 4 / 3, 4 / 3])
    assert class_weights(torch.tensor([0] * 98 + [1, 1]), 3).tolist() == pytest.approx(
        [100 / 3 / 98, 10, 10]
    )  # no more
    assert class_weights(torch.arange(30) % 3, 3).tolist() == [1, 1, 1]


@pytest.mark.parametrize(("classes", "q"), [(2, 0.7), (10, 0.7), (100, 0.35), (1000, 0.7 / 3)])
def test_q_goes_by_the_number_of_classes_where_none_is_given(classes, q):
    method = Posterior(make_network(), make_data().labels % classes, classes)
    assert method.q == pytest.approx(q)
    assert Posterior(make_network(), make_data().labels % classes, classes, q=0.5).q == 0.5


def test_then_cross_entropy_against_what_label_quality_says():
    method, data, batch = prepared(3, correct_from=3)
    features = eval_pass([method.network], data).features
    given = data.labels.numpy()
    expected = label_issues(features, given, range(CLASSES)).issues.label_posterior  # has tests of its own
    np.testing.assert_allclose(method.soft_targets().numpy(), expected, atol=1e-6)
    assert method.metrics["relabeled_share"] == pytest.approx((expected.argmax(1) != given).mean())
    assert method.metrics["clean_fraction"] == pytest.approx(expected[np.arange(COUNT), given].mean(), abs=1e-4)

    p = probabilities(method, batch.inputs)
    rows = batch.index.tolist()
    loss = -np.mean([(expected[i] * np.log(p[n])).sum() for n, i in enumerate(rows)])
    assert method(batch).item() == pytest.approx(loss, rel=1e-3)


def embeddings(samples: int = 600, wrong: float = 0.4) -> tuple[TrainData, torch.Tensor]:
    """Three clusters with a share of the labels drawn anew, and the true labels."""
    random = torch.Generator().manual_seed(0)
    truth = torch.arange(samples) % CLASSES
    x = torch.randn(samples, 8, generator=random) + 4 * torch.nn.functional.one_hot(truth, 8)
    drawn = torch.rand(samples, generator=random) < wrong
    labels = torch.where(drawn, torch.randint(CLASSES, (samples,), generator=random), truth)
    return TrainData(x, labels, batch_size=50, seed=0, augment="none"), truth


def on_embeddings(data: TrainData, **options) -> Posterior:
    network = Classifier(torch.nn.Linear(8, 16), 16, CLASSES, torch.zeros(8), torch.ones(8))
    return Posterior(network, data.labels, CLASSES, **options)


def test_of_embeddings_what_is_given_is_the_evidence_whatever_the_network_has_learned():
    data, truth = embeddings(300)  # too few to hold any back
    method = on_embeddings(data, correct_from=4)
    method.begin_epoch(1, data)
    assert torch.equal(method.targets.argmax(1), data.labels)
    with torch.no_grad():
        method.network.features.weight.zero_()
    method.begin_epoch(2, data)  # halfway to `correct_from`
    [whole] = list(data.inputs(torch.arange(300), 300))
    expected = label_issues(whole, data.labels.numpy(), range(CLASSES)).issues.label_posterior
    np.testing.assert_allclose(method.targets.numpy(), expected, atol=1e-6)
    assert (method.targets.argmax(1) == truth).float().mean() > 0.97
    method.targets.zero_()
    for epoch in range(3, 30):
        method.begin_epoch(epoch, data)
    assert not method.targets.any()  # once is enough


def test_a_tenth_of_each_class_is_held_out():
    labels = torch.cat([torch.zeros(4000), torch.ones(996), torch.full((4,), 2), torch.full((100,), -1)]).long()
    rows = held_out_rows(labels)
    assert labels[rows].bincount(minlength=3).tolist() == pytest.approx([400, 100, 0], abs=1)
    assert not rows[labels < 0].any()
    assert not held_out_rows(labels[:499]).any()
    assert held_out_rows(labels[:500]).sum() == pytest.approx(200, abs=60)
    assert held_out_rows(torch.arange(50_000) % 10).sum() == 2_000


def test_no_step_sees_a_label_that_is_held_out_until_it_is_released():
    data, _ = embeddings(2_000)
    method = on_embeddings(data, correct_from=4)
    for epoch in range(2):
        method.begin_epoch(epoch, data)
        seen = torch.cat([batch.index for batch in method.batches(epoch, data)])
        assert sorted(seen.tolist()) == (~method.held_out.rows).nonzero()[:, 0].tolist()
    held = method.held_out.rows.clone()
    assert held.sum() == 200
    method.begin_epoch(2, data)
    before = method.targets.clone()
    wrong = (method.targets.argmax(1) != data.labels)[held]
    assert 0.2 < wrong.float().mean() < 0.4  # told without their own
    assert set(torch.cat([batch.index for batch in method.batches(2, data)]).tolist()) == set(range(2_000))
    assert "corrected" in method.auto_selected["labels"]
    method.begin_epoch(2 + module.TRIAL, data)
    assert not method.held_out
    assert not torch.equal(method.targets, before)


def judged(monkeypatch, *, seen: float, unseen: float, later: float, evidence: float, augment: str = "crop-flip"):
    """What becomes of a run on images in which so many of the labels are known, looks of which come every epoch."""
    data = make_data(2_000, batch_size=200, augment=augment)
    method = Posterior(make_network(), data.labels, CLASSES, correct_from=1, correct_every=1)
    monkeypatch.setattr(module, "TRIAL", 1)
    random = torch.Generator().manual_seed(0)
    draws = torch.rand(2_000, generator=random)

    def says(share):
        right = torch.where(draws < share, data.labels, (data.labels + 1) % CLASSES)
        return torch.nn.functional.one_hot(right, CLASSES).float()

    def said(*_, **options):
        share = torch.where(method.held_out.rows, unseen if method.epoch == 1 else later, seen)
        return EvalOutputs(torch.zeros(2_000, 4), says(share), torch.linspace(-2, -1, 2_000)[:, None])

    monkeypatch.setattr(module, "eval_pass", said)
    monkeypatch.setattr(module, "targets_from", lambda *_: (says(evidence), SearchInfo("exact", None)))
    for epoch in range(5):
        method.begin_epoch(epoch, data)
    return method, data


def test_where_nothing_harms_all_labels_are_seen_and_corrected(monkeypatch):
    method, data = judged(monkeypatch, seen=0.8, unseen=0.75, later=0.76, evidence=0.75)
    assert not method.held_out
    assert not method.given_up
    assert method.recolors
    assert (method.targets.argmax(1) != data.labels).float().mean() == pytest.approx(0.25, abs=0.03)
    assert method.auto_selected["labels"].startswith("corrected")


def test_features_of_a_network_that_learned_the_labels_by_heart_are_no_evidence(monkeypatch):
    method, data = judged(monkeypatch, seen=0.97, unseen=0.41, later=0.41, evidence=0.9)
    assert torch.equal(method.targets.argmax(1), data.labels)
    assert not method.held_out
    assert "memorized them (9" in method.auto_selected["labels"]


def test_poor_evidence_is_not_taken(monkeypatch):
    method, data = judged(monkeypatch, seen=0.9, unseen=0.85, later=0.85, evidence=0.7)
    assert torch.equal(method.targets.argmax(1), data.labels)
    assert method.auto_selected["labels"].startswith("as given: of the held-out labels, the evidence knew")


def test_colors_that_tell_classes_apart_are_left_as_they_are(monkeypatch):
    method, data = judged(monkeypatch, seen=0.8, unseen=0.75, later=0.6, evidence=0.75)
    assert not method.recolors
    assert "colors" in method.auto_selected
    assert method.given_up == module.HARMFUL  # that did not help
    assert torch.equal(method.targets.argmax(1), data.labels)
    assert "after the others were corrected" in method.auto_selected["labels"]


def test_a_run_that_does_not_augment_goes_straight_back_to_the_given_labels(monkeypatch):
    method, _ = judged(monkeypatch, seen=0.8, unseen=0.75, later=0.6, evidence=0.75, augment="none")
    assert method.recolors
    assert method.given_up == module.HARMFUL


def test_it_takes_more_than_chance():
    before = torch.arange(400) < 300
    assert significantly_fewer(torch.arange(400) < 280, before)
    assert not significantly_fewer(torch.arange(400) < 297, before)
    assert not significantly_fewer(torch.arange(400) > 90, before)  # others are right now, and nearly as many
    assert not significantly_fewer(before, torch.arange(400) < 280)


def test_the_gap_has_to_be_wide():
    labels = torch.arange(2_000) % 4
    unseen = HeldOutLabels(labels)
    for seen, other, found in [(0.97, 0.41, True), (0.9, 0.8, False), (0.6, 0.6, False)]:
        known = torch.rand(2_000, generator=torch.Generator().manual_seed(0))
        assert unseen.memorized(known < torch.where(unseen.rows, other, seen), labels >= 0) == found


def test_what_was_found_goes_on_after_a_stop():
    data, _ = embeddings(2_000)
    method, again = on_embeddings(data, correct_from=4), on_embeddings(data, correct_from=4)
    for epoch in range(6):
        method.begin_epoch(epoch, data)
    again.load_state_dict(method.state_dict())
    for each in (method, again):
        each.begin_epoch(6, data)
    assert_same(method.state_dict(), again.state_dict())
    assert again.auto_selected["labels"] == method.auto_selected["labels"]


def test_most_wrong_labels_are_put_right():
    data = make_data(600, batch_size=64, augment="none")
    truth = torch.arange(600) % CLASSES
    method = Posterior(make_network(), data.labels, CLASSES, correct_from=4)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(8):
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
        method.network.features[0].weight *= torch.randn(8, 1, 1, 1)
    for epoch in (3, 4):
        method.begin_epoch(epoch, data)
        assert torch.equal(method.targets, before)
    method.begin_epoch(5, data)
    assert not torch.equal(method.targets, before)


def test_small_batches():
    data = make_data(96, batch_size=32)
    method = Posterior(make_network(), data.labels, CLASSES, steps_per_batch=2)
    assert [len(batch.index) for batch in method.batches(0, data)] == [16] * 6
    data = make_data(96, batch_size=12)  # six a step are too few to be shared out
    assert [len(batch.index) for batch in method.batches(0, data)] == [12] * 8


def test_it_then_goes_twice_through_the_samples_in_other_colors():
    plain = make_data(64, batch_size=32, augment="none")
    data = make_data(64, batch_size=32)
    method = Posterior(make_network(), data.labels, CLASSES, correct_from=1, repeats=2, steps_per_batch=2)

    def batches(epoch, data):
        method.begin_epoch(epoch, data)
        return list(method.batches(epoch, data))

    first, second = [batches(epoch, data) for epoch in (0, 1)]
    assert [len(batch.index) for batch in first] == [16] * 4
    assert [len(batch.index) for batch in second] == [16] * 8
    turns = torch.cat([batch.index for batch in second]).view(2, 64)
    assert torch.equal(turns.sort(1).values, torch.arange(64).expand(2, 64))
    assert not torch.equal(*turns)
    one, other = [torch.cat([batch.inputs for batch in second])[64 * turn :][turns[turn].argsort()] for turn in (0, 1)]
    assert (one != other).flatten(1).any(1).all()  # each time augmented anew
    light = [torch.cat([batch.inputs for batch in part]).float().mean((1, 2, 3)).std() for part in (first, second)]
    assert light[1] > 1.5 * light[0]
    method.recolors.fill_(False)  # where colors tell classes apart
    still = torch.cat([batch.inputs for batch in batches(1, data)]).float().mean((1, 2, 3)).std()
    assert still < 1.2 * light[0]
    pixels = torch.cat([batch.inputs for batch in batches(1, plain)])  # a run that does not augment stays so
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
    [("q", 0), ("correct_from", -1), ("correct_every", 0), ("steps_per_batch", 0), ("repeats", 0), ("augment", "x")],
)
def test_options_out_of_range(option, value):
    with pytest.raises(InputError, match=rf"posterior.{option} is '?{value}"):
        Posterior(make_network(), make_data().labels, CLASSES, **{option: value})
