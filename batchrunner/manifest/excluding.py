"""What `exclude` leaves out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from batchrunner.values import JSON, Exclude, canonical

NONE: frozenset[int] = frozenset()


class Excludes:
    """The entries of `exclude`, found by image: most pairs are none of their business."""

    def __init__(self, excludes: Iterable[Exclude]) -> None:
        self._by_image: dict[str | None, list[Exclude]] = {}
        for one in excludes:
            self._by_image.setdefault(one.image, []).append(one)

    def of(self, image: str, prompt: str) -> list[Exclude]:
        """Return the entries that may apply to a pair."""
        if not self._by_image:
            return []
        some = (*self._by_image.get(image, ()), *self._by_image.get(None, ()))
        return [one for one in some if one.prompt in {None, prompt}]


def matching(excludes: Sequence[Exclude], parameters: Mapping[str, JSON]) -> frozenset[int] | None:
    """Return the takes that are left out at complete parameters; None: all of them."""
    if not excludes:
        return NONE
    found = [one.take for one in excludes if applies(one, parameters)]
    return None if None in found else frozenset(take for take in found if take is not None)


def applies(exclude: Exclude, parameters: Mapping[str, JSON]) -> bool:
    """Tell whether complete parameters have all the values that an entry names."""
    return all(
        key in parameters and canonical(parameters[key]) == canonical(value)
        for key, value in exclude.parameters.items()
    )
