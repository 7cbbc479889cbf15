"""What the report tells, what it leaves out, and how its files come to be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from batchrunner.cards import load_card
from batchrunner.cli.main import group
from batchrunner.errors import LocalError, UsageError
from batchrunner.files import card_ids, card_text
from batchrunner.report import posters
from batchrunner.report.page import page
from batchrunner.report.secrets import shown
from batchrunner.report.shape import Fields
from batchrunner.report.write import write_report
from batchrunner.standing import settle_command
from batchrunner.store import reading
from batchrunner.store.database import open_readonly
from tests.media.films import film
from tests.report.nights import NightMaker
from tests.shell import Shell, against

HOSTILE = "</script><script>owned=1</script><img src=x onerror=owned=1><!-- <script> & \u2028"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small film."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    path.write_bytes(film())
    return path


def data_of(path: Path) -> dict[str, Any]:
    """Return the data in a page."""
    text = path.read_text(encoding="utf-8")
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    found: dict[str, Any] = json.loads(data)
    return found


def told(maker: NightMaker) -> dict[str, Any]:
    """Write the page of a campaign and return its data."""
    return data_of(write_report(maker.state, maker.campaign))


FATES = {0: "lost", 1: "unfetchable", 2: "failed", 3: "spared", 4: "pending", 5: "active"}


@pytest.fixture
def troubled(tmp_path: Path, clip: Path) -> NightMaker:
    """A campaign of 12 jobs with every kind of trouble once."""
    return NightMaker(tmp_path, [clip], fate=lambda number, _job: FATES.get(number, "done")).make()


def test_every_job_is_told_with_state_payload_seed_and_money(troubled: NightMaker) -> None:
    """In the manifest's order."""
    data = told(troubled)
    states = [job["state"] for job in data["jobs"]]
    done = data["jobs"][-1]

    assert states[:6] == ["held", "held", "failed", "held", "pending", "active"]
    assert states[6:] == ["done"] * 6
    assert json.loads(done["payload"])["seed"] == done["seed"]
    assert done["cost"] == 150_000
    assert done["clip"] == "lighthouse/drift-t2.mp4"
    assert data["spent"] == 150_000 * 7  # six clips, and one that was paid and cannot be had
    assert data["reserved"] == 150_000 * 2


def test_commands_of_the_page_name_a_state_folder_that_is_not_the_usual_one(troubled: NightMaker) -> None:
    """Pasted without it, `run` would make a new state table, and `retry` and `resolve` would find none."""
    elsewhere = troubled.state.rename(troubled.root / "tables")
    data = data_of(write_report(elsewhere, troubled.campaign))
    commands = [way["run"] for job in data["jobs"] for way in job.get("do", ())]

    assert data["run"] == "batchrunner run night.yaml --state tables"
    assert data["retry"] == f"batchrunner retry night --state tables && {data['run']}"
    assert len(commands) > 5
    assert [one for one in commands if "--state tables" not in one] == []


def test_what_failed_and_is_held_has_its_reason_and_its_story(troubled: NightMaker) -> None:
    """A plain job has no story: its times tell it."""
    jobs = told(troubled)["jobs"]

    assert jobs[0]["why"] == "no trace of it in the provider's list after 3 looks"
    assert jobs[0]["stake"] == 150_000
    assert [text for _at, text in jobs[0]["story"]][1].startswith("no answer came")
    assert "content moderation" in jobs[2]["why"]
    assert "story" not in jobs[-1]
    assert jobs[-1]["tries"][0]["at"] == sorted(jobs[-1]["tries"][0]["at"])


def test_the_page_tells_how_the_last_run_ended(tmp_path: Path) -> None:
    """Why, with its exit code; that it was killed; to strangers, without the particulars."""
    stopped = NightMaker(tmp_path / "stopped", stopped="deadline").make()
    last = told(stopped)["runs"][-1]
    redacted = data_of(write_report(stopped.state, "night", redact=True))["runs"][-1]
    killed = told(NightMaker(tmp_path / "killed", killed=True).make())["runs"][-1]

    assert last["began"] < last["ended"]
    assert (last["why"], last["code"]) == ("stopped: deadline: it was so", 10)
    assert redacted["why"] == "stopped: deadline"
    assert killed.keys() == {"began", "wrote"}


def test_marks_that_turn_text_round_are_written_out(tmp_path: Path) -> None:
    """In words, and in the payload in such a way that it stays the same to whatever reads it."""
    words, arabic = "a fox \u202egpj.exe\u202c runs", "\u200fثعلب"
    maker = NightMaker(
        tmp_path,
        prompts=(("push", words), ("drift", arabic)),
        fate=lambda _number, job: f"failed:not allowed: {job.payload['prompt']}",
    ).make()
    first, _, other = told(maker)["jobs"][:3]

    assert not re.search(
        "[\u202a-\u202e\u2066-\u2069]", "".join([first["text"], first["why"], first["payload"]])
    )
    assert first["text"] == "a fox [U+202E]gpj.exe[U+202C] runs"
    assert "not allowed: a fox [U+202E]gpj" in first["why"]
    assert json.loads(first["payload"])["prompt"] == words
    assert other["text"] == arabic


def test_every_command_on_the_page_is_one_that_the_program_takes(troubled: NightMaker) -> None:
    """Parsed by the command line itself, and none is missing that `status` would name."""
    data = told(troubled)
    ways = [way["run"] for job in data["jobs"] for way in job.get("do", ())]
    for line in (*ways, data["run"], data["retry"]):
        for one in line.split(" && "):
            program, name, *words = one.split()
            assert program == "batchrunner"
            command = group.get_command(click.Context(group), name)
            assert command is not None
            words = [word for word in words if not word.endswith(".yaml")] + ["m.yaml"] * ("yaml" in one)
            command.make_context(name, list(words), resilient_parsing=True)
            options = {flag for param in command.params for flag in param.opts}
            assert {word for word in words if word.startswith("--")} <= options
    db = open_readonly(troubled.state / "night.db")
    held = reading.held_jobs(db)
    db.close()
    for one in held:
        mine = " ".join(way["run"] for job in data["jobs"] if job["id"] == one.job for way in job["do"])
        for flag in re.findall(r"--\w+", settle_command("night", one)):
            assert flag in mine


def test_the_same_table_and_clips_give_the_same_bytes(troubled: NightMaker) -> None:
    """And a page that would not change is left alone."""
    path = write_report(troubled.state, "night")
    first, written = path.read_bytes(), path.stat().st_mtime_ns
    write_report(troubled.state, "night")
    untouched = path.stat().st_mtime_ns
    path.unlink()
    stills = {one.name: one.read_bytes() for one in (path.parent / posters.FOLDER).iterdir()}
    for one in (path.parent / posters.FOLDER).iterdir():
        one.unlink()
    write_report(troubled.state, "night")

    assert untouched == written
    assert path.read_bytes() == first
    assert {one.name: one.read_bytes() for one in (path.parent / posters.FOLDER).iterdir()} == stills


def test_text_from_outside_ends_no_element(tmp_path: Path, clip: Path) -> None:
    """The document has the elements of the template and no other."""
    maker = NightMaker(
        tmp_path,
        [clip],
        prompts=(("p", HOSTILE),),
        fate=lambda number, _job: f"failed:{HOSTILE}" if number == 1 else "done",
    ).make()
    path = write_report(maker.state, "night")
    text = path.read_text(encoding="utf-8")

    assert text.count("<script") == 2
    assert "<img" not in text
    assert "\u2028" not in text
    assert data_of(path)["jobs"][0]["text"] == HOSTILE


def test_no_signature_gets_onto_the_page(tmp_path: Path, clip: Path) -> None:
    """Not from a picture's address, and not from the provider's words."""
    maker = NightMaker(
        tmp_path,
        [clip],
        url="https://cdn.example.com/{image}.png?X-Amz-Signature=canary77&part=1",
        fate=lambda number, _job: (
            "failed:at https://ann:canary88@x.test/a?token=canary99 it broke" if number else "done"
        ),
    ).make()
    text = write_report(maker.state, "night").read_text(encoding="utf-8")

    assert "canary" not in text
    assert "https://cdn.example.com/fox.png?[" in text


def test_a_redacted_page_tells_no_prompt_and_no_address_of_a_picture(tmp_path: Path, clip: Path) -> None:
    """Not where the provider quotes it, either; ids, settings and the page of the run stay."""
    prompt = 'Slow push-in on "the fox",\nsoft light'
    maker = NightMaker(
        tmp_path,
        [clip],
        prompts=[
            ("push-in", json.dumps(prompt)[1:-1].replace('\\"', "'").replace("\\n", " ")),
            ("drift", "Fox"),
        ],
        fate=lambda number, job: f"failed:not allowed: {job.payload['prompt']}." if number < 5 else "done",
    ).make()
    full = write_report(maker.state, "night").read_text(encoding="utf-8")
    path = write_report(maker.state, "night", redact=True)
    text = path.read_text(encoding="utf-8")

    assert path.name == "report-redacted.html"
    assert "Slow push-in" in full
    assert not re.search(r"Slow push-in|\bFox\b|example\.com", text)
    jobs = data_of(path)["jobs"]
    assert {json.loads(job["payload"])["prompt"] for job in jobs} == {"[redacted]"}
    assert jobs[0]["why"] == "not allowed: [redacted]."
    assert [job["id"] for job in jobs] == [job["id"] for job in told(maker)["jobs"]]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("https://u:p@x.test/a?b=c#d and more", "https://x.test/a?[…] and more"),
        ("sig=abc token=def", "sig=[…] token=[…]"),
        ("a slow push-in, 5 s = short?", "a slow push-in, 5 s = short?"),
    ],
)
def test_what_may_be_secret_is_left_out_and_the_rest_kept(text: str, safe: str) -> None:
    """Words are not addresses."""
    assert shown(text) == safe


def test_the_policy_allows_the_pages_own_script_and_style_and_no_address() -> None:
    """By hash: whatever else gets in does not run."""
    text = page({"campaign": "x"}).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)

    assert policy.startswith("default-src &#x27;none&#x27;; script-src &#x27;sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.search(r"<[^>]+\s(?:on\w+|style)=", text.split("<style>")[0])


def test_a_clip_that_is_gone_is_told_and_a_clip_without_pictures_has_no_still(
    troubled: NightMaker, clip: Path
) -> None:
    """The page is still whole."""
    done = [job for job in told(troubled)["jobs"] if job["state"] == "done"]
    (troubled.folder / done[0]["clip"]).unlink()
    broken = troubled.folder / done[1]["clip"]
    broken.unlink()
    broken.write_bytes(clip.read_bytes()[:200])
    for still in (troubled.folder / posters.FOLDER).iterdir():
        still.unlink()
    after = [job for job in told(troubled)["jobs"] if job["state"] == "done"]

    assert after[0]["gone"] is True
    assert "still" not in after[1]
    assert (troubled.folder / after[2]["still"]).read_bytes().startswith(b"\xff\xd8\xff")


def test_stills_that_nothing_needs_are_removed_and_strangers_are_not(troubled: NightMaker) -> None:
    """Only files of our own kind of name are touched."""
    write_report(troubled.state, "night")
    folder = troubled.folder / posters.FOLDER
    (folder / f"{'0' * 24}.jpg").write_bytes(b"old")
    (folder / "mine.jpg").write_bytes(b"mine")
    write_report(troubled.state, "night")

    assert not (folder / f"{'0' * 24}.jpg").exists()
    assert (folder / "mine.jpg").exists()


def test_who_will_not_wait_for_stills_gets_a_page_without(troubled: NightMaker) -> None:
    """After a signal the run ends soon."""
    path = write_report(troubled.state, "night", keep_on=lambda: False)

    assert all("still" not in job for job in data_of(path)["jobs"])
    assert any("clip" in job for job in data_of(path)["jobs"])


def test_a_page_is_there_without_the_package_that_decodes(troubled: NightMaker) -> None:
    """In a Python of its own that cannot import it."""
    script = (
        "import sys; sys.modules['av'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'av' else find(name, *more)\n"
        "from pathlib import Path; from batchrunner.report.write import write_report\n"
        f"print(write_report(Path({str(troubled.state)!r}), 'night'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert all("still" not in job for job in data_of(Path(done.stdout.strip()))["jobs"])


def test_what_is_not_there_is_said(tmp_path: Path, troubled: NightMaker) -> None:
    """No table; no folder of clips; no right to write."""
    with pytest.raises(UsageError, match="there is no state table"):
        write_report(tmp_path / "nowhere", "night")
    with pytest.raises(LocalError, match="name the right one with --output"):
        write_report(troubled.state, "night", tmp_path / "nowhere")
    (troubled.folder / "report.html").mkdir()
    with pytest.raises(LocalError, match=r"cannot write the page: .*report\.html"):
        write_report(troubled.state, "night")

    assert not list(troubled.folder.glob(".*.tmp"))


@pytest.mark.parametrize("model", card_ids())
def test_of_every_model_pictures_words_and_seed_are_no_settings(model: str) -> None:
    """The card says which fields these are; everything else is told as a setting."""
    card = load_card(model)
    words = {card.prompt_field: "go", "quality": "540p", "duration": 5}
    payload = {**dict.fromkeys(card.image_fields, "https://x.test/a.png"), **words}
    seeded = {**payload, card.seed_field: 7} if card.seed_field else payload

    assert Fields.of(card_text(model)).settings(seeded) == {"quality": "540p", "duration": "5"}


def test_jobs_that_left_the_manifest_are_shown_as_such(troubled: NightMaker) -> None:
    """What they cost was paid."""
    shorter = NightMaker(troubled.root, images=("fox",), fate=lambda _number, _job: "pending").make()
    listed = [job.get("listed", False) for job in told(shorter)["jobs"]]

    assert listed == [True] * 4 + [False] * 8


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A user's folder in which a small campaign has run to its end."""
    with against(tmp_path_factory.mktemp("user")) as shell:
        yield shell


def test_a_run_ends_with_the_page_and_report_writes_it_again(shell: Shell) -> None:
    """By the campaign's name, by its manifest, and where a run is asked for JSON."""
    ran = shell.run("run", shell.write())
    page_ = shell.folder / "outputs" / "night" / "report.html"
    named, by_manifest = shell.run("report", "night"), shell.run("report", "night.yaml")
    again = shell.run("run", "night.yaml", "--json")

    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "page: outputs/night/report.html"
    assert named.out == by_manifest.out == "outputs/night/report.html\n"
    assert len(data_of(page_)["jobs"]) == 3
    assert again.json["report"] == "outputs/night/report.html"
    assert shell.key.encode() not in page_.read_bytes()
    assert str(shell.folder).encode() not in page_.read_bytes()


def test_a_page_that_cannot_be_written_changes_nothing_of_the_run(tmp_path: Path) -> None:
    """One sentence on stderr; the exit code is the run's own."""
    (tmp_path / "outputs" / "night" / "report.html").mkdir(parents=True)
    with against(tmp_path) as shell:
        done = shell.run("run", shell.write())
        asked = shell.run("report", "night")

        assert done.code == 0
        assert "3 of 3 jobs done" in done.out
        assert "page:" not in done.out
        assert done.err.count("the report page was not written: cannot write the page") == 1
        assert asked.code == 8
