"""The table of the libraries' exceptions: every class is in it, and none is taken for too little."""

from __future__ import annotations

import inspect

import pytest
import requests.exceptions
import urllib3.exceptions

from batchrunner.providers.failures import NEVER_LEFT, UNCLEAR, never_left, words


def exceptions_of(module: object) -> list[str]:
    """Return the names of a library's exceptions, warnings left out."""
    return [
        kind.__name__
        for _name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception)
        and not issubclass(kind, Warning)
        and kind.__module__ in {requests.exceptions.__name__, urllib3.exceptions.__name__}
    ]


@pytest.mark.parametrize(
    "name", sorted({*exceptions_of(requests.exceptions), *exceptions_of(urllib3.exceptions)})
)
def test_every_exception_of_the_libraries_is_in_one_table(name: str) -> None:
    """A class that a later version adds must be judged by a person before it is let in."""
    assert (name in NEVER_LEFT) != (name in UNCLEAR)


def test_the_cause_inside_is_what_counts() -> None:
    """requests wraps what urllib3 found; only a connection that failed proves anything."""
    refused = urllib3.exceptions.NewConnectionError(None, "refused")  # type: ignore[arg-type]
    read = urllib3.exceptions.ReadTimeoutError(None, "/", "slow")  # type: ignore[arg-type]

    def wrapped(reason: Exception) -> Exception:
        retries = urllib3.exceptions.MaxRetryError(None, "/secret", reason)  # type: ignore[arg-type]
        return requests.exceptions.ConnectionError(retries)

    assert never_left(wrapped(refused))
    assert not never_left(wrapped(read))


@pytest.mark.parametrize(
    "error", [RuntimeError("new"), OSError(5, "EIO"), KeyError(), ConnectionResetError()]
)
def test_what_nobody_knows_is_unclear(error: Exception) -> None:
    """An unknown exception never counts as proof."""
    assert not never_left(error)


def test_the_words_hold_no_address() -> None:
    """Exceptions of the libraries carry whole URLs; the sentence does not."""
    inner = urllib3.exceptions.MaxRetryError(None, "/x?signature=canary", None)  # type: ignore[arg-type]

    assert "canary" not in words(requests.exceptions.ConnectionError(inner))
