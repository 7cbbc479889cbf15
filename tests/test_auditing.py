"""Where the money is: the state table held against the provider's list."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchrunner.auditing import Asked, Audit, settle
from batchrunner.rules.audit import Books, Compared, Finding, Lists, Standing, compare_books
from batchrunner.rules.echoes import Forms, Sought, forms
from batchrunner.values import (
    Attempt,
    AttemptState,
    Listing,
    MediaFile,
    Payload,
    Reason,
    RemoteJob,
    RemotePhase,
)
from tests.fakes import START_US, a_job

START_S = START_US / 1e6
LATER_S = START_S + 86_400
COST = 150_000
URL = "https://store.test/r1.mp4"
FILE = MediaFile("a/p-t1.mp4", "f" * 64, 1000, 5.0, 64, 64)
PHASES = {
    "success": RemotePhase.SUCCESS,
    "failed": RemotePhase.FAILED,
    "cancelled": RemotePhase.CANCELLED,
    "queued": RemotePhase.RUNNING,
}
PAID = {AttemptState.DONE, AttemptState.READY, AttemptState.FETCHED, AttemptState.WAIVED}
FREE = {AttemptState.REFUSED, AttemptState.FAILED}


def attempt(state: AttemptState, request_id: str | None = "r1", number: int = 1, **changes: Any) -> Attempt:
    """Return an attempt at job 1, with the money that its state goes with."""
    job = a_job(1)
    one = Attempt(
        id=number,
        job=job.id,
        number=number,
        name=job.name,
        failures=0,
        state=state,
        model="m",
        account="org",
        origin="https://x.test",
        payload=job.payload,
        fingerprint=job.fingerprint,
        reserved_micros=COST,
        submitted_us=START_US,
        request_id=request_id,
        accepted_us=START_US if request_id else None,
        cost_micros=COST if state in PAID else 0 if state in FREE else None,
        files=(FILE,) if state is AttemptState.DONE else (),
    )
    return replace(one, **changes)


def remote(status: str, request_id: str = "r1", payload: Payload | None = None, at_s: float = 0) -> RemoteJob:
    """Return a listed request for job 1."""
    sent = a_job(1).payload if payload is None else payload
    media = (f"https://store.test/{request_id}.mp4",) if status == "success" else ()
    return RemoteJob(request_id, status, PHASES[status], media, created_s=START_S + at_s, payload=sent)


def sought(*numbers: int) -> list[Sought]:
    """Return jobs by what they send."""
    jobs = [a_job(number) for number in numbers]
    return [Sought(job.id, "m", (job.payload,), COST) for job in jobs]


def compared(
    attempts: list[Attempt],
    listed: list[RemoteJob],
    *,
    jobs: list[Sought] | None = None,
    complete: bool = True,
    broken: frozenset[int] = frozenset(),
    asked_s: float = LATER_S,
) -> Compared:
    """Hold some attempts against some listed requests."""
    books = Books("org", attempts, sought(1) if jobs is None else jobs, {7}, broken, START_S)
    return compare_books(books, Lists({"m": Listing(tuple(listed), complete)}, asked_s))


def only(*args: Any, **changes: Any) -> Finding:
    """Return the one finding of a comparison."""
    (found,) = compared(*args, **changes).findings
    return found


@pytest.mark.parametrize(
    ("state", "status", "standing", "agrees"),
    [
        (AttemptState.DONE, "success", Standing.ON_DISK, True),
        (AttemptState.DONE, "failed", Standing.UNKNOWN, False),
        (AttemptState.HELD, "success", Standing.HELD, False),
        (AttemptState.HELD, "queued", Standing.UNKNOWN, False),
        (AttemptState.HELD, "failed", Standing.FAILED, False),
        (AttemptState.ACCEPTED, "queued", Standing.IN_FLIGHT, True),
        (AttemptState.ACCEPTED, "success", Standing.IN_FLIGHT, True),
        (AttemptState.ACCEPTED, "failed", Standing.FAILED, True),
        (AttemptState.READY, "success", Standing.IN_FLIGHT, True),
        (AttemptState.FETCHED, "success", Standing.IN_FLIGHT, True),
        (AttemptState.READY, "failed", Standing.UNKNOWN, False),
        (AttemptState.FAILED, "failed", Standing.FAILED, True),
        (AttemptState.FAILED, "success", Standing.UNKNOWN, False),
        (AttemptState.WAIVED, "success", Standing.GIVEN_UP, True),
    ],
)
def test_what_table_and_list_say_together(
    state: AttemptState, status: str, standing: Standing, agrees: bool
) -> None:
    """Each pair has its place, and agrees or not."""
    found = only([attempt(state)], [remote(status)])

    assert (standing, agrees) == (found.standing, not found.why)
    assert found.finished is (status == "success")


@pytest.mark.parametrize(
    ("state", "standing", "agrees"),
    [
        (AttemptState.SUBMITTING, Standing.UNKNOWN, False),
        (AttemptState.UNKNOWN, Standing.UNKNOWN, False),
        (AttemptState.HELD, Standing.UNKNOWN, False),
        (AttemptState.WAIVED, Standing.GIVEN_UP, True),
        (AttemptState.CANCELLED, Standing.GIVEN_UP, True),
        (AttemptState.REFUSED, Standing.FAILED, True),
    ],
)
def test_an_attempt_without_an_id_that_the_list_does_not_show(
    state: AttemptState, standing: Standing, agrees: bool
) -> None:
    """What is not known is never called agreed; a decision is."""
    found = only([attempt(state, None)], [])

    assert (standing, agrees) == (found.standing, not found.why)


def test_a_cancellation_by_the_provider_is_not_billed_and_one_by_a_person_is_counted() -> None:
    """Abandoning keeps the reason for which it was held."""
    theirs = attempt(AttemptState.CANCELLED, reason=Reason.CANCELLED, cost_micros=0)
    ours = attempt(AttemptState.CANCELLED, reason=Reason.STUCK, cost_micros=COST)

    assert only([theirs], [remote("cancelled")]).standing is Standing.FAILED
    assert only([ours], [remote("queued")]).standing is Standing.GIVEN_UP


def test_a_published_file_that_is_gone_is_missing_whatever_the_list_says() -> None:
    """The disk is asked first."""
    found = only([attempt(AttemptState.DONE)], [], complete=False, broken=frozenset({1}))

    assert (found.standing, found.micros) == (Standing.MISSING, COST)


def test_what_a_partial_list_does_not_show_is_not_checked() -> None:
    """Neither agreed nor accused."""
    found = only([attempt(AttemptState.DONE)], [], complete=False)

    assert found.standing is Standing.UNCHECKED
    assert found.why == "request r1 is not in the part of the list that was told"


def test_what_a_whole_list_does_not_show_is_unknown() -> None:
    """The table says paid, the provider shows nothing."""
    assert only([attempt(AttemptState.DONE)], []).standing is Standing.UNKNOWN
    assert only([attempt(AttemptState.FAILED)], []).standing is Standing.FAILED


@pytest.mark.parametrize(
    ("state", "standing"),
    [(AttemptState.ACCEPTED, Standing.IN_FLIGHT), (AttemptState.DONE, Standing.UNCHECKED)],
)
def test_a_request_may_be_too_new_for_the_list(state: AttemptState, standing: Standing) -> None:
    """Lists lag; ten minutes are allowed."""
    assert only([attempt(state)], [], asked_s=START_S + 60).standing is standing


def test_attempts_of_another_account_are_not_checked() -> None:
    """This key's list says nothing of them."""
    found = only([attempt(AttemptState.DONE, account="other")], [])

    assert found.standing is Standing.UNCHECKED
    assert "another account (other)" in found.why


def test_a_request_that_nobody_has_is_an_orphan() -> None:
    """Its payload is a job's, so it was made for that job; its price is the job's."""
    found = only([], [remote("success")])

    assert (found.standing, found.job, found.micros) == (Standing.ORPHANED, a_job(1).id, COST)
    assert "r1" in found.why


def test_an_orphan_of_a_lost_attempt_is_told_once() -> None:
    """One sum of money, one line."""
    found = only([attempt(AttemptState.HELD, None)], [remote("queued")])

    assert found.standing is Standing.ORPHANED
    assert found.attempt is not None
    assert found.attempt.state is AttemptState.HELD


@pytest.mark.parametrize("state", [AttemptState.SUBMITTING, AttemptState.UNKNOWN])
def test_what_a_run_will_find_by_itself_says_so(state: AttemptState) -> None:
    """Its POST may be on the wire at this moment; nothing is paid again either way."""
    found = only([attempt(state, None)], [remote("queued")])

    assert found.standing is Standing.ORPHANED
    assert "a run at work, or the next one, adopts it; nothing is paid again" in found.why


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_failed_and_belongs_to_nobody_is_no_money(status: str) -> None:
    """It is not billed."""
    assert compared([], [remote(status)]).findings == ()


def test_a_request_for_something_else_is_nobodys_business() -> None:
    """Other campaigns share the account."""
    other = remote("success", payload={**a_job(1).payload, "prompt": "stop"})

    assert Compared((), 0) == compared([], [other])


def test_a_second_finished_request_is_paid_twice() -> None:
    """The one on disk stays as it is."""
    first, second = compared(
        [attempt(AttemptState.DONE)], [remote("success"), remote("success", "r2")]
    ).findings

    assert (first.standing, second.standing) == (Standing.ON_DISK, Standing.TWICE)
    assert (second.request_id, second.micros) == ("r2", COST)


def test_a_waived_attempt_that_arrived_after_all_is_paid_twice_and_counted_once() -> None:
    """The gamble was lost; the table has its money as spent already."""
    waived, done = attempt(AttemptState.WAIVED, None), attempt(AttemptState.DONE, "r2", 2)
    found = compared([waived, done], [remote("success", "r9"), remote("success", "r2")]).findings

    assert [Standing.ON_DISK, Standing.TWICE] == [one.standing for one in found]


def test_two_finished_attempts_of_one_job_are_paid_twice() -> None:
    """Also where the table has both ids."""
    gone = attempt(AttemptState.CANCELLED, "r1", reason=Reason.STUCK, cost_micros=COST)
    found = compared(
        [gone, attempt(AttemptState.DONE, "r2", 2)], [remote("success"), remote("success", "r2")]
    )

    assert [Standing.TWICE, Standing.ON_DISK] == [one.standing for one in found.findings]


def test_equal_jobs_share_their_requests() -> None:
    """Two jobs with one payload may have two requests; the third is one too many."""
    twins = [replace(sought(1)[0], id="one"), replace(sought(1)[0], id="two")]
    listed = [remote("success", f"r{number}", at_s=number) for number in (1, 2, 3)]
    found = compared([], listed, jobs=twins).findings

    assert [("one", Standing.ORPHANED), ("two", Standing.ORPHANED), ("one", Standing.TWICE)] == [
        (one.job, one.standing) for one in found
    ]


def test_adopted_requests_are_marked() -> None:
    """By the events of their attempt."""
    assert only([attempt(AttemptState.DONE, number=7)], [remote("success")]).adopted
    assert not only([attempt(AttemptState.DONE)], [remote("success")]).adopted


@pytest.mark.parametrize("payload", [{}, {"seed": 1}, {**a_job(1).payload, "style": "none"}])
def test_an_echo_that_may_be_ours_is_counted_as_unreadable(payload: Payload) -> None:
    """Empty, a part, or more than was sent: it accuses nobody, and lets nobody say that all agrees."""
    assert Compared((), 1) == compared([], [remote("success", payload=payload)])


def test_an_unreadable_request_from_before_the_campaign_is_not_ours() -> None:
    """Otherwise an old account could never agree."""
    assert compared([], [remote("success", payload={}, at_s=-3600)]).unreadable == 0


def test_numbers_and_unicode_forms_do_not_hide_a_request() -> None:
    """5, 5.0 and "5" are one number: types are rewritten on the way; 6 is another."""
    job = Sought("j", "m", ({"prompt": "caf\u00e9", "n": 5},), COST)
    known = Forms([job])

    assert known.jobs("m", {"n": 5.0, "prompt": "cafe\u0301"}) == [job]
    assert known.jobs("m", {"n": "5", "prompt": "caf\u00e9"}) == [job]
    assert not known.jobs("m", {"n": "6", "prompt": "caf\u00e9"})
    assert not known.jobs("other", {"n": 5, "prompt": "caf\u00e9"})


def test_a_job_with_local_pictures_is_known_by_each_of_their_addresses() -> None:
    """A picture may have been uploaded twice; before its upload nothing was sent."""
    payload = {"image_url": "upload:abc.png", "seed": 1}

    assert [{"image_url": "u1", "seed": 1}, {"image_url": "u2", "seed": 1}] == list(
        forms(payload, {"abc": ["u1", "u2"]})
    )
    assert list(forms(payload, {})) == []
    assert list(forms({"seed": 1}, {})) == [{"seed": 1}]


def account(*findings: Finding, complete: bool = True, unreadable: int = 0) -> Audit:
    """Return an account of some findings."""
    return Audit(
        campaign="test",
        manifest=Path("my night.yaml"),
        output=Path("outputs/test"),
        asked_us=START_US,
        lists=(Asked("m", len(findings), complete),),
        findings=findings,
        unreadable=unreadable,
        spent_micros=COST,
        reserved_micros=0,
    )


ON_DISK = Finding(Standing.ON_DISK, "j", COST, remote=remote("success"))
ORPHAN = Finding(Standing.ORPHANED, "j", COST, remote=remote("success", "r2"), why="nobody has it")
MISSING = Finding(
    Standing.MISSING, "j", COST, attempt(AttemptState.DONE), remote("success"), why="it is gone"
)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (account(ON_DISK), 0),
        (account(), 0),
        (account(ON_DISK, complete=False), 4),
        (account(ON_DISK, unreadable=1), 4),
        (account(ON_DISK, ORPHAN), 4),
        (account(ORPHAN, MISSING), 8),
    ],
)
def test_only_what_was_seen_whole_agrees(found: Audit, code: int) -> None:
    """0 agrees, 4 a person must look, 8 files are gone."""
    assert code == found.exit_code
    assert found.agrees is (code == 0)


def test_the_sums_are_counts_and_money() -> None:
    """What the list shows as finished is added up by itself."""
    found = account(ON_DISK, ORPHAN)
    told = found.as_json()

    assert found.sums()[Standing.ON_DISK] == (1, COST)
    assert (told["orphaned"], told["twice"]) == (
        {"requests": 1, "money": 0.15},
        {"requests": 0, "money": 0.0},
    )
    assert (told["spent"], told["billed"], told["agrees"]) == (0.15, 0.3, False)


@pytest.mark.parametrize(
    ("finding", "command"),
    [
        (
            Finding(Standing.ORPHANED, "j", COST, attempt(AttemptState.HELD, None), remote("queued"), "x"),
            "batchrunner resolve test j --adopt r1",
        ),
        (
            Finding(Standing.ORPHANED, "j", COST, attempt(AttemptState.UNKNOWN, None), remote("queued"), "x"),
            "batchrunner run 'my night.yaml'",
        ),
        (ORPHAN, "curl --create-dirs -fLo outputs/test/j-r2-1.mp4 https://store.test/r2.mp4"),
        (MISSING, "batchrunner verify test --fetch"),
        (
            Finding(Standing.UNKNOWN, "j", COST, attempt(AttemptState.HELD, None), why="x"),
            "batchrunner resolve test j --adopt REQUEST_ID | --resubmit | --abandon",
        ),
        (
            Finding(Standing.HELD, "j", COST, attempt(AttemptState.HELD), remote("success"), "x"),
            "batchrunner run 'my night.yaml'",
        ),
        (
            Finding(Standing.UNKNOWN, "j", COST, attempt(AttemptState.ACCEPTED), why="x"),
            "batchrunner run 'my night.yaml'",
        ),
        (
            Finding(Standing.TWICE, "j", COST, remote=remote("success"), why="x"),
            "batchrunner why test j   (nothing here undoes it: ask the provider about r1)",
        ),
        (Finding(Standing.UNKNOWN, "j", COST, attempt(AttemptState.DONE), why="x"), "batchrunner why test j"),
    ],
)
def test_every_disagreement_has_its_command(finding: Finding, command: str) -> None:
    """One to paste into a shell."""
    assert command == settle(account(finding), finding)


def test_a_hostile_address_stays_one_word_of_the_command() -> None:
    """It comes from the provider."""
    bad = "https://store.test/x;rm -rf ~"
    one = replace(ORPHAN, remote=replace(remote("success", "r2"), media=(bad,)))

    assert shlex.split(settle(account(one), one))[-1] == bad
