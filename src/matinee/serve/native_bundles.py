"""The native face's bundles: which there are, and which one answers."""

from __future__ import annotations

from matinee.serve.operations import Call, Operation
from matinee.serve.replies import Reply, said
from matinee.serve.schemas import AliasSent
from matinee.serve.schemas_said import SaidBundle, SaidBundles
from matinee.serve.service import BundleFacts


async def bundles(call: Call) -> Reply:
    """Every bundle that can be asked or activated."""
    shelf = call.service.bundles
    return said(SaidBundles(bundles=[_said(one) for one in shelf.facts()], aliases=dict(shelf.names())))


async def activate(call: Call) -> Reply:
    """Put a bundle behind an alias."""
    sent: AliasSent = call.body or AliasSent()
    return said(_said(await call.service.bundles.activate(call.path["name"], sent.alias)))


async def rollback(call: Call) -> Reply:
    """Put back what an alias had before."""
    sent: AliasSent = call.body or AliasSent()
    return said(_said(await call.service.bundles.rollback(sent.alias)))


def _said(facts: BundleFacts) -> SaidBundle:
    return SaidBundle(
        name=facts.name,
        aliases=list(facts.aliases),
        recommender=facts.recommender,
        fingerprint=facts.fingerprint,
        created=facts.created,
        items=facts.items,
        viewers=facts.viewers,
        events=facts.events,
        facts=dict(facts.facts),
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/bundles",
        handler=bundles,
        tag="Bundles",
        summary="The bundles of this server",
        said=SaidBundles,
    ),
    Operation(
        method="POST",
        path="/v1/bundles/{name}/activate",
        handler=activate,
        tag="Bundles",
        summary="Put a bundle behind an alias",
        description="In every process, without a dropped request; the one that was there stays for rollback.",
        scope="admin",
        body=AliasSent,
        optional=True,
        said=SaidBundle,
        noes={404: "There is no such bundle.", 507: "The disk is full: nothing was changed."},
        example={"alias": "default"},
        given={"name": "monday"},
    ),
    Operation(
        method="POST",
        path="/v1/bundles/rollback",
        handler=rollback,
        tag="Bundles",
        summary="Put back the bundle that an alias had before",
        scope="admin",
        body=AliasSent,
        optional=True,
        said=SaidBundle,
        noes={
            404: "There is no such alias.",
            409: "It had nothing before.",
            507: "The disk is full: nothing was changed.",
        },
        example={"alias": "default"},
    ),
)
