"""Which recommenders are tried where nobody named any, which cannot be here, and what they say of a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from matinee.answers.model import Model
from matinee.core.errors import MatineeError, MissingExtra, SettingsError
from matinee.core.memory import fits, size_words
from matinee.core.promise import Needs
from matinee.core.run import Run
from matinee.data.meaning import RATING
from matinee.recommenders import RECOMMENDERS, make_recommender
from matinee.report.numbers import seconds

# The rows of a table that nobody chose, in its order; those of them that exist.
DEFAULT_ROWS = (
    "popularity",
    "recent",
    "friends",
    "user_knn",
    "item_knn",
    "ease",
    "transitions",
    "sequential",
    "blend",
)

# What comes to them where the order of events says nothing, and a network has less to learn from.
UNORDERED_ROWS = ("ensemble",)

# The same of a log whose target is the value.
VALUE_ROWS = ("rating_mean", "rating_biases", "rating_knn", "rating_factors", "rating")

# Recommenders that answer from other people's histories.
PEOPLE = ("friends", "user_knn")

# The library that tells whether an extra is installed.
_LIBRARIES = {"network": "torch"}
# Nobody who named no recommender waits longer for one; named, it is fitted however long that takes.
_LONGEST_CPU_S = 6 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The recommenders of a table that nobody chose.

    Attributes:
        names: in the table's order.
        left_out: a sentence for each reason why others are not among them.
    """

    names: list[str]
    left_out: list[str]


def default_rows(log: Any, *, histories: bool = True) -> Rows:
    """The recommenders that a log can feed and this machine can fit.

    Args:
        log: the log.
        histories: whether a model may answer from other people's histories.
    """
    ranking = DEFAULT_ROWS if log.ordered else (*DEFAULT_ROWS, *UNORDERED_ROWS)
    fed = [
        name
        for name in (VALUE_ROWS if log.target == RATING else ranking)
        if name in RECOMMENDERS
        and (name != "friends" or log.friends is not None)
        and (name != "recent" or log.histories.times is not None)
        and (histories or name not in PEOPLE)
    ]
    installed = [name for name in fed if missing(name) is None]
    out = (
        [f"Left out: {_lacking([name for name in fed if name not in installed])}"] if fed != installed else []
    )
    names = []
    for name in installed:
        why = _too_much(name, log) if trains(name) else ""
        if why:
            out.append(f"Left out: {name}, whose fit would {why}; it is fitted where it is named.")
        else:
            names.append(name)
    return Rows(names=names, left_out=out)


def require_aim(names: Sequence[str], target: str | None) -> None:
    """Refuse recommenders of values for a log that is to be ranked, and the other way round.

    Raises:
        SettingsError: names the first that does not fit, and what does.
    """
    for name in names:
        predicts = predicts_values(name)
        if predicts and target != RATING:
            raise SettingsError(f"{name} predicts the values of events: say --target rating.")
        if not predicts and target == RATING:
            known = ", ".join(one for one in sorted(RECOMMENDERS) if predicts_values(one))
            raise SettingsError(
                f"{name} ranks items and predicts no value: leave --target rating out, or take one of "
                f"{known}."
            )


def plainest(target: str | None) -> str:
    """What is fitted where nothing can be tried: the recommender that needs least of a log."""
    return VALUE_ROWS[0] if target == RATING else DEFAULT_ROWS[0]


def predicts_values(name: str) -> bool:
    """Whether a recommender predicts the values of events, instead of ranking items alone."""
    return getattr(RECOMMENDERS.get(name), "predicts", "") == "value"


def trains(name: str) -> bool:
    """Whether a recommender trains in steps and takes a `Run`."""
    return bool(getattr(RECOMMENDERS.get(name), "trains", False))


def wanted_parts(names: Sequence[str]) -> frozenset[str]:
    """The recommenders whose parts another of these looks for: its class attribute `looks_for` names them."""
    return frozenset(one for name in names for one in getattr(RECOMMENDERS[name], "looks_for", ()))


def missing(name: str) -> MissingExtra | None:
    """The error of a recommender whose extra is not installed; None where all is there."""
    extra = getattr(RECOMMENDERS.get(name), "extra", None)
    if extra is None or find_spec(_LIBRARIES[extra]) is not None:
        return None
    return MissingExtra(name, extra)


def require_place(names: Sequence[str], run: Run) -> None:
    """Refuse a device or a precision that this machine does not have, where any of these would use it.

    Raises:
        SettingsError: names what was asked for.
    """
    asked = (run.device, run.precision) != ("auto", "auto")
    if asked and any(trains(name) and missing(name) is None for name in names):
        from matinee.train.device import find_place

        find_place(run.device, run.precision, run.processes)


def note_of(model: Model) -> str:
    """What a fit says of itself, such as a setting that this log cannot use; empty where it says nothing."""
    said = model.facts.get("note") or model.parts[model.name].settings.get("note")
    return str(said or "")


def trained_of(model: Model) -> dict[str, Any] | None:
    """How long the model's network was trained, and what it came to; None where it has none."""
    for part in model.parts.values():
        if "passes_made" in part.settings:
            return {
                "passes": part.settings["passes_made"],
                "stopped_early": part.settings.get("stopped_early", False),
                "validation": part.settings.get("validation"),
            }
    return None


def joined_of(model: Model) -> dict[str, Any] | None:
    """What is joined with its weights, and on how many events these were chosen; None: one part alone.

    The weights are those of long histories; `short_below` says of how many events those are that have others.
    """
    part = model.parts[model.name]
    if part.kind == "ensemble":
        weights, lengths = dict(zip(part.settings["parts"], part.settings["weights"], strict=True)), []
    elif part.kind == "product":
        first, *partners = part.settings["parts"]
        lengths, weights = part.settings["lengths"], {first: 1.0}
        for name, of_all in zip(partners, part.settings["weights"], strict=True):
            # What has a say in short histories alone is told with those.
            if of_all[-1] or not any(of_all):
                weights[name] = of_all[-1]
    else:
        return None
    return {
        "weights": weights,
        "held_back": part.settings["held_back"],
        "short_below": lengths[-1] if len(lengths) > 1 else None,
    }


def predicted(name: str, settings: Any, log: Any) -> Needs:
    """What a fit will take; next to nothing where that cannot be told."""
    try:
        return make_recommender(name, settings).needs(log)
    except MatineeError:
        return Needs(memory_bytes=0, cpu_s=0.0)


def _lacking(names: Sequence[str]) -> str:
    extra = RECOMMENDERS[names[0]].extra
    need = "needs" if len(names) == 1 else "need"
    return f"{' and '.join(names)}, which {need}: pip install 'matinee[{extra}]'"


def _too_much(name: str, log: Any) -> str:
    """What a fit would need that nobody asked for; empty where it is fine."""
    needs = predicted(name, {}, log)
    if not fits(needs.memory_bytes):
        return f"need {size_words(needs.memory_bytes)} of memory, more than there is"
    if needs.cpu_s > _LONGEST_CPU_S:
        return f"take about {seconds(needs.cpu_s)} of CPU"
    return ""
