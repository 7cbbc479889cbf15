"""`audit` and `why` as a user sees them: the real program, with the emulator's ledger as the oracle."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.client import BASE, MODEL, send
from tests.shell import QUICK, Done, Shell, against, wait_for


def post(shell: Shell, payload: Any) -> str:
    """Submit by hand, as somebody in the provider's console would; wait until it is billed."""
    before = shell.ledger()["charged"]["count"]
    body = json.dumps({"model": MODEL, "payload": payload}).encode()
    answer = send("POST", f"{shell.api}{BASE}/requests", body, {"Authorization": f"Bearer {shell.key}"})
    wait_for(lambda: shell.ledger()["charged"]["count"] > before)
    return str(answer.json["request_id"])


def jobs(shell: Shell) -> list[dict[str, Any]]:
    """Return the campaign's jobs."""
    return [json.loads(line) for line in shell.run("jobs", "night", "--json").out.splitlines()]


def row(done: Done, name: str) -> list[str]:
    """Return count and money of one row of the account."""
    (line,) = [line for line in done.out.splitlines() if line.strip().startswith(f"{name}  ")]
    return line.strip().removeprefix(name).split()


def test_a_finished_campaign_agrees(tmp_path: Path) -> None:
    """Exit 0, in money; nothing is submitted, and the state table is not touched."""
    with against(tmp_path, replace(QUICK, submit_script=("accept_then_drop",))) as shell:
        shell.run("run", shell.write())
        table = tmp_path / "state" / "night.db"
        before, lists = table.read_bytes(), shell.ledger()["requests"].copy()
        done = shell.run("audit", "night.yaml")
        ledger = shell.ledger()

        assert done.code == 0, done.err
        assert ["3", "$0.45"] == row(done, "paid and on disk")
        assert ["1", "$0.15"] == row(done, "of these adopted")
        assert ["0", "$0.00"] == row(done, "paid twice")
        assert done.out.endswith("agreed: table, list and clips\n")
        assert ledger["charged"]["micros"] == 450_000
        assert ledger["posts"] == 3
        assert sum(ledger["requests"].values()) - sum(lists.values()) == 2  # whose key, and one list
        assert table.read_bytes() == before
        assert {path.name for path in (tmp_path / "state").iterdir()} <= {
            *("night.db", "night.lock", "night.log.jsonl")
        }


def test_a_second_payment_and_an_orphan_are_found(tmp_path: Path) -> None:
    """Made for real, by posting the same payloads by hand; the ledger has just that money."""
    with against(tmp_path, replace(QUICK, submit_script=("ok", "400"))) as shell:
        shell.run("run", shell.write(takes=2))
        # which of the two met the 400 is the emulator's order of arrival, not the manifest's
        done_job, failed_job = sorted(jobs(shell), key=lambda job: str(job["state"]))
        again = post(shell, done_job["payload"])
        orphan = post(shell, failed_job["payload"])
        done = shell.run("audit", "night")
        told = shell.run("audit", "night", "--json")

        assert done.code == told.code == 4
        assert f"paid twice: {done_job['id']}: {again} finished for it too" in done.out
        assert f"orphaned: {failed_job['id']}: request {orphan} ('success') has just this payload" in done.out
        assert f"curl --create-dirs -fLo outputs/night/{failed_job['id']}-{orphan}-1.mp4 http" in done.out
        assert "not agreed: 2 lines to settle, $0.30 (exit 4)" in done.out
        assert told.json["billed"] == pytest.approx(shell.ledger()["charged"]["micros"] / 1e6)
        assert {"requests": 1, "money": 0.15} == told.json["twice"] == told.json["orphaned"]


def test_an_orphan_of_a_held_job_is_adopted_by_the_command_that_is_told(tmp_path: Path) -> None:
    """Held, then found by the audit, then done, with two POSTs in all: ours was dropped."""
    with against(tmp_path, replace(QUICK, submit_script=("drop",))) as shell:
        shell.run("run", shell.write(takes=1))
        held = shell.run("audit", "night")
        (job,) = jobs(shell)
        request = post(shell, job["payload"])
        found = shell.run("audit", "night")
        command = f"batchrunner resolve night {job['id']} --adopt {request}"

        assert held.code == found.code == 4
        assert ["1", "$0.15"] == row(held, "unknown")
        assert f"batchrunner resolve night {job['id']} --adopt REQUEST_ID" in held.out
        assert command in found.out
        assert ["1", "$0.15"] == row(found, "orphaned")
        assert shell.run(*command.split()[1:]).code == 0
        assert shell.run("run", "night.yaml").code == 0
        assert shell.run("audit", "night").code == 0
        assert shell.charged_at_most_once()


def test_a_paid_clip_that_cannot_be_fetched_is_paid_and_held(tmp_path: Path) -> None:
    """The provider finished it, so its money is gone; the clip is not here."""
    with against(tmp_path, replace(QUICK, media_script=("html",) * 9)) as shell:
        shell.run("run", shell.write(takes=1))
        done = shell.run("audit", "night")

        assert done.code == 4
        assert ["1", "$0.15"] == row(done, "paid and held")
        assert "held (bad media); the provider says 'success' of " in done.out
        assert "      batchrunner run night.yaml\n" in done.out


def test_a_deleted_clip_is_missing_and_the_command_brings_it_back(tmp_path: Path) -> None:
    """Exit 8; the same bytes are at the provider still, and nothing more is paid."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=2))
        clip = tmp_path / "outputs" / "night" / "fox" / "push-t1.mp4"
        before = clip.read_bytes()
        clip.unlink()
        clip.with_suffix(".json").unlink()
        gone = shell.run("audit", "night")
        (command,) = [line.strip() for line in gone.out.splitlines() if "--fetch" in line]
        fetched = shell.run(*shlex.split(command)[1:])

        assert gone.code == 8
        assert ["1", "$0.15"] == row(gone, "missing on disk")
        assert (fetched.code, fetched.err) == (0, "fetched  fox/push-t1.mp4\n")
        assert clip.read_bytes() == before
        assert json.loads(clip.with_suffix(".json").read_text())["files"][0]["path"] == "fox/push-t1.mp4"
        assert shell.run("audit", "night").code == 0
        assert shell.run("run", "night.yaml").code == 0
        assert shell.ledger()["charged"]["count"] == 2


def test_a_list_that_is_not_whole_is_never_called_agreed(tmp_path: Path) -> None:
    """It says so, and counts what it could not check."""
    with against(tmp_path, replace(QUICK, list_cap=1)) as shell:
        shell.run("run", shell.write())
        done = shell.run("audit", "night")
        told = shell.run("audit", "night", "--json").json

        assert done.code == 4
        assert "1 request in the list; THE LIST MAY NOT BE ALL THERE IS" in done.out
        assert ["1", "$0.15"] == row(done, "paid and on disk")
        assert ["2", "$0.30"] == row(done, "not checked")
        assert "orphans and double payments may be among it" in done.out
        assert "not everything could be checked (exit 4)" in done.out
        assert (told["agrees"], told["lists"][0]["complete"]) == (False, False)


def test_a_list_without_payloads_rules_no_orphan_out(tmp_path: Path) -> None:
    """Our own requests are known by their ids; a stranger's could be anything."""
    with against(tmp_path, replace(QUICK, echo="empty")) as shell:
        shell.run("run", shell.write(takes=1))
        alone = shell.run("audit", "night")
        post(shell, jobs(shell)[0]["payload"])
        done = shell.run("audit", "night")

        assert alone.code == 0
        assert done.code == 4
        assert "1 listed request without a readable payload" in done.out


@pytest.mark.parametrize(
    ("config", "more", "code", "sentence"),
    [
        ({}, {"GMI_API_KEY": "wrong"}, 5, "the provider does not take the key"),
        ({}, {"GMI_API_KEY": ""}, 5, "no API key: set GMI_API_KEY"),
        ({"list_script": ("500",) * 9}, {}, 7, "the provider's list cannot be read"),
    ],
)
def test_without_a_list_there_is_no_account(
    tmp_path: Path, config: dict[str, Any], more: dict[str, str], code: int, sentence: str
) -> None:
    """One sentence, and nothing on stdout that could be taken for agreement."""
    with against(tmp_path, replace(QUICK, **config)) as shell:
        shell.run("run", shell.write(takes=1), "--fresh")
        done = shell.run("audit", "night", **more)

        assert done.code == code
        assert sentence in done.err
        assert done.out == ""


def test_a_campaign_of_the_embedded_emulator_is_audited_too(tmp_path: Path) -> None:
    """It keeps its ledger beside the state table; without it there is nothing to compare with."""
    shell = Shell(tmp_path)
    shell.write(takes=1)
    manifest = tmp_path / "night.yaml"
    manifest.write_text(manifest.read_text().replace("provider: gmi", "provider: emulator"))
    shell.run("run", "night.yaml")
    done = shell.run("audit", "night")
    (tmp_path / "state" / "night.emulator").rename(tmp_path / "elsewhere")
    gone = shell.run("audit", "night")

    assert done.code == 0, done.out + done.err
    assert ["1", "$0.15"] == row(done, "paid and on disk")
    assert gone.code == 8
    assert "the emulator's folder state/night.emulator is gone" in gone.err


def test_why_tells_a_lost_and_found_submission(tmp_path: Path) -> None:
    """From the first byte to the file, with money, evidence and two clocks."""
    with against(tmp_path, replace(QUICK, submit_script=("accept_then_drop",))) as shell:
        shell.run("run", shell.write(takes=1))
        (job,) = jobs(shell)
        done = shell.run("why", "night.yaml", "fox.push", TZ="Asia/Kolkata")
        told = shell.run("why", "night", job["id"], "--json").json
        lines = done.out.splitlines()

        assert done.code == 0, done.err
        assert lines[0] == f"night: {job['id']}"
        assert lines[2].endswith("Z  submitted (attempt 1, $0.15 reserved)")
        assert lines[2][2:10] != lines[2][12:20], "local time and UTC"
        assert "no answer came: whether the provider took it was not known (" in lines[3]
        assert f"found in the provider's list as {job['request_id']}: adopted, nothing paid again" in lines[4]
        assert lines[-2:] == ["now: done: outputs/night/fox/push-t1.mp4, $0.15 paid", "do:  nothing"]
        assert [one["kind"] for one in told["events"]][:3] == ["intent", "unclear", "found"]
        assert (told["spent"], told["do"]) == (0.15, None)


def test_why_of_a_job_that_is_not_there_names_the_way_to_the_list(tmp_path: Path) -> None:
    """Exit 2, no traceback; and several candidates are named."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=2))
        none = shell.run("why", "night", "wolf")
        many = shell.run("why", "night", "fox")

        assert (none.code, many.code) == (2, 2)
        assert none.err == "no job of night begins with 'wolf'; they are: batchrunner jobs night\n"
        assert many.err.startswith("'fox' begins more than one job of night: fox.push.t1-")


@pytest.mark.parametrize("command", ["audit", "why"])
def test_help_has_an_example(tmp_path: Path, command: str) -> None:
    """To copy from."""
    assert f"Example:\n    batchrunner {command} demo" in Shell(tmp_path).run(command, "--help").out


def test_only_the_jobs_own_request_is_adopted(tmp_path: Path) -> None:
    """One of another payload, or one that is not there, is refused; `--force` asks nobody."""
    with against(tmp_path, replace(QUICK, submit_script=("drop",))) as shell:
        shell.run("run", shell.write(takes=1))
        (job,) = jobs(shell)
        other = post(shell, {**job["payload"], "prompt": "something else"})
        wrong = shell.run("resolve", "night", job["id"], "--adopt", other)
        none = shell.run("resolve", "night", job["id"], "--adopt", "nonsense-1")
        odd = shell.run("resolve", "night", job["id"], "--adopt", "a\nb;../x")
        (after,) = jobs(shell)
        forced = shell.run("resolve", "night", job["id"], "--adopt", other, "--force")

    assert (wrong.code, none.code, odd.code) == (2, 2, 2)
    assert f"request {other} was made with something else than {job['id']} (prompt)" in wrong.err
    assert "the provider knows no request 'nonsense-1'" in none.err
    assert "\nb;" not in odd.err
    assert after["state"] == "held"
    assert forced.code == 0, forced.err
