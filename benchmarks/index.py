"""What an index of a large catalogue is worth: recall, cost, memory and the time until it answers.

python benchmarks/index.py BUNDLE WORK [--items 1000000] [--json PATH]

BUNDLE is of a trained network. Its vectors are measured as they are, and enlarged: each further item is a
trained one, moved by half the difference of two trained ones of the same list, so that it lies as near its
like as these do. The enlarged model is written into WORK as a bundle of its own, and asked as a server asks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.answers.bundle import write_bundle
from matinee.answers.index.build import build_index
from matinee.answers.index.inverted_lists import inverted_lists
from matinee.answers.index.queries import drawn_histories
from matinee.answers.model import Model, load
from matinee.core.types import Float32
from matinee.data.vocabulary import Vocabulary
from stamp import stamp

QUERIES = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--ask", action="store_true", help="ask the bundle in WORK, in a process of its own")
    given = parser.parse_args()
    if given.ask:
        print(json.dumps(asyncio.run(asked_in_service(given.work))))
        return
    model = load(given.bundle)
    found: dict[str, Any] = {"trained": vectors_measured(model)}
    if not (given.work / "manifest.json").exists():
        began = time.process_time()
        large = enlarged(model, given.items)
        found["written_cpu_s"] = written(large, given.work) - began
    manifest = json.loads((given.work / "manifest.json").read_bytes())
    found["enlarged"] = {
        name: {key: value for key, value in one.items() if key != "tensors"}
        for name, one in manifest["index"]["parts"].items()
    }
    told = subprocess.run(
        [sys.executable, __file__, "--ask", str(given.bundle), str(given.work)],
        capture_output=True,
        check=True,
        text=True,
    )
    found["service"] = json.loads(told.stdout)
    text = json.dumps({**stamp(), **found}, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


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
    """The same network with more items, as the file's docstring tells."""
    part = model.parts[model.name]
    vectors = more_vectors(np.asarray(part.tensors["items"]), items)
    more = items - model.log.n_items
    ids = [*model.log.items.arrow.to_pylist(), *(f"more-{number}" for number in range(more))]
    log = replace(model.log, items=Vocabulary(ids), item_table=pa.table({"id": ids}))
    popularity = np.concatenate([model.context.popularity, np.zeros(more, np.float32)])
    return replace(
        model,
        parts={model.name: replace(part, tensors={**part.tensors, "items": vectors})},
        log=log,
        context=replace(model.context, n_items=items, popularity=popularity),
        facts={},
    )


def more_vectors(vectors: Float32, items: int) -> Float32:
    """Trained vectors, then made ones: float32, shape (items, width)."""
    random = np.random.default_rng(0)
    tensors = inverted_lists(vectors, 1_024, seed=0).tensors
    starts, sizes, order = tensors["offsets"][:-1], np.diff(tensors["offsets"]), tensors["order"]
    lists = np.empty(len(vectors), np.int64)
    lists[order] = np.repeat(np.arange(len(sizes)), sizes)
    which = random.integers(0, len(vectors), items - len(vectors))
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
    model = load_names(folder)
    random = np.random.default_rng(0)
    times = []
    for _ in range(300):
        items = [model[int(code)] for code in random.integers(0, len(model), 50)]
        ask = Ask(history=[Seen(item, "watch", None, 1_000 * n) for n, item in enumerate(items)])
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
        "cpu_ms": {
            name: float(np.quantile(times, share)) * 1000 for name, share in (("p10", 0.1), ("median", 0.5))
        },
        "memory_mb": memory,
        "rechecked": asdict(figures.figures),
    }


def load_names(folder: Path) -> list[str]:
    """The ids of the items that people watched: the others are made up."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    ids = pq.read_table(folder / "items.parquet", columns=["id"]).column("id")
    watched = pc.sum(pc.invert(pc.starts_with(ids, "more-"))).as_py()
    names: list[str] = ids.slice(0, watched).to_pylist()
    return names


if __name__ == "__main__":
    main()
