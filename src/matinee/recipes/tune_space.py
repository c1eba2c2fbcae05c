"""What a search of a recommender may change, where it starts, and what is known of a trial's price."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from matinee.core.errors import SettingsError
from matinee.core.settings import config_values
from matinee.core.space import Choice, Space, Span, in_order
from matinee.data.log import InteractionLog
from matinee.recipes.check import every_nth_viewer
from matinee.recipes.rows import predicted, trains
from matinee.recommenders import RECOMMENDERS, make_recommender
from matinee.recommenders.network_settings import SequentialConfig, resolved
from matinee.tune.space import Cube

# What a fit takes is predicted from a part of the log: the search compares settings, and asks often.
_SAMPLED_EVENTS = 5_000
# The settings of a network that move its price.
_PRICED = ("width", "layers", "decays", "longest", "passes", "hidden", "gated", "negatives")


def space_of(recommender: str, settings: Mapping[str, Any], space: Space | None = None) -> Space:
    """What a search changes: a space without the settings that somebody chose.

    Args:
        recommender: its name.
        settings: those that stay as they are.
        space: somebody's own; None: the recommender's.

    Raises:
        SettingsError: the recommender has no such setting, or not such a value; or nothing is left.
    """
    whole = RECOMMENDERS[recommender].space if space is None else space
    found = {name: values for name, values in whole.items() if name not in settings}
    if not found:
        raise SettingsError(
            f"There is nothing to search: {recommender} has no setting that is left open. "
            "Name another recommender, or give a space (--space FILE)."
        )
    in_order(found, settings)
    for name, values in found.items():
        for value in values.values if isinstance(values, Choice) else (values.low, values.high):
            number = int(value) if isinstance(values, Span) and values.whole else value
            make_recommender(recommender, {**settings, name: number})
    return found


def first_settings(
    recommender: str, settings: Mapping[str, Any], space: Space, log: InteractionLog
) -> dict[str, Any] | None:
    """The recommender's defaults for a log, as a point of the space; None: the space does not hold them.

    A number that lies outside of its range is tried as it is.
    """
    usual = _flat(config_values(make_recommender(recommender, settings).config))
    if trains(recommender):
        usual |= _resolved(recommender, settings, log)
    found: dict[str, Any] = {}
    for name, values in space.items():
        default = usual.get(name) if values.default is None else values.default
        if default is None:
            return None
        found[name] = tuple(default) if isinstance(default, list) else default
    try:
        Cube.of(space).encode(found)
    except SettingsError:
        return None
    return found


def price_facts(
    recommender: str, settings: Mapping[str, Any], log: InteractionLog
) -> Callable[[Mapping[str, Any]], Mapping[str, float]] | None:
    """What a network's training will take, as a function of the settings that are tried; None without one.

    Closed forms are cheap, and their price is learnt from few trials.

    Args:
        recommender: its name.
        settings: those that stay as they are.
        log: what is fitted on; a part of it is looked at.
    """
    if not trains(recommender):
        return None
    few, before = _part_of(log), "" if recommender == "sequential" else "sequential."

    @lru_cache(maxsize=4096)
    def cpu_s(priced: tuple[Any, ...]) -> float:
        own = {name: value for name, value in zip(_PRICED, priced, strict=True) if value is not None}
        return predicted("sequential", own, few).cpu_s

    def facts(tried: Mapping[str, Any]) -> Mapping[str, float]:
        whole = {**settings, **tried}
        return {"cpu_s": 1e-3 + cpu_s(tuple(_hashable(whole.get(f"{before}{name}")) for name in _PRICED))}

    return facts


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": one for inner, one in value.items()}
        else:
            found[name] = value
    return found


def _resolved(recommender: str, settings: Mapping[str, Any], log: InteractionLog) -> dict[str, Any]:
    """A network's settings with what the log decides filled in, as the recommender names them."""
    config = make_recommender(recommender, settings).config
    network = config if isinstance(config, SequentialConfig) else config.sequential
    before = "" if network is config else "sequential."
    return {f"{before}{name}": value for name, value in config_values(resolved(network, log)).items()}


def _part_of(log: InteractionLog) -> InteractionLog:
    """Every n-th viewer, so many as have a few thousand events."""
    step = max(1, len(log) // _SAMPLED_EVENTS)
    if step == 1:
        return log
    return every_nth_viewer(log, step)
