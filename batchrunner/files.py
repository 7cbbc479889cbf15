"""What ships with the program: schemas, model cards, worked manifests.

In the wheel they lie inside the package; in a checkout (and in an editable install) beside it.
"""

from __future__ import annotations

from pathlib import Path

from batchrunner.errors import LocalError

_PACKAGE = Path(__file__).parent


def schema_text(name: str) -> str:
    """Return a schema's text, by its file name.

    Raises:
        LocalError: the installation is not whole.
    """
    return _read(_folder("schemas") / name)


def card_ids() -> tuple[str, ...]:
    """Return the ids of the models that there are cards for, sorted."""
    return tuple(sorted(path.stem for path in (_folder("schemas") / "models").glob("*.json")))


def card_text(model: str) -> str:
    """Return a model card's text, by the model's id.

    Raises:
        LocalError: the installation is not whole.
    """
    return _read(_folder("schemas") / "models" / f"{model}.json")


def demo_folder() -> Path:
    """Return the folder of the worked manifests and their images."""
    return _folder("manifests")


def _folder(name: str) -> Path:
    for parent in (_PACKAGE, _PACKAGE.parent):
        if (parent / name).is_dir():
            return parent / name
    raise LocalError(
        f"this installation is not whole: the folder {name} is missing; install batchrunner again"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise LocalError(
            f"this installation is not whole: {path} cannot be read ({why}); install batchrunner again"
        ) from error
