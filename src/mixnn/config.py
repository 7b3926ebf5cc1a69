"""A run as dataclasses, and the command-line grammar made of them. Must not know: torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from mixnn.errors import InputError
from mixnn.utils.option_values import check_ranges, check_types

Augment = Literal["crop-flip", "resized-crop", "color", "strong", "none"]
Schedule = Literal["cosine", "cosine-restarts", "steps", "constant"]


@dataclass
class DataOptions:
    """How images are found, read and set apart.

    Args:
        image_size: pixels to read image files at (short side resized, center cut out); 64 where not given.
        crop_size: pixels of what the network sees, cut out of the image; all of it where not given.
        holdout: share of each class kept apart for accuracy, where the data has no test part; 0 trains on all.
        heldout: the part of the data that accuracy is measured on; test, or else val, where not given; train holds
            out some of the training part all the same, to choose settings without a look at the test part.
        image_column: of a table: file names or images.
        label_column: of a table: labels.
        split_column: of a table: train, val or test, or True and False of what it is called; none for all to be train.
        root: folder that the file names of a table are relative to; the table's own where not given.
        layout: what folders are: classes, each of them; parts, those called like one (train, seg_test), and others are
            passed over; metadata, nothing, as labels are in metadata.csv. Told by their names where not given.
        labels: labels to train with instead of the data's own: .csv, .npy, .pt, or .npz as FILE:KEY.
        labels_order: check refuses an array that agrees with the data's own labels by chance only; given takes it.
        class_order: of classes that are numbers, and so what a number in labels stands for: text (0, 1, 10, 2, as
            torchvision has folders) or value; by value where not given, and no array of numbers is taken then.
        merge_similar_labels: labels that differ only by case, spaces or how a number is written are one class.
        corrections: labels that a person has reviewed, as corrections.csv: verified, never changed by a method.
        unlabeled: labels that mean "don't know", with commas between: "Not sure,Skip".
        missing_labels: NaN, None, NA, null, and -1 beside classes, count as unlabeled; keep takes them as classes.
        intensity_range: LOW,HIGH of pixels of more than 8 bits, which become 0 and 255; the data's where not given.
        on_bad_image: set-aside lists what cannot be read in unreadable.csv and goes on; fail stops.
        store: where decoded images stay: memory, cache (a file in cache_dir), nowhere (decoded at each use); auto.
        cache_dir: folder for decoded images; mixnn in the user's cache folder where not given.
        workers: processes that decode images; one for each core where not given, 0 is none.
    """

    image_size: int | None = None
    crop_size: int | None = None
    holdout: float = 0.1
    heldout: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    root: str | None = None
    layout: Literal["classes", "parts", "metadata"] | None = None
    labels: str | None = None
    labels_order: Literal["check", "given"] = "check"
    class_order: Literal["text", "value"] | None = None
    merge_similar_labels: bool = False
    corrections: str | None = None
    unlabeled: str | None = None
    missing_labels: Literal["unlabeled", "keep"] = "unlabeled"
    intensity_range: str | None = None
    on_bad_image: Literal["set-aside", "fail"] = "set-aside"
    store: Literal["auto", "memory", "cache", "nowhere"] = "auto"
    cache_dir: str | None = None
    workers: int | None = None

    def check(self) -> None:
        """Raises InputError where a number is out of range."""
        check_ranges({f"data.{name}": value for name, value in vars(self).items()})


@dataclass(frozen=True)
class ReadOptions:
    """The part of a run's settings that reading its data goes by; see `TrainOptions`."""

    data: DataOptions
    seed: int = 0
    noise: str | None = None
    limit: int | None = None
    imbalance: float = 1.0
    batch_size: int = 128
    augment: Augment = "crop-flip"
    balanced: bool = False
    steps_per_epoch: int | None = None


@dataclass(frozen=True)
class MethodOptions:
    """The part that a method and its networks are built by; `method_options` are the method's own."""

    method: str
    method_options: dict[str, Any]
    network: str
    weights: str | None
    precision: Literal["auto", "float32", "bfloat16"]
    compile: bool
    seed: int


@dataclass(frozen=True)
class OptimizerOptions:
    """The part that steps go by."""

    epochs: int
    lr: float
    momentum: float
    weight_decay: float
    nesterov: bool
    schedule: Schedule
    restart_every: int
    min_lr: float
    milestones: list[int]
    gamma: float


@dataclass
class TrainOptions:
    """Settings of one run.

    Args:
        method: how to train, see `mixnn methods`; or package.module:Class.
        network: cnn, resnet18, resnet34, preactresnet18, mini; timm:NAME; or package.module:factory.
        weights: to start from: a file, or "hub" for timm's pretrained ones.
        noise: wrong labels to add for training: KIND:RATE, matrix:FILE or file:FILE[:KEY], see `mixnn corrupt`.
        imbalance: leave training samples out, so that the first class has so many times as many as the last one.
        limit: take the first so many training samples; where these come class by class, a share of each class.
        epochs: passes over the training set.
        batch_size: samples a step, over all processes.
        lr: learning rate at the start.
        momentum: of stochastic gradient descent (Nesterov's).
        weight_decay: of all weights.
        schedule: of the learning rate; "cosine" falls to zero at the end, "cosine-restarts" to min_lr again and
            again, "steps" to `gamma` of itself at each of `milestones`.
        restart_every: epochs of a cosine cycle, for "cosine-restarts".
        min_lr: lowest learning rate, for "cosine-restarts".
        milestones: epochs after which the learning rate falls, for "steps": [10, 20].
        gamma: what is left of the learning rate after a milestone.
        nesterov: look ahead along the momentum.
        augment: crop-flip, resized-crop, color, strong or none.
        balanced: draw every class equally often.
        steps_per_epoch: batches in an epoch; as many as use each sample once where not given.
        seed: of weights, order, augmentation, hold-out and noise.
        device: cpu, cuda, cuda:1 …; auto takes a GPU where there is one.
        precision: float32 or bfloat16; auto takes bfloat16 where the hardware multiplies it.
        compile: translate the network for this machine first (torch.compile, which needs a C++ compiler): longer to
            start, faster steps, other rounding.
        data: how images are read.
    """

    method: str = "posterior"
    network: str = "cnn"
    weights: str | None = None
    noise: str | None = None
    imbalance: float = 1.0
    limit: int | None = None
    epochs: int = 40
    batch_size: int = 128
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Schedule = "cosine"
    restart_every: int = 10
    min_lr: float = 1e-3
    milestones: list[int] = field(default_factory=list)
    gamma: float = 0.1
    nesterov: bool = True
    augment: Augment = "crop-flip"
    balanced: bool = False
    steps_per_epoch: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    data: DataOptions = field(default_factory=DataOptions)

    def for_reading(self) -> ReadOptions:
        return ReadOptions(**part_of(ReadOptions, vars(self)))

    def for_optimizer(self) -> OptimizerOptions:
        return OptimizerOptions(**part_of(OptimizerOptions, vars(self)))

    def check(self) -> None:
        """Raises InputError where a number is out of range."""
        check_ranges(vars(self))
        if self.schedule == "steps" and (not self.milestones or min(self.milestones) < 1):
            raise InputError(f"--milestones is {self.milestones}: give the epochs of --schedule steps, as [10, 20]")
        self.data.check()
        if self.nesterov and self.momentum == 0:
            raise InputError("--nesterov true needs a --momentum above 0: give one, or --nesterov false")


IN_MEMORY = "<arrays>"  # the source of a run whose data no file holds
LAYOUT = ("image_column", "label_column", "split_column", "root", "layout")  # of the options of data: where what is
UNUSED = ("holdout", "heldout", "crop_size")  # of the options of data, by `mixnn find`


@dataclass
class FindOptions:
    """Settings of `mixnn find`.

    Args:
        features: a row of numbers for each sample, in the order of DATA: .npy, or .npz with one array.
        network: that makes features of images, as `mixnn train` has it; EfficientNet-Lite0 where not given.
        weights: of that network: a file, or "hub" for timm's pretrained ones.
        noise: wrong labels to add, for experiments: KIND:RATE, matrix:FILE or file:FILE[:KEY], see `mixnn corrupt`.
        limit: take the first so many samples; where these come class by class, a share of each class.
        seed: of noise, and of the folds in which a classifier is asked about labels that it has not seen.
        device: cpu, cuda, cuda:1 …; auto takes a GPU where there is one.
        ray: workers of a Ray cluster that search for neighbors among very many samples; this process where not given.
        data: how images are read.
    """

    features: str | None = None
    network: str | None = None
    weights: str | None = None
    noise: str | None = None
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    ray: int | None = None
    data: DataOptions = field(default_factory=DataOptions)

    def check(self) -> None:
        """Raises InputError where options do not go together, or a number is out of range."""
        if self.features is not None and self.network is not None:
            raise InputError("--features and --network both say where features come from: give one of them")
        if self.weights is not None and self.network is None:
            raise InputError(f"--weights {self.weights} is for a network that you name: add --network")
        check_ranges(vars(self))
        self.data.check()

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


@dataclass
class RunConfig:
    """All that decides what a run computes: what `config.yaml` holds, and what `--resume` compares.

    Attributes:
        source: the DATA argument.
        options: the settings.
        method_options: the method's own settings, by name.
    """

    source: str
    options: TrainOptions = field(default_factory=TrainOptions)
    method_options: dict[str, Any] = field(default_factory=dict)

    def for_method(self) -> MethodOptions:
        return MethodOptions(**part_of(MethodOptions, vars(self.options) | {"method_options": self.method_options}))

    def to_dict(self) -> dict[str, Any]:
        """Flat, as `--config` reads it: source, every option, and a section named after the method."""
        own = {option_section(self.options.method): dict(self.method_options)}
        return {"source": self.source} | asdict(self.options) | own

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], where: object = "configuration") -> RunConfig:
        """The reverse of `to_dict`; keys that are no settings of a run are passed over.

        Of a run of `mixnn find` it is what a training on the same data would be. Raises InputError, about the file
        `where`, for a setting of another type than it has to be, or where there is no source.
        """
        known = {f.name for f in fields(TrainOptions)}
        options = {key: x for key, x in content.items() if key in known and (x is not None or key == "data")}
        data, section = options.pop("data", {}), option_section(str(options.get("method", TrainOptions.method)))
        for name, part in {"data": data, section: (own := content.get(section) or {})}.items():
            if not isinstance(part, Mapping):
                raise InputError(f"{where}: {name} is {part!r}: correct it")
        for kind, part in ((cls, {"source": content.get("source")}), (DataOptions, data), (TrainOptions, options)):
            check_types(kind, part, where)
        return cls(content["source"], TrainOptions(**options, data=DataOptions(**data)), dict(own))


def part_of(kind: type[Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Those of `settings` that the dataclass `kind` has fields for."""
    return {field.name: settings[field.name] for field in fields(kind)}


def option_section(method: str) -> str:
    """Name of the method's section: `mixnn`, or the class's in lower case for `package.module:Class`."""
    return method.rpartition(":")[2].lower()
