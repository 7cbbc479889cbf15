"""What every outcome means for the run: the attempt's step, and what it says about provider and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from batchrunner.engine import lifecycle
from batchrunner.engine.actions import (
    Crashed,
    Download,
    Downloaded,
    Outcome,
    Poll,
    Polled,
    Probe,
    Probed,
    Publish,
    Published,
    Result,
    Search,
    Searched,
    Submit,
    Submitted,
    Survey,
    Surveyed,
    Sweep,
    Swept,
    Upload,
    Uploaded,
)
from batchrunner.engine.desk import Live
from batchrunner.engine.fetching import after_download, after_publish
from batchrunner.engine.run import Run
from batchrunner.engine.steps import Step, Stop
from batchrunner.engine.sweep import Claim
from batchrunner.errors import InvariantError
from batchrunner.rules import retry
from batchrunner.rules.hours import span
from batchrunner.rules.states import UNSENT
from batchrunner.store.changes import JobRuled, Noted, Stored
from batchrunner.store.lost import DUPLICATE, LOOKS_PAID
from batchrunner.values import JSON, AttemptState, Evidence, JobState, Reason, RemoteJob

LOOK_AGAIN_S = 3.0
ACTION_OF: Mapping[type, type] = {
    Submitted: Submit,
    Polled: Poll,
    Surveyed: Survey,
    Swept: Sweep,
    Downloaded: Download,
    Published: Publish,
    Searched: Search,
    Uploaded: Upload,
    Probed: Probe,
}


def decide(run: Run, outcome: Outcome) -> None:
    """Work out what an outcome means, and note what is to be written and done.

    Raises:
        InvariantError: an action ended in a bug.
    """
    now_s, now_us = run.times()
    match outcome:
        case Submitted():
            _submitted(run, outcome, now_s, now_us)
        case Polled(attempt_id, remote, error):
            run.heard(error)
            one = run.desk.live[attempt_id]
            run.polls.polled(one, remote)
            if remote is not None:
                _polled(run, one, remote, now_us)
            elif error is not None:
                if error.reason is Reason.RATE:
                    run.polls.budget.refused(error.retry_after_s)
                trouble = lifecycle.after_poll_trouble(one.attempt, one.tries, error, now_us, run.tools.rng)
                run.follow(one, trouble)
        case Surveyed():
            run.heard(outcome.error)
            _surveyed(run, outcome, now_s, now_us)
        case Downloaded(results):
            _downloaded(run, results, now_us)
        case Published(results):
            for done in results:
                one = run.desk.live[done.attempt_id]
                step = after_publish(one.attempt, one.tries, done.files, done.error, now_us, run.tools.rng)
                run.follow(one, step)
        case Swept():
            _swept(run, outcome, now_s, now_us)
        case Searched():
            _searched(run, outcome, now_s, now_us)
        case Uploaded():
            _uploaded(run, outcome, now_s, now_us)
        case Probed():
            _probed(run, outcome, now_s)
        case Crashed(action, crash):
            raise InvariantError(f"{type(action).__name__} ended in {crash!r}") from crash
    run.hands[ACTION_OF[type(outcome)]] -= len(outcome.results) if isinstance(outcome, Downloaded) else 1


def _downloaded(run: Run, results: Sequence[Result], now_us: int) -> None:
    for done in results:
        run.space.fetched(done.files)
        one, rng = run.desk.live[done.attempt_id], run.tools.rng
        run.follow(one, after_download(one.attempt, one.tries, one.urls, done.files, done.error, now_us, rng))


def _submitted(run: Run, outcome: Submitted, now_s: float, now_us: int) -> None:
    one, reply = run.desk.live[outcome.attempt_id], outcome.reply
    unheard = reply.evidence in {Evidence.NEVER_LEFT, Evidence.UNKNOWN}
    run.health.heard(now_s, Reason.UNCLEAR if unheard else None, reply.detail)
    run.follow(one, lifecycle.after_submit(one.attempt, reply, now_us, run.terms, run.tools.rng))
    if stop := run.health.submitted(reply.reason):
        run.end(stop, reply.detail)


def _surveyed(run: Run, outcome: Surveyed, now_s: float, now_us: int) -> None:
    accepted = {
        one.attempt.request_id: one
        for one in run.desk.in_state(AttemptState.ACCEPTED)
        if one.attempt.model == outcome.model and one.attempt.request_id
    }
    told = run.polls.surveyed(outcome, accepted, now_s)
    for one, remote in told.over:
        _polled(run, one, remote, now_us)
    for one, remote in told.running:
        step = lifecycle.after_poll(one.attempt, one.tries, remote, now_us, run.terms, run.tools.rng)
        if step.changes:  # given up for the time it takes: only its own record decides that
            run.desk.schedule(one, now_s)
            step = Step(one.attempt, tries=one.tries)
        run.follow(one, replace(step, tries=replace(step.tries, listed=one.tries.listed + 1)))


def _polled(run: Run, one: Live, remote: RemoteJob, now_us: int) -> None:
    run.follow(one, lifecycle.after_poll(one.attempt, one.tries, remote, now_us, run.terms, run.tools.rng))


def _probed(run: Run, outcome: Probed, now_s: float) -> None:
    detail = outcome.error.detail if outcome.error else ""
    if detail:
        run.books.problem = detail
    if stop := run.health.probed(outcome, now_s):
        run.end(stop, detail)


def _swept(run: Run, outcome: Swept, now_s: float, now_us: int) -> None:
    run.heard(outcome.error)
    if outcome.error is not None:
        waited_s = run.sweeper.failed(outcome, now_s, run.tools.rng)
        run.books.problem = f"the provider's list cannot be read: {outcome.error.detail}"
        if waited_s > run.limits.max_outage_s:
            why = "the state table may have forgotten what an earlier run paid for"
            run.end(Stop.OUTAGE, f"{run.books.problem}; {why}: nothing was sent (--fresh sends all the same)")
        return
    account = run.health.account or ""
    if again := run.sweeper.unread(outcome, account):
        run.actions.append(again)
        return
    claims = run.sweeper.swept(outcome, account)
    for claim in claims:
        run.intake.drop(claim.job.id)
        _claimed(run, claim, now_us)
    if run.sweeper.partial(outcome):
        known = "the state table has forgotten what an earlier run paid for"
        why = f"{known}, and the provider's list is not all there is: what it lacks may be paid for"
        run.end(
            Stop.OUTAGE, f"{why}; restore a newer copy of the table, or send it all the same with --fresh"
        )
    taken = {claim.remote.request_id for claim in claims}
    unknown = run.desk.in_state(AttemptState.UNKNOWN)
    open_ = {one.attempt.fingerprint for one in (*unknown, *run.desk.in_state(AttemptState.SUBMITTING))}
    for given_up, remote in run.sweeper.orphans(outcome, account, open_):
        if remote.request_id not in taken:
            evidence: dict[str, JSON] = {"request_id": remote.request_id, "created": remote.created_s}
            detail = f"{remote.request_id} was given up and turned up after all: paid twice"
            note = Noted(DUPLICATE, now_us, given_up.job, given_up.id, None, detail, evidence)
            run.changes.append(note)
            run.books.duplicate(given_up, remote.request_id)


def _claimed(run: Run, claim: Claim, now_us: int) -> None:
    """Take a request of an earlier run over; hold its job where it may be another picture's."""
    job, remote = claim.job, claim.remote
    if not claim.proved:
        detail = (
            f"not sent: request {remote.request_id} is the same but for its picture, which cannot be read; "
            f"adopt it with `resolve --adopt {remote.request_id}` if it is this one"
        )
        run.changes.append(JobRuled(job.id, JobState.HELD, now_us, LOOKS_PAID, Reason.UNCLEAR, detail))
        run.books.held_back(job.id, detail)
        return
    run.books.swept += 1
    submitted_us = int((remote.created_s or now_us / 1e6) * 1e6)
    one = run.begin(job, claim.sent, submitted_us, now_us, "a request of an earlier run was found")
    run.follow(one, lifecycle.interrupted(one.attempt, now_us, UNSENT))
    run.follow(one, lifecycle.swept(one.attempt, remote, now_us, run.terms, run.tools.rng))


def _searched(run: Run, outcome: Searched, now_s: float, now_us: int) -> None:
    error = outcome.error
    run.heard(error)
    unknown = [one for one in run.desk.in_state(AttemptState.UNKNOWN) if one.attempt.model == outcome.model]
    if error is not None:
        run.searching.failed(outcome)
        run.books.problem = f"the provider's list cannot be read: {error.detail}"
        for one in unknown:
            _search_failed(run, one, now_s, now_us, error.detail)
        return
    account = run.health.account or ""
    # An equal request that is on the wire right now may be the very one that the list shows.
    on_wire = {one.attempt.fingerprint for one in run.desk.in_state(AttemptState.SUBMITTING)}
    lost = [one.attempt for one in unknown if one.attempt.fingerprint not in on_wire]
    for one in unknown:
        run.desk.schedule(one, now_s + LOOK_AGAIN_S)  # each look that decides something says better
    if again := run.searching.unread(outcome, lost, account):
        run.actions.append(again)
        return
    for looked in run.searching.looked(outcome, lost, account, now_s):
        held = run.searching.held.get(looked.attempt_id)
        if held is not None:
            run.searching.over(held.id)
            if looked.match is None:
                continue
        one = run.desk.put(held) if held else run.desk.live[looked.attempt_id]
        search = run.searching.search(one.attempt.id, now_s)
        step = lifecycle.after_look(
            one.attempt,
            looked,
            search,
            now_us,
            now_s,
            run.terms,
            run.tools.rng,
            may_gamble=run.books.may_gamble and run.books.waived < run.terms.recovery.risk,
        )
        run.follow(one, step)
        if step.attempt.state is not AttemptState.UNKNOWN:
            run.searching.over(one.attempt.id)
    _say_in_doubt(run, now_s)


def _say_in_doubt(run: Run, now_s: float) -> None:
    """Say for whom the run may be waiting for an hour, and until when."""
    doubtful = [one.attempt.id for one in run.desk.in_state(AttemptState.UNKNOWN)]
    if not doubtful:
        return
    since_s = max(run.searching.search(one, now_s).since_s for one in doubtful)
    left_s = max(0.0, since_s + run.terms.recovery.give_up_s - now_s)
    some = "1 submission is" if len(doubtful) == 1 else f"{len(doubtful)} submissions are"
    run.books.problem = (
        f"{some} in doubt and not found in the provider's list so far; looked for on and on, "
        f"and held for you in {span(left_s)} at the latest (recovery.give_up)"
    )


def _search_failed(run: Run, one: Live, now_s: float, now_us: int, detail: str) -> None:
    search = run.searching.search(one.attempt.id, now_s)
    if now_s - search.since_s >= run.terms.recovery.give_up_s:
        run.searching.over(one.attempt.id)
        why = f"the provider's list could not be read: {detail}"
        run.follow(one, lifecycle.give_up_search(one.attempt, now_us, why))
    else:
        run.desk.schedule(one, now_s + retry.trouble_s(search.looks + 2, run.tools.rng))


def _uploaded(run: Run, outcome: Uploaded, now_s: float, now_us: int) -> None:
    sha256, error = outcome.sha256, outcome.error
    run.heard(error)
    if outcome.public_url is not None:
        run.uploads.over(sha256)
        origin, account = run.tools.provider.origin, run.health.account or ""
        run.changes.append(Stored(origin, account, sha256, outcome.public_url, now_us))
        run.intake.arrived(sha256, outcome.public_url)
    elif error is not None and error.reason is Reason.PICTURE:
        run.uploads.over(sha256)
        for job in run.intake.refused(sha256, error.detail):
            run.rule_out(job, error.detail, now_us)
    elif error is not None:
        run.books.problem = f"upload: {error.detail}"
        run.uploads.again(sha256, now_s, run.tools.rng, error.retry_after_s)
        if error.reason is Reason.CREDENTIALS:
            run.end(Stop.CREDENTIALS, error.detail)
