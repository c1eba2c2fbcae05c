"""The native face's experiments: begun, looked at on any day, ended."""

from __future__ import annotations

import math

from matinee.core.anytime import Sequential
from matinee.serve import conduct
from matinee.serve.ab import Arm, Result, ShadowResult, experiments_of
from matinee.serve.experiments import Experiment
from matinee.serve.operations import Call, Operation
from matinee.serve.refusals import NotFound
from matinee.serve.replies import Reply, said
from matinee.serve.schemas import ExperimentSent
from matinee.serve.schemas_said import (
    SaidArm,
    SaidEstimate,
    SaidExperiment,
    SaidExperiments,
    SaidResult,
    SaidShadow,
)


async def experiments(call: Call) -> Reply:
    """Every experiment, those that are over included."""
    return said(SaidExperiments(experiments=[_said(one) for one in await experiments_of(call.service.store)]))


async def experiment(call: Call) -> Reply:
    """What an experiment says today."""
    name, watch = call.path["name"], call.service.watch
    found = await watch.experiments() or []
    one = next((one for one in found if one.experiment.name == name), None)
    if one is None:
        names = ", ".join(repr(one.experiment.name) for one in found) or "none"
        raise NotFound(f"There is no experiment {name!r}: there are {names}.")
    return said(_result(one, watch.shadows().get(one.experiment.shadow or "")))


async def begin_experiment(call: Call) -> Reply:
    """Begin an experiment; the same one again changes nothing."""
    return said(_said(await conduct.begin(call.service, _wanted(call.path["name"], call.body))))


async def stop_experiment(call: Call) -> Reply:
    """End an experiment; what it found stays."""
    return said(_said(await conduct.end(call.service, call.path["name"])))


def _wanted(name: str, sent: ExperimentSent) -> Experiment:
    shares = {arm: 1 / len(sent.arms) for arm in sent.arms} if sent.shares is None else sent.shares
    return Experiment(name=name, arms=sent.arms, shares=shares, alias=sent.alias, shadow=sent.shadow)


def _said(one: Experiment) -> SaidExperiment:
    return SaidExperiment(
        name=one.name,
        alias=one.alias,
        arms=dict(one.arms),
        shares=dict(one.shares),
        shadow=one.shadow,
        running=one.running,
        since=one.since_ms,
    )


def _result(one: Result, shadow: ShadowResult | None) -> SaidResult:
    return SaidResult(
        experiment=_said(one.experiment),
        sentence=one.sentence,
        trusted=not one.ratio_is_off,
        crossed=one.crossed,
        arms=[_arm(arm, one.differences.get(arm.name)) for arm in one.arms],
        shadow=None if shadow is None else _shadow(shadow),
    )


def _arm(arm: Arm, difference: Sequential | None) -> SaidArm:
    return SaidArm(
        name=arm.name,
        bundle=arm.bundle,
        share=arm.share,
        viewers=arm.viewers,
        settled=arm.settled,
        rate=_estimate(arm.rate),
        difference=_estimate(difference),
    )


def _estimate(found: Sequential | None) -> SaidEstimate | None:
    if found is None:
        return None
    mean = None if math.isnan(found.mean) else found.mean
    return SaidEstimate(mean=mean, low=found.low, high=found.high, decided=found.decided)


def _shadow(one: ShadowResult) -> SaidShadow:
    return SaidShadow(
        bundle=one.bundle,
        answers=one.answers,
        overlap=one.overlap,
        cpu_ms=one.cpu_ms,
        sentence=one.sentence,
    )


_UNKNOWN = {404: "There is no experiment of this name."}
_FULL = {507: "The disk is full: nothing was changed."}

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/experiments",
        handler=experiments,
        tag="Experiments",
        summary="The experiments of this server",
        said=SaidExperiments,
    ),
    Operation(
        method="PUT",
        path="/v1/experiments/{name}",
        handler=begin_experiment,
        tag="Experiments",
        summary="Begin an experiment",
        description="Every process splits the viewers from now on, each viewer into the same arm every time; "
        "answers say the arm in `experiment`. One experiment at a time splits an alias, and a name is used "
        "once.",
        scope="admin",
        body=ExperimentSent,
        said=SaidExperiment,
        noes={
            404: "There is no such bundle, or no such alias.",
            409: "There has been an experiment of this name, or a bundle cannot be read.",
            **_FULL,
        },
        example={"arms": {"now": "monday", "new": "tuesday"}, "shadow": None},
        given={"name": "tuesday-or-monday"},
    ),
    Operation(
        method="GET",
        path="/v1/experiments/{name}",
        handler=experiment,
        tag="Experiments",
        summary="What an experiment says today",
        description="At most a minute old. It may be looked at on any day, and as often as one likes.",
        said=SaidResult,
        noes=_UNKNOWN,
        given={"name": "tuesday-or-monday"},
    ),
    Operation(
        method="POST",
        path="/v1/experiments/{name}/stop",
        handler=stop_experiment,
        tag="Experiments",
        summary="End an experiment",
        description="Everybody is answered by the alias's bundle again; what was found stays.",
        scope="admin",
        said=SaidExperiment,
        noes={**_UNKNOWN, **_FULL},
        given={"name": "tuesday-or-monday"},
    ),
)
