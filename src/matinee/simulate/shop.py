"""A messy shop log whose mess is known: five kinds of events, and everything that real exports have wrong.

On the events of a made-up log (each is a wish for an item) a funnel is laid: views, a cart, a purchase,
sometimes a return, or a dislike instead. Then the mess is planted, and `truth.json` lists it: consumables
bought again, items that are delisted (some return), bots, viewers who were two before they signed in, clock
errors, exact duplicates.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.core.errors import SettingsError
from matinee.core.seeds import generator
from matinee.core.types import Bool, Float64, Int8, Int32, Int64
from matinee.simulate import shop_words
from matinee.simulate.files import whole_files, write_json
from matinee.simulate.options import DAY_MS, MINUTE_MS, SPAN_MS, START_MS, SimulationOptions
from matinee.simulate.tables import World, log_with_truth

KINDS = ("view", "cart", "purchase", "return", "dislike")
VIEW, CART, PURCHASE, RETURN, DISLIKE = range(5)
MOST_EVENTS = 5_000_000  # a shop log is made in memory

CARTS, BUYS, RETURNS, DISLIKES = 0.5, 0.6, 0.08, 0.03
CONSUMABLE = 0.15  # of items
BOUGHT_AGAIN = 0.5
BOTS, BOT_ROWS = 0.005, 1_500  # share of viewers, views of each
MERGED = 0.05
DELISTED, RETURNING = 0.06, 0.03  # of items
CLOCK_ERRORS, DUPLICATES = 0.0005, 0.002  # of rows


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of the log, each array of shape (rows,).

    Attributes:
        viewer: codes; from `n` viewers on they are bots.
        item: codes.
        time: milliseconds since 1970.
        kind: positions in `KINDS`.
        price: money, 0 where nothing was bought.
        anonymous: whether it was done before the viewer signed in, under another id.
    """

    viewer: Int32
    item: Int32
    time: Int64
    kind: Int8
    price: Float64
    anonymous: Bool

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.viewer)

    def take(self, rows: Int64 | Bool) -> Rows:
        """Some of the rows, in the order asked."""
        return Rows(**{name: getattr(self, name)[rows] for name in Rows.__annotations__})


def simulate_shop(options: SimulationOptions, folder: Path) -> dict[str, Any]:
    """Write a messy shop log: log.csv, items.csv, aliases.csv, and truth.json with what was planted.

    `log.csv` (viewer, item, time in milliseconds, kind, price) has its rows by time, as a shop writes them;
    price is empty where nothing was bought. `items.csv` (id, title, consumable, available_from,
    available_until); `aliases.csv` (old, new). `options.events` is the number of wishes; rows are about three
    times as many.

    Args:
        options: sizes, dial, seed.
        folder: made where it is missing; files of these names are replaced.

    Returns:
        What `truth.json` holds.

    Raises:
        SettingsError: more events than can be made in memory.
        InputError: the folder cannot be written, or the disk is full.
    """
    if options.events > MOST_EVENTS:
        raise SettingsError(
            f"A shop has at most {MOST_EVENTS:,} events, found {options.events:,}: ask for less."
        )
    random = generator(options.seed, "shop")
    world = World(options, judged=False)
    release = world.catalogue.release
    offer = _availability(options, release, random)
    consumable = random.random(options.items) < CONSUMABLE
    rows = _buy_again(_funnel(_wishes(world), random), consumable, random)
    rows = rows.take(_offered(rows, offer, release))
    rows, merged = _merge(rows, options.viewers, random)
    rows, n_bots = _add_bots(rows, options, offer, random)
    rows = replace(rows, price=_prices(rows, options.items, random))
    rows = rows.take(np.argsort(rows.time, kind="stable"))
    rows, planted = _clock_and_copies(rows, random)
    planted |= {
        "bots": shop_words.bot_ids(n_bots),
        "bot_rows": int((rows.viewer >= options.viewers).sum()),
        "merged_viewers": len(merged),
        "delisted_items": int(np.isfinite(offer[1]).sum()),
        "returning_items": int((offer[0] > release).sum()),
        "consumables": int(consumable.sum()),
    }
    ids = shop_words.product_ids(options.items)
    kinds = {kind: int((rows.kind == code).sum()) for code, kind in enumerate(KINDS)}
    truth = {"format": 1, "options": options.to_json(), "rows": len(rows), "kinds": kinds, "planted": planted}
    with whole_files(folder) as fresh:
        _write_log(fresh / "log.csv", rows, ids, (options.viewers, n_bots))
        _write_items(fresh / "items.csv", ids, (*offer, consumable), random)
        _write_aliases(fresh / "aliases.csv", merged)
        write_json(fresh / "truth.json", truth)
    return truth


def _wishes(world: World) -> Rows:
    log, _ = log_with_truth(world)
    return Rows(
        viewer=log.histories.rows(),
        item=log.histories.items,
        time=np.asarray(log.histories.times),
        kind=np.full(len(log), VIEW, dtype=np.int8),
        price=np.zeros(len(log)),
        anonymous=np.zeros(len(log), dtype=bool),
    )


def _availability(
    options: SimulationOptions, release: Int64, random: np.random.Generator
) -> tuple[Float64, Float64]:
    """From when and until when each item is offered; some are taken off, some are off for a time and return.

    A returning item's `available_from` is its return, so that the log has events before it. Milliseconds as
    float64, infinite where an item has no end.
    """
    draw = random.random(options.items)
    moment = START_MS + random.uniform(0.4, 0.8, options.items) * SPAN_MS
    moment = np.floor(np.maximum(moment, release + 30 * DAY_MS) / DAY_MS) * DAY_MS
    returns = (draw >= DELISTED) & (draw < DELISTED + RETURNING)
    since = np.where(returns, moment, release).astype(np.float64)
    return since, np.where(draw < DELISTED, moment, np.inf)


def _offered(rows: Rows, offer: tuple[Float64, Float64], release: Int64) -> Bool:
    """Rows of items that were on offer: a returning item's time off is the 60 days before its return."""
    since, until = offer
    before = since[rows.item] - 60 * DAY_MS
    off = (since > release)[rows.item] & (rows.time >= before) & (rows.time < since[rows.item])
    # What was bought may be sent back after the item is gone.
    return np.asarray((rows.kind == RETURN) | (~off & (rows.time < until[rows.item])))


def _funnel(wishes: Rows, random: np.random.Generator) -> Rows:
    """Every wish becomes one to four views; half of them a cart, most of these a purchase, some a return."""
    n = len(wishes)
    views = random.integers(1, 5, n)
    viewed = wishes.take(np.repeat(np.arange(n), views))
    nth = np.arange(len(viewed)) - np.repeat(np.cumsum(views) - views, views)
    viewed = replace(viewed, time=viewed.time + nth * 50_000 + random.integers(0, 40_000, len(viewed)))
    carted = random.random(n) < CARTS
    bought = carted & (random.random(n) < BUYS)
    returned = bought & (random.random(n) < RETURNS)
    disliked = ~carted & (random.random(n) < DISLIKES)
    stages = [viewed]
    for mask, kind, after in (
        (carted, CART, 4 * MINUTE_MS),
        (bought, PURCHASE, 8 * MINUTE_MS),
        (disliked, DISLIKE, 5 * MINUTE_MS),
        (returned, RETURN, 9 * DAY_MS),
    ):
        some = wishes.take(mask)
        stages.append(replace(some, kind=np.full(len(some), kind, dtype=np.int8), time=some.time + after))
    return _joined(stages)


def _buy_again(rows: Rows, consumable: Bool, random: np.random.Generator) -> Rows:
    """Half the purchases of consumables are made again, once to three times, about a month apart."""
    again = (rows.kind == PURCHASE) & consumable[rows.item] & (random.random(len(rows)) < BOUGHT_AGAIN)
    times = random.integers(1, 4, int(again.sum()))
    more = rows.take(np.repeat(np.flatnonzero(again), times))
    nth = np.arange(len(more)) - np.repeat(np.cumsum(times) - times, times) + 1
    more = replace(more, time=more.time + (nth * 30 + random.integers(-8, 9, len(more))) * DAY_MS)
    return _joined([rows, more.take(more.time < START_MS + SPAN_MS)])


def _merge(rows: Rows, n_viewers: int, random: np.random.Generator) -> tuple[Rows, list[int]]:
    """Some viewers did the first half of what they did under an anonymous id: the rows, and those viewers."""
    chosen = random.random(n_viewers) < MERGED
    sums = np.bincount(rows.viewer, weights=rows.time - START_MS, minlength=n_viewers)
    middle = START_MS + sums / np.maximum(np.bincount(rows.viewer, minlength=n_viewers), 1)
    anonymous = chosen[rows.viewer] & (rows.time < middle[rows.viewer])
    merged = np.unique(rows.viewer[anonymous]).tolist()
    return replace(rows, anonymous=anonymous), merged


def _add_bots(
    rows: Rows, options: SimulationOptions, offer: tuple[Float64, Float64], random: np.random.Generator
) -> tuple[Rows, int]:
    """Bots view item after item, one or two a second, nothing else."""
    n_bots = max(1, round(BOTS * options.viewers))
    bot = np.repeat(np.arange(n_bots, dtype=np.int32), BOT_ROWS)
    starts = START_MS + random.integers(0, SPAN_MS - DAY_MS, n_bots)
    steps = random.integers(400, 1_500, (n_bots, BOT_ROWS)).cumsum(1)
    item = random.integers(0, options.items, len(bot)).astype(np.int32)
    bots = Rows(
        viewer=(bot + options.viewers).astype(np.int32),
        item=item,
        time=(starts[:, None] + steps).ravel(),
        kind=np.full(len(bot), VIEW, dtype=np.int8),
        price=np.zeros(len(bot)),
        anonymous=np.zeros(len(bot), dtype=bool),
    )
    bots = bots.take((bots.time >= offer[0][item]) & (bots.time < offer[1][item]))
    return _joined([rows, bots]), n_bots


def _prices(rows: Rows, n_items: int, random: np.random.Generator) -> Float64:
    """What was paid: an item's price at a purchase and, turned round, at its return; 0 elsewhere."""
    price = np.round(np.exp(random.normal(2.7, 0.9, n_items)), 2)[rows.item]
    return np.where(rows.kind == PURCHASE, price, np.where(rows.kind == RETURN, -price, 0.0))


def _clock_and_copies(rows: Rows, random: np.random.Generator) -> tuple[Rows, dict[str, Any]]:
    """Set some clocks to 1970 and some far into the future, and write some rows twice in a row."""
    n = len(rows)
    wrong = random.permutation(n)[: 2 * max(1, round(CLOCK_ERRORS * n / 2))]
    past, future = wrong[::2], wrong[1::2]
    time = rows.time.copy()
    time[past] = random.integers(0, 30 * MINUTE_MS, len(past))
    time[future] += 20 * 365 * DAY_MS
    sure = np.setdiff1d(np.arange(n), wrong)
    twice = random.permutation(sure)[: max(1, round(DUPLICATES * n))]
    rows = replace(rows, time=time).take(np.sort(np.concatenate([np.arange(n), twice])))
    return rows, {"clocks_at_1970": len(past), "clocks_in_the_future": len(future), "duplicates": len(twice)}


def _joined(parts: list[Rows]) -> Rows:
    return Rows(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in Rows.__annotations__})


def _write_log(path: Path, rows: Rows, ids: list[str], sizes: tuple[int, int]) -> None:
    n_viewers, n_bots = sizes
    shoppers = shop_words.shopper_ids(n_viewers) + shop_words.bot_ids(n_bots)
    before = shop_words.anonymous_ids(list(range(n_viewers)))
    columns = (rows.viewer, rows.item, rows.time, rows.kind, rows.price, rows.anonymous)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["viewer", "item", "time", "kind", "price"])
        for viewer, item, time, kind, price, anonymous in zip(*(c.tolist() for c in columns), strict=True):
            who = before[viewer] if anonymous else shoppers[viewer]
            writer.writerow([who, ids[item], time, KINDS[kind], f"{price:.2f}" if price else ""])


def _write_items(
    path: Path, ids: list[str], facts: tuple[Float64, Float64, Bool], random: np.random.Generator
) -> None:
    names = shop_words.product_names(len(ids), random)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "consumable", "available_from", "available_until"])
        for id_, name, since, until, consumable in zip(ids, names, *(f.tolist() for f in facts), strict=True):
            end = int(until) if np.isfinite(until) else ""
            writer.writerow([id_, name, str(consumable).lower(), int(since), end])


def _write_aliases(path: Path, merged: list[int]) -> None:
    shoppers = shop_words.shopper_ids(max(merged, default=-1) + 1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["old", "new"])
        writer.writerows(
            zip(shop_words.anonymous_ids(merged), [shoppers[viewer] for viewer in merged], strict=True)
        )
