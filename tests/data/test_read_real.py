"""Real logs as their publishers wrote them; the counts are those that their descriptions give."""

import os
from pathlib import Path

import pytest

from matinee.core.errors import DataError
from matinee.data.read import read_log

ROOT = Path(os.environ.get("MATINEE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="no $MATINEE_DATA and no ../shared/data")

COUNTS = {
    "ml-1m/interactions.csv.gz": (6040, 3416, 999_611, "order"),
    "ml-1m/interactions_timed.csv.gz": (5398, 3416, 904_050, "time"),
    "amazon-beauty/interactions.csv.gz": (22_363, 12_101, 198_502, "order"),
    "amazon-toys/interactions.csv.gz": (19_412, 11_924, 167_597, "order"),
    "ml-latest-small/ratings.csv": (671, 9066, 100_004, "time"),
    "ml-latest-small": (671, 9066, 100_004, "time"),
    "lastfm/user_artists.dat": (1892, 17_632, 92_834, "none"),
    "ml-100k/u.data": (943, 1682, 100_000, "time"),
    "gowalla/train.csv.gz": (29_858, 40_981, 810_128, "none"),
    "filmtrust/ratings.txt": (1508, 2071, 35_494, "none"),  # 35,497 rows, three of them a viewer's item again
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    log = read_log(ROOT / name, cache=False)
    assert (log.n_viewers, log.n_items, len(log), log.order) == COUNTS[name]


def test_tables_beside_a_log_are_no_logs():
    for name in ("ml-latest-small/movies.csv", "lastfm/artists.dat"):
        with pytest.raises(DataError, match="no column was recognised"):
            read_log(ROOT / name)
