"""Durations that the state tables of several campaigns tell."""

from __future__ import annotations

from pathlib import Path

from batchrunner.rules.durations import setting
from batchrunner.store.learned import history, neighbours
from batchrunner.store.tables import Store
from batchrunner.values import Limits
from tests.engine.test_loop import Rig
from tests.fakes import a_job

JOB = a_job(1)
WHAT = setting(JOB.model, JOB.payload)


def ran(folder: Path, render_s: float, jobs: int = 30) -> Path:
    """Run a campaign whose requests all take the same time; return its state table."""
    folder.mkdir()
    limits = Limits(in_flight=4, submits_per_minute=None)
    rig = Rig(folder, jobs=[a_job(number) for number in range(jobs)], limits=limits)
    rig.provider.render_s = render_s
    rig.run()
    return folder / "test.db"


def test_a_campaign_tells_how_long_its_requests_took(tmp_path: Path) -> None:
    """From its own table; the provider's address must be the right one."""
    store = Store(ran(tmp_path / "a", 40.0))

    assert 35 < history(store.db).durations(WHAT).quantile_s(0.5) < 50
    assert history(store.db).durations(WHAT).samples == 30
    assert history(store.db, origin="https://fake.test").durations(WHAT).samples == 30
    assert history(store.db, origin="https://elsewhere.test").durations(WHAT).samples == 0
    store.close()


def test_other_campaigns_tell_where_this_one_cannot_yet(tmp_path: Path) -> None:
    """And what cannot be read tells nothing."""
    other = ran(tmp_path / "a", 40.0)
    broken = tmp_path / "broken.db"
    broken.write_text("no state table")
    found = history(None, [broken, other, tmp_path / "absent.db"]).durations(WHAT)

    assert 35 < found.quantile_s(0.5) < 50
    assert found.learned
    assert found.how == "learned from 30 like it in other campaigns"


def test_neighbours_are_the_tables_beside_one(tmp_path: Path) -> None:
    """Not itself, no links, nothing but tables."""
    for name in ("mine.db", "other.db", "other.lock"):
        (tmp_path / name).touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "other.db")

    assert neighbours(tmp_path / "mine.db") == [tmp_path / "other.db"]
