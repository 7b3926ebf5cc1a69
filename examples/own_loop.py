"""MixNN in a training loop of your own: `python examples/own_loop.py` (seconds on a CPU)."""

import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from mixnn import Method, MixNN, TrainData, build_network, seed_epoch


def train(method: Method, data: TrainData, optimizer: Optimizer, scheduler: LRScheduler, *, epochs: int) -> None:
    """Any method, epoch by epoch; what `mixnn.fit` does, without its clocks and observers."""
    for epoch in range(epochs):
        seed_epoch(data.seed, epoch)  # dropout and random partners, the same in every run
        method.train()
        method.begin_epoch(epoch, data)  # full pass, clean probability, neighbors
        for batch in method.batches(epoch, data):
            loss = method(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        method.end_epoch()  # corrected labels take effect
        scheduler.step()


def make_images(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with a brighter bar, upright (0) or lying (1): uint8 (N, 3, 16, 16), int64 (N,)."""
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 160, (count, 3, 16, 16), generator=random, dtype=torch.uint8)
    labels = torch.randint(0, 2, (count,), generator=random)
    images[labels == 0, :, :, 6:10] += 60
    images[labels == 1, :, 6:10, :] += 60
    return images, labels


def main() -> None:
    """Three labels in ten are wrong; the network has to get fresh images right all the same."""
    torch.manual_seed(0)
    images, right = make_images(384, seed=0)
    data = TrainData(images, torch.where(torch.rand(384) < 0.3, 1 - right, right), batch_size=32)
    network = build_network("cnn", 16, 2, mean=torch.full((3,), 0.35), std=torch.full((3,), 0.2))
    method = MixNN(network, data.labels, num_classes=2, warmup=5, mixup_until=0, correct_from=5)
    optimizer = SGD(method.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    train(method, data, optimizer, CosineAnnealingLR(optimizer, 10), epochs=10)
    fresh, labels = make_images(500, seed=2)
    predicted = method.eval().predict(fresh.float() / 255).argmax(1)
    print(f"accuracy on fresh images {(predicted == labels).float().mean():.1%}")


if __name__ == "__main__":
    main()
