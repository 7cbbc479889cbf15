"""The embedded emulator as a process: it starts, restarts over its folder, and leaves no orphan."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchrunner.emulator.app import loopback
from batchrunner.emulator.config import EmulatorConfig
from batchrunner.emulator.process import EmbeddedEmulator
from batchrunner.errors import LocalError, UsageError
from tests.emulator.client import Client, emulator, send

QUICK = EmulatorConfig(canned=True, duration_s=(0.0, 0.0))

PARENT = """
import sys, time
from pathlib import Path
from batchrunner.emulator.process import EmbeddedEmulator
with EmbeddedEmulator(root=Path(sys.argv[1])) as emulator:
    print(emulator.pid, emulator.api, flush=True)
    time.sleep(60)
"""


def client_of(child: EmbeddedEmulator) -> Client:
    """Return a client of a running child."""
    return Client(child.api, child.storage, child.key)


def gone(pid: int, within_s: float = 5.0) -> bool:
    """Tell whether a process ends in time; one that nobody has reaped counts as ended."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            if "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]:
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_a_child_serves_and_ends_with_its_block() -> None:
    """It is reached inside, and gone outside."""
    with EmbeddedEmulator(QUICK) as child:
        pid, reply = child.pid, client_of(child).post()

    assert reply.status == 200
    assert gone(pid)


def test_a_restart_knows_the_same_requests(tmp_path: Path) -> None:
    """Ids, bill, ports, uploads and clips are those of before, even after a kill -9."""
    with EmbeddedEmulator(QUICK, root=tmp_path) as child:
        client = client_of(child)
        url = client.media_url()
        upload = client.upload(b"bytes")
        before, listed, api = client.ledger(), client.listed(), child.api
        os.kill(child.pid, signal.SIGKILL)
    with EmbeddedEmulator(QUICK, root=tmp_path) as child:
        client = client_of(child)
        after, again = client.ledger(), client.listed()
        media, stored = send("GET", url), send("GET", upload)

    assert api == child.api
    assert listed == again
    assert [before[name] for name in ("accepted", "posts", "charged")] == [
        after[name] for name in ("accepted", "posts", "charged")
    ]
    assert (media.status, stored.body) == (200, b"bytes")


def test_scripts_go_on_after_a_restart(tmp_path: Path) -> None:
    """What the first process used up does not strike again."""
    with emulator(tmp_path, submit_script=("429", "ok", "503_capacity")) as client:
        first = [client.post().status for _ in range(2)]
    with emulator(tmp_path, submit_script=("429", "ok", "503_capacity")) as client:
        second = [client.post().status for _ in range(2)]

    assert (first, second) == ([429, 200], [503, 200])


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    """What a kill left half written counts as never accepted, and later lines stay whole."""
    with emulator(tmp_path) as client:
        client.post()
    with (tmp_path / "ledger.jsonl").open("ab") as file:
        file.write(b'{"accepted": {"request_id": "half')
    with emulator(tmp_path) as client:
        client.post()
    with emulator(tmp_path) as client:
        ledger = client.ledger()

    assert ledger["accepted"] == 2


def test_no_orphan_after_the_parent_is_killed(tmp_path: Path) -> None:
    """kill -9 of the parent ends the child within moments, and its folder can be used again."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid, api = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    parent.stdout.close()

    assert gone(int(pid))
    with EmbeddedEmulator(QUICK, root=tmp_path) as child:
        assert api == child.api


def test_an_interrupt_is_for_the_parent() -> None:
    """SIGINT does nothing to the child, SIGTERM ends it."""
    with EmbeddedEmulator(QUICK) as child:
        pid = child.pid
        os.kill(pid, signal.SIGINT)
        time.sleep(0.1)
        reply = client_of(child).post()
        os.kill(pid, signal.SIGTERM)
        ended = gone(pid)

    assert (reply.status, ended) == (200, True)


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """The child's trouble arrives as the parent's error."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(LocalError, match="cannot use its folder"),
        EmbeddedEmulator(QUICK, root=tmp_path / "file"),
    ):
        pass


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """A port that was asked for is not silently replaced."""
    with emulator(tmp_path / "a") as client:
        port = int(client.api.rpartition(":")[2])
        with (
            pytest.raises(LocalError, match=f"cannot listen on 127.0.0.1:{port}"),
            EmbeddedEmulator(QUICK, port=port),
        ):
            pass


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.com", ""])
def test_only_loopback_is_bound(host: str) -> None:
    """Nobody else on the network reaches it."""
    with pytest.raises(UsageError, match="loopback"):
        loopback(host)


@pytest.mark.parametrize(
    ("host", "address"), [("localhost", "127.0.0.1"), ("::1", "::1"), ("127.1.2.3", "127.1.2.3")]
)
def test_loopback_names_are_taken(host: str, address: str) -> None:
    """Every spelling of this machine."""
    assert address == loopback(host)


def test_serve_runs_in_the_foreground_until_a_signal(tmp_path: Path) -> None:
    """It tells where it listens, and SIGINT ends it cleanly."""
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from batchrunner.emulator.app import serve\nfrom batchrunner.emulator.config import EmulatorConfig\n"
        "serve(EmulatorConfig(), root=Path(sys.argv[1]), on_ready=lambda e: print(e.api, flush=True))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    api = child.stdout.readline().strip()
    told = json.loads(send("GET", f"{api}/_emulator/ledger").body)
    child.send_signal(signal.SIGINT)
    code = child.wait(5)
    child.stdout.close()

    assert (told["posts"], code) == (0, 0)


def test_a_configuration_survives_the_wire() -> None:
    """Every knob reads back as it was written."""
    config = EmulatorConfig(submit_script=("hang:2", "accept_then_drop"), credits=3, duration_s=(0.5, 2.0))

    assert config == EmulatorConfig.from_json(config.to_json())
