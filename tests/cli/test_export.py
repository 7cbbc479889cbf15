"""`export` and `jobs --like`: from what was recorded or filed back to the same payloads, byte for byte."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from batchrunner.files import card_text
from batchrunner.manifest.yamlread import read
from batchrunner.values import JSON
from tests.shell import ROOT, Shell, against

PNG = b"\x89PNG\r\n\x1a\n" + b"one" + b"IEND\xaeB`\x82"
RICH = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
provider: emulator
seed: 9
takes: 2
price: {per: job, usd: 0.2}
images:
  - {id: fox, file: photos/fox.png, vars: {subject: "the {1} \\"x\\" \\u0007 \\u2028é"}}
  - {id: a.b, url: "https://example.com/cat.png?a=1#b", vars: {subject: cat}}
prompts:
  - {id: push, text: "Push {subject} {{x}}"}
  - {id: pull, text: "Pull\\nout: 100%, 'now'", parameters: {generate_audio_switch: true}}
matrix: {duration: [5, 8], quality: [360p, 540p]}
"""


def sent(shell: Shell, manifest: str) -> list[tuple[str, str, Any]]:
    """Return model, fingerprint and cost of every job, in order."""
    lines = shell.inside("plan", manifest, "--jobs").out.rstrip("\n").split("\n")
    return [(row["model"], row["fingerprint"], row["cost"]) for row in map(json.loads, lines)]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a folder in which a campaign of 32 jobs is recorded."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "fox.png").write_bytes(PNG)
    (tmp_path / "night.yaml").write_text(RICH, encoding="utf-8")
    made = Shell(tmp_path)
    assert made.inside("plan", "night.yaml", "--record").code == 0
    return made


def test_an_exported_campaign_sends_the_same_bytes_elsewhere(shell: Shell, tmp_path: Path) -> None:
    """In another folder, with nothing but the file and the pictures that it names."""
    wanted = sent(shell, "night.yaml")
    (tmp_path / "elsewhere").mkdir()
    done = shell.inside("export", "night", "-o", "elsewhere/out.yaml")
    (tmp_path / "night.yaml").unlink()
    elsewhere = Shell(tmp_path / "elsewhere")

    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines() == [
        "wrote elsewhere/out.yaml",
        "1 local file must go along with it: ../photos/fox.png",
    ]
    assert len(wanted) == 32
    assert sent(elsewhere, "out.yaml") == wanted
    text = (tmp_path / "elsewhere" / "out.yaml").read_text(encoding="utf-8")
    assert 'campaign: "night-export"' in text


def test_braces_in_a_parameter_are_exported_as_they_are_written(shell: Shell, tmp_path: Path) -> None:
    """`{{name}}` is sent as {name}, which the export must double again; other braces stay as they are."""
    told = "blurry {{subject}}, {1}, {{ }} {"
    text = RICH + f"parameters: {{negative_prompt: {json.dumps(told)}}}\n"
    (tmp_path / "night.yaml").write_text(text, encoding="utf-8")
    assert shell.inside("plan", "night.yaml", "--record").code == 0
    done = shell.inside("export", "night", "-o", "out.yaml")
    exported: Any = read((tmp_path / "out.yaml").read_bytes(), "out.yaml").data

    assert done.code == 0
    assert {one["parameters"]["negative_prompt"] for one in exported["shots"]} == {told}
    assert sent(shell, "out.yaml") == sent(shell, "night.yaml")


def test_an_export_is_held_back_as_its_campaign_was(shell: Shell, tmp_path: Path) -> None:
    """Budget, window, pace, attempts, recovery; of a picture that is gone too. Whom to notify stays here."""
    told = {
        "limits": {"in_flight": 2, "budget": 40.5, "window": "22:00-07:00", "submits_per_hour": 100},
        "retry": {"attempts": 1},
        "recovery": {"on_absent": "hold", "grace": 1200},
    }
    text = RICH + "".join(f"{key}: {json.dumps(value)}\n" for key, value in told.items())
    (tmp_path / "night.yaml").write_text(f"{text}notify: [{{env: NTFY_URL}}]\n", encoding="utf-8")
    assert shell.inside("plan", "night.yaml", "--record").code == 0
    whole = shell.inside("export", "night").out
    (tmp_path / "photos" / "fox.png").unlink()
    partial = shell.inside("export", "night").out

    for made in (whole, partial):
        data = read(made.encode(), "export.yaml").data
        assert {key: data[key] for key in told} == told
        assert "notify" not in data


def test_an_export_spells_out_every_prompt(shell: Shell, tmp_path: Path) -> None:
    """One whose words differ by image is a prompt for each; braces that were meant stay what they are."""
    long = "p" * 64
    text = RICH.replace("id: push,", f"id: {long},").replace("{{x}}", "{{x}} {{subject}}")
    (tmp_path / "night.yaml").write_text(text, encoding="utf-8")
    assert shell.inside("plan", "night.yaml", "--record").code == 0
    done = shell.inside("export", "night", "-o", "out.yaml")
    told = read((tmp_path / "out.yaml").read_bytes(), "out.yaml").data

    assert done.code == 0, done.err
    assert sent(shell, "out.yaml") == sent(shell, "night.yaml")
    ids = [one["id"] for one in told["prompts"]]
    assert [one.rpartition("-")[0] or one for one in ids] == ["p" * 57, "p" * 57, "pull"]
    assert told["prompts"][1]["text"] == "Push cat {{x}} {{subject}}"
    assert all("vars" not in shot for shot in told["shots"])


def test_an_export_knows_the_price_when_a_table_is_gone(shell: Shell, tmp_path: Path) -> None:
    """It was told in the manifest, which is kept: else another price, or none, would hold the budget."""
    (tmp_path / "words.txt").write_text("Slow push-in\n", encoding="utf-8")
    text = RICH.replace("prompts:\n", "prompts:\n  - {lines: words.txt}\n")
    (tmp_path / "night.yaml").write_text(text, encoding="utf-8")
    assert shell.inside("plan", "night.yaml", "--record").code == 0
    (tmp_path / "words.txt").unlink()
    data = read(shell.inside("export", "night").out.encode(), "export.yaml").data

    assert data["price"] == {"per": "job", "usd": 0.2}


def test_an_export_finds_its_pictures_when_a_table_is_gone(tmp_path: Path) -> None:
    """And where one was given another name meanwhile: by their content, in its folder and below."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "fox.png").write_bytes(PNG)
    (tmp_path / "pictures.csv").write_text("id,file\nfox,photos/fox.png\n", encoding="utf-8")
    text = RICH.replace("images:\n", "images:\n  - {csv: pictures.csv, vars: {subject: the fox}}\n")
    text = "".join(line for line in text.splitlines(keepends=True) if "id: fox," not in line)
    (tmp_path / "night.yaml").write_text(text, encoding="utf-8")
    shell = Shell(tmp_path)
    assert shell.inside("plan", "night.yaml", "--record").code == 0
    wanted = sent(shell, "night.yaml")
    (tmp_path / "pictures.csv").unlink()
    (tmp_path / "photos" / "fox.png").rename(tmp_path / "photos" / "renamed.png")
    done = shell.inside("export", "night", "-o", "out.yaml")

    assert done.err.splitlines()[1:] == ["1 local file must go along with it: photos/renamed.png"]
    assert sent(shell, "out.yaml") == wanted


def test_an_exported_manifest_takes_no_other_picture(shell: Shell, tmp_path: Path) -> None:
    """Whoever gets it may have one of the same name; other bytes are another payload."""
    (tmp_path / "elsewhere" / "photos").mkdir(parents=True)
    shutil.copy(tmp_path / "photos" / "fox.png", tmp_path / "elsewhere" / "photos" / "fox.png")
    shell.inside("export", "night", "-o", "out.yaml")
    (tmp_path / "out.yaml").rename(tmp_path / "elsewhere" / "out.yaml")
    elsewhere = Shell(tmp_path / "elsewhere")
    unrecorded = elsewhere.inside("plan", "out.yaml", "--frozen")
    recorded = elsewhere.inside("plan", "out.yaml", "--record")
    frozen = elsewhere.inside("plan", "out.yaml", "--frozen")
    (tmp_path / "elsewhere" / "photos" / "fox.png").write_bytes(PNG.replace(b"one", b"two"))
    other = elsewhere.inside("validate", "out.yaml")

    assert (unrecorded.code, recorded.code, frozen.code, other.code) == (2, 0, 0, 2)
    assert "images[0].file: photos/fox.png has other bytes: its SHA-256 is " in other.err


def test_an_export_goes_to_stdout_and_over_no_file(shell: Shell, tmp_path: Path) -> None:
    """The manifest that it came from is not needed, nor touched."""
    printed = shell.inside("export", "night.yaml")
    kept = shell.inside("export", "night", "-o", "night.yaml")
    none = shell.inside("export", "day")
    nowhere = shell.inside("export", "night", "-o", "no/again.yaml")

    assert printed.out.startswith("# Every job of the manifest of night, as batchrunner ")
    assert (nowhere.code, nowhere.err) == (2, "there is no folder no\n")
    assert (kept.code, kept.err) == (
        2,
        "night.yaml is there already and is not ours to replace: choose another name\n",
    )
    assert (tmp_path / "night.yaml").read_text(encoding="utf-8") == RICH
    assert (none.code, none.out) == (2, "")


def test_an_export_says_how_many_recorded_jobs_it_leaves_out(tmp_path: Path) -> None:
    """They are in the state table, perhaps paid for, and no more in the manifest."""
    shell = Shell(tmp_path)
    shell.inside("plan", shell.write(takes=3), "--record")
    shell.inside("plan", shell.write(takes=1), "--record")
    made = shell.inside("export", "night")

    assert made.out.count("{image: ") == 1
    assert "# Not here: what is recorded and no longer in the manifest (2).\n" in made.out
    assert "2 jobs recorded and no longer in the manifest: not in it; see `jobs night`\n" in made.err


def test_an_export_says_which_pictures_are_not_where_they_were(shell: Shell, tmp_path: Path) -> None:
    """And where to put them, by their content."""
    shutil.rmtree(tmp_path / "photos")
    done = shell.inside("export", "night", "-o", "out.yaml")
    place = done.err.splitlines()[2].rpartition(" ")[2]
    (tmp_path / place).write_bytes(PNG)

    assert done.code == 0
    assert done.err.splitlines()[2].startswith("not where it was: the file with sha256 ")
    assert len(sent(shell, "out.yaml")) == 32


def test_a_card_of_ones_own_goes_along(shell: Shell, tmp_path: Path) -> None:
    """By its path and its content; where that has changed, it is said."""
    (tmp_path / "own.json").write_text(card_text("pixverse-v5.6-i2v") + "\n", encoding="utf-8")
    (tmp_path / "night.yaml").write_text(RICH + "card: own.json\n", encoding="utf-8")
    shell.inside("plan", "night.yaml", "--record")
    done = shell.inside("export", "night", "-o", "out.yaml")
    same = sent(shell, "out.yaml") == sent(shell, "night.yaml")
    (tmp_path / "own.json").write_text("{}", encoding="utf-8")
    changed = shell.inside("export", "night")

    assert done.err.splitlines()[1] == "2 local files must go along with it: own.json, photos/fox.png"
    assert same
    assert changed.code == 0
    assert "not where it was: the file with sha256 " in changed.err


def test_the_file_beside_a_clip_finds_its_job_or_makes_it_again(tmp_path: Path) -> None:
    """By the sidecar alone: in any state table of the folder; without one, as a manifest on stdout."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=2))
    (sidecar,) = (tmp_path / "outputs").rglob("push-t2.json")
    told = json.loads(sidecar.read_text(encoding="utf-8"))
    found = shell.inside("jobs", "--like", str(sidecar))
    by_clip = shell.inside("jobs", "--like", str(sidecar.with_suffix(".mp4")), "--json")
    (tmp_path / "state" / "night.db").rename(tmp_path / "state" / "renamed.db")
    elsewhere = shell.inside("jobs", "--like", str(sidecar), "--json")
    made = shell.inside("jobs", "--like", str(sidecar), "--state", "none")
    (tmp_path / "made.yaml").write_text(made.out, encoding="utf-8")
    again = [json.loads(line) for line in shell.inside("plan", "made.yaml", "--jobs").out.splitlines()]

    assert found.out == f"done     {told['job']}  fox/push-t2.mp4  (state/night.db)\n"
    assert by_clip.json["payload"] == told["payload"]
    assert (elsewhere.json["id"], elsewhere.json["table"]) == (told["job"], "state/renamed.db")
    assert made.code == 0
    assert made.err == "no state table in none has this job; the manifest on stdout makes the clip again\n"
    assert 'provider: "gmi"' in made.out
    assert [(one["model"], one["payload"]) for one in again] == [(told["model"], told["payload"])]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a clip of a local picture was made; its state table is gone."""
    folder = tmp_path_factory.mktemp("delivered")
    (folder / "photos").mkdir()
    shutil.copy(ROOT / "manifests" / "images" / "fox.png", folder / "photos" / "fox.png")
    with against(folder) as shell:
        text = (folder / shell.write(takes=1)).read_text(encoding="utf-8")
        text = text.replace('url: "https://example.com/fox.png"', "file: photos/fox.png")
        (folder / "night.yaml").write_text(text, encoding="utf-8")
        assert shell.run("plan", "night.yaml", "-o", "night.plan").code == 0
        done = shell.run("run", "night.plan", "--quiet")
        assert done.code == 0, done.err
    jobs = Shell(folder).inside("plan", "night.yaml", "--jobs").out
    (folder / "jobs.jsonl").write_text(jobs, encoding="utf-8")
    shutil.rmtree(folder / "state")
    return folder


@pytest.fixture
def parcel(delivered: Path, tmp_path: Path) -> Path:
    """Return a folder with the clip and its sidecar alone."""
    for one in (delivered / "outputs" / "night" / "fox").iterdir():
        shutil.copy(one, tmp_path / one.name)
    return tmp_path


def made_of(delivered: Path, text: str, folder: Path) -> tuple[Any, Any]:
    """Return the payload of the one job that a manifest's text makes, and of the job that was planned."""
    (folder / "made.yaml").write_text(text, encoding="utf-8")
    (line,) = Shell(folder).inside("plan", "made.yaml", "--jobs").out.splitlines()
    planned = json.loads((delivered / "jobs.jsonl").read_text(encoding="utf-8"))
    return json.loads(line)["payload"], planned["payload"]


def test_a_clip_of_a_local_picture_is_made_again_from_the_picture(delivered: Path) -> None:
    """The file is found from the sidecar's folder up; the address that it was uploaded to is gone."""
    made = Shell(delivered).inside("jobs", "--like", "outputs/night/fox/push-t1.mp4")
    payload, planned = made_of(delivered, made.out, delivered)

    assert (made.code, payload) == (0, planned)
    assert payload["image_url"].startswith("upload:")
    assert made.err.splitlines()[1] == "1 local file must go along with it: photos/fox.png"


def test_a_picture_is_found_where_manifests_have_a_folder_of_their_own(
    delivered: Path, tmp_path: Path
) -> None:
    """As `init --example` lays them out: clips and manifests beside each other."""
    shutil.copytree(delivered / "outputs", tmp_path / "outputs")
    shutil.copytree(delivered / "photos", tmp_path / "manifests" / "photos")
    made = Shell(tmp_path).inside("jobs", "--like", "outputs/night/fox/push-t1.mp4")

    assert made.code == 0
    assert made.err.splitlines()[1:] == ["1 local file must go along with it: manifests/photos/fox.png"]


def test_a_clip_that_was_passed_on_says_which_picture_it_lacks(delivered: Path, parcel: Path) -> None:
    """With its hash; a file of that name with other bytes will not do, one of another name will."""
    told = json.loads((parcel / "push-t1.json").read_text(encoding="utf-8"))
    shell = Shell(parcel)
    (parcel / "fox.png").write_bytes(PNG)
    lacking = shell.inside("jobs", "--like", "push-t1.json")
    shutil.copy(delivered / "photos" / "fox.png", parcel / "renamed.png")
    found = shell.inside("jobs", "--like", "push-t1.json")
    payload, planned = made_of(delivered, found.out, parcel)

    sha256 = told["pictures"]["image_url"]["sha256"]
    assert told["pictures"]["image_url"]["file"] == "photos/fox.png"
    assert f"url: {json.dumps(told['payload']['image_url'])}" in lacking.out
    assert lacking.err.splitlines()[1] == (
        f"warning: image_url was photos/fox.png with sha256 {sha256} (fox.png has other bytes); only the "
        "address that it was uploaded to is known, which may be gone: put the file beside push-t1.json and "
        "ask again"
    )
    assert 'file: "renamed.png"' in found.out
    assert "warning" not in found.err
    assert payload == planned


def test_a_sidecar_of_an_earlier_version_is_taken_as_it_is(parcel: Path) -> None:
    """It knew nothing of local files, the provider or the campaign's seed."""
    told = json.loads((parcel / "push-t1.json").read_text(encoding="utf-8"))
    for name in ("pictures", "provider", "campaign_seed"):
        del told[name]
    (parcel / "push-t1.json").write_text(json.dumps(told), encoding="utf-8")
    made = Shell(parcel).inside("jobs", "--like", "push-t1.json")

    assert made.code == 0
    assert len(made.err.splitlines()) == 1
    assert f"url: {json.dumps(told['payload']['image_url'])}" in made.out


def test_a_clip_of_the_emulator_is_not_paid_for_by_mistake(parcel: Path) -> None:
    """The sidecar keeps who made it, whatever the addresses of its pictures look like."""
    told = json.loads((parcel / "push-t1.json").read_text(encoding="utf-8"))
    told |= {"provider": "emulator", "pictures": {}}
    told["payload"]["image_url"] = "https://example.com/fox.png"
    (parcel / "push-t1.json").write_text(json.dumps(told), encoding="utf-8")

    assert 'provider: "emulator"' in Shell(parcel).inside("jobs", "--like", "push-t1.json").out


def test_a_clip_made_with_a_card_of_ones_own_says_so(parcel: Path) -> None:
    """The one that ships makes the same payload, or nothing is written; the own one is taken where it is."""
    own = card_text("pixverse-v5.6-i2v") + "\n"
    told = json.loads((parcel / "push-t1.json").read_text(encoding="utf-8"))
    told["card_sha256"] = hashlib.sha256(own.encode()).hexdigest()
    (parcel / "push-t1.json").write_text(json.dumps(told), encoding="utf-8")
    other = Shell(parcel).inside("jobs", "--like", "push-t1.json")
    (parcel / "own.json").write_text(own, encoding="utf-8")
    mine = Shell(parcel).inside("jobs", "--like", "push-t1.json")

    assert f"warning: the model's card was another one then (sha256 {told['card_sha256']})" in other.err
    assert 'card: "own.json"\n' in mine.out
    assert "the model's card" not in mine.err


def test_what_is_no_clip_is_called_by_its_name(parcel: Path) -> None:
    """A manifest, a clip without a sidecar, and a second file of a job, whose sidecar is the first one's."""
    shell = Shell(parcel)
    (parcel / "n.yaml").write_text("version: 1\n", encoding="utf-8")
    shutil.copy(parcel / "push-t1.mp4", parcel / "lone.mp4")
    shutil.copy(parcel / "push-t1.mp4", parcel / "push-t1-2.mp4")
    manifest, lone, second = (
        shell.inside("jobs", "--like", one) for one in ("n.yaml", "lone.mp4", "push-t1-2.mp4")
    )

    assert (manifest.code, lone.code, second.code) == (2, 2, 0)
    assert manifest.err == "n.yaml is not the file that batchrunner writes beside a clip\n"
    assert lone.err == "there is no file lone.json, which would tell of this clip\n"


def test_a_clip_whose_picture_an_emulator_had_goes_to_no_paid_queue(tmp_path: Path) -> None:
    """The queue could not fetch it, and would be paid for trying."""
    payload: dict[str, Any] = {
        "image_url": "http://127.0.0.1:8787/fox.png",
        "prompt": "Push in",
        "duration": "5",
    }
    payload |= {"aspect_ratio": "16:9", "quality": "360p", "seed": 7}
    told = {"campaign": "a", "job": "fox.push.t1-00000000", "model": "pixverse-v5.6-i2v", "payload": payload}
    (tmp_path / "x.json").write_text(json.dumps(told), encoding="utf-8")
    made = Shell(tmp_path).inside("jobs", "--like", "x.json")

    assert made.code == 0
    assert 'provider: "emulator"' in made.out


def test_a_misspelt_state_is_no_folder(tmp_path: Path) -> None:
    """Both stand behind --state; a folder that is there is one."""
    wrong = Shell(tmp_path).inside("jobs", "night", "--state", "faild")
    (tmp_path / "faild").mkdir()
    folder = Shell(tmp_path).inside("jobs", "night", "--state", "faild")

    assert (wrong.code, folder.code) == (2, 2)
    assert 'there is no folder faild; did you mean "failed"?' in wrong.err
    assert "there is no state table faild/night.db" in folder.err


@pytest.mark.parametrize("text", ["", "[]", '{"job": 1}', '{"campaign": "a", "job": "b", "model": "c"}'])
def test_a_file_that_is_no_sidecar_is_one_sentence(tmp_path: Path, text: str) -> None:
    """Exit 2."""
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    done = Shell(tmp_path).inside("jobs", "--like", "x.json")

    assert (done.code, done.err) == (2, "x.json is not the file that batchrunner writes beside a clip\n")


def test_jobs_wants_a_campaign_or_a_clip(tmp_path: Path) -> None:
    """Exit 2, with both ways."""
    done = Shell(tmp_path).inside("jobs")

    assert done.code == 2
    assert "name a campaign, or a clip with --like" in done.err


def test_a_clip_of_words_alone_is_made_again_without_a_word_of_pictures(tmp_path: Path) -> None:
    """Its model takes none."""
    payload = {"prompt": "An owl", "duration": "5", "aspect_ratio": "16:9", "quality": "360p", "seed": 7}
    told = {"campaign": "a", "job": "owl.t1-00000000", "model": "pixverse-v5.6-t2v", "payload": payload}
    (tmp_path / "x.json").write_text(json.dumps(told), encoding="utf-8")
    made = Shell(tmp_path).inside("jobs", "--like", "x.json")

    assert (made.code, "icture" in made.out) == (0, False), made.err


def test_a_clips_job_is_looked_for_in_every_campaign(tmp_path: Path) -> None:
    """What would narrow that down is refused, and not passed over."""
    for words in (("night",), ("--state", "failed"), ("--limit", "1")):
        done = Shell(tmp_path).inside("jobs", "--like", "x.json", *words)

        assert done.code == 2
        assert "--like looks in all state tables of a folder: leave out CAMPAIGN" in done.err


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [("prompt", 5, "text"), ("image_url", ["x"], "text"), ("seed", "x", "number"), ("seed", True, "number")],
)
def test_a_sidecar_that_was_edited_is_one_sentence(parcel: Path, name: str, value: JSON, what: str) -> None:
    """Exit 2, with the field that cannot have been sent so."""
    told = json.loads((parcel / "push-t1.json").read_text(encoding="utf-8"))
    told["payload"][name] = value
    (parcel / "push-t1.json").write_text(json.dumps(told), encoding="utf-8")
    done = Shell(parcel).inside("jobs", "--like", "push-t1.json")

    assert (done.code, done.out) == (2, "")
    assert done.err == f"push-t1.json: {name} of its payload is no {what}: the file was edited\n"
