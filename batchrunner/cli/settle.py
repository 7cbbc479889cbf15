"""`retry` and `resolve`: a person's word on failed and held jobs."""

from __future__ import annotations

import getpass
from functools import partial
from pathlib import Path

import click

from batchrunner.auditing import look_up
from batchrunner.cli.options import CAMPAIGN, STATE, example
from batchrunner.cli.reach import access
from batchrunner.cli.say import say
from batchrunner.cli.text import count, money
from batchrunner.clock import SystemClock
from batchrunner.settling import Verdict, retry_failed, settle


@click.command(epilog=example("batchrunner retry demo\nbatchrunner retry demo fox.push-in.t1-3f9a2c71"))
@CAMPAIGN
@click.argument("jobs", nargs=-1)
@STATE
def retry(campaign: str, jobs: tuple[str, ...], state: Path) -> None:
    """Let the failed JOBS of CAMPAIGN try again in the next run; all of them where none is named.

    Jobs that something was paid for already (abandoned ones) try again only when they are named.
    """
    chosen = retry_failed(state, campaign, jobs, SystemClock(), getpass.getuser())
    say(f"{count(len(chosen), 'job')} will try again in the next run")


@click.command(
    epilog=example(
        'batchrunner resolve demo fox.push-in.t1-3f9a2c71 --adopt 0b5e… --why "seen in the console"'
    )
)
@CAMPAIGN
@click.argument("job")
@STATE
@click.option(
    "--adopt", "request_id", metavar="ID", help="It is this request at the provider; costs nothing."
)
@click.option("--resubmit", is_flag=True, help="Give it up and submit again: may pay a second time.")
@click.option("--abandon", is_flag=True, help="Give it up for good: may lose what was paid.")
@click.option("--why", default="", help="Kept in the events.")
@click.option("--force", is_flag=True, help="Adopt without asking the provider whether it is the same.")
def resolve(
    campaign: str,
    job: str,
    state: Path,
    request_id: str | None,
    resubmit: bool,
    abandon: bool,
    why: str,
    force: bool,
) -> None:
    """Settle the held JOB of CAMPAIGN in one of three ways; the next run goes on from there.

    A job that waits or has failed can be adopted for, too: a request that somebody made in the provider's
    console becomes its render. One whose submission is in doubt can be adopted at once; before it can be
    given up, a run looks for it in the provider's list, and holds it.
    """
    chosen = [
        verdict
        for verdict, wanted in (
            (Verdict.ADOPT, request_id is not None),
            (Verdict.RESUBMIT, resubmit),
            (Verdict.ABANDON, abandon),
        )
        if wanted
    ]
    if len(chosen) != 1:
        raise click.UsageError("say one of --adopt ID, --resubmit, --abandon")
    who = getpass.getuser()
    ask = None if force else partial(look_up, state, campaign, access())
    after = settle(
        state, campaign, job, chosen[0], SystemClock(), request_id=request_id, who=who, why=why, ask=ask
    )
    told = {
        Verdict.ADOPT: f"the next run asks the provider for {request_id}",
        Verdict.RESUBMIT: f"the next run submits it again; {money(after.reserved_micros)} count as spent",
        Verdict.ABANDON: f"it counts as failed; {money(after.reserved_micros)} count as spent",
    }
    say(f"{job}: {told[chosen[0]]}")
