"""`mixnn.NoisyLabelClassifier` does what scikit-learn and users of CleanLearning expect."""

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas
import polars
import pytest
from contract.command import ENVIRONMENT
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

import mixnn
from mixnn import NoisyLabelClassifier
from mixnn.estimator.wrapped import fit_to_targets, weight_parameter


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings (120, 40), given labels with ten mistakes in the first rows, true labels."""
    truth = np.repeat(["cat", "dog", "owl"], 40)
    x = np.random.default_rng(0).normal(size=(120, 40)) + 6 * np.eye(3, 40)[np.repeat([0, 1, 2], 40)]
    given = truth.copy()
    given[:10] = "dog"
    return x, given, truth


def test_mistakes_are_found_and_not_learned(data: Any) -> None:
    x, given, truth = data
    fitted = NoisyLabelClassifier().fit(x, given)
    assert fitted.classes_.tolist() == ["cat", "dog", "owl"]
    assert np.flatnonzero(fitted.label_issues_.is_label_issue).tolist() == list(range(10))
    assert fitted.label_quality_[:10].max() < 0.1 < 0.9 < fitted.label_quality_[10:].min()
    np.testing.assert_allclose(fitted.noise_matrix_[0], [0.75, 0.25, 0], atol=0.05)  # 10 of 40 cats are called dogs
    assert fitted.score(x, truth) == 1
    probs = fitted.predict_proba(x)
    assert probs.shape == (120, 3)
    np.testing.assert_allclose(probs.sum(1), 1)
    assert (fitted.classes_[probs.argmax(1)] == fitted.predict(x)).all()
    same = mixnn.find_label_issues(given, x)  # wide features are compared as that does
    np.testing.assert_allclose(fitted.label_quality_, same.label_quality, atol=1e-6)


@pytest.mark.parametrize("method", ["posterior", "correct", "prune"])
@pytest.mark.parametrize("estimator", [LogisticRegression(), GaussianNB(), KNeighborsClassifier(15), LinearSVC(), None])
def test_any_classifier_is_wrapped(data: Any, method: str, estimator: Any) -> None:
    x, given, truth = data
    fitted = NoisyLabelClassifier(method, estimator).fit(x, given)
    assert fitted.score(x, truth) > 0.99
    found = set(np.flatnonzero(fitted.label_issues_.is_label_issue).tolist())
    assert len(found & set(range(10))) >= 9
    assert len(found) <= 11
    assert hasattr(fitted, "predict_proba") is (not isinstance(estimator, LinearSVC))


def test_the_posterior_is_a_weight_where_there_are_weights() -> None:
    targets = np.array([[0.75, 0.25], [0.0, 1.0], [0.0, 0.0]])
    seen = []

    class Seen(LogisticRegression):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            seen.append((X.ravel().tolist(), y.tolist(), sample_weight.tolist()))
            return self

    fit_to_targets(Seen(), np.array([[1.0], [2.0], [3.0]]), np.array(["a", "b"]), targets)
    assert seen == [([1.0, 1.0, 2.0], ["a", "b", "b"], [0.75, 0.25, 1.0])]
    assert (
        weight_parameter(make_pipeline(StandardScaler(), LogisticRegression())) == "logisticregression__sample_weight"
    )
    assert weight_parameter(make_pipeline(StandardScaler(), KNeighborsClassifier())) is None
    assert weight_parameter(KNeighborsClassifier()) is None


@pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame], ids=["pandas", "polars"])
def test_frames(data: Any, frame: Any) -> None:
    x, given, truth = data
    columns = {f"f{i}": x[:, i] for i in range(x.shape[1])}
    table, labels = frame(columns), frame({"label": given})["label"]
    for estimator in (None, LogisticRegression()):
        fitted = NoisyLabelClassifier(estimator=estimator).fit(table, labels)
        assert fitted.feature_names_in_.tolist() == list(columns)
        assert fitted.score(table, truth) > 0.99
        assert fitted.get_label_issues()["given_label"].tolist() == given.tolist()


def test_the_table_has_cleanlab_s_columns_and_the_index_of_x(data: Any) -> None:
    x, given, truth = data
    table = pandas.DataFrame(x, index=[f"row {i}" for i in range(len(x))])
    classifier = NoisyLabelClassifier()
    issues = classifier.find_label_issues(table, given)
    assert list(issues.columns[:4]) == ["is_label_issue", "label_quality", "given_label", "predicted_label"]
    assert table[issues["is_label_issue"]].index.tolist() == [f"row {i}" for i in range(10)]
    assert issues["predicted_label"].tolist() == truth.tolist()
    assert not hasattr(classifier, "estimator_")
    pandas.testing.assert_frame_equal(classifier.get_label_issues(), issues)


def test_texts_and_sparse_features_are_for_the_wrapped_estimator() -> None:
    texts = ["a cat meows"] * 20 + ["the dog barks"] * 20
    given = np.repeat([7, 9], 20)
    given[0] = 9
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    fitted = NoisyLabelClassifier(estimator=pipeline).fit(texts, given)
    assert np.flatnonzero(fitted.label_issues_.is_label_issue).tolist() == [0]
    assert fitted.predict(["cat", "dog"]).tolist() == [7, 9]
    sparse = csr_array(TfidfVectorizer().fit_transform(texts))
    assert NoisyLabelClassifier(estimator=LogisticRegression()).fit(sparse, given).predict(sparse[:1]).tolist() == [7]
    with pytest.raises(TypeError, match=r"[Ss]parse data"):
        NoisyLabelClassifier().fit(sparse, given)


def test_it_works_in_scikit_learn_s_tools(data: Any) -> None:
    x, given, truth = data
    pipeline = make_pipeline(StandardScaler(), NoisyLabelClassifier()).set_output(transform="polars")
    assert (cross_val_predict(pipeline, x, given, cv=3) == truth).mean() >= 0.95
    classifier = NoisyLabelClassifier(estimator=RandomForestClassifier(10, random_state=0), cv=StratifiedKFold(3))
    search = GridSearchCV(classifier, {"method": ["prune"], "estimator__max_depth": [2, 3]}, cv=2).fit(x, given)
    assert search.best_estimator_.score(x, truth) > 0.95
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert (again.predict_proba(x) == search.predict_proba(x)).all()
    assert clone(classifier).get_params()["estimator__n_estimators"] == 10


def test_what_is_verified_is_kept(data: Any) -> None:
    x, given, _ = data
    verified = np.arange(len(x)) < 2
    for method in ("posterior", "correct", "prune"):
        fitted = NoisyLabelClassifier(method, KNeighborsClassifier(1)).fit(x, given, verified=verified)
        assert fitted.predict(x[:3]).tolist() == ["dog", "dog", "cat"]
        assert fitted.label_quality_[:2].tolist() == [1, 1]


def test_a_class_of_one_is_not_doubted(data: Any) -> None:
    x, given, _ = data
    given = given.astype(object)
    given[50] = "rare"
    fitted = NoisyLabelClassifier("prune", GaussianNB()).fit(x, given)
    assert not fitted.label_issues_.is_label_issue[50]
    assert fitted.predict_proba(x).shape == (120, 4)


def test_few_columns_are_compared_by_distance() -> None:
    """Two rings differ in length alone, which a cosine does not see."""
    random, radius = np.random.default_rng(0), np.repeat([1.0, 3.0], 100)
    angle = random.uniform(0, 2 * np.pi, 200)
    x = radius[:, None] * np.c_[np.cos(angle), np.sin(angle)] + random.normal(scale=0.1, size=(200, 2))
    given = (radius > 2).astype(int)
    given[:10] = 1
    found = {m: NoisyLabelClassifier(metric=m).fit(x, given).label_issues_.is_label_issue for m in ("auto", "cosine")}
    assert np.flatnonzero(found["auto"]).tolist() == list(range(10))
    assert found["cosine"].sum() != 10


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gce", "posterior"])
def test_methods_of_training_train_a_network(data: Any, method: str, capfd: pytest.CaptureFixture[str]) -> None:
    x, given, truth = data
    settings = {"epochs": 15, "batch_size": 30, "seed": 1, "device": "cpu", "lr": 0.05}
    fitted = NoisyLabelClassifier(method, network="mlp", settings=settings).fit(x, given)
    assert capfd.readouterr() == ("", "")
    assert fitted.score(x[10:], truth[10:]) > 0.95
    assert fitted.label_issues_.is_label_issue.sum() == 10
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.predict_proba(x) == fitted.predict_proba(x)).all()


def test_more_than_ten_classes_keep_their_columns_in_a_network() -> None:
    y = np.repeat(np.arange(12), 10)
    x = (8 * np.eye(12)[y] + np.random.default_rng(0).normal(size=(120, 12))).astype(np.float32)
    settings = {"epochs": 10, "batch_size": 20, "device": "cpu", "lr": 0.1}
    assert NoisyLabelClassifier("ce", settings=settings).fit(x, y * 3).score(x, y * 3) > 0.95


@pytest.mark.parametrize(
    ("options", "labels", "message"),
    [
        ({"method": "posteriour"}, None, "method is 'posteriour': use one of posterior, correct, prune, "),
        ({"metric": "l2"}, None, "metric is 'l2': use auto, cosine or euclidean"),
        ({"cv": 1, "estimator": GaussianNB()}, None, "cv is 1: use at least 2"),
        (
            {"settings": {"epochs": 2}},
            None,
            "settings is {'epochs': 2}, and nothing is trained: give network='mlp' too",
        ),
        ({"method": "ce", "settings": {"out": "x"}}, None, "settings has 'out': leave it out; method and network are"),
        (
            {"method": "ce", "estimator": GaussianNB()},
            None,
            "method 'ce' trains a network of ours, and estimator is Gau",
        ),
        ({"method": "ce", "settings": {"epoch": 2}}, None, "epoch=2: did you mean epochs"),
        ({}, ["a"] * 4, r"y has 1 class \('a'\): give at least two classes"),
        ({}, ["a", None, "b", np.nan], r"y has no label in row 1 \(2 rows\): leave them out of X and y"),
        (
            {},
            np.array(["a", 1, "b", "b"], dtype=object),
            "y has names and numbers: give all labels as one or the other",
        ),
    ],
)
def test_wrong_input(options: dict[str, Any], labels: Any, message: str) -> None:
    labels = labels if labels is not None else ["a", "a", "b", "b"]
    with pytest.raises(mixnn.InputError, match=message) as caught:
        NoisyLabelClassifier(**options).fit(np.random.default_rng(0).normal(size=(4, 3)), labels)
    assert "\n" not in str(caught.value)


def test_without_scikit_learn_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import mixnn; print('sklearn.base' in sys.modules)\n"
    code += "try: mixnn.NoisyLabelClassifier\nexcept mixnn.InputError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    said = "NoisyLabelClassifier needs scikit-learn 1.6 or newer: pip install 'mixnn[sklearn]'"
    assert done.stdout.splitlines() == ["False", said]


CHECKED = [None, LogisticRegression(), RandomForestClassifier(5, random_state=0), LinearSVC(), KNeighborsClassifier()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", CHECKED, ids=lambda estimator: type(estimator).__name__)
def test_every_check_of_scikit_learn_passes(estimator: Any) -> None:
    results = check_estimator(NoisyLabelClassifier(estimator=estimator), on_skip=None)
    skipped = {result["check_name"] for result in results if result["status"] != "passed"}
    assert skipped <= {"check_array_api_input"}  # for want of an environment variable, whatever the estimator
