"""One job's story in sentences: every kind of event has one, and the end says what to do."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchrunner.errors import UsageError
from batchrunner.rules.states import EventKind
from batchrunner.store.tables import Store
from batchrunner.telling import NOTES, SENTENCES, Story, Told, read_story, sentence, standing_now, tell
from batchrunner.values import HeldJob, JobState
from tests.fakes import START_US, a_job, a_manifest

PACKAGE = Path(__file__).parent.parent / "batchrunner"
ATTEMPT = {
    "id": 1,
    "number": 2,
    "state": "accepted",
    "reserved_usd_micros": 150_000,
    "cost_usd_micros": None,
    "request_id": "r123",
}
JOB = {
    "id": "fox.push.t1-3f9a2c71",
    "state": "active",
    "file": "fox/push-t1.mp4",
    "reason": None,
    "detail": None,
    "position": 1,
}


def event(kind: str, **changes: Any) -> dict[str, Any]:
    """Return one row of the events table."""
    row = {"at": "2026-11-23T21:03:11.000000Z", "attempt": 1, "reason": None, "detail": "", "evidence": {}}
    return {**row, "kind": kind, **changes}


def said(kind: str, **changes: Any) -> str:
    """Return the sentence for one event."""
    return sentence(Told(event(kind, **changes), ATTEMPT, JOB))


def story(**job: Any) -> Story:
    """Return the story of a job with one open attempt."""
    return Story("night", Path("night.yaml"), Path("outputs/night"), {**JOB, **job}, (ATTEMPT,))


def test_every_kind_of_event_has_a_sentence_of_its_own() -> None:
    """A kind added to the rules is added here, or this fails."""
    assert set(EventKind) == set(SENTENCES)
    told = [said(kind) for kind in EventKind]

    assert len(told) == len(set(told))
    assert all(one and "None" not in one for one in told)


def test_every_note_that_the_code_writes_has_a_sentence() -> None:
    """Read from the source: the literal kinds of `Noted` and `JobRuled`."""
    kinds = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"Noted", "JobRuled"}:
                place = 0 if getattr(node.func, "id", "") == "Noted" else 3
                given = [keyword.value for keyword in node.keywords if keyword.arg == "kind"]
                kind = given[0] if given else node.args[place]
                kinds |= {kind.value} if isinstance(kind, ast.Constant) else set()

    assert kinds
    assert kinds <= set(NOTES), "a note without a sentence"


@pytest.mark.parametrize("kind", sorted(NOTES))
def test_a_note_is_told(kind: str) -> None:
    """Whatever evidence it has or lacks."""
    assert "None" not in said(kind, attempt=None)


def test_a_kind_that_is_not_known_is_told_by_its_name() -> None:
    """A newer version may have written it; a gap would mislead."""
    told = said("image suspected", detail="refused twice", evidence={"who": "ann"})

    assert told == "image suspected (by ann; refused twice)"


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("intent", {}, "submitted (attempt 2, $0.15 reserved)"),
        (
            "accepted",
            {"evidence": {"http_status": 200, "status": "queued"}},
            "taken by the provider as r123 (HTTP 200; 'queued')",
        ),
        (
            "refused",
            {"reason": "rate_limited", "detail": "slow down", "evidence": {"http_status": 429}},
            "refused by the provider, nothing paid (HTTP 429; rate limited; slow down)",
        ),
        (
            "unclear",
            {"reason": "unclear", "detail": "connection lost"},
            "no answer came: whether the provider took it was not known (connection lost)",
        ),
        (
            "found",
            {"evidence": {"request_id": "r9"}},
            "found in the provider's list as r9: adopted, nothing paid again",
        ),
        (
            "found",
            {"evidence": {"who": "ann", "why": "seen in the console"}},
            "adopted as r123 on the word of ann (seen in the console): nothing paid again",
        ),
        (
            "gave up",
            {"detail": "not in the list", "evidence": {"looks": 1}},
            "held for a person, $0.15 at stake (1 look into the list; not in the list)",
        ),
        ("ready", {}, "finished at the provider: $0.15 paid"),
        ("published", {}, "filed as fox/push-t1.mp4: done"),
        (
            "waived",
            {"evidence": {"who": "ann"}},
            "given up by ann; $0.15 count as spent, and the job may try again",
        ),
        ("retry", {"evidence": {"who": "ann"}}, "ann lets it try again, with a fresh count of failures"),
    ],
)
def test_sentences_carry_their_evidence(kind: str, changes: dict[str, Any], words: str) -> None:
    """What happened, what it proves, what it cost."""
    assert words == said(kind, **changes)


def test_a_story_keeps_the_order_in_which_the_table_learnt_it() -> None:
    """Times may jump with the clock; the order of the rows does not."""
    early = event("intent", at="2026-11-23T22:00:00.000000Z")
    late = event("unclear", at="2026-11-23T21:00:00.000000Z")
    one = replace(story(), events=(early, late))

    assert ["submitted (attempt 2, $0.15 reserved)", said("unclear")] == [told.text for told in tell(one)]


HELD_LOST = HeldJob(str(JOB["id"]), "unclear", "not found", None, 150_000)


@pytest.mark.parametrize(
    ("one", "now", "command"),
    [
        (story(), "under way ('accepted'), $0.00 paid, $0.15 reserved", "batchrunner run night.yaml"),
        (story(state="done"), "done: outputs/night/fox/push-t1.mp4, $0.00 paid", ""),
        (
            story(state="failed", detail="moderated"),
            "failed: moderated, $0.00 paid",
            "batchrunner retry night fox.push.t1-3f9a2c71 && batchrunner run night.yaml",
        ),
        (
            replace(story(state="pending"), attempts=()),
            "waits for its first try, $0.00 paid",
            "batchrunner run night.yaml",
        ),
        (
            story(state="pending", position=None),
            "no longer in the manifest: never submitted again, $0.00 paid",
            "",
        ),
        (
            replace(story(state="held", detail="not found"), held=HELD_LOST),
            "held: not found ($0.15 at stake)",
            "batchrunner resolve night fox.push.t1-3f9a2c71 --adopt REQUEST_ID | --resubmit | --abandon",
        ),
    ],
)
def test_a_story_ends_with_how_it_stands_and_what_to_do(one: Story, now: str, command: str) -> None:
    """The exact command, or nothing where nothing is to be done."""
    assert (now, command) == standing_now(one)


def test_a_held_request_with_an_id_is_asked_for_by_the_next_run() -> None:
    """It is paid for: the first advice costs nothing."""
    held = replace(HELD_LOST, request_id="r123")
    _now, command = standing_now(replace(story(state="held"), held=held))

    assert command.startswith("batchrunner run night.yaml   (asks for it again, free; or: ")


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A state table with two jobs that nothing has happened to yet."""
    store = Store(tmp_path / "test.db")
    jobs = [a_job(1), a_job(2)]
    store.record(
        a_manifest(tmp_path), "card", lambda: jobs, output_folder=tmp_path, version="1", now_us=START_US
    )
    store.close()
    return tmp_path


def test_a_job_is_named_by_as_much_as_makes_it_the_only_one(recorded: Path) -> None:
    """And by its whole id."""
    assert read_story(recorded, "test", "a.p.t2").job["id"] == a_job(2).id
    assert read_story(recorded, "test", a_job(1).id).job["id"] == a_job(1).id


@pytest.mark.parametrize(
    ("prefix", "sentence"),
    [("a.p", "begins more than one job of test: a.p.t1"), ("x%", "no job of test begins with 'x%'")],
)
def test_a_prefix_that_names_no_single_job_is_told(recorded: Path, prefix: str, sentence: str) -> None:
    """Exit 2, with the jobs that it may be."""
    with pytest.raises(UsageError, match=sentence):
        read_story(recorded, "test", prefix)


def test_json_has_the_rows_and_the_sentences(recorded: Path) -> None:
    """For scripts: the events as the table has them, money in dollars."""
    found = read_story(recorded, "test", "a.p.t1").as_json()

    assert (found["state"], found["spent"], found["events"]) == (JobState.PENDING, 0.0, [])
    assert found["do"] == f"batchrunner run {recorded / 'm.yaml'}"
