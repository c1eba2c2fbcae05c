"""What a device reaches when it trains the network, beside what it reaches at all.

    python benchmarks/gpu_train.py --items 3400,100000,1000000 --widths 64,128
    python benchmarks/gpu_train.py --device cpu --items 3400,20000 --widths 64 --steps 8

First the device's own limits are measured: products of large matrices in float32 and bfloat16, in TF32 where
there is such, and a copy. Then steps on made-up histories (lengths log-normal, items by Zipf): events a
second, arithmetic and bytes as shares of those limits, peak memory, and each part of a step timed alone.
Arithmetic is counted from sizes (forward 1, backward 2). Bytes are those that a step's kernels cannot do
without: each logit written, read and written by the softmax, read by two products; items' gradients once a
chunk; weights, moments and average once. What a cache holds is not taken off, so that a small catalogue may
show more than a copy reaches. It needs torch, numpy and this folder; results go to results/gpu_train.json.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matinee.core.types import Histories
from matinee.networks.chunks import chunk_rows
from matinee.networks.losses import sampled_loss, softmax_loss
from matinee.networks.sequential import SequentialNetwork
from matinee.train.adamw import AdamW
from matinee.train.ahead import Shapes, taken_ahead
from matinee.train.columns import Batch
from matinee.train.device import Place, find_place
from matinee.train.learner import CudaGraphs, Filled, Learner, records
from matinee.train.memory import NetworkSize, parameters, predicted_bytes, predicted_gpu_bytes
from matinee.train.sequences import Reading, next_events
from matinee.train.tensors import map_tensors
from stamp import RESULTS, stamp, write_result

LAYERS, HEADS, LONGEST, DECAY = 2, 2, 200, 0.999
EPOCH = 20_000_000
# Matrices whose product a device is measured by, and numbers that it copies.
SIDES = {"cpu": 1024, "cuda": 8192}
COPIED = {"cpu": 2**24, "cuda": 2**28}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is measured.

    Attributes:
        place: device and precision.
        batch_events: events of a batch.
        steps: that are timed.
        drawn: items that the loss draws; 0: it looks at all.
        record: whether a GPU's steps are recorded.
    """

    place: Place
    batch_events: int
    steps: int
    drawn: int
    record: bool


def main() -> None:
    """Measure the limits, then each size, and write one table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--device", default="auto")
    options.add_argument("--precision", default="auto")
    options.add_argument("--items", default="3400,100000,1000000", help="sizes of the catalogue")
    options.add_argument("--widths", default="64,128", help="widths of item vectors")
    options.add_argument("--batch-events", type=int, default=0, help="default 1024 on a CPU, else 16384")
    options.add_argument("--steps", type=int, default=50, help="steps that are timed")
    options.add_argument("--drawn", type=int, default=0, help="items that the loss draws; default: all items")
    options.add_argument("--eager", action="store_true", help="record no steps")
    options.add_argument("--out", type=Path, default=RESULTS, help="folder of gpu_train.json")
    given = options.parse_args()
    place = find_place(given.device, given.precision)
    asked = Asked(
        place=place,
        batch_events=given.batch_events or (1024 if place.device.type == "cpu" else 16_384),
        steps=given.steps,
        drawn=given.drawn,
        record=not given.eager,
    )
    limits = limits_of(place.device)
    print(" ".join(f"{name} {value:.3g}" for name, value in limits.items()), flush=True)
    rows = []
    for items in (int(word) for word in given.items.split(",")):
        for width in (int(word) for word in given.widths.split(",")):
            rows.append(row_of(asked, items, width, limits))
            print(line_of(rows[-1]), flush=True)
    facts = {"device": device_name(place), "torch": torch.__version__, "half": place.half}
    about = {"batch_events": asked.batch_events, "longest": LONGEST, "layers": LAYERS, "drawn": asked.drawn}
    write_result("gpu_train", stamp() | facts | about | {"limits": limits, "rows": rows}, given.out)


def limits_of(device: torch.device) -> dict[str, float]:
    """Measured: TFLOP/s of products by precision, GB/s of a copy, read and written counted."""
    side, numbers = SIDES.get(device.type, 4096), COPIED.get(device.type, 2**26)
    found = {}
    for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        found[f"{name}_tflops"] = _product_rate(device, side, kind)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        found["tf32_tflops"] = _product_rate(device, side, torch.float32)
        torch.backends.cuda.matmul.allow_tf32 = False
    source = torch.ones(numbers, device=device)
    target = torch.empty_like(source)
    seconds = timed(lambda: target.copy_(source), device)
    return found | {"copy_gb_per_s": 2 * source.nbytes / seconds / 1e9}


def _product_rate(device: torch.device, side: int, kind: torch.dtype) -> float:
    left, right = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    product = torch.empty(side, side, device=device, dtype=kind)
    return 2 * side**3 / timed(lambda: torch.mm(left, right, out=product), device) / 1e12


def timed(work: Callable[[], object], device: torch.device, least_s: float = 0.3) -> float:
    """Seconds of some work: the mean of as many as fit into a while, after two that do not count."""
    work()
    work()
    wait(device)
    for times in (1, 4, 16, 64, 256):
        begin = now(device)
        for _ in range(times):
            work()
        wait(device)
        spent = now(device) - begin
        if spent >= least_s:
            break
    return spent / times


def now(device: torch.device) -> float:
    """Seconds: on a CPU this process's own, so that others change nothing (take one thread)."""
    return time.process_time() if device.type == "cpu" else time.perf_counter()


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def events_of(items: int, total: int) -> Histories:
    """Made-up histories of about so many events: lengths log-normal around 100, items by Zipf."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(4.3, 0.9, max(8, total // 100)), 3, 2_000).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ranks = np.minimum(random.zipf(1.2, int(offsets[-1])) - 1, items - 1)
    drawn = np.where(ranks == items - 1, random.integers(0, items, len(ranks)), ranks)
    return Histories(offsets=offsets, items=drawn.astype(np.int32))


def loss_by(drawn: int) -> Callable[[SequentialNetwork, Batch], tuple[Tensor, int]]:
    """The loss of a batch, as a fit has it."""

    def loss_of(network: SequentialNetwork, batch: Batch) -> tuple[Tensor, int]:
        table = network.table()
        loss = asked_loss(batch.vectors(network, table), table, batch, drawn)
        return loss, len(batch.targets)

    return loss_of


def asked_loss(vectors: Tensor, table: Tensor, batch: Batch, drawn: int) -> Tensor:
    """Over all items, or against some drawn ones."""
    if not drawn:
        return softmax_loss(vectors, table, batch.targets, weights=batch.weights)
    others = torch.randint(len(table), (drawn,), device=table.device)
    return sampled_loss(vectors, table, batch.targets, others, weights=batch.weights)


class Run:
    """A network in training, step by step.

    Args:
        asked: what is measured.
        items: size of the catalogue.
        width: of item vectors.
    """

    def __init__(self, asked: Asked, items: int, width: int) -> None:
        self.asked, place = asked, asked.place
        torch.manual_seed(0)
        self.network = SequentialNetwork(
            items, width=width, layers=LAYERS, heads=HEADS, hidden=4 * width, longest=LONGEST
        ).to(place.device)
        self.average = [p.detach().clone() for p in self.network.parameters()]
        self.optimiser = AdamW(dict(self.network.named_parameters()), betas=(0.9, 0.98))
        recorded = records(self.network, place, asked.record)
        self.recorded = recorded
        recorder = CudaGraphs(place.device) if recorded else None
        notes: list[str] = []
        self.notes = notes
        self.learn = Learner(self.network, loss_by(asked.drawn), place, recorder, notes.append)
        total = max(asked.batch_events * (asked.steps + 2), 64 * LONGEST)
        passes = next_events(
            events_of(items, total), Reading(longest=LONGEST, batch_events=asked.batch_events), 0
        )
        self.made = passes
        shapes = Shapes(batch_events=asked.batch_events, longest=LONGEST)
        if place.device.type == "cuda":
            self.passes: Callable[[int], Any] = taken_ahead(passes, shapes if recorded else None)
        else:
            self.passes = passes
        self.total = torch.zeros((), device=place.device)

    def batches(self) -> Iterator[Batch | Filled[Batch]]:
        """Batches without end."""
        return (batch for number in count() for batch in self.passes(number) if batch is not None)

    def step(self, batch: Batch | Filled[Batch]) -> int:
        """One step of training; how many predictions it made."""
        loss, predictions = self.learn(batch)
        self.update()
        if loss is not None:
            self.total += loss.detach() * predictions
        return predictions

    def update(self) -> None:
        """The optimiser and the average."""
        self.optimiser.step(1e-3)
        torch._foreach_lerp_(self.average, list(self.network.parameters()), 1.0 - DECAY)


def row_of(asked: Asked, items: int, width: int, limits: dict[str, float]) -> dict[str, Any]:
    """Steps of one size, and its parts."""
    device = asked.place.device
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    run = Run(asked, items, width)
    batches = run.batches()
    # On a GPU a shape's second batch records it: a few passes' worth of shapes come before what is timed.
    for batch in islice(batches, asked.steps if run.recorded else 2):
        run.step(batch)
    wait(device)
    begin, predictions = now(device), 0
    for batch in islice(batches, asked.steps):
        predictions += run.step(batch)
    wait(device)
    step_s = (now(device) - begin) / asked.steps
    each = predictions / asked.steps
    if not torch.isfinite(run.total):
        raise SystemExit("The loss became no number: what was measured is worth nothing.")
    size = size_of(asked, items, width)
    flops, moved = flops_of(size, each), bytes_of(size, each, device.type)
    rate = limits["bfloat16_tflops" if asked.place.half else "float32_tflops"]
    gpu = device.type == "cuda"
    return {
        "items": items,
        "width": width,
        "events_per_s": round(each / step_s),
        "step_ms": round(1e3 * step_s, 3),
        "epoch_of_20m_s": round(EPOCH / (each / step_s), 1),
        "tflops": round(flops / step_s / 1e12, 4),
        "share_of_products": round(flops / step_s / 1e12 / rate, 3),
        "gb_per_s": round(moved / step_s / 1e9, 2),
        "share_of_copy": round(moved / step_s / 1e9 / limits["copy_gb_per_s"], 3),
        "peak_gib": round(peak_bytes(device) / 2**30, 3),
        "predicted_gib": round((predicted_gpu_bytes if gpu else predicted_bytes)(size) / 2**30, 3),
        "recorded": run.recorded and not run.notes,
        "notes": run.notes,
        "parts_ms": parts_of(run),
    }


def parts_of(run: Run) -> dict[str, float]:
    """Milliseconds of each part alone, on one full batch; they overlap in a step, so they need not add up."""
    network, asked, device = run.network, run.asked, run.asked.place.device
    host = max(
        islice(chain(run.made(0), run.made(1)), 64), key=lambda batch: len(batch.targets) if batch else 0
    )
    if host is None:
        raise SystemExit("There is no batch to take parts of.")
    batch = map_tensors(host, lambda tensor: tensor.to(device))
    vectors = torch.randn(len(batch.targets), network.items.shape[1], device=device, requires_grad=True)

    def loss() -> None:
        with asked.place.autocast():
            found = asked_loss(vectors, network.table(), batch, asked.drawn)
        torch.autograd.grad(found, (vectors, network.items))

    def blocks() -> None:
        with asked.place.autocast():
            found = batch.vectors(network)
        torch.autograd.grad(found.float().square().mean(), list(network.parameters()))

    gradients = [torch.zeros_like(parameter) for parameter in network.parameters()]

    def optimiser() -> None:
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            parameter.grad = gradient
        run.update()

    made = chain.from_iterable(run.made(number) for number in count())

    def data() -> None:
        next(made)

    parts = {"data": data, "blocks": blocks, "attention": attention_of(run, batch), "loss": loss}
    found = {name: round(1e3 * timed(work, device), 3) for name, work in parts.items()}
    return found | {"optimiser": round(1e3 * timed(optimiser, device), 3)}


def attention_of(run: Run, batch: Batch) -> Callable[[], None]:
    """The products and the softmax of all layers' attention, forward and backward."""
    n, events = batch.histories.items.shape
    kind = torch.bfloat16 if run.asked.place.half else torch.float32
    device, size = run.asked.place.device, run.network.items.shape[1] // HEADS
    queries, keys, values = three = [
        torch.randn(n, HEADS, events, size, device=device).to(kind).requires_grad_() for _ in range(3)
    ]
    bias = torch.zeros(1, HEADS, events, events, device=device, dtype=kind)

    def attention() -> None:
        for _ in range(LAYERS):
            seen = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
            torch.autograd.grad(seen.float().mean(), three)

    return attention


def size_of(asked: Asked, items: int, width: int) -> NetworkSize:
    """What decides memory, arithmetic and bytes."""
    return NetworkSize(
        n_items=items,
        width=width,
        layers=LAYERS,
        heads=HEADS,
        hidden=4 * width,
        longest=LONGEST,
        batch_events=asked.batch_events,
        drawn=asked.drawn,
        half=asked.place.half,
        validated=False,
        checkpoints=False,
    )


def flops_of(size: NetworkSize, predictions: float) -> float:
    """Float operations of a step: two a product, backward twice forward."""
    looked = size.drawn or size.n_items
    layer = 4 * size.width**2 + 2 * size.hidden * size.width + 2 * size.longest * size.width
    return 6.0 * predictions * (looked * size.width + size.layers * layer)


def bytes_of(size: NetworkSize, predictions: float, device: str) -> float:
    """Bytes that a step's loss and optimiser move: see the top of this file."""
    each, looked = (2 if size.half else 4), size.drawn or size.n_items
    chunks = 1.0 if size.drawn else max(1.0, predictions / chunk_rows(2**31, size.n_items, device, each))
    logits = 5 * each * predictions * looked
    table = 8 * size.n_items * size.width * chunks
    return logits + table + (28 + 12) * parameters(size)


def peak_bytes(device: torch.device) -> int:
    """The most memory that was taken: of the GPU by tensors, else by the whole process so far."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def device_name(place: Place) -> str:
    """The card, or the processor's kind."""
    return torch.cuda.get_device_name(place.device) if place.device.type == "cuda" else place.device.type


def line_of(row: dict[str, Any]) -> str:
    """A row of the table as a line."""
    parts = " ".join(f"{name} {spent}" for name, spent in row["parts_ms"].items())
    return (
        f"{row['items']:>9} items, width {row['width']}: {row['events_per_s']:>9} events/s, "
        f"{row['step_ms']} ms, "
        f"{row['tflops']} TFLOP/s ({row['share_of_products']:.0%}), {row['gb_per_s']} GB/s "
        f"({row['share_of_copy']:.0%}), {row['peak_gib']} GiB; ms: {parts}"
    )


if __name__ == "__main__":
    main()
