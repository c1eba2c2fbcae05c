"""Personalize's questions: GetRecommendations and GetPersonalizedRanking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matinee.data.columns import plain_name
from matinee.serve.asking import MOST_ITEMS, Answer, Ask, Recommended
from matinee.serve.due import due_history
from matinee.serve.foreign import checked_id
from matinee.serve.known_items import known_item, values_of
from matinee.serve.personalize_select import Asker, Selection, Selector, expression_of
from matinee.serve.personalize_shapes import (
    GetPersonalizedRanking,
    GetRecommendations,
    Promotion,
    name_in,
    texts_of,
)
from matinee.serve.records import Seen
from matinee.serve.refusals import NotFound, Refusal
from matinee.serve.service import Catalogue, Service

_DEFAULT_RESULTS = 25
_LONGEST_REASON = 256
PROMOTED = "Promoted item"
_REGION_WORDS = ("region", "country")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Question:
    """What both questions have in common, looked up.

    Attributes:
        ask: whom and where.
        item: the item asked about; None: none.
        catalogue: the items.
        asker: of whom filters speak.
        columns: what is to be told of each item.
    """

    ask: Ask
    item: str | None
    catalogue: Catalogue
    asker: Asker
    columns: Sequence[str]


async def recommendations(service: Service, selector: Selector, sent: GetRecommendations) -> dict[str, Any]:
    """What to recommend to a user, or beside an item."""
    k = _DEFAULT_RESULTS if sent.num_results is None else sent.num_results
    if k > MOST_ITEMS:
        raise Refusal(f"numResults is {k:,}: at most {MOST_ITEMS} are given at once.")
    question = await _question(service, sent, _alias(sent), sent.item_id)
    chosen = await _selected(service, selector, question, sent.filter_arn, sent.filter_values)
    ask = replace(_choosing(question.ask, chosen), k=max(k, 1), reasons=True)
    answer = await _answered(service, question.item, ask)
    listed = [(one, "") for one in answer.items[:k]]
    for promotion in sent.promotions or ():
        listed = await _promoted(service, selector, question, promotion, (ask, listed))
    return {
        "itemList": [_predicted(question, one, name) for one, name in listed[:k]],
        "recommendationId": answer.recommendation_id,
    }


async def ranking(service: Service, selector: Selector, sent: GetPersonalizedRanking) -> dict[str, Any]:
    """A list in the order of a user's liking; what a filter shuts out is left out."""
    alias = name_in("campaignArn", sent.campaign_arn, ("campaign", "recommender"))
    question = await _question(service, sent, alias, None)
    chosen = await _selected(service, selector, question, sent.filter_arn, sent.filter_values)
    items = [checked_id("inputList", item) for item in dict.fromkeys(sent.input_list)]
    let_in = [item for item in items if chosen.lets(item, _categories(question.catalogue, item))]
    answer = await service.answers.rank(let_in, replace(question.ask, k=max(len(let_in), 1), reasons=True))
    return {
        "personalizedRanking": [_predicted(question, one, "") for one in answer.items],
        "recommendationId": answer.recommendation_id,
    }


def _alias(sent: GetRecommendations) -> str:
    if (sent.campaign_arn is None) == (sent.recommender_arn is None):
        raise Refusal(
            "Give either campaignArn or recommenderArn: the name at its end is that of a bundle's alias."
        )
    if sent.campaign_arn is not None:
        return name_in("campaignArn", sent.campaign_arn, ("campaign",))
    return name_in("recommenderArn", str(sent.recommender_arn), ("recommender",))


async def _question(
    service: Service, sent: GetRecommendations | GetPersonalizedRanking, alias: str, item: str | None
) -> _Question:
    user = checked_id("userId", sent.user_id) if sent.user_id else None
    catalogue = await service.answers.catalogue(alias)
    needs_asker = bool(sent.filter_arn or getattr(sent, "promotions", None))
    viewer = await service.store.viewer(user) if user and needs_asker else None
    history: Sequence[Seen] = ()
    if user and needs_asker:
        history = await due_history(service.store, user, service.limits.history, service.now_ms())
    attributes = {} if viewer is None else {"region": viewer.region, **viewer.attributes}
    context = {plain_name(name): value for name, value in (sent.context or {}).items()}
    region = next((context[word] for word in _REGION_WORDS if context.get(word)), None)
    ask = Ask(user=user, alias=alias, region=region, placement=context.get("placement", ""))
    item = checked_id("itemId", item) if item else None
    return _Question(
        ask=ask,
        item=item,
        catalogue=catalogue,
        asker=Asker(attributes=attributes, history=history, item=item),
        columns=_columns(sent.metadata_columns or {}),
    )


def _columns(sent: Mapping[str, list[str]]) -> Sequence[str]:
    """The columns that are to be told of items.

    Raises:
        Refusal: another data set's are asked for.
    """
    for dataset in sent:
        if dataset.upper() != "ITEMS":
            raise Refusal(f"metadataColumns has {dataset[:60]!r}: columns of ITEMS alone can be told.")
    return [column for columns in sent.values() for column in columns]


async def _selected(
    service: Service,
    selector: Selector,
    question: _Question,
    arn: str | None,
    values: Mapping[str, str] | None,
) -> Selection:
    if not arn:
        if values:
            raise Refusal("filterValues came without a filterArn: name the filter that they are for.")
        return Selection()
    expression = await expression_of(service.store, name_in("filterArn", arn, ("filter",)))
    return selector.select(expression, values or {}, question.catalogue, question.asker)


def _choosing(ask: Ask, chosen: Selection) -> Ask:
    return replace(ask, only=chosen.only, exclude=chosen.exclude, categories=chosen.categories)


async def _answered(service: Service, item: str | None, ask: Ask) -> Answer:
    """Items like an item where one is named, else personal ones; what is popular beside an unknown item."""
    if item is None:
        return await service.answers.recommend(ask)
    try:
        return await service.answers.similar(item, ask)
    except NotFound:
        return await service.answers.popular(ask)


async def _promoted(
    service: Service,
    selector: Selector,
    question: _Question,
    promotion: Promotion,
    plain: tuple[Ask, list[tuple[Recommended, str]]],
) -> list[tuple[Recommended, str]]:
    """The list with a share of it chosen by the promotion's filter, spread evenly over it.

    As there, the request's own filter does not hold for promoted items, and there may be fewer of them.
    """
    ask, listed = plain
    if promotion.filter_arn is None:
        raise Refusal("A promotion needs a filterArn: it says what is promoted.")
    chosen = await _selected(service, selector, question, promotion.filter_arn, promotion.filter_values)
    size = len(listed) if len(listed) < ask.k else ask.k
    share = max(1, round(ask.k * (promotion.percent_promoted_items or 100) / 100))
    answer = await _answered(
        service, question.item, replace(_choosing(question.ask, chosen), k=share, reasons=True)
    )
    promoted = [
        one._replace(pinned=True, reasons=(PROMOTED, *one.reasons))
        for one in answer.items
        if chosen_by(chosen, one, question)
    ]
    ids = {one.item for one in promoted}
    others = [pair for pair in listed if pair[0].item not in ids]
    total = min(ask.k, max(size, len(promoted) + len(others)))
    named = [(one, promotion.name or "") for one in promoted]
    return _spread(named, others[: max(total - len(named), 0)])


def chosen_by(chosen: Selection, one: Recommended, question: _Question) -> bool:
    """Whether an item is what a filter chose: what stands in for an answer need not be."""
    return chosen.lets(one.item, _categories(question.catalogue, one.item))


def _spread(
    some: list[tuple[Recommended, str]], others: list[tuple[Recommended, str]]
) -> list[tuple[Recommended, str]]:
    """Two lists as one, the first evenly among the second, each in its own order."""
    total = len(some) + len(others)
    places = {int((place + 0.5) * total / len(some)) for place in range(len(some))} if some else set()
    first, second = iter(some), iter(others)
    return [next(first) if place in places else next(second) for place in range(total)]


def _categories(catalogue: Catalogue, item: str) -> Sequence[str]:
    record = known_item(catalogue, item)
    return () if record is None else record.categories


def _predicted(question: _Question, one: Recommended, promotion: str) -> dict[str, Any]:
    """One item as its model has it; what is not known is left out."""
    told: dict[str, Any] = {"itemId": one.item}
    if one.score is not None:
        told["score"] = one.score
    if promotion:
        told["promotionName"] = promotion
    if one.reasons:
        told["reason"] = [reason[:_LONGEST_REASON] for reason in one.reasons]
    if question.columns:
        record = known_item(question.catalogue, one.item)
        told["metadata"] = {} if record is None else texts_of(values_of(record), list(question.columns))
    return told
