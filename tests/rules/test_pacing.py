"""Limits that nobody is told: found from refusals, kept to, and asked for again but rarely."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from batchrunner.rules.pacing import WIRE_FIRST, Pace, Past, Sent, retell
from batchrunner.values import Limits

UNLIMITED = Limits(submits_per_minute=None)
WARM_S = 1200.0
NIGHT_S = 3 * 3600.0


@dataclass
class Queue:
    """A provider with a hidden limit, and somebody who submits as fast as the pace allows."""

    allows: Callable[[Queue, float], bool]
    median_s: float = 75.0
    retry_after_s: float | None = None
    seed: int = 1
    pace: Pace = field(default_factory=lambda: Pace(UNLIMITED))
    running: int = 0
    taken_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    busy_s: float = 0.0  # time of requests since the warm-up, within the night
    past: dict[float, Past] = field(default_factory=dict)  # as the state table has it, by when it was sent

    def play(self, until_s: float = NIGHT_S, room: int = 256) -> None:
        """Submit from the start to the end; what is over is seen up to 3 s later."""
        rng = random.Random(self.seed)
        events: list[tuple[float, int, str, Any]] = []
        now_s, in_flight, wire, number = 0.0, 0, 0, 0

        def later(after_s: float, what: str, about: Any = None) -> None:
            nonlocal number
            number += 1
            heapq.heappush(events, (now_s + after_s, number, what, about))

        while now_s < until_s:
            while wire < self.pace.wire and in_flight < room:
                if self.pace.ready_at_s(now_s, in_flight) > now_s:
                    break
                later(rng.uniform(0.1, 0.5), "arrives", (self.pace.sent(now_s, in_flight), now_s))
                self.pace.submitted(now_s)
                now_s += 1e-6  # no two are sent at the same moment: `past` tells them apart
                in_flight, wire = in_flight + 1, wire + 1
            ready_s = self.pace.ready_at_s(now_s, in_flight)
            free = wire < self.pace.wire and in_flight < room
            if free and now_s < ready_s and (not events or ready_s < events[0][0]):
                now_s = min(ready_s, until_s)
                continue
            now_s, _number, what, about = heapq.heappop(events)
            match what:
                case "arrives":
                    taken = self.allows(self, now_s)
                    (self.taken_s if taken else self.refused_s).append(now_s)
                    self.running += taken
                    if taken:
                        took_s = rng.lognormvariate(math.log(self.median_s), 0.4)
                        later(took_s, "over")
                        later(took_s + rng.uniform(0.0, 3.0), "seen", (about[1], now_s + 0.1))
                        self.past[about[1]] = Past(about[1], now_s + 0.1, None)
                        self.busy_s += max(0.0, min(until_s, now_s + took_s) - max(WARM_S, now_s))
                    later(0.1, "answer", (taken, *about))
                case "over":
                    self.running -= 1
                case "seen":
                    in_flight -= 1
                    self.past[about[0]] = Past(about[0], about[1], now_s)
                case "answer":
                    wire -= 1
                    in_flight -= not about[0]
                    taken, sent, sent_s = about
                    self._answer(taken, sent, sent_s, now_s)

    def _answer(self, taken: bool, sent: Sent, sent_s: float, now_s: float) -> None:
        if taken:
            self.pace.accepted(sent, now_s)
        else:
            self.pace.refused(sent, sent_s, now_s, self.retry_after_s)
            self.past[sent_s] = Past(sent_s, None, now_s, too_much=True, taken=False)

    def rate(self, from_s: float = WARM_S, to_s: float = NIGHT_S) -> float:
        """Return how many a minute were taken."""
        return sum(from_s <= at_s < to_s for at_s in self.taken_s) / (to_s - from_s) * 60

    def refused(self, from_s: float = WARM_S) -> float:
        """Return the share of submissions that were refused."""
        refused = sum(at_s >= from_s for at_s in self.refused_s)
        return refused / (refused + sum(at_s >= from_s for at_s in self.taken_s))


def at_once(limit: int) -> Callable[[Queue, float], bool]:
    """Refuse while so many run."""
    return lambda queue, _now_s: queue.running < limit


def a_minute(limit: int) -> Callable[[Queue, float], bool]:
    """Refuse after so many within the last minute."""
    return lambda queue, now_s: sum(at_s > now_s - 60 for at_s in queue.taken_s[-limit:]) < limit


@pytest.mark.parametrize(
    ("limit", "retry_after_s"), [(4, None), (16, None), (16, 15.0), (64, None), (64, 15.0)]
)
def test_a_hidden_limit_of_jobs_at_once_is_found_and_kept(limit: int, retry_after_s: float | None) -> None:
    """At least 95 % of it is used, less what is seen late; fewer than 2 % are refused."""
    queue = Queue(at_once(limit), retry_after_s=retry_after_s)
    queue.play()
    mean_s = 75.0 * math.exp(0.08)
    seen_s = mean_s + 2.0  # a slot is seen to be free after 1.5 s, and taken after half a one

    assert queue.busy_s / (NIGHT_S - WARM_S) >= 0.95 * limit * mean_s / seen_s
    assert queue.refused() < 0.02
    assert "at once" in queue.pace.limits_found()


@pytest.mark.parametrize("limit", [10, 30, 120])
@pytest.mark.parametrize("retry_after_s", [None, 15.0])
def test_a_hidden_limit_a_minute_is_found_and_kept(limit: int, retry_after_s: float | None) -> None:
    """At least 95 % of it is used; fewer than 2 % are refused."""
    queue = Queue(a_minute(limit), retry_after_s=retry_after_s)
    queue.play()

    assert queue.rate() >= 0.95 * limit
    assert queue.refused() < 0.02
    assert "a minute" in queue.pace.limits_found()


def test_a_limit_that_falls_is_followed_at_once_and_one_that_rises_gently() -> None:
    """After two hours it is a third; two hours later as before."""
    limit = {False: 16, True: 5}

    def allows(queue: Queue, now_s: float) -> bool:
        return queue.running < limit[7200 <= now_s < 14_400]

    queue = Queue(allows, median_s=40.0)
    queue.play(8 * 3600.0)

    assert queue.rate(9000, 14_400) >= 0.85 * 5 * 60 / (40 * math.exp(0.08) + 2)
    assert queue.rate(21_600, 8 * 3600.0) >= 0.9 * 16 * 60 / (40 * math.exp(0.08) + 2)
    assert queue.refused(0.0) < 0.03


def test_without_a_refusal_nothing_is_held_back() -> None:
    """But for the first few, which go out before anything is known."""
    pace = Pace(UNLIMITED)
    for number in range(200):
        assert pace.ready_at_s(float(number), number) == number
        sent = pace.sent(float(number), number)
        pace.submitted(float(number))
        pace.accepted(sent, number + 0.1)

    assert pace.wire > WIRE_FIRST
    assert pace.limits_found() == ""


def test_what_the_provider_asks_for_is_waited_out() -> None:
    """However little was refused."""
    pace = Pace(UNLIMITED)
    sent = pace.sent(0.0, 3)
    pace.submitted(0.0)
    pace.refused(sent, 0.0, 1.0, 45.0)

    assert pace.ready_at_s(2.0, 0) >= 46.0


def test_a_request_refused_later_does_not_count_for_those_that_were_sent_before_its_word() -> None:
    """It took no room at the provider: else every late word would make the limit look higher than it is."""
    pace, sent = Pace(UNLIMITED), []

    def send(at_s: float, in_flight: int) -> None:
        sent.append((pace.sent(at_s, in_flight), at_s))
        pace.submitted(at_s)

    for number in range(20):
        send(3.0 * number, number)
    pace.refused(*sent[19], now_s=57.5, late=True)  # the twentieth, after nineteen
    send(58.0, 19)  # is one too many in turn
    send(60.6, 20)  # fits: the first is older than a minute, and the one before was not taken
    pace.refused(*sent[20], now_s=62.0, late=True)
    for one, _at_s in (*sent[:19], sent[21]):
        pace.accepted(one, 140.0)

    assert pace.found()["submits_per_minute"] == 19


def test_refusals_in_a_row_make_waits_grow_and_those_of_one_moment_are_one() -> None:
    """Eight POSTs that were on the wire together say no more than one of them."""
    pace, waits = Pace(UNLIMITED), []
    now_s = 0.0
    for _ in range(6):
        sent = pace.sent(now_s, 0)
        for _ in range(8):
            pace.submitted(now_s)
        for _ in range(8):
            pace.refused(sent, now_s, now_s + 1.0)
        ready_s = pace.ready_at_s(now_s + 1.0, 0)
        waits.append(ready_s - now_s - 1.0)
        now_s = ready_s

    assert waits == sorted(waits)
    assert waits[0] < 5
    assert 30 < waits[-1] <= 300


def test_a_restart_knows_what_was_found() -> None:
    """The times and outcomes of the last hour tell it again."""
    queue = Queue(at_once(16))
    queue.play(3600.0)
    again = Pace(UNLIMITED)
    retell(again, queue.past.values())

    assert queue.pace.limits_found() == "16 at once"
    assert again.limits_found() in {"15 at once", "16 at once", "17 at once"}
