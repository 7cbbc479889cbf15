"""The simplest experiment: a server reads one POST whole and hangs up. How many more come, what is told?

A request that was read whole may have been accepted, and so be billed: a client that sends it again may
pay again, and one that calls it failed may have lost what was paid. Each client makes one submit call, in
a process of its own, against a server of its own on loopback that counts the POSTs it has read and never
answers one. Clients are pointed there by their own argument or environment variable; fal-client takes a
host and insists on TLS, so its module's constant is set instead, and nothing else of it is changed.

`ours` is `python -m batchrunner run` with one job, twice: where the provider's list is empty (the server
answers GETs), and against the emulator, which takes the job, hangs up, and has it in its list.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from packages import installed, version

HERE = Path(__file__).parent
PACKAGES = ("fal-client", "runwayml", "lumaai", "replicate", "genblaze-gmicloud")
PICTURE = "https://example.com/a.png"
PROMPT = "Slow push-in"
QUEUE = "/api/v1/ie/requestqueue/apikey"
LIMIT_S = 240
MANIFEST = """\
version: 1
campaign: one
model: pixverse-v6-i2v
provider: gmi
seed: 7
takes: 1
images: [{id: a, url: "https://example.com/a.png"}]
prompts: [{id: push, text: "Slow push-in"}]
recovery: {grace: 3, give_up: 6}
"""


class Handler(BaseHTTPRequestHandler):
    """Reads a POST whole and closes the connection; a GET is told that there is nothing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Count it, note a header that would make a repetition harmless, and hang up."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if isinstance(self.server, HangUp) and PROMPT.encode() in body:
            self.server.posts += 1
            self.server.keys |= {name for name in self.headers if "idempotency" in name.lower()}
        self.close_connection = True

    def do_GET(self) -> None:
        """Answer with an empty list."""
        body = b'{"requests": [], "total": 0}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's word
        """Say nothing."""


class HangUp(ThreadingHTTPServer):
    """Counts the POSTs that it has read to their end."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posts = 0
        self.keys: set[str] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


# --- one submit call by each client; what it returns or raises is what its caller is told


def fal(url: str) -> object:
    """Call fal-client's queue."""
    inner: Any = importlib.import_module("fal_client.client")
    inner.QUEUE_URL_FORMAT = f"{url}/"
    client = inner.SyncClient(key="id:secret")
    return client.submit("fal-ai/pixverse/v5", {"image_url": PICTURE, "prompt": PROMPT})


def runway(url: str) -> object:
    """Call runwayml's image_to_video."""
    client = importlib.import_module("runwayml").RunwayML(api_key="secret", base_url=url)
    return client.image_to_video.create(
        model="gen4_turbo", prompt_image=PICTURE, prompt_text=PROMPT, ratio="1280:720", duration=5
    )


def luma(url: str) -> object:
    """Call lumaai's generations."""
    client = importlib.import_module("lumaai").LumaAI(auth_token="secret", base_url=url)
    return client.generations.create(model="ray-2", prompt=PROMPT)


def replicate(url: str) -> object:
    """Call replicate's predictions."""
    client = importlib.import_module("replicate").Client(api_token="secret", base_url=url)
    return client.predictions.create(version="0" * 64, input={"image": PICTURE, "prompt": PROMPT})


def genblaze(url: str, max_retries: int = 0) -> object:
    """Run one step of genblaze-gmicloud."""
    enums = importlib.import_module("genblaze_core.models.enums")
    step_kind = importlib.import_module("genblaze_core.models.step").Step
    asset = importlib.import_module("genblaze_core.models.asset").Asset(url=PICTURE, media_type="image/png")
    provider = importlib.import_module("genblaze_gmicloud").GMICloudVideoProvider(
        api_key="secret", base_url=f"{url}{QUEUE}"
    )
    settings = {"duration": 5, "quality": "540p"}
    step = step_kind(
        provider="gmicloud",
        model="pixverse-v6-i2v",
        prompt=PROMPT,
        modality=enums.Modality.VIDEO,
        inputs=[asset],
        params=settings,
    )
    done = provider.invoke(step, {"timeout": 60.0, "max_retries": max_retries})
    return f"step {done.status}, {done.error_code}: {done.error}"


CALLS: dict[str, tuple[str, Callable[[str], object]]] = {
    "fal-client": ("fal-client", fal),
    "runwayml": ("runwayml", runway),
    "lumaai": ("lumaai", luma),
    "replicate": ("replicate", replicate),
    "genblaze-gmicloud": ("genblaze-gmicloud", genblaze),
    "genblaze-gmicloud, max_retries=2": ("genblaze-gmicloud", lambda url: genblaze(url, 2)),
}


def call(name: str, url: str) -> None:
    """Make one call and print what the caller is told."""
    try:
        told = str(CALLS[name][1](url))
    except Exception as problem:
        told = f"{type(problem).__name__}: {problem}"
    print(told)


# --- the judge


def peer(name: str, python: Path) -> str:
    """Let one client make its call and return its row."""
    found = version(python, CALLS[name][0])
    if found is None:
        return f"| {name} | - | - | - | not installed |"
    server = HangUp()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    began = time.monotonic()
    child = [str(python), str(HERE / "one_post.py"), "--call", name, server.url]
    done = subprocess.run(child, check=False, capture_output=True, text=True, timeout=LIMIT_S)
    took_s = time.monotonic() - began
    told = (done.stdout.strip() or done.stderr.strip() or "nothing").splitlines()[-1]
    keys = ", ".join(server.keys) or "none"
    server.shutdown()
    package, comma, setting = name.partition(",")
    return f"| {package} {found}{comma}{setting} | {server.posts} | {took_s:.0f} | {keys} | {told[:160]} |"


def run_ours(url: str, key: str) -> tuple[str, float]:
    """Run our program with one job; return what its last lines say, and how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "one.yaml").write_text(MANIFEST, encoding="utf-8")
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": folder,
            "PYTHONPATH": str(HERE.parent),
            "GMI_BASE_URL": url,
            "GMI_API_KEY": key,
        }
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "batchrunner", "run", "one.yaml", "--quiet"],
            cwd=folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    lines = (line.strip() for line in done.stdout.splitlines())
    told = "; ".join(line for line in lines if line.startswith(("held", "one:")))
    return f"exit {done.returncode}: {told}", time.monotonic() - began


def ours_unlisted() -> str:
    """Let ours meet a provider that hangs up and shows nothing in its list."""
    server = HangUp()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told, took_s = run_ours(server.url, "secret")
    server.shutdown()
    return f"| ours, not in the list | {server.posts} | {took_s:.0f} | none | {told} |"


def ours_listed() -> str:
    """Let ours meet a provider that takes the job, hangs up, and shows it in its list."""
    from batchrunner.emulator.config import EmulatorConfig
    from batchrunner.emulator.process import EmbeddedEmulator

    with EmbeddedEmulator(EmulatorConfig(canned=True, submit_script=("accept_then_drop",))) as emulator:
        told, took_s = run_ours(emulator.api, emulator.key)
        with urllib.request.urlopen(f"{emulator.api}/_emulator/ledger", timeout=30) as answer:
            posts = json.load(answer)["posts"]
    return f"| ours, in the list | {posts} | {took_s:.0f} | none | {told} |"


def main() -> None:
    """Let every client make its call, all at the same time, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--packages", default="", help="the folder to install the clients in; else a spare one"
    )
    parser.add_argument("--call", nargs=2, metavar=("CLIENT", "URL"), help="one call only, from this process")
    args = parser.parse_args()
    if args.call:
        call(*args.call)
        return
    with installed(args.packages, PACKAGES) as python, ThreadPoolExecutor() as pool:
        rows = [pool.submit(peer, name, python) for name in CALLS]
        rows += [pool.submit(ours_unlisted), pool.submit(ours_listed)]
        print("| client | POSTs read | seconds | idempotency header | what the caller is told |")
        print("|---|---|---|---|---|")
        for row in rows:
            print(row.result())


if __name__ == "__main__":
    main()
