"""An environment for each peer, made from its pinned requirements outside the project."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"


def python_of(name: str, folder: Path) -> Path:
    """The interpreter of a peer's environment, which is made or made anew where its requirements changed."""
    needed = REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(needed.read_bytes()).hexdigest()
    place = folder / name
    python, made = place / "bin" / "python", place / "made-from.sha256"
    if made.is_file() and made.read_text(encoding="utf-8") == digest:
        return python
    print(f"making the environment of {name}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(needed)], check=True)
    made.write_text(digest, encoding="utf-8")
    return python


def pinned(name: str) -> dict[str, str]:
    """Every package of a peer's environment, its name in small letters, and its version."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.partition("==") for line in lines if not line.startswith("#"))
    return {package.lower(): number for package, _, number in pins if number}
