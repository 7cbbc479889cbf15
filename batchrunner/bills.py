"""The saved plan: a bill that a person has seen, and that a run holds itself to.

It says what would be sent (a hash over the ordered ids and fingerprints of the jobs to submit) and what that
rests on: the hashes of manifest, card, tables and local pictures, the price, the state table.
Which of the manifest's jobs it means stands in `submit`, as ranges of their positions. So a run can tell what
the plan has done already, and may go on with, from what it never contained. Beside them stand hashes that no
order changes: rows that were only sorted anew are the same jobs, for the same money.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrunner.errors import UsageError
from batchrunner.values import canonical

FORMAT = 3
KIND = "batchrunner_plan"
SIZE_MAX = 256_000_000  # bytes of a plan file: a million jobs at odd positions, and many pictures


@dataclass(frozen=True, slots=True)
class Bill:
    """A saved plan. Paths are relative to the plan file's folder; money in micro-dollars."""

    path: Path
    made_at: str
    version: str
    campaign: str
    model: str
    provider: str
    manifest: str
    manifest_sha256: str  # of its text alone
    card_sha256: str
    tables: Mapping[str, Mapping[str, str]]  # csv, jsonl and text files: path, and the hashes of `Contents`
    pictures: Mapping[str, str]  # path, and the SHA-256 of its bytes
    state: str  # the state table
    price: str
    jobs: int  # of the manifest
    jobs_any_order: str  # a hash over all of them
    reasons: Mapping[str, int]  # why jobs are to be submitted
    cost_micros: int | None
    expected_micros: int | None
    finish_s: float | None
    submit: tuple[tuple[int, int], ...]  # positions in the manifest's order, from 1, both ends included
    submit_sha256: str
    submit_any_order: str

    @property
    def to_submit(self) -> int:
        """How many jobs it is about."""
        return sum(last - first + 1 for first, last in self.submit)

    @property
    def manifest_path(self) -> Path:
        """Where the manifest is."""
        return Path(os.path.normpath(self.path.parent / self.manifest))

    def beside_manifest(self) -> Path:
        """Return where the manifest is, and see that it is there.

        Raises:
            UsageError: it is not; most likely the plan was moved.
        """
        path = self.manifest_path
        if path.is_file():
            return path
        raise UsageError(
            f"{self.path} is a plan of the manifest {self.manifest}, from the plan's own folder on, and "
            f"there is no file {path}: put the plan back where it was made, or make it again: "
            f"batchrunner plan MANIFEST -o {self.path}"
        )


def relative(path: Path, folder: Path) -> str:
    """Return a path as a bill writes it."""
    return os.path.relpath(path.absolute(), folder)


def is_bill(path: Path) -> bool:
    """Tell whether a file looks like a saved plan: by its first bytes, not by its name."""
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip().startswith((f'{{"{KIND}"').encode())
    except OSError:
        return False


def bill_text(bill: Bill) -> str:
    """Return the file's text: JSON with a line for each key, and a seal over all of it."""
    told = _told(bill)
    told["seal"] = _seal(told)
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in told.items()]
    return "{" + ",\n ".join(lines) + "}\n"


def read_bill(path: Path) -> Bill:
    """Read a saved plan.

    Raises:
        UsageError: it is not one, is cut off or was edited, or is of a newer version.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error.strerror}") from error
    again = f"make it again: batchrunner plan MANIFEST -o {path}"
    try:
        told = json.loads(raw)
        seal = told.pop("seal")
        kind = told[KIND]
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} is not a whole plan of batchrunner: {again}") from error
    if kind != FORMAT:
        raise UsageError(f"{path} is a plan of another version ({kind!r}; this one knows {FORMAT}): {again}")
    if seal != _seal(told):
        raise UsageError(f"{path} was edited after it was made: {again}")
    return _bill(path, told)


def _told(bill: Bill) -> dict[str, Any]:
    return {
        KIND: FORMAT,
        "made_at": bill.made_at,
        "version": bill.version,
        "campaign": bill.campaign,
        "model": bill.model,
        "provider": bill.provider,
        "manifest": {"path": bill.manifest, "sha256": bill.manifest_sha256},
        "card": {"sha256": bill.card_sha256},
        "tables": {path: dict(hashes) for path, hashes in bill.tables.items()},
        "pictures": dict(bill.pictures),
        "state": bill.state,
        "price": bill.price,
        "jobs": bill.jobs,
        "jobs_any_order": bill.jobs_any_order,
        "to_submit": bill.to_submit,
        "reasons": dict(bill.reasons),
        "cost_usd_micros": bill.cost_micros,
        "expected_usd_micros": bill.expected_micros,
        "finish": bill.finish_s,
        "submit": {
            "positions": [list(one) for one in bill.submit],
            "sha256": bill.submit_sha256,
            "any_order": bill.submit_any_order,
        },
    }


def _bill(path: Path, told: Mapping[str, Any]) -> Bill:
    return Bill(
        path=path,
        made_at=told["made_at"],
        version=told["version"],
        campaign=told["campaign"],
        model=told["model"],
        provider=told["provider"],
        manifest=told["manifest"]["path"],
        manifest_sha256=told["manifest"]["sha256"],
        card_sha256=told["card"]["sha256"],
        tables=told["tables"],
        pictures=told["pictures"],
        state=told["state"],
        price=told["price"],
        jobs=told["jobs"],
        jobs_any_order=told["jobs_any_order"],
        reasons=told["reasons"],
        cost_micros=told["cost_usd_micros"],
        expected_micros=told["expected_usd_micros"],
        finish_s=told["finish"],
        submit=tuple((first, last) for first, last in told["submit"]["positions"]),
        submit_sha256=told["submit"]["sha256"],
        submit_any_order=told["submit"]["any_order"],
    )


def _seal(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(dict(told)).encode()).hexdigest()
