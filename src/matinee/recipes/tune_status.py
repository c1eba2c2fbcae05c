"""What a study's folder tells: everybody's trials, and those of its regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matinee.recipes.spent import read_facts
from matinee.recipes.tune_folder import ABOUT, REGIONS
from matinee.tune.events import NAME
from matinee.tune.study import status


def study_status(folder: Path) -> dict[str, Any]:
    """The JSON of `status`; of a study by region, with the status of each region's own under `regions`.

    Raises:
        InputError: there is no study, or its log is damaged.
    """
    facts, about = status(folder), read_facts(folder / ABOUT)
    facts |= {name: about[name] for name in ("recommender", "metric", "objective") if name in about}
    regions = [status(place.parent) for place in sorted(folder.glob(f"{REGIONS}/*/{NAME}"))]
    return {**facts, "regions": regions} if regions else facts
