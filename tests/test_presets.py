"""The presets: each is a valid run that its card and `mixnn methods` name, and those of MixNN train."""

from pathlib import Path

import pytest
import torch
import yaml
from contract.cases import ROOT
from contract.command import SHORT, SMALL, succeed, write_folder

from benchmarks.suite.cells import merged
from mixnn import METHODS, TrainData
from mixnn.cli.train import parse
from mixnn.errors import InputError
from mixnn.presets import PRESETS, preset_names, read_preset
from mixnn.training.build import build_method, build_optimizer
from mixnn.utils.files import read_yaml

BASELINES = [name for name in preset_names() if name.endswith(("-cifar10", "-cifar100"))]
STARTS = ("warmup", "correct_from", "prune_from", "rampup")  # options that name an epoch


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("presets") / "photos")


@pytest.mark.parametrize("preset", preset_names())
def test_all_of_a_preset_reaches_the_run(preset: str) -> None:
    config, _, _ = parse(["--preset", preset, "photos", "--out", "run"])
    options = config.options
    options.check()
    assert merged(config.to_dict(), read_preset(preset)) == config.to_dict()
    epochs = [*options.milestones, *(value for name, value in config.method_options.items() if name in STARTS)]
    assert all(epoch < options.epochs for epoch in epochs)

    options.network, options.weights = "cnn", None  # the method and its options are tried here
    data = TrainData(torch.zeros(250, 3, 8, 8, dtype=torch.uint8), torch.arange(250) % 2)
    build_optimizer(build_method(config.for_method(), data, 2, torch.device("cpu")), options.for_optimizer())


@pytest.mark.parametrize("preset", BASELINES)
def test_a_baseline_says_what_it_is(preset: str) -> None:
    method, _, data = preset.partition("-")
    assert read_preset(preset)["method"] == method
    comment = (PRESETS / f"{preset}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert f"mixnn train {data}:DIR --preset {preset} --out" in comment
    assert f"`{preset}`" in (ROOT / f"docs/methods/{method}.md").read_text(encoding="utf-8")


def test_methods_names_every_preset() -> None:
    lines = {line.strip() for line in succeed("methods").out.splitlines()}
    assert lines >= {f"--preset {preset}" for preset in preset_names()}


def test_the_learning_rate_of_ssr_falls_once_to_a_fiftieth() -> None:
    options = parse(["--preset", "ssr-cifar10", "photos", "--out", "run"])[0].options
    optimizer, scheduler = build_optimizer(torch.nn.Linear(1, 1), options.for_optimizer())
    rates = []
    for _ in range(options.epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == sorted(rates, reverse=True)
    assert rates[0] / rates[-1] == pytest.approx(50, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "public-code"])
def test_presets_build_and_train(preset: str, photos: Path, tmp_path: Path) -> None:
    config, _, _ = parse(["--preset", preset, "cifar10:x", "--out", "x"])
    assert (config.options.network, config.options.epochs, config.options.weight_decay) == ("resnet34", 300, 1e-3)
    data = TrainData(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.arange(4) % 2)
    method = build_method(config.for_method(), data, 2, torch.device("cpu"))
    optimizer, scheduler = build_optimizer(method, config.options.for_optimizer())
    assert sum(p.numel() for p in method.parameters()) > 20_000_000
    section = {"paper": "mixnn", "public-code": "mixnn_public_code"}[preset]
    assert isinstance(method, METHODS[section])
    assert (optimizer.param_groups[0]["nesterov"], scheduler.T_0) == (False, 10)

    smaller = ["--network", "cnn", f"--{section}.warmup", "1", f"--{section}.mixup_until", "2"]
    smaller += [f"--{section}.correct-from", "2", "--epochs", "4"]
    succeed("train", photos, "--out", tmp_path / "run", f"--preset={preset}", *SMALL, *smaller)
    stored = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert (stored["network"], stored["weight_decay"], stored[section]["warmup"]) == ("cnn", 1e-3, 1)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [  # network, weights, epochs, batch, weight decay, falls of lr, balanced, steps an epoch, crop, E_s (SPEC.md: SELC)
        ("clothing1m", ("timm:resnet50", "hub", 40, 64, 1e-3, [10, 20], True, 2000, 224, 5)),
        ("mini-webvision", ("timm:inception_resnet_v2", None, 100, 32, 5e-4, [40, 80], False, None, 227, 40)),
    ],
)
def test_presets_of_the_big_sets(preset: str, expected: tuple[object, ...], photos: Path, tmp_path: Path) -> None:
    config, _, _ = parse(["--preset", preset, f"{preset}:x", "--out", "x"])
    o = config.options
    given = (o.network, o.weights, o.epochs, o.batch_size, o.weight_decay, o.milestones, o.balanced, o.steps_per_epoch)
    assert (*given, o.data.crop_size, config.method_options["correct_from"]) == expected
    assert (o.lr, o.momentum, o.nesterov, o.schedule, o.data.image_size) == (0.01, 0.9, False, "steps", 256)
    smaller = ["--network", "cnn", "--weights", "null", "--steps-per-epoch", "3", "--data.crop-size", "12"]
    succeed("train", photos, "--out", tmp_path / "run", f"--preset={preset}", *SMALL, *SHORT, *smaller)
    stored = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert (stored["milestones"], stored["balanced"], stored["weights"]) == (o.milestones, o.balanced, None)


@pytest.mark.parametrize(("aliases", "values"), [(98, 9_902), (99, 10_002)])
def test_values_of_settings_are_counted_without_aliases(tmp_path, aliases, values):
    path = tmp_path / "settings.yaml"
    path.write_text(f"a: &a [{', '.join('1' * 99)}]\nb: [{', '.join(['*a'] * aliases)}]\n")
    if values <= 10_000:
        assert len(read_yaml(path)["b"]) == aliases
    else:
        with pytest.raises(InputError, match=f"has {values:,} values, by aliases too: write at most 10,000$"):
            read_yaml(path)
