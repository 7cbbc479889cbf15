"""The roof: the only place that prints, reads the environment and exits."""

from batchrunner.cli.main import main

__all__ = ["main"]
