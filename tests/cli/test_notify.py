"""Word from a run, received by a real server: what is told to whom, and that nothing depends on it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.shell import QUICK, ROOT, Shell, against

TWO = """
notify:
  - {env: PHONE}
  - env: PAGER
    on: [held, stopped]
"""


@dataclass
class Ear:
    """A server that is told things. `hangs`: it takes them and never answers."""

    hangs: bool = False
    port: int = 0
    heard: list[tuple[str, str, str]] = field(default_factory=list)  # path, title, body
    weights: list[str] = field(default_factory=list)  # of the same messages

    def address(self, path: str) -> str:
        """Return the address as apprise writes it; the password must never be seen anywhere."""
        return f"json://ann:canary55@127.0.0.1:{self.port}/{path}"

    def titles(self, path: str) -> list[str]:
        """Return what was told at a path."""
        return [title for where, title, _body in self.heard if where == f"/{path}"]


@contextmanager
def listening(*, hangs: bool = False) -> Iterator[Ear]:
    """Serve on loopback."""
    ear, over = Ear(hangs), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            ear.heard.append((self.path, told["title"], told["message"]))
            ear.weights.append(told["type"])
            if ear.hangs:
                over.wait(30)
                return
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    ear.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield ear
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def with_notify(shell: Shell, takes: int, text: str = TWO, limits: str = "") -> str:
    """Write the small manifest with somebody to notify."""
    name = shell.write(takes=takes, limits=limits)
    path = shell.folder / name
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    return name


def test_each_is_told_what_it_asked_for(tmp_path: Path) -> None:
    """A job is held while the others go on; at the end the figures, and what to do."""
    config = replace(QUICK, submit_script=("drop",))
    with listening() as ear, against(tmp_path, config) as shell:
        places = {"PHONE": ear.address("phone"), "PAGER": ear.address("pager")}
        done = shell.run("run", with_notify(shell, takes=2), **places)
        idle = shell.run("run", "night.yaml", **places)

    assert (done.code, idle.code) == (4, 4), done.err
    assert set(ear.weights) == {"warning"}
    assert ear.titles("phone")[0] == ear.titles("pager")[0] == "night: a job is held"
    assert ear.titles("phone")[1] == ear.titles("pager")[1] == "night: 1 of 2 jobs done, 1 held"
    last = [body for where, _title, body in ear.heard if where == "/phone"][1]
    assert "spent $0.15 in all, $0.15 reserved for open ones" in last
    assert "--adopt REQUEST_ID  #" in last
    assert last.splitlines()[-1].endswith("batchrunner run night.yaml")
    assert "canary55" not in done.out + done.err + idle.out + idle.err
    state = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert b"canary55" not in state


def test_a_quiet_night_is_told_once_and_a_run_with_nothing_to_do_not_at_all(tmp_path: Path) -> None:
    """By the environment alone; whoever asked for trouble only hears nothing."""
    with listening() as ear, against(tmp_path) as shell:
        every = {
            "BATCHRUNNER_NOTIFY": ear.address("all"),
            "PHONE": ear.address("phone"),
            "PAGER": ear.address("x"),
        }
        first = shell.run("run", with_notify(shell, takes=2), **every)
        again = shell.run("run", "night.yaml", **every)

    assert (first.code, again.code) == (0, 0), first.err
    assert sorted(ear.heard) == [
        ("/all", "night: 2 of 2 jobs done", ear.heard[0][2]),
        ("/phone", "night: 2 of 2 jobs done", ear.heard[0][2]),
    ]
    assert ear.weights == ["success", "success"]


def test_the_budget_is_told_at_four_fifths_and_its_end_as_a_stop(tmp_path: Path) -> None:
    """Once each, with what it would take to go on."""
    with listening() as ear, against(tmp_path) as shell:
        name = with_notify(shell, takes=5, limits=", budget: 0.50")
        done = shell.run("run", name, PHONE=ear.address("phone"), PAGER=ear.address("pager"))

    assert done.code == 6, done.err
    assert [title.partition(" of the")[0] for title in ear.titles("phone")] == [
        "night: 90%",
        "night: 3 of 5 jobs done, stopped: budget",
    ]
    assert ear.titles("pager") == ["night: 3 of 5 jobs done, stopped: budget"]
    assert "--budget 0.75" in ear.heard[-1][2]
    assert sorted(ear.weights) == ["failure", "failure", "warning"]


def test_a_run_that_cannot_go_on_at_all_says_so(tmp_path: Path) -> None:
    """The disk's words, not a summary: there is none."""
    with listening() as ear, against(tmp_path) as shell:
        (tmp_path / "outputs").write_text("a file")
        done = shell.run("run", with_notify(shell, 1), PHONE=ear.address("phone"), PAGER=ear.address("pager"))

    assert done.code == 8
    assert ear.titles("pager") == ["night: stopped"]
    assert "outputs" in ear.heard[-1][2]


@pytest.mark.parametrize("hangs", [True, False])
def test_who_does_not_answer_changes_nothing(tmp_path: Path, hangs: bool) -> None:
    """Exit code, clips and summary are the same; the address is not repeated."""
    with listening(hangs=hangs) as ear, against(tmp_path) as shell:
        address = ear.address("phone") if hangs else "json://ann:canary55@127.0.0.1:9/phone"
        done = shell.run("run", shell.write(takes=2), BATCHRUNNER_NOTIFY=address)

    assert done.code == 0, done.err
    assert "night: 2 of 2 jobs done" in done.out
    assert "a notification through BATCHRUNNER_NOTIFY was not delivered" in done.err
    assert "canary55" not in done.out + done.err


def test_a_variable_that_is_not_set_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    """At its line; `validate` alone does not mind, since it may run elsewhere."""
    with against(tmp_path) as shell:
        name = with_notify(shell, takes=1)
        done = shell.run("run", name, PHONE="json://127.0.0.1:9/")
        wrong = shell.run("run", name, PHONE="json://127.0.0.1:9/", PAGER="canary55")
        valid = shell.run("validate", name)

        assert shell.ledger()["posts"] == 0
    row = (tmp_path / name).read_text(encoding="utf-8").splitlines().index("  - env: PAGER") + 1
    assert (done.code, wrong.code, valid.code) == (2, 2, 0)
    assert done.err.startswith(f"{name}:{row}:10: notify[1].env: the environment variable PAGER is not set")
    assert "PAGER is no address that apprise can notify" in wrong.err
    assert "canary55" not in wrong.err


def test_without_the_extra_one_sentence_says_what_adds_it(tmp_path: Path) -> None:
    """Before anything is sent."""
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "apprise.py").write_text("raise ImportError\n")
    with against(tmp_path) as shell:
        path = f"{tmp_path / 'none'}:{ROOT}"
        done = shell.run("run", shell.write(), BATCHRUNNER_NOTIFY="json://127.0.0.1:9/", PYTHONPATH=path)

        assert (done.code, shell.ledger()["posts"]) == (2, 0)
    assert "notify needs an optional part: pip install 'batchrunner[notify]'" in done.err


def test_it_can_be_tried_before_the_night(tmp_path: Path) -> None:
    """`validate --notify` sends a test, and says who was not reached."""
    shell = Shell(tmp_path)
    with listening() as ear:
        name = with_notify(shell, takes=1)
        good = shell.run("validate", name, "--notify", PHONE=ear.address("phone"), PAGER=ear.address("pager"))
        bad = shell.run("validate", name, "--notify", PHONE="json://127.0.0.1:9/", PAGER=ear.address("pager"))

    assert (good.code, bad.code) == (0, 2), good.err
    assert ear.titles("phone") == ["night: a test"]
    assert "PHONE: the message was not delivered" in bad.err
    assert "no errors" not in bad.out
    assert ("/pager", "night: a test", "A run would tell: held, stopped.") in ear.heard


def test_whom_to_notify_changes_no_job(tmp_path: Path) -> None:
    """A campaign may get it on its third night: nothing is rendered anew."""
    shell = Shell(tmp_path)
    plain = shell.inside("plan", shell.write(), "--jobs").out

    assert shell.inside("plan", with_notify(shell, takes=3), "--jobs").out == plain
