"""What tests of the engine share: small bundles and a service over a store in memory."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from matinee.data.kinds_mean import KindsMean
from matinee.recommenders.friends import Friends
from matinee.recommenders.popularity import Popularity
from matinee.recommenders.transitions import Transitions
from matinee.recommenders.user_knn import UserKnn
from matinee.serve.records import Event
from matinee.serve.service import Limits
from matinee.serve.start import start_service
from matinee.testing.made_logs import ragged, random_log
from matinee.testing.small_store import SmallStore

NOW = 1_800_000_000_000
ITEMS = 40
MAKERS = {"transitions": Transitions, "popularity": Popularity, "user_knn": UserKnn, "friends": Friends}


def the_log(**more):
    """Forty viewers of forty items with titles, genres and series; v0's friends are v1 and v2."""
    log = random_log(5, n_items=ITEMS)
    table = pa.table(
        {
            "id": [f"i{code}" for code in range(ITEMS)],
            "title": [f"Film {code}" for code in range(ITEMS)],
            "genres": [["Crime"] if code % 4 == 0 else ["Drama", "Comedy"] for code in range(ITEMS)],
            "series": [f"series {code % 3}" for code in range(ITEMS)],
        }
    )
    viewers = pa.table({"id": log.viewers.arrow, "region": ["north"] * 20 + [None] * 20})
    friends = ragged([[1, 2]] + [[] for _ in range(39)])
    return replace(
        log,
        item_table=table,
        viewer_table=viewers,
        friends=friends,
        meaning=KindsMean(),
        fingerprint="f" * 64,
        **more,
    )


@cache
def shelf_folder():
    """A folder with a bundle of each kind, written once."""
    kept = TemporaryDirectory()
    for name, maker in MAKERS.items():
        maker().fit(the_log()).save(Path(kept.name) / name)
    return kept


def bundle(name="transitions"):
    """The folder of one bundle."""
    return Path(shelf_folder().name) / name


async def serve(*places, store=None, limits=None, **more):
    """A service; its clock stands still."""
    store = store or SmallStore(NOW)
    return await start_service(places or [bundle()], store, limits or Limits(), now_ms=lambda: NOW, **more)


def watched(user, *items, kind="watch", start=NOW - 1_000_000):
    """Events of a viewer, a second apart."""
    return [Event(user=user, item=item, kind=kind, time_ms=start + 1000 * n) for n, item in enumerate(items)]


def ids(answer):
    """The ids of an answer."""
    return [one.item for one in answer.items]
