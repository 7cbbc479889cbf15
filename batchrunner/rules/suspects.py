"""What failures have in common: so that what is wrong with one picture is not refused 500 times.

A picture that was refused for itself in two jobs is suspect, and so are a picture and a prompt that were
moderated together twice. If moderation met a picture under different prompts, the picture is suspect; if
it met a prompt with different pictures, the prompt is. Where the model takes no picture (an empty image id),
only a prompt can be suspect. And a model that refuses its first three jobs for
the same reason has something against the manifest, not against one job of it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from batchrunner.values import Reason

TWICE = 2
MODEL_JOBS = 3
AGAINST_THE_MANIFEST = frozenset({Reason.REQUEST, Reason.MODEL, Reason.BACKEND})


@dataclass(frozen=True, slots=True)
class Suspect:
    """Which pending jobs would probably meet the same refusal; None stands for any."""

    image: str | None
    prompt: str | None

    def __str__(self) -> str:
        parts = (("picture", self.image), ("prompt", self.prompt))
        return " with ".join(f"{word} '{name}'" for word, name in parts if name is not None)


class Suspects:
    """The failures of one run, by what they have in common."""

    def __init__(self) -> None:
        self._pictures: dict[str, set[str]] = defaultdict(set)  # jobs by image
        self._moderated: set[tuple[str, str, str]] = set()  # image, prompt, job
        self._first: dict[str, list[Reason]] = defaultdict(list)  # by model
        self._sound: set[str] = set()  # models that have taken a request

    def accepted(self, model: str) -> None:
        """The provider took a request of this model: nothing is wrong with the manifest as such."""
        self._sound.add(model)

    def refuses(self, model: str, reason: Reason) -> bool:
        """Note that a job of a model failed; tell whether the model refused its first jobs all alike."""
        first = self._first[model]
        first.append(reason)
        alike = len(first) == MODEL_JOBS and len(set(first)) == 1 and reason in AGAINST_THE_MANIFEST
        return alike and model not in self._sound

    def failed(self, job: str, image: str, prompt: str, reason: Reason) -> list[Suspect]:
        """Note a failed job, and return what has become suspect by it."""
        if reason is Reason.PICTURE and image:
            self._pictures[image].add(job)
            return [Suspect(image, None)] if len(self._pictures[image]) >= TWICE else []
        if reason is not Reason.MODERATION:
            return []
        self._moderated.add((image, prompt, job))
        if not image:
            alone = sum(its_prompt == prompt for _image, its_prompt, _job in self._moderated)
            return [Suspect(None, prompt)] if alone >= TWICE else []
        prompts = {other for its_image, other, _job in self._moderated if its_image == image}
        images = {other for other, its_prompt, _job in self._moderated if its_prompt == prompt}
        together = sum(one[:2] == (image, prompt) for one in self._moderated)
        return [
            *([Suspect(image, None)] if len(prompts) >= TWICE else []),
            *([Suspect(None, prompt)] if len(images) >= TWICE else []),
            *([Suspect(image, prompt)] if together >= TWICE else []),
        ]
