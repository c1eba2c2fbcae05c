"""The search itself on functions whose best value is known: Branin, Hartmann6, and both with costs.

    python benchmarks/tuning_toys.py --seeds 10
    python benchmarks/tuning_toys.py --seeds 10 --parts costs

Three parts. `regret`: ten initial points, the same for all, then one suggestion at a time; the simple regret
after 30 and 60 evaluations, paired by seed with Optuna's GPSampler (bar: not worse after 60; sign-flip test
of the logarithms). `speed`: CPU-seconds of one suggestion with 100 trials of six settings on one core (bar
.050; a fresh search that has fitted nothing before, and one that goes on). `costs`: dollars vary 100-fold
along the first setting, cheap at its low end (up) or at its high end (down); nobody is told. A run's mean
cost over the space is one dollar and the budget is 20. Cost-blind peers: random, TPE, GPSampler, and our own
search with costs switched off (bar: our median regret at 50 % of the budget below each of theirs at 100 %).
Optuna and torch must be installed. Results go to results/tuning_toys-PART.json.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from matinee.core.space import Span
from matinee.core.statistics import sign_flip_p
from matinee.core.types import Float64
from matinee.tune.options import Options
from matinee.tune.search import Search
from matinee.tune.trial import Trial
from stamp import one_thread, stamp, write_result

INITIAL, EVALUATIONS, BUDGET, FOLD = 10, 60, 20.0, 100.0
SPEED_BAR_S = 0.05
SHARES = (0.25, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A function to be made small, on the unit cube."""

    columns: int
    least: float
    value: Callable[[Float64], float]


def branin(u: Float64) -> float:
    x, y = 15 * float(u[0]) - 5, 15 * float(u[1])
    bowl = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_PULLS = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(u: Float64) -> float:
    wells = np.exp(-(_PULLS * (u - _CENTRES) ** 2).sum(1))
    return -float(np.array([1, 1.2, 3, 3.2]) @ wells)


TOYS = {
    "branin": Toy(columns=2, least=0.39788735772973816, value=branin),
    "hartmann6": Toy(columns=6, least=-3.322368011391339, value=hartmann6),
}
COSTS: dict[str, Callable[[Float64], float]] = {
    "up": lambda u: FOLD ** float(u[0]) * math.log(FOLD) / (FOLD - 1),
    "down": lambda u: FOLD ** (1 - float(u[0])) * math.log(FOLD) / (FOLD - 1),
}


class Ours:
    """`matinee.tune` as a peer: asked for a point, told its value and dollars."""

    def __init__(self, columns: int, seed: int, options: Options) -> None:
        names = [f"x{column}" for column in range(columns)]
        self.search = Search({name: Span(low=0.0, high=1.0) for name in names}, options)
        self.names, self.seed = names, seed
        self.trials: list[Trial] = []

    def ask(self, left_dollars: float) -> Float64 | None:
        """The next point; None: nothing fits."""
        found = self.search.suggest(self.trials, left_dollars, seed=self.seed, number=len(self.trials) + 1)
        if found is None:
            return None
        self.why = found.why
        return np.array([found.settings[name] for name in self.names])

    def tell(self, point: Float64, value: float, dollars: float) -> None:
        """What became of it."""
        self.trials.append(
            Trial(
                number=len(self.trials) + 1,
                settings=dict(zip(self.names, point.tolist(), strict=True)),
                why=self.why,
                state="done",
                value=value,
                dollars=dollars,
            )
        )


class Optunas:
    """One of Optuna's samplers; it knows nothing of dollars."""

    def __init__(self, columns: int, seed: int, name: str, given: list[dict[str, float]]) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        # The first ten points are given, or drawn by the sampler itself.
        samplers: dict[str, Callable[[], Any]] = {
            "random": lambda: optuna.samplers.RandomSampler(seed=seed),
            "tpe": lambda: optuna.samplers.TPESampler(seed=seed),
            "gp": lambda: optuna.samplers.GPSampler(seed=seed, deterministic_objective=True),
        }
        self.study = optuna.create_study(direction="maximize", sampler=samplers[name]())
        self.names = [f"x{column}" for column in range(columns)]
        for settings in given:
            self.study.enqueue_trial(settings)

    def ask(self, left_dollars: float) -> Float64:
        """The next point."""
        del left_dollars
        self.trial = self.study.ask()
        return np.array([self.trial.suggest_float(name, 0.0, 1.0) for name in self.names])

    def tell(self, point: Float64, value: float, dollars: float) -> None:
        """What became of it."""
        del point, dollars
        self.study.tell(self.trial, value)


def initial(columns: int, seed: int) -> list[dict[str, float]]:
    points = np.random.default_rng(seed).random((INITIAL, columns))
    return [{f"x{column}": float(value) for column, value in enumerate(row)} for row in points]


def peer_of(name: str, columns: int, seed: int, given: list[dict[str, float]]) -> Ours | Optunas:
    if name in ("ours", "ours-blind"):
        options = Options(given=tuple(given), by_cost=name == "ours", start=len(given) or None)
        return Ours(columns, seed, options)
    return Optunas(columns, seed, name, given)


def regrets(toy: Toy, name: str, seed: int) -> tuple[float, float, float]:
    """Simple regret after 30 and 60 evaluations, and CPU-seconds of a suggestion between them."""
    peer = peer_of(name, toy.columns, seed, initial(toy.columns, seed))
    seen: list[float] = []
    cpu_s = 0.0
    for evaluation in range(EVALUATIONS):
        begin = process_time()
        point = peer.ask(1e6)
        if evaluation >= 30:
            cpu_s += process_time() - begin
        assert point is not None
        seen.append(toy.value(point) - toy.least)
        begin = process_time()
        peer.tell(point, -seen[-1], 1.0)
        if evaluation >= 30:
            cpu_s += process_time() - begin
    return min(seen[:30]), min(seen), cpu_s / (EVALUATIONS - 30)


def regret_row(name: str, toy: Toy, seeds: int) -> dict[str, Any]:
    found = {peer: [regrets(toy, peer, seed) for seed in range(seeds)] for peer in ("ours", "gp")}
    logs = {peer: np.log10(np.maximum([run[1] for run in runs], 1e-9)) for peer, runs in found.items()}
    apart = logs["ours"] - logs["gp"]
    p = float(sign_flip_p(apart[:, None])[0])
    row: dict[str, Any] = {"toy": name, "seeds": seeds}
    for peer, runs in found.items():
        row[peer] = {
            "at_30": median(run[0] for run in runs),
            "at_60": median(run[1] for run in runs),
            "all_at_60": [run[1] for run in runs],
            "suggestion_cpu_s": median(run[2] for run in runs),
        }
    row["wins"] = int((apart < 0).sum())
    row["mean_log10_difference"] = float(apart.mean())
    row["p"] = p
    row["reached"] = bool(row["ours"]["at_60"] <= row["gp"]["at_60"] or apart.mean() <= 0)
    return row


def speed(trials: int = 100, runs: int = 15) -> dict[str, Any]:
    """CPU-seconds of a suggestion: a fresh search, and one that has suggested what is there."""
    toy = TOYS["hartmann6"]
    peer = Ours(toy.columns, 0, Options(start=INITIAL))
    going: list[float] = []
    while len(peer.trials) < trials + runs:
        begin = process_time()
        point = peer.ask(1e6)
        if len(peer.trials) >= trials:
            going.append(process_time() - begin)
        assert point is not None
        peer.tell(point, -toy.value(point), 1.0)
    fresh = []
    for run in range(runs):
        other = Ours(toy.columns, 0, Options(start=INITIAL))
        other.trials = peer.trials[: trials + run]
        begin = process_time()
        other.ask(1e6)
        fresh.append(process_time() - begin)
    return {
        "trials": trials,
        "columns": toy.columns,
        "fresh_cpu_s": median(fresh),
        "going_cpu_s": median(going),
        "going_mean_cpu_s": sum(going) / len(going),
        "reached": median(going) <= SPEED_BAR_S,
    }


def spend(toy: Toy, cost: Callable[[Float64], float], name: str, seed: int) -> tuple[list[float], float]:
    """The least regret of what had been paid for at each share of the budget; and what was paid."""
    peer = peer_of(name, toy.columns, seed, [])
    paid, found = 0.0, [math.inf] * len(SHARES)
    while True:
        point = peer.ask(BUDGET - paid)
        if point is None:
            return found, paid
        dollars, regret = cost(point), toy.value(point) - toy.least
        if paid + dollars > BUDGET:
            # It is killed there; whoever knows nothing of dollars ends with the budget.
            return found, BUDGET
        paid += dollars
        found = [
            min(best, regret) if paid <= share * BUDGET else best
            for best, share in zip(found, SHARES, strict=True)
        ]
        peer.tell(point, -regret, dollars)


def cost_row(name: str, kind: str, seeds: int) -> dict[str, Any]:
    toy = TOYS[name]
    row: dict[str, Any] = {"toy": name, "costs": kind, "seeds": seeds, "regret": {}}
    for peer in ("ours", "ours-blind", "random", "tpe", "gp"):
        runs = [spend(toy, COSTS[kind], peer, seed) for seed in range(seeds)]
        row["regret"][peer] = {
            f"{share:.0%}": median(run[0][at] for run in runs) for at, share in enumerate(SHARES)
        }
    theirs = min(found["100%"] for peer, found in row["regret"].items() if peer != "ours")
    row["best_blind"] = theirs
    row["reached"] = bool(row["regret"]["ours"]["50%"] < theirs)
    row["stretch"] = bool(row["regret"]["ours"]["25%"] < theirs)
    return row


PARTS: dict[str, Callable[[int], Iterator[dict[str, Any]]]] = {
    "speed": lambda _seeds: iter([speed()]),
    "regret": lambda seeds: (regret_row(name, toy, seeds) for name, toy in TOYS.items()),
    "costs": lambda seeds: (cost_row(name, kind, seeds) for name in TOYS for kind in COSTS),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--parts", default="speed,regret,costs")
    asked = parser.parse_args()
    one_thread()
    warnings.filterwarnings("ignore")
    for part in asked.parts.split(","):
        result: dict[str, Any] = {**stamp(), "seeds": asked.seeds, "rows": []}
        for row in PARTS[part](asked.seeds):
            result["rows"].append(row)
            print(row, flush=True)
            write_result(f"tuning_toys-{part}", result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
