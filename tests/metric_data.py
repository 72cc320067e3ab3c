"""Rows for the metric tests, and what Keras makes of them.

GOLDEN: (class, arguments, rows, value, value with WEIGHTS), from keras 3.15.0 on jax: `update_state` with rows 0-6,
7-15 and 16-23, then `float(result())` to 8 digits (intersections over union: with 2 * WEIGHTS, whole numbers).
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROW, COLUMN = np.arange(24)[:, None], np.arange(3)
SCORES = ((ROW * 37 + COLUMN * 23) % 41 / 41).astype(np.float32)  # of each element by itself
YES = ((ROW * 7 + COLUMN * 5) % 3 == 0).astype(np.float32)
PROBS = ((SCORES + 0.02) / (SCORES + 0.02).sum(axis=1, keepdims=True)).astype(np.float32)
LABELS = (ROW[:, 0] * 5 + ROW[:, 0] // 4) % 3
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
NUMBERS = ((ROW * 29 + COLUMN * 13) % 31 / 7 - 1).astype(np.float32)
GUESSES = (NUMBERS + (ROW * 17 + COLUMN * 7) % 19 / 10 - 0.9).astype(np.float32)
WEIGHTS = (ROW[:, 0] * 3 % 5 / 2).astype(np.float32)
DATA: dict[str, tuple[Any, Any]] = {
    "scores": (YES, SCORES), "column": (YES[:, :1], SCORES[:, :1]), "probs": (ONE_HOT, PROBS),
    "labels": (LABELS, PROBS),
    "numbers": (NUMBERS, GUESSES), "logits": (YES, (SCORES * 8 - 4).astype(np.float32)),
    "signs": (2 * YES - 1, GUESSES),
    "counts": (np.floor(np.abs(NUMBERS) * 3).astype(np.float32), np.floor(np.abs(GUESSES) * 3).astype(np.float32)),
}  # fmt: skip
PARTS = (slice(0, 7), slice(7, 16), slice(16, 24))

GOLDEN: list[tuple[str, dict[str, Any], str, Any, Any]] = [
    ("MeanSquaredError", {}, "numbers", 0.29958335, 0.29923615),
    ("RootMeanSquaredError", {}, "numbers", 0.54734206, 0.54702479),
    ("MeanAbsoluteError", {}, "numbers", 0.47361112, 0.47152781),
    ("MeanAbsolutePercentageError", {}, "numbers", 18055614.0, 25694498.0),
    ("LogCoshError", {}, "numbers", 0.13815846, 0.13792731),
    ("CosineSimilarity", {}, "numbers", 0.95607692, 0.95409822),
    ("R2Score", {}, "numbers", 0.80709267, 0.79931307),
    ("R2Score", {"class_aggregation": None}, "numbers", [0.8037411, 0.81503546, 0.80250132],
     [0.78788328, 0.80677855, 0.80327737]),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "numbers", 0.80759615, 0.80014849),
    ("R2Score", {"num_regressors": 3}, "numbers", 0.79858208, 0.79045928),
    ("MeanSquaredLogarithmicError", {}, "counts", 0.22837473, 0.25984511),
    ("Accuracy", {}, "counts", 0.20833333, 0.20833333),
    ("MeanIoU", {"num_classes": 14}, "counts", 0.082415789, None),
    ("IoU", {"num_classes": 14, "target_class_ids": [1, 3], "ignore_class": 2}, "counts", 0.14835165, None),
    ("Hinge", {}, "signs", 1.7339287, 1.6732143),
    ("SquaredHinge", {}, "signs", 5.1180358, 5.119504),
    ("Hinge", {}, "scores", 1.1741194, 1.2144309),
    ("BinaryCrossentropy", {}, "scores", 1.3717562, 1.366742),
    ("BinaryAccuracy", {}, "scores", 0.47222224, 0.40972224),
    ("Poisson", {}, "probs", 0.81962162, 0.78543872),
    ("KLDivergence", {}, "probs", 1.4588627, 1.3563137),
    ("CategoricalHinge", {}, "probs", 1.1748563, 1.1388005),
    ("CategoricalCrossentropy", {}, "probs", 1.4588655, 1.3563166),
    ("CategoricalAccuracy", {}, "probs", 0.25, 0.29166666),
    ("SparseCategoricalCrossentropy", {}, "labels", 1.4588655, 1.3563166),
    ("SparseCategoricalAccuracy", {}, "labels", 0.25, 0.29166666),
    ("BinaryCrossentropy", {"from_logits": True}, "logits", 1.2529188, 1.3988247),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "probs", 1.4475018, 1.3521805),
    ("BinaryAccuracy", {"threshold": 0.25}, "scores", 0.40277776, 0.34722224),
    ("TopKCategoricalAccuracy", {"k": 2}, "probs", 0.58333331, 0.64583331),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "labels", 0.58333331, 0.64583331),
    ("TruePositives", {}, "scores", 11.0, 9.0),
    ("FalsePositives", {}, "scores", 25.0, 27.5),
    ("TrueNegatives", {}, "scores", 23.0, 20.5),
    ("FalseNegatives", {}, "scores", 13.0, 15.0),
    ("Precision", {}, "scores", 0.30555555, 0.24657534),
    ("Recall", {}, "scores", 0.45833334, 0.375),
    ("TruePositives", {"thresholds": [0.9, 0.1, 0.5]}, "scores", [2.0, 21.0, 11.0], [2.0, 21.0, 9.0]),
    ("Precision", {"thresholds": [0.0, 0.5, 1.0]}, "scores", [0.31428573, 0.30555555, 0.0],
     [0.31914893, 0.24657534, 0.0]),
    ("Precision", {"top_k": 2}, "probs", 0.29166666, 0.32291666),
    ("Recall", {"top_k": 1}, "probs", 0.25, 0.29166666),
    ("Precision", {"top_k": 2, "class_id": 1}, "probs", 0.23076923, 0.26923078),
    ("Recall", {"class_id": 2, "thresholds": 0.3}, "probs", 0.33333334, 0.30769232),
    ("AUC", {}, "scores", 0.47916663, 0.41406247),
    ("AUC", {}, "column", 0.4609375, 0.42694497),
    ("AUC", {"curve": "PR"}, "scores", 0.31658119, 0.29519016),
    ("AUC", {"curve": "PRGAIN"}, "scores", -0.046234, -0.29137594),
    ("AUC", {"summation_method": "minoring"}, "scores", 0.47482637, 0.41080731),
    ("AUC", {"summation_method": "majoring", "curve": "PR"}, "scores", 0.33757877, 0.3256731),
    ("AUC", {"num_thresholds": 5}, "scores", 0.46961802, 0.39605033),
    ("AUC", {"thresholds": [0.2, 0.75, 0.3]}, "scores", 0.47569445, 0.40842018),
    ("AUC", {"multi_label": True}, "scores", 0.47916669, 0.41191202),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 0.0, 2.0]}, "scores", 0.51302081, 0.49921736),
    ("AUC", {"label_weights": [1.0, 0.5, 2.0]}, "scores", 0.50255102, 0.4689461),
    ("AUC", {"from_logits": True}, "logits", 0.47916666, 0.41406247),
    ("SensitivityAtSpecificity", {"specificity": 0.5}, "scores", 0.45833334, 0.375),
    ("SpecificityAtSensitivity", {"sensitivity": 0.75, "num_thresholds": 20}, "scores", 0.20833333, 0.10416666),
    ("PrecisionAtRecall", {"recall": 0.6}, "scores", 0.3488372, 0.32608697),
    ("RecallAtPrecision", {"precision": 0.4}, "scores", 0.16666667, 0.1875),
    ("RecallAtPrecision", {"precision": 0.3, "class_id": 1}, "probs", 1.0, 0.81818181),
    ("F1Score", {}, "probs", [0.13333331, 0.37499994, 0.23529407], [0.18181814, 0.49999994, 0.22857139]),
    ("F1Score", {"average": "macro"}, "probs", 0.24787578, 0.30346316),
    ("F1Score", {"average": "weighted"}, "probs", 0.21924016, 0.26739714),
    ("F1Score", {"average": "micro", "threshold": 0.5}, "scores", 0.36666662, 0.29752058),
    ("FBetaScore", {"average": "macro", "beta": 2.0, "threshold": 0.3}, "scores", 0.54846942, 0.5070833),
    ("MeanIoU", {"num_classes": 3, "sparse_y_pred": False}, "labels", 0.14517705, 0.18745519),
    ("OneHotMeanIoU", {"num_classes": 3}, "probs", 0.14517705, 0.18745519),
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "probs", 0.10238096, 0.11451612),
    ("BinaryIoU", {"threshold": 0.4}, "column", 0.29678363, 0.24560812),
    ("BinaryIoU", {"target_class_ids": [1]}, "column", 0.23529409, 0.21621619),
]  # fmt: skip
