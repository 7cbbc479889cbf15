"""Campaigns without pictures, and with videos for pictures, from the first command to the last."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.manifest.test_bad import BAD
from tests.shell import QUICK, Shell, against

HEAD = """\
version: 1
campaign: night
provider: gmi
seed: 7
takes: 2
limits: {in_flight: 4, submits_per_minute: 6000}
prompts: [{id: push, text: "Slow push-in"}, {id: pan, text: "Pan"}]
"""
WORDS = HEAD + "model: pixverse-v5.6-t2v\nshots: [{prompt: pan, id: long, duration: 8}]\n"
FILMS = HEAD + 'model: pixverse-v6-extend\nimages: {glob: "films/*.mp4"}\n'


def lay_out(folder: Path, text: str) -> None:
    """Write the manifest, and a film for it."""
    (folder / "films").mkdir()
    shutil.copy(BAD / "files" / "films" / "clip.mp4", folder / "films")
    (folder / "night.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("text", "jobs"), [(WORDS, 6), (FILMS, 4)], ids=["words", "films"])
def test_a_campaign_runs_and_a_lost_state_table_costs_nothing(text: str, jobs: int, tmp_path: Path) -> None:
    """Clips are there; what the lost table had paid for is found in the provider's list."""
    lay_out(tmp_path, text)
    with against(tmp_path) as shell:
        done = shell.run("run", "night.yaml")
        again = shell.run("run", "night.yaml")
        shutil.rmtree(tmp_path / "state")
        found = shell.run("run", "night.yaml")
        ledger = shell.ledger()

    assert (done.code, again.code, found.code) == (0, 0, 0), done.err + found.err
    assert len(shell.clips()) == jobs
    assert (ledger["posts"], ledger["accepted"]) == (jobs, jobs)


def test_every_command_tells_of_jobs_that_have_no_image(tmp_path: Path) -> None:
    """By their prompts; what is exported is read back, and a clip leads to its job."""
    lay_out(tmp_path, WORDS)
    with against(tmp_path) as shell:
        plan = shell.run("plan", "night.yaml", "--json").json
        saved = shell.run("plan", "night.yaml", "-o", "night.plan")
        assert shell.run("run", "night.plan").code == 0
        listed = [json.loads(line) for line in shell.run("jobs", "night", "--json").out.splitlines()]
        status = shell.run("status", "night.yaml")
        first = listed[0]["id"]
        why, audit = shell.run("why", "night.yaml", first), shell.run("audit", "night.yaml")
        like = shell.run("jobs", "--like", "outputs/night/push-t1.json")
        elsewhere = shell.run("jobs", "--like", "outputs/night/push-t1.json", "--state", "none")
        exported = shell.run("export", "night", "-o", "again.yaml")

    assert (plan["by"]["image"], len(plan["by"]["prompt"])) == ([], 3)
    assert saved.code == status.code == audit.code == exported.code == 0, exported.err
    assert [one["id"].rpartition("-")[0] for one in listed] == [
        "push.t1", "push.t2", "pan.t1", "pan.t2", "long.t1", "long.t2"
    ]  # fmt: skip
    assert "done: outputs/night/push-t1.mp4" in why.out
    assert like.out.split()[1] == first
    assert "images" not in elsewhere.out
    assert '- {id: "push", text: "Slow push-in"' in elsewhere.out
    assert "images:" not in (tmp_path / "again.yaml").read_text(encoding="utf-8")


def test_a_refused_prompt_spares_only_itself(tmp_path: Path) -> None:
    """All jobs have no picture in common, and that is no reason to give them up."""
    refusal = "Generation failed: the prompt violates the content policy"
    lay_out(tmp_path, WORDS.replace("in_flight: 4", "in_flight: 1"))
    with against(tmp_path, replace(QUICK, fate_script=(refusal, refusal, "ok"))) as shell:
        done = shell.run("run", "night.yaml")

    assert "4  done" in done.out, done.out
    assert "2  failed" in done.out, done.out


def test_a_rehearsal_needs_no_pictures(tmp_path: Path) -> None:
    """The simulated provider takes what the card says."""
    lay_out(tmp_path, WORDS)
    done = Shell(tmp_path).run("rehearse", "night.yaml", "--nights", "3", "--json")

    assert done.code == 0, done.err
