"""Do samples of one class stay together, and do the losses have two humps? Maps, histograms and purity over epochs.

    python -m benchmarks.representations cifar10:DIR --human FILE --out docs/studies [--epochs 40] [--seed 0]

MixNN with its default settings on the first 10 000 CIFAR-10 training images, once for each kind of wrong labels; FILE
holds CIFAR-10N's. Writes `representations-KIND.png`, `purity.png` and `representations.json`, the figures behind them.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from benchmarks.suite.suites import SMALL
from mixnn.config import RunConfig, TrainOptions
from mixnn.data.batches import TrainData
from mixnn.data.load import load
from mixnn.data.read import read
from mixnn.evidence.forward_pass import eval_pass
from mixnn.evidence.loss_mixture import loss_mixture_clean_prob, min_max
from mixnn.evidence.neighbors.search import nearest_neighbors
from mixnn.methods.base import Method
from mixnn.runs.environment import environment
from mixnn.training.build import build_method, build_optimizer, with_defaults
from mixnn.training.loop import fit

SHOWN = 2_000  # samples on a map
NEIGHBORS = 10
CLEAN, WRONG = "#1b7f79", "#d1495b"


@dataclass
class Snapshots:
    """An observer of `fit` that looks at all samples after each epoch, and keeps features and losses of some."""

    method: Method
    data: TrainData
    true_labels: Tensor
    kept: set[int]
    rows: list[dict[str, float]] = field(default_factory=list)
    looks: dict[int, dict[str, Any]] = field(default_factory=dict)

    def step_done(self, epoch: int, loss: Tensor, samples: int) -> None:
        pass

    @torch.no_grad()
    def epoch_done(self, epoch: int, loss: float, seconds: dict[str, float]) -> None:
        features, _, log_given = eval_pass([self.method.network], self.data)
        nearest = nearest_neighbors(features, NEIGHBORS, metric="cosine")
        given = self.data.labels
        losses = min_max(-log_given[:, 0])
        clean, mixture = loss_mixture_clean_prob(losses, normalized=True)
        wrong = given != self.true_labels
        self.rows.append(
            {
                "epoch": epoch + 1,
                "purity_true": share(self.true_labels[nearest] == self.true_labels[:, None]),
                "purity_true_of_wrong": share((self.true_labels[nearest] == self.true_labels[:, None])[wrong]),
                "purity_given": share(given[nearest] == given[:, None]),
                "separation": 0.0 if mixture is None else mixture.separation,
                "roc_auc": roc_auc(clean, wrong),
                "right_targets": share(targets.argmax(1) == self.true_labels)
                if (targets := self.method.soft_targets()) is not None
                else float("nan"),
            }
        )
        if epoch + 1 in self.kept:
            self.looks[epoch + 1] = {"features": features.numpy(), "losses": losses.numpy(), "mixture": mixture}


def share(right: Tensor) -> float:
    return right.float().mean().item()


def roc_auc(clean: Tensor, wrong: Tensor) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(wrong.numpy(), -clean.numpy()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--human", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=SMALL["epochs"])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    kinds = {"symmetric": "symmetric:0.5", "human": f"file:{given.human}:worse_label", "asymmetric": "asymmetric:0.4"}
    purity: dict[str, list[dict[str, float]]] = {}
    for kind, noise in kinds.items():
        seen = watch(given.source, noise, given.epochs, given.seed)
        purity[kind] = seen.rows
        draw_looks(seen, kind, given.out / f"representations-{kind}.png")
        result = {"seed": given.seed, "rows": purity, "environment": environment(given.seed, "cpu", "auto")}
        del result["environment"]["command"]  # type: ignore[attr-defined]
        (given.out / "representations.json").write_text(json.dumps(result, indent=1) + "\n")
        print(kind, json.dumps(seen.rows[-1]), flush=True)
    draw_purity(purity, given.out / "purity.png")


def watch(source: str, noise: str, epochs: int, seed: int) -> Snapshots:
    """Train once and look on."""
    options = TrainOptions(**{**SMALL, "noise": noise, "epochs": epochs, "seed": seed})
    config = with_defaults(RunConfig(source, options))
    device = torch.device("cpu")
    loaded = load(read(source, options.data), options.for_reading(), device)
    assert loaded.dataset.original is not None
    method = build_method(config.for_method(), loaded.train, len(loaded.dataset.classes), device)
    optimizer, scheduler = build_optimizer(method, options.for_optimizer())
    warmup, middle = config.method_options["warmup"], epochs // 2
    seen = Snapshots(method, loaded.train, torch.from_numpy(loaded.dataset.original), {warmup, middle, epochs})
    fit(method, loaded.train, optimizer, scheduler, epochs=epochs, seed=seed, observers=[seen])
    return seen


def draw_looks(seen: Snapshots, kind: str, path: Path) -> None:
    """A row for each look: PCA and t-SNE by given and by true label, and the losses with their mixture."""
    given, true = seen.data.labels.numpy(), seen.true_labels.numpy()
    some = np.random.RandomState(0).permutation(len(given))[:SHOWN]
    figure = Figure(figsize=(20, 4 * len(seen.looks)), dpi=80, facecolor="white", layout="constrained")
    axes = figure.subplots(len(seen.looks), 5, squeeze=False)
    for row, (epoch, look) in zip(axes, seen.looks.items(), strict=True):
        features = look["features"][some]
        maps = {
            "PCA": PCA(2, random_state=0).fit_transform(features),
            "t-SNE": TSNE(2, random_state=0, init="pca").fit_transform(features),
        }
        pairs = [(name, words) for name in maps for words in ("given", "true")]
        for axis, (name, words) in zip(row, pairs, strict=False):
            labels = (given if words == "given" else true)[some]
            axis.scatter(*maps[name].T, c=labels, cmap="tab10", s=5, linewidths=0)
            axis.set(xticks=[], yticks=[], title=f"epoch {epoch}: {name}, color: {words} label")
        draw_losses(row[4], look, given != true, epoch)
    figure.suptitle(f"MixNN on CIFAR-10, 10 000 images, {kind} noise", fontsize=16)
    figure.savefig(path)


def draw_losses(axis: Any, look: dict[str, Any], wrong: Any, epoch: int) -> None:
    losses, bins = look["losses"], np.linspace(0, 1, 61)
    axis.hist([losses[~wrong], losses[wrong]], bins, stacked=True, color=[CLEAN, WRONG], label=["right", "wrong"])
    if look["mixture"] is not None:
        x = torch.linspace(0, 1, 400)
        density = look["mixture"].log_joint(x).exp().numpy() * len(losses) / 60
        axis.plot(x, density, color="black", linewidth=1)
        axis.set_title(f"epoch {epoch}: losses, separation {look['mixture'].separation:.2f}")
    axis.set_ylim(0, 1.05 * np.sort(np.histogram(losses, bins)[0])[-2])  # the first bar may be a tower
    axis.legend(frameon=False)


def draw_purity(purity: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Over epochs: neighbors of the same class, and how well the losses tell wrong labels."""
    figure = Figure(figsize=(16, 5), dpi=90, facecolor="white", layout="constrained")
    titles = {
        "purity_true": "neighbors with the same true label",
        "purity_true_of_wrong": "the same, of samples with a wrong label",
        "roc_auc": "ROC AUC of the clean probability",
        "right_targets": "soft targets that are right",
    }
    for axis, (name, title) in zip(figure.subplots(1, 4), titles.items(), strict=True):
        for kind, rows in purity.items():
            axis.plot([row["epoch"] for row in rows], [row[name] for row in rows], label=kind)
        axis.set(title=title, xlabel="epoch")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning, module="sklearn")
    main()
