"""One sound manifest of many parts, and mistakes that can be planted in it: alone, or several at once."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchrunner.errors import ManifestError
from batchrunner.manifest.load import load_bytes

PNG = Path(__file__).parents[2] / "manifests" / "images" / "fox.png"

FILES = {
    "night.yaml": """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
provider: gmi
seed: 7
takes: 3
order: written
product: true
parameters:
  duration: 5
  negative_prompt: blurry
  thinking_type: auto
matrix:
  quality: [540p, 720p]
  aspect_ratio: ["16:9", "9:16"]
images:
  - {id: fox, url: "https://example.com/fox.png", vars: {subject: the fox, light: dawn}}
  - {id: owl, file: owl.png, vars: {subject: the owl, light: noon}}
  - {id: hare, url: "https://example.com/hare.png", vars: {subject: a hare, light: dusk}}
  - {id: elk, url: "https://example.com/elk.png", vars: {subject: elk, light: day}, parameters: {duration: 8}}
  - {csv: pictures.csv}
prompts:
  - {id: push, text: "Push in on {subject}"}
  - {id: orbit, text: "Orbit {subject} at {light}", parameters: {thinking_type: enabled}}
  - {id: still, text: "{subject}, still and {mood}", vars: {mood: calm}}
  - {jsonl: words.jsonl}
shots:
  - {image: fox, prompt: push, aspect_ratio: "1:1", takes: 2}
  - {image: owl, prompt: "The owl turns its {part}", vars: {part: head}, quality: 360p}
  - {url: "https://example.com/cat.png", text: "A cat yawns", id: cat, parameters: {duration: 10}}
  - {csv: shots.csv}
exclude:
  - {image: hare, quality: 720p}
  - {prompt: orbit, take: 3}
  - {image: elk, prompt: still, take: 1}
include:
  - {image: fox, prompt: push, take: 1, parameters: {duration: 8, quality: 1080p}}
  - {image: owl, prompt: still, quality: 1080p, take: 2}
limits:
  in_flight: 8
  submits_per_minute: 30
  budget: 40.0
  window: "22:00-07:00"
notify:
  - {env: NIGHT_WEBHOOK, on: [stopped, held]}
retry:
  attempts: 3
recovery:
  on_absent: hold
  grace: 600
price: {per: second, usd: 0.03}
output:
  folder: clips
  name: "{image}/{prompt}-t{take}"
""",
    "pictures.csv": """\
id,url,subject,light,duration
ant,https://example.com/ant.png,an ant,rain,8
bee,https://example.com/bee.png,a bee,sun,
""",
    "words.jsonl": """\
{"id": "zoom", "text": "Zoom in on {subject}", "quality": "720p"}
{"id": "tilt", "text": "Tilt up in {season}", "season": "spring"}
""",
    "shots.csv": """\
image,prompt,pace,takes
fox,The fox leaps {pace},slowly,2
https://example.com/dog.png,The dog runs {pace},fast,
""",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is written instead of what; `file` is where."""

    old: str
    new: str
    file: str = "night.yaml"


MISTAKES = {
    # YAML
    "key twice": Mistake("version: 1", "version: 1\nretry: {attempts: 2}"),
    "key twice below": Mistake("  negative_prompt: blurry", "  negative_prompt: blurry\n  duration: 5"),
    "anchor": Mistake("matrix:", "matrix: &axes"),
    "alias": Mistake("attempts: 3", "attempts: *some"),
    "tag": Mistake("grace: 600", "grace: !!int 600"),
    "leading zero": Mistake("in_flight: 8", "in_flight: 08"),
    "leading zero in a row": Mistake('aspect_ratio: "1:1", takes: 2', 'aspect_ratio: "1:1", takes: 02'),
    "not a number": Mistake("usd: 0.03", "usd: .nan"),
    "too large": Mistake("seed: 7", "seed: 99999999999999999999"),
    "merge key": Mistake("  on_absent: hold", "  on_absent: hold\n  <<: {risk: 1}"),
    "merge key in a row": Mistake("mood: calm}}", "mood: calm}, <<: {id: x}}"),
    "list as a key": Mistake("product: true", "product: true\n[a, b]: 1"),
    "no character": Mistake('"Push in on {subject}"', '"Push \\0 in on {subject}"'),
    # the schema
    "version": Mistake("version: 1", "version: 2"),
    "campaign": Mistake("campaign: night", "campaign: Night"),
    "unknown key": Mistake("order: written", "order: written\npriority: high"),
    "misspelt key": Mistake("output:", "ouput:"),
    "order": Mistake("order: written", "order: writen"),
    "no blank": Mistake("provider: gmi", "provider:gmi: 1"),
    "takes": Mistake("takes: 3", "takes: 0"),
    "takes as text": Mistake("takes: 3", "takes: three"),
    "yes": Mistake("product: true", "product: yes"),
    "missing": Mistake("seed: 7\n", ""),
    "axis": Mistake("quality: [540p, 720p]", "quality: 540p"),
    "axis twice": Mistake("quality: [540p, 720p]", "quality: [540p, 540p]"),
    "image as a text": Mistake("  - {csv: pictures.csv}", "  - {csv: pictures.csv}\n  - gnu.png"),
    "image of two": Mistake("file: owl.png", 'file: owl.png, url: "https://example.com/owl.png"'),
    "image of none": Mistake("file: owl.png, ", ""),
    "image id": Mistake("id: elk", "id: Elk"),
    "image key": Mistake("vars: {subject: a hare", "var: {subject: a hare"),
    "image far key": Mistake("{id: hare, ", "{id: hare, frobnicate: 1, "),
    "var": Mistake("light: dusk", "light: true"),
    "image parameters": Mistake("parameters: {duration: 8}}\n  - {csv", "parameters: [8]}\n  - {csv"),
    "prompt key": Mistake("id: orbit, text:", "id: orbit, txt:"),
    "prompt id": Mistake("id: still", "id: Still"),
    "prompt text": Mistake('text: "Push in on {subject}"', "text: 5"),
    "prompt parameters": Mistake("parameters: {thinking_type: enabled}", "parameters: enabled"),
    "shot of two": Mistake("id: cat", "id: cat, file: owl.png"),
    "shot id": Mistake("id: cat", "id: a cat"),
    "shot takes": Mistake('"1:1", takes: 2', '"1:1", takes: many'),
    "shot parameter as a list": Mistake("quality: 360p", "quality: [360p]"),
    "shot vars": Mistake("vars: {part: head}", "vars: head"),
    "exclude take": Mistake("take: 3}", "take: third}"),
    "exclude empty": Mistake("{image: elk, prompt: still, take: 1}", "{}"),
    "exclude as a text": Mistake("{image: elk, prompt: still, take: 1}", "elk"),
    "include take": Mistake("take: 1,", "take: -1,"),
    "limits": Mistake("submits_per_minute: 30", "submits_per_minute: 0"),
    "limits key": Mistake("budget:", "bugdet:"),
    "window": Mistake("22:00-07:00", "22-7"),
    "notify": Mistake("on: [stopped, held]", "on: [stopped, hold]"),
    "notify twice": Mistake("on: [stopped, held]", "on: [held, held]"),
    "retry": Mistake("attempts: 3", "attempts: 0"),
    "recovery": Mistake("on_absent: hold", "on_absent: wait"),
    "price": Mistake("{per: second, ", "{"),
    "output": Mistake("folder: clips", "folder: 5"),
    "name as a number": Mistake('name: "{image}/{prompt}-t{take}"', "name: 5"),
    # what the schema cannot say
    "no table of shots": Mistake("{csv: shots.csv}", "{csv: shot.csv}"),
    "window of no length": Mistake("22:00-07:00", "22:00-22:00"),
    "free": Mistake("usd: 0.03", "usd: 0"),
    "campaign reserved": Mistake("campaign: night", "campaign: con"),
    "parameter": Mistake("  duration: 5", "  duration: 7"),
    "parameter's name": Mistake("  thinking_type: auto", "  thinking_typ: auto"),
    "parameter's far name": Mistake("  thinking_type: auto", "  thinking_type: auto\n  zzz: 1"),
    "parameter's hole": Mistake("negative_prompt: blurry", 'negative_prompt: "blurry {subject}"'),
    "axis value": Mistake("[540p, 720p]", "[540p, 4k]"),
    "axis name": Mistake("  aspect_ratio: [", "  aspect_ration: ["),
    "no file": Mistake("file: owl.png", "file: oul.png"),
    "http": Mistake("https://example.com/fox.png", "http://example.com/fox.png"),
    "image twice": Mistake("id: hare", "id: fox"),
    "image's parameter": Mistake(
        "parameters: {duration: 8}}\n  - {csv", "parameters: {duration: 9}}\n  - {csv"
    ),
    "reserved": Mistake("id: elk", "id: aux"),
    "no table": Mistake("csv: pictures.csv", "csv: picture.csv"),
    "no word": Mistake("subject: a hare, ", ""),
    "empty word": Mistake("subject: elk", "subject: ' '"),
    "brace": Mistake("Orbit {subject}", "Orbit {subject"),
    "unknown word": Mistake("and {mood}", "and {modo}"),
    "prompt twice": Mistake("id: still", "id: push"),
    "prompt's parameter": Mistake("{thinking_type: enabled}", "{thinking_type: on}"),
    "image of a shot": Mistake('{image: owl, prompt: "', '{image: oul, prompt: "'),
    "prompt of a shot": Mistake("prompt: push, aspect_ratio", "prompt: pusch, aspect_ratio"),
    "key of a shot": Mistake("quality: 360p", "qualty: 360p"),
    "parameter of a shot": Mistake("duration: 10", "duration: 11"),
    "word of a shot": Mistake("its {part}", "its {parts}"),
    "id of a shot": Mistake("id: cat", "id: push"),
    "shots that are one": Mistake(
        "  - {csv: shots.csv}",
        '  - {csv: shots.csv}\n  - {image: owl, text: "It flies", id: cot, takes: [4]}'
        '\n  - {image: owl, text: "It flies", id: cut, takes: [4]}',
    ),
    "exclude no image": Mistake("{image: hare, quality: 720p}", "{image: haze, quality: 720p}"),
    "exclude no value": Mistake("image: hare, quality: 720p", "image: hare, quality: 360p"),
    "exclude no parameter": Mistake("image: hare, quality: 720p", "image: hare, qualty: 720p"),
    "exclude no prompt": Mistake("{prompt: orbit, take", "{prompt: orbits, take"),
    "exclude no take": Mistake("prompt: orbit, take: 3", "prompt: orbit, take: 4"),
    "exclude seven": Mistake(
        "{image: elk, prompt: still, take: 1}",
        "{image: foks, prompt: pusch, take: 9, duration: 6, aspect_ratio: 2}",
    ),
    "include no image": Mistake("{image: fox, prompt: push, take", "{image: foks, prompt: push, take"),
    "include no prompt": Mistake("image: owl, prompt: still", "image: owl, prompt: stil"),
    "include together": Mistake("duration: 8, quality: 1080p", "duration: 10, quality: 1080p"),
    "include there already": Mistake(
        "quality: 1080p, take: 2}", 'quality: 720p, aspect_ratio: "16:9", take: 2}'
    ),
    "name's word": Mistake("-t{take}", "-t{taek}{take}"),
    "name without take": Mistake("-t{take}", ""),
    "name up": Mistake('"{image}/', '"../{image}/'),
    # tables
    "column": Mistake("light,duration", "light,duraton", "pictures.csv"),
    "id in a table": Mistake("bee,https", "fox,https", "pictures.csv"),
    "formula": Mistake("an ant", "#REF!", "pictures.csv"),
    "value in a table": Mistake("rain,8", "rain,9", "pictures.csv"),
    "address in a table": Mistake("https://example.com/bee.png", "ftp://example.com/bee.png", "pictures.csv"),
    "no word in a table": Mistake("an ant", "", "pictures.csv"),
    "ragged": Mistake("a bee,sun,", "a bee,sun", "pictures.csv"),
    "no json": Mistake('"season": "spring"}', '"season": "spring"', "words.jsonl"),
    "kind in a table": Mistake('"spring"', "true", "words.jsonl"),
    "value in json": Mistake('"720p"', '"4k"', "words.jsonl"),
    "word in json": Mistake("{subject}", "{subjekt}", "words.jsonl"),
    "image in a table": Mistake("fox,The fox leaps", "foks,The fox leaps", "shots.csv"),
    "word in a table": Mistake("leaps {pace}", "leaps {pase}", "shots.csv"),
    "takes in a table": Mistake("slowly,2", "slowly,0", "shots.csv"),
    "no prompt in a table": Mistake("The dog runs {pace}", "", "shots.csv"),
}

# What is not told while another mistake leaves open whether it is one, or makes it one with others; the rest
# is always told. `python -m tests.manifest.hiding` prints what these should be.
NO_TABLE = {"no table"}
NO_SHOTS = {"no table of shots"}
IMAGE_OF_SHOTS = NO_SHOTS | {"shot of two"}
PROMPT_OF_SHOTS = NO_SHOTS | {"no prompt in a table"}
TAKES = {"shot takes", "takes", "takes as text", "takes in a table"}
ANY_ROW = NO_TABLE | PROMPT_OF_SHOTS | {"merge key in a row", "prompt of a shot"}
ANY_ROW |= {"image parameters", "prompt parameters"}
DURATION = {"column", "key twice below", "parameter", "image's parameter", "parameter of a shot"}
ANY_EXCLUDE = {"exclude as a text", "exclude empty"}
AXIS = {"axis", "axis twice", "axis value"}
NO_WORDS = {"brace", "no character", "prompt text", "word in json"}  # texts that cannot be used
MAY_HIDE = {
    "column": NO_TABLE | NO_SHOTS,
    "exclude no image": IMAGE_OF_SHOTS | NO_TABLE | {"image twice"},
    "exclude no prompt": PROMPT_OF_SHOTS,
    "exclude no take": NO_SHOTS | TAKES,
    "exclude no value": ANY_ROW | AXIS | {"image twice", "shot parameter as a list", "value in json"},
    "exclude seven": ANY_ROW
    | TAKES
    | DURATION
    | {"image in a table", "image of a shot", "ragged", "shot of two", "value in a table"},
    "image as a text": NO_WORDS | {"merge key in a row", "no word"},
    "image in a table": NO_TABLE,
    "image of a shot": NO_TABLE,
    "include no image": NO_TABLE,
    "include no prompt": {"prompt twice"},
    "include there already": ANY_EXCLUDE
    | AXIS
    | {
        *("image as a text", "image of none", "image of two", "include no prompt", "merge key in a row"),
        *("no file", "no word", "no word in a table", "prompt twice", "takes", "takes as text"),
        "unknown word",
    },
    "no word": NO_WORDS | {"image as a text", "image twice", "merge key in a row"},
    "no word in a table": {"no character", "prompt text"},
    "reserved": NO_TABLE | ANY_EXCLUDE | IMAGE_OF_SHOTS | {"exclude seven"},
    "shots that are one": ANY_EXCLUDE | {"image of none", "image of two", "no file"},
    "unknown word": {"include no prompt", "merge key in a row", "prompt twice"},
    "word of a shot": {"shot vars"},
}
# Two mistakes in one and the same part: the outer one is mended first.
WITHIN = {
    "image of two": {"image of none", "no file"},
    "image of none": {"image of two"},
    "no table of shots": {"image in a table", "no prompt in a table", "takes in a table", "word in a table"},
    "no table": {
        "address in a table",
        "formula",
        "id in a table",
        "no word in a table",
        "ragged",
        "value in a table",
    },
    "column": {"value in a table"},
    "ragged": {"address in a table", "id in a table"},
    "no json": {"kind in a table"},
}

Said = frozenset[tuple[str, str, str]]


def planted(*names: str) -> dict[str, str] | None:
    """Return the files with some mistakes in them; None: one would take the other's place."""
    files = dict(FILES)
    for name in names:
        one = MISTAKES[name]
        if files[one.file].count(one.old) != 1:
            return None
        files[one.file] = files[one.file].replace(one.old, one.new)
    return files


def said(files: Mapping[str, str], folder: Path) -> Said:
    """Return what is said of some files: the file, the path and the words, for lines may move."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copy(PNG, folder / "owl.png")
    try:
        load_bytes(files["night.yaml"].encode(), folder / "night.yaml")
    except ManifestError as error:
        return frozenset((Path(one.file).name, one.path, _still(one.message)) for one in error.problems)
    return frozenset()


def _still(message: str) -> str:
    alone = re.sub(r": (there|the (takes|only)) (are|is|take) .*", "", message)  # what else there is
    return re.sub(r"(in line |nor for |:)[0-9]+", r"\1", alone)


def may_hide(one: str, other: str) -> bool:
    """Tell whether a mistake may leave open whether another one is any."""
    return one in MAY_HIDE.get(other, ()) or other in WITHIN.get(one, ())
