"""The command line: arguments in, recipes called, words out."""

from matinee.cli.app import main

__all__ = ["main"]
