"""The daily run: take in what is new, fit, judge against the bundle in use, and put in use what is not worse.

Where the bundle in use can take in new events (`matinee.recipes.update`), the run goes on from it, in two
steps: first to what came before the latest events, which the gate judges on these, then from there to all.

It may be run at any time and any number of times. What is there stays usable whatever happens to a run: a
bundle appears under its name only when it is whole, and is put in use only after that. A run that finds what
an earlier one had finished and not yet put in use does just that; one that finds nothing new does nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from matinee.answers.manifest import read_tombstones
from matinee.answers.model import Model, load, without_viewers
from matinee.core.electricity import electricity_dollars
from matinee.core.errors import InputError, SettingsError
from matinee.core.run import Run
from matinee.core.settings import config_values
from matinee.data.forget import forget
from matinee.data.log import InteractionLog
from matinee.data.meaning import RATING
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.recipes.activate import activate, names_in, used_in
from matinee.recipes.fit import FitOptions, fit_model
from matinee.recipes.progress import Progress
from matinee.recipes.refresh_folder import dated, locked, new_name, prune
from matinee.recipes.refresh_gate import Judged, judge_both, latest_split, learnt_until
from matinee.recipes.refresh_store import refuse_elsewhere, refuse_unfinished, store_of, wanted
from matinee.recipes.refresh_warm import deleted_from, note_refusal, why_from_scratch
from matinee.recipes.spent import cpu_s, peak_rss_mb
from matinee.recipes.store_log import forgotten_of, is_store, store_log, with_store
from matinee.recipes.update import is_warm, refreshes_of, update
from matinee.recommenders import make_recommender
from matinee.serve.in_use import read_in_use
from matinee.serve.ready_bundle import manifest_of

FIRST, ACTIVATED, FINISHED, REFUSED, NOTHING = "first", "activated", "finished", "refused", "nothing new"
# How often a fit is made anew because somebody was deleted meanwhile.
_AGAIN = 5


@dataclass(frozen=True, kw_only=True)
class RefreshOptions:
    """How a daily run goes.

    Attributes:
        gate: the gain in ndcg@10 over the bundle in use that must not be shown to be missed: 0 refuses what
            is worse beyond chance; below 0 some loss is forgiven, above it a gain is asked for.
        recommender: its name; None: that of the bundle in use, or at first the one that validation chooses.
        settings: settings that differ from its defaults.
        seed: seed of everything random.
        store: the store of the server that is to be told, where the events are from files.
        run: device and precision of a recommender that trains in steps.
        from_scratch: fit from scratch even where the bundle in use could be gone on from.
    """

    gate: float = 0.0
    recommender: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    store: str | None = None
    run: Run = field(default_factory=Run)
    from_scratch: bool = False


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """What a daily run came to.

    Attributes:
        state: "first" (nothing was in use before), "activated", "finished" (an earlier run's bundle was put
            in use), "refused" (the gate said no) or "nothing new".
        in_use: the bundle that is in use now; None: there is none.
        facts: the JSON of `refresh`.
    """

    state: str
    in_use: str | None
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Day:
    """What one run works with; `why` it fits from scratch is empty where it goes on from a bundle."""

    bundles: Path
    place: Path
    options: RefreshOptions
    store: str | None
    used: str | None
    model: Model | None
    log: InteractionLog
    from_store: str
    progress: Progress
    read_ms: int
    now_ms: int
    why: str = ""
    warm: Mapping[str, Any] | None = None


def refresh(
    sources: Sequence[str],
    bundles: Path,
    log_options: LogOptions | None = None,
    options: RefreshOptions | None = None,
    progress: Progress = lambda _doing, _share: None,
) -> Refreshed:
    """Make the daily run.

    Args:
        sources: one store's URL, or the files of a log.
        bundles: the folder of bundles.
        log_options: the LOG options; where they say nothing, a store's events mean what the bundle in use
            took them to mean.
        options: how it goes.
        progress: told what is being done, and the share that is done.

    Raises:
        InputError: something is unusable; one sentence says what.
        MatineeError: another run is at work there.
    """
    options = options or RefreshOptions()
    store = store_of(sources, options.store)
    _check(options)
    with locked(bundles) as place:
        began = (cpu_s(), time.perf_counter())
        progress("reading", 0.0)
        if store is not None:
            refuse_elsewhere(bundles, store)
        whole = store if is_store(sources[0]) else None
        if whole is not None:
            refuse_unfinished(bundles, whole)
        used = used_in(bundles, store)
        model = None if used is None else load(bundles / used)
        read_ms = time.time_ns() // 1_000_000
        log, from_store = _read(sources, log_options or LogOptions(), model, place)
        if whole is not None:
            # A server may have begun with a bundle while this was read.
            refuse_unfinished(bundles, whole)
        buried = frozenset[str]().union(*(read_tombstones(bundles / name) for name in names_in(bundles)))
        day = _Day(
            bundles=bundles,
            place=place,
            options=options,
            store=store,
            used=used,
            model=model,
            log=forget(log, buried),
            from_store=from_store,
            progress=progress,
            read_ms=read_ms,
            now_ms=time.time_ns() // 1_000_000,
        )
        return _run(replace(day, log=forget(day.log, _gone(day))), began)


def _run(day: _Day, began: tuple[float, float]) -> Refreshed:
    """The story of one run."""
    done = _done_before(day)
    if done is not None:
        return done
    day, judged, before = _with_way(day), None, None
    if day.model is not None:
        judged, before = _judge(day, day.model)
        if judged is not None and not judged.passes(day.options.gate):
            if not day.why:
                note_refusal(day.place, day.model)
            return _end(day, REFUSED, judged=judged, began=began)
    day, model = _fit_last(day, before)
    day.progress("writing the bundle", 0.95)
    name = new_name(day.bundles, day.now_ms)
    model = replace(model, facts={**model.facts, **_facts_of(day, judged, began)})
    model.save(day.bundles / name, histories=day.model is None or _has_people(day.model))
    activate(day.bundles, name, store=day.store, why="refresh")
    state = ACTIVATED if day.used is not None else FIRST
    return _end(day, state, judged=judged, began=began, name=name, removed=_prune(day))


def _read(
    sources: Sequence[str], log_options: LogOptions, model: Model | None, place: Path
) -> tuple[InteractionLog, str]:
    """Everything that is known now, and the store that it is from; empty where it is from files."""
    if is_store(sources[0]):
        base = None if model is None else model.log
        told = with_store(sources[0], lambda one: store_log(one, log_options, base=base, scratch=place))
        log, from_store = told.log, told.store
    else:
        log, from_store = read_log(list(sources), log_options), ""
    if log.target == RATING:
        raise SettingsError(
            "A refresh gates rankings by their ndcg and knows no gate for predicted values: fit again with "
            "--target rating, and judge it by `matinee compare`."
        )
    return log, from_store


def _done_before(day: _Day) -> Refreshed | None:
    """What an earlier run made of just these events: nothing is to be done, or only the last step is."""
    if day.used is None or day.model is None or not _same_way(day, day.model.name, day.model.config):
        return None
    if day.options.from_scratch and refreshes_of(day.model):
        return None
    if day.model.log.fingerprint == day.log.fingerprint:
        return _end(day, NOTHING, why=f"{day.used} was fitted on just these events.")
    for name in dated(day.bundles):
        manifest = manifest_of(day.bundles / name)
        if name == day.used or manifest["log"]["fingerprint"] != day.log.fingerprint:
            continue
        if read_in_use(day.bundles).was_in_use(name):
            return _end(day, NOTHING, why=f"{name} was fitted on just these events, and was put aside.")
        if manifest.get("refresh", {}).get("instead_of") == day.used:
            activate(day.bundles, name, store=day.store, why="refresh")
            why = f"{name} had been fitted and judged by a run that was broken off."
            return _end(day, FINISHED, name=name, why=why, removed=_prune(day))
    return None


def _with_way(day: _Day) -> _Day:
    """The day, which knows whether it goes on from the bundle in use."""
    used = day.model
    if used is None:
        return replace(day, why="no bundle was in use")
    alike = _same_way(day, used.name, used.config)
    why = why_from_scratch(used, day.log, day.place, asked=day.options.from_scratch, alike=alike)
    if not why and is_warm(used.name) and day.store is not None and deleted_from(used, day.store):
        why = "a viewer was deleted"
    if why or not is_warm(used.name):
        return replace(day, why=why)
    return replace(day, warm={"from": day.used, "refreshes": refreshes_of(used) + 1})


def _judge(day: _Day, used: Model) -> tuple[Judged | None, Model | None]:
    """Fit on what came before, and compare; the fit is gone on from.

    Returns:
        What the gate saw, and the fit; None and None where too little happened since the other fit.
    """
    since_ms = learnt_until(used)
    split = latest_split(day.log, since_ms, day.now_ms)
    if split is None:
        return None, None
    day.progress("fitting on what came before the latest events", 0.1)
    new = _fit(day, split.train_and_validation, "judged", used)
    day.progress("judging both", 0.45)
    return judge_both(split, new, used, since_ms), new


def _fit_last(day: _Day, before: Model | None) -> tuple[_Day, Model]:
    """The fit on everything, without anybody who was deleted while it went on.

    Args:
        day: the run's.
        before: the fit that was judged; None: nothing was.
    """
    start = before or day.model
    for _ in range(_AGAIN):
        day.progress("fitting on everything", 0.5)
        model = _fit(day, day.log, "last", start)
        gone = _gone(day)
        if not gone and day.warm and not model.facts.get("warm"):
            why = str(model.facts.get("update", "")).removeprefix("fitted anew: ")
            return replace(day, why=why, warm=None), model
        if not gone:
            return day, model
        why = "a viewer was deleted while the run went on"
        day = replace(day, log=forget(day.log, gone), why=why, warm=None)
    # Deletions come faster than fits: what is left of them is at least never answered from.
    return day, without_viewers(model, _gone(day))


def _fit(day: _Day, log: InteractionLog, doing: str, start: Model | None) -> Model:
    """Go on from a model, or fit from scratch as the bundle in use was fitted, or as one was told to.

    Args:
        day: the run's.
        log: what is learnt.
        doing: names the place of its checkpoints.
        start: the bundle in use, or what was judged.
    """
    options, used = day.options, day.model
    run = replace(options.run, checkpoints=day.place / doing)
    if start is not None and used is not None and not day.why:
        return update(start, log, run=run)
    if used is not None and _same_way(day, used.name, used.config):
        return fit_model(log, _as_told(used.name, used.config, day, run))
    return fit_model(log, _as_told(options.recommender, options.settings, day, run), day.progress)


def _as_told(name: str | None, settings: Mapping[str, Any], day: _Day, run: Run) -> FitOptions:
    told = FitOptions(recommender=name, settings=settings, seed=day.options.seed, run=run)
    # By region, as the bundle in use was; which regions have a model of their own is chosen anew.
    return told if day.model is None else told.by_region_as(day.model.facts)


def _same_way(day: _Day, name: str, config: Mapping[str, Any]) -> bool:
    """Whether the bundle in use was fitted as this run is to fit."""
    asked = day.options.recommender
    if asked is None:
        return True
    wanted = config_values(make_recommender(asked, day.options.settings).config)
    return asked == name and all(config.get(key) == value for key, value in wanted.items())


def _has_people(model: Model) -> bool:
    return model.context.histories is not None


def _gone(day: _Day) -> frozenset[str]:
    """Viewers of the log whom the store has deleted."""
    if day.store is None:
        return frozenset()
    ids = day.log.viewers.arrow.to_pylist()
    return with_store(day.store, lambda store: forgotten_of(store, ids, day.read_ms))


def _facts_of(day: _Day, judged: Judged | None, began: tuple[float, float]) -> dict[str, Any]:
    """What a new bundle's manifest says beside what its fit says."""
    wall = time.perf_counter() - began[1]
    facts: dict[str, Any] = {
        "refresh": {
            "instead_of": day.used,
            "gate": day.options.gate,
            "judged": None if judged is None else judged.to_json(),
            "from_scratch_because": day.why,
        },
        # A run counts once, whatever its steps.
        "warm": day.warm,
        "read_ms": day.read_ms,
        "all_cpu_s": round(cpu_s() - began[0], 3),
        "all_wall_s": round(wall, 3),
        "all_dollars": electricity_dollars(wall),
    }
    if day.from_store:
        facts["from_store"] = day.from_store
    if judged is not None:
        facts["metrics"] = judged.metrics
        facts["metrics_from"] = (
            f"the latest events of {judged.viewers:,} viewers, by a fit of the same kind on what came before"
        )
    return facts


def _prune(day: _Day) -> list[str]:
    """Remove old bundles, but none that an alias or an experiment needs."""
    used = {name for names in read_in_use(day.bundles).aliases.values() for name in names[:2]}
    if day.store is not None:
        used |= with_store(day.store, wanted)
    return prune(day.bundles, used)


def _end(  # noqa: PLR0913 (each is a fact of the result)
    day: _Day,
    state: str,
    *,
    judged: Judged | None = None,
    began: tuple[float, float] | None = None,
    name: str | None = None,
    why: str = "",
    removed: Sequence[str] = (),
) -> Refreshed:
    in_use = name or day.used
    wall = 0.0 if began is None else time.perf_counter() - began[1]
    facts = {
        "state": state,
        "bundles": str(day.bundles),
        "in_use": in_use,
        "instead_of": day.used if name else None,
        "activated": name is not None,
        "why": why,
        "gate": day.options.gate,
        "judged": None if judged is None else judged.to_json(),
        "warm": day.warm,
        "from_scratch_because": day.why,
        "events": len(day.log),
        "viewers": day.log.n_viewers,
        "items": day.log.n_items,
        "new_events": len(day.log) - (0 if day.model is None else len(day.model.log)),
        "removed": list(removed),
        "store_told": name is not None and day.store is not None,
        "cpu_s": 0.0 if began is None else round(cpu_s() - began[0], 3),
        "wall_s": round(wall, 3),
        "dollars": electricity_dollars(wall),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }
    return Refreshed(state=state, in_use=in_use, facts=facts)


def _check(options: RefreshOptions) -> None:
    if not -1.0 <= options.gate <= 1.0:
        raise InputError(f"--gate is {options.gate}: a difference in ndcg@10 lies from -1 to 1.")
    FitOptions(recommender=options.recommender, settings=options.settings).check()
