"""One client, in a process of its own, working off N jobs at an emulator: prints what it took as JSON.

    python contender.py ours|decoded|plain|http|waiting API_URL KEY JOBS CONNECTIONS FOLDER

`plain` is what people write first: a thread pool over `requests`, a session a thread, no state at all.
`http` makes the three calls that a job takes (POST, one poll, one download) by our client, and nothing else.
`ours` makes fewer polls than that: while many are due, one list call stands for all of them.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

QUEUE = "/api/v1/ie/requestqueue/apikey/requests"
MODEL = "pixverse-v5.6-i2v"
MANIFEST = """\
version: 1
campaign: bench
model: {model}
provider: gmi
seed: 1
takes: {jobs}
images: [{{id: a, url: "https://example.com/a.png"}}]
prompts: {prompts}
limits: {{in_flight: {in_flight}, submits_per_minute: 10000000}}
"""


def manifest_text(jobs: int, in_flight: int) -> str:
    """Return a manifest of so many jobs: up to 10,000 takes of each of some prompts."""
    prompts = [{"id": f"p{n}", "text": "Slow push-in"} for n in range(-(-jobs // 10_000))]
    takes = jobs // len(prompts)
    return MANIFEST.format(model=MODEL, jobs=takes, in_flight=in_flight, prompts=json.dumps(prompts))


def payload(seed: int) -> dict[str, object]:
    """Return the payload of one job."""
    return {
        "image_url": "https://example.com/a.png",
        "prompt": "Slow push-in",
        "duration": "5",
        "aspect_ratio": "16:9",
        "quality": "540p",
        "seed": seed,
    }


def plain(api: str, key: str, jobs: int, connections: int, folder: Path) -> None:
    """Submit, poll and download with nothing but a thread pool."""
    import requests

    local = threading.local()

    def work(seed: int) -> None:
        session = getattr(local, "session", None) or requests.Session()
        local.session = session
        headers = {"Authorization": f"Bearer {key}"}
        body = {"model": MODEL, "payload": payload(seed)}
        request_id = session.post(api + QUEUE, json=body, headers=headers, timeout=60).json()["request_id"]
        while True:
            record = session.get(f"{api}{QUEUE}/{request_id}", headers=headers, timeout=60).json()
            if record["status"] == "success":
                break
            time.sleep(0.05)
        clip = session.get(record["outcome"]["media_urls"][0]["url"], timeout=60)
        (folder / f"{seed}.mp4").write_bytes(clip.content)

    folder.mkdir(parents=True)
    with ThreadPoolExecutor(connections) as pool:
        for _ in pool.map(work, range(jobs)):
            pass


def http(api: str, key: str, jobs: int, connections: int, folder: Path) -> None:
    """Make the calls that a job takes, with our client's HTTP, and keep nothing."""
    from batchrunner.access import Access, connect

    provider, door = connect(Access(key, base_url=api))

    def work(seed: int) -> None:
        reply = provider.submit(MODEL, payload(seed), timeout_s=180)
        assert reply.remote is not None
        remote = reply.remote
        while not remote.media:
            remote = provider.status(remote.request_id)
        with door.stream(remote.media[0], {}) as answer:
            for _chunk in answer.chunks:
                pass

    with ThreadPoolExecutor(connections) as pool:
        for _ in pool.map(work, range(jobs)):
            pass


def decoded(api: str, key: str, jobs: int, connections: int, folder: Path) -> None:
    """Run the real thing with every clip decoded too, as the extra `media` does."""
    ours(api, key, jobs, connections, folder, decode=True)


def ours(api: str, key: str, jobs: int, connections: int, folder: Path, *, decode: bool = False) -> None:
    """Run the real thing, durable, with every check that a plain install makes."""
    from batchrunner import Campaign
    from batchrunner.access import Access
    from batchrunner.engine.pool import Workers

    folder.mkdir(parents=True)
    manifest = folder / "bench.yaml"
    manifest.write_text(manifest_text(jobs, min(jobs, 1500)), encoding="utf-8")
    campaign = Campaign(
        manifest,
        state=folder / "state",
        output=folder / "outputs",
        access=Access(key, base_url=api),
        workers=Workers.of(connections),
        decode=decode,
    )
    ended = campaign.run()
    assert ended.exit_code == 0, ended


def waiting(api: str, key: str, jobs: int, connections: int, folder: Path) -> None:
    """Run the real thing with few jobs in flight and all others waiting, and stop after 200 clips."""
    from batchrunner import Campaign
    from batchrunner.access import Access
    from batchrunner.engine.pool import Workers
    from batchrunner.values import JobState

    folder.mkdir(parents=True)
    manifest = folder / "bench.yaml"
    manifest.write_text(manifest_text(jobs, 100), encoding="utf-8")
    access, workers = Access(key, base_url=api), Workers.of(connections)
    campaign = Campaign(manifest, state=folder, output=folder, access=access, workers=workers, decode=False)
    campaign.run(lambda progress: campaign.stop() if progress.jobs[JobState.DONE] >= 200 else None)


def main() -> None:
    """Run one contender and print its figures."""
    name, api, key, jobs, connections, folder = sys.argv[1:]
    contenders: dict[str, Callable[[str, str, int, int, Path], None]] = {
        "plain": plain,
        "http": http,
        "ours": ours,
        "decoded": decoded,
        "waiting": waiting,
    }
    began, cpu = time.perf_counter(), time.process_time()
    contenders[name](api, key, int(jobs), int(connections), Path(folder))
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    # Ours has a second process, for the clips: what it took counts too.
    second = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s += second.ru_utime + second.ru_stime
    peak_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + second.ru_maxrss) / 1024
    figures = {"jobs_s": int(jobs) / seconds, "cpu_ms": cpu_s / int(jobs) * 1000, "peak_mb": peak_mb}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
