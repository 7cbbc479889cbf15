"""How fast submissions may follow one another, and how many may be in flight: by limits told, and found.

**Told.** Two sliding windows, a minute and an hour, over the times of the submissions themselves.

**Found.** A provider may refuse what is too much for a limit that nobody knows: requests a minute, an hour,
or at once. Each is a `Cap` with a measure: how many were sent within the window, or are in flight. A refusal
says that some measure was too high; an acceptance, that none was. So every cap believes in a limit that
fits what it has seen, counts how often it was wrong, and those that were wrong least are obeyed. While
several are equally right, one that allows a submission is enough: its outcome shows which is wrong.

What is obeyed is then kept, since asking again is dear: an increase by one is tried after `PATIENCE`
acceptances, four times as many after each try that was refused; steps double while they are taken.
Refusals one after the other lower the limits by `CUT` each and make waits grow. So: additive increase,
multiplicative decrease, and next to no refusals in between.

All of it follows from the attempts' times and outcomes alone. At start those of the last hour are told
again, so a restart forgets nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from batchrunner.values import Limits

MINUTE_S = 60.0
HOUR_S = 3600.0
WINDOW_SPARE_S = 0.5  # of a window found: a request takes this long to arrive, more or less

WIRE_FIRST, WIRE_MAX = 4, 32  # POSTs without an answer: few at first, since each may be one too many
PATIENCE, PATIENCE_MAX = 8, 200  # acceptances before more than the known limit is tried
REST = 100.0  # and so many times the last wait: trying costs a hundredth of the time at most
CUT = 0.7
WAIT_S, WAIT_MAX_S = 1.0, 300.0  # after a refusal that asks for no other, and after many
FORGET = 0.9995  # what a cap was wrong by, with each acceptance
REFUSED_KEPT = 64  # the last so many are remembered: what was sent with them is over soon
SPREAD = (0.3, 1.3, 2.85)  # gaps since the last submission, the one before, and the one before that
HOUR_DOUBT, HOUR_SLACK = 3.0, 0.003
SLACK = 0.03  # by which a measure may be off: what is finished is seen late, what is sent arrives late


@dataclass(frozen=True, slots=True)
class Sent:
    """What was measured when a submission was sent: so many others came before it. `number` is its own."""

    minute: int
    hour: int
    slots: int
    number: int = 0


@dataclass(slots=True)
class Cap:
    """One guess at what the provider limits. A submission is foreseen to pass while `measure < limit`.

    Measures may be a little off. So it counts as wrong only where what was accepted and what was refused
    overlap by more than that; then only the newer of the two is remembered.
    """

    limit: int | None = None
    wrong: float = 0.0
    passed: int = -1  # the highest measure that was accepted
    hit: int | None = None  # the lowest that was refused
    doubt: float = 0.0  # counts as wrong from the outset: the less likely guess
    slack: float = SLACK

    def accepted(self, measure: int, *, tried: bool) -> None:
        """Learn from a submission that was taken; `tried`: it was to show whether the limit has risen."""
        self.passed = max(self.passed, measure)
        if self.limit is not None:
            self.limit = max(self.limit, measure + 1)
        if self.hit is not None and measure >= self.hit + self._slack:
            self.wrong += not tried
            self.hit = None

    def refused(self, measure: int, cut: float) -> None:
        """Learn from a submission that was one too many, if this is the cap that it hit."""
        if measure < self.passed - self._slack:
            self.wrong += 1
            # It may have been chance: one word against what has passed before lowers by so much at most.
            measure = max(measure, int(CUT * (self.passed + 1)))
            self.passed, self.hit = measure - 1, measure
        self.hit = measure if self.hit is None else min(self.hit, measure)
        limit = measure if self.limit is None else min(self.limit, measure)
        self.limit = max(1, int(limit * cut))

    @property
    def _slack(self) -> float:
        return 1 + self.slack * self.passed


@dataclass(frozen=True, slots=True)
class Past:
    """One submission of an earlier run, in steady seconds; None: not yet, or not known."""

    sent_s: float
    answered_s: float | None
    over_s: float | None
    too_much: bool = False  # refused for the pace, or failed for it later
    taken: bool = True  # the provider accepted it


class Pace:
    """Counts submissions against the limits; times are steady seconds, oldest first."""

    def __init__(self, limits: Limits, past_s: Iterable[float] = ()) -> None:
        past = sorted(past_s)
        self._windows = [
            (length, limit, deque(past[-limit:], maxlen=limit))
            for length, limit in ((MINUTE_S, limits.submits_per_minute), (HOUR_S, limits.submits_per_hour))
            if limit is not None
        ]
        self._times: list[float] = []  # of what was taken or is on the wire, over the last hour
        self._number = 0  # of the next submission
        # Refused, and how many had been sent when that was known: those in between were measured too high.
        self._refused: deque[tuple[int, int]] = deque(maxlen=REFUSED_KEPT)
        self._not_before_s = float("-inf")
        self._minute, self._slots = Cap(), Cap()
        # Within the first hour its count only grows, so it always looks guilty.
        self._hour = Cap(doubt=HOUR_DOUBT, slack=HOUR_SLACK)
        self._in_a_row = 0  # refusals since the last acceptance
        self._cut_s = float("-inf")  # whatever was sent before knew nothing of the last refusal
        self._patience, self._step = PATIENCE, 1
        self._calm = 0  # acceptances since the limit was last touched
        self._try_s = float("-inf")
        self._proving = False  # a step up was taken, and is not yet known to hold
        self._extra = 0  # by which the limit is exceeded at present, to try
        self._wire = float(WIRE_FIRST)
        self.told_late = False  # requests are taken and fail for the pace later: only their end counts

    # --- questions ------------------------------------------------------------------------------------

    def ready_at_s(self, now_s: float, in_flight: int = 0) -> float:
        """Return the earliest time the next submission may start; not later than `now_s` means now.

        Infinite while it is for one of those in flight to be over first.
        """
        # A window of `limit` submissions is full until its oldest one has left it.
        freed = [seen[0] + length for length, limit, seen in self._windows if len(seen) == limit]
        return max([self._not_before_s, self._found_s(now_s, in_flight), *freed, now_s])

    @property
    def wire(self) -> int:
        """How many POSTs may be without an answer at once."""
        return int(self._wire)

    def found(self) -> dict[str, int]:
        """Return the limits that the provider seems to have, by their names in a manifest."""
        caps = {"submits_per_minute": self._minute, "submits_per_hour": self._hour, "in_flight": self._slots}
        return {
            name: cap.limit for name, cap in caps.items() if cap in self._obeyed() and cap.limit is not None
        }

    def limits_found(self) -> str:
        """Say in words what the provider seems to limit; nothing while it never refused anything."""
        words = {"submits_per_minute": "a minute", "submits_per_hour": "an hour", "in_flight": "at once"}
        return " or ".join(f"{limit} {words[name]}" for name, limit in self.found().items())

    # --- what happens ---------------------------------------------------------------------------------

    def submitted(self, now_s: float) -> None:
        """Count one submission."""
        for _length, _limit, seen in self._windows:
            seen.append(now_s)
        self._number += 1
        self._times.append(now_s)
        old = bisect_left(self._times, now_s - HOUR_S - WINDOW_SPARE_S)
        if old > len(self._times) // 2:
            del self._times[:old]

    def sent(self, now_s: float, in_flight: int) -> Sent:
        """Measure for a submission at a time, not counting itself; `in_flight`: others, then."""
        return Sent(self._count(now_s, MINUTE_S), self._count(now_s, HOUR_S), in_flight, self._number)

    def accepted(self, sent: Sent, now_s: float) -> None:
        """The provider took a submission."""
        self._in_a_row = 0
        self._wire = min(WIRE_MAX, self._wire + 0.5)
        obeyed, measures = self._obeyed(), self._measures(sent)
        beyond = any(cap in obeyed and measure >= (cap.limit or 0) for cap, measure in measures)
        tried = beyond and self._extra > 0
        for cap, measure in measures:
            cap.accepted(measure, tried=tried and cap in obeyed)
            cap.wrong *= FORGET
        self._calm += 1
        if tried:
            least = min(cap.limit or 1 for cap in obeyed)
            self._step = min(2 * self._step, max(1, least // 4))  # all of it may leave at once
            self._patience = max(PATIENCE, self._patience // 2)
            self._extra, self._calm, self._proving = 0, 0, True
        elif obeyed and not self._extra and self._calm >= self._patience and now_s >= self._try_s:
            self._extra, self._proving = self._step, False

    def refused(
        self, sent: Sent, sent_s: float, now_s: float, wait_s: float | None = None, *, late: bool = False
    ) -> None:
        """The provider said that a submission was too much. `wait_s`: what it asks for itself.

        `late`: the request was taken first, and failed for this later.
        """
        if sent_s in self._times:
            self._times.remove(sent_s)
        self._refused.append((sent.number, self._number))
        if late and not self.told_late:  # so what was taken until now says nothing
            self.told_late = True
            for cap in (self._minute, self._hour, self._slots):
                cap.passed = -1
        if wait_s:
            self.hold_off(now_s + wait_s)
        if sent_s <= self._cut_s:  # sent before anything was known of the last refusal: the same event
            return
        self._cut_s = now_s
        self._in_a_row += 1
        cut = CUT if self._in_a_row > 2 else 1.0
        tried = self._extra > 0 or self._proving
        obeyed = self._obeyed()
        for cap, measure in self._measures(sent):
            cap.refused(measure, cut if cap in obeyed else 1.0)
        waits_s = wait_s or min(WAIT_MAX_S, WAIT_S * 2.0 ** (self._in_a_row - 1))
        self.hold_off(now_s + waits_s)
        self._patience = min(PATIENCE_MAX, self._patience * 4) if tried else self._patience
        self._try_s = now_s + REST * waits_s if tried else now_s
        self._extra, self._step, self._calm, self._proving = 0, 1, 0, False
        self._wire = max(1.0, self._wire / 2)

    def hold_off(self, until_s: float) -> None:
        """Start nothing before `until_s`: the provider said that it is too fast or full."""
        self._not_before_s = max(self._not_before_s, until_s)

    # --- the parts ------------------------------------------------------------------------------------

    def _measures(self, sent: Sent) -> list[tuple[Cap, int]]:
        less = sum(first < sent.number < known for first, known in self._refused)
        measures = ((self._minute, sent.minute), (self._hour, sent.hour), (self._slots, sent.slots))
        return [(cap, max(0, measure - less)) for cap, measure in measures]

    def _obeyed(self) -> list[Cap]:
        """Return the caps that explain best what was refused; none while nothing was."""
        caps = [cap for cap in (self._minute, self._hour, self._slots) if cap.limit is not None]
        least = min((cap.wrong + cap.doubt for cap in caps), default=0.0)
        return [cap for cap in caps if cap.wrong + cap.doubt < least + 0.5]

    def _found_s(self, now_s: float, in_flight: int) -> float:
        """Return when the first of the caps that are obeyed allows a submission."""
        return min((self._allows_s(cap, now_s, in_flight) for cap in self._obeyed()), default=now_s)

    def _allows_s(self, cap: Cap, now_s: float, in_flight: int) -> float:
        limit = (cap.limit or 0) + self._extra
        if cap is self._slots:
            return now_s if in_flight < limit else float("inf")
        length_s = MINUTE_S if cap is self._minute else HOUR_S
        if self._count(now_s, length_s) >= limit:
            return self._times[-limit] + length_s + WINDOW_SPARE_S
        if cap is self._hour:
            return now_s
        # Evenly spread, but for a little lost time that is made up for: a provider may allow no bursts.
        gap_s, last = length_s / limit, self._times[-3:]
        spread = [at_s + gap_s * share for at_s, share in zip(reversed(last), SPREAD, strict=False)]
        return max([now_s, *spread])

    def _count(self, at_s: float, length_s: float) -> int:
        """Count what was sent in the window up to a time."""
        since_s = at_s - length_s - WINDOW_SPARE_S
        return bisect_right(self._times, at_s) - bisect_right(self._times, since_s)


def retell(pace: Pace, past: Iterable[Past]) -> None:
    """Let a pace learn from the submissions of earlier runs, in the order in which things happened."""
    events: list[tuple[float, int, int, Past]] = []
    for number, one in enumerate(past):
        events.append((one.sent_s, 0, number, one))
        answered_s = max(one.sent_s, one.answered_s or one.sent_s)  # whatever became of the wall clock
        if one.answered_s is not None:
            events.append((answered_s, 1, number, one))
        if one.over_s is not None:
            events.append((max(answered_s, one.over_s), 2, number, one))
    events.sort(key=lambda event: event[:3])
    in_flight, sent = 0, dict[int, Sent]()
    for at_s, what, number, one in events:
        if what == 0:
            sent[number] = pace.sent(at_s, in_flight)
            pace.submitted(at_s)
            in_flight += 1
        elif what == 2:
            in_flight -= 1
            if one.too_much:
                pace.refused(sent[number], one.sent_s, at_s, late=one.taken)
            elif one.taken and pace.told_late:
                pace.accepted(sent[number], at_s)
        elif one.taken and not one.too_much and not pace.told_late:
            pace.accepted(sent[number], at_s)
