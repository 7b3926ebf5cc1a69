"""One pass of networks over the whole training set in eval mode. Must not know: methods, targets, files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mixnn.data.batches import TrainData
from mixnn.data.images.pixels import TensorPixels
from mixnn.distributed.ranks import broadcast_from_rank0, gather_rows, shard
from mixnn.evidence.pca import principal_components
from mixnn.models.classifier import Classifier, fused
from mixnn.tables.topk_rows import feature_bytes, feature_width, topk_size
from mixnn.tables.topk_tensors import as_float16, concatenated, to_topk

PCA_SAMPLES = 2**14  # samples that say in which directions features differ


class EvalOutputs(NamedTuple):
    """What M networks say of N samples, the same on every rank.

    Attributes:
        features: (N, D) of the first network, float32; where compact, maybe float16 up to their lengths, or fewer.
        probs: (N, C), the mean of what the networks say, float32; where compact, a table of `tables.topk_tensors`.
        log_label: (N, M) float32, log-probability of the label that was asked about.
    """

    features: Tensor
    probs: Tensor
    log_label: Tensor


@torch.no_grad()
def eval_pass(
    networks: Sequence[Classifier],
    data: TrainData,
    *,
    labels: Tensor | None = None,
    rows: Tensor | None = None,
    compact: bool = False,
) -> EvalOutputs:
    """What networks say of training samples: no augmentation, no dropout, no statistics updated.

    Args:
        networks: M ≥ 1, of C classes each.
        data: N samples.
        labels: int64 (N,), which `log_label` is about; the given ones where None. Below 0 stands for the first class.
        rows: int64 (n,), the same on every rank and one for each at least: these samples only, in this order.
        compact: hold what would be very large in fewer bytes, see `tables.topk_rows`.

    Example:
        >>> features, probs, log_label = eval_pass([network], data)  # doctest: +SKIP
    """
    fused_networks = [fused(network) for network in networks]
    rows = torch.arange(len(data)) if rows is None else rows.cpu()
    own = rows[shard(len(rows))]
    labels = (data.labels if labels is None else labels)[own.to(data.labels.device)].clamp_min(0)
    width, classes = networks[0].head.in_features, networks[0].head.out_features
    size, topk, directions = 4, None, None
    if compact:
        size, topk = feature_bytes(len(data), width), topk_size(len(data), classes)
        if feature_width(len(data), width) < width:
            directions = main_components(networks[0], data)

    def seen() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        done = 0
        for x in data.inputs(own):
            outputs = [network.features_and_logits(x) for network in fused_networks]
            log_p = torch.stack([logits.log_softmax(1) for _, logits in outputs])  # (M, B, C)
            y = labels[None, done : done + len(x), None].expand(len(outputs), -1, -1)  # (M, B, 1)
            z = outputs[0][0] if directions is None else outputs[0][0] @ directions
            yield as_float16(z, size), to_topk(log_p.exp().mean(0), topk), log_p.gather(2, y)[..., 0].T
            done += len(x)

    return EvalOutputs(*map(gather_rows, concatenated(len(own), seen())))


def main_components(network: Classifier, data: TrainData) -> Tensor:
    """Directions in which features differ most, by some samples: orthonormal, float32 (D, M), M by `feature_width`."""
    some = torch.arange(0, len(data), -(-len(data) // PCA_SAMPLES))
    z = normalize(eval_pass([network], data, rows=some).features).nan_to_num(0)  # of one that diverged any will do
    count = feature_width(len(data), z.shape[1])
    return broadcast_from_rank0(principal_components([z], count)[1].float().contiguous())


def embeddings(data: TrainData) -> Tensor:
    """The inputs themselves, (N, D), the same on every rank."""
    size = feature_bytes(len(data), next(data.inputs(torch.arange(1))).shape[1])
    own = range(len(data))[shard(len(data))]
    [rows] = concatenated(len(own), ((as_float16(x, size),) for x in data.full_batches()))
    return gather_rows(rows)


def embedded(data: TrainData) -> Tensor:
    """The inputs themselves, (N, D), as they lie, which may be in a file."""
    pixels = data.pixels
    if isinstance(pixels, TensorPixels) and len(pixels) == len(pixels.tensor):
        return pixels.tensor.to(pixels.device)
    return torch.cat(list(data.full_batches()))


def is_embeddings(data: TrainData) -> bool:
    """Whether its inputs are features already, and no images."""
    return next(data.inputs(torch.arange(1))).dim() == 2
