"""A method of your own: `python examples/new_method.py` (seconds on a CPU).

It needs no entry anywhere. Where Python finds this file, the command line takes it, options included:

    mixnn train photos/ --out runs/smooth --method examples.new_method:SmoothedLabels --smoothedlabels.smoothing 0.3

Put into `src/mixnn/methods/`, it is a method like the others. Then it imports from `mixnn.methods.base` and the other
modules where these names are, not from `mixnn` itself, and it needs a card in `docs/methods/` that names its options.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from mixnn import Batch, Classifier, InputError, Method, TrainData, build_network, fit


class SmoothedLabels(Method):
    """Cross-entropy on labels that give a share away to all classes (Szegedy et al., arXiv 1512.00567).

    Args:
        network, labels, num_classes: see `Method`.
        smoothing: that share, in 0–1.

    Raises:
        InputError: smoothing is out of its range.
    """

    paper = "Szegedy et al., arXiv 1512.00567"  # more of what a class can say: see `Method`
    verified_labels = "not smoothed"

    def __init__(
        self, network: Classifier | Sequence[Classifier], labels: Tensor, num_classes: int, *, smoothing: float = 0.2
    ) -> None:
        super().__init__(network, labels, num_classes)
        if not 0 <= smoothing <= 1:
            raise InputError(f"smoothedlabels.smoothing is {smoothing}: use a number from 0 to 1")
        self.smoothing = smoothing

    def forward(self, batch: Batch) -> Tensor:
        """The mean loss of one batch."""
        logits = self.network(batch.inputs)  # (B, C)
        share = self.smoothing * ~self.verified[batch.index]  # (B,)
        uniform = -logits.log_softmax(1).mean(1)  # (B,), against all classes alike
        given = cross_entropy(logits, batch.y, reduction="none")  # (B,)
        return torch.lerp(given, uniform, share).mean()


def main() -> None:
    """Dark and bright images, a fifth of them with a random label."""
    random = torch.Generator().manual_seed(0)
    right = torch.randint(0, 2, (256,), generator=random)
    images = (torch.randint(0, 200, (256, 3, 16, 16), generator=random) + 40 * right[:, None, None, None]).byte()
    given = torch.where(torch.rand(256, generator=random) < 0.2, torch.randint(0, 2, (256,), generator=random), right)
    data = TrainData(images[:192], given[:192], batch_size=32)
    torch.manual_seed(0)
    method = SmoothedLabels(build_network("cnn", 16, 2, torch.full((3,), 0.5), torch.full((3,), 0.25)), data.labels, 2)
    optimizer = SGD(method.parameters(), lr=0.02, momentum=0.9)
    fit(method, data, optimizer, CosineAnnealingLR(optimizer, 4), epochs=4)
    accuracy = (method.eval().predict(images[192:].float() / 255).argmax(1) == right[192:]).float().mean()
    print(f"accuracy {accuracy:.1%}")


if __name__ == "__main__":
    main()
