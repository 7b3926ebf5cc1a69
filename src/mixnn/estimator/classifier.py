"""The classifier itself. Must not know: the command line's words, files."""

from __future__ import annotations

import io
import numbers
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import get_tags, indexable
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data

    from mixnn.estimator.inputs import Geometry, checked_labels, numeric
    from mixnn.estimator.wrapped import class_probs, fit_to_targets, out_of_fold, splits_of
except ImportError as error:
    if not (error.name or "").startswith("sklearn"):
        raise
    raise InputError("NoisyLabelClassifier needs scikit-learn 1.6 or newer: pip install 'mixnn[sklearn]'") from None

POSTERIOR, CORRECT, PRUNE = TREATMENTS = ("posterior", "correct", "prune")
OURS = {"out", "resume", "source", "method", "network"}  # settings that have a place of their own


def has_proba(self: NoisyLabelClassifier) -> bool:
    fitted = getattr(self, "estimator_", self.estimator)
    return self.estimator is None or hasattr(fitted, "predict_proba")


class NoisyLabelClassifier(ClassifierMixin, BaseEstimator):
    """A scikit-learn classifier for partly wrong labels, which also says which labels are wrong.

    Every label is judged first, by `mixnn.find_label_issues`. The classifier is then fitted to what the labels
    probably are. On embeddings of a pretrained network nothing else is needed; see the page on Python.

    Args:
        method: what the classifier is fitted to. "posterior": the probability of every true label. "correct": the
            likeliest labels. "prune": the given labels without those that look wrong, as cleanlab does it. Any other
            method of `mixnn methods`, such as "elr" or "gce", trains a network on the given labels.
        estimator: a scikit-learn classifier to be fitted; where None, a linear one of our own. Its cross-validated
            probabilities are the evidence, with the neighbors' labels where X holds numbers. "posterior" needs
            `sample_weight` in its `fit` (of the last step, in a Pipeline); without it, labels are corrected.
        network: trains this network of `mixnn train` by `method`, in a temporary run directory, and no linear
            classifier; "mlp" where the method needs one.
        settings: options of `mixnn.train` for it, such as {"epochs": 20, "seed": 1}.
        cv: folds of `estimator`: their number, a splitter of scikit-learn, or (train, test) pairs.
        metric: how rows of X are compared. "cosine", as of embeddings; "euclidean", of standardized columns; "auto"
            is the second up to 32 columns.
        n_jobs: processes in which `estimator` is cross-validated, see scikit-learn.
        verbose: show what a training says.

    Attributes:
        classes_: (C,).
        label_quality_: float64 (N,) in 0–1, the probability that the given label is right; low is suspicious.
        noise_matrix_: float64 (C, C), rows sum to one: P(given label | true label).
        label_issues_: `mixnn.LabelIssues`, with the posterior, the suggestions and the noise rate.
        estimator_: what was fitted.
        n_features_in_, feature_names_in_: see scikit-learn.

    Raises:
        InputError: an argument is wrong, a label is missing, or there are fewer than two classes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> truth = np.repeat(["cat", "dog"], 100)
        >>> X = rng.normal(size=(200, 64)) + 6 * np.eye(2, 64)[(truth == "dog").astype(int)]
        >>> y = truth.copy()
        >>> y[:20] = "dog"
        >>> classifier = NoisyLabelClassifier().fit(X, y)
        >>> float(classifier.score(X, truth)), int(classifier.label_issues_.is_label_issue.sum())
        (1.0, 20)
    """

    def __init__(
        self,
        method: str = POSTERIOR,
        estimator: Any = None,
        *,
        network: str | None = None,
        settings: Mapping[str, Any] | None = None,
        cv: Any = 5,
        metric: str = "auto",
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.method = method
        self.estimator = estimator
        self.network = network
        self.settings = settings
        self.cv = cv
        self.metric = metric
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any, verified: Any = None) -> NoisyLabelClassifier:
        """Judge every label, and fit the classifier.

        Args:
            X: (N, D), an array or a pandas or Polars frame; with `estimator`, whatever that takes.
            y: N labels, names or numbers.
            verified: (N,) booleans, labels that a person has confirmed.

        Raises:
            InputError: see the class; or scikit-learn's ValueError, where X or y have a wrong shape.
        """
        data, given = self._judge(X, y, verified)
        if self._trains():
            self.estimator_ = self._train(data, given)
            return self
        targets = self._targets()
        if self.estimator is None:
            from mixnn.evidence.linear_classifier import fit_linear_classifier

            self.estimator_ = fit_linear_classifier(self._geometry.scaled(data), targets)
        else:
            self.estimator_ = fit_to_targets(self.estimator, data, self.classes_, targets)
        return self

    def find_label_issues(self, X: Any, y: Any, verified: Any = None) -> Any:
        """The table of `get_label_issues`, without fitting the classifier that predicts.

        Args:
            X, y, verified: see `fit`.
        """
        self._judge(X, y, verified)
        return self.get_label_issues()

    def get_label_issues(self) -> Any:
        """A pandas DataFrame with a row a sample: is_label_issue, label_quality, given_label, predicted_label, …

        Its index is that of X, where X is a pandas DataFrame.

        Raises:
            InputError: pandas is not installed.
        """
        check_is_fitted(self, "label_issues_")
        frame = self.label_issues_.to_frame()
        return frame if self._index is None else frame.set_index(self._index)

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row, (N,)."""
        check_is_fitted(self, "estimator_")
        if self.estimator is None:
            return self.classes_[self._probs(X).argmax(1)]
        return self.estimator_.predict(X)

    @available_if(has_proba)
    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """(N, C), in the order of `classes_`."""
        check_is_fitted(self, "estimator_")
        if self.estimator is None:
            return self._probs(X)
        return class_probs(self.estimator_, X, self.classes_)

    def _probs(self, X: Any) -> NDArray[np.floating]:
        """Of a classifier of ours."""
        data = validate_data(self, X, reset=False)
        if self._trains():
            return self.estimator_.predict(data.astype(np.float32))[:, self._columns]
        return self.estimator_.predict_proba(self._geometry.scaled(data))

    def _trains(self) -> bool:
        return self.network is not None or self.method not in TREATMENTS

    def _check(self) -> None:
        """Raise InputError where an argument is wrong."""
        if self.metric not in ("auto", "cosine", "euclidean"):
            raise InputError(f"metric is {self.metric!r}: use auto, cosine or euclidean")
        if self._trains():
            from mixnn.methods import METHODS

            methods = [name for name in METHODS if name not in TREATMENTS]
            if self.method not in METHODS:
                names = ", ".join([*TREATMENTS, *methods])
                raise InputError(f"method is {self.method!r}: use one of {names}")
            if self.estimator is not None:
                raise InputError(
                    f"method {self.method!r} trains a network of ours, and estimator is {type(self.estimator).__name__}"
                    f": use method {', '.join(TREATMENTS[:2])} or {PRUNE} with it, and no network"
                )
            if clash := sorted(OURS & set(self.settings or {})):
                raise InputError(f"settings has {clash[0]!r}: leave it out; method and network are arguments")
        elif self.settings is not None:
            raise InputError(f"settings is {self.settings!r}, and nothing is trained: give network='mlp' too")
        if isinstance(self.cv, numbers.Integral) and self.cv < 2:
            raise InputError(f"cv is {self.cv}: use at least 2")

    def _judge(self, X: Any, y: Any, verified: Any) -> tuple[Any, NDArray[np.int64]]:
        """X, and the labels as places in `classes_` (N,); attributes are set."""
        from mixnn.evidence.inputs import checked_verified
        from mixnn.evidence.label_issues import label_issues
        from mixnn.label_quality.posterior import estimate_label_quality

        self._check()
        data, labels = self._validated(X, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that there are many classes is for the caller to know
            check_classification_targets(labels)
        self.classes_, given = np.unique(labels, return_inverse=True)
        classes = self.classes_.tolist()
        if len(classes) < 2:
            found = f"1 class ({classes[0]!r})" if classes else "no labels"
            raise InputError(f"y has {found}: give at least two classes")
        confirmed = checked_verified(verified, given)
        index = getattr(X, "index", None)
        self._index = index if hasattr(X, "iloc") else None
        values = data if self.estimator is None else numeric(data)
        features = None
        if values is not None:
            import torch

            self._geometry = Geometry.of(values, self.metric)
            features = torch.from_numpy(self._geometry.lifted(values))
            features /= features.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
        probs = None
        if self.estimator is not None:
            splits = splits_of(self.cv, data, labels, given)
            probs = out_of_fold(self.estimator, data, labels, self.classes_, splits, self.n_jobs)
        if features is None:
            issues = estimate_label_quality(given, classes, probs, None, verified=confirmed)
        else:
            issues = label_issues(features, given, classes, verified=confirmed, pred_probs=probs).issues
        self.label_issues_, self.label_quality_, self.noise_matrix_ = issues, issues.label_quality, issues.noise_matrix
        return data, given

    def _validated(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
        """X as an array (N, D), or as it is for `estimator`; y as an array (N,)."""
        labels = y if y is None else checked_labels(y)
        if self.estimator is None:
            return validate_data(self, X, labels)
        validate_data(self, X, labels, skip_check_array=True)
        return tuple(indexable(X, labels))

    def _targets(self) -> NDArray[np.floating]:
        """What the classifier is fitted to, (N, C): rows sum to one, or hold zeros where a sample is left out."""
        issues = self.label_issues_
        if self.method == POSTERIOR:
            table: NDArray[np.floating] = issues.label_posterior[:]
            return table
        labels = issues.given if self.method == PRUNE else np.where(issues.verified, issues.given, issues.suggested)
        one_hot = np.eye(len(self.classes_), dtype=np.float32)[labels]
        return one_hot * ~issues.is_label_issue[:, None] if self.method == PRUNE else one_hot

    def _train(self, X: NDArray[Any], given: NDArray[np.int64]) -> Any:
        """The model of a run of `mixnn.train`."""
        from mixnn.api import train

        settings = {"data": {"holdout": 0}, "device": "auto"} | dict(self.settings or {})
        device = settings["device"]
        with TemporaryDirectory() as folder, quiet(not self.verbose):
            data = (X.astype(np.float32), given)
            run = train(data, out=f"{folder}/run", method=self.method, network=self.network or "mlp", **settings)
            self._columns = np.argsort([int(name) for name in run.classes])
            return run.model(device)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.estimator is not None:
            tags.input_tags = get_tags(self.estimator).input_tags
        return tags


@contextmanager
def quiet(silent: bool) -> Iterator[None]:
    """Nothing is printed while a training runs, unless it is to be."""
    with ExitStack() as stack:
        for redirect in (redirect_stdout, redirect_stderr) if silent else ():
            stack.enter_context(redirect(io.StringIO()))
        yield
