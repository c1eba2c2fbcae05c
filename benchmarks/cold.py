"""Items that nobody watched, ranked by what they are, for the viewers who watched them later.

    python benchmarks/cold.py --seeds 2,3

Of a made-up catalogue a fifth is held out of training: all events of these titles are removed, and nothing
of them is left but the table of items (title, genres, description, series). A network is fitted on what
happened before the 0.8 quantile of all times; each later event of a cold item asks which of the cold items it
is, of those that are out and that the viewer has not seen, after all that the viewer watched before, cold
items included.

Rows: popularity by genre (events an item of the genre), the same times the viewer's own share of the genres,
likeness of content to the last events, the network, the blend, an oracle that knows the tastes and the
content (`simulate/told.py`) and one that knows every chance. Bars: the network above both popularities by
genre at p < .01, and at least 70 % of the first oracle's recall@10. Results go to results/cold.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np

from matinee.answers.rules import windows_of
from matinee.core.statistics import bootstrap_means, interval_of, sign_flip_p
from matinee.core.types import Askers, Bool, Float32, Float64, Int64
from matinee.data.content import content_of, learn_features
from matinee.data.log import InteractionLog
from matinee.data.queries import Queries, first_seen, next_event_queries
from matinee.evaluate.judge import Judgement, judge
from matinee.recommenders import make_recommender
from matinee.simulate import SimulationOptions
from matinee.simulate.catalogue import Catalogue
from matinee.simulate.choice import Choice, Situation
from matinee.simulate.tables import World, log_with_truth
from matinee.simulate.told import as_told
from matinee.simulate.walk import walk
from stamp import one_thread, stamp, write_result

SHARE, QUANTILE, K = 0.2, 0.8, 10
BAR, STRETCH, SURE = 0.7, 0.85, 0.01
BY_GENRE = ("popularity by genre", "popularity by own genres")
ORACLE, KNOWS_ALL = "oracle: tastes and content", "oracle: every chance"
# Of the last events, each counts so much of the one after it, for likeness.
DECAY = 0.8
LEAST = -1e9
ROWS = 256

# Scores of every item for some askers, given which queries they ask.
Rank = Callable[[Askers, Int64], Float32]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What is learnt from, what is asked, and what may be answered.

    Attributes:
        log: everything that happened.
        taught: the log that is learnt from.
        cold: bool, shape (items,): which items are held out.
        queries: one for each later event of a cold item.
        events: int64, shape (queries,): that event's position in the log.
        fair: bool, shape (queries, items): cold items that are out.
    """

    log: InteractionLog
    taught: InteractionLog
    cold: Bool
    queries: Queries
    events: Int64
    fair: Bool


def cold_titles(catalogue: Catalogue, seed: int) -> Bool:
    """A fifth of all films and series, each with all its episodes."""
    n = int(catalogue.unit[-1]) + 1
    random = np.random.default_rng(seed)
    return (random.permutation(n) < SHARE * n)[catalogue.unit]


def task_of(log: InteractionLog, cold: Bool) -> Task:
    histories = log.histories
    times = np.asarray(histories.times)
    moment = np.quantile(times, QUANTILE)
    events = np.flatnonzero((times >= moment) & cold[histories.items])
    about = {"n_items": log.n_items, "repeats": False, "negatives": None}
    first = first_seen(histories, log.n_items, np.ones(len(histories), bool))
    queries = next_event_queries(histories, events, events, first, about)
    asked = queries.ends
    since = windows_of(log.item_table).since
    return Task(
        log=log,
        taught=log.keep((times < moment) & ~cold[histories.items]),
        cold=cold,
        queries=queries,
        events=asked,
        fair=cold[None, :] & (since[None, :] <= times[asked][:, None]),
    )


def judged(task: Task, rank: Rank) -> Judgement:
    """How a ranking of the cold items alone does; the others stand behind them."""
    place = 0

    def scores(askers: Askers) -> Float32:
        nonlocal place
        rows = np.arange(place, place + len(askers))
        place += len(askers)
        return np.where(task.fair[rows], rank(askers, rows), np.float32(LEAST)).astype(np.float32)

    return judge(scores, task.queries, at=(K,))


def genres_of(log: InteractionLog) -> Float64:
    """Which genres each item has, as shares: shape (items, genres)."""
    lists = log.item_table.column("genres").to_pylist()
    names = sorted({name for row in lists for name in row})
    table = np.array([[name in row for name in names] for row in lists], dtype=np.float64)
    return np.asarray(table / np.maximum(table.sum(axis=1, keepdims=True), 1.0))


def by_genre(task: Task, *, own: bool) -> Rank:
    genres = genres_of(task.taught)
    events = np.bincount(task.taught.histories.items, minlength=len(genres))
    popularity = (genres.T @ events) / np.maximum(genres[~task.cold].sum(axis=0), 1e-9)

    def rank(askers: Askers, _: Int64) -> Float32:
        if not own:
            return np.tile((genres @ popularity).astype(np.float32), (len(askers), 1))
        histories = askers.histories
        liked = np.zeros((len(askers), genres.shape[1]))
        np.add.at(liked, histories.rows(), genres[histories.items])
        return np.asarray((liked * popularity / popularity.mean()) @ genres.T, dtype=np.float32)

    return rank


def by_likeness(task: Task) -> Rank:
    """Content like that of the last events."""
    features = learn_features(task.log.item_table, None, ~task.cold)
    shares = np.asarray(content_of(task.log.item_table, None, features).shares.todense())
    shares /= np.maximum(np.linalg.norm(shares, axis=1, keepdims=True), 1e-12)

    def rank(askers: Askers, _: Int64) -> Float32:
        histories = askers.histories
        ends = np.repeat(histories.offsets[1:], histories.lengths)
        weights = DECAY ** (ends - 1 - np.arange(len(ends)))
        liked = np.zeros((len(askers), shares.shape[1]))
        np.add.at(liked, histories.rows(), weights[:, None] * shares[histories.items])
        return np.asarray(liked @ shares.T, dtype=np.float32)

    return rank


def by_oracle(task: Task, world: World, catalogue: Catalogue) -> Rank:
    """Chances by the simulator's own rule in a catalogue, in every situation that is asked about."""
    choice = Choice(world.options, catalogue)
    found = np.zeros((len(task.events), world.options.items), np.float32)
    row_of = np.full(len(task.log), -1)
    row_of[task.events] = np.arange(len(task.events))
    before = 0
    for block in world.blocks():

        def watch(at: Int64, situation: Situation, start: int = before) -> None:
            rows = row_of[start + at]
            asked = np.flatnonzero(rows >= 0)
            for begin in range(0, len(asked), ROWS):
                some = asked[begin : begin + ROWS]
                found[rows[some]] = choice.chances(situation.take(some))

        walk(world.options, world.catalogue, world.lengths, block.number, watch)
        before += len(block.items)
    return lambda _, rows: found[rows]


def fitted(task: Task, name: str, settings: dict[str, Any], seed: int) -> tuple[Rank, float]:
    begin = process_time()
    model = make_recommender(name, settings).fit(task.taught, seed=seed)
    cpu_s = process_time() - begin
    return lambda askers, _: model.scores(askers), cpu_s


def table_of(options: SimulationOptions, names: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    world = World(options, judged=False)
    log = log_with_truth(world)[0]
    task = task_of(log, cold_titles(world.catalogue, options.seed))
    told = as_told(options, world.catalogue)
    rows: dict[str, tuple[Rank, float]] = {
        BY_GENRE[0]: (by_genre(task, own=False), 0.0),
        BY_GENRE[1]: (by_genre(task, own=True), 0.0),
        "likeness of content": (by_likeness(task), 0.0),
        ORACLE: (by_oracle(task, world, told), 0.0),
        KNOWS_ALL: (by_oracle(task, world, world.catalogue), 0.0),
    }
    for name in names:
        rows[name] = fitted(task, name, settings.get(name, {}), options.seed)
    found = {name: judged(task, rank) for name, (rank, _) in rows.items()}
    best = found[ORACLE].mean(f"recall@{K}")
    table: dict[str, Any] = {
        "options": options.to_json(),
        "cold_items": int(task.cold.sum()),
        "targets": len(task.queries),
        "viewers": task.queries.n_viewers,
        "rows": [],
    }
    for name, judgement in found.items():
        row = {"name": name, "cpu_s": rows[name][1], **figures(judgement)}
        row["share"] = row["recall"]["mean"] / best
        if name in names:
            row["p"] = {other: p_of(judgement, found[other]) for other in BY_GENRE}
            row["reached"] = bool(row["share"] >= BAR and max(row["p"].values()) < SURE)
        table["rows"].append(row)
    return table


def figures(judgement: Judgement) -> dict[str, Any]:
    evidence = judgement.evidence()
    column = evidence.names.index(f"recall@{K}")
    sums = evidence.sums[:, [column]]
    drawn = bootstrap_means(sums, evidence.counts)[:, 0]
    return {"recall": interval_of(judgement.mean(f"recall@{K}"), drawn).to_json()}


def p_of(one: Judgement, other: Judgement) -> float:
    """Of the paired sign-flip test over viewers; 1 where the first is not the better one."""
    sums = [judgement.evidence().sums for judgement in (one, other)]
    column = one.evidence().names.index(f"recall@{K}")
    differences = sums[0][:, [column]] - sums[1][:, [column]]
    return float(sign_flip_p(differences)[0]) if differences.sum() > 0 else 1.0


def say(table: dict[str, Any]) -> None:
    print(
        f"seed {table['options']['seed']}: {table['cold_items']} cold items, {table['targets']:,} targets of "
        f"{table['viewers']:,} viewers"
    )
    for row in table["rows"]:
        recall = row["recall"]
        words = f"  {row['name']:28s} {recall['mean']:.3f} [{recall['low']:.3f} {recall['high']:.3f}]"
        words += f"  {row['share']:5.0%} of the oracle"
        if "p" in row:
            bar = "bar reached" if row["reached"] else "bar MISSED"
            words += f"  p {max(row['p'].values()):.4f}  {row['cpu_s']:.0f} CPU-s  {bar}"
        print(words)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="2,3", help="worlds, with commas between")
    parser.add_argument("--viewers", type=int, default=3_000)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--predictability", type=float, default=0.5)
    parser.add_argument("--recommenders", default="sequential,blend", help="which, with commas between")
    parser.add_argument("--set", action="append", default=[], help="name.key=value")
    asked = parser.parse_args()
    one_thread()
    settings: dict[str, Any] = {}
    for pair in asked.set:
        name, _, rest = pair.partition(".")
        key, _, value = rest.partition("=")
        settings.setdefault(name, {})[key] = value
    tables = []
    for seed in asked.seeds.split(","):
        options = SimulationOptions(
            viewers=asked.viewers,
            items=asked.items,
            events=asked.events,
            predictability=asked.predictability,
            seed=int(seed),
        )
        tables.append(table_of(options, asked.recommenders.split(","), settings))
        say(tables[-1])
    write_result("cold", {**stamp(), "settings": settings, "tables": tables})
    return 0 if all(row.get("reached", True) for table in tables for row in table["rows"]) else 1


if __name__ == "__main__":
    sys.exit(main())
