"""Finding lost submissions in a list, and when absence is believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from batchrunner.rules.matching import CLOCKS_APART_S, LATE_S, Echo, Looked, Lost, Search, compare, look
from batchrunner.values import Listing, RemoteJob, RemotePhase

SENT = {"prompt": "café", "duration": "5", "seed": 7, "generate_audio_switch": False}


def lost(number: int = 1, sent_s: float = 1000.0, payload: dict[str, Any] | None = None) -> Lost:
    """Return a lost attempt."""
    body = payload or SENT
    return Lost(number, body, sent_s, sent_s + 180)


def remote(
    request_id: str, created_s: float | None = 1001.0, payload: dict[str, Any] | None = None
) -> RemoteJob:
    """Return a listed request that echoes what was sent."""
    body = SENT if payload is None else payload
    return RemoteJob(request_id, "queued", RemotePhase.RUNNING, created_s=created_s, payload=body)


def found(lost_ones: list[Lost], jobs: list[RemoteJob], owned: tuple[str, ...] = ()) -> list[str | None]:
    """Return which request each lost attempt gets."""
    looked = look(lost_ones, Listing(tuple(jobs), complete=True), owned)
    return [one.match.request_id if one.match else None for one in looked]


@pytest.mark.parametrize(
    ("echo", "verdict"),
    [
        (dict(reversed(list(SENT.items()))), Echo.SAME),
        ({**SENT, "seed": 7.0}, Echo.SAME),
        ({**SENT, "prompt": "cafe\u0301"}, Echo.SAME),
        ({}, Echo.VAGUE),
        (None, Echo.VAGUE),
        ({"seed": 7}, Echo.VAGUE),
        ({**SENT, "negative_prompt": ""}, Echo.VAGUE),
        ({**SENT, "seed": 8}, Echo.OTHER),
        ({**SENT, "duration": 5}, Echo.OTHER),
        ({**SENT, "generate_audio_switch": 0}, Echo.SAME),
        ({"seed": 8}, Echo.OTHER),
    ],
)
def test_an_echo_is_compared_by_meaning(echo: dict[str, Any] | None, verdict: Echo) -> None:
    """Order, number type and Unicode form mean nothing; a part proves nothing."""
    assert compare(SENT, echo) is verdict


def test_the_window_is_in_the_time_of_the_provider() -> None:
    """Two hours apart, and it says so: found. Where our clock has been mended since, it is vague."""
    made = remote("r1", created_s=1001.0 + 7200)
    (told,) = look([lost()], Listing((made,), complete=True, ahead_s=7200.0), ())
    (untold,) = look([lost()], Listing((made,), complete=True), ())
    (mended,) = look([lost()], Listing((remote("r1"),), complete=True, ahead_s=7200.0), ())

    assert told.match == made
    assert (untold.match, untold.vague) == (mended.match, mended.vague) == (None, ("r1",))


def test_a_clock_that_was_set_back_while_the_post_was_out_hides_nothing() -> None:
    """The answer was given up hours before it was asked for, by our clock."""
    one = replace(lost(), lost_s=1000.0 - 7200.0)

    assert found([one], [remote("r1")]) == ["r1"]


def test_a_list_that_hides_what_it_must_show_speaks_for_nothing() -> None:
    """Requests of ours from before and after the lost one are known; they must be there."""
    one = replace(lost(), controls=("before", "after"))
    shown = tuple(remote(name, payload={"seed": 9}) for name in one.controls)
    (whole,) = look([one], Listing(shown, complete=True), one.controls)
    (late,) = look([one], Listing(shown[:1], complete=True), one.controls)

    assert whole.clean
    assert not late.clean
    assert late.hidden == ("after",)


def test_an_equal_request_in_the_window_is_the_lost_one() -> None:
    """One candidate, one match."""
    assert found([lost()], [remote("r1")]) == ["r1"]


def test_an_equal_request_of_another_time_speaks_against_absence() -> None:
    """It is not adopted; but with a clock that was wrong by hours it would be the lost one."""
    (looked,) = look([lost()], Listing((remote("r1", created_s=9_000.0),), complete=True), ())

    assert looked.match is None
    assert looked.vague == ("r1",)
    assert not looked.clean


@pytest.mark.parametrize(
    ("created_s", "match"),
    [
        (1000 - CLOCKS_APART_S - 1, None),
        (1000 - CLOCKS_APART_S, "r1"),
        (1180 + LATE_S + CLOCKS_APART_S, "r1"),
        (1180 + LATE_S + CLOCKS_APART_S + 1, None),
        (None, "r1"),
    ],
)
def test_the_window_is_as_wide_as_clocks_and_gateways_may_be_off(
    created_s: float | None, match: str | None
) -> None:
    """A request from yesterday with the same payload is not the lost one."""
    assert found([lost()], [remote("r1", created_s)]) == [match]


def test_what_an_attempt_owns_is_not_given_away() -> None:
    """A claimed id is no candidate."""
    assert found([lost()], [remote("r1")], owned=("r1",)) == [None]


def test_equal_payloads_are_dealt_out_oldest_first_and_once() -> None:
    """Two lost, one listed: one is found, the other is not."""
    assert found([lost(2, 1010.0), lost(1, 1000.0)], [remote("r1")]) == ["r1", None]
    assert found([lost(1, 1000.0), lost(2, 1010.0)], [remote("r2", 1012), remote("r1", 1002)]) == ["r1", "r2"]


def test_candidates_without_an_echo_are_vague() -> None:
    """They neither match nor prove absence."""
    (one,) = look([lost()], Listing((remote("r1", payload={}),), complete=True), owned=())

    assert (one.match, one.vague, one.clean) == (None, ("r1",), False)


def test_absence_takes_two_clean_looks_and_the_grace() -> None:
    """One clean look, however late, is not enough; nor are two within minutes."""
    clean = Looked(1, None)
    search = Search(0.0).after(clean, 10.0)
    assert not search.absent(10.0, 600)
    assert not Search(0.0).after(clean, 700.0).absent(700.0, 600)
    assert not search.after(clean, 500.0).absent(500.0, 600)

    assert search.after(clean, 610.0).absent(610.0, 600)


@pytest.mark.parametrize("doubt", [Looked(1, None, ("r9",)), Looked(1, None, (), complete=False)])
def test_one_doubtful_look_starts_the_proof_again(doubt: Looked) -> None:
    """A vague candidate or an incomplete list in between: the clean looks before it count no more."""
    search = Search(0.0).after(Looked(1, None), 10.0).after(doubt, 400.0).after(Looked(1, None), 610.0)

    assert not search.absent(610.0, 600)


def test_looks_become_rare_but_hit_the_end_of_grace() -> None:
    """The next look is never later than the moment at which it decides something."""
    search, now_s, looks = Search(0.0), 0.0, []
    while now_s < 600:
        now_s = search.next_s(now_s, 600, 3600)
        search = search.after(Looked(1, None), now_s)
        looks.append(now_s)

    assert looks[0] == 3.0
    assert looks[-1] == 600.0
    assert len(looks) < 12
