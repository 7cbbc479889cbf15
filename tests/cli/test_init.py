"""`init` as a user meets it: a manifest for what is there, and examples that run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from batchrunner.cli.init import EXAMPLES
from batchrunner.files import demo_folder
from batchrunner.manifest.load import load
from tests.manifest.test_bad import BAD
from tests.shell import Shell, against


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with pictures and no provider."""
    shutil.copytree(demo_folder() / "images", tmp_path / "my [photos]")
    return Shell(tmp_path, "http://127.0.0.1:1", "")


def test_a_folder_of_pictures_becomes_a_manifest(shell: Shell, tmp_path: Path) -> None:
    """Which files, how wide, how many jobs and what they cost at most: all found out; the words are given."""
    (tmp_path / "my [photos]" / "old.webp").touch()
    done = shell.run("init", "my [photos]", "--prompt", 'Push in: "soft"', "--prompt", "Drift # left")
    manifest, _card = load(tmp_path / "my-photos.yaml")
    text = (tmp_path / "my-photos.yaml").read_text(encoding="utf-8")

    assert done.code == 0, done.err
    assert done.out == "wrote my-photos.yaml: 12 jobs\nnext: batchrunner run my-photos.yaml\n"
    assert [image.id for image in manifest.images] == ["harbour", "lighthouse", "fox"]
    assert [prompt.text for prompt in manifest.prompts] == ['Push in: "soft"', "Drift # left"]
    assert manifest.parameters["aspect_ratio"] == "16:9"
    assert "12 jobs, at most $1.80 on the paid queue" in text
    assert "# 1 more left out: convert them to PNG or JPEG" in text
    assert done.err == "1 more left out: convert them to PNG or JPEG\n"
    assert shell.run("validate", "my-photos.yaml").code == 0


@pytest.mark.parametrize(
    ("words", "name", "jobs", "images"),
    [
        (("--model", "wan2.6-t2v", "--prompt", "A fox", "--prompt", "An owl"), "night", 4, 0),
        (("--model", "wan2.7-t2v", "--from", "words.csv"), "words", 2, 0),
        (("--model", "wan2.7-t2v", "--from", "lines.txt"), "lines", 4, 0),
        (("my films", "--model", "pixverse-v6-extend"), "my-films", 2, 1),
        (("--model", "pixverse-v6-transition"), "night", 2, 1),
    ],
)
def test_a_model_may_be_named(
    tmp_path: Path, words: tuple[str, ...], name: str, jobs: int, images: int
) -> None:
    """What it takes is what is looked for; a model of words alone needs nothing but words."""
    folder = tmp_path / "night"
    (folder / "my films").mkdir(parents=True)
    shutil.copy(BAD / "files" / "films" / "clip.mp4", folder / "my films")
    (folder / "lines.txt").write_text("A fox looks up\nAn owl flies\n", encoding="utf-8")
    (folder / "words.csv").write_text("prompt,duration\nA fox looks up,8\n", encoding="utf-8")
    done = Shell(folder).run("init", *words)
    manifest, card = load(folder / f"{name}.yaml")

    assert done.out.startswith(f"wrote {name}.yaml: {jobs} job"), done.err
    assert card.id == manifest.model == words[words.index("--model") + 1]
    assert len([image for image in manifest.images if image.id]) == images


def test_without_words_some_are_suggested(shell: Shell, tmp_path: Path) -> None:
    """And marked as such; another file may be named."""
    done = shell.run("init", "my [photos]", "-o", "nights/first.yaml")
    manifest, _card = load(tmp_path / "nights" / "first.yaml")

    assert done.code == 0, done.err
    assert len(manifest.images) == 3
    assert "# your own words" in manifest.text


@pytest.mark.parametrize(
    ("name", "table", "found"),
    [
        (
            "shots.csv",
            "\ufeffimage;prompt;takes\nmy [photos]/fox.png;The fox looks up;2\n",
            lambda one: len(one.shots) == 1 and not one.images,
        ),
        (
            "bars.csv",
            "image|prompt\nmy [photos]/fox.png|The fox looks up, slowly\n",
            lambda one: one.shots[0].prompt.text == "The fox looks up, slowly",
        ),
        (
            "tabs.txt",  # as Excel calls a text with tabs
            "image\tprompt\nmy [photos]/fox.png\tThe fox looks up, slowly\n",
            lambda one: one.shots[0].prompt.text == "The fox looks up, slowly",
        ),
        ("pictures.csv", "id,file\nfox,my [photos]/fox.png\n", lambda one: one.images[0].id == "fox"),
        (
            "rows.jsonl",
            json.dumps({"image": "my [photos]/fox.png", "prompt": "The fox looks up"}) + "\n",
            lambda one: len(one.shots) == 1,
        ),
    ],
)
def test_a_table_becomes_a_manifest(
    shell: Shell, tmp_path: Path, name: str, table: str, found: Callable[[object], bool]
) -> None:
    """What it lists is seen from its columns: shots or pictures (words alone: for a model of words)."""
    (tmp_path / name).write_text(table, encoding="utf-8")
    done = shell.run("init", "--from", name)

    assert done.code == 0, done.err
    assert found(load(tmp_path / f"{Path(name).stem}.yaml")[0])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--from", "none.csv"), "there is no file none.csv"),
        (("--from", "odd.csv"), "the columns, divided by commas, are mood, weather"),
        (("--from", "latin.csv"), "latin.csv:1:16: not UTF-8: in Excel choose"),
        (("--from", "empty.csv"), "empty.csv:1:1: is empty; the first line names the columns"),
        (("--from", "gone.csv"), "gone.csv:2"),
        (("--from", "rows.csv"), "rows.csv:1:1: looks like a row, for none of its columns has a known name"),
        (("--from", "words.txt"), "words.txt has only words, and pixverse-v5.6-i2v takes 1 picture"),
        (("--from", "list.json"), "list.json: this is one JSON list; jsonl has an object on each line"),
        (("--from", "title.csv"), "title.csv:1:1: the first line names the columns, and these names seem to"),
        (("--from", "shots.xlsx"), "shots.xlsx is a spreadsheet (.xlsx, .ods, .numbers) or an archive: save"),
        (("--from", "my [photos]/fox.png"), "fox.png is a picture: name a table"),
        (("state", "--prompt", "x"), "there is no folder state"),
        (("--example", "lookbook", "--prompt", "x"), "laid out as it is"),
        (("--example", "lookbook", "--model", "wan2.6-t2v"), "laid out as it is"),
        (("--model", "wan26-t2v"), 'unknown model "wan26-t2v": did you mean wan2.6-t2v'),
        (
            ("my [photos]", "--model", "pixverse-v6-extend", "--prompt", "x"),
            "there are no videos in my [photos] or below it",
        ),
        (("my [photos]", "--model", "pixverse-v6-transition"), "does not tell which belong together"),
        (("--from", "odd.csv", "--model", "wan2.6-t2v"), "no column for words (prompt or text)"),
        (("--from", "odd.csv", "--prompt", "x"), "leave FOLDER and --prompt away"),
        (("--example", "x"), 'there is no example "x": there are demo, lookbook, quality-ladder'),
        (("--example", "lookbok"), 'there is no example "lookbok": did you mean lookbook? There are demo'),
        (("lookbook",), "there is no folder lookbook: batchrunner init --example lookbook"),
        (("old.yaml",), "old.yaml is a manifest already: batchrunner plan old.yaml"),
        (("--from", "old.yaml"), "old.yaml is a manifest already: batchrunner plan old.yaml"),
        (
            ("my [photos]", "-o", "old.yaml"),
            "old.yaml is there already, and nothing was written: name another",
        ),
        (("--from", "my [photos]"), "my [photos] is a folder: batchrunner init 'my [photos]'"),
        (("words.txt",), "words.txt is a text: batchrunner init --from words.txt"),
        (("--from", "words.txt"), "or take --model pixverse-v5.6-t2v or wan2.6-t2v"),
        (("--from", "spread.jsonl"), "spread.jsonl: this is an object over several lines"),
        (("--from", "unicode.txt"), "unicode.txt:1:1: this is UTF-16: in Excel choose"),
    ],
)
def test_what_cannot_be_made_is_told_and_nothing_is_written(
    shell: Shell, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    """Exit 2."""
    (tmp_path / "odd.csv").write_text("mood,weather\nlow,fog\n", encoding="utf-8")
    (tmp_path / "latin.csv").write_bytes("image,prompt,größe\n".encode("latin-1"))
    (tmp_path / "empty.csv").touch()
    (tmp_path / "rows.csv").write_text("fox.png,The fox looks up\n", encoding="utf-8")
    (tmp_path / "words.txt").write_text("A fox runs\n", encoding="utf-8")
    (tmp_path / "old.yaml").write_text("version: 1\n", encoding="utf-8")
    (tmp_path / "spread.jsonl").write_text('{\n  "image": "fox.png"\n}\n', encoding="utf-8")
    (tmp_path / "unicode.txt").write_text("image\tprompt\nfox.png\tThe fox\n", encoding="utf-16")
    (tmp_path / "list.json").write_text('[{"prompt": "A fox"}]', encoding="utf-8")
    (tmp_path / "title.csv").write_text("Shots, May\n\nimage;prompt\nfox.png;The fox\n", encoding="utf-8")
    (tmp_path / "shots.xlsx").write_bytes(b"PK\x03\x04" + bytes(26))
    (tmp_path / "gone.csv").write_text("image,prompt\nnone.png,The fox\n", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    done = shell.run("init", *words)

    assert done.code == 2
    assert why in done.err
    assert "Traceback" not in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_words_of_the_command_line_may_begin_alike(shell: Shell, tmp_path: Path) -> None:
    """They are given ids of their own: nobody can give them any there."""
    begin = "Slow push-in on the fox"
    done = shell.run("init", "my [photos]", "--prompt", f"{begin}, dawn", "--prompt", f"{begin}, dusk")
    manifest, _card = load(tmp_path / "my-photos.yaml")

    assert done.code == 0, done.err
    assert [prompt.text for prompt in manifest.prompts] == [f"{begin}, dawn", f"{begin}, dusk"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("2024", "-o", "p.yaml"), "there is no folder 2024\n"),
        (("my [fotos]",), 'there is no folder my [fotos]: did you mean "my [photos]"?'),
        (("my [fotos]", "--prompt", "x"), 'there is no folder my [fotos]: did you mean "my [photos]"?'),
        (("my [photos]/fox.png",), "is a file, and a folder is asked for: batchrunner init 'my [photos]'"),
        (("shots.csv",), "shots.csv is a table: batchrunner init --from shots.csv"),
        (("none/photos",), "there is no folder none/photos: there is no folder none"),
        (
            ("empty", "-o", "p.yaml"),
            "there are no pictures in empty or below it: .jpeg, .jpg, .png; there are some in my [photos]",
        ),
        (("webp",), "convert old.HEIC and 1 more to .jpeg, .jpg, .png"),
        (("my [photos]", "--model", "wan2.6-t2v"), "takes no picture: leave the folder my [photos] away\n"),
        (("2024", "--model", "wan2.6-t2v"), "leave the folder 2024 away; nor is there such a folder"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_refused(
    shell: Shell, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    """One that is not there, has nothing for the model, or would not be looked at; nothing is written."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "webp").mkdir()
    (tmp_path / "webp" / "old.webp").touch()
    (tmp_path / "webp" / "old.HEIC").touch()
    (tmp_path / "shots.csv").touch()
    before = sorted(tmp_path.rglob("*"))
    done = shell.run("init", *words)

    assert done.code == 2
    assert why in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_pictures_in_folders_below_are_found(tmp_path: Path) -> None:
    """Levels down, hidden ones left out; where there are some on top, these, and the rest is told."""
    for folder in ("top/sub", "top/sub/deeper", "top/.thumbnails", "mixed/sub"):
        (tmp_path / folder).mkdir(parents=True)
    images = demo_folder() / "images"
    for source, name in (
        ("fox.png", "top/sub/fox.png"),
        ("harbour.jpg", "top/sub/deeper/harbour.jpg"),
        ("fox.png", "top/.thumbnails/small.png"),
        ("fox.png", "mixed/fox.png"),
        ("fox.png", "mixed/sub/other.png"),
    ):
        shutil.copy(images / source, tmp_path / name)
    (tmp_path / "mixed" / "._fox.jpg").touch()
    shell = Shell(tmp_path)
    deep, mixed = shell.run("init", "top"), shell.run("init", "mixed")
    text = (tmp_path / "mixed.yaml").read_text(encoding="utf-8")

    assert (deep.code, mixed.code) == (0, 0), (deep, mixed)
    assert sorted(image.id for image in load(tmp_path / "top.yaml")[0].images) == ["fox", "harbour"]
    assert '  - {glob: "top/**/*.png"}' in (tmp_path / "top.yaml").read_text(encoding="utf-8")
    assert [image.id for image in load(tmp_path / "mixed.yaml")[0].images] == ["fox"]
    assert '# 1 more in folders below are left out: "mixed/**/*.png" takes them in too' in text


def test_names_of_every_language_become_ids(tmp_path: Path) -> None:
    """Blanks, letters in two forms, scripts that have no plain letters; what is printed can be pasted."""
    folder = tmp_path / "Fotos So\u0308mmer"
    folder.mkdir()
    for name in ("Der scho\u0308ne Fuchs (1).png", "Gr\u00f6\u00dfe.PNG", "\u72d0.png", "\u9ce5.png"):
        shutil.copy(demo_folder() / "images" / "fox.png", folder / name)
    shell = Shell(tmp_path)
    done = shell.run("init", folder.name, "-o", "my first.yaml")
    ids = {one.id for one in load(tmp_path / "my first.yaml")[0].images}
    shutil.copy(folder / "\u72d0.png", folder / "der-schone-fuchs-1.png")
    refused = shell.run("init", folder.name)

    assert done.out == "wrote my first.yaml: 8 jobs\nnext: batchrunner run 'my first.yaml'\n"
    assert {"der-schone-fuchs-1", "groe"} < ids
    assert len(ids) == 4
    assert 'the id "der-schone-fuchs-1" is there twice' in refused.err
    assert "rename a file, or list them in a csv with a column `id`" in refused.err


def test_a_starter_says_why_it_is_one(shell: Shell, tmp_path: Path) -> None:
    """What was looked for, and where there is some."""
    (tmp_path / "empty").mkdir()
    below, here = shell.run("init", "empty"), shell.run("init")
    refused = shell.run("init", "--prompt", "Slow push-in")

    what = "there are no pictures (.jpeg, .jpg, .png) in"
    assert below.err == f"{what} empty or below it, so its image stands for yours\n"
    where = "there are some in my [photos]: batchrunner init 'my [photos]'\n"
    assert here.err == f"{what} this folder, so its image stands for yours; {where}"
    assert refused.err == f"there are no pictures in this folder: .jpeg, .jpg, .png; {where}"


def test_a_starter_goes_where_it_is_told(tmp_path: Path) -> None:
    """Where no folder is named, a file may be; else it goes into the folder."""
    shell = Shell(tmp_path)
    (tmp_path / "empty").mkdir()
    done = [shell.run("init", "-o", "nights/first.yaml"), shell.run("init", "empty")]

    assert [one.code for one in done] == [0, 0], done
    assert load(tmp_path / "nights" / "first.yaml")[0].model == "pixverse-v5.6-i2v"
    assert load(tmp_path / "empty" / "manifest.yaml")[0].campaign == "empty"


@pytest.mark.parametrize(
    ("columns", "model", "why"),
    [
        ("filename,prompt", "", 'the columns are filename, prompt; rename "filename" to "image"'),
        ("picture,prompt", "", 'rename "picture" to "image"'),
        ("imgae,prompt", "", 'rename "imgae" to "image"'),
        (
            "file_name,mood",
            "",
            'or for words (prompt or text); the columns are file_name, mood; rename "file_name"',
        ),
        (
            "video,prompt",
            "",
            '--model pixverse-v6-extend takes video, or where it holds pictures, rename "video"',
        ),
        (
            "first_frame_image,last_frame_image,prompt",
            "",
            "pixverse-v5.6-transition takes first_frame_image and last_frame_image",
        ),
        ("id,text", "", 'it has only words, and pixverse-v5.6-i2v takes 1 picture (image_url): add "image"'),
        ("id,text", "", "or take --model pixverse-v5.6-t2v or wan2.6-t2v"),
        ("start,prompt", "pixverse-v5.6-transition", 'add "first_frame_image" and "last_frame_image"'),
        ("image,prompt", "wan2.6-t2v", 'there is a column "image": leave the column out, or call it #image'),
        ("filename,prompt", "wan2.6-t2v", 'takes no picture, and there is a column "filename"'),
        ("first_frame_image,prompt", "wan2.6-t2v", 'there is a column "first_frame_image"'),
    ],
)
def test_a_table_that_does_not_go_with_the_model_is_refused(
    tmp_path: Path, columns: str, model: str, why: str
) -> None:
    """No placeholder stands for a picture, and no picture is left out; the way out is named."""
    (tmp_path / "table.csv").write_text(f"{columns}\n{columns}\n", encoding="utf-8")
    done = Shell(tmp_path).run("init", "--from", "table.csv", *(["--model", model] if model else []))

    assert done.code == 2
    assert why in done.err
    assert [one.name for one in tmp_path.iterdir()] == ["table.csv"]


def test_a_word_may_be_called_like_a_picture(tmp_path: Path) -> None:
    """A column that the prompts use is theirs."""
    (tmp_path / "words.csv").write_text("picture,prompt\na fox,Draw {picture}\n", encoding="utf-8")
    done = Shell(tmp_path).run("init", "--from", "words.csv", "--model", "wan2.6-t2v")

    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("prompts", "why"),
    [
        (("Slow {subject}",), '--prompt "Slow {subject}": {subject} has no word here: write the word itself'),
        (("Drift", "Drift"), '--prompt "Drift": is there twice'),
        ((" ",), "--prompt: must not be empty"),
        (("Drift}",), '--prompt "Drift}": a single } does not belong here'),
        (("x" * 3000,), f'--prompt "{"x" * 60}…": with the words of image "harbour" it is 3,000 characters'),
    ],
)
def test_what_is_wrong_with_words_is_said_about_the_option(
    shell: Shell, tmp_path: Path, prompts: tuple[str, ...], why: str
) -> None:
    """Not about a line of a file that was not written."""
    done = shell.run("init", "my [photos]", *(word for one in prompts for word in ("--prompt", one)))

    assert done.code == 2
    assert why in done.err
    assert ".yaml" not in done.err
    assert not list(tmp_path.glob("*.yaml"))


def test_a_table_is_named_as_it_was_given(tmp_path: Path) -> None:
    """However far from it the manifest was to go; the folder that it was to go to is not left behind."""
    (tmp_path / "b.csv").write_text("image,prompt\nnone.png,The fox looks up\n", encoding="utf-8")
    done = Shell(tmp_path).run("init", "--from", "b.csv", "-o", str(tmp_path / "far" / "away" / "x.yaml"))

    assert done.code == 2
    assert "\nb.csv:2:1: image: " in f"\n{done.err}"
    assert ".." not in done.err
    assert [one.name for one in tmp_path.iterdir()] == ["b.csv"]


def test_nothing_is_written_over(shell: Shell, tmp_path: Path) -> None:
    """Neither a manifest nor an example's table."""
    (tmp_path / "my-photos.yaml").write_text("mine", encoding="utf-8")
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "shotlist.csv").write_text("mine", encoding="utf-8")
    done = [shell.run("init", "my [photos]"), shell.run("init", "--example", "shotlist")]

    assert [one.code for one in done] == [2, 2]
    assert all("is there already" in one.err for one in done)
    assert (tmp_path / "my-photos.yaml").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "manifests" / "shotlist.yaml").exists()


def test_every_worked_manifest_is_an_example() -> None:
    """None is forgotten."""
    assert {path.stem for path in demo_folder().glob("*.yaml")} == set(EXAMPLES)


@pytest.mark.parametrize(
    ("name", "jobs"),
    [("lookbook", 8), ("shotlist", 4), ("seed-sweep", 24), ("quality-ladder", 8), ("transitions", 4)],
)
def test_every_example_runs(tmp_path: Path, name: str, jobs: int) -> None:
    """As it is laid out, but for the provider: here it is the test's own."""
    with against(tmp_path) as shell:
        made = shell.run("init", "--example", name)
        path = tmp_path / "manifests" / f"{name}.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("provider: emulator", "provider: gmi"), encoding="utf-8")
        done = shell.run("run", str(path.relative_to(tmp_path)), "--yes", "--quiet")

        assert made.out.endswith(f"next: batchrunner run manifests/{name}.yaml\n")
        assert done.code == 0, done.err
        assert shell.ledger()["charged"]["count"] == jobs
        assert shell.charged_at_most_once()


def test_a_folder_without_what_the_model_takes_is_no_starter(tmp_path: Path) -> None:
    """A model that goes on with a video, and a folder of pictures: no stand-in is written for them."""
    shell = Shell(tmp_path)
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "fox.png").write_bytes(b"x")
    made = shell.inside("init", "pics", "--model", "pixverse-v6-extend")

    assert (made.code, made.out) == (2, "")
    assert "there are no videos in pics or below it: .mp4" in made.err
    assert not (tmp_path / "pics.yaml").exists()
