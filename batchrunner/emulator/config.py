"""Every knob of the emulator in one value; each stands for something people saw the real service do.

The defaults are the friendly provider: it takes every lawful request and finishes within seconds. The
reference for what each knob imitates is GMI Cloud's request queue as publicly recorded until late 2026.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from batchrunner.emulator.faults import Scope, known
from batchrunner.errors import UsageError
from batchrunner.nearest import nearest
from batchrunner.values import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorConfig:
    """Who may call, what goes wrong, how long things take.

    Scripts and faults are words of `faults.py`. A script is used up in order of arrival (`media_script`:
    for each clip anew); after it, a word of `*_faults` comes up at `*_fault_rate`, the same in every run.

    Raises:
        UsageError: a knob has a value that it cannot have.
    """

    # --- who may call, and for how long the money lasts
    key: str = "emulator-key"
    org_id: str = "5e0f9c2a-8d1b-4f6e-9a37-0c4b1d2e3f50"
    gated_models: tuple[str, ...] = ()  # exist, but this account may not use them: 404 at POST
    credits: int | None = None  # jobs that are accepted before POST answers 402
    price_micros: int | None = None  # micro-dollars a `price_unit`; None: the price on the model's card
    price_unit: Literal["second", "request"] = "second"

    # --- the submission
    seed: int = 0  # of everything that is left to chance
    post_delay_s: float = 0.0  # how long each POST is held before it is looked at
    submit_script: tuple[str, ...] = ()
    submit_fault_rate: float = 0.0
    submit_faults: tuple[str, ...] = ()
    cap_at_once: int | None = None  # a limit that is published nowhere: requests that are not over yet
    cap_a_minute: int | None = None  # and another one: requests accepted within any 60 s
    cap_tells: Literal["429", "failed"] = "429"  # how it is told: refused, or taken and failed at once
    retry_after: str | None = None  # sent with 429 and 503, as it stands: seconds or an HTTP date
    reachable: bool = True  # False: a picture outside this machine makes POST answer 400
    unknown_keys: Literal["ignore", "refuse"] = "ignore"
    initial_status: Literal[
        "created", "queued", "dispatched", "processing", "success", "success_bare", "failed"
    ] = "queued"

    # --- the life of an accepted request
    duration_s: tuple[float, float] = (1.0, 4.0)  # from accepted to finished; each request its own
    fate_script: tuple[str, ...] = ()  # in order of acceptance: ok, a word of FATES, or any error text
    fate_rate: float = 0.0
    fates: tuple[str, ...] = ()
    never_models: tuple[str, ...] = ()  # accepted, queued for ever, never billed
    cancel: Literal[200, 404, 405] = 405  # what DELETE answers; unknown in reality

    # --- what is told about it
    echo: Literal["verbatim", "reordered", "empty"] = "verbatim"
    outcome: Literal["media_urls", "strings", "video_url", "both"] = "media_urls"
    status_script: tuple[str, ...] = ()
    status_fault_rate: float = 0.0
    status_faults: tuple[str, ...] = ()

    # --- the list
    list_order: Literal["newest", "oldest", "shuffled"] = "newest"
    list_cap: int | None = 1000  # requests in one answer; `total` tells of all
    list_delay_s: float = 0.0  # until a new request shows up in it
    list_shape: Literal["requests", "data", "items", "bare"] = "requests"
    list_script: tuple[str, ...] = ()
    list_fault_rate: float = 0.0
    list_faults: tuple[str, ...] = ()

    # --- uploads
    upload_ttl_s: float = 899.0  # observed 2026-09-06
    upload_bytes_max: int = 60 * 1024 * 1024
    upload_script: tuple[str, ...] = ()
    upload_fault_rate: float = 0.0
    upload_faults: tuple[str, ...] = ()

    # --- media
    canned: bool = False  # every clip is one and the same small clip: nothing is rendered or fetched
    render_workers: int = 2
    media_query: str = ""  # stands behind every media address, as a signature would: a secret to keep
    media_script: tuple[str, ...] = ()
    media_fault_rate: float = 0.0
    media_faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for scope in Scope:
            script, _, words = self.chances(scope)
            bad = [word for word in (*script, *words) if not known(scope, word)]
            if bad:
                raise UsageError(f"emulator: {scope} does not know the fault {bad[0]!r}")
        low, high = self.duration_s
        if not 0 <= low <= high:
            raise UsageError("emulator: duration_s must be two numbers, the smaller one first")

    def chances(self, scope: Scope) -> tuple[tuple[str, ...], float, tuple[str, ...]]:
        """Return the script, the rate and the words of a scope."""
        match scope:
            case Scope.SUBMIT:
                return self.submit_script, self.submit_fault_rate, self.submit_faults
            case Scope.FATE:
                return self.fate_script, self.fate_rate, self.fates
            case Scope.STATUS:
                return self.status_script, self.status_fault_rate, self.status_faults
            case Scope.LIST:
                return self.list_script, self.list_fault_rate, self.list_faults
            case Scope.UPLOAD:
                return self.upload_script, self.upload_fault_rate, self.upload_faults
            case Scope.MEDIA:
                return self.media_script, self.media_fault_rate, self.media_faults

    def to_json(self) -> str:
        """Write all knobs as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> EmulatorConfig:
        """Read what `to_json` wrote; knobs that are missing keep their defaults.

        Raises:
            UsageError: it is not such an object, or a knob is unknown or has a value of the wrong kind.
        """
        return cls().changed(text)

    def changed(self, text: str) -> EmulatorConfig:
        """Return this configuration with the knobs that a JSON object names set anew.

        Raises:
            UsageError: as in `from_json`.
        """
        try:
            wishes = json.loads(text or "{}")
        except ValueError as problem:
            raise UsageError(f"emulator: the configuration is not JSON: {problem}") from problem
        if not isinstance(wishes, dict):
            raise UsageError("emulator: the configuration must be a JSON object")
        return dataclasses.replace(self, **_typed(wishes))


def _typed(wishes: Mapping[str, JSON]) -> dict[str, Any]:
    hints = get_type_hints(EmulatorConfig)
    for name in wishes:
        if name not in hints:
            near = nearest(name, hints)
            hint = f"; did you mean {near}?" if near else f"; there are {', '.join(sorted(hints))}"
            raise UsageError(f"emulator: there is no knob {name!r}{hint}")
    return {name: _read(name, value, hints[name]) for name, value in wishes.items()}


def _read(name: str, value: JSON, kind: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _read(name, value, arguments[0])
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list) and _fits(value, arguments):
        return tuple(_read(name, item, arguments[0]) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise UsageError(f"emulator: {name} cannot be {json.dumps(value)}")


def _fits(value: list[JSON], arguments: tuple[Any, ...]) -> bool:
    return Ellipsis in arguments or len(value) == len(arguments)
