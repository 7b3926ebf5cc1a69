"""What every method promises."""

import inspect
from pathlib import Path

import pytest
import torch
from contract.cases import CLASSES, EPOCHS, Case, assert_same, build, make_data, method_case
from torch import Tensor
from torch.nn.functional import one_hot

from examples.own_loop import train
from mixnn import METHODS, Batch, Method, MixNN, TrainData, fit
from mixnn.methods.losses import soft_cross_entropy
from mixnn.training.evidence import collect_evidence, judge_labels


def inputs(data: TrainData) -> Tensor:
    """Every sample as the network sees it without augmentation."""
    return torch.cat(list(data.full_batches()))


def test_losses_are_finite_scalars_that_reach_every_parameter(case: Case) -> None:
    data = case.data()
    method, optimizer, scheduler = build(case, data)
    assert list(method.parameters())
    for epoch in range(EPOCHS):  # every stage of the method
        reached = dict.fromkeys(dict(method.named_parameters()), 0.0)
        method.train()
        method.begin_epoch(epoch, data)
        for batch in method.batches(epoch, data):
            loss = method(batch)
            assert loss.shape == ()
            assert loss.isfinite()
            optimizer.zero_grad()
            loss.backward()
            for name, parameter in method.named_parameters():
                if parameter.grad is not None:
                    assert parameter.grad.isfinite().all()
                    reached[name] += parameter.grad.abs().sum().item()
            optimizer.step()
        method.end_epoch()
        scheduler.step()
        assert [name for name, size in reached.items() if size == 0] == []
        assert all(isinstance(value, float) for value in method.metrics.values())


@pytest.mark.parametrize(("count", "batch_size"), [(47, 16), (33, 16), (17, 16), (10, 64)])
def test_batches_of_any_size_train(case: Case, count: int, batch_size: int) -> None:
    data = case.data(count, batch_size=batch_size)
    method, optimizer, scheduler = build(case, data)
    fit(method, data, optimizer, scheduler, epochs=3)
    assert all(value.isfinite().all() for value in method.parameters())


def test_beliefs_are_probabilities(case: Case) -> None:
    data = case.data()
    method, optimizer, scheduler = build(case, data)
    fit(method, data, optimizer, scheduler, epochs=3)
    method.eval()
    beliefs = [method.predict(inputs(data)), method.soft_targets()]
    for belief in beliefs:
        if belief is not None:
            assert belief.shape == (len(data), CLASSES)
            assert (belief >= 0).all()
            torch.testing.assert_close(belief.sum(1), torch.ones(len(data)))


def test_the_state_dict_is_all_there_is_to_a_method(case: Case, tmp_path: Path) -> None:
    data = case.data()
    method, optimizer, scheduler = build(case, data)
    fit(method, data, optimizer, scheduler, epochs=3)
    torch.save(method.state_dict(), tmp_path / "method.pt")
    other, _, _ = build(case, data, seed=1)
    x = inputs(data)
    assert not torch.equal(other.eval().predict(x), method.eval().predict(x))
    other.load_state_dict(torch.load(tmp_path / "method.pt", weights_only=True))
    assert_same(other.predict(x), method.predict(x))
    assert_same(other.soft_targets(), method.soft_targets())


def test_the_loop_of_the_example_is_fit(case: Case) -> None:
    data = case.data()
    method, optimizer, scheduler = build(case, data)
    fit(method, data, optimizer, scheduler, epochs=EPOCHS, seed=data.seed)
    other, optimizer, scheduler = build(case, data)
    train(other, data, optimizer, scheduler, epochs=EPOCHS)
    assert_same(other.state_dict(), method.state_dict())


def test_the_seed_decides(case: Case) -> None:
    data = case.data()
    states = []
    for seed in (0, 0, 1):
        method, optimizer, scheduler = build(case, data, seed=seed)
        fit(method, data, optimizer, scheduler, epochs=2, seed=seed)
        states.append(method.state_dict())
    assert_same(states[0], states[1])
    with pytest.raises(AssertionError):
        assert_same(states[0], states[2])


@pytest.mark.parametrize("name", METHODS)
def test_options_have_defaults_and_are_explained(name: str) -> None:
    kind, text = METHODS[name], inspect.getdoc(METHODS[name]) or ""
    assert text
    for option in list(inspect.signature(kind).parameters.values())[3:]:
        assert option.kind is option.KEYWORD_ONLY
        assert option.default is not option.empty
        assert option.name in text


class SoftTargets(Method):
    """Plain training on one-hot targets."""

    def forward(self, batch: Batch) -> Tensor:
        return soft_cross_entropy(self.network(batch.inputs), one_hot(batch.y, self.num_classes).float())


def test_mixnn_without_neighbors_and_correction_is_plain_training() -> None:
    data = make_data()
    alone = method_case("mixnn", "alone", warmup=0, correct_from=0, neighbors=0, alpha=1.0)
    states = []
    for case in (alone, Case("plain", SoftTargets)):
        method, optimizer, scheduler = build(case, data, dropout=0)
        fit(method, data, optimizer, scheduler, epochs=EPOCHS)
        states.append(method.networks.state_dict())
    assert_same(*states)


def test_mixnn_suggests_a_label_where_nobody_knew_one() -> None:
    """Such a sample is nobody's batch and lends nobody its target, until the network has an opinion of it."""
    data = make_data(unlabeled=7)
    unknown = data.labels < 0
    method, *_ = build(method_case("mixnn", "unlabeled", warmup=1, correct_from=2), data)
    assert isinstance(method, MixNN)
    uniform = torch.full((7, CLASSES), 1 / CLASSES)
    for epoch in range(3):
        method.begin_epoch(epoch, data)
        drawn = torch.cat([batch.index for batch in method.batches(epoch, data)])
        assert sorted(drawn.tolist()) == (~unknown).nonzero()[:, 0].tolist()
        assert_same(method.targets.rows[unknown], uniform)  # corrected in the third epoch, which has to end first
        assert epoch == 0 or (method.weights[:, 1:][unknown[method.nearest]] == 0).all()
        method.end_epoch()
    assert (method.targets.rows[unknown] != uniform).any(1).all()
    method.begin_epoch(3, data)
    assert unknown[method.nearest].any()
    assert (method.weights[:, 1:][unknown[method.nearest]] > 0).all()


def test_what_nobody_labeled_says_nothing_of_other_labels() -> None:
    """Losses are stretched, and the mixture fitted, as if the unlabeled were not there."""
    mixed = make_data(unlabeled=7)
    known = mixed.labels >= 0
    images = (255 * inputs(mixed)).round().byte()
    images[~known] = 255 * (images[~known] > 128).byte()  # so glaring that their losses are the extremes
    found = []
    for rows in (known, torch.ones_like(known)):
        data = TrainData(images[rows], mixed.labels[rows])
        method, *_ = build(method_case("mixnn"), data)
        assert isinstance(method, MixNN)
        method.eval().begin_epoch(1, data)
        evidence = judge_labels(
            collect_evidence(method, data), data, method.num_classes, [str(i) for i in range(len(data))]
        ).evidence
        kept = known[rows]
        found.append(
            [method.clean[kept], method.losses[kept], evidence.loss_mixture_clean_prob[kept], evidence.loss[kept]]
        )
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
