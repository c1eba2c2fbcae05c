"""Predicted and measured peak memory of training a network, for several shapes of log and network.

Each fit runs in a process of its own, on made-up histories. What is measured is how far its anonymous memory
rises above what it was before torch was loaded, sampled every other millisecond.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from anonymous import anonymous_bytes
from matinee.train.memory import NetworkSize, predicted_bytes
from stamp import one_thread, stamp, write_result

ML_1M = {"n_items": 3_416, "viewers": 2_000, "mean": 4.6, "spread": 0.9}
BEAUTY = {"n_items": 12_101, "viewers": 10_000, "mean": 1.7, "spread": 0.6}
DESCRIBED = {"features": 10_000, "entries": 400_000, "numbers": 64}
LARGE = {"n_items": 200_000, "viewers": 2_000, "mean": 3.0, "spread": 1.0, "batch_events": 1024}
SHAPES: dict[str, dict[str, Any]] = {
    "like ML-1M": ML_1M,
    "like Beauty": BEAUTY | {"longest": 50},
    "wider, deeper": ML_1M | {"width": 128, "layers": 3, "hidden": 512, "heads": 4},
    "gated": ML_1M | {"gated": True},
    "learnt distances": ML_1M | {"positions": "steps"},
    "learnt places": ML_1M | {"positions": "places"},
    "times": ML_1M | {"times": True},
    "large batches": ML_1M | {"batch_events": 16_384},
    "without an average": BEAUTY | {"longest": 50, "average": False, "checkpoints": False},
    "bfloat16": ML_1M | {"half": True},
    "like Beauty, described": BEAUTY | DESCRIBED | {"longest": 50},
    "many items": LARGE,
    "many items, sampled": LARGE | {"drawn": 512},
    "many items, sampled, described": LARGE | DESCRIBED | {"drawn": 512, "entries": 4_000_000},
    "many items, no checkpoints": LARGE | {"drawn": 512, "checkpoints": False},
}


def main() -> None:
    """Measure every shape, or run one fit (`--worker`)."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", nargs="*", help="names of shapes; all where none is given")
    options.add_argument("--worker", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.worker:
        _fit(json.loads(given.worker))
        return
    one_thread()
    rows: dict[str, dict[str, Any]] = {}
    for name, shape in SHAPES.items():
        if given.only and name not in given.only:
            continue
        measured = measured_bytes(shape)
        predicted = predicted_bytes(size_of(shape))
        rows[name] = {"shape": shape, "predicted_mib": predicted >> 20, "measured_mib": measured >> 20}
        rows[name]["error"] = round(predicted / measured - 1.0, 3)
        print(name, rows[name]["predicted_mib"], rows[name]["measured_mib"], rows[name]["error"], flush=True)
    if not given.only:
        write_result("memory_train", stamp() | {"shapes": rows})


def size_of(shape: dict[str, Any]) -> NetworkSize:
    """What the prediction is asked of."""
    return NetworkSize(
        **{key: value for key, value in shape.items() if key not in ("viewers", "mean", "spread")}
    )


def measured_bytes(shape: dict[str, Any]) -> int:
    """Peak growth of anonymous memory of a fit of this shape, in a process of its own."""
    worker = subprocess.Popen(
        [sys.executable, __file__, "--worker", json.dumps(shape)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdout.readline()
    before = peak = anonymous_bytes(worker.pid)
    worker.stdin.write("go\n")
    worker.stdin.flush()
    while worker.poll() is None:
        peak = max(peak, anonymous_bytes(worker.pid))
        time.sleep(0.002)
    if worker.returncode:
        raise RuntimeError(f"The fit of {shape} failed.")
    return peak - before


def _fit(shape: dict[str, Any]) -> None:
    """Train long enough to have everything at once that a fit ever has."""
    import numpy as np

    from matinee.core.types import Histories

    random = np.random.default_rng(0)
    lengths = np.maximum(2, random.lognormal(shape["mean"], shape["spread"], shape["viewers"])).astype(int)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    items = random.integers(0, shape["n_items"], offsets[-1]).astype(np.int32)
    times = np.sort(random.integers(0, 10**9, offsets[-1])) if shape.get("times") else None
    events = Histories(offsets=offsets, items=items, times=times)
    print("ready", flush=True)
    sys.stdin.readline()
    with tempfile.TemporaryDirectory() as folder:
        _train(shape, events, Path(folder))


def _train(shape: dict[str, Any], events: Any, folder: Path) -> None:
    import numpy as np
    import torch
    from torch import Tensor

    from matinee.core.run import Run
    from matinee.networks.losses import sampled_loss, softmax_loss
    from matinee.networks.sequential import SequentialNetwork
    from matinee.train.columns import Batch
    from matinee.train.loop import train
    from matinee.train.plan import Plan
    from matinee.train.sequences import Reading, next_events

    size = size_of(shape)
    network = SequentialNetwork(
        size.n_items,
        width=size.width,
        layers=size.layers,
        heads=size.heads,
        hidden=size.hidden,
        gated=size.gated,
        positions=size.positions,
        decays=[0.5 + 0.4 * head / size.heads for head in range(size.heads)],
        times=size.times,
        longest=size.longest,
        content=_content(size) if size.features else None,
        id_dropout=0.1,
    )
    # With content, items that nobody watched are told from nothing: here one in ten.
    some = torch.arange(size.n_items)[torch.arange(size.n_items) % 10 > 0] if size.features else None
    last = [0.0]

    def loss_of(network: SequentialNetwork, batch: Batch | None) -> tuple[Tensor, int] | None:
        if batch is None:
            return None
        table = network.table()
        vectors, targets = batch.vectors(network, table), batch.targets
        if some is not None:
            table, targets = table[some], torch.searchsorted(some, targets).clamp_max(len(some) - 1)
        if size.drawn:
            drawn = torch.randint(len(table), (size.drawn,))
            return sampled_loss(vectors, table, targets, drawn), len(targets)
        return softmax_loss(vectors, table, targets), len(targets)

    def validate(_: SequentialNetwork) -> float:
        last[0] += 1.0
        return last[0]

    reading = Reading(longest=size.longest, batch_events=size.batch_events, times=size.times)
    whole = next_events(events, reading, 0)(0)
    windows = whole.windows
    by_length = np.argsort([windows.lengths[batch].max() for batch in windows.batches])
    chosen = by_length[np.linspace(0, len(by_length) - 1, 5).astype(int)[::-1]]

    def made(_: int) -> list[Batch | None]:
        return [whole.make(*windows.places(place)) for place in chosen]

    run = Run(
        device="cpu",
        precision="bfloat16" if size.half else "float32",
        checkpoints=folder if size.checkpoints else None,
        checkpoint_every_s=0.0,
    )
    train(network, loss_of, made, Plan(passes=2, average=0.99 if size.average else 0.0), run, validate)


def _content(size: NetworkSize) -> Any:
    """Features drawn at random, as many of each item."""
    import torch

    from matinee.networks.item_content import Described, ItemContent

    each = size.entries // size.n_items
    described = Described(
        features=torch.randint(size.features, (each * size.n_items,)),
        offsets=torch.arange(size.n_items + 1) * each,
        shares=torch.full((each * size.n_items,), each**-0.5),
        vectors=torch.randn(size.n_items, size.numbers),
        n_features=size.features,
    )
    return ItemContent(described, size.width, 2.0, 0.5)


if __name__ == "__main__":
    main()
