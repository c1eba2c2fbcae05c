"""Other libraries on MovieLens-1M, the last event of each viewer left out, judged by our evaluator.

    python benchmarks/peers/run.py --peers rectools-sasrec,implicit-als --length 50
    python benchmarks/peers/run.py --peers rectools-sasrec --tries
    python benchmarks/peers/run.py

Each peer is fitted in an environment of its own, which is made from its pinned requirements. What it answers
is kept epoch by epoch; the last command fits nothing and judges whatever is there, runs that were stopped or
still go on too. All that is there goes to results/peers.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from matinee.evaluate.judge import judge
from peers import judged
from peers.handover import Handed, hand_over
from peers.runs import Plan, found_in, matmul_rate, start, tried_in
from peers.settings import PEERS, TRY_CPU_S, TRY_LENGTH
from peers.venvs import pinned
from stamp import RESULTS, one_thread, stamp, write_result

CACHE = Path.home() / ".cache" / "matinee-peers"
RUNS, TRIES = "runs", "tries"


def fit_peers(asked: argparse.Namespace, handed: Handed, plan: Plan, command: str) -> None:
    for name in asked.peers:
        peer = PEERS[name]
        job = {
            "peer": name,
            "settings": peer.settings,
            "length": asked.length,
            "epochs": asked.epochs or peer.epochs,
            "most_cpu_s": asked.most_cpu_s,
            "command": command,
        }
        label = f"{name}-{asked.length}{'-bf16' if plan.bf16 else ''}"
        print(label, flush=True)
        start(plan.work / RUNS / label, job, handed, plan)


def try_peers(asked: argparse.Namespace, handed: Handed, plan: Plan, command: str) -> None:
    for name in asked.peers:
        peer = PEERS[name]
        for number, changed in enumerate(({}, *peer.tries)):
            job = {
                "peer": name,
                "settings": peer.settings | changed,
                "length": TRY_LENGTH,
                "epochs": peer.epochs,
                "most_cpu_s": TRY_CPU_S,
                "command": command,
            }
            label = f"{name}-{number}"
            print(f"{label} {changed}", flush=True)
            start(plan.work / TRIES / label, job, handed, plan)


def judge_all(handed: Handed, plan: Plan, scores: Path | None) -> dict[str, Any]:
    """Everything that lies in the working folder, judged."""
    closed = judged.closed_form(handed)
    runs = []
    for folder in _folders(plan.work / RUNS):
        found = found_in(folder, handed)
        if PEERS[found["peer"]].network and found.get("curve"):
            epoch = found["best_on_validation"]["epoch"]
            found["times_closed_form"] = judged.product(folder, epoch, handed, closed)
            if scores is not None:
                judged.write_scores(folder, epoch, handed, scores / f"{folder.name}.npz")
        runs.append(found)
    return {
        "log": "ml-1m",
        "protocol": "leave-one-out",
        "askers": len(handed.queries["test"]),
        "items": handed.train.n_items,
        "closed_form": judged.metrics(judge(closed, handed.queries["test"], at=(10,))),
        "runs": runs,
        "tries": [tried_in(folder, handed) for folder in _folders(plan.work / TRIES)],
    }


def _folders(place: Path) -> list[Path]:
    return sorted(job.parent for job in place.glob("*/job.json"))


def _names(told: str) -> list[str]:
    names = [name for name in told.split(",") if name]
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"unknown peer {name!r}: known are {', '.join(PEERS)}")
    return names


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=_names, default=[], help="separated by commas; none: judge only")
    parser.add_argument("--length", type=int, default=50, help="events of a history that a network sees")
    parser.add_argument("--epochs", type=int, default=0, help="at most; 0: as the peer's settings say")
    parser.add_argument("--most-cpu-s", type=float, default=3000.0, help="no epoch begins after so many")
    parser.add_argument("--tries", action="store_true", help="try the listed settings, a few epochs each")
    parser.add_argument("--fit-only", action="store_true", help="judge and write nothing: a later call does")
    parser.add_argument("--bf16", action="store_true", help="where the peer can")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--venvs", type=Path, default=CACHE, help="folder of the environments")
    parser.add_argument("--work", type=Path, default=CACHE / "work", help="folder of what peers answered")
    parser.add_argument("--scores", type=Path, help="write each network's score matrix into this folder")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options().parse_args(arguments)
    one_thread()
    plan = Plan(venvs=asked.venvs, work=asked.work, threads=asked.threads, seed=asked.seed, bf16=asked.bf16)
    stamped = stamp()
    stamped["command"] = stamped["command"].replace("benchmarks/", "benchmarks/peers/", 1)
    handed = hand_over(plan.work)
    (try_peers if asked.tries else fit_peers)(asked, handed, plan, stamped["command"])
    if asked.fit_only:
        return
    stamped["machine"]["matmul"] = matmul_rate(plan)
    stamped["versions"]["peers"] = {peer.environment: pinned(peer.environment) for peer in PEERS.values()}
    result = judge_all(handed, plan, asked.scores) | stamped
    write_result("peers", result, asked.out)
    print(json.dumps({name: result[name] for name in ("closed_form", "tries")}, indent=1))


if __name__ == "__main__":
    main()
