"""How many operations the networks of a run need. Must not know: methods, files, the screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mixnn.distributed.ranks import all_reduce_sum
from mixnn.models.classifier import Classifier

KINDS = ("train", "evidence", "evaluate")


class OperationCounter:
    """Counts the samples that networks see, and what they cost: a multiplication and an addition are two operations.

    What a sample costs is measured once, by `torch.utils.flop_counter`: convolutions and products of matrices of one
    forward, and of one forward and backward. Augmentation, optimizer and neighbor search are not in it. Counted are

        train     what happens in train mode
        evidence  what happens in eval mode: passes of the method, and for the lists
        evaluate  what happens while `kind` says so

    Args:
        networks: of one kind; each is watched from now on.
        x: inputs (2, …) as networks take them.

    Attributes:
        kind: what all that happens counts as; by the network's mode where None.
    """

    def __init__(self, networks: Sequence[Classifier], x: Tensor) -> None:
        self.forward, self.both = operations_of_a_sample(networks[0], x)
        self.kind: str | None = None
        self.done: Counter[str] = Counter()
        self.device = x.device
        for network in networks:
            network.watch = self._watch()

    def _watch(self) -> Callable[[Classifier, int], None]:
        """A function, since copies of a network are to count here too, and a copy of a method has its own self."""

        def watch(network: Classifier, samples: int) -> None:
            kind = self.kind or ("train" if network.training else "evidence")
            learns = network.training and torch.is_grad_enabled()
            self.done[kind] += samples * (self.both if learns else self.forward)

        return watch

    def take(self) -> dict[str, int]:
        """Operations by kind since the last call, of all ranks."""
        done = torch.tensor([self.done[kind] for kind in KINDS], device=self.device)
        self.done.clear()
        return dict(zip(KINDS, all_reduce_sum(done).tolist(), strict=True))


def operations_of_a_sample(network: Classifier, x: Tensor) -> tuple[int, int]:
    """Of a forward, and of a forward and backward; of a copy, so that nothing of the run changes."""
    copy = deepcopy(network).train()
    with FlopCounterMode(display=False) as counter:
        logits = copy(x)
        forward = counter.get_total_flops()
        if logits.requires_grad:
            logits.sum().backward()
    return forward // len(x), counter.get_total_flops() // len(x)


def total(rows: Sequence[Mapping[str, object]], after: Mapping[str, int]) -> dict[str, int]:
    """Of a whole run: its rows of metrics, and what came after the last epoch; "all" is their sum."""
    by_kind = {kind: sum(int(str(row.get(f"operations_{kind}", 0))) for row in rows) + after[kind] for kind in KINDS}
    return by_kind | {"all": sum(by_kind.values())}
