"""Running a peer's program, and reading what it left."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from peers import judged
from peers.exchange import ASKED
from peers.handover import Handed
from peers.settings import PEERS
from peers.venvs import pinned, python_of

HERE = Path(__file__).parent.parent
LEVELS = (0.10, 0.12, 0.14, 0.16)
NOT_REACHED = "not reached"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How peers are run.

    Attributes:
        venvs: where their environments are.
        work: where their results go, a folder each.
        threads: threads of each.
        seed: seed of each.
        bf16: whether those that can may reckon in bfloat16.
    """

    venvs: Path
    work: Path
    threads: int = 1
    seed: int = 0
    bf16: bool = False


def environment_of(threads: int) -> dict[str, str]:
    """The environment variables of a peer's program."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return {**os.environ, **limits, "PYTHONPATH": str(HERE)}


def start(folder: Path, job: Mapping[str, Any], handed: Handed, plan: Plan) -> bool:
    """Run a peer's program to its end, its words going to `output.txt`; whether it ended well."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("epoch-*"):
        old.unlink()
    told = {**job, "data": str(handed.path), "seed": plan.seed, "bf16": plan.bf16, "threads": plan.threads}
    (folder / "job.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    peer = PEERS[job["peer"]]
    python = python_of(peer.environment, plan.venvs)
    with (folder / "output.txt").open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [str(python), "-m", f"peers.{peer.program}", str(folder)],
            cwd=HERE,
            env=environment_of(plan.threads),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        print(f"  {job['peer']} ended with code {done.returncode}: see {folder / 'output.txt'}", flush=True)
    return done.returncode == 0


def matmul_rate(plan: Plan) -> dict[str, float]:
    """What `rate.py` measures, in the environment of RecTools."""
    python = python_of("rectools", plan.venvs)
    done = subprocess.run(
        [str(python), "-m", "peers.rate"],
        cwd=HERE,
        env=environment_of(plan.threads),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def found_in(folder: Path, handed: Handed) -> dict[str, Any]:
    """What a run left in its folder, judged; it may still be running, or have been stopped."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    lines = _lines(folder)
    found = {
        "peer": job["peer"],
        "command": job["command"],
        "version": pinned(PEERS[job["peer"]].environment)[PEERS[job["peer"]].library],
        "length": job["length"] if PEERS[job["peer"]].network else None,
        "settings": job["settings"],
        "seed": job["seed"],
        "threads": job["threads"],
        "precision": "bf16 where the peer mixes it in" if job["bf16"] else "fp32",
    }
    if lines and lines[-1].get("extrapolated"):
        return found | _extrapolated(lines[-1])
    return found | (_fitted(folder, lines, handed) if lines else {"epochs": 0})


def tried_in(folder: Path, handed: Handed) -> dict[str, Any]:
    """What a try cost, and what validation says of it; its test is never looked at."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    lines = _lines(folder)
    found = [judged.judge_epoch(folder, line["epoch"], "valid", handed)["ndcg@10"] for line in lines]
    return {
        **{name: job[name] for name in ("peer", "length", "settings")},
        "cpu_s": [round(line["cpu_s"], 1) for line in lines],
        "validation": [round(one, 5) for one in found],
    }


def _lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "progress.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines]


def _extrapolated(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "extrapolated": (
            f"an epoch from {line['batches_timed']} of its {line['batches_of_an_epoch']:,} batches; "
            "not fitted to an end"
        ),
        "events_an_epoch": line["events"],
        "epoch_cpu_s": round(line["epoch_cpu_s"], 1),
        "cpu_s_per_million_events": round(line["epoch_cpu_s"] / line["events"] * 1e6, 1),
        "peak_rss_mb": round(line["peak_rss_mb"]),
    }


def _fitted(folder: Path, lines: list[dict[str, Any]], handed: Handed) -> dict[str, Any]:
    curve = []
    for line in lines:
        chosen_on, found = (judged.judge_epoch(folder, line["epoch"], name, handed) for name in ASKED)
        curve.append(
            {
                "epoch": line["epoch"],
                "cpu_s": round(line["cpu_s"], 1),
                "validation": round(chosen_on["ndcg@10"], 5),
                "ndcg@10": round(found["ndcg@10"], 5),
                "hit@10": round(found["hit@10"], 5),
            }
        )
    best = curve[int(np.argmax([one["validation"] for one in curve]))]
    # The first epoch holds what is done once: reading events into the library's own form.
    epoch = median(line["epoch_cpu_s"] for line in (lines[1:] or lines))
    return {
        "epochs": len(lines),
        "cpu_s": round(lines[-1]["cpu_s"], 1),
        "events_an_epoch": lines[0]["events"],
        "epoch_cpu_s": round(epoch, 1),
        "least_epoch_cpu_s": round(min(line["epoch_cpu_s"] for line in lines), 1),
        "load": round(median(line["load"] for line in lines), 2),
        "cpu_s_per_million_events": round(epoch / lines[0]["events"] * 1e6, 1),
        "peak_rss_mb": round(max(line["peak_rss_mb"] for line in lines)),
        "cpu_s_to_ndcg@10": {f"{level:.2f}": first_at(curve, level) for level in LEVELS},
        "best_on_validation": {
            "epoch": best["epoch"],
            "cpu_s": best["cpu_s"],
            **judged.accuracy(folder, best["epoch"], handed),
        },
        "curve": curve,
    }


def first_at(curve: list[dict[str, Any]], level: float) -> float | str:
    """CPU-seconds of the first epoch whose test lists reach a level, or words."""
    reached = [one["cpu_s"] for one in curve if one["ndcg@10"] >= level]
    return reached[0] if reached else NOT_REACHED
