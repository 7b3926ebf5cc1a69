"""Muon: kernels are turned by an orthogonal step. Must not know: methods, epochs, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

QUINTIC = (3.4445, -4.7750, 2.0315)  # of Jordan et al.: singular values come near 1 in few steps, not to it
NEWTON_SCHULZ_STEPS = 3
REST = 0.1  # learning rate of AdamW, in that of kernels


def orthogonalized(matrix: Tensor) -> Tensor:
    """Near U Vᵀ of the singular value decomposition U S Vᵀ of `matrix` (m, n), by Newton–Schulz steps.

    A step is X ← (a + b X Xᵀ + c (X Xᵀ)²) X. What stands before X is a polynomial of the first X Xᵀ, and is worked out
    alone: for nine times as many columns as rows that takes half the operations.
    """
    a, b, c = QUINTIC
    x = matrix / (matrix.norm() + 1e-7)  # no singular value is above 1
    wide = x if x.shape[0] <= x.shape[1] else x.T
    gram, turn = wide @ wide.T, torch.eye(len(wide), dtype=x.dtype, device=x.device)
    for _ in range(NEWTON_SCHULZ_STEPS):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        turn = factor @ turn
        gram = factor @ gram @ factor
    turned: Tensor = turn @ wide
    return turned if turned.shape == matrix.shape else turned.T


class Muon(AdamW):
    """Steps of momentum made orthogonal for kernels (Jordan et al., 2024, "Muon"), AdamW for the rest.

    A kernel of any number of dimensions is a matrix with a row for each output. A step turns it by `lr` and keeps its
    length, which batch norm behind it makes no difference of; so it has no weight decay. `torch.optim.Muon` takes
    matrices alone, and torch before 2.9 has none.

    Args:
        kernels: parameters (outputs, …) of two dimensions and more.
        rest: the others: biases, norms and the head.
        lr: of kernels: the length of a step in that of the kernel; the rest takes `REST` of it.
        momentum: of kernels, 0–1.
        nesterov: look ahead along the momentum.
        weight_decay: of the rest.

    Example:
        >>> layer = torch.nn.Linear(8, 4)
        >>> optimizer = Muon([layer.weight], [layer.bias], lr=0.1, momentum=0.9)
    """

    def __init__(
        self,
        kernels: Iterable[Tensor],
        rest: Iterable[Tensor],
        *,
        lr: float,
        momentum: float,
        nesterov: bool = True,
        weight_decay: float = 0.0,
    ) -> None:
        self.momentum, self.nesterov = momentum, nesterov
        groups: list[dict[str, Any]] = [{"params": list(kernels)}, {"params": list(rest), "lr": REST * lr}]
        super().__init__(groups, lr=lr, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the gradients of kernels are used up, so that AdamW passes over them."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        for kernel in group["params"]:
            if kernel.grad is not None:
                self._turn(kernel, group["lr"])
                kernel.grad = None
        super().step()
        return loss

    def _turn(self, kernel: Tensor, lr: float) -> None:
        gradient, state = kernel.grad, self.state[kernel]
        assert gradient is not None
        if not state:
            # Loading a state, AdamW wants the number of steps of every parameter that has one.
            state["step"], state["momentum_buffer"] = torch.zeros(()), torch.zeros_like(kernel)
        state["step"] += 1
        velocity = state["momentum_buffer"]
        velocity.mul_(self.momentum).add_(gradient)
        step = gradient.add(velocity, alpha=self.momentum) if self.nesterov else velocity
        direction = orthogonalized(step.flatten(1)).view_as(step)
        length = kernel.norm()
        kernel.sub_(direction * (lr * length / (direction.norm() + 1e-7)))
        kernel.mul_(length / (kernel.norm() + 1e-7))
