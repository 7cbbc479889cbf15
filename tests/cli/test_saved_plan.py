"""`plan -o` and `run night.plan`: exactly what a person has seen, also after a stop; else nothing at all."""

from __future__ import annotations

import json
import signal
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from batchrunner import Campaign
from batchrunner.bills import read_bill
from batchrunner.errors import CredentialsError, UsageError
from tests.shell import QUICK, Shell, against, wait_for

PNG = b"\x89PNG\r\n\x1a\n" + b"one" + b"IEND\xaeB`\x82"
WITH_A_PICTURE = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
seed: 7
images: [{id: a, file: a.png}, {id: b, url: "https://example.com/b.png"}]
prompts: [{id: push, text: "Slow push-in"}]
"""


def saved(shell: Shell, takes: int = 3) -> None:
    """Save a plan of the small manifest."""
    assert shell.inside("plan", shell.write(takes=takes), "-o", "night.plan").code == 0


def test_a_saved_plan_is_private_and_says_what_it_rests_on(tmp_path: Path) -> None:
    """Reasons, cost, finish; hashes of manifest, card and pictures; nothing is sent or recorded."""
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "night.yaml").write_text(WITH_A_PICTURE, encoding="utf-8")
    done = Shell(tmp_path).inside("plan", "night.yaml", "-o", "night.plan")
    path = tmp_path / "night.plan"
    told = json.loads(path.read_text(encoding="utf-8"))

    assert "saved as night.plan; to do exactly this: batchrunner run night.plan" in done.out.splitlines()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert told["manifest"]["path"] == "night.yaml"
    assert list(told["pictures"]) == ["a.png"]
    assert told["reasons"] == {"new": 2, "changed": 0, "recorded, not sent yet": 0}
    assert (told["to_submit"], told["cost_usd_micros"], told["finish"]) == (2, 300_000, 148.3)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.png", "night.plan", "night.yaml"]


def test_commands_about_a_plan_can_be_pasted(tmp_path: Path) -> None:
    """Names with blanks are quoted, and the folders of the call go along."""
    shell = Shell(tmp_path)
    shell.write(name="night shift.yaml")
    folders = ("--state", "my tables", "--output", "clips")
    done = shell.inside("plan", "night shift.yaml", "-o", "night shift.plan", *folders)
    shell.write(takes=4, name="night shift.yaml")
    changed = shell.inside("run", "night shift.plan", *folders)

    assert (
        "saved as night shift.plan; to do exactly this: "
        "batchrunner run 'night shift.plan' --state 'my tables' --output clips"
    ) in done.out.splitlines()
    assert changed.err.splitlines()[-1].endswith(
        ": batchrunner plan 'night shift.yaml' -o 'night shift.plan'"
    )


def test_a_plan_that_was_stopped_goes_on_with_the_same_file(tmp_path: Path) -> None:
    """What it has done itself does not count against it; at the end it finds all done."""
    with against(tmp_path, replace(QUICK, duration_s=(0.3, 0.6))) as shell:
        saved(shell, takes=12)
        first = shell.start("run", "night.plan")
        wait_for(lambda: shell.ledger()["accepted"] >= 3)
        first.send_signal(signal.SIGINT)
        _out, said = first.communicate(timeout=60)
        on = shell.run("run", "night.plan")
        again = shell.run("run", "night.plan")

        assert first.returncode == 130
        assert said.splitlines()[-1] == "go on with: batchrunner run night.plan"
        assert (on.code, again.code) == (0, 0), on.err
        assert "all 12 jobs done already: 0 submissions, 0 downloads" in again.out
        assert (shell.ledger()["accepted"], shell.charged_at_most_once()) == (12, True)


def test_a_plan_refuses_by_name_whatever_changed_since(tmp_path: Path) -> None:
    """Manifest, a picture's bytes, price, jobs and their cost: exit 2, nothing sent or written."""
    with against(tmp_path) as shell:
        (tmp_path / "a.png").write_bytes(PNG)
        (tmp_path / "night.yaml").write_text(WITH_A_PICTURE, encoding="utf-8")
        shell.inside("plan", "night.yaml", "-o", "night.plan")
        (tmp_path / "a.png").write_bytes(PNG.replace(b"one", b"two"))
        more = "takes: 2\nprice: {per: job, usd: 0.5}\n"
        (tmp_path / "night.yaml").write_text(WITH_A_PICTURE + more, encoding="utf-8")
        done = shell.inside("run", "night.plan")

        assert (done.code, done.out) == (2, "")
        assert done.err.splitlines() == [
            "night.plan holds no more; nothing was sent:",
            "  the manifest night.yaml has changed",
            "  the picture a.png has other bytes",
            "  the price has changed: it was $0.03 a second, from the model's card; listed as $0.03; read "
            "per second, the dearer of two readings; it is $0.5 a job, from the manifest; the model's card: "
            "$0.03 a second",
            "  the manifest had 2 jobs; it has 4",
            "  made now, the plan would be 4 jobs for $2.00 at most; it was 2 for $0.30",
            "look at it again and make a new plan: batchrunner plan night.yaml -o night.plan",
        ]
        assert shell.ledger()["posts"] == 0
        assert not (tmp_path / "state").exists()


def test_a_plan_refuses_jobs_that_it_did_not_have(tmp_path: Path) -> None:
    """A failed job that was let go meanwhile, or another state table, would send more than was seen."""
    with against(tmp_path) as shell:
        shell.inside("plan", shell.write(), "--record")
        with closing(sqlite3.connect(tmp_path / "state" / "night.db")) as db, db:
            db.execute("UPDATE jobs SET state = 'failed' WHERE position = 1")
        saved(shell)
        told = json.loads((tmp_path / "night.plan").read_text(encoding="utf-8"))
        assert shell.inside("retry", "night").code == 0
        more = shell.inside("run", "night.plan")
        other = shell.inside("run", "night.plan", "--state", "other")

        assert told["submit"]["positions"] == [[2, 3]]
        assert (more.code, other.code) == (2, 2)
        assert "1 job would be sent that the plan does not have: fox.push.t1-" in more.err
        assert (
            "the state table is not state/night.db, but other/night.db; the plan's own: --state state"
        ) in other.err
        assert shell.ledger()["posts"] == 0


FROM_TABLES = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
seed: 7
images: {csv: rows/images.csv}
prompts: [{lines: words.txt}, {jsonl: more.jsonl}]
limits: {submits_per_minute: 6000}
"""
TABLES = {
    "rows/images.csv": "id,url,mood\nfox,https://example.com/fox.png,calm\nowl,https://example.com/owl.png,\n",
    "words.txt": "Slow push-in\nPan left\n",
    "more.jsonl": '{"id": "out", "text": "Slow pull-out"}\n',
}


def with_tables(folder: Path) -> None:
    """Write a manifest that takes all its rows from other files, and those."""
    (folder / "rows").mkdir()
    (folder / "night.yaml").write_text(FROM_TABLES, encoding="utf-8")
    for name, text in TABLES.items():
        (folder / name).write_text(text, encoding="utf-8")


def test_a_table_that_was_only_saved_anew_is_what_was_planned(tmp_path: Path) -> None:
    """Line ends, a mark, quotes, another separator, blank lines: the jobs are the same, byte for byte."""
    with against(tmp_path) as shell:
        with_tables(tmp_path)
        shell.inside("plan", "night.yaml", "-o", "night.plan")
        csv = TABLES["rows/images.csv"].replace("calm", '"calm"').replace(",", ";").replace("\n", "\r\n")
        (tmp_path / "rows" / "images.csv").write_bytes(f"\ufeff{csv};;\r\n".encode())
        (tmp_path / "words.txt").write_bytes(b"Slow push-in\r\n\r\nPan left")
        (tmp_path / "more.jsonl").write_text('{"text":"Slow pull-out","id":"out"}', encoding="utf-8")
        done = shell.run("run", "night.plan", "--yes", "--quiet")

        assert done.code == 0, done.err
        assert (shell.ledger()["accepted"], shell.charged_at_most_once()) == (6, True)


def rule(folder: Path, state: str, *, where: str) -> None:
    """Let jobs be in a state, as a run would leave them."""
    with closing(sqlite3.connect(folder / "state" / "night.db")) as db, db:
        db.execute(f"UPDATE jobs SET state = ? WHERE {where}", [state])


def sorted_anew(folder: Path) -> None:
    """Let the rows of a table stand in another order."""
    head, *rows = TABLES["rows/images.csv"].splitlines()
    (folder / "rows" / "images.csv").write_text("\n".join([head, *reversed(rows)]), encoding="utf-8")


SORTED_ANEW = (
    "only the order of the jobs has changed (rows/images.csv has its rows in another order): "
    "each sends what it did"
)


def test_a_table_that_was_sorted_anew_is_what_was_planned(tmp_path: Path) -> None:
    """Its jobs are the same for the same money: it is told, and the plan is done, also after a stop."""
    with against(tmp_path) as shell:
        with_tables(tmp_path)
        shell.inside("plan", "night.yaml", "-o", "night.plan")
        first = shell.run("run", "night.plan", "--max-new", "2", "--quiet")
        sorted_anew(tmp_path)
        done = shell.run("run", "night.plan", "--quiet")

        assert (first.code, done.code) == (10, 0), done.err
        assert f"note: {SORTED_ANEW}" in done.err.splitlines()
        assert (shell.ledger()["accepted"], shell.charged_at_most_once()) == (6, True)


def test_a_plan_of_some_jobs_is_refused_where_an_order_hides_which(tmp_path: Path) -> None:
    """While all of it waits they are known; once a part is done, another job could stand for one of them."""
    shell = Shell(tmp_path, "http://127.0.0.1:1", "key")
    with_tables(tmp_path)
    shell.inside("plan", "night.yaml", "--record")
    rule(tmp_path, "failed", where="image = 'fox'")
    shell.inside("plan", "night.yaml", "-o", "night.plan")
    sorted_anew(tmp_path)
    known = shell.inside("run", "night.plan", "--dry-run")
    rule(tmp_path, "done", where="position = 4")
    unsure = shell.inside("run", "night.plan", "--dry-run")

    assert known.code == 0
    assert f"note: {SORTED_ANEW}" in known.err.splitlines()
    assert (unsure.code, unsure.out) == (2, "")
    assert unsure.err.splitlines()[1:-1] == [
        f"  {SORTED_ANEW}; but not all that was planned still waits, or more does, and which jobs it was "
        "cannot be told"
    ]


def test_a_plan_blames_only_the_table_that_says_something_else(tmp_path: Path) -> None:
    """One that was saved anew, and one that was sorted anew, are beside the point."""
    shell = Shell(tmp_path, "http://127.0.0.1:1", "key")
    with_tables(tmp_path)
    shell.inside("plan", "night.yaml", "-o", "night.plan")
    sorted_anew(tmp_path)
    (tmp_path / "words.txt").write_bytes(b"Slow push-in\r\n\r\nPan left\r\n")
    (tmp_path / "more.jsonl").write_text('{"id": "out", "text": "Slow zoom"}', encoding="utf-8")
    done = shell.inside("run", "night.plan")

    assert done.code == 2
    assert done.err.splitlines()[1:3] == [
        "  more.jsonl has changed",
        "  what the 6 planned jobs would send has changed",
    ]


def test_a_stale_plan_is_told_before_a_missing_key(tmp_path: Path) -> None:
    """To look for a key first, and then to make the plan again, is one way too many."""
    shell = Shell(tmp_path)
    saved(shell)
    keyless = shell.inside("run", "night.plan")
    shell.write(takes=4)
    stale = shell.inside("run", "night.plan")

    assert (keyless.code, stale.code) == (5, 2)
    assert "night.plan holds no more" in stale.err


def test_a_plan_that_held_is_looked_at_again_once_something_has_happened(tmp_path: Path) -> None:
    """By whoever uses it from Python: a failed job that was let go meanwhile is none that was planned."""
    shell = Shell(tmp_path)
    shell.inside("plan", shell.write(), "--record")
    rule(tmp_path, "failed", where="position = 1")
    saved(shell)
    campaign = Campaign(tmp_path / "night.yaml", state=tmp_path / "state")
    bill = read_bill(tmp_path / "night.plan")
    assert campaign.check_bill(bill) == ""
    with pytest.raises(CredentialsError):
        campaign.run(bill=bill)
    assert shell.inside("retry", "night").code == 0

    with pytest.raises(UsageError, match="1 job would be sent that the plan does not have"):
        campaign.run(bill=bill)


def test_a_plan_that_was_moved_says_what_it_is_relative_to(tmp_path: Path) -> None:
    """Its paths begin in its own folder; `rehearse` says so too."""
    shell = Shell(tmp_path)
    saved(shell)
    (tmp_path / "plans").mkdir()
    (tmp_path / "night.plan").rename(tmp_path / "plans" / "night.plan")
    for verb in ("run", "rehearse"):
        done = shell.inside(verb, "plans/night.plan")
        assert (done.code, done.out) == (2, "")
        assert done.err == (
            "plans/night.plan is a plan of the manifest night.yaml, from the plan's own folder on, and there "
            "is no file plans/night.yaml: put the plan back where it was made, or make it again: "
            "batchrunner plan MANIFEST -o plans/night.plan\n"
        )


def test_a_plan_stands_for_its_campaign(tmp_path: Path) -> None:
    """Wherever one is asked about; what needs the manifest itself names it."""
    shell = Shell(tmp_path)
    shell.inside("plan", shell.write(), "--record")
    saved(shell)
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")

    for words in (["status"], ["jobs"], ["export"]):
        assert shell.inside(*words, "night.plan").out == shell.inside(*words, "night").out
    assert shell.inside("why", "night.plan", "fox.push.t1").code == 0
    for verb in ("plan", "validate"):
        wrong = shell.inside(verb, "night.plan")
        assert wrong.code == 2
        assert "night.plan is a saved plan, not a manifest: give night.yaml; " in wrong.err
    other, none = shell.inside("status", "notes.txt"), shell.inside("status", "no/night.plan")
    assert (other.code, none.code) == (2, 2)
    ways = "name a campaign, its manifest (.yaml) or a saved plan of it\n"
    assert other.err == f"notes.txt is neither a manifest nor a saved plan: {ways}"
    assert none.err == f"no/night.plan is no campaign's name, and no file: {ways}"


@pytest.mark.parametrize(
    ("name", "before", "after", "more"),
    [
        ("rows/images.csv", "owl.png", "elk.png", "what the 6 planned jobs would send has changed"),
        ("words.txt", "Pan left\n", "Pan left\nPan right\n", "the manifest had 6 jobs; it has 8"),
        ("more.jsonl", "pull-out", "zoom", "what the 6 planned jobs would send has changed"),
    ],
)
def test_a_plan_names_the_table_that_changed(
    tmp_path: Path, name: str, before: str, after: str, more: str
) -> None:
    """And not the manifest, which has not; exit 2, nothing sent or written."""
    shell = Shell(tmp_path, "http://127.0.0.1:1", "key")
    with_tables(tmp_path)
    shell.inside("plan", "night.yaml", "-o", "night.plan")
    (tmp_path / name).write_text(TABLES[name].replace(before, after), encoding="utf-8")
    done = shell.inside("run", "night.plan")

    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[:3] == [
        "night.plan holds no more; nothing was sent:",
        f"  {name} has changed",
        f"  {more}",
    ]
    assert "the manifest night.yaml" not in done.err
    assert not (tmp_path / "state").exists()


def test_a_changed_row_of_a_job_that_is_done_is_seen_too(tmp_path: Path) -> None:
    """It is none of the planned jobs, and a new one takes its place."""
    shell = Shell(tmp_path, "http://127.0.0.1:1", "key")
    with_tables(tmp_path)
    shell.inside("plan", "night.yaml", "--record")
    rule(tmp_path, "done", where="image = 'fox'")
    shell.inside("plan", "night.yaml", "-o", "night.plan")
    table = TABLES["rows/images.csv"].replace("fox.png", "elk.png")
    (tmp_path / "rows" / "images.csv").write_text(table, encoding="utf-8")
    done = shell.inside("run", "night.plan")

    assert done.code == 2
    assert "  rows/images.csv has changed" in done.err.splitlines()
    assert "3 jobs would be sent that the plan does not have: fox." in done.err


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text[: len(text) // 2], "is not a whole plan of batchrunner"),
        (lambda text: text.replace('"jobs": 3', '"jobs": 4'), "was edited after it was made"),
        (lambda text: text.replace('"batchrunner_plan": 3', '"batchrunner_plan": 9'), "of another version"),
    ],
)
def test_a_plan_that_is_not_whole_is_refused(tmp_path: Path, spoil: object, said: str) -> None:
    """Cut off, edited, or of a version to come."""
    shell = Shell(tmp_path)
    saved(shell)
    path = tmp_path / "night.plan"
    assert callable(spoil)
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    done = shell.inside("run", "night.plan")

    again = shell.inside("plan", "night.yaml", "-o", "night.plan")

    assert done.code == 2
    assert said in done.err
    assert "make it again: batchrunner plan MANIFEST -o night.plan" in done.err
    assert again.code == 0


def test_a_plan_goes_over_an_older_one_and_over_nothing_else(tmp_path: Path) -> None:
    """Neither over a foreign file, nor through a link, nor over the plan of another campaign."""
    shell = Shell(tmp_path)
    saved(shell)
    before = (tmp_path / "night.plan").read_bytes()
    saved(shell, takes=4)
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "link.plan").symlink_to("night.plan")
    other = (tmp_path / "night.yaml").read_text(encoding="utf-8").replace("night", "day")
    (tmp_path / "day.yaml").write_text(other, encoding="utf-8")
    refused = [
        shell.inside("plan", "night.yaml", "-o", "notes.txt"),
        shell.inside("plan", "night.yaml", "-o", "link.plan"),
        shell.inside("plan", "day.yaml", "-o", "night.plan"),
        shell.inside("plan", "night.yaml", "-o", "gone/night.plan"),
    ]

    assert (tmp_path / "night.plan").read_bytes() != before
    assert [(one.code, one.out) for one in refused] == [(2, "")] * 4  # before the work, not after it
    assert refused[0].err == "notes.txt is there already and is not ours to replace: choose another name\n"
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert json.loads((tmp_path / "night.plan").read_text(encoding="utf-8"))["campaign"] == "night"
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
