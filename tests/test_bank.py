"""What is known of every sample, and how old it may be."""

import pytest
import torch
from contract.cases import CLASSES, make_data, make_network

from mixnn import MixNN
from mixnn.errors import InputError
from mixnn.evidence import feature_bank as module
from mixnn.evidence.feature_bank import Bank
from mixnn.evidence.forward_pass import full_pass


@pytest.fixture
def passes(monkeypatch):
    """The rows of every pass that a bank makes."""
    rows = []

    def counted(network, data, only=None):
        rows.append(range(len(data)) if only is None else only.tolist())
        return full_pass(network, data, only)

    monkeypatch.setattr(module, "full_pass", counted)
    return rows


def make(origin, every, data, network):
    return Bank(origin, every, network, data.labels, CLASSES, name="mine")


def said(seed, count):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, 32, generator=random), torch.randn(count, CLASSES, generator=random)


def end_epoch(bank):
    for table in (bank.features, bank.log_probs, bank.seen):
        table.sync()


def test_steps_are_believed_and_only_what_they_left_out_is_looked_at(passes):
    data, network = make_data(20), make_network(dropout=0)
    bank = make("steps", 1, data, network)
    first, second = torch.arange(12), torch.arange(8, 15)
    bank.note(4, first, *said(0, 12))
    features, logits = said(1, 7)  # some of them again, which counts
    bank.note(4, second, features, logits)
    end_epoch(bank)
    known = bank.look(network, data, 5)
    assert passes == [[15, 16, 17, 18, 19]]
    assert torch.equal(known.features[:8], said(0, 12)[0][:8])
    assert torch.equal(known.features[8:15], features)
    torch.testing.assert_close(known.log_probs[8:15], logits.log_softmax(1))
    whole = full_pass(network, data)
    torch.testing.assert_close(known.features[15:], whole.features[15:])
    torch.testing.assert_close(known.log_probs[15:], whole.log_probs[15:])


def test_what_no_step_had_is_looked_at_every_so_many_epochs(passes):
    data, network = make_data(6), make_network()
    bank = make("steps", 3, data, network)
    for epoch in range(8):
        bank.look(network, data, epoch)
        bank.note(epoch, torch.tensor([0, 1, 2, 3]), *said(epoch, 4))
        end_epoch(bank)
        assert bank.renewed
    assert passes == [[0, 1, 2, 3, 4, 5], [4, 5], [4, 5]]


def test_a_pass_every_so_many_epochs(passes):
    data, network = make_data(6), make_network(dropout=0)
    bank = make("pass", 3, data, network)
    before = full_pass(network, data)
    renewed = []
    for epoch in range(2, 10):
        known = bank.look(network, data, epoch)
        renewed.append(bank.renewed)
        bank.note(epoch, torch.arange(6), *said(epoch, 6))  # steps have no say here
        end_epoch(bank)
        with torch.no_grad():
            network.head.bias += 1 + torch.arange(CLASSES)
        same = torch.allclose(known.log_probs, before.log_probs)
        assert same == (epoch < 5)
    assert renewed == [True, False, False] * 2 + [True, False]
    assert passes == [list(range(6))] * 3


def test_a_pass_at_every_epoch_keeps_nothing(passes):
    data, network = make_data(6), make_network()
    bank = make("pass", 1, data, network)
    for epoch in range(3):
        bank.look(network, data, epoch)
        assert bank.renewed
    assert len(passes) == 3
    assert not bank.state_dict()


def test_mixnn_searches_again_when_something_is_new(monkeypatch):
    data = make_data()
    options = {"warmup": 0, "mixup_until": 0, "bank_every": 2}
    method = MixNN(make_network(), data.labels, CLASSES, **options)
    searches = []
    search = method._search
    monkeypatch.setattr(method, "_search", lambda z: searches.append(method.epoch) or search(z))
    for epoch in range(5):
        method.begin_epoch(epoch, data)
        for batch in method.batches(epoch, data):
            method(batch).backward()
        method.end_epoch()
    assert searches == [0, 2, 4]


def test_what_the_steps_said_is_what_the_method_goes_by(passes):
    data = make_data(30, batch_size=10, augment="none")
    network = make_network(norm=False, dropout=0)
    method = MixNN(network, data.labels, CLASSES, bank="steps", warmup=1, mixup_until=0)
    method.begin_epoch(0, data)
    for batch in method.batches(0, data):
        method(batch)
    method.end_epoch()
    method.begin_epoch(1, data)
    assert not passes
    torch.testing.assert_close(method.losses, losses_of_pass(method, data))


def losses_of_pass(method, data):
    """Nothing was learnt, augmented or normalized by batch: a pass has to say the same."""
    log_given = full_pass(method.network, data).log_probs.gather(1, data.labels[:, None])[:, 0]
    return (log_given.max() - log_given) / (log_given.max() - log_given.min())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bank": "stairs"}, "mixnn.bank is 'stairs': use one of pass, steps"),
        ({"bank_every": 0}, "mixnn.bank_every"),
    ],
)
def test_options_out_of_range(options, words):
    data = make_data()
    with pytest.raises(InputError, match=words):
        MixNN(make_network(), data.labels, CLASSES, **options)
