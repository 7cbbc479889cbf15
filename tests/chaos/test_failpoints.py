"""kill -9 at every durable step, each in a campaign of one job: what the next run finds is known."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchrunner.emulator.process import EmbeddedEmulator
from tests.chaos.rig import WEATHER, Night

AT_ONCE = 4  # campaigns side by side: most of a run is waiting

# What the run after the kill says: submissions, downloads, in doubt, found; and how the job ends.
FRESH = (1, 1, 0, 0, "done")  # nothing had left: submitted now
LOST = (0, 0, 1, 0, "held")  # the intent is durable, the POST never arrived: a person decides
FOUND = (0, 1, 1, 1, "done")  # the provider had it: adopted
KNOWN = (0, 1, 0, 0, "done")  # its id was durable
KEPT = (0, 0, 0, 0, "done")  # its clip was durable
# One line for each group of kills; several points separated by `>` are kills in runs that follow each other.
CASES = {
    FRESH: """open.before, open.after, record.before, record.commit, record.after,
        intent.before, intent.commit""",
    LOST: """intent.after, submit.before, connect.before, connect.after, sent.before,
        submit.before > held.before, submit.before > held.commit, submit.before > held.after""",
    FOUND: """sent.after, submit.after, accepted.before, accepted.commit,
        sent.after > unknown.before, sent.after > unknown.commit, sent.after > unknown.after,
        sent.after > recent.before, sent.after > recent.after,
        sent.after > adopted.before, sent.after > adopted.commit""",
    KNOWN: """accepted.after, sent.after > adopted.after, status.before, status.after,
        ready.before, ready.commit, ready.after, fetch.before, part.half, part.before, part.after,
        fetch.after, fetched.before, fetched.commit""",
    KEPT: """fetched.after, link.before, link.after, unlink.before, unlink.after,
        sidecar.half, sidecar.before, sidecar.after, folder.before, folder.after,
        done.before, done.commit, done.after, close.before""",
}
KILLS = [(points.strip(), expected) for expected, text in CASES.items() for points in text.split(",")]
GROUPS = 6


@pytest.mark.parametrize("group", range(GROUPS))
def test_the_next_run_finds_what_a_kill_at_this_point_must_leave(tmp_path: Path, group: int) -> None:
    """Each point by itself: nothing paid twice, nothing lost, no more in doubt than there is cause for."""
    with EmbeddedEmulator(WEATHER) as emulator, ThreadPoolExecutor(AT_ONCE) as pool:

        def outcome(number: int) -> Iterator[str]:
            points, expected = KILLS[number]
            night = Night(tmp_path / f"at-{number}", emulator.api, emulator.key, number, takes=1)
            for point in points.split(" > "):
                if not night.killed_at(f"{point}:1"):
                    yield f"{points}: not passed: {night.last}"
                    return
            told = night.finish()
            names = ("submissions", "downloads", "in_doubt", "found")
            found = (*(told[name] for name in names), *night.states().values())
            if found != expected:
                yield f"{points}: {found}, not {expected}"
            yield from (f"{points}: {one}" for one in night.judge().wrong)

        numbers = range(group, len(KILLS), GROUPS)
        assert [
            one for found in pool.map(lambda number: list(outcome(number)), numbers) for one in found
        ] == []
