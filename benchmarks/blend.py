"""How a network and closed forms are best joined: an ablation on MovieLens-1M's validation events.

    python benchmarks/blend.py
    python benchmarks/blend.py --only training

The logs lie in $MATINEE_DATA or ../shared/data. `joins` joins one fitted network with fitted closed forms in
many ways; `training` trains networks that know the closed form. Every setting is chosen on one half of the
viewers and judged on the other; the test events are never looked at. Results go to results/blend.json, and
docs/blend.md is written from them. Fitted parts are kept in the folder --cache.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from join import sorts, ways
from join.choice import Found, cross_fitted, gains_of, halves_of, rows_of
from join.page import PAGE, page
from join.parts import Fitted, Shelf
from join.training import trained
from join.ways import Way
from matinee.core.types import Int64
from matinee.data.read import read_log
from matinee.data.split import Split, split_log
from place import data_folder
from stamp import RESULTS, one_thread, stamp, write_result

LOG = "ml-1m/interactions.csv.gz"
CACHE = Path.home() / ".cache" / "matinee-blend"
PASSES = 6
FEW_PASSES = 3
PLAIN = "product, one weight"
# The closed forms that are joined, by what the table calls them.
PARTNERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "transitions": ("transitions", {}),
    "transitions .8": ("transitions", {"decays": (0.8,)}),
    "transitions .4 .8 .97": ("transitions", {"decays": (0.4, 0.8, 0.97)}),
    "ials": ("ials", {"factors": 32, "epochs": 5, "decay": 1.0}),
    "ials, 64 factors": ("ials", {"decay": 1.0}),
    "ials, decay .8": ("ials", {}),
    "ease": ("ease", {}),
    "item_knn": ("item_knn", {}),
    "user_knn": ("user_knn", {}),
    "graph_filter": ("graph_filter", {}),
}
THIRDS = ("ials", "ials, 64 factors", "ials, decay .8", "ease", "item_knn", "user_knn", "graph_filter")
FLOORS = (2e-5, 2e-4, 2e-3)


def joins(split: Split, shelf: Shelf) -> dict[str, Any]:
    """One network joined with closed forms in many ways."""
    network = shelf.fitted("sequential", {"passes": PASSES})
    partners = {name: shelf.fitted(*made) for name, made in PARTNERS.items()}
    tried = [ways.network_alone(), *_one_partner(split, network, partners["transitions"])]
    for decays in ("transitions .8", "transitions .4 .8 .97"):
        tried += [ways.alone(decays), ways.product_with(decays, f"product with {decays}")]
    tried += [ways.product_of_three("transitions", third, f"and {third}") for third in THIRDS]
    tried.append(ways.product_of_three("transitions .4 .8 .97", "ials", "three decay rates, and ials"))
    pair = ("ials", "user_knn")
    tried.append(ways.product_of_four("transitions", pair, "and both ials and user_knn"))
    found, answer_cpu_s = judged(network, partners, tried, split)
    against = {way.name: PLAIN for way in tried if way.name != PLAIN}
    fit_cpu_s = {name: part.fit_cpu_s for name, part in {"network": network, **partners}.items()}
    rows = rows_of(found, against)
    for row, way in zip(rows, tried, strict=True):
        row["fit_cpu_s"] = round(sum(fit_cpu_s[name] for name in way.parts), 1)
    settings = dict(network.part.settings)
    return {
        "passes": PASSES,
        "settings": settings,
        "rows": rows,
        "fit_cpu_s": fit_cpu_s,
        "answer_cpu_s": answer_cpu_s,
    }


def _one_partner(split: Split, network: Fitted, transitions: Fitted) -> list[Way]:
    """Ways to join the network with `transitions`."""
    queries, one = split.validation, "transitions"
    lead = sorts.by_lead(network.scorer, transitions.scorer, ways.FLOOR, split.train, queries.viewers)
    labels: dict[str, Int64] = {
        "product, weight by length of history": sorts.by_length(queries),
        "product, weight by viewer: who foretold their last events": lead,
        "product, weight by viewer: how sure the network is": sorts.by_sureness(network.scorer, queries),
    }
    by_item = sorts.by_popularity(split.train)
    return [
        ways.alone(one),
        ways.product_with(one, PLAIN),
        ways.product_with(one, "product, weight and floor", weights=(1.0, 1.5, 2.0), floors=FLOORS),
        *(ways.product_with(one, name, labels=found) for name, found in labels.items()),
        ways.product_by_item(one, "product, weight by item: how popular", by_item),
        ways.sum_of_chances(one, "sum of chances"),
        ways.sum_of_ranks(one, "sum of ranks", reciprocal=False),
        ways.sum_of_ranks(one, "sum of reciprocal ranks", reciprocal=True),
    ]


def training(split: Split, shelf: Shelf) -> dict[str, Any]:
    """Networks of a few passes that know the closed form, alone and in the product."""
    partners = {"transitions": shelf.fitted("transitions", {})}
    tried = [ways.network_alone(), ways.product_with("transitions", PLAIN)]
    alone: dict[str, Found] = {}
    joined: dict[str, Found] = {}
    took: dict[str, float] = {}
    settings: dict[str, Any] = {}
    for name, part in trained(shelf, FEW_PASSES):
        found, _ = judged(part, partners, tried, split)
        alone[name], joined[name] = found.values()
        took[name] = part.fit_cpu_s
        settings = dict(part.part.settings)
        print("  ", name, f"{alone[name].gains.mean():.4f} {joined[name].gains.mean():.4f}", flush=True)
    first = next(iter(alone))
    against = {name: first for name in alone if name != first}
    return {
        "passes": FEW_PASSES,
        "settings": settings,
        "rows": rows_of(alone, against, fit_cpu_s=took),
        "joined": rows_of(joined, against, fit_cpu_s=took),
    }


def judged(
    network: Fitted, partners: Mapping[str, Fitted], tried: Sequence[Way], split: Split
) -> tuple[dict[str, Found], dict[str, float]]:
    """What each way comes to, and the CPU-seconds of each part's answers."""
    scorers = {name: part.scorer for name, part in partners.items()}
    gains, spent = gains_of(network.scorer, scorers, tried, split.validation)
    halves = halves_of(len(split.validation))
    found = {way.name: cross_fitted(way, table, halves) for way, table in zip(tried, gains, strict=True)}
    return found, spent


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("joins", "training"), help="measure one of the two tables anew")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of fitted parts")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    one_thread()
    log = read_log(str(data_folder() / LOG))
    split = split_log(log, "leave-one-out")
    shelf = Shelf(folder=asked.cache, log=split.train, called=f"{log.fingerprint}/train")
    before = asked.out / "blend.json"
    result: dict[str, Any] = json.loads(before.read_text(encoding="utf-8")) if before.exists() else {}
    for name, measure in (("joins", joins), ("training", training)):
        if asked.only in (None, name):
            print(name, flush=True)
            found = {"viewers": len(split.validation), **measure(split, shelf), **stamp()}
            found["versions"] |= {"torch": version("torch")}
            result[name] = found
            write_result("blend", result, asked.out)
            show(found["rows"] + found.get("joined", []))
    if asked.out == RESULTS:
        PAGE.write_text(page(result), encoding="utf-8")


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print each row."""
    for row in rows:
        gap = f"{row['difference']:+.4f} ± {row['difference se']:.4f}" if "difference" in row else ""
        print(f"  {row['ndcg@10']:.4f} {row['hit@10']:.4f} {gap:18} {row['name']} {row['chosen']}")


if __name__ == "__main__":
    main()
