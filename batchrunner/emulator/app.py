"""The one door to aiohttp: two origins on loopback, and nothing else listens.

Handlers never see the library; this module turns its requests into `Call` and `Answer` into bytes. No
router and no middleware stands between: the bench counts on some thousand requests a second.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from batchrunner.clock import SystemClock
from batchrunner.emulator import home
from batchrunner.emulator.api import Api
from batchrunner.emulator.config import EmulatorConfig
from batchrunner.emulator.service import Service
from batchrunner.emulator.storage import Storage
from batchrunner.emulator.wire import Answer, Call, Handler
from batchrunner.errors import LocalError, MissingExtraError, UsageError

try:
    from aiohttp import web
except ImportError as missing:
    raise MissingExtraError("the emulator", "emulator") from missing

_STOP_S = 1.0  # open calls get this long at a stop
_BODY_BYTES_MAX = 64 * 1024 * 1024  # above what the bucket takes, so that the bucket says no


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a running emulator is reached: two base URLs, and the key that the first one takes."""

    api: str
    storage: str
    key: str


@asynccontextmanager
async def running(config: EmulatorConfig, host: str, port: int, root: Path) -> AsyncIterator[Endpoints]:
    """Listen until left. The folder remembers the ports, so that URLs outlive a restart.

    Raises:
        UsageError: `host` is not a loopback address.
        LocalError: `port` cannot be had, or the folder cannot be used.
    """
    address = loopback(host)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(home.held(root))
        service = Service(config, root, SystemClock())
        stack.callback(service.close)
        api_port, storage_port = home.ports(root)
        service.storage_origin = await _listen(stack, Storage(service), address, storage_port, strict=False)
        service.api_origin = await _listen(stack, Api(service), address, port or api_port, strict=port != 0)
        home.remember(root, service.api_origin, service.storage_origin)
        yield Endpoints(service.api_origin, service.storage_origin, config.key)


def serve(
    config: EmulatorConfig,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    root: Path | None = None,
    on_ready: Callable[[Endpoints], None],
) -> None:
    """Run in the foreground until SIGINT or SIGTERM. Port 0: any; no root: a folder that goes with it.

    Raises:
        UsageError, LocalError: as `running`.
    """

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_until(stop, config, host=host, port=port, root=root, on_ready=on_ready)

    asyncio.run(until_signalled())


async def run_until(
    stop: asyncio.Event,
    config: EmulatorConfig,
    *,
    host: str,
    port: int,
    root: Path | None,
    on_ready: Callable[[Endpoints], None],
) -> None:
    """Run until `stop` is set."""
    with tempfile.TemporaryDirectory(prefix="batchrunner-emulator-") as spare:
        async with running(config, host, port, root or Path(spare)) as endpoints:
            on_ready(endpoints)
            await stop.wait()


def loopback(host: str) -> str:
    """Return the address to bind.

    Raises:
        UsageError: it can be reached from other machines.
    """
    address = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise UsageError(f"the emulator listens on loopback addresses only, not on {host}: use 127.0.0.1")


async def _listen(stack: AsyncExitStack, handler: Handler, host: str, port: int, *, strict: bool) -> str:
    """Start one origin and return its base URL. Not strict: any port will do where this one is taken."""
    runner = web.ServerRunner(web.Server(_translated(handler), access_log=None), shutdown_timeout=_STOP_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port, backlog=1024, reuse_address=True).start()
    except OSError as problem:
        if strict:
            raise LocalError(f"the emulator cannot listen on {host}:{port}: {problem.strerror}") from problem
        await web.TCPSite(runner, host, 0, backlog=1024).start()
    name, bound = runner.addresses[0][:2]
    return f"http://[{name}]:{bound}" if ":" in name else f"http://{name}:{bound}"


def _translated(handler: Handler) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        fields = dict(parse_qsl(query)) if query else {}
        body = await _body(request) if request.body_exists else b""
        call = Call(request.method, unquote(path) if "%" in path else path, fields, request.headers, body)
        return await _sent(request, await handler(call))

    return handle


async def _body(request: web.BaseRequest) -> bytes:
    """Read a whole body. The library's own way ends at one megabyte, and uploads are larger."""
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > _BODY_BYTES_MAX:
            raise web.HTTPRequestEntityTooLarge(max_size=_BODY_BYTES_MAX, actual_size=len(body))
    return bytes(body)


async def _sent(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    if answer.dropped or answer.sent is not None:
        return await _broken(request, answer)
    headers = {"Content-Type": answer.content_type, **answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=headers)


async def _broken(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Close the connection before the answer, or in the middle of a body whose length was announced."""
    headers = {"Content-Type": answer.content_type, **answer.headers}
    response = web.StreamResponse(status=answer.status, headers=headers)
    if not answer.dropped:
        response.content_length = len(answer.body)
        await response.prepare(request)
        await response.write(answer.body[: answer.sent])
    if request.transport is not None:
        request.transport.close()
    return response
