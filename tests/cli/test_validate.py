"""`validate` as people, hooks and GitHub use it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from batchrunner.cli.validate import annotation
from batchrunner.errors import Problem
from tests.shell import ROOT, Shell

HEAVY = ("requests", "sqlite_utils", "sqlite3", "rich", "batchrunner.engine", "batchrunner.campaign")


def test_many_manifests_are_checked_and_every_error_is_told(tmp_path: Path) -> None:
    """One that is missing does not hide those that are wrong."""
    shell = Shell(tmp_path)
    good = shell.write()
    wrong = (tmp_path / good).read_text(encoding="utf-8").replace("takes", "take")
    (tmp_path / "wrong.yaml").write_text(wrong, encoding="utf-8")
    done = shell.inside("validate", "gone.yaml", good, "wrong.yaml")

    assert (done.code, done.out) == (2, "night.yaml: 3 jobs, no errors\n")
    assert done.err.splitlines() == [
        "gone.yaml: cannot read the manifest gone.yaml: No such file or directory",
        'wrong.yaml:6:1: take: unknown key "take": did you mean "takes"?',
        "2 errors; nothing was sent",
    ]
    assert shell.inside("validate", good, good).code == 0


def test_github_marks_the_lines(tmp_path: Path) -> None:
    """One workflow command for each error on stdout, and nothing else there."""
    shell = Shell(tmp_path)
    text = (tmp_path / shell.write()).read_text(encoding="utf-8")
    (tmp_path / "night.yaml").write_text(text.replace("seed: 7", "seed: -7\ntake: 1"), encoding="utf-8")
    done = shell.inside("validate", "night.yaml", "gone.yaml", "--format", "github")

    assert done.code == 2
    assert done.out.splitlines() == [
        "::error file=night.yaml,line=5,col=7::seed: must be at least 0, not -7",
        '::error file=night.yaml,line=6,col=1::take: unknown key "take": did you mean "takes"?',
        "::error file=gone.yaml::cannot read the manifest gone.yaml: No such file or directory",
    ]
    assert done.err == "3 errors; nothing was sent\n"


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (
            Problem("a,b:c%.yaml", 3, 4, "", "50% off"),
            "::error file=a%2Cb%3Ac%25.yaml,line=3,col=4::50%25 off",
        ),
        (
            Problem("x.yaml", 1, 1, "p", "a\r\n::error::b"),
            "::error file=x.yaml,line=1,col=1::p: a%0D%0A::error::b",
        ),
    ],
)
def test_nothing_in_a_message_or_a_name_ends_the_annotation(problem: Problem, line: str) -> None:
    """As the runner's own toolkit escapes: data and properties apart."""
    assert annotation(problem) == line


def test_it_is_quick_enough_for_a_hook(tmp_path: Path) -> None:
    """It brings nothing of what a run needs: that is what its time goes into."""
    code = f"""
import sys
sys.argv = ["batchrunner", "validate", "night.yaml"]
from batchrunner.cli.main import main
try:
    main()
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    shell = Shell(tmp_path)
    shell.write()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=shell.environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == ["night.yaml: 3 jobs, no errors", "[]"]


def test_the_hook_that_ships_calls_it() -> None:
    """By the words that pre-commit reads."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))

    assert (hook["entry"], hook["language"], hook["types"]) == ("batchrunner validate", "python", ["yaml"])
    assert hook.keys() == {"id", "name", "description", "entry", "language", "types", "files"}


def test_of_many_notes_the_first_are_told(tmp_path: Path) -> None:
    """A table may have a key of its own in each row; and each line of a pasted list begins alike."""
    shell = Shell(tmp_path)
    text = (tmp_path / shell.write()).read_text(encoding="utf-8")
    row = '{{"id": "owl{0}", "url": "https://example.com/{0}.png", "note{0}": "x"}}\n'
    (tmp_path / "rows.jsonl").write_text("".join(map(row.format, range(120))), encoding="utf-8")
    (tmp_path / "words.txt").write_text('- Push in\n"Orbit"\n2. Zoom\n"A" to B\n', encoding="utf-8")
    text = text.replace("images:\n", "images:\n  - {jsonl: rows.jsonl}\n")
    text = text.replace("prompts:\n", "prompts:\n  - {lines: words.txt}\n")
    (tmp_path / "night.yaml").write_text(text, encoding="utf-8")
    done, plan = shell.inside("validate", "night.yaml"), shell.inside("plan", "night.yaml")

    assert (done.code, plan.code) == (0, 0), done.err
    *first, last = done.err.splitlines()
    assert (len(first), last) == (100, "note: … and 21 more")
    *first, last = plan.err.splitlines()
    assert (len(first), last) == (5, "note: … and 116 more: batchrunner validate tells more of them")
    told = (
        "words.txt:1:1: begins with -, which would be sent with the words; so would the signs of 2 more lines"
    )
    notes = json.loads(shell.inside("validate", "night.yaml", "--json").out)[0]["notes"]
    assert told in {
        f"{Path(one['file']).name}:{one['line']}:{one['column']}: {one['message']}" for one in notes
    }


def test_notes_are_told_and_are_no_errors(tmp_path: Path) -> None:
    """On stderr for people, in JSON, and as notices for GitHub; `plan` tells them before money moves."""
    shell = Shell(tmp_path)
    text = (tmp_path / shell.write()).read_text(encoding="utf-8")
    url = 'url: "https://example.com/owl.png"'
    images = f"images:\n  - {{id: owl, {url}, vars: {{mood: dark}}}}\n"
    (tmp_path / "night.yaml").write_text(text.replace("images:\n", images), encoding="utf-8")
    done = shell.inside("validate", "night.yaml")
    plan = shell.inside("plan", "night.yaml", "--json")
    place, what = "night.yaml:{line}:{column}: images[0].vars.mood", "no prompt uses {{mood}}"
    (answer,) = json.loads(shell.inside("validate", "night.yaml", "--json").out)
    (note,) = answer["notes"]
    line = f"note: {place}: {what}\n".format(**note)

    assert (done.code, done.err, plan.err) == (0, line, line)
    assert (answer["errors"], plan.code) == ([], 0)
    marked = shell.inside("validate", "night.yaml", "--format", "github")
    assert marked.out.startswith("::notice file=night.yaml,line=")


def test_pictures_on_this_machine_are_refused_where_the_provider_is_not(tmp_path: Path) -> None:
    """At their lines, in tables too, by every command; beside a stand-in on this machine they are right."""
    (tmp_path / "shots.csv").write_text("image,prompt\nfox,push\nhttp://[::1]:9/b.png,Look up\n", "utf-8")
    (tmp_path / "night.yaml").write_text(
        "version: 1\ncampaign: night\nmodel: pixverse-v5.6-i2v\nseed: 7\n"
        "images: [{id: fox, url: 'https://localhost/fox.png'}]\nprompts: [{id: push, text: Push in}]\n"
        "shots: {csv: shots.csv}\nproduct: false\n",
        encoding="utf-8",
    )
    shell = Shell(tmp_path)
    what = "is this machine itself, which the provider cannot reach"
    told = [f"night.yaml:5:25: images[0].url: localhost {what}", f"shots.csv:3:1: image: ::1 {what}"]
    paid = {"GMI_BASE_URL": "https://console.gmicloud.ai"}

    for words in (("validate", "night.yaml"), ("plan", "night.yaml"), ("run", "night.yaml")):
        done = shell.run(*words, **paid)
        assert (done.code, done.err.splitlines()[:2]) == (2, told)
    assert shell.run("validate", "night.yaml", GMI_BASE_URL="http://127.0.0.1:9").code == 0


def test_more_errors_than_are_told_at_once_are_hinted_at(tmp_path: Path) -> None:
    """Else a person mends a hundred rows and believes to be done."""
    shell = Shell(tmp_path)
    rows = "".join(f"https://example.com/{n}.png,Words {n},6\n" for n in range(150))
    (tmp_path / "shots.csv").write_text(f"image,prompt,duration\n{rows}", encoding="utf-8")
    head = "version: 1\ncampaign: night\nmodel: pixverse-v5.6-i2v\nseed: 7\n"
    (tmp_path / "night.yaml").write_text(f"{head}shots: {{csv: shots.csv}}\n", encoding="utf-8")
    done = shell.inside("validate", "night.yaml")

    assert done.code == 2
    told = "100 errors and perhaps more, for so many are told at once; nothing was sent"
    assert done.err.splitlines()[-1] == told


def test_what_a_manifest_is_made_for_is_told_apart_from_one(tmp_path: Path) -> None:
    """A table, a folder: with the command that makes a manifest of it."""
    (tmp_path / "my shots.csv").write_text("image,prompt\nfox.png,The fox\n", encoding="utf-8")
    (tmp_path / "photos").mkdir()
    shell = Shell(tmp_path)
    (tmp_path / "photos" / "fox.png").touch()
    validated = shell.inside("validate", "my shots.csv", "photos", "photos/fox.png")
    planned = shell.inside("plan", "my shots.csv")

    table = "my shots.csv is a table, not a manifest; for its rows: batchrunner init --from 'my shots.csv'"
    assert (validated.code, planned.code) == (2, 2)
    assert validated.err.splitlines()[:3] == [
        f"my shots.csv: {table}",
        "photos: photos is a folder, not a manifest; for its pictures: batchrunner init photos",
        "photos/fox.png: photos/fox.png is no manifest; for all pictures of its folder: "
        "batchrunner init photos",
    ]
    assert planned.err == f"{table}\n"


def test_a_manifest_that_is_not_there_may_be_another_one(tmp_path: Path) -> None:
    """The campaign's name, as most commands take it, or a name that is nearly right."""
    shell = Shell(tmp_path)
    name = shell.write()
    said = [shell.inside("plan", one).err for one in ("night", "nigth.yaml", "day.yaml")]

    why = "No such file or directory"
    assert said == [
        f'cannot read the manifest night: {why}: did you mean "{name}"?\n',
        f'cannot read the manifest nigth.yaml: {why}: did you mean "{name}"?\n',
        f"cannot read the manifest day.yaml: {why}\n",
    ]
