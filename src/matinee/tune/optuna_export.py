"""A study's trials in Optuna's own storage, so that optuna-dashboard and Optuna's plots open it."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from matinee.core.errors import InputError, MissingExtra
from matinee.core.space import Choice, Space, Span, is_number
from matinee.core.words import counted
from matinee.tune.steps import whole_steps
from matinee.tune.trial import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

# The study's attribute that says which trials were written, set when the last one was.
_MARK = "matinee_trials_sha256"
_STATES = {"done": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL", "waiting": "WAITING"}


def export_optuna(trials: Sequence[Trial], name: str, url: str, *, space: Space) -> str:
    """Write a study's trials into an Optuna storage.

    What is done is COMPLETE there, what was stopped PRUNED, what failed FAIL; what still runs, or may go on
    from a checkpoint, is RUNNING. Each trial brings what it reported and, as user attributes, its dollars,
    seconds, reason and who chose it. When it ran is not known: it ends now, and took as long as it did.

    Args:
        trials: in the order of their numbers.
        name: what the study is called there.
        url: of the storage, such as `sqlite:///study.db`.
        space: what the trials' settings were searched in.

    Returns:
        A sentence that says what was written; nothing is where the same trials are there already.

    Raises:
        MissingExtra: Optuna is not installed.
        InputError: the storage cannot be used, or has another study of that name.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("Export to Optuna", "optuna") from error

    words = json.dumps([asdict(trial) for trial in trials], sort_keys=True, default=repr)
    mark = hashlib.sha256(f"{name}\n{words}".encode()).hexdigest()
    place = re.sub(r"(://[^/:@]*):[^/@]*@", r"\1:***@", url)
    with _storage(url, place) as storage:
        try:
            study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(storage=storage, study_name=name)
            if study.user_attrs.get(_MARK) != mark:
                raise InputError(
                    f"{place} has another study {name!r}, or an older or unfinished export of this one: give "
                    f"another name, or delete it: optuna delete-study --storage {place} --study-name {name}"
                ) from None
            return f"Study {name!r} is in {place} already, with the same {counted(len(trials), 'trial')}."
        names = dict.fromkeys([*space, *(key for trial in trials for key in trial.settings)])
        kinds = {key: _distribution(space.get(key), key, trials) for key in names}
        now = datetime.now()
        study.add_trials([_frozen(trial, kinds, now) for trial in trials])
        study.set_user_attr(_MARK, mark)
    return f"Study {name!r} with {counted(len(trials), 'trial')} is in {place}: optuna-dashboard {place}"


@contextmanager
def _storage(url: str, place: str) -> Iterator[RDBStorage]:
    """Optuna's storage at a place, silent while it works and closed afterwards."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    storage = None
    try:
        storage = optuna.storages.RDBStorage(url)
        yield storage
    except (SQLAlchemyError, ImportError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        said = str(cause).strip().splitlines()[0].rstrip(".").replace(url, place)
        raise InputError(
            f"Optuna's storage {place} cannot be used: {said}. Give one such as sqlite:///study.db."
        ) from error
    finally:
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()
        optuna.logging.set_verbosity(level)


def _frozen(trial: Trial, kinds: Mapping[str, BaseDistribution], now: datetime) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    state = TrialState[_STATES.get(trial.state, "RUNNING")]
    params = {name: _plain(value) for name, value in trial.settings.items()}
    waits = state == TrialState.WAITING
    reports, steps = _reports(trial)
    found = create_trial(
        state=state,
        value=_value(trial),
        params={} if waits else params,
        distributions={} if waits else {name: kinds[name] for name in params},
        user_attrs={**_attributes(trial), **steps},
        # So Optuna marks settings that were enqueued: whoever takes the trial up runs these.
        system_attrs={"fixed_params": params} if waits else {},
        intermediate_values=reports,
    )
    if not waits:
        found.datetime_start = now - timedelta(seconds=trial.seconds)
        found.datetime_complete = now if state.is_finished() else None
    return found


def _value(trial: Trial) -> float | None:
    """The final value; of a stopped trial the last that it reported, as Optuna has it."""
    if trial.state == "stopped" and trial.curve:
        return trial.curve[-1].value
    return trial.value if trial.state == "done" else None


def _reports(trial: Trial) -> tuple[dict[int, float], dict[str, Any]]:
    """What a trial reported by step, and its own steps where Optuna's whole ones are others."""
    steps = whole_steps(trial.curve)
    own = [point.step for point in trial.curve]
    reports = {step: point.value for step, point in zip(steps, trial.curve, strict=True)}
    return reports, {} if steps == own else {"steps": own}


def _attributes(trial: Trial) -> dict[str, Any]:
    told = {
        "number": trial.number,
        "why": trial.why,
        "dollars": trial.dollars,
        "lost_dollars": trial.lost_dollars,
        "seconds": trial.seconds,
        "attempts": trial.attempts,
        "seed": trial.seed,
        "reason": trial.reason,
        "repeats": trial.repeats,
        "region": trial.region,
        **{f"fact_{name}": value for name, value in trial.facts.items()},
    }
    return {name: value for name, value in told.items() if value is not None}


def _distribution(values: Choice | Span | None, name: str, trials: Sequence[Trial]) -> BaseDistribution:
    """One distribution that has every value which was tried, given ones outside of the space too.

    Optuna wants the same choices in every trial of a study.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    tried = [trial.settings[name] for trial in trials if name in trial.settings]
    if isinstance(values, Span) and all(is_number(value) for value in tried):
        low, high = min([values.low, *tried]), max([values.high, *tried])
        if values.whole and all(value == int(value) for value in tried):
            return IntDistribution(int(low), int(high), log=values.log and low >= 1)
        return FloatDistribution(float(low), float(high), log=values.log and low > 0)
    known = values.values if isinstance(values, Choice) else ()
    # Lists are no choices of Optuna's: they go by their words.
    return CategoricalDistribution(list(dict.fromkeys(_plain(value) for value in (*known, *tried))))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return json.dumps(value, default=repr)
