"""`run` as a user sees it: clips, summaries, sentences, exit codes."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from batchrunner import Access, Campaign
from tests.shell import QUICK, Shell, against, wait_for


def test_a_manifest_becomes_clips_and_the_second_run_finds_all_done(tmp_path: Path) -> None:
    """Exit 0 twice; the second time 0 submissions, 0 downloads, and no call at all."""
    with against(tmp_path) as shell:
        first = shell.run("run", shell.write())
        calls = shell.ledger()["requests"]
        second = shell.run("run", "night.yaml")

        assert (first.code, second.code) == (0, 0), first.err
        assert "3 of 3 jobs done" in first.out
        assert "all 3 jobs done already: 0 submissions, 0 downloads" in second.out
        assert shell.clips() == {"push-t1.mp4", "push-t2.mp4", "push-t3.mp4"}
        assert shell.ledger()["requests"] == calls


def test_the_key_reaches_the_api_only(tmp_path: Path) -> None:
    """No request to the storage carries it, and nothing on the disk holds it."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write())
        leaks = shell.ledger()["auth_leaks"]

        assert leaks == 0
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert [path for path in files if shell.key.encode() in path.read_bytes()] == []


def test_dry_run_is_plan_and_sends_nothing(tmp_path: Path) -> None:
    """Options come before side effects: no state, no call."""
    with against(tmp_path) as shell:
        done = shell.run("run", shell.write(), "--dry-run")

        assert done.code == 0
        assert "3  to submit" in done.out
        assert shell.ledger()["posts"] == 0
        assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("script", "code", "sentence"),
    [
        (("401",) * 9, 5, "set a valid GMI_API_KEY"),
        (("402",) * 9, 6, "add credit"),
        (("400",) * 9, 3, "batchrunner retry night"),
        (("ok",), 0, ""),
    ],
)
def test_each_end_has_its_exit_code_and_its_next_step(
    tmp_path: Path, script: tuple[str, ...], code: int, sentence: str
) -> None:
    """The last line says what to do now."""
    with against(tmp_path, replace(QUICK, submit_script=script)) as shell:
        done = shell.run("run", shell.write())

        assert done.code == code
        assert sentence in done.err
        assert "Traceback" not in done.err


def test_no_key_is_one_sentence(tmp_path: Path) -> None:
    """Exit 5, nothing written."""
    done = Shell(tmp_path).run("run", Shell(tmp_path).write())

    assert done.code == 5
    assert done.err.startswith("no API key: set GMI_API_KEY in the environment or in a .env file")
    assert not (tmp_path / "state").exists()


def test_a_key_in_a_dotenv_file_is_read(tmp_path: Path) -> None:
    """And the environment wins over it."""
    with against(tmp_path) as shell:
        (tmp_path / ".env").write_text(
            f"GMI_API_KEY={shell.key}\nGMI_BASE_URL={shell.api}\n", encoding="utf-8"
        )
        bare = Shell(tmp_path)
        right = bare.run("run", bare.write(takes=1))
        wrong = bare.run("run", bare.write(takes=2), GMI_API_KEY="wrong")

        assert right.code == 0
        assert wrong.code == 5


def test_a_wrong_manifest_is_exit_2_with_every_error(tmp_path: Path) -> None:
    """Line, column and path of each; nothing is written."""
    with against(tmp_path) as shell:
        name = shell.write()
        text = (tmp_path / name).read_text(encoding="utf-8").replace("takes: 3", "takes: none\ntake: 3")
        (tmp_path / name).write_text(text, encoding="utf-8")
        done = shell.run("run", name)

        assert done.code == 2
        assert done.err.splitlines() == [
            'night.yaml:6:8: takes: must be a whole number or a list, not "none"',
            'night.yaml:7:1: take: unknown key "take": did you mean "takes"?',
        ]
        assert not (tmp_path / "state").exists()


def test_a_provider_that_is_down_ends_with_exit_7(tmp_path: Path) -> None:
    """After limits.max_outage, with the jobs untouched."""
    shell = Shell(tmp_path, "http://127.0.0.1:9", "k")
    done = shell.run("run", shell.write(limits=", max_outage: 2"))

    assert done.code == 7
    assert "no answer from the provider" in done.out
    assert "go on with: batchrunner run night.yaml" in done.err
    assert shell.run("status", "night", "--json").json["jobs"]["pending"] == 3


def test_a_folder_that_cannot_be_written_is_exit_8(tmp_path: Path) -> None:
    """Before anything is sent."""
    (tmp_path / "outputs").write_text("a file in the way", encoding="utf-8")
    with against(tmp_path) as shell:
        done = shell.run("run", shell.write())

        assert done.code == 8
        assert "cannot write to the folder outputs/night" in done.err
        assert shell.ledger()["posts"] == 0


def test_a_second_runner_is_exit_9_and_names_the_first(tmp_path: Path) -> None:
    """One runner a campaign."""
    with against(tmp_path, replace(QUICK, duration_s=(2.0, 2.0))) as shell:
        first = shell.start("run", shell.write())
        wait_for(lambda: shell.ledger()["accepted"] == 3)
        second = shell.run("run", "night.yaml")
        first.communicate(timeout=60)

        assert second.code == 9
        assert f"process {first.pid} on " in second.err
        assert first.returncode == 0
        assert shell.charged_at_most_once()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_gently_and_the_same_command_goes_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """The POST on the wire is answered and recorded; nothing new starts; the next run finishes."""
    with against(tmp_path, replace(QUICK, post_delay_s=1.0, duration_s=(1.0, 1.0))) as shell:
        running = shell.start("run", shell.write(takes=8))
        wait_for(lambda: shell.ledger()["posts"] >= 4)
        running.send_signal(number)
        _out, err = running.communicate(timeout=60)
        accepted = shell.ledger()["accepted"]
        states = shell.run("status", "night", "--json").json["attempts"]

        assert running.returncode == code
        assert "go on with: batchrunner run night.yaml" in err
        assert accepted == 4
        assert states["accepted"] == 4
        assert states["submitting"] + states["unknown"] == 0
        assert shell.run("run", "night.yaml").code == 0
        assert shell.charged_at_most_once()
        assert len(shell.clips()) == 8


def test_a_second_signal_ends_at_once_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    """The POST in flight becomes unknown, is found by the next run, and is not sent again."""
    with against(tmp_path, replace(QUICK, submit_script=("hang:5", "hang:5"))) as shell:
        running = shell.start("run", shell.write(takes=2))
        wait_for(lambda: shell.ledger()["accepted"] == 2)
        running.send_signal(signal.SIGINT)
        time.sleep(0.3)  # two at once would reach the process as one
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=10)
        states = shell.run("status", "night", "--json").json["attempts"]
        again = shell.run("run", "night.yaml")

        assert running.returncode == 130
        assert states["unknown"] == 2
        assert again.code == 0
        assert "2 submissions in doubt at the start, 0 since: 2 found at the provider" in again.out
        assert shell.ledger()["posts"] == 2


def test_what_cannot_be_found_is_held_with_the_command_that_settles_it(tmp_path: Path) -> None:
    """Exit 4; why, the money at stake, the command; and the command works."""
    with against(tmp_path, replace(QUICK, submit_script=("drop",))) as shell:
        held = shell.run("run", shell.write(takes=1))
        listed = shell.run("jobs", "night", "--state", "held")
        job = held.out.split("held  ")[1].split(":")[0]
        settled = shell.run("resolve", "night", job, "--resubmit", "--why", "not in the console")
        again = shell.run("run", "night.yaml")

        assert held.code == 4
        assert "($0.15 at stake)" in held.out
        resolve = f"        batchrunner resolve night {job} --"
        ways = [line for line in held.out.splitlines() if line.startswith(resolve)]
        assert [way.removeprefix(resolve).partition("  # ")[0] for way in ways] == [
            *("adopt REQUEST_ID", "resubmit", "abandon")
        ]
        assert "may pay twice" in ways[1]
        assert listed.out.startswith("held")
        assert settled.code == 0, settled.err
        assert again.code == 0
        assert "spent $0.30 in all" in again.out


def test_failed_jobs_try_again_after_retry(tmp_path: Path) -> None:
    """`retry` makes them pending with a fresh count."""
    with against(tmp_path, replace(QUICK, submit_script=("400",))) as shell:
        failed = shell.run("run", shell.write(takes=2))
        retried = shell.run("retry", "night")
        again = shell.run("run", "night.yaml")

        assert failed.code == 3
        assert retried.out == "1 job will try again in the next run\n"
        assert again.code == 0


def test_state_and_output_on_the_command_line_win(tmp_path: Path) -> None:
    """Flag over environment over manifest."""
    with against(tmp_path) as shell:
        done = shell.run(
            "run",
            shell.write(takes=1),
            "--state",
            "s",
            "--output",
            "o",
            BATCHRUNNER_OUTPUT="x",
            BATCHRUNNER_STATE="y",
        )

        assert done.code == 0
        assert (tmp_path / "s" / "night.db").exists()
        assert (tmp_path / "o" / "night" / "fox" / "push-t1.mp4").exists()
        assert not (tmp_path / "x").exists()


def test_run_answers_in_json(tmp_path: Path) -> None:
    """One document on stdout, nothing else there."""
    with against(tmp_path) as shell:
        found = shell.run("run", shell.write(), "--json").json

        assert found["exit_code"] == 0
        assert found["submissions"] == 3
        assert found["spent"] == pytest.approx(0.45)


def test_a_foreign_file_is_never_overwritten(tmp_path: Path) -> None:
    """The clip takes the next name."""
    mine = tmp_path / "outputs" / "night" / "fox" / "push-t1.mp4"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1))
        (row,) = [json.loads(line) for line in shell.run("jobs", "night", "--json").out.splitlines()]

        assert mine.read_bytes() == b"mine"
        assert row["file"] == f"fox/push-t1-{row['id'].rpartition('-')[2]}.mp4"


def test_a_page_in_place_of_a_clip_is_not_taken_for_one(tmp_path: Path) -> None:
    """Fetched again; three times a page, and the job is held: paid, and not lost."""
    with against(tmp_path, replace(QUICK, media_script=("html",) * 9)) as shell:
        done = shell.run("run", shell.write(takes=1))

        assert done.code == 4
        assert "not a video" in done.out
        assert shell.clips() == set()
        assert shell.ledger()["posts"] == 1


def test_the_state_table_is_plain_sqlite(tmp_path: Path) -> None:
    """Any tool reads it: attempts with request id, times and cost, and a row for every change."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1))
        db = sqlite3.connect(tmp_path / "state" / "night.db")
        kinds = [kind for (kind,) in db.execute("SELECT kind FROM events ORDER BY id")]
        (row,) = db.execute("SELECT state, cost_usd_micros, request_id IS NOT NULL FROM attempts").fetchall()
        db.close()

        assert kinds == ["run", "intent", "accepted", "ready", "fetched", "published", "run ended"]
        assert row == ("done", 150_000, 1)


def test_output_into_a_closed_pipe_does_not_end_in_a_traceback(tmp_path: Path) -> None:
    """`jobs | head -1` is fine."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=3))
        jobs = shell.start("jobs", "night")
        assert jobs.stdout is not None
        assert jobs.stderr is not None
        jobs.stdout.close()
        err = jobs.stderr.read()
        jobs.wait(timeout=30)
        jobs.stderr.close()

        assert "Traceback" not in err


def test_the_embedded_emulator_goes_with_the_run(tmp_path: Path) -> None:
    """`provider: emulator` needs no key and leaves no process behind."""
    shell = Shell(tmp_path)
    shell.write(takes=1)
    text = (
        (tmp_path / "night.yaml").read_text(encoding="utf-8").replace("provider: gmi", "provider: emulator")
    )
    (tmp_path / "night.yaml").write_text(text, encoding="utf-8")
    done = shell.run("run", "night.yaml")
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout

    assert done.code == 0, done.err
    assert shell.clips() == {"push-t1.mp4"}
    assert not [
        line for line in listed.splitlines() if "batchrunner.emulator" in line and str(tmp_path) in line
    ]


def test_finished_clips_that_are_gone_are_told(tmp_path: Path) -> None:
    """Nothing is done again by itself, and nothing is called done that is not there."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=2))
        (tmp_path / "outputs" / "night" / "fox" / "push-t1.mp4").unlink()
        done = shell.run("run", "night.yaml")

        assert done.code == 8
        assert "1 finished clip not in outputs/night any more: fox/push-t1.mp4" in done.out
        assert "put the missing files back" in done.err
        assert shell.ledger()["posts"] == 2


def test_an_empty_base_url_is_not_the_paid_queue(tmp_path: Path) -> None:
    """A variable that a script forgot to fill must not cost money."""
    shell = Shell(tmp_path)
    done = shell.run("run", shell.write(), GMI_API_KEY="k", GMI_BASE_URL="")

    assert done.code == 2
    assert "GMI_BASE_URL is set but empty" in done.err


def test_a_submission_in_doubt_says_until_when_it_is_looked_for(tmp_path: Path) -> None:
    """Silence for an hour would look like a hang."""
    with against(tmp_path, replace(QUICK, submit_script=("drop",))) as shell:
        done = shell.run("run", shell.write(takes=1))

        assert "looking for it in the provider's list until " in done.err


def test_jobs_tell_the_request_id(tmp_path: Path) -> None:
    """Which is what the provider's console and `resolve --adopt` speak of."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1))
        (row,) = [json.loads(line) for line in shell.run("jobs", "night", "--json").out.splitlines()]

        assert len(row["request_id"]) == 36


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_run_whose_streams_are_closed_does_its_work(tmp_path: Path, closed: str) -> None:
    """As a daemon may start it: there is nobody to tell, and everything to do."""
    with against(tmp_path) as shell:
        command = [sys.executable, "-m", "batchrunner", "run", shell.write(), "--yes"]
        launch = ["sh", "-c", f'exec "$@" {closed}', "sh", *command]
        done = subprocess.run(launch, cwd=tmp_path, env=shell.environment(), check=False, timeout=60)

        assert done.returncode == 0
        assert len(shell.clips()) == 3


def test_a_stop_that_comes_while_the_run_begins_is_not_lost(tmp_path: Path) -> None:
    """Between the lock and the first tick lies a second: Ctrl-C in it must not let a night begin."""
    with against(tmp_path) as shell:
        access = Access(key=shell.key, base_url=shell.api)
        campaign = Campaign(
            tmp_path / shell.write(takes=2),
            state=tmp_path / "state",
            output=tmp_path / "outputs",
            access=access,
        )
        campaign.stop()
        stopped = campaign.run()
        posts = shell.ledger()["posts"]
        ended = campaign.run()

    assert (stopped.exit_code, stopped.stop, posts) == (130, "signal", 0)
    assert ended.exit_code == 0
