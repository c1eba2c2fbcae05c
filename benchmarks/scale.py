"""A large service from the log to everybody's list: what each part takes, and how well it ranks.

    python benchmarks/scale.py --dir /large/disk
    python benchmarks/scale.py --viewers 2000 --items 1000 --events 20000 --output -

The commands are those of a user, each in a process of its own: `simulate`, `check`, `fit --recommender blend`
with default settings and content left aside, `recommend --all`. Before the fit the last event of up to 2,000
viewers is cut off, and afterwards the blend, its parts and popularity are asked for it: nothing was chosen on
these events. CPU-seconds are those of one thread; memory is anonymous memory as it is sampled every 20 ms,
and what a part takes is set against what it had when it began, as `check` foretells it.

What takes too long here can be cut short, and the result says so: `--passes` makes fewer passes of the
network (a fit with all of them is then reckoned from those that were made), `--lists` writes the lists of so
many viewers alone. Steps whose figures lie in `--dir` already are not made again.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anonymous import anonymous_bytes
from matinee.core.settings import config_values
from matinee.core.types import Askers
from stamp import one_thread, stamp, write_result

MEMORY_BAR_BYTES, MEMORY_STRETCH_BYTES = 12 * 10**9, 8 * 10**9
K, HELD, ROWS = 10, 2_000, 40
STEPS = ("simulate", "check", "fit", "quality", "recommend")
_EVERY_S = 0.02


class Watch:
    """Samples this process's anonymous memory, and notes what its phases take."""

    def __init__(self) -> None:
        self.phases: dict[str, dict[str, float]] = {}
        self.peak = 0
        self._open: list[str] = []
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        while True:
            now = anonymous_bytes(os.getpid())
            self.peak = max(self.peak, now)
            for name in list(self._open):
                self.phases[name]["peak_bytes"] = max(self.phases[name]["peak_bytes"], now)
            time.sleep(_EVERY_S)

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Note what every call of a method takes."""
        inner: Callable[..., Any] = getattr(owner, method)

        @functools.wraps(inner)
        def noted(*given: Any, **named: Any) -> Any:
            began, before = time.process_time(), anonymous_bytes(os.getpid())
            made = {"cpu_s": 0.0, "times": 0, "before_bytes": before, "peak_bytes": before}
            phase = self.phases.setdefault(name, made)
            self._open.append(name)
            try:
                return inner(*given, **named)
            finally:
                self._open.remove(name)
                phase["cpu_s"] += time.process_time() - began
                phase["times"] += 1

        setattr(owner, method, noted)


def run_command(arguments: list[str]) -> None:
    """One command of matinee's in this process."""
    from matinee.cli.app import main

    sys.argv = ["matinee", *arguments]
    try:
        main()
    except SystemExit as end:
        if end.code not in (0, None):
            raise


def step(name: str, folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """One step in this process; what it took."""
    watch = Watch()
    result = _MADE[name](folder, asked, watch)
    return {
        **result,
        "cpu_s": time.process_time(),
        "peak_bytes": max(watch.peak, anonymous_bytes(os.getpid())),
        **({"phases": watch.phases} if watch.phases else {}),
    }


def simulate(folder: Path, asked: dict[str, Any], _watch: Watch) -> dict[str, Any]:
    """The log, and the same without the last event of some viewers."""
    sizes = [word for name in ("viewers", "items", "events") for word in (f"--{name}", str(asked[name]))]
    run_command(["simulate", str(folder / "data"), *sizes, "--quiet"])
    simulated = time.process_time()
    cut(folder)
    files = {path.name: path.stat().st_size for path in sorted((folder / "data").iterdir())}
    return {"cut_cpu_s": time.process_time() - simulated, "bytes": files}


def cut(folder: Path) -> None:
    """Part the log into what is learnt from and the last events of some viewers who have three at least."""
    log = pq.read_table(folder / "data" / "log.parquet")
    viewers = log.column("viewer").combine_chunks().dictionary_encode().indices.to_numpy()
    ends = np.flatnonzero(np.append(viewers[1:] != viewers[:-1], True))
    lengths = np.diff(ends, prepend=-1)
    able = ends[lengths >= 3]
    chosen = np.random.default_rng(0).choice(able, min(HELD, len(able) // 5), replace=False)
    kept = np.ones(len(viewers), dtype=bool)
    kept[chosen] = False
    pq.write_table(log.filter(pa.array(kept)), folder / "train.parquet", compression="zstd")
    pq.write_table(log.take(pa.array(np.sort(chosen))), folder / "held.parquet")


def check(folder: Path, _asked: dict[str, Any], _watch: Watch) -> dict[str, Any]:
    """What the fit is foretold to take."""
    told = folder / "check.json"
    run_command(["check", str(folder / "train.parquet"), "--json", str(told), "--quiet"])
    needs = {row["name"]: row for row in json.loads(told.read_text())["needs"]}
    wanted = ("blend", "sequential", "transitions", "ials")
    return {"needs": {name: {key: needs[name][key] for key in ("memory_bytes", "cpu_s")} for name in wanted}}


def fit(folder: Path, asked: dict[str, Any], watch: Watch) -> dict[str, Any]:
    """The default recommender, its parts timed on the way."""
    from matinee.answers.model import Model
    from matinee.recommenders.blend import Blend
    from matinee.recommenders.ials import Ials
    from matinee.recommenders.sequential import Sequential
    from matinee.recommenders.transitions import Transitions

    watch.wrap(Sequential, "part", "network")
    watch.wrap(Transitions, "fit", "transitions")
    watch.wrap(Ials, "fit", "ials")
    watch.wrap(Blend, "_best_weights", "weights")
    watch.wrap(Blend, "fit", "blend")
    watch.wrap(Model, "save", "bundle")
    told, bundle = folder / "fit.json", folder / "bundle"
    few = ["--set", f"sequential.passes={asked['passes']}"] if asked["passes"] else []
    words = ["fit", str(folder / "train.parquet"), "-o", str(bundle), "--recommender", "blend", *few]
    run_command([*words, "--json", str(told), "--quiet"])
    facts = json.loads(told.read_text())
    manifest = json.loads((bundle / "manifest.json").read_text())
    return {
        "trained": facts["trained"],
        "joined": facts["joined"],
        "bundle_bytes": facts["bundle_bytes"],
        "peak_rss_mb": facts["peak_rss_mb"],
        "index": manifest.get("index"),
    }


def quality(folder: Path, _asked: dict[str, Any], _watch: Watch) -> dict[str, Any]:
    """How often, and how high, the events that were cut off stand in the lists of ten."""
    import matinee
    from matinee.answers.context import context_of
    from matinee.answers.model import Model
    from matinee.answers.scorers import make_scorer
    from matinee.recommenders.held_out import HeldOut

    model = matinee.load(folder / "bundle")
    events = pq.read_table(folder / "held.parquet")
    viewers = np.asarray(model.log.viewers.codes(events.column("viewer").to_pylist()), dtype=np.int64)
    targets = np.asarray(model.log.items.codes(events.column("item").to_pylist()), dtype=np.int32)
    known = targets >= 0
    askers = Askers(histories=model.log.histories.take(viewers), viewers=viewers)
    held = HeldOut(taught=np.zeros(0, bool), askers=askers, targets=np.maximum(targets, 0), repeats=False)
    scorers = {name: make_scorer(part, model.context, model.parts) for name, part in model.parts.items()}
    popular: Model = matinee.Popularity().fit(model.log)
    recent: Model = matinee.Recent().fit(model.log)
    for name, plain in (("popularity", popular), ("recent", recent)):
        scorers[name] = make_scorer(plain.parts[name], context_of(model.log))
    found: dict[str, Any] = {"asked": len(held), "unknown_items": int((~known).sum())}
    for name, scorer in scorers.items():
        began, gains = time.process_time(), []
        for start in range(0, len(held), ROWS):
            some = held.of(np.arange(start, min(start + ROWS, len(held))))
            gains.append(some.gains(np.array(scorer.score(some.askers))))
        ndcg = np.where(known, np.concatenate(gains), 0.0)
        found[name] = {
            "ndcg@10": _interval(ndcg),
            "recall@10": _interval((ndcg > 0).astype(float)),
            "cpu_ms_an_asker": 1000.0 * (time.process_time() - began) / max(len(held), 1),
        }
    return found


def recommend(folder: Path, asked: dict[str, Any], _watch: Watch) -> dict[str, Any]:
    """Everybody's list, or those of some."""
    who = ["--all"]
    if asked["lists"]:
        ids = pq.read_table(folder / "data" / "viewers.parquet", columns=["id"]).column("id")
        places = np.sort(np.random.default_rng(1).choice(len(ids), asked["lists"], replace=False))
        (folder / "some.txt").write_text("\n".join(ids.take(pa.array(places)).to_pylist()) + "\n")
        who = ["--users", str(folder / "some.txt")]
    table, told = folder / "recs.parquet", folder / "recommend.json"
    words = ["recommend", str(folder / "bundle"), *who, "-o", str(table), "-k", str(K)]
    run_command([*words, "--json", str(told), "--quiet"])
    written = json.loads(told.read_text())
    rows = pq.ParquetFile(table).metadata.num_rows
    all_cpu_s = written["cpu_s"] / max(written["viewers"], 1) * asked["viewers"]
    return {
        "lists": written["viewers"],
        "rows": rows,
        "lists_cpu_s": written["cpu_s"],
        "viewers_per_cpu_s": written["viewers"] / written["cpu_s"],
        "table_bytes": table.stat().st_size,
        "all_cpu_s": all_cpu_s,
        "extrapolated": bool(asked["lists"]),
    }


_MADE: dict[str, Callable[[Path, dict[str, Any], Watch], dict[str, Any]]] = {
    "simulate": simulate,
    "check": check,
    "fit": fit,
    "quality": quality,
    "recommend": recommend,
}


def _interval(values: np.ndarray[Any, Any]) -> dict[str, float]:
    """A mean with its 95 % interval (normal)."""
    half = 1.96 * float(values.std(ddof=1)) / max(len(values), 1) ** 0.5
    return {
        "mean": float(values.mean()),
        "low": float(values.mean()) - half,
        "high": float(values.mean()) + half,
    }


def summed(results: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """What the parts come to, forecast beside what was seen, and the bars."""
    from matinee.recommenders.network_settings import SequentialConfig

    fitted, needs = results["fit"], results["check"]["needs"]
    phases, made = fitted["phases"], fitted["trained"]["passes"]
    passes = config_values(SequentialConfig())["passes"]
    forecast = {}
    for name, phase in (("blend", "blend"), ("sequential", "network"), ("transitions", "transitions")):
        seen = phases[phase]["peak_bytes"] - phases[phase]["before_bytes"]
        foretold = needs[name]["memory_bytes"]
        forecast[name] = {"memory_bytes": foretold, "seen_bytes": seen, "ratio": foretold / max(seen, 1)}
    peak = max(results[name]["peak_bytes"] for name in STEPS)
    return {
        "passes_made": made,
        "network_cpu_s_were_all_passes_made": phases["network"]["cpu_s"] * passes / max(made, 1),
        "forecast": forecast,
        "peak_bytes": peak,
        "cpu_hours": {name: results[name]["cpu_s"] / 3600 for name in STEPS},
        "memory_bar_bytes": MEMORY_BAR_BYTES,
        "memory_stretch_bytes": MEMORY_STRETCH_BYTES,
        "passed": peak <= MEMORY_BAR_BYTES,
        "cut_short": bool(asked["passes"] or asked["lists"]),
    }


def measured(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """A step in a fresh process, or what it came to before."""
    kept = folder / f"{name}.step.json"
    if not kept.exists():
        words = [f"--{key}={getattr(arguments, key)}" for key in _SIZES]
        subprocess.run(
            [sys.executable, __file__, *words, "--dir", str(folder), "--step", name, "--output", "-"],
            check=True,
        )
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


_SIZES = ("viewers", "items", "events", "passes", "lists")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--viewers", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--passes", type=int, default=0, help="of the network; 0: its default")
    parser.add_argument(
        "--lists", type=int, default=0, help="viewers whose lists are written; 0: everybody's"
    )
    parser.add_argument(
        "--dir", type=Path, default=None, help="where files go; steps that lie there are kept"
    )
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--output", default="", help="- prints the result and writes nothing")
    arguments = parser.parse_args()
    one_thread()
    asked = {name: getattr(arguments, name) for name in _SIZES}
    if arguments.step:
        found = step(arguments.step, arguments.dir, asked)
        (arguments.dir / f"{arguments.step}.step.json").write_text(json.dumps(found))
        return
    results: dict[str, Any] = {**stamp(), "asked": asked, "k": K}
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.dir or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        for name in STEPS:
            results[name] = measured(name, folder, arguments)
            print(name, json.dumps(results[name]), flush=True, file=sys.stderr)
    results |= summed(results, asked)
    if arguments.output == "-":
        print(json.dumps(results, indent=1))
    else:
        write_result("scale", results)


if __name__ == "__main__":
    main()
