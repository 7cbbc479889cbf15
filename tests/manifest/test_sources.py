"""Where images and prompts come from: spreadsheets as they are exported, lines, JSON, folders."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from batchrunner.errors import ManifestError
from batchrunner.manifest.expand import expand
from batchrunner.manifest.folder import LOOKED_AT_MAX, natural
from batchrunner.manifest.load import load
from batchrunner.values import Job, Manifest
from tests.manifest.test_bad import PNG

HEAD = "version: 1\ncampaign: night\nmodel: pixverse-v5.6-i2v\nseed: 7\n"
URL = "https://example.com"
INLINE = f"""\
images:
  - {{id: fox, url: "{URL}/fox.png", vars: {{subject: the fox}}, parameters: {{duration: 8}}}}
  - {{id: owl, url: "{URL}/owl.png", vars: {{subject: "the owl, grey"}}, parameters: {{duration: 5}}}}
prompts: [{{id: push, text: "Push in on {{subject}}"}}]
"""
TABLE = """\
images: {csv: pictures.csv}
prompts: [{id: push, text: "Push in on {subject}"}]
"""
ROWS = f'id,url,subject,duration\nfox,{URL}/fox.png,the fox,8\nowl,{URL}/owl.png,"the owl, grey",5\n'


def read(folder: Path, text: str, **files: str | bytes) -> Manifest:
    """Load a manifest beside some files; `_csv` at the end of a name is `.csv` and so on."""
    for name, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        (folder / ".".join(name.rsplit("_", 1))).write_bytes(raw)
    (folder / "night.yaml").write_text(HEAD + text, encoding="utf-8")
    return load(folder / "night.yaml")[0]


def jobs(folder: Path) -> list[Job]:
    """Return the jobs of the manifest in a folder."""
    return list(expand(*load(folder / "night.yaml")))


EXPORTS = {
    "plain": ROWS,
    "windows": ROWS.replace("\n", "\r\n"),
    "mac": ROWS.replace("\n", "\r"),
    "BOM": "\ufeff" + ROWS,
    "semicolons": ROWS.replace(",", ";").replace("the owl; grey", "the owl, grey"),
    "tabs": ROWS.replace(",", "\t").replace("the owl\t grey", "the owl, grey"),
    "sep": "sep=;\n" + ROWS.replace(",", ";").replace("the owl; grey", "the owl, grey"),
    "sep-quoted": '"sep=;"\r'
    + ROWS.replace(",", ";").replace("the owl; grey", "the owl, grey").replace("\n", "\r"),
    "two-marks": "\ufeff\ufeff" + ROWS.replace(",url", ",\u200burl"),
    "bars": ROWS.replace(",", "|").replace("the owl| grey", "the owl, grey"),
    "commas-before-semicolons": ROWS.replace("duration", 'duration,"#a; b"')
    .replace(",8", ",8,;")
    .replace(",5", ",5,"),
    "semicolons-before-tabs": ROWS.replace(",", ";")
    .replace("the owl; grey", "the owl, grey")
    .replace("duration", '"duration";"#\ta, b"')
    .replace(";8", ";8;x")
    .replace(";5", ";5;"),
    "a-name-of-two-lines": ROWS.replace("duration", 'duration,"#note;\nfor us"')
    .replace(",8", ",8,")
    .replace(",5", ",5,"),
    "empty-rows": ROWS + ",,,\n\n,,,\n",
    "empty-columns": ROWS.replace("duration\n", "duration,,\n")
    .replace(",8\n", ",8,,\n")
    .replace(",5\n", ",5,,,,\n"),
    "blanks": ROWS.replace("id,url,subject", " ID , Url ,subject").replace("the fox", " the fox "),
    "outright": ROWS.replace("subject", "vars.subject").replace("duration", "parameters.duration"),
    "capitals": ROWS.replace("subject", "Vars.subject").replace("duration", "PARAMETERS.duration"),
    "notes": ROWS.replace("duration", "duration,#note").replace(",8", ",8,a note").replace(",5", ",5,"),
    "case": ROWS.replace("fox,", "FOX,", 1),
    "point": ROWS.replace(",8", ",8.0"),
}


@pytest.mark.parametrize("rows", EXPORTS.values(), ids=EXPORTS)
def test_a_table_is_the_same_as_its_rows_written_out(rows: str, tmp_path: Path) -> None:
    """However the spreadsheet exported it: the same jobs, byte for byte."""
    read(tmp_path, INLINE)
    expected = jobs(tmp_path)
    read(tmp_path, TABLE, pictures_csv=rows)

    assert expected == jobs(tmp_path)


def test_json_lines_are_the_same_as_their_rows_written_out(tmp_path: Path) -> None:
    """Keys as in an inline entry, or as in a table."""
    read(tmp_path, INLINE)
    expected = jobs(tmp_path)
    rows = f'{{"id": "fox", "url": "{URL}/fox.png", "subject": "the fox", "duration": 8.0}}\n\n'
    rows += f'{{"id": "owl", "url": "{URL}/owl.png", "vars": {{"subject": "the owl, grey"}}, '
    rows += '"parameters": {"duration": 5}, "seed_of_truth": null}\r\n'
    read(tmp_path, TABLE.replace("csv", "jsonl"), pictures_jsonl=rows)

    assert expected == jobs(tmp_path)


def test_words_may_be_called_as_the_columns_of_shots_are(tmp_path: Path) -> None:
    """Where a table of images has its pictures, `image` and `text` in it are words like any other."""
    rows = f"id,url,image,text\nfox,{URL}/fox.png,a fox,at dawn\n"
    read(tmp_path, "images: {csv: a.csv}\nprompts: ['{image} {text}']\n", a_csv=rows)

    assert ["a fox at dawn"] == [job.payload["prompt"] for job in jobs(tmp_path)]


def test_a_line_end_in_a_quoted_cell_has_one_form(tmp_path: Path) -> None:
    """Else the same list would be paid again after it went through another program."""
    rows = f'id,url,subject\nfox,{URL}/fox.png,"the fox,\r\nold and ""grey"""\n'
    read(tmp_path, TABLE, pictures_csv=rows)
    first = jobs(tmp_path)
    read(tmp_path, TABLE, pictures_csv=rows.replace("\r\n", "\n"))

    assert ['Push in on the fox,\nold and "grey"'] == [job.payload["prompt"] for job in first]
    assert first == jobs(tmp_path)


@pytest.mark.parametrize(
    "rows",
    [
        "prompt\r\nA fox, grey; slow\r\nAn owl\r\n",
        'prompt\r\n"A fox, grey; slow"\r\nAn owl\r\n',
        'sep=;\r\nprompt\r\n"A fox, grey; slow"\r\nAn owl\r\n',
        'prompt,\r\n"A fox, grey; slow",\r\nAn owl,\r\n,\r\n',
    ],
)
def test_one_column_of_sentences_needs_no_quotes(rows: str, tmp_path: Path) -> None:
    """A program that divides by semicolons leaves commas bare, and such a file shows no separator."""
    inline = f"images: [{{id: fox, url: '{URL}/fox.png'}}]\nprompts: {{csv: words.csv}}\n"
    manifest = read(tmp_path, inline, words_csv=rows)

    assert ["A fox, grey; slow", "An owl"] == [prompt.text for prompt in manifest.prompts]


@pytest.mark.parametrize(
    "url",
    [
        "https://www.dropbox.com/scl/fi/a1/fox.png?rlkey=k1&raw=1",
        "https://www.dropbox.com/s/a1/fox.png?dl=1",
        "https://dl.dropboxusercontent.com/s/a1/fox.png",
        "https://drive.google.com/uc?export=download&id=1AbC",
        "https://notdropbox.com/s/a1/fox.png?dl=0",
    ],
)
def test_the_file_behind_a_share_page_is_taken(url: str, tmp_path: Path) -> None:
    """Only what is surely a page is refused."""
    manifest = read(tmp_path, f'images: [{{id: fox, url: "{url}"}}]\nprompts: ["Drift"]\n')

    assert [url] == [one.url for one in manifest.images[0].pictures]


@pytest.mark.parametrize(
    "text",
    ["\u00abAMANH\u00c3\u00bb", "AMANH\u00c3\u2026 \u00c2NGULO", "5\u00b0 caf\u00e9 \u20ac \u201cx\u201d"],
)
def test_capitals_with_accents_are_no_garbled_letters(text: str, tmp_path: Path) -> None:
    """Only what no language writes is taken for letters that were read wrongly."""
    manifest = read(tmp_path, TABLE, pictures_csv=f"id,url,subject\nfox,{URL}/fox.png,{text}\n")

    assert text == manifest.images[0].vars["subject"]


@pytest.mark.parametrize(
    ("cell", "value"), [("TRUE", True), ("false", False), ("WAHR", True), ("FAUX", False), ("", None)]
)
def test_a_cell_is_what_the_card_asks_for(cell: str, value: bool | None, tmp_path: Path) -> None:
    """Excel writes TRUE; an empty cell says nothing."""
    rows = f"id,url,subject,generate_audio_switch,negative_prompt\nfox,{URL}/fox.png,x,{cell},1.10\n"
    manifest = read(tmp_path, TABLE, pictures_csv=rows)

    assert value is manifest.images[0].parameters.get("generate_audio_switch")
    assert "1.10" == manifest.images[0].parameters["negative_prompt"]


def test_a_word_with_a_mark_is_no_failed_formula(tmp_path: Path) -> None:
    """Only what a spreadsheet writes for an error is refused."""
    (tmp_path / "words.csv").write_text('prompt\n#SALE!\n"#WOW! Zoom in"\n', encoding="utf-8")
    (tmp_path / "m.yaml").write_text(
        "version: 1\ncampaign: night\nmodel: wan2.7-t2v\nseed: 7\nprompts: {csv: words.csv}\n",
        encoding="utf-8",
    )
    manifest, _card = load(tmp_path / "m.yaml")

    assert ["#SALE!", "#WOW! Zoom in"] == [prompt.text for prompt in manifest.prompts]


def test_numbers_are_words_as_they_were_written(tmp_path: Path) -> None:
    """In JSON and in the entry that names a file, as in the manifest."""
    text = "images: {jsonl: a.jsonl, vars: {of: 1.10}}\nprompts: ['{version} of {of}']\n"
    read(tmp_path, text, a_jsonl=f'{{"url": "{URL}/a.png", "version": 2.50}}')

    assert "2.50 of 1.10" == jobs(tmp_path)[0].payload["prompt"]


def test_what_an_entry_says_lies_below_its_rows(tmp_path: Path) -> None:
    """Vars and parameters of a table hold for its rows, where they do not say otherwise."""
    text = "images:\n  - {csv: a.csv, vars: {subject: it, mood: calm}, parameters: {duration: 8}}\n"
    rows = f"id,url,subject,duration\na,{URL}/a.png,the fox,5\nb,{URL}/b.png,,\n"
    manifest = read(tmp_path, text + "prompts: ['{subject}, {mood}']\n", a_csv=rows)

    assert [5, 8] == [image.parameters["duration"] for image in manifest.images]
    assert ["the fox, calm", "it, calm"] == [job.payload["prompt"] for job in jobs(tmp_path)]


def test_a_model_of_several_pictures_has_a_column_for_each(tmp_path: Path) -> None:
    """Named as on the card; an address or a file."""
    shutil.copy(PNG, tmp_path / "dusk.png")
    text = "images: {csv: a.csv}\nprompts: [Slowly]\n"
    rows = f"id,last_frame_image,first_frame_image\na,dusk.png,{URL}/dawn.png\n"
    (tmp_path / "a.csv").write_text(rows)
    (tmp_path / "night.yaml").write_text(HEAD.replace("i2v", "transition") + text)
    manifest, _card = load(tmp_path / "night.yaml")
    first, last = manifest.images[0].pictures

    assert (f"{URL}/dawn.png", tmp_path / "dusk.png") == (first.url, last.path)


def test_prompts_come_from_lines_and_tables_too(tmp_path: Path) -> None:
    """Mixed freely; ids from the column, the first words, or the words and their mark."""
    text = INLINE.partition("prompts")[0]
    text += (
        "prompts: [{lines: a.txt}, Push in, {csv: b.csv, parameters: {quality: 720p}}, {jsonl: c.jsonl}]\n"
    )
    manifest = read(
        tmp_path,
        text,
        a_txt="\ufeffDrift past {subject}\r\n\r\n  Orbit  \r\n",
        b_csv="ID;Prompt;duration\nZoom 1;Zoom, slowly;10\n;Hold;\n",
        c_jsonl='{"id": "tilt", "text": "Tilt {way}", "way": "up"}\n',
    )

    ids = "drift-past-subject-[0-9a-f]{6} orbit-[0-9a-f]{6} push-in zoom-1 hold-[0-9a-f]{6} tilt"

    assert re.fullmatch(ids, " ".join(one.id for one in manifest.prompts))
    assert ["Drift past {subject}", "Orbit", "Push in", "Zoom, slowly", "Hold", "Tilt {way}"] == [
        one.text for one in manifest.prompts
    ]
    assert {"duration": 10, "quality": "720p"} == manifest.prompts[3].parameters


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["shot10.png", "shot2.png", "Shot1.png"], ["shot1", "shot2", "shot10"]),
        (["b/1.png", "a/2.png", "a10/3.png", "a9/4.png"], ["2", "4", "3", "1"]),
        (["x1y10.png", "x1y9.png", "x01y8.png"], ["x01y8", "x1y9", "x1y10"]),
        ([".hidden.png", "a.png"], ["a"]),
    ],
)
def test_a_folder_s_pictures_come_in_natural_order(
    names: list[str], expected: list[str], tmp_path: Path
) -> None:
    """Numbers by their value, folders for themselves, on every file system; hidden files are left out."""
    for name in names:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PNG, tmp_path / "photos" / name)
    manifest = read(tmp_path, "images: {glob: 'photos/**/*.png'}\nprompts: [Push in]\n")

    assert expected == [image.id for image in manifest.images]


def test_a_pattern_too_long_for_a_name_finds_nothing(tmp_path: Path) -> None:
    """As any other that fits no file."""
    with pytest.raises(ManifestError, match="glob: finds no file in"):
        read(tmp_path, f"images: {{glob: {300 * 'x'}}}\nprompts: [{{id: push, text: Push in}}]\n")


@pytest.mark.parametrize(("many", "told"), [(LOOKED_AT_MAX, False), (100, True)])
def test_for_a_hint_no_whole_disk_is_read(tmp_path: Path, many: int, told: bool) -> None:
    """A wrong pattern in somebody's home, or `/*.png`, must not take minutes to be refused."""
    (tmp_path / "z").mkdir()
    shutil.copy(PNG, tmp_path / "z" / "fox.png")
    (tmp_path / "a").mkdir()
    for number in range(many):
        (tmp_path / "a" / f"{number}.txt").hardlink_to(tmp_path / "z" / "fox.png")

    with pytest.raises(ManifestError) as error:
        read(tmp_path, "images: {glob: '*.png'}\nprompts: [Push in]\n")

    assert told is ("**/*.png" in str(error.value))


def test_accents_have_one_form() -> None:
    """A Mac writes e and the accent apart."""
    assert natural("Zoe\u0301 2")[0] == natural("Zo\xe9 2")[0]


def test_an_id_does_not_depend_on_how_a_file_system_writes_letters(tmp_path: Path) -> None:
    """Names without any plain letter are known by their hash: of one form of it."""
    found: list[str] = []
    for name in ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af"):
        folder = tmp_path / str(len(found))
        (folder / "p").mkdir(parents=True)
        shutil.copy(PNG, folder / "p" / f"{name}.png")
        found += [image.id for image in read(folder, "images: {glob: p/*}\nprompts: [In]\n").images]

    assert 1 == len(set(found))


def test_a_name_whose_accents_are_written_otherwise_is_told(tmp_path: Path) -> None:
    """Two names that look the same; nobody would find out."""
    shutil.copy(PNG, tmp_path / "fu\u0308chse.png")
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, "images: [{file: f\u00fcchse.png}]\nprompts: [Drift]\n")

    assert 'the accents of "fu\u0308chse.png" are written otherwise: rename the file' in str(caught.value)


def test_a_path_may_lead_through_links(tmp_path: Path) -> None:
    """To folders, pictures and tables elsewhere."""
    away = tmp_path / "away"
    away.mkdir()
    shutil.copy(PNG, away / "fox.png")
    (away / "words.csv").write_text("text\nPush in\n")
    here = tmp_path / "here"
    here.mkdir()
    (here / "photos").symlink_to(away)
    manifest = read(here, "images: {glob: photos/*.png}\nprompts: {csv: photos/words.csv}\n")

    assert (["fox"], ["Push in"]) == (
        [one.id for one in manifest.images],
        [one.text for one in manifest.prompts],
    )


@pytest.mark.parametrize("change", ["csv", "lines", "jsonl", "picture", "name", "new"])
def test_the_manifest_s_hash_covers_what_it_takes_from_other_files(change: str, tmp_path: Path) -> None:
    """A changed table is a changed manifest: what is recorded of it is no longer right."""
    (tmp_path / "p").mkdir()
    shutil.copy(PNG, tmp_path / "p" / "fox.png")
    text = "images: [{csv: a.csv}, {glob: p/*.png}]\nprompts: [{lines: b.txt}, {jsonl: c.jsonl}]\n"
    files = {"a_csv": f"url\n{URL}/a.png\n", "b_txt": "Push in\n", "c_jsonl": '{"text": "Out"}\n'}
    before = read(tmp_path, text, **files)
    same = read(tmp_path, text, **files)
    other = PNG.with_name("harbour.jpg")
    match change:
        case "csv":
            files["a_csv"] += " "
        case "lines":
            files["b_txt"] += "Pull out\n"
        case "jsonl":
            files["c_jsonl"] += "\n"
        case "picture":
            shutil.copy(other, tmp_path / "p" / "fox.png")
        case "name":
            (tmp_path / "p" / "fox.png").rename(tmp_path / "p" / "owl.png")
        case "new":
            shutil.copy(other, tmp_path / "p" / "new.png")
    after = read(tmp_path, text, **files)

    assert before == same
    assert before.sha256 != after.sha256
    assert before.text == after.text


def test_a_row_is_in_the_hash_of_nothing_but_itself(tmp_path: Path) -> None:
    """Ids and seeds of a table's rows stay when rows come, go and change places."""
    read(tmp_path, TABLE, pictures_csv=ROWS)
    before = {(job.id, job.seed) for job in jobs(tmp_path)}
    head, fox, owl = ROWS.splitlines()
    read(tmp_path, TABLE, pictures_csv=f"{head}\n{owl}\nbee,{URL}/bee.png,a bee,\n{fox}\n")

    assert before < {(job.id, job.seed) for job in jobs(tmp_path)}


@pytest.mark.parametrize(
    ("kind", "table", "said"),
    [
        ("csv", ("image,caption\n", f"{URL}/fox.png,It looks up\n"), 'rename "caption"'),
        ("jsonl", ("", f'{{"image": "{URL}/fox.png", "promt": "It looks up"}}\n'), 'did you mean "prompt"?'),
    ],
)
def test_what_is_wrong_with_every_row_is_told_once(
    kind: str, table: tuple[str, str], said: str, tmp_path: Path
) -> None:
    """And reading ends soon: a wrong table of 100,000 rows takes no longer than one of 1,000."""
    head, row = table
    with pytest.raises(ManifestError) as caught:
        read(
            tmp_path,
            f"shots: {{{kind}: shots.{kind}}}\n",
            **{f"shots_{kind}": f"{head}{row * 2_000}broken\n"},
        )

    assert [said] == re.findall(re.escape(said), str(caught.value))
    assert 1 == len(caught.value.problems)
