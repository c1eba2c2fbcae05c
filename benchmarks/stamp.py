"""What every result says of where it comes from: machine, versions, commit, command."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from matinee.core.version import version

RESULTS = Path(__file__).parent / "results"


def stamp() -> dict[str, Any]:
    """Command, machine, versions and commit: plain JSON values."""
    return {
        "command": f"python benchmarks/{Path(sys.argv[0]).name} {shlex.join(_told(sys.argv[1:]))}".strip(),
        "machine": {
            "cpu": _processor(),
            "cores": os.cpu_count(),
            "system": platform.system(),
            "threads": os.environ.get("OMP_NUM_THREADS", "as many as cores"),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("matinee", "numpy", "scipy", "pyarrow")},
        },
        "commit": _AT_START,
    }


def write_result(name: str, result: dict[str, Any], folder: Path = RESULTS) -> None:
    """Write one result as `NAME.json`, beside those of the other programs."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def one_thread() -> None:
    """Numpy's products on one thread in every process started from here on: CPU-seconds of one compare."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def _told(arguments: list[str]) -> list[str]:
    """The arguments without places of this machine: absolute paths, and the options that they belong to."""
    told: list[str] = []
    for argument in arguments:
        if not Path(argument).is_absolute():
            told.append(argument)
        elif told and told[-1].startswith("-"):
            told.pop()
    return told


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _commit() -> str:
    if shutil.which("git") is None:
        return ""
    here = Path(__file__).parent
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


# What is measured is what lay here when the program began; others may commit while it runs.
_AT_START = _commit()
