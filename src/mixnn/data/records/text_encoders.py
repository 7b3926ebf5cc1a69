"""Frozen encoders of text: wordllama, sentence-transformers, TF-IDF. Must not know: labels, files, torch.

None of them has seen a label. Libraries are imported when they are needed.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.records.records import Progress, Records
from mixnn.errors import InputError

SENTENCE = "sentence-transformers:"
KINDS = f"auto, wordllama, tf-idf or {SENTENCE}NAME"
BATCH = 1024  # texts at a time
WIDTH = 256  # of TF-IDF after the decomposition
VOCABULARY = 50_000  # words, and pairs of them, the most frequent ones


def text_encoder(name: str) -> WordLlama | SentenceTransformer | TfIdf:
    """The encoder that `--data.text-encoder` names, not yet fitted.

    Raises:
        InputError: there is none of that name, or its package is not installed.
    """
    if name.startswith(SENTENCE):
        return SentenceTransformer(name.removeprefix(SENTENCE))
    if name not in ("auto", "wordllama", "tf-idf"):
        raise InputError(f"--data.text-encoder {name}: use {KINDS}")
    if name != "tf-idf" and importlib.util.find_spec("wordllama") is not None:
        return WordLlama()
    if name == "wordllama":
        raise InputError("--data.text-encoder wordllama needs wordllama: pip install 'mixnn[text]'")
    if importlib.util.find_spec("sklearn") is None:
        raise InputError("features of texts need wordllama, or scikit-learn for TF-IDF: pip install 'mixnn[text]'")
    better = "wordllama knows what words mean: pip install 'mixnn[text]'" if name == "auto" else ""
    return TfIdf(better)


class WordLlama:
    """The mean of word vectors that were taken out of a language model and made smaller, 256 wide (wordllama, MIT).

    Its weights lie in the package. The order of words does not count, and no text is cut off.
    """

    def __init__(self) -> None:
        package = importlib.import_module("wordllama")
        folder = Path(str(package.__file__)).parent
        # Its tokenizer is looked for beside its own package only where told so (wordllama 0.4.0).
        self.model = package.WordLlama.load(cache_dir=folder, disable_download=True)
        self.notes = ["wordllama, without regard to the order of words"]

    def fit(self, texts: Sequence[str], seed: int) -> None:
        """There is nothing to fit."""

    def encode(self, records: Records, progress: Progress) -> NDArray[np.float32]:
        texts, parts = records.texts(), []
        for start in range(0, len(texts), BATCH):
            parts.append(np.asarray(self.model.embed(texts[start : start + BATCH]), np.float32))
            progress(min(start + BATCH, len(texts)), len(texts))
        return np.nan_to_num(np.concatenate(parts))

    def about(self) -> dict[str, Any]:
        return {"encoder": "wordllama"}

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {}


class SentenceTransformer:
    """A transformer of the user's choice (Reimers & Gurevych, "Sentence-BERT", arXiv 1908.10084).

    Args:
        name: a folder, or a name on the hub.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            package = importlib.import_module("sentence_transformers")
        except ImportError:
            raise InputError(f"{SENTENCE}{name} needs its package: pip install sentence-transformers") from None
        try:
            self.model = package.SentenceTransformer(name)
        except Exception as error:  # whatever the hub or the files make it raise
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{SENTENCE}{name} cannot be loaded ({reason}): give a folder, or a name on the hub"
            ) from None
        self.notes = [f"{SENTENCE}{name}, which reads {self.model.max_seq_length} tokens of a text"]

    def fit(self, texts: Sequence[str], seed: int) -> None:
        """There is nothing to fit."""

    def encode(self, records: Records, progress: Progress) -> NDArray[np.float32]:
        texts, parts = records.texts(), []
        for start in range(0, len(texts), BATCH):
            found = self.model.encode(texts[start : start + BATCH], show_progress_bar=False)
            parts.append(np.asarray(found, np.float32))
            progress(min(start + BATCH, len(texts)), len(texts))
        return np.concatenate(parts)

    def about(self) -> dict[str, Any]:
        return {"encoder": f"{SENTENCE}{self.name}"}

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {}


class TfIdf:
    """Words and pairs of words, weighted by how rare they are, along their first 256 singular vectors (scikit-learn).

    Deerwester et al., "Indexing by latent semantic analysis", JASIS 41, 1990. Where texts have no spaces between
    words, as Chinese has, pieces of two to four signs take their place.

    Args:
        better: what a person may install for better features.
    """

    def __init__(self, better: str = "") -> None:
        self.better, self.notes = better, ["TF-IDF"]
        self.words: list[str] = []
        self.idf = np.zeros(0)
        self.vectors = np.zeros((0, 0), np.float32)  # (V, D)
        self.analyzer = "word"

    def fit(self, texts: Sequence[str], seed: int) -> None:
        """Raises InputError where no text has a word."""
        decomposition = importlib.import_module("sklearn.decomposition")
        lengths = [len(text.split()) for text in texts]
        self.analyzer = "word" if np.median(lengths) > 1 else "char_wb"
        vectorizer = self.vectorizer(min_df=2 if len(texts) > 100 else 1, max_features=VOCABULARY)
        try:
            counts = vectorizer.fit_transform(texts)
        except ValueError as error:
            raise InputError(f"the texts have no words that TF-IDF could count ({error}): correct the column") from None
        self.words, self.idf = vectorizer.get_feature_names_out().tolist(), vectorizer.idf_
        width = min(WIDTH, min(counts.shape) - 1)
        if width < 2:
            self.vectors = np.eye(counts.shape[1], dtype=np.float32)
        else:
            found = decomposition.TruncatedSVD(width, random_state=seed).fit(counts)
            self.vectors = found.components_.T.astype(np.float32)
        unit = "words and pairs of words" if self.analyzer == "word" else "pieces of words"
        self.notes = [f"TF-IDF of {len(self.words):,} {unit}, along {self.vectors.shape[1]} singular vectors"]
        self.notes += [self.better] if self.better else []

    def vectorizer(self, **how: Any) -> Any:
        text = importlib.import_module("sklearn.feature_extraction.text")
        if self.analyzer == "word":
            how |= {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
        else:
            how |= {"ngram_range": (2, 4)}
        return text.TfidfVectorizer(analyzer=self.analyzer, sublinear_tf=True, **how)

    def encode(self, records: Records, progress: Progress) -> NDArray[np.float32]:
        vectorizer, texts, parts = self.vectorizer(vocabulary=self.words), records.texts(), []
        vectorizer.idf_ = self.idf
        for start in range(0, len(texts), BATCH):
            counts = vectorizer.transform(texts[start : start + BATCH])
            parts.append(np.asarray(counts @ self.vectors, np.float32))
            progress(min(start + BATCH, len(texts)), len(texts))
        return np.concatenate(parts)

    def about(self) -> dict[str, Any]:
        return {"encoder": "tf-idf", "analyzer": self.analyzer}

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {"words": np.array(self.words, dtype=np.str_), "idf": self.idf, "vectors": self.vectors}

    def load(self, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """The reverse of `arrays`."""
        self.analyzer, self.words = str(about["analyzer"]), arrays["words"].tolist()
        self.idf, self.vectors = arrays["idf"], arrays["vectors"]
