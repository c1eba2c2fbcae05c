"""What tuning the default recommender to a set would bring: is one default within 5 % of the tuned figure?

    python benchmarks/tuned.py --sets beauty,toys,ml-1m-timed,ml-1m

Settings one step away from the default (`steps`) are fitted and compared with it on validation; then the
steps that helped are taken together. What ranks validation best is judged on the test, once, and set beside
the default's figures of results/network-SET.json, which have the same protocol and seed. Results go to
results/tuned-SET.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matinee.data.log import InteractionLog
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.data.split import split_log
from matinee.recipes.handover import write_handover
from matinee.recipes.isolate import Job, Tried, run_isolated
from matinee.recommenders.network_settings import SequentialConfig, resolved
from network import SETS
from place import data_folder
from stamp import RESULTS, one_thread, stamp, write_result

METRIC = "ndcg@10"
WITHIN = 0.05


def steps(log: InteractionLog) -> dict[str, dict[str, Any]]:
    """Settings one step from the default, by what they are called."""
    dropout = float(resolved(SequentialConfig(), log).dropout or 0.0)
    return {
        "wider": {"sequential.width": 96},
        "longer and slower": {"sequential.passes": 11, "sequential.rate": 0.007},
        "more dropout": {"sequential.dropout": min(round(dropout + 0.12, 3), 0.6)},
    }


def run(name: str) -> dict[str, Any]:
    """One set: the default, every step on validation, and the best of them on the test."""
    chosen = SETS[name]
    log = read_log(str(data_folder() / chosen.log), LogOptions(**chosen.options))
    split = split_log(log, chosen.more["protocol"], targets=chosen.more.get("targets", "next"), seed=0)
    default = default_of(name)
    with tempfile.TemporaryDirectory(prefix="matinee-tuned-") as place:
        handover = Path(place) / "log"
        handover.mkdir()
        write_handover(handover, split, both=False)
        tried = dict(_tries(handover, Path(place), steps(split.train)))
        better = [words for words, found in tried.items() if _value(found) > default["validation"]]
        if len(better) > 1:
            all_steps = steps(split.train)
            together = {key: value for words in better for key, value in all_steps[words].items()}
            tried |= dict(_tries(handover, Path(place), {" and ".join(better): together}))
        best = max(tried, key=lambda words: _value(tried[words]))
        won = _value(tried[best]) > default["validation"]
        tuned = _judged(handover, Path(place), tried[best]) if won else None
    return {
        "set": name,
        "default": default,
        "tries": [_listed(words, found) for words, found in tried.items()],
        "chosen": best if won else "default",
        "tuned": tuned,
        "ratio": default["test"] / tuned["test"] if tuned else 1.0,
        "bar": f"default at least {1 - WITHIN:.0%} of the tuned figure",
        **stamp(),
    }


def default_of(name: str) -> dict[str, Any]:
    """The default's figures on validation and test, as network.py found them."""
    board = json.loads((RESULTS / f"network-{name}.json").read_text(encoding="utf-8"))["boards"][0]
    row = next(row for row in board["recommenders"] if row["name"] == "blend")
    return {"validation": row["validation"], "test": row["metrics"][METRIC]["mean"], "seed": board["seed"]}


def _tries(
    handover: Path, place: Path, settings: Mapping[str, Mapping[str, Any]]
) -> Sequence[tuple[str, Tried]]:
    """Each setting fitted on train and judged by all of validation."""
    found = []
    for words, one in settings.items():
        job = Job(name="blend", tries=[one], judge=("validation",), at=(10,), kept=str(place / "kept"))
        (tried,) = run_isolated(handover, place / f"try-{words}", job)
        if tried.error:
            raise RuntimeError(f"{words}: {tried.error}")
        print(f"   {words}: {_value(tried):.4f}, {tried.cpu_s:.0f} CPU-s", flush=True)
        found.append((words, tried))
    return found


def _judged(handover: Path, place: Path, tried: Tried) -> dict[str, float]:
    """The test, scored once; the network is found where its try left it."""
    job = Job(name="blend", tries=[tried.settings], judge=("test",), at=(10,), kept=str(place / "kept"))
    (final,) = run_isolated(handover, place / "final", job)
    if final.error:
        raise RuntimeError(final.error)
    return {"validation": _value(tried), "test": final.found["test"].mean(METRIC)}


def _value(tried: Tried) -> float:
    return tried.found["validation"].mean(METRIC)


def _listed(words: str, tried: Tried) -> dict[str, Any]:
    return {"step": words, "validation": _value(tried), "cpu_s": round(tried.cpu_s, 1)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="beauty,toys,ml-1m-timed,ml-1m")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    one_thread()
    for name in asked.sets.split(","):
        print(name, flush=True)
        result = run(name)
        write_result(f"tuned-{name}", result, asked.out)
        print(f"   chosen: {result['chosen']}; default / tuned on the test {result['ratio']:.3f}", flush=True)


if __name__ == "__main__":
    main()
