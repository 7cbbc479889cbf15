"""A name that changes what it stands for: the connection goes to the address that was checked, or nowhere."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from batchrunner.providers.addresses import by_turns, resolve
from batchrunner.providers.http import Http, Net, NotSentError, RefusedUrlError, UnclearError
from tests.providers.wire import CERTIFICATE, Wire, always, answer, closed_port, in_turn, serving

HOME, PUBLIC, OTHER, SIX = "127.0.0.1", "8.8.8.8", "1.1.1.1", "2606:4700::1111"
HELLO = answer(200, b"hello")
BASE = "https://api.test"
Answers: TypeAlias = list[tuple[str, ...]]


@dataclass
class Outside:
    """A network in which public addresses lead to servers on this machine, and names to what a test says.

    A connection to loopback is really made: what should never go there would be seen there.
    """

    lines: dict[str, int] = field(default_factory=dict)
    names: dict[str, Answers] = field(default_factory=dict)
    called: list[str] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    now_s: float = 0.0

    def connect(self, place: tuple[str, int], timeout: float, **_options: Any) -> socket.socket:
        """Connect as a network would."""
        self.called.append(place[0])
        if place[0] == HOME:
            return socket.create_connection(place, timeout)
        if place[0] not in self.lines:
            raise ConnectionRefusedError
        return socket.create_connection((HOME, self.lines[place[0]]), timeout)

    def resolve(self, name: str, _port: int) -> tuple[str, ...]:
        """Say what a name stands for: each time the next answer, the last one for ever."""
        self.looked_up.append(name)
        answers = self.names.get(name)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def http(self, base: str = BASE) -> Http:
        """Return an Http that knows no other outside."""
        net = Net(self.resolve, self.connect, lambda: ssl.create_default_context(cafile=CERTIFICATE))
        return Http(base, elapsed_s=lambda: self.now_s, net=net)


@contextmanager
def storage(data: bytes = HELLO) -> Iterator[Wire]:
    """Run a storage host: over TLS, and known as storage.test and cdn.test."""
    with serving(always(data), CERTIFICATE) as wire:
        yield wire


def get(http: Http, url: str) -> bytes:
    """Fetch a file."""
    with http.stream(url, {}) as told:
        return b"".join(told.chunks)


def put(http: Http, url: str) -> bytes:
    """Upload a file."""
    return http.put(url, {}, b"picture").body


Visit = Callable[[Http, str], bytes]


@pytest.mark.parametrize("visit", [get, put])
def test_a_name_that_turns_to_loopback_after_its_check_leads_nowhere_else(visit: Visit) -> None:
    """Public at the check, 127.0.0.1 at every look-up after it: no connection ever reaches this machine."""
    with storage() as public, storage() as home:
        outside = Outside({PUBLIC: public.port}, {"storage.test": [(PUBLIC,), (HOME,)]})
        http, url = outside.http(), f"https://storage.test:{home.port}/x"
        told = [visit(http, url) for _ in range(3)]
        outside.now_s = 61
        with pytest.raises(RefusedUrlError, match=HOME):
            visit(http, url)
        http.close()

    assert [b"hello"] * 3 == told
    assert {PUBLIC} == set(outside.called)
    assert 0 == home.connections


@pytest.mark.parametrize("visit", [get, put])
def test_a_name_that_comes_from_loopback_is_visited_where_it_is_public(visit: Visit) -> None:
    """The other way round: refused first, and a refusal is not remembered."""
    with storage() as public, storage() as home:
        outside = Outside({PUBLIC: public.port}, {"storage.test": [(HOME,), (PUBLIC,), (HOME,)]})
        http, url = outside.http(), f"https://storage.test:{home.port}/x"
        with pytest.raises(RefusedUrlError, match=HOME):
            visit(http, url)
        told = [visit(http, url) for _ in range(3)]
        http.close()

    assert [b"hello"] * 3 == told
    assert {PUBLIC} == set(outside.called)
    assert 0 == home.connections


@pytest.mark.parametrize(
    "answers", [(PUBLIC, HOME), (HOME, PUBLIC), (PUBLIC, "::1"), (PUBLIC, "10.0.0.1"), ()]
)
def test_a_name_with_one_private_address_is_refused_whole(answers: tuple[str, ...]) -> None:
    """Else the connection could fall back to it."""
    outside = Outside({}, {"storage.test": [answers]})
    with pytest.raises(RefusedUrlError):
        get(outside.http(), "https://storage.test/x")

    assert [] == outside.called


def test_threads_that_look_up_at_once_never_reach_loopback() -> None:
    """A resolver that answers by turns: each visit is refused, or goes to the public address."""
    with storage() as public, storage() as home:
        flipping: Answers = [(PUBLIC,), (HOME,)] * 200
        outside = Outside({PUBLIC: public.port}, {"storage.test": flipping})
        http = outside.http()

        def visit(number: int) -> str:
            outside.now_s = number * 40.0
            try:
                return get(http, f"https://storage.test:{home.port}/{number}").decode()
            except RefusedUrlError:
                return "refused"

        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(visit, range(100)))
        http.close()

    assert {"hello", "refused"} == set(told)
    assert {PUBLIC} == set(outside.called)
    assert 0 == home.connections


def test_the_name_stays_in_certificate_greeting_and_host_header() -> None:
    """Only the address is fixed: the server is asked for by name, and must prove it."""
    with storage() as public:
        outside = Outside({PUBLIC: public.port}, {"storage.test": [(PUBLIC,)], "evil.test": [(PUBLIC,)]})
        http = outside.http()
        get(http, "https://storage.test/x?signature=y")
        with pytest.raises((NotSentError, UnclearError), match="secure connection"):
            get(http, "https://evil.test/x")
        http.close()

    assert ["storage.test", "evil.test"] == public.names
    assert [("storage.test", "/x?signature=y")] == [(one.headers["host"], one.target) for one in public.asked]


def test_a_minute_of_downloads_costs_one_look_up_and_one_connection() -> None:
    """And the same answer a minute later keeps the connection."""
    with storage() as public:
        outside = Outside({PUBLIC: public.port}, {"storage.test": [(PUBLIC,)]})
        http = outside.http()
        for second in range(0, 60, 10):
            outside.now_s = second
            get(http, "https://storage.test/x")
        looked_up = len(outside.looked_up)
        outside.now_s = 60
        get(http, "https://storage.test/x")
        http.close()

    assert (1, 2) == (looked_up, len(outside.looked_up))
    assert 1 == public.connections


def test_a_connection_is_not_used_for_another_address() -> None:
    """A name that has moved is visited where it is now, and back again on a new connection."""
    with storage(answer(200, b"old")) as old, storage(answer(200, b"new")) as new:
        moving: Answers = [(PUBLIC,), (OTHER,), (PUBLIC,)]
        outside = Outside({PUBLIC: old.port, OTHER: new.port}, {"storage.test": moving})
        http, told = outside.http(), []
        for minute in range(3):
            outside.now_s = minute * 60.0
            told += [get(http, "https://storage.test/x"), get(http, "https://storage.test/y")]
        http.close()

    assert [b"old", b"old", b"new", b"new", b"old", b"old"] == told
    assert [PUBLIC, OTHER, PUBLIC] == outside.called


def test_where_one_address_refuses_the_next_is_tried_and_remembered() -> None:
    """A network without IPv6 costs one failed try, not one for each connection."""
    with storage(answer(200, b"hello", Connection="close")) as public:
        outside = Outside({OTHER: public.port}, {"storage.test": [(SIX, PUBLIC, OTHER)]})
        http = outside.http()
        told = [get(http, "https://storage.test/x") for _ in range(3)]
        http.close()

    assert [b"hello"] * 3 == told
    assert [SIX, PUBLIC, OTHER, OTHER, OTHER] == outside.called


def test_no_more_than_four_addresses_are_tried() -> None:
    """A name may stand for hundreds."""
    outside = Outside({}, {"storage.test": [tuple(f"8.8.8.{number}" for number in range(1, 200))]})
    with pytest.raises(NotSentError, match="no connection"):
        get(outside.http(), "https://storage.test/x")

    assert ["8.8.8.1", "8.8.8.2", "8.8.8.3", "8.8.8.4"] == outside.called


def test_no_answer_from_any_address_never_left() -> None:
    """A time limit is told as one."""

    def connect(*_place: Any, **_options: Any) -> socket.socket:
        raise TimeoutError

    http = Http(BASE, net=Net(resolve=lambda _name, _port: (PUBLIC,), connect=connect))
    with pytest.raises(NotSentError, match="within the time limit"):
        get(http, "https://storage.test/x")


@pytest.mark.parametrize("cdn", [[(HOME,)], [(PUBLIC,), (HOME,)], [("169.254.169.254",)]])
def test_a_redirect_is_pinned_like_the_first_address(cdn: Answers) -> None:
    """Private at its check: refused. Public at its check: visited there, whatever it stands for later."""
    with storage() as home:
        there = answer(302, Location=f"https://cdn.test:{home.port}/y")
        with serving(in_turn(there, HELLO), CERTIFICATE) as public:
            names: dict[str, Answers] = {"storage.test": [(PUBLIC,)], "cdn.test": list(cdn)}
            outside = Outside({PUBLIC: public.port}, names)
            http = outside.http()
            try:
                told = get(http, "https://storage.test/x").decode()
            except RefusedUrlError:
                told = "refused"
            http.close()

    assert ("hello" if cdn[0] == (PUBLIC,) else "refused") == told
    assert {PUBLIC} == set(outside.called)
    assert 0 == home.connections


def test_the_emulators_storage_is_pinned_to_loopback_without_a_look_up() -> None:
    """From a loopback base the name localhost is this machine, whatever a resolver says."""
    with serving(always(HELLO)) as wire:
        outside = Outside({}, {})
        http = outside.http("http://127.0.0.1:1")
        told = [get(http, f"http://{host}:{wire.port}/x") for host in ("localhost", HOME)]
        http.close()

    assert [b"hello"] * 2 == told
    assert ([], {HOME}) == (outside.looked_up, set(outside.called))


def test_the_api_itself_is_not_pinned() -> None:
    """Its address is the user's own word."""
    outside = Outside({}, {})
    with pytest.raises(NotSentError):
        outside.http("http://127.0.0.1:1").get(f"http://127.0.0.1:{closed_port()}/x", {})

    assert ([], []) == (outside.looked_up, outside.called)


def test_hosts_without_number_are_forgotten_in_time() -> None:
    """A provider that names a new host for each file does not fill the memory with connections."""
    with storage() as public:
        outside = Outside({PUBLIC: public.port}, {"storage.test": [(PUBLIC,)]})
        http = outside.http()
        told = {get(http, f"https://storage.test:{port}/x") for port in range(1000, 1040)}
        http.close()

    assert {b"hello"} == told


def test_the_two_kinds_of_addresses_take_turns() -> None:
    """The second try is of the other kind; the resolver's own order stays within each."""
    assert (SIX, "1.1.1.1", "2606:4700::2", "1.1.1.2", "1.1.1.3") == by_turns(
        [SIX, "2606:4700::2", "1.1.1.1", SIX, "1.1.1.2", "1.1.1.3"]
    )
    assert ("127.0.0.1",) == resolve("127.0.0.1", 443)
    assert () == by_turns([])
