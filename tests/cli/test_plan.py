"""`plan` as a user sees it: one screen, JSON, every job, the record, and what differs from it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchrunner.files import card_text, schema_text
from batchrunner.values import fingerprint
from tests.shell import Shell, against

SCHEMA: dict[str, Any] = json.loads(schema_text("plan.schema.json"))
WIDE = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
seed: 7
takes: 2
images:
{images}
prompts: [{{id: push, text: "{text}"}}, {{id: pan, text: "Pan left"}}]
matrix: {{quality: [360p, 540p]}}
"""


def write(folder: Path, text: str = "Slow push-in", images: int = 6) -> str:
    """Write a manifest of some images, two prompts, two qualities and two takes."""
    rows = "\n".join(f'  - {{id: i{n}, url: "https://example.com/{n}.png"}}' for n in range(1, images + 1))
    (folder / "night.yaml").write_text(WIDE.format(images=rows, text=text), encoding="utf-8")
    return "night.yaml"


def ended(folder: Path, *, prompt: str) -> None:
    """Make the recorded jobs of a prompt look done; each was paid for once."""
    with closing(sqlite3.connect(folder / "state" / "night.db")) as db, db:
        db.execute("UPDATE jobs SET state = 'done' WHERE prompt = ?", [prompt])


def test_the_plan_is_one_screen_by_image_prompt_and_setting(tmp_path: Path) -> None:
    """Long lists are cut, with what the rest comes to."""
    done = Shell(tmp_path).inside("plan", write(tmp_path, images=200))

    assert done.code == 0
    assert done.out.splitlines() == [
        "night: 1,600 jobs on pixverse-v5.6-i2v (gmi)",
        "  1,600  new",
        "  1,600  to submit",
        "  images   i1                8 jobs  at most $1.20",
        "           i2                8 jobs  at most $1.20",
        "           i3                8 jobs  at most $1.20",
        "           … 197 more    1,576 jobs  at most $236.40",
        "  prompts  push            800 jobs  at most $120.00",
        "           pan             800 jobs  at most $120.00",
        "  settings quality 360p    800 jobs  at most $120.00",
        "           quality 540p    800 jobs  at most $120.00",
        "  at most $240.00 still to pay ($0.03 a second, from the model's card; listed as $0.03; "
        "read per second, the dearer of two readings)",
        "  done in about 18 h of running (4 h 43 min to 4.2 days), by the card's rule of thumb "
        "of 60 to 300 s a clip",
        "  spent so far $0.00",
        "Nothing was sent.",
    ]
    assert not (tmp_path / "state").exists()


def test_a_plan_in_the_middle_of_a_night_fits_a_terminal_too(tmp_path: Path) -> None:
    """24 lines of 80: where there is more to tell, fewer images, prompts and settings are told singly."""
    shell = Shell(tmp_path)
    write(tmp_path, images=60)
    path = tmp_path / "night.yaml"
    prompts = ", ".join(f'{{id: p{n}, text: "Turn {n} degrees"}}' for n in range(18))
    text = path.read_text(encoding="utf-8").replace("[360p, 540p]", "[360p, 540p, 720p, 1080p]")
    path.write_text(text.replace('"Pan left"}', f'"Pan left"}}, {prompts}'), encoding="utf-8")
    assert shell.inside("plan", "night.yaml", "--record").code == 0
    with closing(sqlite3.connect(tmp_path / "state" / "night.db")) as db, db:
        for number, state in enumerate(("done", "failed", "held", "active"), 1):
            db.execute("UPDATE jobs SET state = ? WHERE image = ?", [state, f"i{number}"])
    path.write_text(path.read_text(encoding="utf-8").replace("id: i9,", "id: nine,"), encoding="utf-8")
    small = shell.run("plan", "night.yaml", LINES="24", COLUMNS="80").out.splitlines()
    large = shell.run("plan", "night.yaml", LINES="60", COLUMNS="80").out.splitlines()

    heights = [sum(-(-len(line) // 80) for line in lines) for lines in (small, large)]
    assert heights[0] < 24 < heights[1]
    assert "           … 59 more     9,440 jobs  " in "\n".join(small)
    assert len([line for line in large if line.startswith("           ")]) == 9


def test_long_names_do_not_break_the_screen(tmp_path: Path) -> None:
    """No line of images, prompts and settings needs two of the terminal's; what tells them apart stays."""
    shell = Shell(tmp_path)
    path = tmp_path / write(tmp_path, images=60)
    path.write_text(
        path.read_text(encoding="utf-8").replace(
            "matrix: {quality: [360p, 540p]}",
            "matrix: {quality: [360p, 540p], generate_audio_switch: [true, false]}",
        ),
        encoding="utf-8",
    )
    assert shell.inside("plan", "night.yaml", "--record").code == 0
    ended(tmp_path, prompt="pan")
    small = shell.run("plan", "night.yaml", LINES="24", COLUMNS="80").out.splitlines()
    rows = [line for line in small if " jobs  " in line]

    assert sum(-(-len(line) // 80) for line in small) < 24
    assert max(map(len, rows)) <= 80
    settings = [line.removeprefix("  settings").strip() for line in rows if "quality" in line]
    assert len({line.partition("  ")[0] for line in settings}) == len(settings) == 4


def test_recording_writes_the_jobs_and_then_changes_are_told_with_their_price(tmp_path: Path) -> None:
    """New, unchanged, changed and gone; what was paid for as it was is paid for again."""
    shell = Shell(tmp_path)
    recorded = shell.inside("plan", write(tmp_path), "--record")
    ended(tmp_path, prompt="push")
    write(tmp_path, text="Slow pull-out", images=7)
    changed = shell.inside("plan", "night.yaml", "--json")

    assert (recorded.code, recorded.out.splitlines()[-2:]) == (
        0,
        ["recorded in state/night.db", "Nothing was sent."],
    )
    told = changed.json
    assert [told[name] for name in ("jobs", "new", "changed", "unchanged", "gone")] == [56, 8, 24, 24, 0]
    assert (told["cost"], told["again"], told["to_submit"]) == (8.4, 3.6, 56)
    assert told["by"]["image"][6] == {"image": "i7", "jobs": 8, "to_submit": 8, "cost": 1.2}
    assert list(Draft202012Validator(SCHEMA).iter_errors(told)) == []
    assert shell.inside("status", "night", "--json").json["jobs"]["pending"] == 24


def test_what_is_expected_rests_on_what_ended(tmp_path: Path) -> None:
    """A quarter of what ended failed and cost nothing: a quarter less is expected."""
    shell = Shell(tmp_path)
    shell.inside("plan", write(tmp_path), "--record")
    with closing(sqlite3.connect(tmp_path / "state" / "night.db")) as db, db:
        db.execute("UPDATE jobs SET state = 'done' WHERE image IN ('i1', 'i2', 'i3')")
        db.execute("UPDATE jobs SET state = 'failed' WHERE image = 'i4'")
        db.execute(
            """INSERT INTO attempts (job, number, state, model, account, origin, payload, fingerprint, epoch)
               SELECT id, 1, 'submitting', model, '', '', payload, '', 1 FROM jobs WHERE state = 'done'"""
        )
        db.execute("UPDATE attempts SET cost_usd_micros = 150000")
    told = shell.inside("plan", "night.yaml")

    assert (
        "  as expected $1.80 ($1.27 to $2.30): of 32 jobs that ended here 25.0% failed (8); "
        "$3.60 of $4.80 was paid" in told.out.splitlines()
    )
    assert shell.inside("plan", "night.yaml", "--json").json["expected_range"] == [1.265245, 2.298392]


def test_the_finish_is_where_the_budget_ends_it(tmp_path: Path) -> None:
    """After so many jobs, in less time than all would take; with a budget for all, nothing is said of it."""
    shell = Shell(tmp_path)
    path = tmp_path / write(tmp_path)
    whole = shell.inside("plan", path.name, "--json").json
    path.write_text(path.read_text(encoding="utf-8") + "limits: {budget: 2.0}\n", encoding="utf-8")
    short = shell.inside("plan", path.name)
    told = shell.inside("plan", path.name, "--json").json
    more = shell.inside("run", path.name, "--dry-run", "--budget", "2.30").out
    none = shell.inside("run", path.name, "--dry-run", "--budget", "0.10").out

    assert (whole["within"], told["within"]) == (None, 13)
    assert "  the budget ends it after about 13 jobs, in about " in short.out
    assert told["finish"] < whole["finish"]
    assert list(Draft202012Validator(SCHEMA).iter_errors(told)) == []
    assert "the budget ends it after about 15 jobs" in more
    assert "no job fits into what is left of the budget" in none


def test_before_the_first_run_the_finish_rests_on_the_card(tmp_path: Path) -> None:
    """And not where a stand-in on this machine answers, whose pace is its own."""
    shell = Shell(tmp_path)
    first = shell.inside("plan", write(tmp_path))
    low_s, high_s = shell.inside("plan", "night.yaml", "--json").json["finish_range"]
    local = Shell(tmp_path, api="http://127.0.0.1:1", key="k").run("plan", "night.yaml")

    assert "by the card's rule of thumb of 60 to 300 s a clip" in first.out
    assert 60 < low_s < high_s
    assert "done in about" not in local.out


@pytest.mark.parametrize(("usd", "cost"), [(0.01, 7.2), (0.05, 12.0)])
def test_of_two_prices_the_dearer_one_counts_and_both_are_told(
    tmp_path: Path, usd: float, cost: float
) -> None:
    """A pulled card differs from the one that ships; the manifest overrules both."""
    card = json.loads(card_text("pixverse-v5.6-i2v"))
    card["price"] = {"per": "second", "usd": usd}
    (tmp_path / "pulled.json").write_text(json.dumps(card))
    name = write(tmp_path)
    path = tmp_path / name
    path.write_text(path.read_text(encoding="utf-8") + "card: pulled.json\n", encoding="utf-8")
    told = Shell(tmp_path).inside("plan", name, "--json").json
    path.write_text(path.read_text(encoding="utf-8") + "price: {per: job, usd: 0.02}\n", encoding="utf-8")
    own = Shell(tmp_path).inside("plan", name, "--json").json

    assert told["cost"] == cost
    ours = f"${usd} a second, from the model's card"
    assert told["price"] == f"{ours}; the card that ships says $0.03 a second: the dearer one counts"
    assert own["cost"] == round(0.02 * own["to_submit"], 2)
    assert own["price"] == f"$0.02 a job, from the manifest; the model's card: ${usd} a second"


def test_every_job_is_a_line_with_its_exact_payload(tmp_path: Path) -> None:
    """And its fingerprint is that of model and payload."""
    done = Shell(tmp_path).inside("plan", write(tmp_path), "--jobs")
    rows = [json.loads(line) for line in done.out.splitlines()]

    assert (done.code, len(rows)) == (0, 48)
    assert {row["change"] for row in rows} == {"new"}
    assert all(row["fingerprint"] == fingerprint(row["model"], row["payload"]) for row in rows)
    assert rows[0]["payload"] == {
        "image_url": "https://example.com/1.png",
        "prompt": "Slow push-in",
        "duration": "5",
        "aspect_ratio": "16:9",
        "quality": "360p",
        "seed": rows[0]["seed"],
    }


def test_a_reader_that_goes_ends_the_list_quietly(tmp_path: Path) -> None:
    """As with `| head`, also where there is a state table."""
    shell = Shell(tmp_path)
    shell.inside("plan", write(tmp_path, images=200), "--record")
    running = shell.start("plan", "night.yaml", "--jobs")
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    said = running.stderr.read()
    running.stderr.close()

    assert running.wait(60) in {0, 1}  # never 8: the table is well
    assert said == ""


def test_the_detailed_exit_code_says_what_a_run_would_have_to_do(tmp_path: Path) -> None:
    """As the run itself would end: nothing, failed, held, work left."""
    shell = Shell(tmp_path)
    shell.inside("plan", write(tmp_path, images=1), "--record")
    cases = {("done",): 0, ("done", "failed"): 3, ("failed", "held"): 4, ("held", "active"): 10}
    found = {}
    for states in cases:
        with closing(sqlite3.connect(tmp_path / "state" / "night.db")) as db, db:
            for number, state in enumerate(states):
                db.execute("UPDATE jobs SET state = ? WHERE position > ?", [state, number])
        found[states] = shell.inside("plan", "night.yaml", "--detailed-exitcode").code

    assert found == cases


@pytest.mark.parametrize(("state", "code"), [("held", 4), ("active", 10), ("failed", 0), ("pending", 0)])
def test_what_a_run_still_sees_to_counts_though_the_manifest_has_it_no_more(
    tmp_path: Path, state: str, code: int
) -> None:
    """Words, JSON and exit code say the same; of the changed and the gone, each job once."""
    shell = Shell(tmp_path)
    shell.inside("plan", write(tmp_path, images=3), "--record")
    ended(tmp_path, prompt="push")
    ended(tmp_path, prompt="pan")
    with closing(sqlite3.connect(tmp_path / "state" / "night.db")) as db, db:
        db.execute("UPDATE jobs SET state = ? WHERE image = 'i3'", [state])
    told = shell.inside("plan", write(tmp_path, images=2), "--detailed-exitcode")
    as_json = shell.inside("plan", "night.yaml", "--json").json
    changed = shell.inside("plan", write(tmp_path, images=3, text="Slow pull-out")).out.splitlines()

    assert told.code == code
    assert "   8  more are recorded and no longer in the manifest (kept)" in told.out.splitlines()
    assert as_json["gone"] == 8
    assert as_json["outside"] == {"active": 8 * (code == 10), "held": 8 * (code == 4)}
    assert list(Draft202012Validator(SCHEMA).iter_errors(as_json)) == []
    assert "  12  changed since they were recorded (what they were before is kept)" in changed
    assert not any("no longer in the manifest (kept)" in line for line in changed)


def test_a_wrong_manifest_is_still_exit_2(tmp_path: Path) -> None:
    """So that a script can tell work from a mistake."""
    (tmp_path / "night.yaml").write_text("version: 1\n", encoding="utf-8")

    assert Shell(tmp_path).inside("plan", "night.yaml", "--detailed-exitcode").code == 2


def test_frozen_holds_while_what_would_be_sent_is_the_same(tmp_path: Path) -> None:
    """Comments, limits and the order of rows are nothing that is sent."""
    shell = Shell(tmp_path)
    nothing = shell.inside("plan", write(tmp_path), "--frozen")
    shell.inside("plan", "night.yaml", "--record")
    path = tmp_path / "night.yaml"
    rows = path.read_text(encoding="utf-8").splitlines()
    rows[6], rows[7] = rows[7], rows[6]
    path.write_text("# a comment\n" + "\n".join(rows) + "\nlimits: {in_flight: 2}\n", encoding="utf-8")
    same = shell.inside("plan", "night.yaml", "--frozen")

    assert (nothing.code, nothing.err) == (
        2,
        "nothing was recorded of night yet; record it: batchrunner plan night.yaml --record\n",
    )
    assert (same.code, same.err) == (0, "")


def test_frozen_names_the_first_jobs_that_would_be_sent_otherwise(tmp_path: Path) -> None:
    """With what is recorded in their place; and what is only gone is told too. Nothing is recorded anew."""
    shell = Shell(tmp_path)
    shell.inside("plan", write(tmp_path), "--record")
    write(tmp_path, text="Slow push-in.")
    changed = shell.inside("plan", "night.yaml", "--frozen", "--record", "-o", "n.plan")
    gone = shell.inside("plan", write(tmp_path, images=5), "--frozen")

    lines = changed.err.splitlines()
    assert (changed.code, changed.out) == (2, "")
    assert lines[:3] == [
        "night.yaml: not what was recorded of night; nothing was sent:",
        "  24 jobs would be sent that are not recorded so",
        "  24 recorded jobs would not be sent",
    ]
    assert lines[3].startswith("  i1.push.t1-")
    assert lines[3].endswith(' has prompt "Slow push-in", not "Slow push-in."')
    assert len(lines) == 8
    assert gone.code == 2
    assert "  8 recorded jobs would not be sent" in gone.err.splitlines()
    assert ": recorded, and not in the manifest" in gone.err
    assert not (tmp_path / "n.plan").exists()


def test_other_bytes_in_a_picture_are_seen_by_frozen(tmp_path: Path) -> None:
    """A local picture is sent by its content."""
    shell = Shell(tmp_path)
    png = b"\x89PNG\r\n\x1a\n" + b"one" + b"IEND\xaeB`\x82"
    (tmp_path / "a.png").write_bytes(png)
    text = WIDE.format(images="  - {id: a, file: a.png}", text="Slow push-in")
    (tmp_path / "night.yaml").write_text(text, encoding="utf-8")
    shell.inside("plan", "night.yaml", "--record")
    before = shell.inside("plan", "night.yaml", "--frozen")
    (tmp_path / "a.png").write_bytes(png.replace(b"one", b"two"))
    after = shell.inside("plan", "night.yaml", "--frozen")

    assert (before.code, after.code) == (0, 2)
    assert 'has image_url "upload:' in after.err


def test_a_table_that_was_lost_still_looks_lost_after_the_plan_was_recorded(tmp_path: Path) -> None:
    """Else the next run would not look for what the old table had paid for."""
    shell = Shell(tmp_path)
    shell.inside("plan", write(tmp_path), "--record")
    (tmp_path / "state" / "night.db").unlink()
    shell.inside("plan", "night.yaml", "--record")
    noted = json.loads((tmp_path / "state" / "night.lock").read_text(encoding="utf-8"))["epoch"]
    with closing(sqlite3.connect(tmp_path / "state" / "night.db")) as db, db:
        (epoch,) = db.execute("SELECT epoch FROM campaign").fetchone()

    assert epoch + 1 <= noted  # the next run has this epoch, and knows by it that something was forgotten


def test_manifest_and_card_are_kept_as_they_were(tmp_path: Path) -> None:
    """Texts and hashes: from these a plan can be made again."""
    Shell(tmp_path).inside("plan", write(tmp_path), "--record")
    with closing(sqlite3.connect(tmp_path / "state" / "night.db")) as db, db:
        manifest, card = db.execute("SELECT manifest_text, card_text FROM campaign").fetchone()

    assert manifest == (tmp_path / "night.yaml").read_text(encoding="utf-8")
    assert json.loads(card)["id"] == "pixverse-v5.6-i2v"


def test_a_budget_that_ends_before_the_jobs_do_is_told(tmp_path: Path) -> None:
    """Who goes to bed should know that the night ends early."""
    path = tmp_path / write(tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}limits: {{budget: 7.00}}\n", encoding="utf-8")
    short = Shell(tmp_path).inside("plan", "night.yaml")
    path.write_text(f"{text}limits: {{budget: 7.20}}\n", encoding="utf-8")
    enough = Shell(tmp_path).inside("plan", "night.yaml")

    assert "  the budget may be $0.20 short of all this: a run stops there, and exits with 6\n" in short.out
    assert "short" not in enough.out


def test_clips_of_the_emulator_never_count_as_delivered_by_the_paid_queue(tmp_path: Path) -> None:
    """The provider's word alone is changed: refused, by plan and by run, before anything is sent."""
    with against(tmp_path) as shell:
        path = tmp_path / shell.write(takes=1)
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("provider: gmi", "provider: emulator"), encoding="utf-8")
        assert shell.run("run", path.name, "--quiet").code == 0
        path.write_text(text, encoding="utf-8")
        planned, run = shell.inside("plan", path.name), shell.run("run", path.name, "--yes")

        assert (planned.code, run.code) == (2, 2)
        assert "was made by the emulator: give the campaign another name" in planned.err
        assert shell.ledger()["posts"] == 0
