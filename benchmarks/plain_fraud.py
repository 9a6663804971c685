"""The fraud example as a plain scikit-learn script: what a person would write without fairlead, in one process.

It makes the same fits (trials × folds, the winner, its learning curve, a baseline), the same scores on the test rows and the
same permutation importance, and no report, no contract, no export, no tracking. Used by ``benchmarks/training.py``:

    python plain_fraud.py FOLDER_WITH_PARQUET TRIALS.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = ["amount", "hour", "weekday", "abroad", "distance_km", "customer_count_1d", "customer_count_7d",
           "customer_mean_amount_7d", "terminal_count_1d", "terminal_fraud_share_28d"]  # fmt: skip
CATEGORIES = ["channel", "merchant_category", "country"]
IMPORTANCE_ROWS, IMPORTANCE_REPEATS = 5_000, 3


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rows in the order of time, as numbers."""
    frame = pd.read_parquet(folder).drop_duplicates()
    frame = frame[frame["amount"].gt(0) & frame["distance_km"].fillna(0).le(20_040)].sort_values("at")
    local = pd.to_datetime(frame["local_time"])
    frame["hour"], frame["weekday"] = local.dt.hour, local.dt.weekday
    for name in CATEGORIES:
        frame[name] = pd.Categorical(frame[name].str.strip().str.lower()).codes
    target = frame["is_fraud"].astype(str).str.lower().isin(["true", "1"]).to_numpy()
    return frame[NUMBERS + CATEGORIES].astype(np.float32).to_numpy(), target


def estimator(candidate: str, parameters: dict[str, object]):
    """An unfitted model."""
    if candidate == "hist_gradient_boosting":
        return HistGradientBoostingClassifier(early_stopping=False, random_state=0, **parameters)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    prepare = make_column_transformer(
        (numbers, list(range(len(NUMBERS)))),
        (OneHotEncoder(handle_unknown="ignore"), list(range(len(NUMBERS), len(NUMBERS) + len(CATEGORIES)))),
    )
    return make_pipeline(prepare, LogisticRegression(max_iter=1000, random_state=0, **parameters))


def cross_validated(trial: dict[str, object], x: np.ndarray, y: np.ndarray, folds: int) -> float:
    """Mean average precision over expanding windows."""
    scores = []
    for train, test in TimeSeriesSplit(folds).split(x):
        fitted = estimator(trial["candidate"], trial["parameters"]).fit(x[train], y[train])
        scores.append(average_precision_score(y[test], fitted.predict_proba(x[test])[:, 1]))
    return float(np.mean(scores))


def main() -> None:
    """Search, refit, score."""
    x, y = read(Path(sys.argv[1]))
    work = json.loads(Path(sys.argv[2]).read_text())
    valid, test = int(len(x) * 0.65), int(len(x) * 0.8)
    values = [cross_validated(trial, x[:valid], y[:valid], work["folds"]) for trial in work["trials"]]
    winner = work["trials"][int(np.argmax(values))]
    model = estimator(winner["candidate"], winner["parameters"]).fit(x[:valid], y[:valid])
    baseline = DummyClassifier(strategy="prior").fit(x[:valid], y[:valid])
    for rows in work["learning_rows"]:
        part = estimator(winner["candidate"], winner["parameters"]).fit(x[:rows], y[:rows])
        average_precision_score(y[valid:test], part.predict_proba(x[valid:test])[:, 1])
        average_precision_score(y[:rows], part.predict_proba(x[:rows])[:, 1])
    threshold = 0.026
    model.predict_proba(x[valid:test])
    scores = {}
    for name, fitted in (("model", model), ("baseline", baseline)):
        probability = fitted.predict_proba(x[test:])[:, 1]
        called = probability >= threshold
        roc_curve(y[test:], probability)
        precision_recall_curve(y[test:], probability)
        confusion_matrix(y[test:], called)
        scores[name] = {
            "roc_auc": roc_auc_score(y[test:], probability),
            "average_precision": average_precision_score(y[test:], probability),
            "log_loss": log_loss(y[test:], probability),
            "brier": brier_score_loss(y[test:], probability),
            "accuracy": accuracy_score(y[test:], called),
            "f1": f1_score(y[test:], called),
        }
    permutation_importance(model, x[test:][:IMPORTANCE_ROWS], y[test:][:IMPORTANCE_ROWS], scoring="average_precision",
                           n_repeats=IMPORTANCE_REPEATS, random_state=0)  # fmt: skip
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
