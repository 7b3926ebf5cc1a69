"""mixnn: train image classifiers on partly wrong labels, and find the wrong ones.

The public names load on first use, so that `mixnn --help` need not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixnn.data.batch import Batch as Batch
    from mixnn.data.train_data import TrainData as TrainData
    from mixnn.errors import InputError as InputError
    from mixnn.evidence.find import find_label_issues as find_label_issues
    from mixnn.label_quality.issues import LabelIssues as LabelIssues
    from mixnn.methods import METHODS as METHODS
    from mixnn.methods.base import Method as Method
    from mixnn.methods.ce import CrossEntropy as CrossEntropy
    from mixnn.methods.mixnn import MixNN as MixNN
    from mixnn.networks import Classifier as Classifier
    from mixnn.networks import build_network as build_network
    from mixnn.tables import SampleTable as SampleTable
    from mixnn.train.loop import fit as fit
    from mixnn.train.loop import seed_epoch as seed_epoch

_HOME = {
    "METHODS": "mixnn.methods",
    "Batch": "mixnn.data.batch",
    "Classifier": "mixnn.networks",
    "CrossEntropy": "mixnn.methods.ce",
    "InputError": "mixnn.errors",
    "LabelIssues": "mixnn.label_quality.issues",
    "Method": "mixnn.methods.base",
    "MixNN": "mixnn.methods.mixnn",
    "SampleTable": "mixnn.tables",
    "TrainData": "mixnn.data.train_data",
    "build_network": "mixnn.networks",
    "find_label_issues": "mixnn.evidence.find",
    "fit": "mixnn.train.loop",
    "seed_epoch": "mixnn.train.loop",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'mixnn' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
