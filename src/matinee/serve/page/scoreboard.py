"""The scoreboard: what validation said of the bundle in use, and experiments on living people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.report.charts import Dot, dot_charts
from matinee.report.numbers import figure
from matinee.serve.asking import DEFAULT_ALIAS
from matinee.serve.page import experiments
from matinee.serve.page.experiments import experiment_values
from matinee.serve.page.frame import Page, render
from matinee.serve.service import BundleFacts

_METRIC = "ndcg@10"
# How far predicted values are off: less is better.
_OFF = ("rmse", "mae")
# Metrics of one scale, which one axis can hold: shares, or what the log's values are counted in.
_SHARES = ("ndcg", "recall", "hit", "mrr", "map", "precision", "coverage")
_DRAWN = (*_SHARES, *_OFF)


def routes(page: Page) -> list[Route]:
    """The scoreboard's screen."""

    async def screen(request: Request) -> Response:
        service = page.service
        in_use = service.bundles.names().get(DEFAULT_ALIAS)
        facts = service.bundles.facts()
        used = next((one for one in facts if one.name == in_use), facts[0] if facts else None)
        told = await experiment_values(page, request, in_use)
        for one in told["experiments"]:
            one["chart"] = _difference_chart(one["dots"], one["first"])
        values = {
            "here": "scoreboard",
            "used": used,
            "bundles": facts,
            "verdict": verdict(used),
            "study": service.study is not None,
            "charts": [] if used is None else _charts(used.facts),
            **told,
        }
        wrong = getattr(request.state, "wrong", None)
        return render("scoreboard.html", values, status=200 if wrong is None else wrong.status)

    return [page.get("/scoreboard", screen), *experiments.routes(page, screen)]


def _difference_chart(dots: Sequence[Dot], first: str) -> str:
    title = f"points of click-through more than {first}, with 95 % interval"
    return dot_charts(dots, title, short=f"points more than {first}", digits=1)


def verdict(used: BundleFacts | None) -> str:
    """What is known of the bundle in use, in a sentence or two."""
    if used is None:
        return "No bundle is in use."
    told = used.facts.get("verdict")
    if isinstance(told, str) and told:
        return told
    metric = _metric(used.facts)
    found = _interval(used.facts.get("metrics", {}).get(metric))
    tried = {name: mean for name, mean in _tried(used.facts).items() if name != used.recommender}
    if found is None:
        return f"In use is {used.recommender}. This fit was not judged: `matinee compare` judges."
    words = (
        f"In use is {used.recommender}: {metric} {figure(found[0])} on validation "
        f"({figure(found[1])} to {figure(found[2])})."
    )
    if not tried:
        return words
    second = min(tried, key=lambda name: _rank(tried[name], metric))
    next_came = f"next came {second} ({figure(tried[second])})"
    ahead = _rank(found[0], metric) <= _rank(tried[second], metric)
    first = "it came first" if ahead else "it did not come first"
    return f"{words} Of {len(tried) + 1} that were tried {first}; {next_came}."


def _charts(facts: Mapping[str, Any]) -> list[str]:
    """Dots with intervals: markup."""
    metrics, chosen_by = facts.get("metrics", {}), _metric(facts)
    dots = []
    for name in sorted(metrics, key=_order):
        found = _interval(metrics[name])
        if found is not None and name.partition("@")[0] in _DRAWN:
            mean, low, high = found
            dots.append(Dot(label=name, mean=mean, low=low, high=high, strong=name == chosen_by))
    charts = []
    if dots:
        charts.append(dot_charts(dots, "on validation, with 95 % interval"))
    tried = sorted(_tried(facts).items(), key=lambda pair: _rank(pair[1], chosen_by))
    if len(tried) > 1:
        rows = [Dot(label=name, mean=mean, low=mean, high=mean) for name, mean in tried]
        best = Dot(label=rows[0].label, mean=rows[0].mean, low=rows[0].low, high=rows[0].high, strong=True)
        charts.append(dot_charts([best, *rows[1:]], f"{chosen_by} of all that were tried"))
    return charts


def _order(name: str) -> tuple[int, str]:
    kind = name.partition("@")[0]
    return (_DRAWN.index(kind) if kind in _DRAWN else len(_DRAWN), name)


def _metric(facts: Mapping[str, Any]) -> str:
    """What validation chose by; bundles from before that was written down were chosen by ndcg@10."""
    return str(facts.get("chosen_metric") or _METRIC)


def _rank(mean: float, metric: str) -> float:
    """A figure as a number of which less is better."""
    return mean if metric in _OFF else -mean


def _tried(facts: Mapping[str, Any]) -> dict[str, float]:
    tried = facts.get("tried") or {}
    return {str(name): float(mean) for name, mean in tried.items() if isinstance(mean, int | float)}


def _interval(found: Any) -> tuple[float, float, float] | None:
    if not isinstance(found, Mapping) or not isinstance(found.get("mean"), int | float):
        return None
    mean = float(found["mean"])
    low, high = found.get("low"), found.get("high")
    return mean, mean if low is None else float(low), mean if high is None else float(high)
