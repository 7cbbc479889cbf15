"""`plan`: what a run would do and cost, and the saved plan that a run holds itself to. Nothing is sent."""

from __future__ import annotations

import gc
import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click

from batchrunner.bills import Bill, bill_text, campaign_of, is_bill
from batchrunner.cli.bounds import with_bounds_of_plan
from batchrunner.cli.notes import show_notes
from batchrunner.cli.options import JSON_OUTPUT, MANIFEST, OUTPUT, STATE, example, print_json, refuse_bill
from batchrunner.cli.reach import access
from batchrunner.cli.say import say
from batchrunner.cli.spread import fitting
from batchrunner.cli.text import about, count, money, plain, to_cents
from batchrunner.engine.gate import Bounds
from batchrunner.errors import UsageError
from batchrunner.manifest.heap import uncollected
from batchrunner.planning import Change, Ends, Plan
from batchrunner.recording import Recording
from batchrunner.saving import check_free, save
from batchrunner.standing import dollars
from batchrunner.values import Job, JobState

EXAMPLES = """\
batchrunner plan night.yaml
batchrunner plan night.yaml -o night.plan && batchrunner run night.plan
batchrunner plan night.yaml --jobs | jq .payload"""
HAS_WORK = 10  # as a run ends that leaves work; 2, which others use for it, is a wrong manifest here


@click.command(epilog=example(EXAMPLES))
@MANIFEST
@STATE
@OUTPUT
@click.option(
    "--out",
    "-o",
    "saved",
    type=click.Path(path_type=Path),
    help="Save the plan: `run FILE` does exactly that, and refuses when anything has changed since.",
)
@click.option("--record", is_flag=True, help="Write the jobs into the state table too; still sends nothing.")
@click.option(
    "--frozen",
    is_flag=True,
    help="Exit 2 when what would be sent differs by one byte from what was recorded.",
)
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit 10 when a run has work, else 4: jobs are held, 3: jobs failed for good, 0: all is done.",
)
@click.option(
    "--jobs",
    "as_jobs",
    is_flag=True,
    help="JSON Lines on stdout: every job with its exact payload (`upload:…` stands for a local picture).",
)
@JSON_OUTPUT
@with_bounds_of_plan
def plan(
    manifest: Path,
    state: Path,
    output: Path | None,
    bounds: Bounds,
    saved: Path | None,
    record: bool,
    frozen: bool,
    detailed_exitcode: bool,
    as_jobs: bool,
    as_json: bool,
) -> None:
    """Tell what a run of MANIFEST would do: jobs, what is new, what it costs. Nothing is sent.

    With --until, --for, --max-new or --budget it tells how far a run with these gets. A saved plan is of all
    there is to do: there they are given to `run FILE`.

    --json has the stable shape of schemas/plan.schema.json.
    """
    if saved is not None and bounds != Bounds():
        raise click.UsageError("--out saves all there is to do; give the bounds to `run FILE`")
    click.get_current_context().with_resource(uncollected())
    refuse_bill(
        manifest, f"batchrunner run {shlex.quote(str(manifest))} --dry-run tells what it would do now"
    )
    campaign = Recording(manifest, state=state, output=output, bounds=bounds, access=access())
    gc.freeze()  # its rows stay: to look for garbage among 100,000 of them takes seconds, at the very end too
    if saved is not None:
        check_free(saved, lambda path: is_plan_of(path, campaign.name))  # before the work, not after it
    if frozen:
        refuse_drift(campaign)
    if as_jobs:
        made, bill = print_jobs(campaign, saved)
    else:
        made, bill = (campaign.plan(), None) if saved is None else campaign.bill(saved)
        show_plan(made, as_json=as_json)
    show_notes(campaign.manifest.notes)
    quiet = as_jobs or as_json
    if bill is not None and saved is not None:
        save(saved, bill_text(bill), mode=0o600, ours=lambda path: is_plan_of(path, campaign.name))
        say(f"saved as {saved}; to do exactly this: batchrunner run {shlex.quote(str(saved))}", err=quiet)
    if record:
        campaign.record()
        click.echo(f"recorded in {campaign.state_path}", err=quiet)
    if not quiet:
        click.echo("Nothing was sent.")
    if detailed_exitcode:
        raise click.exceptions.Exit(detailed_code(made))


def refuse_drift(campaign: Recording) -> None:
    """End with exit 2 where something else would be sent than was recorded.

    Raises:
        UsageError: naming the first jobs that differ.
    """
    found = campaign.drift()
    if not found:
        return
    lines = [
        f"{campaign.manifest_path}: not what was recorded of {campaign.name}; nothing was sent:",
        f"  {count(found.differing, 'job')} would be sent that {_are(found.differing)} not recorded so",
        f"  {count(found.absent, 'recorded job')} would not be sent",
        *(f"  {plain(told)}" for told in found.first),
    ]
    raise UsageError("\n".join(lines))


def is_plan_of(path: Path, campaign: str) -> bool:
    """Tell whether a file is a saved plan of a campaign, which a newer one may replace, or remains of one.

    A plan that cannot be read, or is of another version, is good for nothing but to be made again.
    """
    return is_bill(path) and campaign_of(path) in {None, campaign}


def detailed_code(made: Plan) -> int:
    """Return what a run would have to do, as its exit code would tell it."""
    if made.has_work:
        return HAS_WORK
    if made.count(JobState.HELD):
        return 4
    return 3 if made.states[JobState.FAILED] else 0


def print_jobs(campaign: Recording, saved: Path | None) -> tuple[Plan, Bill | None]:
    """Print every job as it streams by, a line each."""

    def show(job: Job, change: Change, state: JobState) -> None:
        told = {**asdict(job), "change": str(change), "state": str(state), "cost": dollars(job.cost_micros)}
        del told["cost_micros"], told["text"]  # the payload once more, and not of every job
        click.echo(json.dumps(told, ensure_ascii=False))

    if saved is None:
        return campaign.plan(show), None
    return campaign.bill(saved, show)


def show_plan(made: Plan, *, as_json: bool) -> None:
    """Print a plan on stdout."""
    if as_json:
        print_json(plan_json(made))
        return
    head = f"{made.campaign}: {count(made.jobs, 'job')} on {made.model} ({made.provider})"
    rows = [
        (made.new, "new"),
        (made.changed, "changed since they were recorded (what they were before is kept)"),
        (made.unchanged, "unchanged since they were recorded"),
        (made.gone, "more are recorded and no longer in the manifest (kept)"),
        (made.done, "done already"),
        (made.states[JobState.ACTIVE], "at the provider"),
        (made.states[JobState.HELD], "held for a person"),
        (made.states[JobState.FAILED], "failed for good"),
        (made.outside[JobState.ACTIVE], "at the provider as they were before, or no longer in the manifest"),
        (made.outside[JobState.HELD], "held as they were before, or no longer in the manifest"),
    ]
    rows = [*(row for row in rows if row[0]), (made.to_submit, "to submit")]
    width = max(len(f"{number:,}") for number, _words in rows)
    counted = [head, *(f"  {number:>{width},}  {words}" for number, words in rows)]
    money_told = [f"  {line}" for line in money_lines(made)]
    for line in (*counted, *fitting(made.spread, [*counted, *money_told]), *money_told):
        click.echo(line)


def money_lines(made: Plan) -> list[str]:
    """Return what a plan says of money and time."""
    lines = [f"at most {money(made.cost_micros)} still to pay ({made.price})"]
    if made.again_micros:
        lines.append(f"{money(made.again_micros)} of that for changed jobs that were paid for as they were")
    if made.expected_micros is not None and made.to_submit:
        low, high = made.expected_range or (0, 0)
        span = f" ({money(to_cents(low))} to {money(to_cents(high))})" if high > low else ""
        lines.append(f"as expected {money(made.expected_micros)}{span}: {_from(made)}")
    lines += _over_lines(made)
    spent = f"spent so far {money(made.spent_micros)}"
    budget = "" if made.budget_micros is None else f", budget {money(made.budget_micros)}"
    lines.append(spent + budget)
    whole = made.spent_micros + (made.cost_micros or 0)
    if made.budget_micros is not None and whole > made.budget_micros and made.ends in {None, "budget"}:
        short = money(whole - made.budget_micros)
        lines.append(f"the budget may be {short} short of all this: a run stops there, and exits with 6")
    return lines


def plan_json(made: Plan) -> dict[str, object]:
    """Return a plan in the stable shape of schemas/plan.schema.json: money in dollars, times in seconds."""
    return {
        "campaign": made.campaign,
        "model": made.model,
        "provider": made.provider,
        "manifest": made.manifest,
        "manifest_sha256": made.manifest_sha256,
        "card_sha256": made.card_sha256,
        "jobs": made.jobs,
        "new": made.new,
        "changed": made.changed,
        "unchanged": made.unchanged,
        "gone": made.gone,
        "to_submit": made.to_submit,
        **{str(one): made.states[one] for one in JobState if one is not JobState.PENDING},
        "outside": {str(one): made.outside[one] for one in (JobState.ACTIVE, JobState.HELD)},
        "by": {
            "image": [{"image": name, **group.as_json()} for name, group in made.spread.images.items()],
            "prompt": [{"prompt": name, **group.as_json()} for name, group in made.spread.prompts.items()],
            "setting": [
                {"parameters": dict(one.parameters), **one.group.as_json()} for one in made.spread.settings
            ],
        },
        "cost": dollars(made.cost_micros),
        "again": dollars(made.again_micros),
        "total": dollars(made.total_micros),
        "expected": dollars(made.expected_micros),
        "expected_range": made.expected_range and [dollars(micros) for micros in made.expected_range],
        "expected_from": {
            "ended": made.shown.ended,
            "failed": made.shown.failed,
            "price": dollars(made.shown.price_micros),
            "paid": dollars(made.shown.paid_micros),
        },
        "finish": made.finish_s,
        "finish_range": made.foresight and [round(made.foresight.low_s, 1), round(made.foresight.high_s, 1)],
        "spent": dollars(made.spent_micros),
        "budget": dollars(made.budget_micros),
        "within": made.within,
        "within_cost": dollars(made.within_micros),
        "ends": made.ends,
        "deadline": made.deadline_s and round(made.deadline_s, 1),
        "price": made.price,
    }


NONE_STARTS: Mapping[Ends, str] = {
    "budget": "no job fits into what is left of the budget",
    "enough": "--max-new 0: no job is submitted",
    "deadline": "no job that waits would be done before the deadline",
}


def _over_lines(made: Plan) -> list[str]:
    """Say when a run will be over: all done, or what ends it before, and after which jobs."""
    if made.ends and not made.within:
        return [NONE_STARTS[made.ends]]
    ends = _ends_words(made)
    one = made.foresight
    if one is None:
        unknown = "nothing was learned of this model yet: how much is done by the deadline is not known"
        return [*([ends] if ends else []), *([unknown] if made.deadline_s is not None else [])]
    span = f"about {about(one.likely_s)} of running ({about(one.low_s)} to {about(one.high_s)}), {one.how}"
    return [f"{ends}, in {span}" if ends else f"done in {span}"]


def _ends_words(made: Plan) -> str:
    if not made.ends or made.within is None:
        return ""
    cost = "" if made.within_micros is None else f", for {money(made.within_micros)} at most"
    jobs = count(made.within, "job")
    what = {"budget": "the budget", "enough": "--max-new", "deadline": "the deadline"}[made.ends]
    roughly = "" if made.ends == "enough" else "about "
    return f"{what} ends it after {roughly}{jobs}{cost if made.ends != 'budget' else ''}"


def _from(made: Plan) -> str:
    shown = made.shown
    ended = f"{count(shown.ended, 'job')} that ended"
    if shown.usual:
        return f"of {ended} here none failed, and each was paid once"
    failed = f"{shown.failed / shown.ended:.1%} failed ({shown.failed:,})"
    return f"of {ended} here {failed}; {money(shown.paid_micros)} of {money(shown.price_micros)} was paid"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
