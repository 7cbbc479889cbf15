"""`status` and `jobs`: questions to the state table, also while a run goes on."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import click

from batchrunner.cli.options import CAMPAIGN, JSON_OUTPUT, MAYBE_CAMPAIGN, STATE, example, print_json
from batchrunner.cli.say import here, say
from batchrunner.cli.text import about, count, money, plain
from batchrunner.cli.trouble import trouble_lines
from batchrunner.cli.watch import watch
from batchrunner.cli.why import near
from batchrunner.clock import SystemClock, local_text
from batchrunner.nearest import nearest
from batchrunner.rules.hours import window
from batchrunner.standing import Status, end_words, is_recorded, read_jobs, read_status, state_path
from batchrunner.store.runs import PastRun
from batchrunner.values import AttemptState, JobState


@click.command(epilog=example("batchrunner status demo\nbatchrunner status manifests/demo.yaml --json"))
@CAMPAIGN
@STATE
@JSON_OUTPUT
@click.option("--watch", "-w", "follow", is_flag=True, help="Follow a run, until Ctrl-C. Costs it nothing.")
def status(campaign: str, state: Path, as_json: bool, follow: bool) -> None:
    """Tell how CAMPAIGN (its name or its manifest) stands: jobs, money, what is held and why."""
    if follow and as_json:
        raise click.UsageError(
            "--watch is for people: leave --json away, or follow the log beside the state table"
        )
    if follow:
        watch(state_path(state, campaign), lambda: watched_lines(state, campaign))
        return
    found = read_status(state, campaign)
    if as_json:
        print_json(found.as_json())
        return
    for line in status_lines(campaign, found):
        say(line)


def watched_lines(state: Path, campaign: str) -> list[str]:
    """Return how a campaign stands, also where its first run is still to come."""
    if not is_recorded(state, campaign):
        path = state_path(state, campaign)
        return [f"{campaign}: waiting for its first run: there is no state table {path} yet"]
    return [here(line) for line in status_lines(campaign, read_status(state, campaign))]


def status_lines(campaign: str, found: Status) -> list[str]:
    """Return how a campaign stands, in lines for people."""
    jobs, totals = found.totals.jobs, found.totals
    lines = [f"{found.campaign}: {jobs[JobState.DONE]:,} of {count(found.total, 'job')} done"]
    lines += [f"  {jobs[one]:>6,}  {one}" for one in JobState if jobs[one]]
    if totals.unlisted:
        lines.append(f"  {totals.unlisted:>6,}  no longer in the manifest (kept)")
    doubtful = sum(totals.attempts.get(one, 0) for one in (AttemptState.SUBMITTING, AttemptState.UNKNOWN))
    if doubtful:
        again = "" if found.at_work else ": run again; it looks for them first, and nothing is paid twice"
        lines.append(f"  {count(doubtful, 'submission')} without an answer so far{again}")
    budget = "" if found.budget_micros is None else f", budget {money(found.budget_micros)}"
    lines.append(f"  spent {money(totals.spent_micros)}, reserved {money(totals.reserved_micros)}{budget}")
    lines.append(f"  the whole campaign: at most {money(found.estimate_micros)}")
    lines += _ahead(found)
    if found.last_run is not None:
        lines.append(f"  {run_words(found.last_run, at_work=found.at_work)}{_waits(found)}")
    lines += trouble_lines(campaign, found.failed, found.held)
    now = _next_step(found)
    return [*lines, f"clips: {found.output}", *([now] if now else [])]


def _waits(found: Status) -> str:
    """Say that the run that is at work waits for its hours."""
    opens_us = window(found.window).opens_us(SystemClock().now_us()) if found.window else None
    waits = opens_us is not None and found.at_work and found.totals.jobs[JobState.PENDING]
    return f"; what waits is submitted from {local_text(opens_us or 0)} on (limits.window)" if waits else ""


def _ahead(found: Status) -> list[str]:
    """Say when it will be over: all done, or the budget used up."""
    when = "" if found.finish_s is None else f"in about {about(found.finish_s)} of running at the pace so far"
    if found.within is None:
        return [f"  done {when}"] if when else []
    if found.within:
        ends = f"  the budget ends it after about {count(found.within, 'more job')}"
        return [f"{ends}, {when}" if when else ends]
    under_way = f"; what is under way is done {when}" if when else ""
    return [f"  no job that waits fits into what is left of the budget{under_way}"]


def _next_step(found: Status) -> str:
    """Return what the last run said to do now; where it could not, that it can be gone on with."""
    run = found.last_run
    if run is None or found.at_work:
        return ""
    if run.ended_us is None:
        return f"go on with: batchrunner run {shlex.quote(str(near(found.manifest)))}"
    return run.next_step


def run_words(run: PastRun, *, at_work: bool) -> str:
    """Say when the last run began, and when and why it ended."""
    began = local_text(run.began_us)
    if at_work:
        return f"a run is at work since {began}"
    if run.ended_us is None:
        return (
            f"the last run, of {began}, did not end by itself (a kill, a power cut, a full disk?): "
            f"its last word is of {_later(run.last_us, began)}"
        )
    code = f" (exit {run.exit_code})" if run.exit_code is not None else ""
    ended = "" if local_text(run.ended_us) == began else f" to {_later(run.ended_us, began)}"
    return f"the last run, {began}{ended}, {plain(end_words(run))}{code}"


def _later(at_us: int, before: str) -> str:
    """Return a time, without its day where that is the day of the one before."""
    day, _, clock = (text := local_text(at_us)).partition(" ")
    return clock if before.startswith(day) else text


@click.command(
    epilog=example(
        "batchrunner jobs demo --state failed\nbatchrunner jobs demo --json | jq .payload\n"
        "batchrunner jobs --like outputs/demo/fox/push-in-t1.json"
    )
)
@MAYBE_CAMPAIGN
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE|DIR",
    help=f"Only jobs that are {', '.join(JobState)}; any other word is the folder of the state tables.",
)
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    help="The job that made a clip, by the JSON beside it; where none is known, a manifest that makes it.",
)
@click.option("--limit", type=click.IntRange(1), default=None, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON Lines on stdout, a job a line.")
def jobs(
    campaign: str | None, states: tuple[str, ...], like: Path | None, limit: int | None, as_json: bool
) -> None:
    """List the jobs of CAMPAIGN in the manifest's order, with state, file and reason."""
    folder, only = split_states(states)
    if like is not None:
        from batchrunner.cli.export import show_like  # noqa: PLC0415 - brings all that reads manifests

        if campaign is not None or only is not None or limit is not None:
            raise click.UsageError(
                "--like looks in all state tables of a folder: leave out CAMPAIGN, --limit and a job's state"
            )
        show_like(folder, like, as_json=as_json)
        return
    if campaign is None:
        raise click.UsageError("name a campaign, or a clip with --like")
    for row in read_jobs(folder, campaign, only, limit):
        if as_json:
            click.echo(json.dumps(row, ensure_ascii=False))
        else:
            told = row["file"] or row["detail"] or row["reason"] or ""
            say(f"{row['state']:<8} {row['id']}  {plain(told)}".rstrip())


def split_states(values: tuple[str, ...]) -> tuple[Path, JobState | None]:
    """Tell a job state from a folder: `--state` means both here (a folder called `held` is `./held`)."""
    only = [JobState(value) for value in values if value in set(JobState)]
    folders = [Path(value) for value in values if value not in set(JobState)]
    if len(only) > 1 or len(folders) > 1:
        raise click.UsageError("--state takes one job state, and one folder")
    near = nearest(str(folders[0]), list(JobState), 0.8) if folders else None
    if near and not folders[0].exists():
        raise click.UsageError(f'there is no folder {folders[0]}; did you mean "{near}"?')
    default = Path(os.environ.get("BATCHRUNNER_STATE") or "state")
    return (folders[0] if folders else default), (only[0] if only else None)
