"""How a provider is reached: who asks, and where; or the emulator, started for as long as it is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.errors import CredentialsError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from batchrunner.providers.gmi import Gmi
    from batchrunner.providers.http import Http

EMULATOR_PACKAGES = ("aiohttp", "av", "PIL")
GMI_URL = "https://console.gmicloud.ai"


@dataclass(frozen=True, slots=True)
class Access:
    """Where the provider is and who asks. Never written down anywhere."""

    key: str = ""
    _: KW_ONLY
    organization: str | None = None
    base_url: str = GMI_URL

    def __repr__(self) -> str:
        return f"Access(base_url={self.base_url!r})"


def check_access(provider: str, access: Access) -> None:
    """See that a provider (`gmi` or `emulator`) can be asked at all, before anything is begun.

    Raises:
        CredentialsError: there is no key.
        MissingExtraError: what the emulator needs is not installed.
    """
    if provider == "gmi" and not access.key:
        raise CredentialsError(
            "no API key: set GMI_API_KEY in the environment or in a .env file "
            "(in Python: Campaign(…, access=Access(key=…)))"
        )
    if provider == "emulator" and not all(map(find_spec, EMULATOR_PACKAGES)):
        raise MissingExtraError("the emulator", "emulator")


@contextlib.contextmanager
def reached(provider: str, access: Access, emulator: Path) -> Iterator[tuple[Gmi, Http]]:
    """Give the provider; the emulator is started over its folder and stopped afterwards.

    Raises:
        UsageError: the address is not one that a key may be sent to.
        LocalError: the emulator does not start.
    """
    if provider == "gmi":
        yield connect(access)
        return
    from batchrunner.emulator.process import EmbeddedEmulator  # noqa: PLC0415 - an extra, seldom used

    with EmbeddedEmulator(root=emulator) as running:
        yield connect(Access(running.key, base_url=running.api))


def connect(access: Access) -> tuple[Gmi, Http]:
    """Return the provider and the HTTP that its storage is reached by.

    Raises:
        UsageError: the address is not one that a key may be sent to.
    """
    # Whoever only plans must not wait for the network's libraries to load.
    from batchrunner.providers.gmi import Gmi  # noqa: PLC0415 - see above
    from batchrunner.providers.http import Http, RefusedUrlError  # noqa: PLC0415 - see above

    try:
        http = Http(access.base_url)
    except RefusedUrlError as error:
        raise UsageError(f"GMI_BASE_URL: {error}") from error
    return Gmi(access.base_url, access.key, access.organization, http), http
