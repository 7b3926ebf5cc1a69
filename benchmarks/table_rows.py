"""Who finds wrong labels of table rows? scikit-learn's own data sets, labels redrawn; the same probabilities for all.

    pip install -e '.[tables,cleanlab]' && python benchmarks/table_rows.py digits wine

Average precision of the list of wrong labels, each seed a row. `mixnn` is what `mixnn find` does with a table.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from cleanlab.rank import get_label_quality_scores
from sklearn import datasets
from sklearn.metrics import average_precision_score

from mixnn.data.records.records import Records
from mixnn.data.records.table_encoder import TableEncoder
from mixnn.evidence.label_issues import label_issues
from mixnn.evidence.trees import tree_probs

RATES, SEEDS = (0.05, 0.2), (0, 1, 2)


def main() -> None:
    print(
        "| data | wrong | seed | mixnn | cleanlab self-confidence | cleanlab normalized margin | mixnn, linear head |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in sys.argv[1:]:
        data = getattr(datasets, f"load_{name}")()
        records = Records("row", list(map(str, range(data.data.shape[1]))), [tuple(map(str, row)) for row in data.data])
        encoder = TableEncoder()
        encoder.fit(records)
        x = torch.from_numpy(encoder.encode(records, lambda done, total: None))
        truth, classes = data.target, int(data.target.max()) + 1
        for rate in RATES:
            for seed in SEEDS:
                random = np.random.default_rng(seed)
                wrong = random.random(len(truth)) < rate
                given = np.where(wrong, (truth + random.integers(1, classes, len(truth))) % classes, truth)
                probs = tree_probs(x, given, classes)
                assert probs is not None
                quality = [
                    label_issues(x, given, range(classes), pred_probs=probs).issues.label_quality,
                    get_label_quality_scores(given, probs),
                    get_label_quality_scores(given, probs, method="normalized_margin"),
                    label_issues(x, given, range(classes)).issues.label_quality,
                ]
                figures = " | ".join(f"{average_precision_score(wrong, -scores):.3f}" for scores in quality)
                print(f"| {name} | {rate:.0%} | {seed} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
