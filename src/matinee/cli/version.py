"""`matinee version`: what is installed, for a bug report."""

from __future__ import annotations

from matinee.cli.output import JsonPath, Output, Quiet, Seed


def command(
    *,
    json_path: JsonPath = None,
    seed: Seed = 0,  # noqa: ARG001 (every command has it; nothing here is random)
    quiet: Quiet = False,
) -> None:
    """Say which versions of matinee and of what it builds on are installed, and where networks would train.

    Example: matinee version --json -
    """
    import platform

    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("matinee", "numpy", "scipy", "pyarrow", "safetensors", "torch", "psycopg", "ray", "boto3"):
        found[name] = _version_of(name)
    found["device"] = _device() if found["torch"] else None
    output = Output(json_path, quiet)
    for name, number in found.items():
        output.say(f"{name:12} {number or 'not installed'}")
    output.result(found)


def _version_of(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _device() -> str:
    """Where a network would train; torch that cannot be loaded is a thing for a bug report, too."""
    try:
        from matinee.train.device import place_words

        return place_words()
    except (ImportError, OSError, RuntimeError) as error:
        return f"torch cannot be loaded: {error}"
