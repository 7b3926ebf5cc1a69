"""mixnn: train image classifiers on partly wrong labels, and find the wrong ones.

The public names load on first use, so that `mixnn --help` need not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixnn.api import Run as Run
    from mixnn.api import find as find
    from mixnn.api import train as train
    from mixnn.data.batches import Batch as Batch
    from mixnn.data.batches import TrainData as TrainData
    from mixnn.errors import InputError as InputError
    from mixnn.errors import ResultsError as ResultsError
    from mixnn.estimator.classifier import NoisyLabelClassifier as NoisyLabelClassifier
    from mixnn.evidence.consensus import find_consensus as find_consensus
    from mixnn.evidence.label_issues import find_label_issues as find_label_issues
    from mixnn.evidence.near_duplicates import NearDuplicates as NearDuplicates
    from mixnn.evidence.near_duplicates import find_near_duplicates as find_near_duplicates
    from mixnn.evidence.outliers import Outliers as Outliers
    from mixnn.evidence.outliers import find_outliers as find_outliers
    from mixnn.label_quality.consensus import Consensus as Consensus
    from mixnn.label_quality.issues import LabelIssues as LabelIssues
    from mixnn.methods import METHODS as METHODS
    from mixnn.methods.base import Method as Method
    from mixnn.methods.ce import CrossEntropy as CrossEntropy
    from mixnn.methods.mixnn import MixNN as MixNN
    from mixnn.models.classifier import Classifier as Classifier
    from mixnn.models.classifier import build_network as build_network
    from mixnn.tables.sample_table import SampleTable as SampleTable
    from mixnn.training.loop import fit as fit
    from mixnn.training.loop import seed_epoch as seed_epoch
    from mixnn.training.prediction import Model as Model

_HOME = {
    "METHODS": "mixnn.methods",
    "Batch": "mixnn.data.batches",
    "Classifier": "mixnn.models.classifier",
    "Consensus": "mixnn.label_quality.consensus",
    "CrossEntropy": "mixnn.methods.ce",
    "InputError": "mixnn.errors",
    "LabelIssues": "mixnn.label_quality.issues",
    "Method": "mixnn.methods.base",
    "MixNN": "mixnn.methods.mixnn",
    "NearDuplicates": "mixnn.evidence.near_duplicates",
    "Outliers": "mixnn.evidence.outliers",
    "Model": "mixnn.training.prediction",
    "NoisyLabelClassifier": "mixnn.estimator.classifier",
    "ResultsError": "mixnn.errors",
    "Run": "mixnn.api",
    "SampleTable": "mixnn.tables.sample_table",
    "TrainData": "mixnn.data.batches",
    "build_network": "mixnn.models.classifier",
    "find": "mixnn.api",
    "find_consensus": "mixnn.evidence.consensus",
    "find_label_issues": "mixnn.evidence.label_issues",
    "find_near_duplicates": "mixnn.evidence.near_duplicates",
    "find_outliers": "mixnn.evidence.outliers",
    "fit": "mixnn.training.loop",
    "seed_epoch": "mixnn.training.loop",
    "train": "mixnn.api",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'mixnn' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
