"""Which recorded jobs have been replaced by jobs of the manifest: each once, and none that is still there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from itertools import product
from math import prod

from batchrunner.cards import Card
from batchrunner.manifest.expand import places
from batchrunner.values import JobState, Manifest

TOGETHER_MAX = 10_000  # jobs of one image and prompt that a plan looks at together
PAID = frozenset({JobState.DONE, JobState.ACTIVE, JobState.HELD})  # or may have been


class Shared:
    """What rows share that have the same image and prompt: places, however far apart the rows are.

    A recorded job that another row still has was not replaced; and none is replaced twice. So it is with an
    image and prompt that have more jobs than are looked at together.
    """

    def __init__(self, manifest: Manifest, card: Card) -> None:
        self._manifest = manifest
        self._card = card
        self._replaced: set[str] = set()

    def replace(self, job: str) -> None:
        """Note that a job has taken the place of a recorded one."""
        if self._pairs:
            self._replaced.add(job)

    def is_left(self, job: str) -> bool:
        """Tell whether a recorded job that a row does not have is in no other row, nor replaced."""
        return job not in self._ids and job not in self._replaced

    @cached_property
    def _pairs(self) -> Collection[tuple[str, str]]:
        """The pairs of image and prompt that more than one row has, or that are not looked at together."""
        manifest = self._manifest
        rows = (*manifest.shots, *manifest.include)
        counted = Counter((one.image.id, one.prompt.id) for one in rows)
        images = {one.id for one in manifest.images} if counted else ()
        prompts = {one.id for one in manifest.prompts} if counted else ()
        found = {pair for pair, n in counted.items() if n > 1 or (pair[0] in images and pair[1] in prompts)}
        if self._many(manifest.takes):
            found |= {(one.id, other.id) for one, other in product(manifest.images, manifest.prompts)}
        many = (one for one in manifest.shots if self._many(one.takes or manifest.takes))
        return found | {(one.image.id, one.prompt.id) for one in many}

    def _many(self, takes: int | tuple[int, ...]) -> bool:
        """Tell whether an image and prompt with so many takes may have too many jobs."""
        settings = prod(map(len, self._manifest.matrix.values()))
        return settings * (takes if isinstance(takes, int) else len(takes)) > TOGETHER_MAX

    @cached_property
    def _ids(self) -> Collection[str]:
        if not self._pairs:
            return ()
        found = (one for one in places(self._manifest, self._card) if (one.image, one.prompt) in self._pairs)
        return {row[0] for place in found for row in place.rows()}


def replaced(
    before: Mapping[str, Mapping[str, JobState]], ids: Iterable[Iterable[str]], shared: Shared
) -> dict[str, list[tuple[str, JobState]]]:
    """Return the jobs at each place that the manifest has no longer; those paid for last.

    Else a quality that joins another in the matrix would count as a change to it, paid for a second time.
    """
    here = {id_ for some in ids for id_ in some}
    return {
        place: sorted(
            ((job, state) for job, state in jobs.items() if job not in here and shared.is_left(job)),
            key=lambda one: one[1] in PAID,
        )
        for place, jobs in before.items()
    }
