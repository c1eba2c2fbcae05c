"""A model before the judge that its log's target asks for: that of rankings, or that of values."""

from __future__ import annotations

from collections.abc import Sequence

from matinee.answers.model import Model
from matinee.data.meaning import RATING
from matinee.data.queries import Queries
from matinee.evaluate.evidence import Evidence
from matinee.evaluate.judge import judge, time_answers
from matinee.evaluate.judge_values import judge_values, time_values


def judged(model: Model, queries: Queries, at: Sequence[int]) -> Evidence:
    """What a model's answers to some queries come to: values where the log's target is the value."""
    if model.log.target == RATING:
        return judge_values(model.values, queries)
    return judge(model.scores, queries, at=at, popularity=model.context.popularity).evidence()


def answer_time(model: Model, queries: Queries) -> float:
    """Milliseconds of one answer."""
    if model.log.target == RATING:
        return time_values(model.values, queries)
    return time_answers(model.scores, queries)
