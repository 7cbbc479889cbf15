"""From the rows of the state table to the data of the page: pure, without secrets, money in micro-dollars.

Times are whole milliseconds UTC; the page shows them in the reader's own time zone, so that the same table
gives the same bytes everywhere. A path is relative to the page, and quoted as an address.
"""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from batchrunner.clock import utc_us
from batchrunner.report.gather import Night, Row
from batchrunner.report.marks import TURNS, visible
from batchrunner.report.secrets import REDACTED, shown, shown_value, without
from batchrunner.rules.states import LIVE
from batchrunner.standing import end_words
from batchrunner.store.runs import PastRun
from batchrunner.telling import Story, standing_now, tell
from batchrunner.values import UPLOAD, AttemptState, HeldJob, JobState, canonical
from batchrunner.ways import Way, failed_ways, held_ways, placed

CLIP_SUFFIXES = (".mp4", ".mov")


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields of a model's payload are no settings: its pictures, its words, its seed.

    `words`: parameters in which anything may be written, and which `--redact-prompts` keeps off the page.
    """

    images: frozenset[str] = frozenset({"image_url"})
    prompt: str = "prompt"
    seed: str | None = "seed"
    words: frozenset[str] = frozenset({"negative_prompt"})

    @classmethod
    def of(cls, card: str) -> Fields:
        """Read them from a model card's text."""
        told = json.loads(card)
        rules = told["parameters"]["properties"]
        words = (name for name, rule in rules.items() if rule.get("type") == "string" and "enum" not in rule)
        files = (*told["images"], *(one["field"] for one in told.get("videos", ())))
        return cls(frozenset(files), told["prompt"]["field"], told.get("seed"), frozenset(words))

    def private(self, payload: Mapping[str, Any]) -> dict[str, str]:
        """Return what somebody has written or photographed: prompts, and where pictures are."""
        names = self.images | self.words | {self.prompt}
        return {name: value for name, value in payload.items() if name in names and isinstance(value, str)}

    def settings(self, payload: Mapping[str, Any]) -> dict[str, str]:
        """Return the settings of a payload as texts."""
        left = self.images | {self.prompt, self.seed}
        return {
            name: visible(value if isinstance(value, str) else canonical(value))
            for name, value in payload.items()
            if name not in left and not (isinstance(value, str) and value.startswith(UPLOAD))
        }


@dataclass(frozen=True, slots=True)
class Shelf:
    """What lies on the disk: the clips that are there, and a still for some, by the clip's hash."""

    there: Collection[str]
    stills: Mapping[str, str] = field(default_factory=dict)


def night_data(
    night: Night,
    fields: Fields,
    shelf: Shelf,
    manifest: str,
    state: Path = Path("state"),
    *,
    redact: bool = False,
) -> dict[str, Any]:
    """Return all that the page tells; `manifest` and `state` are how a command names them.

    `redact`: without prompts and the addresses of pictures.
    """
    tries: dict[str, list[Row]] = defaultdict(list)
    for row in night.attempts:
        tries[row["job"]].append(row)
    events: dict[str, list[Row]] = defaultdict(list)
    for row in night.stories:
        events[row["job"]].append(row)
    held = {one.job: one for one in night.held}
    payloads = {row["id"]: _payload(row, tries[row["id"]]) for row in night.jobs}
    private = {job: fields.private(payload) for job, payload in payloads.items()} if redact else {}
    payloads = {
        job: {**one, **dict.fromkeys(private.get(job, ()), REDACTED)} for job, one in payloads.items()
    }
    settings = {job: fields.settings(payload) for job, payload in payloads.items()}
    varied = _varied(settings.values())
    run = f"batchrunner run {shlex.quote(manifest)}"
    maker = _Maker(night, fields, shelf, run, state)
    jobs = []
    for row in night.jobs:
        id_ = row["id"]
        chosen = {name: settings[id_].get(name, "default") for name in varied}
        job = maker.job(row, tries[id_], events[id_], held.get(id_), payloads[id_], chosen)
        jobs.append(without(job, private[id_].values()) if redact else job)
    return {
        "campaign": night.campaign["slug"],
        "model": night.campaign["model"],
        "provider": night.campaign["provider"],
        "version": night.campaign["version"],
        "run": placed(run, state),
        "retry": placed(f"batchrunner retry {night.campaign['slug']} && {run}", state),
        "fetch": placed(f"batchrunner verify {night.campaign['slug']} --fetch", state),
        "asOf": _ms(night.last),
        "runs": [_run(run, redact=redact) for run in night.runs],
        "atWork": night.at_work,
        "unwatched": [[one.from_us // 1000, one.to_us // 1000] for one in night.unwatched],
        "spent": night.totals.spent_micros,
        "reserved": night.totals.reserved_micros,
        "settings": [{"name": name, "values": values} for name, values in varied.items()],
        "jobs": jobs,
    }


@dataclass(frozen=True, slots=True)
class _Maker:
    """Shapes one job after the other."""

    night: Night
    fields: Fields
    shelf: Shelf
    run: str
    state: Path

    def job(
        self,
        row: Row,
        tries: list[Row],
        events: list[Row],
        held: HeldJob | None,
        payload: Mapping[str, Any],
        chosen: Mapping[str, str],
    ) -> dict[str, Any]:
        """Return one job of the page; what is not there is left out."""
        story = Story(
            campaign=self.night.campaign["slug"],
            manifest=Path("-"),
            output=Path(),
            job=row,
            attempts=tuple(tries),
            events=tuple(events),
            held=held,
        )
        told = {
            "id": row["id"],
            "image": row["image"],
            "prompt": row["prompt"],
            "take": row["take"],
            "state": row["state"],
            "listed": row["position"] is not None,
            "seed": row["seed"],
            "set": list(chosen.values()),
            "text": visible(shown(str(payload.get(self.fields.prompt, "")))),
            "ratio": _ratio(payload),
            "payload": _pretty(shown_value(payload)),
            "cut": shown_value(payload) != payload,
            "cost": story.spent_micros,
            "reserved": story.reserved_micros,
            "price": row["cost_usd_micros"],
            "request": next((one["request_id"] for one in reversed(tries) if one["request_id"]), None),
            "why": _why(row, held),
            "now": visible(shown(standing_now(story)[0])) if row["state"] != JobState.DONE else None,
            "stake": held.at_stake_micros if held else None,
            "do": self._ways(row, held),
            "tries": [self._try(one, row) for one in tries],
            "story": [[one.at_us // 1000, visible(shown(one.text))] for one in tell(story)],
            **self._clip(row, tries),
        }
        return {key: value for key, value in told.items() if value not in (None, [], False, "")}

    def _ways(self, row: Row, held: HeldJob | None) -> list[Way]:
        campaign = self.night.campaign["slug"]
        ways: list[Way] = []
        if held is not None:
            ways = held_ways(campaign, held, self.run)
        elif row["state"] == JobState.FAILED:
            ways = failed_ways(campaign, row["id"], self.run)
        return [{**way, "run": placed(way["run"], self.state)} for way in ways]

    def _clip(self, row: Row, tries: list[Row]) -> dict[str, Any]:
        if row["state"] != JobState.DONE:
            return {}
        files: list[dict[str, Any]] = next(
            (one["files"] for one in reversed(tries) if one["state"] == AttemptState.DONE), []
        )
        clips = [one for one in files if one["path"].endswith(CLIP_SUFFIXES)]
        if not clips:
            return {}
        first = clips[0]
        still = self.shelf.stills.get(first["sha256"])
        stem = first["path"].rpartition(".")[0]
        return {
            "clip": quote(first["path"]),
            "more": [quote(one["path"]) for one in clips[1:]],
            "sidecar": quote(f"{stem}.json"),
            "still": quote(still) if still else None,
            "gone": first["path"] not in self.shelf.there,
            "ratio": [first["width"], first["height"]],
            "seconds": first["seconds"],
            "bytes": sum(one["size"] for one in files),
            "sha256": first["sha256"],
        }

    def _try(self, one: Row, row: Row) -> dict[str, Any]:
        """Return one attempt: its times in their order, the last one when it ended or was last seen."""
        state = AttemptState(one["state"])
        seen = one["lost_at"] or row["updated_at"] or one["submitted_at"]
        ended = one["closed_at"] or (self.night.last if state in LIVE else seen)
        times = [one["submitted_at"], one["accepted_at"], one["ready_at"], one["fetched_at"], ended]
        why = None if state is AttemptState.DONE else one["detail"] or (one["reason"] or "").replace("_", " ")
        told = {
            "state": one["state"],
            "at": [_ms(time) for time in times],
            "lost": _ms(one["lost_at"]),
            "why": visible(shown(why)) if why else None,
        }
        return {key: value for key, value in told.items() if value is not None}


def _run(run: PastRun, *, redact: bool) -> dict[str, Any]:
    """Return how a run ended, or that it did not; `redact`: without the particulars."""
    why = end_words(replace(run, detail="") if redact else run)
    told = {
        "began": run.began_us // 1000,
        "wrote": run.last_us // 1000,
        "ended": run.ended_us // 1000 if run.ended_us else None,
        "why": visible(shown(why)) if run.ended_us else None,
        "code": run.exit_code,
    }
    return {key: value for key, value in told.items() if value is not None}


def _payload(row: Row, tries: list[Row]) -> dict[str, Any]:
    """Return what was last sent for a job, else what would be: the same but for the addresses of uploads."""
    payload: dict[str, Any] = json.loads(tries[-1]["payload"] if tries else row["payload"])
    return payload


def _varied(settings: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the settings that are not the same in every job, each with its values in order of appearance."""
    rows = list(settings)
    names = dict.fromkeys(name for row in rows for name in row)
    found = {name: list(dict.fromkeys(row.get(name, "default") for row in rows)) for name in names}
    return {name: values for name, values in found.items() if len(values) > 1}


def _why(row: Row, held: HeldJob | None) -> str | None:
    if row["state"] == JobState.DONE:
        return None
    told = (held.detail or held.reason) if held else (row["detail"] or row["reason"])
    if not told:
        return None
    return visible(shown(str(told).replace("_", " ") if " " not in told else told))


def _ratio(payload: Mapping[str, Any]) -> list[int] | None:
    wide, colon, high = str(payload.get("aspect_ratio", "")).partition(":")
    return [int(wide), int(high)] if colon and wide.isdigit() and high.isdigit() and int(high) else None


def _pretty(payload: Mapping[str, Any]) -> str:
    text = json.dumps(payload, indent=2, sort_keys=True, ensure_ascii=False)
    return TURNS.sub(lambda mark: f"\\u{ord(mark[0]):04x}", text)  # the same to whatever reads JSON


def _ms(text: str | None) -> int | None:
    return utc_us(text) // 1000 if text else None
