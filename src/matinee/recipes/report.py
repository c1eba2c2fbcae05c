"""The report for the boss: what recommendations brought and cost, in plain words, from a server's store."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matinee.answers.manifest import is_bundle
from matinee.answers.model import load
from matinee.core.electricity import WATTS, electricity_dollars
from matinee.core.errors import InputError
from matinee.core.version import version
from matinee.recipes.activate import names_in, used_in
from matinee.recipes.report_words import brought, kinds_words, unknown, verdict
from matinee.recipes.store_log import refuse_missing, with_store
from matinee.report.business_page import business_page
from matinee.report.numbers import counted, dollars, seconds
from matinee.serve.ab import results
from matinee.serve.attribution import Attribution, Rate, followed, told_of
from matinee.serve.monitoring import Figures, figures
from matinee.serve.monitoring_words import look
from matinee.serve.ready_bundle import created_of, manifest_of
from matinee.serve.store import Store, secret_of

DAYS = 91.0
_DAY_MS = 86_400_000
_MONTH_S = 30 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What a store says."""

    attribution: Attribution
    figures: Figures | None
    experiments: list[str]
    events: int
    viewers: int


def report(
    store: str,
    output: Path,
    *,
    bundles: Path | None = None,
    days: float = DAYS,
    now_ms: int | None = None,
) -> dict[str, Any]:
    """Write the report.

    Args:
        store: the server's store.
        output: the HTML file.
        bundles: the bundle in use, or the folder of bundles; None: what depends on it is said to be unknown.
        days: how far it looks back.
        now_ms: the moment of the report; None: the clock's.

    Returns:
        The JSON of `report`: what the page shows.

    Raises:
        InputError: the store or the bundle is unusable.
    """
    if not days > 0:
        raise InputError(f"--days is {days:g}: expected a number above 0.")
    refuse_missing(store)
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    folder = None if bundles is None else _bundle_of(bundles, store)
    seen = with_store(store, lambda one: _look(one, folder, now, days))
    told = _told(seen, [] if bundles is None else _fits(bundles), now, days)
    output.write_text(business_page(told), encoding="utf-8")
    return told


def _bundle_of(bundles: Path, store: str) -> Path:
    """The bundle in use."""
    if is_bundle(bundles):
        return bundles
    name = used_in(bundles, store)
    if name is None:
        raise InputError(f"{bundles}: no bundle is there; `matinee refresh {store} -o {bundles}` writes one.")
    return bundles / name


async def _look(store: Store, folder: Path | None, now_ms: int, days: float) -> _Seen:
    since_ms = max(0, int(now_ms - days * _DAY_MS))
    found = None if folder is None else await figures(store, load(folder), now_ms=now_ms, days=days)
    secret = await store.note("secret")
    key = b"" if secret is None else secret_of({"secret": secret})
    shown = await followed(store, secret=key, since_ms=since_ms) if found is None else found.followed
    experiments = [one.sentence for one in await results(store, now_ms=now_ms)]
    events, viewers = await _count(store, since_ms)
    return _Seen(
        attribution=told_of(shown), figures=found, experiments=experiments, events=events, viewers=viewers
    )


async def _count(store: Store, since_ms: int) -> tuple[int, int]:
    """Events since a moment, and how many viewers they are of."""
    after, events, viewers = 0, 0, set[str]()
    while page := await store.events(after, 10_000):
        after = page[-1].seq
        recent = [one.user for one in page if one.time_ms >= since_ms]
        events += len(recent)
        viewers.update(recent)
    return events, len(viewers)


def _told(seen: _Seen, fits: Sequence[Mapping[str, Any]], now_ms: int, days: float) -> dict[str, Any]:
    """What the page shows, as plain JSON values."""
    found = seen.attribution
    return {
        "since": _day(now_ms - int(days * _DAY_MS)),
        "until": _day(now_ms),
        "written": _day(now_ms),
        "matinee": version("matinee"),
        "verdict": verdict(found),
        "clicks": found.clicks,
        "unshown_clicks": found.unshown,
        "events": seen.events,
        "viewers": seen.viewers,
        "all": _rate(found.all),
        "personal": _rate(found.personal, "made for the viewer"),
        "for_all": _rate(found.for_all, "the same for everybody"),
        "kinds_words": kinds_words(found),
        **{name: [_rate(one) for one in getattr(found, name)] for name in _TABLES},
        "brought": brought(found),
        "experiments": seen.experiments,
        "costs": _costs(fits),
        "look": look(seen.figures),
        "figures": None if seen.figures is None else _plain(seen.figures),
        "unknown": unknown(found, seen.figures),
    }


_TABLES = ("sources", "placements", "bundles", "positions", "arms", "weeks")


def _plain(found: Figures) -> dict[str, Any]:
    """Figures as JSON, without anybody in them."""
    plain = {
        name: getattr(found, name) for name in ("since_ms", "events", "viewers", "age_days", "new_events")
    }
    drifts = {name: getattr(found, name) for name in ("drift_items", "drift_categories")}
    told = {
        name: None if one is None else {**asdict(one), "drifted": one.drifted} for name, one in drifts.items()
    }
    rates = {"fallbacks": _rate(found.fallbacks), "unknown": _rate(found.unknown)}
    return {**plain, **told, **rates, "coverage": asdict(found.coverage)}


def _fits(bundles: Path) -> list[Mapping[str, Any]]:
    """The manifests of a folder's bundles, the newest first."""
    folders = [bundles] if is_bundle(bundles) else [bundles / name for name in names_in(bundles)]
    return [manifest_of(folder) for folder in folders]


def _costs(fits: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What fits and the machine cost, and where the figures are from."""
    rows = []
    known = [one for one in fits if isinstance(one.get("all_wall_s"), int | float)]
    if known:
        wall_s, day = float(known[0]["all_wall_s"]), _day(created_of(known[0]))
        measured = f"electricity for {seconds(wall_s)}, as measured at the latest fit, {day}"
        rows.append(_cost("a retrain", wall_s, measured))
        rows.append(_cost("retraining daily, a month", 30 * wall_s, "thirty times that"))
    if len(known) > 1:
        spent = sum(float(one["all_wall_s"]) for one in known)
        rows.append(_cost(f"the {counted(len(known), 'fit')} on disk", spent, f"{seconds(spent)} together"))
    always = (
        f"at most: electricity of a machine that is always on and draws {WATTS:g} W (MATINEE_WATTS); "
        "a rented one costs its rent instead"
    )
    return [*rows, _cost("the machine, a month", _MONTH_S, always)]


def _cost(name: str, wall_s: float, words: str) -> dict[str, str]:
    return {"name": name, "value": dollars(electricity_dollars(wall_s)), "words": words}


def _rate(rate: Rate | None, name: str | None = None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {**asdict(rate), "name": rate.name if name is None else name}


def _day(moment_ms: int) -> str:
    return datetime.fromtimestamp(max(0, moment_ms) / 1000, UTC).strftime("%-d %B %Y")
