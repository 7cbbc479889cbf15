"""The provider, as far as it can be seen through HTTP; its ledger is the oracle's source of truth.

Runners reach it through line.py. Fates of a POST: a word, and for answers that prove nothing whether it was
`accepted` or `dropped` all the same; `lost` is accepted at once and unanswered, `late` is accepted only after
the connection is gone, and `slow` is answered after up to three minutes.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

from batchrunner.providers.http import NotSentError, Response, UnclearError
from batchrunner.rehearsal.schedule import CALM_POSTS, RENDER_S
from batchrunner.rehearsal.world import Mind, World
from batchrunner.rules.durations import setting
from batchrunner.values import fingerprint

STORE = "https://store.test"
FINAL = frozenset({"moderation", "cancelled"})
WORDS = {
    "failed": "unknown error, please try again",
    "rate": "rate limit reached: too many requests",
    "moderation": "the prompt violates the content policy",
}
REFUSALS: Mapping[str, tuple[int, str]] = {
    "429": (429, "too many requests"),
    "503 full": (503, "upstream capacity temporarily exhausted"),
    "500 backend": (500, "Backend error (400): invalid value"),
    "400": (400, "required parameter is missing"),
    "402": (402, "insufficient credit"),
    "401": (401, "invalid api key"),
}
UNCLEAR: Mapping[str, tuple[int, bytes]] = {
    "500": (500, b'{"error": "internal error"}'),
    "502": (502, b"<html>bad gateway</html>"),
    "odd": (200, b'{"ok": true}'),
    "409": (409, b'{"error": "conflict"}'),
}


@dataclass(slots=True)
class Request:
    """One accepted request. `told`: its failure was in an answer of ours; `reads`: how often it was asked."""

    id: str
    fingerprint: str
    payload: dict[str, Any]
    born_s: float
    listed_s: float
    known_s: float
    over_s: float
    fate: str
    ours: bool
    blank: bool
    told: bool = False
    reads: int = 0

    @property
    def stands(self) -> bool:
        """True while it is paid or may yet be: the provider has not said that it came to nothing."""
        return not self.told


class Provider:
    """One account. `wrongs` collects what the runner should never have sent.

    `duplicates`, by payload: how many requests more than jobs stood at once, at the worst moment.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.requests: dict[str, Request] = {}
        self.by_print: dict[str, list[Request]] = defaultdict(list)  # ours alone
        self._ends_s: list[float] = []  # of what runs
        self.group = Counter(job.fingerprint for job in world.schedule.jobs)
        self.duplicates: Counter[str] = Counter()
        self.wrongs: list[str] = []
        self.posts = 0
        self.posts_of: Counter[int] = Counter()  # by the runner's number
        self._crowds = world.schedule.crowds
        self._no_credit_until_s = 0.0
        self._bad_key_until_s = 0.0
        for number in range(world.schedule.foreign):
            payload = {"image_url": "https://example.com/a.png", "prompt": "somebody else's", "seed": number}
            request = self._take("m", payload, world.rng.uniform(-900.0, 600.0), ours=False)
            request.fate = "success"

    # --- what it does with a POST ---------------------------------------------------------------------

    def post(self, mind: Mind, body: bytes) -> Response:
        """Meet one POST that orders a clip."""
        world, rng = self.world, self.world.rng
        self.posts += 1
        self.posts_of[mind.number] += 1
        if world.cut:
            if rng.random() < 0.5:
                order = json.loads(body)
                self._accept(order["model"], order["payload"], 0.0)
            raise UnclearError("the connection was lost")
        if self._dark(world.schedule.outages):
            self.world.answer_after_s = rng.uniform(0.0, 30.0)
            raise self._gone(0.7)
        fate = "401" if self._dark(world.schedule.bad_keys) else "429" if self._crowded() else self._fate()
        world.tell(f"POST meets: {fate}")
        if fate in REFUSALS:
            return self._refuse(fate)
        if fate in {"never_left", "dropped"}:
            world.answer_after_s = rng.uniform(0.0, 180.0)
            raise (NotSentError if fate == "never_left" else UnclearError)("no answer")
        word, _, then = fate.partition(" ")
        order = json.loads(body)
        if then != "dropped":
            late_s = rng.random() ** 0.3 * world.schedule.late_s if fate == "late" and mind.alive else 0.0
            request = self._accept(order["model"], order["payload"], late_s)
            if fate == "instant":
                request.over_s = world.steady_s
            if fate == "slow":
                world.answer_after_s = rng.uniform(20.0, 170.0)
            if fate in {"ok", "instant", "slow"}:
                return _json(200, self._record(request, listed=False))
        if word in UNCLEAR:
            status, text = UNCLEAR[word]
            world.answer_after_s = rng.uniform(0.0, 60.0)
            return Response(status, {}, text)
        world.answer_after_s = rng.uniform(0.0, 180.0)
        raise UnclearError("the connection was lost")

    def _fate(self) -> str:
        world = self.world
        if world.steady_s < self._bad_key_until_s:
            return "401"
        if world.steady_s < self._no_credit_until_s:
            return "402"
        fates = CALM_POSTS if world.calm else world.schedule.posts
        return world.rng.choices(list(fates), list(fates.values()))[0]

    def _refuse(self, fate: str) -> Response:
        world = self.world
        if fate == "402":
            self._no_credit_until_s = max(self._no_credit_until_s, world.steady_s + 300.0)
        if fate == "401" and not world.schedule.bad_keys and world.rng.random() < 0.5:
            self._bad_key_until_s = max(self._bad_key_until_s, world.steady_s + 300.0)
        status, text = REFUSALS[fate]
        headers = {"Retry-After": "30"} if fate == "429" and world.rng.random() < 0.5 else {}
        return Response(status, headers, json.dumps({"error": text}).encode())

    def _accept(self, model: str, payload: dict[str, Any], late_s: float) -> Request:
        world = self.world
        request = self._take(model, payload, world.steady_s + late_s, ours=True)
        mine = self.by_print[request.fingerprint]
        standing = sum(one.stands for one in mine)
        if (excess := standing - self.group[request.fingerprint]) > 0:
            self.duplicates[request.fingerprint] = max(excess, self.duplicates[request.fingerprint])
            world.tell(f"DUPLICATE {request.id}")
        finals = sum(one.told and one.fate in FINAL for one in mine)
        if world.schedule.bounded and finals and finals + standing > self.group[request.fingerprint]:
            self.wrongs.append(f"{request.id}: sent again after a final no")
        world.tell(f"accepted {request.id} seed {payload.get('seed')} at {request.born_s:.1f} s")
        return request

    def _take(self, model: str, payload: dict[str, Any], born_s: float, *, ours: bool) -> Request:
        schedule, rng = self.world.schedule, self.world.rng
        fate = rng.choices(list(schedule.renders), list(schedule.renders.values()))[0]
        if self.world.calm:
            fate = "success"
        render_s = self._render_s(model, payload)
        request = Request(
            id=f"{'r' if ours else 'f'}{len(self.requests) + 1}",
            fingerprint=fingerprint(model, payload),
            payload=payload,
            born_s=born_s,
            listed_s=born_s + rng.uniform(0.0, schedule.lag_s),
            known_s=born_s + rng.uniform(0.0, schedule.lag_s),
            over_s=born_s + render_s if fate != "stuck" else max(born_s, schedule.storm_s) + render_s,
            fate=fate,
            ours=ours,
            blank=rng.random() < {"whole": 0.0, "some": 0.5}.get(schedule.echo, 1.0),
        )
        self.requests[request.id] = request
        if ours:
            self.by_print[request.fingerprint].append(request)
            if schedule.crowds:
                heapq.heappush(self._ends_s, request.over_s)
        return request

    def _render_s(self, model: str, payload: dict[str, Any]) -> float:
        takes, rng = self.world.schedule.takes, self.world.rng
        if takes is None:
            return rng.uniform(*RENDER_S)
        mu, sigma = takes[setting(model, payload)]
        return math.exp(rng.gauss(mu, sigma))

    def _crowded(self) -> bool:
        """Tell whether more runs already than the provider has room for at this hour."""
        now_s, ends_s = self.world.steady_s, self._ends_s
        while ends_s and ends_s[0] <= now_s:
            heapq.heappop(ends_s)
        return any(start_s <= now_s < end_s and len(ends_s) >= most for start_s, end_s, most in self._crowds)

    # --- what it tells --------------------------------------------------------------------------------

    def get(self, path: str) -> Response:
        """Meet one repeatable call."""
        world, rng = self.world, self.world.rng
        if world.cut:
            raise UnclearError("the connection was lost")
        if self._dark(world.schedule.outages):
            raise self._gone(0.5)
        if world.steady_s < self._bad_key_until_s or self._dark(world.schedule.bad_keys):
            return _json(401, {"error": "invalid api key"})
        if "api-keys" in path:
            return _json(200, {"organization": {"id": "org-1"}})
        if not world.calm and rng.random() < world.schedule.trouble:
            status = rng.choice((0, 429, 500, 502))
            if not status:
                raise UnclearError("the connection was lost")
            return Response(status, {}, b'{"error": "trouble"}' if status != 502 else b"<html>")
        if "model_id=" in path:
            return self._list()
        request = self.requests.get(unquote(path.rpartition("/")[2]))
        if request is None or request.known_s > world.steady_s:
            return _json(404, {"error": "request not found"})
        return _json(200, self._record(request, listed=False))

    def _list(self) -> Response:
        world, rng, schedule = self.world, self.world.rng, self.world.schedule
        if self._dark(schedule.list_down):
            return _json(500, {"error": "list is down"})
        stale_s = rng.uniform(0.0, schedule.stale_s) if rng.random() < 0.3 else 0.0
        newest = list(itertools.islice(reversed(self.requests.values()), schedule.seen))[::-1]
        seen = [one for one in newest if one.listed_s <= world.steady_s - stale_s]
        seen.sort(key=lambda one: one.born_s, reverse=schedule.newest_first)
        rows = seen
        total = max(len(seen), len(self.requests) - schedule.seen)
        told: dict[str, Any] = {"total": total} if schedule.tells_total else {}
        if not world.calm and rng.random() < schedule.short:
            rows = rows[: schedule.page]
            if told and rows and rng.random() < 0.2:  # pages shifted under the reader: a row slipped through
                slipped = rng.choice(rows)
                rows = [one for one in rows if one is not slipped]
                rows += rows[:1]  # and another was read twice, so that the number is right again
        world.tell(f"list shows {[one.id for one in rows]} of {len(seen)}")
        answer = _json(200, {"requests": [self._record(one, listed=True) for one in rows], **told})
        now_s = schedule.start_us / 1e6 + world.steady_s + schedule.skew_s
        headers = {"Date": formatdate(now_s, usegmt=True)} if schedule.dated else {}
        return replace(answer, headers=headers)

    def _record(self, request: Request, *, listed: bool) -> dict[str, Any]:
        schedule, now_s = self.world.schedule, self.world.steady_s
        status = "queued" if now_s < request.born_s + 2.0 or request.fate == "stuck" else "processing"
        outcome: dict[str, Any] = {}
        if now_s >= request.over_s:
            status, outcome = self._outcome(request)
        blank = request.blank and (listed or (schedule.echo == "mute" and not self.world.calm))
        return {
            "request_id": request.id,
            "status": status,
            "created_at": schedule.start_us / 1e6 + request.born_s + schedule.skew_s,
            "payload": {} if blank else self._echo(request.payload),
            "outcome": outcome,
        }

    def _outcome(self, request: Request) -> tuple[str, dict[str, Any]]:
        if request.fate in WORDS:
            request.told = True
            return "failed", {"error": {"message": WORDS[request.fate]}}
        if request.fate == "cancelled":
            request.told = True
            return "cancelled", {}
        request.reads += 1
        if (
            request.fate.startswith("no url")
            and not self.world.calm
            and (request.fate == "no url" or request.reads <= 3)
        ):
            return "success", {}
        until_s = self.world.steady_s + self.world.schedule.url_life_s
        return "success", {"video_url": f"{STORE}/{request.id}?until={until_s}"}

    def _echo(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Write a payload back as providers do: other order, other number types, other Unicode form."""
        return {
            key: unicodedata.normalize("NFD", value)
            if isinstance(value, str)
            else float(value)
            if isinstance(value, int)
            else value
            for key, value in reversed(payload.items())
        }

    def _gone(self, unsent: float) -> Exception:
        """Return how a call ends while the provider is away: in a share of them nothing has left."""
        if self.world.rng.random() < unsent:
            return NotSentError("no route")
        return UnclearError("the connection was lost")

    def _dark(self, windows: tuple[tuple[float, float], ...]) -> bool:
        now_s = self.world.steady_s
        return not self.world.calm and any(start_s <= now_s < end_s for start_s, end_s in windows)


def _json(status: int, value: object) -> Response:
    return Response(status, {}, json.dumps(value).encode())
