"""What an index of a large catalogue is worth: recall, cost, memory and the time until it answers.

python benchmarks/index.py BUNDLE WORK [--items 1000000] [--blend BLEND WORK] [--json PATH]

BUNDLE is of a trained network. Its vectors are measured as they are, and enlarged: each further item is a
trained one, moved by half the difference of two trained ones of the same list, so that it lies as near its
like as these do. The enlarged model is written into WORK as a bundle of its own, and asked as a server asks.

BLEND is of a network, transitions and factors. It is asked as it is, all its items looked at, and enlarged:
vectors as those of the network, further items after the same trained ones; what follows a further item is
what follows its trained one, and each weight is of one of the items that come of the one that it was of. Of
each row the 12 largest weights are kept.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from matinee.answers.bf16 import float32_of
from matinee.answers.bundle import write_bundle
from matinee.answers.compact import compact, sparse_tensors
from matinee.answers.index.build import build_index
from matinee.answers.index.inverted_lists import inverted_lists
from matinee.answers.index.queries import drawn_histories
from matinee.answers.model import Model, load
from matinee.core.promise import Part
from matinee.core.types import Float32, Int64
from matinee.data.vocabulary import Vocabulary
from stamp import stamp

QUERIES = 300
# Weights of a row that a closed form of very many items keeps.
KEPT = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--blend", type=Path, nargs=2, metavar=("BLEND", "WORK"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--ask", action="store_true", help="ask the bundle in WORK, in a process of its own")
    given = parser.parse_args()
    if given.ask:
        print(json.dumps(asyncio.run(asked_in_service(given.work))))
        return
    found: dict[str, Any] = {"yardstick_us": yardstick_us(), "sha256_mb_per_s": sha256_rate()}
    found |= {"trained": vectors_measured(load(given.bundle))}
    found |= measured_larger(given.bundle, given.work, given.items)
    if given.blend:
        bundle, work = given.blend
        found["blend"] = {
            "items": load(bundle).log.n_items,
            "as it is": in_service(bundle),
            **measured_larger(bundle, work, given.items),
        }
    text = json.dumps({**stamp(), **found}, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


def yardstick_us() -> float:
    """What a product of 50 x 64 and 64 x 336 numbers takes: where that is longer, so is all else."""
    left, right = np.ones((50, 64), np.float32), np.ones((64, 336), np.float32)
    best = float("inf")
    for _ in range(60):
        began = time.process_time()
        for _ in range(100):
            left @ right
        best = min(best, (time.process_time() - began) / 100)
    return round(best * 1e6, 1)


def sha256_rate() -> float:
    """How many megabytes SHA-256 gets through in a second of CPU here, on one core."""
    piece = bytes(2**24)
    began = time.process_time()
    for _ in range(8):
        hashlib.sha256(piece).digest()
    return round(8 * len(piece) / 1e6 / (time.process_time() - began))


def measured_larger(bundle: Path, work: Path, items: int) -> dict[str, Any]:
    """A model with more items, written where it is not there yet: its indices, and a server over it."""
    found: dict[str, Any] = {}
    if not (work / "manifest.json").exists():
        began = time.process_time()
        found["written_cpu_s"] = written(enlarged(load(bundle), items), work) - began
    manifest = json.loads((work / "manifest.json").read_bytes())
    found["enlarged"] = {
        name: {key: value for key, value in one.items() if key != "tensors"}
        for name, one in manifest["index"]["parts"].items()
    }
    found["joint"] = manifest["index"]["joint"]
    found["bytes"] = sum(one["bytes"] for one in manifest["files"].values())
    found["service"] = in_service(work)
    return found


def in_service(folder: Path) -> dict[str, Any]:
    """What a server over a bundle says of itself, in a process of its own."""
    told = subprocess.run(
        [sys.executable, __file__, "--ask", str(folder), str(folder)],
        capture_output=True,
        check=True,
        text=True,
    )
    answers: dict[str, Any] = json.loads(told.stdout)
    return answers


def vectors_measured(model: Model) -> dict[str, Any]:
    """Trained vectors as they are, by an index and by a look at all of them."""
    scorer: Any = model.scorer
    drawn = drawn_histories(model.log.histories, model.context.popularity, QUERIES, seed=0)
    asked = np.stack([scorer.asked(asker) for asker in drawn])
    index, measured = build_index(scorer.item_vectors, asked[:100], asked[100:])
    times = []
    for one in asked[:20]:
        began = time.thread_time()
        scorer.item_vectors @ one
        times.append(time.thread_time() - began)
    product_ms = float(np.median(times)) * 1000
    return {**index.settings, **asdict(measured), "items": len(scorer.item_vectors), "product_ms": product_ms}


def enlarged(model: Model, items: int) -> Model:
    """The same model with more items, as the file's docstring tells."""
    parts = {name: larger_part(part, model.log.n_items, items) for name, part in model.parts.items()}
    more = items - model.log.n_items
    ids = [*model.log.items.arrow.to_pylist(), *(f"more-{number}" for number in range(more))]
    log = replace(model.log, items=Vocabulary(ids), item_table=pa.table({"id": ids}))
    popularity = np.concatenate([model.context.popularity, np.zeros(more, np.float32)])
    return replace(
        model,
        parts=parts,
        log=log,
        context=replace(model.context, n_items=items, popularity=popularity),
        facts={},
        indices={},
    )


def larger_part(part: Part, n: int, items: int) -> Part:
    """A part of a model with more items."""
    if "items" in part.tensors:
        vectors = more_vectors(np.asarray(part.tensors["items"]), items)
        return replace(part, tensors={**part.tensors, "items": vectors}, sums={})
    if part.kind != "linear":
        return part
    tensors = compact(part, keep=KEPT).tensors
    rates = (len(tensors["indptr"]) - 1) // n
    table = csr_matrix(
        (float32_of(tensors["data"]), tensors["indices"], tensors["indptr"]), shape=(rates * n, n)
    )
    first = np.concatenate([np.arange(n), origins(n, items)])
    rows = (first + n * np.arange(rates)[:, None]).ravel()
    larger = table[rows]
    # Every item with those that come of it, the trained one first.
    order = np.argsort(first, kind="stable")
    starts = np.searchsorted(first[order], np.arange(n + 1))
    drawn = np.random.default_rng(1).random(len(larger.indices))
    sizes = np.diff(starts)[larger.indices]
    larger.indices = order[starts[larger.indices] + (drawn * sizes).astype(np.int64)].astype(np.int32)
    larger = csr_matrix((larger.data, larger.indices, larger.indptr), shape=(rates * items, items))
    larger.sort_indices()
    return replace(part, tensors=sparse_tensors(larger), sums={})


def origins(n: int, items: int) -> Int64:
    """Which of n trained items each further one comes of: int64, shape (items - n,)."""
    return np.random.default_rng(0).integers(0, n, items - n)


def more_vectors(vectors: Float32, items: int) -> Float32:
    """Trained vectors, then made ones: float32, shape (items, width)."""
    random = np.random.default_rng(2)
    tensors = inverted_lists(vectors, 1_024, seed=0).tensors
    starts, sizes, order = tensors["offsets"][:-1], np.diff(tensors["offsets"]), tensors["order"]
    lists = np.empty(len(vectors), np.int64)
    lists[order] = np.repeat(np.arange(len(sizes)), sizes)
    which = origins(len(vectors), items)
    mine = lists[which]
    one, other = (
        vectors[order[starts[mine] + (random.random(len(mine)) * sizes[mine]).astype(np.int64)]]
        for _ in range(2)
    )
    return np.vstack([vectors, vectors[which] + np.float32(0.5) * (one - other)])


def written(model: Model, folder: Path) -> float:
    """Write the bundle, and say what the process has taken by then."""
    from matinee.answers.bundle import Content

    write_bundle(
        folder,
        Content(
            name=model.name,
            config=model.config,
            parts=model.parts,
            log=model.log,
            popularity=model.context.popularity,
        ),
    )
    return time.process_time()


async def asked_in_service(folder: Path) -> dict[str, Any]:
    """CPU of an answer to histories of 50 events, memory, and the time until the bundle is ready."""
    from matinee.serve.asking import Ask
    from matinee.serve.records import Seen
    from matinee.serve.service import Limits
    from matinee.serve.start import start_service
    from matinee.testing.small_store import SmallStore

    began, cpu = time.perf_counter(), time.process_time()
    service = await start_service([folder], SmallStore(0), Limits(), histories=False)
    ready_s, ready_cpu_s = time.perf_counter() - began, time.process_time() - cpu
    names = load_names(folder)
    random = np.random.default_rng(0)
    ready: Any = service.bundles.ready()[0]  # type: ignore[attr-defined] # the shelf's own
    times, alone = [], []
    for _ in range(300):
        items = [names[int(code)] for code in random.integers(0, len(names), 50)]
        history = [Seen(item, "watch", None, 1_000 * n) for n, item in enumerate(items)]
        alone.append(scored(ready, ready.reading.take(history, ready.live, -1, 200)))
        ask = Ask(history=list(history))
        began = time.thread_time()
        answer = await service.answers.recommend(ask)
        times.append(time.thread_time() - began)
        assert len(answer.items) == 10
    await asyncio.sleep(1)
    figures: Any = getattr(service.answers, "rechecks", None)
    status = Path("/proc/self/status").read_text().splitlines()
    memory = {
        line.split(":")[0]: int(line.split()[1]) // 1024
        for line in status
        if line.startswith(("VmHWM", "VmRSS"))
    }
    return {
        "ready_s": ready_s,
        "ready_cpu_s": ready_cpu_s,
        "cpu_ms": told_ms(times),
        "scorer_cpu_ms": told_ms(alone),
        "memory_mb": memory,
        "rechecked": asdict(figures.figures),
    }


def scored(ready: Any, taken: Any) -> float:
    """Seconds of CPU until the best items are known, before any rule is asked."""
    began = time.thread_time()
    if ready.model.candidates is not None:
        ready.model.candidates.best(taken.asker, 150)
    else:
        ready.scores(taken)
    return time.thread_time() - began


def told_ms(times: list[float]) -> dict[str, float]:
    """Times as they are told: milliseconds."""
    return {name: float(np.quantile(times, share)) * 1000 for name, share in (("p10", 0.1), ("median", 0.5))}


def load_names(folder: Path) -> list[str]:
    """The ids of the items that people watched: the others are made up."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    ids = pq.ParquetFile(folder / "items.parquet").read(columns=["id"]).column("id")
    watched = pc.sum(pc.invert(pc.starts_with(ids, "more-"))).as_py()
    names: list[str] = ids.slice(0, watched).to_pylist()
    return names


if __name__ == "__main__":
    main()
