"""One client design in a process of its own, working off jobs at a provider: what people write, honestly.

    python peers.py DESIGN API_URL KEY FOLDER JOBS

Every design gets the same help: four threads, a fresh connection for each POST, GETs and downloads tried
again until they work, a clip written beside its name and renamed, and jobs that have their clip skipped at
a restart. They differ in one thing only: how they come to a request id, and what they remember of it.

- `everything`: every exception of the POST is tried again, five times, by tenacity where it is installed.
- `careful`: urllib3's own retry, for connections that never stood, and for 429 and 5xx answers.
- `never`: one POST a job; the id, or the failure, goes into a state file after the answer.
- `rerun`: the step is noted before the POST and its id after it; what has no id at a restart is sent again.
- `genblaze`, `genblaze-2`: genblaze-gmicloud's pipeline with its step cache and its `on_submit` hook, each
  id kept and resumed at a restart, with `max_retries` 0 (its default) and 2.

The last line on stdout tells of the jobs that failed, as JSON; the exit code is 0 where none did.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

QUEUE = "/api/v1/ie/requestqueue/apikey"
MODEL = "pixverse-v6-i2v"
PICTURE = "https://example.com/a.png"
PROMPT = "Slow push-in"
THREADS = 4
POLL_S = 0.2
TIMEOUT_S = (5.0, 120.0)
TRIES = 5


class StateFile:
    """A small JSON file of what is known of each job, replaced whole and synced at each change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, seed: int) -> dict[str, str]:
        """Return what is known of a job; empty for nothing."""
        return self._known.get(str(seed), {})

    def put(self, seed: int, **known: str) -> None:
        """Remember it; on disk when this returns."""
        with self._lock:
            self._known[str(seed)] = known
            part = self._path.with_suffix(".part")
            with part.open("w") as file:
                json.dump(self._known, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)


class Peer:
    """The calls that all designs share."""

    def __init__(self, api: str, key: str, folder: Path) -> None:
        self.queue = api + QUEUE
        self.key = key
        self.headers = {"Authorization": f"Bearer {key}"}
        self.folder = folder
        self.state = StateFile(folder / "state.json")

    def body(self, seed: int) -> dict[str, Any]:
        """Return the body of a job's POST."""
        payload = {"image": PICTURE, "prompt": PROMPT, "duration": 5, "quality": "540p", "seed": seed}
        return {"model": MODEL, "payload": payload}

    def post(self, seed: int, session: requests.Session | None = None) -> str:
        """Send one POST and return the request id, or raise."""
        with session or requests.Session() as opened:
            answer = opened.post(
                f"{self.queue}/requests", json=self.body(seed), headers=self.headers, timeout=TIMEOUT_S
            )
        answer.raise_for_status()
        return str(answer.json()["request_id"])

    def finish(self, seed: int, request_id: str) -> None:
        """Wait for an accepted request and get its clip; what fails here is tried again."""
        while True:
            record = persistent(lambda: self._record(request_id))
            if record["status"] == "success":
                break
            if record["status"] in ("failed", "cancelled"):
                raise RuntimeError(f"{request_id}: {record['outcome']}")
            time.sleep(POLL_S)
        self.fetch(seed, record["outcome"]["media_urls"][0]["url"])

    def fetch(self, seed: int, url: str) -> None:
        """Get a clip, whole, under its name."""
        data = persistent(lambda: _got(url))
        part = self.folder / f"{seed}.part"
        part.write_bytes(data)
        part.replace(self.folder / f"{seed}.mp4")

    def _record(self, request_id: str) -> dict[str, Any]:
        answer = requests.get(f"{self.queue}/requests/{request_id}", headers=self.headers, timeout=TIMEOUT_S)
        answer.raise_for_status()
        record: dict[str, Any] = answer.json()
        return record


def _got(url: str) -> bytes:
    answer = requests.get(url, timeout=TIMEOUT_S)
    answer.raise_for_status()
    return answer.content


def persistent(call: Callable[[], Any], tries: int = 20) -> Any:
    """Try again what costs nothing to repeat."""
    for n in range(tries):
        try:
            return call()
        except (requests.RequestException, ValueError):
            if n + 1 == tries:
                raise
            time.sleep(POLL_S)
    raise AssertionError("unreachable")


def everything(peer: Peer, seed: int) -> None:
    """Try the POST again whatever happened to it."""
    try:
        tenacity = importlib.import_module("tenacity")
    except ImportError:
        peer.finish(seed, persistent(lambda: peer.post(seed), TRIES))
        return
    policy = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(TRIES),
        wait=tenacity.wait_exponential_jitter(initial=0.2, max=2),
        reraise=True,
    )
    peer.finish(seed, policy(peer.post, seed))


def careful(peer: Peer, seed: int) -> None:
    """Let urllib3 try again where no connection stood, and on 429 and 5xx; a lost answer is an error."""
    session = requests.Session()
    retry = Retry(
        total=TRIES,
        connect=TRIES,
        read=0,
        other=0,
        status=TRIES,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        backoff_factor=0.2,
    )
    session.mount("http://", HTTPAdapter(max_retries=retry))
    peer.finish(seed, peer.post(seed, session))


def never(peer: Peer, seed: int) -> None:
    """Send once; remember the id or the failure once there is an answer."""
    known = peer.state.get(seed)
    if "failed" in known:
        raise RuntimeError(known["failed"])
    if "id" not in known:
        try:
            known = {"id": peer.post(seed)}
        except Exception as problem:
            peer.state.put(seed, failed=str(problem))
            raise
        peer.state.put(seed, **known)
    peer.finish(seed, known["id"])


def rerun(peer: Peer, seed: int) -> None:
    """Note the step, send, note the id; a step without an id is unfinished and done again."""
    known = peer.state.get(seed)
    if "id" not in known:
        peer.state.put(seed, step="submitting")
        known = {"id": peer.post(seed)}
        peer.state.put(seed, **known)
    peer.finish(seed, known["id"])


def genblaze(max_retries: int) -> Callable[[Peer, int], None]:
    """Return the design that hands each job to genblaze's pipeline and keeps the ids that it tells."""
    lock = threading.Lock()
    made: dict[str, Any] = {}

    def work(peer: Peer, seed: int) -> None:
        with lock:
            if not made:
                made["provider"] = _genblaze_provider(peer)
        provider = made["provider"]
        pipeline = importlib.import_module("genblaze_core.pipeline.pipeline").Pipeline(f"job-{seed}")
        pipeline.cache(
            importlib.import_module("genblaze_core.pipeline.cache").StepCache(peer.folder / "cache")
        )
        asset = importlib.import_module("genblaze_core.models.asset").Asset(
            url=PICTURE, media_type="image/png"
        )
        enums = importlib.import_module("genblaze_core.models.enums")
        words = {"model": MODEL, "prompt": PROMPT, "modality": enums.Modality.VIDEO, "seed": seed}
        pipeline.step(provider, **words, external_inputs=[asset], duration=5, quality="540p")
        config = {
            "timeout": 60.0,
            "max_retries": max_retries,
            "on_submit": lambda _step, request_id: peer.state.put(seed, id=str(request_id)),
        }
        known = peer.state.get(seed)
        if "id" in known:
            plain = importlib.import_module("genblaze_core.models.step").Step(
                provider="gmicloud", model=MODEL, prompt=PROMPT, modality=enums.Modality.VIDEO
            )
            step = pipeline.resume_step(plain, known["id"], provider, config)
        else:
            step = pipeline.config(config).run(raise_on_failure=False, progress=False).run.steps[0]
        if not step.assets:
            raise RuntimeError(f"{step.status}: {step.error}")
        peer.fetch(seed, step.assets[0].url)

    return work


def _genblaze_provider(peer: Peer) -> Any:
    """Make its provider, with two changes for this place: clips by plain http, and no first wait of 24 s."""
    base: Any = importlib.import_module("genblaze_core.providers.base")
    base._ALLOWED_SCHEMES = frozenset({"http", "https"})
    kind = importlib.import_module("genblaze_gmicloud").GMICloudVideoProvider
    made = kind(api_key=peer.key, base_url=peer.queue, poll_interval=POLL_S)
    send = made._submit_request

    def submit(model: str, payload: dict[str, Any]) -> Any:
        result = send(model, payload)
        result.estimated_seconds = None
        return result

    made._submit_request = submit
    return made


DESIGNS: dict[str, Callable[[Peer, int], None]] = {
    "everything": everything,
    "careful": careful,
    "never": never,
    "rerun": rerun,
    "genblaze": genblaze(0),
    "genblaze-2": genblaze(2),
}


def main() -> int:
    """Work off all jobs that have no clip yet."""
    name, api, key, folder, jobs = sys.argv[1:]
    peer = Peer(api, key, Path(folder))
    failed: dict[int, str] = {}

    def work(seed: int) -> None:
        try:
            DESIGNS[name](peer, seed)
        except Exception as problem:
            failed[seed] = f"{type(problem).__name__}: {problem}"

    left = [seed for seed in range(int(jobs)) if not (peer.folder / f"{seed}.mp4").exists()]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, left))
    print(json.dumps(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
