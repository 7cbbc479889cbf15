"""How a campaign stands, as `status --json` tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchrunner.errors import UsageError
from batchrunner.files import schema_text
from batchrunner.rules.states import EventKind
from batchrunner.standing import Status, read_status
from batchrunner.store.changes import Intended, Moved
from batchrunner.store.tables import Store
from batchrunner.values import Attempt, AttemptState, Job, JobState, Reason
from tests.fakes import START_US, a_job, a_manifest

SCHEMA: dict[str, Any] = json.loads(schema_text("status.schema.json"))


def submitted(job: Job) -> Attempt:
    """Return the first attempt at a job, on the wire."""
    return Attempt(
        id=1,
        job=job.id,
        number=1,
        name=job.name,
        failures=0,
        state=AttemptState.SUBMITTING,
        model=job.model,
        account="org",
        origin="https://x.test",
        payload=job.payload,
        fingerprint=job.fingerprint,
        reserved_micros=150_000,
        submitted_us=START_US,
    )


@pytest.fixture
def status(tmp_path: Path) -> Status:
    """A campaign of two jobs, one of which is held."""
    jobs = [a_job(1), a_job(2)]
    store = Store(tmp_path / "test.db")
    store.record(
        a_manifest(tmp_path), "card", lambda: jobs, output_folder=tmp_path, version="1", now_us=START_US
    )
    attempt = submitted(jobs[0])
    store.commit([Intended(attempt, START_US)])
    lost = replace(attempt, state=AttemptState.UNKNOWN, lost_us=START_US + 1, reason=Reason.UNCLEAR)
    store.commit([Moved(lost, attempt.state, EventKind.UNCLEAR, START_US + 1, JobState.ACTIVE)])
    held = replace(lost, state=AttemptState.HELD)
    store.commit([Moved(held, lost.state, EventKind.GAVE_UP, START_US + 2, JobState.HELD)])
    store.close()
    return read_status(tmp_path, "test")


def properties(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every property of a schema with its path."""
    for name, below in schema.get("properties", {}).items():
        yield f"{path}.{name}", below
        yield from properties(below, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from properties(schema["items"], f"{path}[]")


def test_a_real_status_is_one_by_the_schema(status: Status) -> None:
    """Scripts rest on it; no key more, no key less."""
    Draft202012Validator.check_schema(SCHEMA)

    assert [] == list(Draft202012Validator(SCHEMA).iter_errors(status.as_json()))


def test_the_schema_names_every_state() -> None:
    """A state added to the rules is added there."""
    told = SCHEMA["properties"]

    assert ["total", *map(str, JobState)] == list(told["jobs"]["properties"])
    assert list(map(str, AttemptState)) == list(told["attempts"]["properties"])


@pytest.mark.parametrize(("path", "schema"), list(properties(SCHEMA)))
def test_every_property_is_described_and_its_examples_hold(path: str, schema: Mapping[str, Any]) -> None:
    """By the schema itself."""
    assert schema["description"].endswith("."), path
    assert schema["examples"]
    assert all(Draft202012Validator(schema).is_valid(one) for one in schema["examples"])


def test_a_status_tells_jobs_money_and_what_waits(status: Status) -> None:
    """Dollars, and the command that settles."""
    told = status.as_json()
    job = a_job(1).id

    assert {"total": 2, "pending": 1, "active": 0, "done": 0, "failed": 0, "held": 1} == told["jobs"]
    assert (0.0, 0.15, {"cost": 0.3, "finish": None, "within": None}) == (
        told["spent"],
        told["reserved"],
        told["estimate"],
    )
    assert [
        {
            "job": job,
            "reason": "unclear",
            "at_stake": 0.15,
            "settle": f"batchrunner resolve test {job} --adopt REQUEST_ID | --resubmit | --abandon",
        }
    ] == told["held"]


def test_a_campaign_that_is_not_there_is_told(tmp_path: Path) -> None:
    """And no empty table is left behind."""
    with pytest.raises(UsageError):
        read_status(tmp_path, "gone")

    assert [] == list(tmp_path.iterdir())
