"""The security checklist against the real program: what a run full of faults leaves behind, byte by byte.

A key and a signature that occur nowhere else are planted; the provider repeats them wherever a careless one
could. What the modules promise by themselves (addresses, names, bytes of clips) is tested beside them.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import os
import pty
import re
import stat
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from batchrunner.errors import ManifestError
from batchrunner.manifest.load import load_bytes
from tests.shell import QUICK, ROOT, Done, Shell, against, wait_for

KEY = "canary-key/6f1d+2c9b"
SIGNATURE = "canarysignature77e1"
QUERY = f"X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Signature={SIGNATURE}"
ADDRESS = f"https://storage.googleapis.com/b/clip.mp4?{QUERY}"
ECHO = f"\x1b]0;owned\x07\x1b[2J\u202e failed: Authorization: Bearer {KEY} at {ADDRESS} {QUERY} \x9b31m"
# Whatever one of them could look like after one more encoding.
CANARIES = [
    form
    for secret in (KEY, SIGNATURE)
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], secret.replace("/", "\\/"))
] + [base64.b64encode(KEY.encode()).decode(), KEY[:12], KEY[-8:], SIGNATURE[:12], SIGNATURE[-10:]]
FORBIDDEN = {form.encode(encoding) for form in CANARIES for encoding in ("utf-8", "utf-16-le")}

STORM = replace(
    QUICK,
    key=KEY,
    media_query=QUERY,
    post_delay_s=0.05,
    submit_script=("ok", "500_echo", "accept_then_drop", "accept_then_500_echo"),
    status_script=("500_echo",),
    list_script=("500_echo",),
    media_script=("403", "cut:700"),
    fate_script=("ok", ECHO, "ok", ECHO),
)


def leaks(*places: Path) -> list[str]:
    """Return the files below some folders that hold a canary, in their name or their bytes."""
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    told = [(path, path.read_bytes() + str(path).encode()) for path in files]
    return [f"{path}: {form!r}" for path, data in told for form in FORBIDDEN if form in data]


def said(done: Done) -> str:
    """Return all that a command has written."""
    return done.out + done.err


def unseen(text: str) -> set[str]:
    """Return what a terminal would obey, or show otherwise than it stands there."""
    return {char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs"}} - {"\n"}


def test_a_run_full_of_faults_leaves_no_secret_and_no_control_character(tmp_path: Path) -> None:
    """Killed once, gone on with, looked at by every command: not one byte of key or signature is anywhere."""
    with against(tmp_path, STORM) as shell:
        name = shell.write(takes=6, limits=", max_outage: 20")
        killed = shell.start("run", name)
        wait_for(lambda: shell.ledger()["accepted"] >= 2)
        wait_for(lambda: bool(shell.clips()))
        command = Path(f"/proc/{killed.pid}/cmdline").read_bytes()
        killed.kill()
        heard = "".join(killed.communicate())
        after_kill = leaks(tmp_path)
        done = [shell.run("run", name) for _ in range(2)]
        done += [shell.run("retry", "night"), shell.run("run", name, "--json")]
        done += [shell.run(*words, "night") for words in (("status",), ("status", "--json"), ("jobs",))]
        done += [shell.run("jobs", "night", "--json"), shell.run("plan", name)]
        ledger = shell.ledger()

        assert not any(form in command for form in FORBIDDEN)
        assert [] == after_kill
        assert [] == leaks(tmp_path)
        text = heard + "".join(said(one) for one in done)
        assert [] == [form for form in CANARIES if form in text]
        assert set() == unseen(text)
        assert "Traceback" not in text
        assert "Authorization: Bearer [key]" in text  # the echo did come, and was told
        assert (0, True) == (ledger["auth_leaks"], shell.charged_at_most_once())
        assert len(shell.clips()) >= 2


def test_the_live_view_shows_no_secret_and_obeys_nobody(tmp_path: Path) -> None:
    """On a terminal too: no title is set, nothing is cleared but by the view itself."""
    storm = replace(
        STORM,
        submit_script=("500_echo",),
        fate_script=(ECHO,),
        status_script=(),
        list_script=(),
        media_script=(),
    )
    with against(tmp_path, storm) as shell:
        ours, theirs = pty.openpty()
        words = [sys.executable, "-m", "batchrunner", "run", shell.write(takes=3)]
        environment = shell.environment(TERM="xterm")
        process = subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b"".join(pieces(ours))
        process.wait(60)

    assert b"\x1b[" in shown  # it was the live view
    assert not any(form in shown for form in FORBIDDEN)
    assert not any(order in shown for order in (b"\x1b]", b"\x1b[2J", b"\x9b31m", "\u202e".encode()))


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="no /proc here")
def test_a_crash_leaves_no_core_file(tmp_path: Path) -> None:
    """It would hold the key."""
    with against(tmp_path, replace(QUICK, submit_script=("hang:5",))) as shell:
        process = shell.start("run", shell.write(takes=1))
        wait_for(lambda: shell.ledger()["posts"] > 0)
        limits = Path(f"/proc/{process.pid}/limits").read_text(encoding="ascii")
        process.kill()
        process.communicate()

    assert re.search(r"Max core file size +0 +0 ", limits)


def pieces(terminal: int) -> Iterator[bytes]:
    """Yield what comes out of a terminal until its last writer has gone."""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 65536):
            yield data


@pytest.mark.parametrize("script", [("401",) * 9, ("402",) * 9, ("500_echo",) * 99])
def test_no_way_to_end_tells_the_key(tmp_path: Path, script: tuple[str, ...]) -> None:
    """Refused, without credit, or nothing but errors that repeat what was sent."""
    config = replace(STORM, submit_script=script, status_script=(), list_script=script, list_faults=())
    with against(tmp_path, config) as shell:
        done = shell.run("run", shell.write(takes=2, limits=", max_outage: 1"))

        assert done.code not in {0, 70}
        assert [] == leaks(tmp_path)
        assert [] == [form for form in CANARIES if form in said(done)]


def test_state_is_private_whatever_the_umask(tmp_path: Path) -> None:
    """Folder 0700, every file in it 0600; while it runs, after a kill and at the end."""
    seen: dict[str, set[int]] = {}

    def look() -> None:
        for path in [tmp_path / "state", *(tmp_path / "state").rglob("*")]:
            with contextlib.suppress(FileNotFoundError):  # the journal comes and goes
                seen.setdefault(path.suffix or path.name, set()).add(stat.S_IMODE(path.lstat().st_mode))

    with against(tmp_path, replace(QUICK, duration_s=(0.2, 0.5))) as shell:
        before = os.umask(0)
        try:
            running = shell.start("run", shell.write(takes=6))
        finally:
            os.umask(before)
        while running.poll() is None:
            look()
        running.communicate()
        look()

    assert {0o700} == seen.pop("state")
    assert {0o600} == set.union(*seen.values())
    assert {".db", ".lock"} <= set(seen)


def test_links_in_the_output_folder_lead_nowhere(tmp_path: Path) -> None:
    """A link under each name that a clip could want: the files at the other end keep every byte."""
    victim, folder = tmp_path / "victim", tmp_path / "outputs" / "night" / "fox"
    victim.write_text("mine")
    folder.mkdir(parents=True)
    for take in (1, 2, 3):
        (folder / f"push-t{take}.mp4").symlink_to(victim)
        (folder / f"push-t{take}.a{take}.part").symlink_to(victim)
        (folder / f"push-t{take}.a{take}.part.json").symlink_to(victim)
        (folder / f".push-t{take}.json.tmp").symlink_to(tmp_path / "not there")
    with against(tmp_path) as shell:
        done = shell.run("run", shell.write())

    assert done.code in {0, 8}, done.err
    assert "mine" == victim.read_text()
    assert not (tmp_path / "not there").exists()
    assert "Traceback" not in done.err


@pytest.mark.parametrize("what", ["a link", "a file"])
def test_a_folder_that_cannot_be_written_is_found_before_anything_is_paid_for(
    tmp_path: Path, what: str
) -> None:
    """Exit 8 with the folder's name; once it is mended, the same command does all."""
    folder = tmp_path / "outputs" / "night" / "fox"
    folder.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere") if what == "a link" else folder.write_text("mine")
    with against(tmp_path) as shell:
        done = shell.run("run", shell.write())
        posts = shell.ledger()["posts"]
        folder.unlink()
        again = shell.run("run", "night.yaml")

    assert (done.code, posts) == (8, 0)
    assert "outputs/night/fox" in done.err + done.out
    assert not any((tmp_path / "elsewhere").iterdir())
    assert again.code == 0
    assert not any(folder.glob("*.probe"))


@pytest.mark.parametrize("name", ["night.db", "night.lock"])
def test_a_link_in_the_state_folder_is_not_followed(tmp_path: Path, name: str) -> None:
    """Exit 8 before anything is sent; the other end keeps every byte."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / name).symlink_to(victim)
    with against(tmp_path) as shell:
        done = shell.run("run", shell.write())

        assert (8, 0) == (done.code, shell.ledger()["posts"])
    assert "mine" == victim.read_text()


# --- hostile manifests --------------------------------------------------------------------------------

MANY = 4 << 20
HOSTILE = {
    "aliases that unfold": b"a: &a [x]\n"
    + b"".join(b"b%d: &b%d [%s]\n" % (n, n, b"*b%d," % (n - 1) * 9) for n in range(1, 30)),
    "a million aliases": b"a: [" + b"*a," * (MANY // 4) + b"]\n",
    "a million anchors": b"- &a x\n" * (MANY // 8),
    "a list in itself": b"a: &a [*a]\n",
    "python objects": b"a: !!python/object/apply:os.system ['touch owned']\n",
    "python names": b"!!python/name:os.system {}\n",
    "flow nesting": b"[" * (MANY - 1),
    "mapping nesting": b"{a: " * (MANY // 5),
    "block nesting": b"".join(b" " * n + b"-\n" for n in range(2000)),
    "keys of keys": b"? " * (MANY // 3),
    "the same key": b"a: 1\n" * (MANY // 6),
    "wrong items": b"images: [" + b"1," * 300_000 + b"]\n",
    "unknown keys": b"".join(b"k%d: 1\n" % n for n in range(200_000)),
    "a long number": b"seed: " + b"9" * (MANY - 10),
    "many documents": b"---\n" * (MANY // 5),
    "too large": b"#" * (MANY + 1),
    "keys in comments": b"# eyJ"
    + b"\n# eyJ".join([b"a" * 20 + b"." + b"b" * 20 + b"." + b"c" * 20] * 50_000),
}


# The program, and at its end its own peak of memory: what `wait4` tells is at least this process's own.
MEASURED = """
import atexit, pathlib, re
from batchrunner.cli import main
status = pathlib.Path("/proc/self/status")
def peak():
    pathlib.Path("../peak").write_text(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1])
if status.exists():
    atexit.register(peak)
main()
"""


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_manifest_is_refused_soon_and_small(tmp_path: Path, case: str) -> None:
    """Exit 2 by the real program in little time and memory, in few lines; nothing of it is carried out."""
    (tmp_path / "m.yaml").write_bytes(HOSTILE[case])
    words = [sys.executable, "-c", MEASURED, "plan", "m.yaml"]
    with (tmp_path / "said").open("wb") as heard:
        process = subprocess.Popen(
            words, cwd=tmp_path, env=Shell(tmp_path).environment(), stdout=heard, stderr=heard
        )
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    lines = (tmp_path / "said").read_text(encoding="utf-8").splitlines()

    assert 2 == process.returncode
    assert 1 <= len(lines) <= 200
    assert not any("Traceback" in line for line in lines)
    assert used.ru_utime + used.ru_stime < 10
    if (peak := tmp_path.parent / "peak").exists():
        assert int(peak.read_text(encoding="ascii")) < 400 << 10  # KiB
    assert {"m.yaml", "said"} == {path.name for path in tmp_path.iterdir()}


SMALL = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
seed: 7
images: [{image}]
prompts: [{{id: push, text: "{text}"}}]
"""


@pytest.mark.parametrize("what", ["/etc/passwd", "/dev/zero", "/proc/self/environ", "fifo", ".", "link"])
def test_only_pictures_are_read_as_pictures(tmp_path: Path, what: str) -> None:
    """No device is read without end, no pipe waited for, and no other file could be uploaded."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    text = SMALL.format(image=f"{{id: fox, file: {what}}}", text="x")
    began_s = time.monotonic()
    with pytest.raises(ManifestError, match=r"images\[0\].file"):
        load_bytes(text.encode(), tmp_path / "m.yaml")

    assert time.monotonic() - began_s < 5


@pytest.mark.parametrize("text", ["${GMI_API_KEY}", "$GMI_API_KEY", "{GMI_API_KEY}", "%(GMI_API_KEY)s"])
def test_no_word_of_the_environment_gets_into_a_prompt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    """What looks like a variable is a plain text, or a word that the manifest does not know."""
    monkeypatch.setenv("GMI_API_KEY", KEY)
    manifest = SMALL.format(image='{id: fox, url: "https://example.com/fox.png"}', text=text)
    if text.startswith("{"):
        with pytest.raises(ManifestError, match="GMI_API_KEY") as caught:
            load_bytes(manifest.encode(), tmp_path / "m.yaml")
        assert KEY not in str(caught.value)
    elif "{" not in text:
        found, _card = load_bytes(manifest.encode(), tmp_path / "m.yaml")
        assert text == found.prompts[0].text
    else:
        with pytest.raises(ManifestError, match="GMI_API_KEY"):
            load_bytes(manifest.encode(), tmp_path / "m.yaml")


# --- the code itself ----------------------------------------------------------------------------------

MODULES = sorted((ROOT / "batchrunner").rglob("*.py"))
BANNED = {"eval", "exec", "compile", "__import__", "system", "popen", "mktemp", "unsafe_load", "full_load"}
DOORS = {
    "subprocess": {"emulator/process.py", "media/apart.py", "cli/awake.py"},
    "pickle": set[str](),
    "marshal": set[str](),
    "shelve": set[str](),
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_text_or_trusts_blindly(path: Path) -> None:
    """No eval, no pickle, no shell, no unchecked certificate; only a few start a process."""
    here = str(path.relative_to(ROOT / "batchrunner"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None)
            attribute = getattr(node.func, "attr", None)
            assert name not in BANNED, f"{here}:{node.lineno}"
            assert attribute not in BANNED - {"compile"}, f"{here}:{node.lineno}"
            for keyword in node.keywords:
                told = (keyword.arg, getattr(keyword.value, "value", None))
                assert told not in {("verify", False), ("shell", True)}, f"{here}:{node.lineno}"
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert here in DOORS.get(name.partition(".")[0], {here}), f"{here} imports {name}"


SCHEMAS = sorted((ROOT / "schemas").rglob("*.json"))


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_schemas_refer_to_nothing_outside_and_match_in_linear_time(path: Path) -> None:
    """No schema is fetched, and no pattern has a text that keeps it busy."""
    text = path.read_text(encoding="utf-8")

    assert [] == [found for found in re.findall(r'"\$ref": *"([^"]*)"', text) if not found.startswith("#")]
    for pattern in {
        json.loads(f'"{found}"') for found in re.findall(r'"pattern": *"((?:[^"\\]|\\.)*)"', text)
    }:
        for hostile in ("a" * 50_000, "a-" * 25_000, "0" * 50_000 + "!", "a." * 25_000 + "\n"):
            began_s = time.process_time()
            re.search(pattern, hostile)

            assert time.process_time() - began_s < 0.05
