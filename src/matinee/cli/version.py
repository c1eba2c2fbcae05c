"""`matinee version`: what is installed, for a bug report."""

from __future__ import annotations

from matinee.cli.output import JsonPath, Output, Quiet, Seed


def command(
    *,
    json_path: JsonPath = None,
    seed: Seed = 0,  # noqa: ARG001 (every command has it; nothing here is random)
    quiet: Quiet = False,
) -> None:
    """Say which versions of matinee and of what it builds on are installed.

    Example: matinee version --json -
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("matinee", "numpy", "scipy", "pyarrow", "safetensors", "torch", "psycopg", "ray", "boto3"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    output = Output(json_path, quiet)
    for name, number in found.items():
        output.say(f"{name:12} {number or 'not installed'}")
    output.result(found)
