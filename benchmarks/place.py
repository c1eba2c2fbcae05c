"""Where the logs of the benchmarks lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_folder() -> Path:
    """$MATINEE_DATA, else ../shared/data beside the project; ends the program where there is neither."""
    beside = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("MATINEE_DATA", beside))
    if not folder.is_dir():
        sys.exit(f"No data in {folder}: set MATINEE_DATA.")
    return folder
