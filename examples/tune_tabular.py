"""A budget for a table: gradient-boosted trees on scikit-learn's breast cancer data, with early stopping.

python examples/tune_tabular.py
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import matinee
from matinee.core.space import Space, Span
from matinee.tune.objective import Report

SPACE: Space = {
    "learning_rate": Span(low=0.01, high=0.5, log=True),
    "max_leaf_nodes": Span(low=3, high=31, whole=True),
    "l2_regularization": Span(low=1e-3, high=10.0, log=True),
}
ROUNDS, STEPS = 10, 4


def objective(settings: Mapping[str, Any], report: Report) -> float:
    """The log-likelihood of held-out rows, told after every ten trees."""
    x, y = load_breast_cancer(return_X_y=True)
    x, x_held, y, y_held = train_test_split(x, y, random_state=0, stratify=y)
    trees = HistGradientBoostingClassifier(
        **settings, early_stopping=False, warm_start=True, random_state=report.seed
    )
    value = -np.inf
    for step in range(1, STEPS + 1):
        trees.set_params(max_iter=ROUNDS * step)
        trees.fit(x, y)
        value = -float(log_loss(y_held, trees.predict_proba(x_held)))
        report(step, value)
    return value


def main() -> None:
    study = matinee.tune(objective, SPACE, budget="15s", steps=STEPS)
    states = [trial.state for trial in study.trials]
    print(f"{states.count('done')} done, {states.count('stopped')} stopped early")
    if study.best is not None:
        print(f"best log-likelihood {study.best.value:.4f} with {dict(study.best.settings)}")
    print(f"spent ${study.ledger.spent_dollars:.6f} in {study.seconds:.0f} of 15 s: {study.reason}")


if __name__ == "__main__":
    main()
