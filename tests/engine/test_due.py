"""What starts together: publishes always, downloads where there are very many."""

from __future__ import annotations

import itertools
from dataclasses import replace

from batchrunner.engine.actions import Action, Download, Poll, Publish
from batchrunner.engine.due import DOWNLOAD_TOGETHER, DOWNLOADS_AN_ORDER, PUBLISH_TOGETHER, joined
from tests.fakes import a_job
from tests.store.test_store import an_attempt


def downloads(count: int) -> list[Action]:
    """Return one order for each of some attempts."""
    return [
        Download((replace(an_attempt(a_job(number)), id=number),), ((f"https://store.test/{number}",),))
        for number in range(count)
    ]


def test_a_few_downloads_have_an_order_each_so_that_every_downloader_has_one() -> None:
    """Also beside other actions, whose order stays."""
    few = downloads(DOWNLOADS_AN_ORDER - 1)
    polls = [Poll(1, "r1"), Poll(2, "r2")]

    assert joined([polls[0], *few, polls[1]]) == [*polls, *few]


def test_of_very_many_some_are_one_order() -> None:
    """None is left out or there twice, each keeps its own addresses, and an order stays small."""
    for count in (DOWNLOADS_AN_ORDER, 3 * DOWNLOADS_AN_ORDER + 5, 1000):
        orders = [one for one in joined(downloads(count)) if isinstance(one, Download)]
        told = [
            (attempt.id, urls)
            for order in orders
            for attempt, urls in zip(order.attempts, order.urls, strict=True)
        ]

        assert told == [(number, (f"https://store.test/{number}",)) for number in range(count)]
        assert all(1 <= len(order.attempts) <= DOWNLOAD_TOGETHER for order in orders)
        assert len(orders) < count


def test_what_is_published_together_is_made_durable_once() -> None:
    """Up to so many."""
    attempts = [replace(an_attempt(a_job(number)), id=number) for number in range(PUBLISH_TOGETHER + 3)]
    orders = [one for one in joined([Publish((one,)) for one in attempts]) if isinstance(one, Publish)]

    assert [len(order.attempts) for order in orders] == [PUBLISH_TOGETHER, 3]
    assert list(itertools.chain.from_iterable(order.attempts for order in orders)) == attempts
