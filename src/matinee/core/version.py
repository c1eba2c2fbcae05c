"""Versions of what is installed; a borrowed machine may run this library from its folder."""

from __future__ import annotations

from importlib import metadata


def version(name: str) -> str:
    """The version of a package, or "not installed"."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
