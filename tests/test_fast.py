"""The fast network and its recipe: whitening, identities, Muon, the linear rate, flips in turn, counted operations."""

from operator import length_hint

import pytest
import torch
from contract.cases import CLASSES, assert_same, images, make_data
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mixnn import Classifier, Method, TrainData, build_network, fit
from mixnn.config import RunConfig, TrainOptions
from mixnn.data.batches import Batch
from mixnn.models.fast import PATCH, FastBody, Whitening, identity_conv
from mixnn.models.saved import load_model, save_model
from mixnn.training.build import build_method, build_optimizer, kernels_and_rest
from mixnn.training.checkpoint import Checkpoint
from mixnn.training.muon import QUINTIC, REST, Muon, orthogonalized
from mixnn.training.operations import OperationCounter, operations_of_a_sample, total
from mixnn.training.schedule import LinearToZero

CPU = torch.device("cpu")
RECIPE = {"optimizer": "muon", "momentum": 0.6, "schedule": "linear", "lr": 0.1, "epochs": 4}


def started(data: TrainData, method: str = "ce", **options: object) -> tuple[Method, Muon, LinearToZero]:
    given = TrainOptions(**{"method": method, "network": "fast-narrow", "precision": "float32"} | RECIPE | options)
    built = build_method(RunConfig("", given).for_method(), data, CLASSES, CPU)
    optimizer, scheduler = build_optimizer(built, given.for_optimizer())
    return built, optimizer, scheduler


# --- the network ---


@pytest.mark.parametrize(("name", "width"), [("fast", 256), ("fast-wide", 256), ("fast-narrow", 128)])
@pytest.mark.parametrize("size", [8, 28, 32, 96])
def test_sizes_that_data_sets_have(name, width, size):
    network = build_network(name, size, 3, torch.full((3,), 0.5), torch.full((3,), 0.25))
    features, logits = network.features_and_logits(images(2, size, size))
    assert (features.shape, logits.shape) == ((2, width), (2, 3))
    logits.sum().backward()
    for parameter in network.parameters():
        assert (parameter.grad is not None and parameter.grad.isfinite().all()) == parameter.requires_grad


def test_convolutions_begin_as_identities():
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(identity_conv(4, 4)(x), x)
    torch.testing.assert_close(identity_conv(4, 7)(x)[:, :4], x)


def test_whitened_patches_are_uncorrelated_and_of_one_variance():
    random = torch.Generator().manual_seed(0)
    x = torch.randn(50, 3, 16, 16, generator=random).cumsum(3)  # neighbors in a line are alike
    x[:, 1] += x[:, 0]  # and so are colors
    whitening = Whitening(1)
    whitening.initialize(x)
    out = whitening(x)[:, :PATCH].transpose(0, 1).flatten(1).double()
    covariance = out @ out.T / out.shape[1]
    torch.testing.assert_close(covariance, torch.eye(PATCH).double(), atol=5e-3, rtol=0)
    torch.testing.assert_close(whitening(x)[:, PATCH:], -whitening(x)[:, :PATCH])


def test_the_whitening_is_of_the_data_and_stays(tmp_path):
    data = make_data()
    method, *steps = started(data)
    other, *_ = started(make_data(60))
    first = method.network.features[0].conv.weight
    before = first.clone()
    assert not torch.equal(before, other.network.features[0].conv.weight)
    again, *_ = started(data)
    assert torch.equal(before, again.network.features[0].conv.weight)
    fit(method, data, *steps, epochs=2)
    assert torch.equal(first, before)
    assert not torch.equal(method.network.features[2].weight, again.network.features[2].weight)
    save_model(tmp_path / "model", method.classifiers, "fast-narrow", 8, 8)
    loaded = load_model(tmp_path / "model", CPU)
    assert torch.equal(loaded.networks[0].features[0].conv.weight, before)
    x = images(3)
    torch.testing.assert_close(loaded(x), method.eval().predict(x))


class Started(FastBody):
    """Notes what it is given."""

    def initialize(self, x):
        self.seen = x


def own_body(size):
    return Started(nn.Flatten()), 3 * size * size


def test_a_body_of_your_own_is_given_normalized_inputs():
    data = make_data()
    method, *_ = started(data, network=f"{__name__}:own_body")
    seen = method.network.features.seen
    assert seen.shape == (47, 3, 8, 8)
    torch.testing.assert_close(seen.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


# --- Muon ---


@pytest.mark.parametrize("shape", [(8, 30), (30, 8)])
def test_steps_are_nearly_orthogonal(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalized(matrix)
    assert found.shape == matrix.shape
    _, values, _ = torch.linalg.svd(found, full_matrices=False)
    assert 0.3 < values.min() <= values.max() < 1.3  # singular values of `matrix` were further apart
    assert s.max() / s.min() > values.max() / values.min()
    cosine = (found * (u @ v)).sum() / found.norm() / (u @ v).norm()
    assert cosine > 0.95


def test_a_step_turns_a_kernel_by_its_rate_and_keeps_its_length():
    torch.manual_seed(0)
    kernel, bias = nn.Parameter(torch.randn(4, 3, 3, 3)), nn.Parameter(torch.zeros(4))
    optimizer = Muon([kernel], [bias], lr=0.2, momentum=0.9)
    before = kernel.detach().clone()
    kernel.grad, bias.grad = torch.randn_like(kernel), torch.tensor([1.0, -1.0, 2.0, -3.0])
    optimizer.step()
    torch.testing.assert_close(kernel.norm(), before.norm())
    turned = (kernel / kernel.norm() - before / before.norm()).norm().item()
    assert turned == pytest.approx(0.2, rel=0.1)
    torch.testing.assert_close(bias, -REST * 0.2 * torch.tensor([1.0, -1.0, 1.0, -1.0]))  # AdamW's first step
    assert kernel.grad is None


def test_a_closure_is_called_with_gradients():
    layer = nn.Linear(3, 2)
    optimizer = Muon([layer.weight], [layer.bias], lr=0.1, momentum=0.9)

    def closure():
        optimizer.zero_grad()
        loss = layer(torch.ones(4, 3)).square().sum()
        loss.backward()
        return loss

    first = optimizer.step(closure)
    assert [optimizer.step(closure) for _ in range(20)][-1] < first


def test_heads_and_what_has_one_dimension_are_no_kernels():
    method, *_ = started(make_data())
    kernels, rest = kernels_and_rest(method)
    names = {id(p): name for name, p in method.named_parameters()}
    assert [names[id(p)].removeprefix("networks.0.features.") for p in kernels] == [
        f"{place}.weight" for place in (2, 6, 9, 13, 16, 20)
    ]
    assert {names[id(p)].rpartition(".")[2] for p in rest} == {"bias", "weight"}
    assert {p.dim() for p in rest} == {1, 2}  # the head's weights
    frozen = [p for p in method.parameters() if not p.requires_grad]
    assert not {id(p) for p in frozen} & {id(p) for p in [*kernels, *rest]}


@pytest.mark.parametrize("method", ["ce", "mixnn_posterior"])
def test_the_recipe_goes_on_to_the_last_bit(method, tmp_path):
    data = make_data()
    data.alternate_flips = True
    own, optimizer, scheduler = started(data, method)
    stop = Checkpoint(tmp_path / "last.pt", own, optimizer, scheduler, "these data", {})
    fit(own, data, optimizer, scheduler, epochs=2, observers=[stop])
    second, optimizer, scheduler = started(data, method, seed=1)
    again = Checkpoint(tmp_path / "last.pt", second, optimizer, scheduler, "these data", {})
    assert again.load() == 2
    fit(second, data, optimizer, scheduler, epochs=4, start=2)
    whole, whole_optimizer, whole_scheduler = started(data, method)
    fit(whole, data, whole_optimizer, whole_scheduler, epochs=4)
    assert_same(second.state_dict(), whole.state_dict())
    assert_same(optimizer.state_dict(), whole_optimizer.state_dict())
    assert scheduler.state_dict() == whole_scheduler.state_dict()


# --- the rate ---


class Rates:
    """An observer that keeps the rates of all steps."""

    def __init__(self, optimizer):
        self.optimizer, self.rates = optimizer, []

    def step_done(self, *_):
        self.rates.append(tuple(group["lr"] for group in self.optimizer.param_groups))

    def epoch_done(self, *_):
        pass


def test_the_rate_falls_by_every_step():
    data = make_data()  # three steps an epoch
    method, optimizer, scheduler = started(data)
    seen = Rates(optimizer)
    fit(method, data, optimizer, scheduler, epochs=4, observers=[seen])
    assert [rate for rate, _ in seen.rates] == pytest.approx([0.1 * (1 - step / 12) for step in range(12)])
    assert [rest for _, rest in seen.rates] == pytest.approx([REST * rate for rate, _ in seen.rates])


class OwnBatches(Method):
    """Whose batches come from a generator, so that nobody knows how many."""

    def batches(self, epoch, data):
        yield from data.train_batches(epoch)

    def forward(self, batch):
        return nn.functional.cross_entropy(self.network(batch.inputs), batch.y)


def test_without_a_number_of_steps_it_falls_by_epochs():
    data = make_data()
    method, optimizer, scheduler = started(data, f"{__name__}:OwnBatches")
    seen = Rates(optimizer)
    fit(method, data, optimizer, scheduler, epochs=4, observers=[seen])
    assert [rate for rate, _ in seen.rates] == pytest.approx([0.1 * (1 - step // 3 / 4) for step in range(12)])


@pytest.mark.parametrize("repeats", [1, 2])
def test_batches_say_how_many_are_left(repeats):
    batches = make_data().train_batches(0, repeats=repeats)
    assert length_hint(batches) == -(-47 * repeats // 16)
    next(batches)
    assert length_hint(batches) == -(-47 * repeats // 16) - 1
    assert len(list(batches)) == -(-47 * repeats // 16) - 1
    assert length_hint(batches) == 0
    assert length_hint(make_data().grouped_batches(0, [torch.arange(5)], 4)) == 4


# --- flips in turn ---


def mirrored(batches, data: TrainData) -> list[tuple[int, bool]]:
    """Which samples of these batches are mirrored; images are as large as the crop and moved, so rows tell by order."""
    found = []
    for batch in batches:
        assert isinstance(batch, Batch)
        for index, image in zip(batch.index.tolist(), batch.inputs, strict=True):
            lines = image[0].float().diff(dim=1)  # a ramp that rises, but where it is reflected
            found.append((index, lines.median().item() < 0))
    return found


def ramps(count: int, **options: object) -> TrainData:
    line = torch.arange(16, dtype=torch.uint8) * 10
    pixels = line.expand(count, 3, 16, 16).contiguous()
    return TrainData(pixels, torch.arange(count) % CLASSES, batch_size=8, seed=3, **options)


@pytest.mark.parametrize("augment", ["crop-flip", "resized-crop"])
def test_images_are_mirrored_every_other_epoch(augment):
    data = ramps(40, augment=augment, alternate_flips=True)
    epochs = [dict(mirrored(data.train_batches(epoch), data)) for epoch in range(4)]
    assert epochs[0] == epochs[2] != epochs[1] == epochs[3]
    assert all(epochs[0][index] != epochs[1][index] for index in range(40))
    assert 8 < sum(epochs[0].values()) < 32
    by_chance = ramps(40, augment=augment)
    assert dict(mirrored(by_chance.train_batches(0), data)) != dict(mirrored(by_chance.train_batches(2), data))


def test_an_epoch_of_two_turns_shows_both_sides():
    data = ramps(40, alternate_flips=True)
    for epoch in range(2):
        seen = mirrored(data.train_batches(epoch, repeats=2), data)
        for index in range(40):
            assert sorted(side for sample, side in seen if sample == index) == [False, True]


def test_what_is_not_asked_for_changes_nothing():
    for one, other in zip(ramps(20).train_batches(1), ramps(20, alternate_flips=False).train_batches(1), strict=True):
        assert torch.equal(one.inputs, other.inputs)


# --- operations ---


def test_operations_are_those_of_the_flop_counter():
    data = make_data()
    method, *steps = started(data)
    counter = OperationCounter(method.classifiers, next(data.inputs(torch.arange(2))))
    with FlopCounterMode(display=False) as flops:
        fit(method, data, *steps, epochs=1)
    counted = flops.get_total_flops() - newton_schulz(method)
    assert counter.take() == {"train": counted, "evidence": 0, "evaluate": 0}
    assert counter.take() == {"train": 0, "evidence": 0, "evaluate": 0}


def newton_schulz(method: Method) -> int:
    """Operations of three steps of Muon, which are no network's."""
    found = 0
    for kernel in kernels_and_rest(method)[0]:
        rows, columns = sorted((kernel.shape[0], kernel[0].numel()))
        found += 2 * 2 * rows * rows * columns + 3 * 4 * 2 * rows**3
    return 3 * found


def test_the_polynomial_alone_is_the_steps_one_after_the_other():
    x = torch.randn(6, 20, generator=torch.Generator().manual_seed(0))
    expected, (a, b, c) = x / x.norm(), QUINTIC
    for _ in range(3):
        gram = expected @ expected.T
        expected = a * expected + (b * gram + c * gram @ gram) @ expected
    torch.testing.assert_close(orthogonalized(x), expected, rtol=1e-4, atol=1e-5)


def test_operations_by_kind():
    data = make_data()
    method, *steps = started(data, "mixnn_posterior")
    forward, both = operations_of_a_sample(method.network, next(data.inputs(torch.arange(2))))
    assert forward * 2 < both < forward * 3  # the whitening has no backward, the first convolution half of one
    counter = OperationCounter(method.classifiers, next(data.inputs(torch.arange(2))))
    method.warmup = method.mixup_until = 0
    fit(method, data, *steps, epochs=1)
    counter.kind = "evaluate"
    method.eval().predict(images(5))
    assert counter.take() == {"train": 47 * both, "evidence": 47 * forward, "evaluate": 5 * forward}
    rows = [{"operations_train": "5", "operations_evidence": 2, "operations_evaluate": 1}, {}]
    after = {"train": 0, "evidence": 3, "evaluate": 1}
    assert total(rows, after) == {"train": 5, "evidence": 5, "evaluate": 2, "all": 12}


def test_a_copy_of_a_network_is_counted_too():
    network = Classifier(nn.Flatten(), 192, CLASSES, torch.zeros(3), torch.ones(3))
    counter = OperationCounter([network], images(2))
    from mixnn.models.classifier import fused

    fused(network)(images(7))
    assert counter.take() == {"train": 0, "evidence": 7 * 2 * 192 * CLASSES, "evaluate": 0}
