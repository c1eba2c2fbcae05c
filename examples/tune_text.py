"""A budget for a text classifier: which family of modules does a docstring of the standard library come from?

python examples/tune_text.py
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import matinee
from matinee.core.space import Choice, Space, Span
from matinee.tune.objective import Report

FAMILIES = {
    "text": ("string", "textwrap", "difflib", "csv", "json", "html", "re"),
    "files": ("os", "shutil", "pathlib", "tempfile", "zipfile", "tarfile", "glob"),
    "network": ("socket", "ssl", "smtplib", "ftplib", "imaplib", "http.client", "urllib.request"),
    "numbers": ("math", "cmath", "statistics", "random", "fractions", "decimal", "datetime"),
}
SPACE: Space = {
    "unit": Choice(("word", "char_wb")),
    "longest": Span(low=1, high=4, whole=True),
    "strength": Span(low=0.1, high=100.0, log=True),
}


def docstrings() -> tuple[list[str], list[str]]:
    """Texts and the families that they are from."""
    found = {}
    for family, modules in FAMILIES.items():
        for module in map(importlib.import_module, modules):
            for member in vars(module).values():
                own = getattr(member, "__module__", "").lstrip("_").startswith(module.__name__)
                text = inspect.getdoc(member) if own and callable(member) else None
                if text and len(text) > 40:
                    found[text] = family
    return list(found), list(found.values())


def objective(settings: Mapping[str, Any], report: Report) -> float:
    """How often the family is right, where it was not learnt from."""
    texts, families = docstrings()
    features = TfidfVectorizer(
        analyzer=settings["unit"], ngram_range=(1, settings["longest"]), sublinear_tf=True
    )
    model = make_pipeline(features, LogisticRegression(C=settings["strength"], max_iter=300))
    scores = cross_val_score(model, texts, families, cv=3)
    report.tell(texts=len(texts))
    return float(scores.mean())


def main() -> None:
    study = matinee.tune(objective, SPACE, budget="20s", workers=1)
    for trial in study.trials:
        words = f"{trial.value:.3f}" if trial.value is not None else trial.reason
        print(f"{trial.number:3d}  {dict(trial.settings)}  {words}  {trial.seconds:.1f} s")
    if study.best is not None:
        print(f"best: {study.best.value:.3f} with {dict(study.best.settings)}")
    print(f"spent ${study.ledger.spent_dollars:.6f}: {study.reason}")


if __name__ == "__main__":
    main()
