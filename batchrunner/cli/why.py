"""`why`: one job's story in sentences."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from batchrunner.cli.options import CAMPAIGN, JSON_OUTPUT, STATE, example, print_json
from batchrunner.cli.say import say
from batchrunner.cli.text import plain
from batchrunner.telling import Story, read_story, standing_now, tell
from batchrunner.ways import held_ways, way_line


@click.command(
    epilog=example("batchrunner why demo fox.push-in.t1\nbatchrunner why demo fox.push-in.t1-3f9a2c71 --json")
)
@CAMPAIGN
@click.argument("job")
@STATE
@JSON_OUTPUT
def why(campaign: str, job: str, state: Path, as_json: bool) -> None:
    """Tell what became of JOB of CAMPAIGN, and why: every event, with evidence, times and cost.

    JOB may be the beginning of a job's id. Nothing is sent and nothing is written.
    """
    found = read_story(state, campaign, job)
    story = replace(found, manifest=near(found.manifest), output=near(found.output))
    if as_json:
        print_json(story.as_json())
        return
    show_story(story)


def show_story(story: Story) -> None:
    """Print a story: local time and UTC before each sentence, then how it stands and what to do."""
    say(f"{story.campaign}: {story.job['id']}")
    day = ""
    for one in tell(story):
        utc = datetime.fromtimestamp(one.at_us / 1e6, UTC)
        local = utc.astimezone()
        if day != f"{local:%Y-%m-%d}":
            day = f"{local:%Y-%m-%d}"
            say(f"  {day} (local time, UTC)")
        say(f"  {local:%H:%M:%S}  {utc:%H:%M:%S}Z  {plain(one.text)}")
    now, command = standing_now(story)
    say(f"now: {plain(now)}")
    if story.held is None:
        say(f"do:  {command or 'nothing'}")
        return
    run = f"batchrunner run {shlex.quote(str(story.manifest))}"
    for way in held_ways(story.campaign, story.held, run):
        say(f"do:  {way_line(way)}")


def near(path: Path) -> Path:
    """Return a path as one would type it here: without this folder in front, where it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
