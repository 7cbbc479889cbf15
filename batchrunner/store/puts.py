"""Statements that add a row or overwrite the one with its key.

Not sqlite-utils' `upsert`: that finds out by trying whether SQLite knows ON CONFLICT, takes a full disk for a
no, and goes on with INSERT OR IGNORE, which drops a row with a missing value without a word. A run then found
no jobs, and ended with "all 0 jobs done".
"""

from __future__ import annotations


def _put(name: str, key: str, *columns: str, rows_by_place: int = 0) -> str:
    names = (*key.split(", "), *columns)
    values = ", ".join("?" if rows_by_place else f":{one}" for one in names)
    rows = ", ".join([f"({values})"] * max(1, rows_by_place))
    return f"""INSERT INTO {name} ({", ".join(names)}) VALUES {rows}
        ON CONFLICT ({key}) DO UPDATE SET {", ".join(f"{one} = excluded.{one}" for one in columns)}"""


PUT_CAMPAIGN = _put(
    "campaign",
    "slug",
    *("manifest_path", "manifest_sha256", "manifest_text", "card_sha256", "model", "provider", "seed"),
    *("output_folder", "version", "epoch", "jobs_recorded", "created_at", "recorded_at"),
    "card_text",
)
PUT_UPLOAD = _put("uploads", "origin, account, sha256", "public_url", "uploaded_at")


def put_jobs(rows: int) -> str:
    """Return the statement for so many jobs, as tuples and a position at the end of each.

    A million rows: tuples are cheaper than dictionaries.
    """
    columns = ("image", "prompt", "take", "seed", "model", "payload", "name", "cost_usd_micros", "position")
    return _put("jobs", "id", *columns, rows_by_place=rows)
