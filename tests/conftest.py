"""What holds for all tests: the order in which files start, and hypothesis without a clock.

`make test` gives each file to one process (`--dist loadfile`), so that what a file makes once is made
once; the files that take longest start first, so that no process is left alone with one at the end.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# CPU-seconds, the largest first; whoever is not named takes less than fifteen.
LONG_FILES = (
    "stories/test_readme_page.py",
    "stories/test_demo.py",
    "stories/test_tutorial_page.py",
    "cli/test_serve.py",
    "cli/test_serve_keys.py",
    "stories/test_serving_page.py",
    "stories/test_tuning_page.py",
    "recipes/test_unfinished.py",
    "recipes/test_compare.py",
    "recipes/test_isolate.py",
    "recipes/test_fit_regions.py",
    "recommenders/test_sequential.py",
    "recipes/test_network_resumed.py",
    "tune/test_run.py",
    "cli/test_tune.py",
)

# How long an example takes is the machine's affair; where a run decides on a change, it repeats itself.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("gate", settings.get_profile("tests"), derandomize=True, print_blob=True)
settings.load_profile("gate" if os.environ.get("CI") else "tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for name in LONG_FILES:
        if not (here / name).is_file():
            raise pytest.UsageError(f"LONG_FILES in {__file__} names {name}, which is not there.")
    places = {here / name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
