"""What the native face answers. Times are milliseconds since 1970, UTC."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct


class SaidItem(Struct, kw_only=True):
    """One item of an answer."""

    item: Annotated[str, Meta(description="Its id.")]
    title: Annotated[str | None, Meta(description="What people call it.")]
    score: Annotated[
        float | None,
        Meta(description="What it was ranked by: comparable within one answer only."),
    ]
    reasons: Annotated[list[str], Meta(description="Why, where it was asked.")]
    pinned: Annotated[bool, Meta(description="Whether a rule put it there.")]


class Said(Struct, kw_only=True):
    """Ranked items, best first."""

    user: Annotated[str | None, Meta(description="Who asked.")]
    source: Annotated[
        str,
        Meta(description='What ranked them; "fallback:popular" where nothing personal could be said.'),
    ]
    recommendation_id: Annotated[str, Meta(description="What events name to say that they followed from it.")]
    items: Annotated[list[SaidItem], Meta(description="The items.")]
    bundle: Annotated[str, Meta(description="The bundle that answered; empty where none was asked.")]
    experiment: Annotated[str, Meta(description="The experiment and its arm; empty where there is none.")]
    unknown: Annotated[int, Meta(ge=0, description="Items of the history that the bundle has never seen.")]


class Came(Struct, kw_only=True):
    """An item that one list has and the other has not."""

    item: Annotated[str, Meta(description="Its id.")]
    title: Annotated[str | None, Meta(description="What people call it.")]
    rank: Annotated[int, Meta(ge=1, description="Its place in the list that has it.")]


class Moved(Struct, kw_only=True):
    """An item that stands elsewhere."""

    item: Annotated[str, Meta(description="Its id.")]
    title: Annotated[str | None, Meta(description="What people call it.")]
    before: Annotated[int, Meta(ge=1, description="Its place before.")]
    after: Annotated[int, Meta(ge=1, description="Its place after.")]


class SaidWhatIf(Struct, kw_only=True):
    """What would be answered, and what would be different."""

    before: Said
    after: Said
    came: Annotated[list[Came], Meta(description="Items that only the new list has.")]
    went: Annotated[list[Came], Meta(description="Items that only the old list has.")]
    moved: Annotated[list[Moved], Meta(description="Items of both that stand elsewhere.")]


class SaidNew(Struct, kw_only=True):
    """What was kept."""

    new: Annotated[int, Meta(ge=0, description="How many were new; the others had been sent before.")]
    received: Annotated[int, Meta(ge=0, description="How many came.")]


class SaidMerge(Struct, kw_only=True):
    """Two ids that are one viewer now."""

    user: str
    into: str


class SaidEvent(Struct, kw_only=True):
    """One event of a history."""

    item: str
    kind: str
    value: float | None
    time: int


class SaidViewer(Struct, kw_only=True):
    """What is known of a viewer."""

    id: str
    region: str | None
    attributes: dict[str, Any]
    added: int | None
    history: Annotated[list[SaidEvent], Meta(description="The latest events, oldest first.")]


class SaidReceipt(Struct, kw_only=True):
    """What was deleted of a viewer."""

    user: Annotated[str, Meta(description="Who.")]
    events: Annotated[int, Meta(ge=0, description="Events that are gone.")]
    impressions: Annotated[int, Meta(ge=0, description="Impressions that are gone.")]
    profile: Annotated[bool, Meta(description="Whether a profile is gone.")]
    time: Annotated[int, Meta(description="When.")]
    bundles: Annotated[
        list[str],
        Meta(description="Bundles that were trained with this viewer: the next fit leaves them out."),
    ]


class ExportedEvent(Struct, kw_only=True):
    """One event as it is stored."""

    item: str
    kind: str
    time: int
    value: float | None
    event_id: str | None
    recommendation_id: str | None
    position: int | None
    session: str | None
    properties: Annotated[str | None, Meta(description="A JSON object's text.")]


class ExportedImpression(Struct, kw_only=True):
    """What the viewer was shown."""

    items: list[str]
    time: int
    recommendation_id: str | None


class SaidProfile(Struct, kw_only=True):
    """A viewer's profile."""

    id: str
    region: str | None
    attributes: dict[str, Any]
    added: int | None


class SaidExport(Struct, kw_only=True):
    """Everything that is stored of a viewer."""

    user: str
    profile: SaidProfile | None
    events: list[ExportedEvent]
    impressions: list[ExportedImpression]


class SaidItemRecord(Struct, kw_only=True):
    """What was put under an item's id."""

    id: str
    title: str | None
    categories: list[str]
    available_from: int | None
    available_until: int | None
    regions: list[str]
    in_stock: bool | None
    hidden: bool
    added: int | None
    image: str | None
    attributes: dict[str, Any]


class SaidItems(Struct, kw_only=True):
    """How many items were written."""

    items: Annotated[int, Meta(ge=1)]


class SaidDeleted(Struct, kw_only=True):
    """An item that is never shown again until it is put again."""

    item: str
    stored: Annotated[bool, Meta(description="Whether anything had been put under this id.")]


class SaidBundle(Struct, kw_only=True):
    """A bundle that can be asked or activated."""

    name: str
    aliases: Annotated[list[str], Meta(description="The names under which it is in use.")]
    recommender: str
    fingerprint: str
    created: str
    items: int
    viewers: int
    events: int
    facts: Annotated[dict[str, Any], Meta(description="What its manifest says of the fit.")]


class SaidBundles(Struct, kw_only=True):
    """The bundles of a server, the newest first."""

    bundles: list[SaidBundle]
    aliases: Annotated[dict[str, str], Meta(description="The bundle's name behind each alias.")]


class SaidExperiment(Struct, kw_only=True):
    """An experiment."""

    name: str
    alias: Annotated[str, Meta(description="Whom it concerns: askers of this alias.")]
    arms: Annotated[dict[str, str], Meta(description="The bundle of each arm.")]
    shares: Annotated[dict[str, float], Meta(description="The share of the viewers of each arm.")]
    shadow: Annotated[str | None, Meta(description="A bundle whose answers nobody sees.")]
    running: Annotated[bool, Meta(description="Whether it splits viewers now.")]
    since: Annotated[int, Meta(description="When it began.")]


class SaidExperiments(Struct, kw_only=True):
    """The experiments of a server, those that are over included, the oldest first."""

    experiments: list[SaidExperiment]


class SaidEstimate(Struct, kw_only=True):
    """A figure with an interval that may be looked at on any day, as often as one likes."""

    mean: Annotated[float | None, Meta(description="The figure; null where nothing was seen yet.")]
    low: float
    high: float
    decided: Annotated[bool, Meta(description="Of a difference: whether it is certain that there is one.")]


class SaidArm(Struct, kw_only=True):
    """One arm so far."""

    name: str
    bundle: str
    share: float
    viewers: Annotated[int, Meta(description="Viewers with an answer that was seen to be shown.")]
    settled: Annotated[int, Meta(description="Those of them whose first day is over: the others wait.")]
    rate: Annotated[
        SaidEstimate | None,
        Meta(description="Of the answers of a viewer's first day, the share that was followed; the mean."),
    ]
    difference: Annotated[SaidEstimate | None, Meta(description="How much more than in the first arm.")]


class SaidShadow(Struct, kw_only=True):
    """How far the shadow differs from what was shown."""

    bundle: str
    answers: Annotated[int, Meta(description="Answers compared, by the process that was asked.")]
    overlap: Annotated[float, Meta(description="The share of shown items that it would have shown too.")]
    cpu_ms: Annotated[float, Meta(description="What asking it took, for each answer.")]
    sentence: str


class SaidResult(Struct, kw_only=True):
    """What an experiment says today."""

    experiment: SaidExperiment
    sentence: Annotated[str, Meta(description="What it comes to.")]
    trusted: Annotated[bool, Meta(description="False where viewers were not split as they should have been.")]
    crossed: Annotated[int, Meta(description="Viewers with answers of several arms, who are left out.")]
    arms: list[SaidArm]
    shadow: SaidShadow | None


class SaidHealth(Struct, kw_only=True):
    """That it is well."""

    status: str


class NoParts(Struct, kw_only=True):
    """Why not."""

    status: Annotated[int, Meta(ge=400, le=599, description="HTTP's status.")]
    message: Annotated[str, Meta(description="What was found, what was expected, what to do.")]
    field: Annotated[str | None, Meta(description='The place in what was sent, such as "events[3].time".')]


class SaidNo(Struct, kw_only=True):
    """Every no has this shape."""

    error: NoParts
