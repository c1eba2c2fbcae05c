"""The sum of closed forms on logs without order: Last.fm with friends, five splits, and Gowalla's given one.

    python benchmarks/friends.py --sets lastfm,gowalla

The logs lie in $MATINEE_DATA or ../shared/data. Last.fm: of each listener's artists one in ten is the test,
one in ten is validation, drawn by seed; five seeds, fitted on train with default settings, the weights of the
parts chosen inside the fit; each test is scored once; means over splits with 95 % intervals over listeners
and splits. `--rows` adds what is lost without friends or without counts, and each part alone. Gowalla: the
given split, the partners that did best alone on a validation carved from train, their weights chosen inside
the fit. Results go to results/friends.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from time import process_time
from typing import Any

import numpy as np

from matinee.answers.model import Model
from matinee.core.statistics import bootstrap_means, interval_of
from matinee.core.types import Float64
from matinee.data.log import InteractionLog
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.data.split import split_log
from matinee.evaluate.judge import Judgement, judge
from matinee.recommenders import make_recommender
from place import data_folder
from stamp import RESULTS, one_thread, stamp, write_result

SEEDS = (0, 1, 2, 3, 4)
COLUMNS = {"user": "userID", "item": "artistID", "value": "weight"}
# Name of a row -> recommender and settings.
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "ensemble": ("ensemble", {}),
    "ensemble, counts alike": ("ensemble", {"values": 0.0}),
    "ensemble, without friends": ("ensemble", {"ials.friends": 0.0}),
    "ensemble, without both": ("ensemble", {"values": 0.0, "ials.friends": 0.0}),
    "ials": ("ials", {}),
    "ease": ("ease", {}),
    "user_knn": ("user_knn", {}),
    "friends": ("friends", {}),
}
# Alone on 2,000 validation viewers, ndcg@20: user_knn .127, graph_filter .115, ials .087 at best.
GOWALLA: dict[str, Any] = {"partners": ("graph_filter", "user_knn")}
BARS = {
    "lastfm": {"at": 10, "recall": (0.205, 0.218), "ndcg": (0.197, 0.212)},
    "gowalla": {"at": 20, "recall": (0.187, 0.193), "ndcg": (0.156, 0.161)},
}


def lastfm(rows: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each row of Last.fm, as soon as it is known."""
    folder = data_folder() / "lastfm"
    options = LogOptions(friends=str(folder / "user_friends.dat"), columns=COLUMNS)
    log = read_log(str(folder / "user_artists.dat"), options)
    for row in rows:
        name, settings = ROWS[row]
        fits = [_one_split(log, name, settings, seed) for seed in SEEDS]
        metrics = {key: _over_splits(fits, key) for key in ("recall@10", "ndcg@10")}
        yield {
            "row": row,
            "settings": settings,
            "metrics": metrics,
            "splits": [{key: fit[key] for key in fit if key != "judged"} for fit in fits],
        }


def _one_split(log: InteractionLog, name: str, settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """One fit on one split: what the test comes to, and what it took."""
    split = split_log(log, "random-holdout", seed=seed)
    begin = process_time()
    model = make_recommender(name, settings).fit(split.train, seed=seed)
    fit_cpu_s = process_time() - begin
    judged = judge(model.scores, split.test, at=(10,))
    return {
        "seed": seed,
        "judged": judged,
        "recall@10": judged.mean("recall@10"),
        "ndcg@10": judged.mean("ndcg@10"),
        "weights": weights_of(model),
        "fit_cpu_s": round(fit_cpu_s, 1),
    }


def weights_of(model: Model) -> dict[str, float] | None:
    """How much each part counts; None where there is one alone."""
    settings = model.parts[model.name].settings
    if "parts" not in settings:
        return None
    return dict(zip(settings["parts"], settings["weights"], strict=True))


def _over_splits(fits: Sequence[dict[str, Any]], metric: str) -> dict[str, float]:
    """The mean over splits, with an interval over listeners and splits."""
    sums: Float64 = np.stack([np.asarray(fit["judged"].metrics[metric], np.float64) for fit in fits])
    drawn = bootstrap_means(sums[:, :, None], np.ones(sums.shape[1], np.int64))[:, 0]
    return interval_of(float(sums.mean()), drawn).to_json()


def gowalla() -> dict[str, Any]:
    """The sum of the graph and the neighbours, fitted on all of train, and its test."""
    folder = data_folder() / "gowalla"
    log, test = read_log(str(folder / "train.csv.gz")), read_log(str(folder / "test.csv.gz"))
    split = split_log(log, test=test)
    begin = process_time()
    model = make_recommender("ensemble", GOWALLA).fit(split.train_and_validation)
    fit_cpu_s = round(process_time() - begin, 1)
    judged = judge(model.scores, split.test, at=(20,))
    metrics = {key: _with_interval(judged, key) for key in ("recall@20", "ndcg@20")}
    return {
        "row": "ensemble",
        "settings": GOWALLA,
        "weights": weights_of(model),
        "metrics": metrics,
        "fit_cpu_s": fit_cpu_s,
    }


def _with_interval(judged: Judgement, metric: str) -> dict[str, float]:
    values = np.asarray(judged.metrics[metric], np.float64)
    drawn = bootstrap_means(values[:, None], np.ones(len(values), np.int64))[:, 0]
    return interval_of(float(values.mean()), drawn).to_json()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="lastfm,gowalla")
    parser.add_argument("--rows", default="ensemble", help="rows of Last.fm, or all")
    asked = parser.parse_args(arguments)
    one_thread()
    sets = asked.sets.split(",")
    rows = list(ROWS) if asked.rows == "all" else [row.strip() for row in asked.rows.split(";")]
    path = RESULTS / "friends.json"
    result = json.loads(path.read_text()) if path.exists() else {"lastfm": [], "gowalla": None}
    found = lastfm(rows) if "lastfm" in sets else iter(())
    for row in found:
        print(row["row"], json.dumps(row["metrics"]), flush=True)
        result["lastfm"] = [one for one in result["lastfm"] if one["row"] != row["row"]] + [row]
        _write(result)
    if "gowalla" in sets:
        result["gowalla"] = gowalla()
        print("gowalla", json.dumps(result["gowalla"]["metrics"]), flush=True)
        _write(result)


def _write(result: dict[str, Any]) -> None:
    """Write what is known so far; a later run of another set or row keeps it."""
    write_result("friends", {**result, "bars": BARS, **stamp()})


if __name__ == "__main__":
    main()
