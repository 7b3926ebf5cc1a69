"""From texts, or rows of a table, to embeddings. Must not know: labels, file formats, torch, runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import Dataset, Samples
from mixnn.data.records.records import RecordEncoder, Records
from mixnn.data.records.table_encoder import TableEncoder
from mixnn.data.records.text_encoders import SentenceTransformer, TfIdf, WordLlama, text_encoder
from mixnn.errors import InputError
from mixnn.utils.console import counter, note


def records_in(dataset: Dataset) -> Records | None:
    """What the training samples are, where they are neither images nor embeddings yet."""
    return dataset.train.images if isinstance(dataset.train.images, Records) else None


def with_embeddings(dataset: Dataset, encoder: str = "auto", seed: int = 0) -> Dataset:
    """`dataset` with embeddings in place of texts or rows, which stay beside them; any other as it is.

    The encoder is fitted to the training samples, without their labels.

    Args:
        encoder: what `--data.text-encoder` says.
        seed: of the decomposition of TF-IDF.

    Raises:
        InputError: the encoder cannot be had, or the columns say nothing.
    """
    records = records_in(dataset)
    if records is None:
        return dataset
    made: TableEncoder | WordLlama | SentenceTransformer | TfIdf
    if records.kind == "row":
        made = TableEncoder()
        made.fit(records)
    else:
        made = text_encoder(encoder)
        made.fit(records.texts(), seed)
    for line in made.notes:
        note(f"features of {records.noun}s: {line}")
    return encoded(dataset, made)


def encoded(dataset: Dataset, encoder: RecordEncoder) -> Dataset:
    """`dataset` with what `encoder`, which is fitted, makes of texts or rows."""
    heldout = None if dataset.heldout is None else _embedded(dataset.heldout, encoder)
    others = {name: _embedded(part, encoder) for name, part in dataset.others.items()}
    train = _embedded(dataset.train, encoder)
    empty = int((~train.images.any(1)).sum()) if isinstance(train.images, np.ndarray) else 0
    if empty:
        note(f"{empty:,} of {len(train):,} {train.noun}s have nothing that the features know: they are alike")
    return replace(dataset, train=train, heldout=heldout, others=others, encoder=encoder)


def _embedded(samples: Samples, encoder: RecordEncoder) -> Samples:
    records = samples.images
    if not isinstance(records, Records):
        raise InputError("the run was made of texts or rows of a table, and the data has neither: give such data")
    return replace(samples, images=encoder.encode(records, counter(f"encoding {records.noun}s")), records=records)


def encoder_arrays(encoder: RecordEncoder, records: Records) -> dict[str, NDArray[Any]]:
    """Everything for `load_encoder`, as arrays without pickles."""
    about = {"kind": records.kind, "columns": list(records.columns)} | dict(encoder.about())
    return {"about": np.array(json.dumps(about))} | dict(encoder.arrays())


def load_encoder(arrays: Mapping[str, NDArray[Any]]) -> tuple[RecordEncoder, str, list[str]]:
    """The encoder, what it takes ("text" or "row"), and the columns of these.

    Raises:
        InputError: it needs what is not installed.
        KeyError, ValueError: the arrays are no encoder.
    """
    about = json.loads(str(arrays["about"]))
    if about["kind"] == "row":
        table = TableEncoder()
        table.load(about)
        return table, "row", about["columns"]
    encoder = text_encoder(about["encoder"])
    if isinstance(encoder, TfIdf):
        encoder.load(about, arrays)
    return encoder, "text", about["columns"]
