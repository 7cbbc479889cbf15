"""What a plan says of a manifest that was changed between runs: in jobs and in money."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchrunner import Campaign
from batchrunner.manifest.expand import expand
from batchrunner.planning import Plan
from batchrunner.store.tables import Store

MANIFEST = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
provider: emulator
seed: 1
takes: {takes}
images: [{{id: a, url: "https://example.com/a.png"}}]
prompts: [{{id: p, text: "{prompt}"}}, {{id: q, text: "Pan left"}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder in which two takes of two prompts are recorded; those of `p` are done."""
    campaign = written(tmp_path)
    (tmp_path / "state").mkdir()
    store = Store(campaign.state_path)
    jobs = list(expand(campaign.manifest, campaign.card))
    store.record(campaign.manifest, "card", lambda: jobs, output_folder=tmp_path, version="1", now_us=1)
    store.db.execute("UPDATE jobs SET state = 'done' WHERE prompt = 'p'")
    store.close()
    return tmp_path


def written(folder: Path, prompt: str = "Slow push-in", takes: int = 2) -> Campaign:
    """Write the manifest and return its campaign."""
    path = folder / "night.yaml"
    path.write_text(MANIFEST.format(prompt=prompt, takes=takes), encoding="utf-8")
    return Campaign(path, state=folder / "state")


def counts(plan: Plan) -> tuple[int, int, int, int]:
    """Return how many jobs are new, changed, unchanged and gone."""
    return plan.new, plan.changed, plan.unchanged, plan.gone


def test_an_unchanged_manifest_has_nothing_new(folder: Path) -> None:
    """Two done, two to submit."""
    plan = written(folder).plan()

    assert counts(plan) == (0, 0, 4, 0)
    assert (plan.done, plan.to_submit, plan.again_micros) == (2, 2, 0)


def test_changed_words_are_changed_jobs_and_what_was_paid_is_paid_again(folder: Path) -> None:
    """The clips of the old words are kept; the new ones cost as much once more."""
    plan = written(folder, prompt="Slow pull-out").plan()

    assert counts(plan) == (0, 2, 2, 0)
    assert plan.cost_micros is not None
    assert plan.again_micros == plan.cost_micros // 2


def test_a_setting_more_changes_none_of_many_jobs_that_are_still_there(tmp_path: Path) -> None:
    """More than are looked at together: each recorded job counts once, wherever the new ones come."""
    settings = ("[540p, 720p, 360p]", "[1080p, 540p, 720p, 360p]", "[1080p, 540p, 720p]")
    campaigns = []
    for quality in settings:
        written(tmp_path, takes=4_000)
        path = tmp_path / "night.yaml"
        text = path.read_text(encoding="utf-8").replace('{id: q, text: "Pan left"}', "")
        path.write_text(f"{text}matrix: {{quality: {quality}}}\n", encoding="utf-8")
        campaigns.append(Campaign(path, state=tmp_path / "state"))
    before, more, other = campaigns
    before.record()

    assert counts(more.plan()) == (4_000, 0, 12_000, 0)
    assert counts(other.plan()) == (0, 4_000, 8_000, 0)


def test_more_takes_are_new_jobs_and_fewer_are_gone_ones(folder: Path) -> None:
    """Takes keep their places."""
    assert counts(written(folder, takes=3).plan()) == (2, 0, 4, 0)
    assert counts(written(folder, takes=1).plan()) == (0, 0, 2, 2)


def test_a_quality_that_joins_the_recorded_one_is_new_and_paid_once(folder: Path) -> None:
    """Nothing was changed: the recorded jobs are all still in the manifest."""
    campaign = written(folder)
    path = campaign.manifest_path
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}matrix: {{quality: [540p, 720p]}}\n", encoding="utf-8")  # 540p is the default
    joined = Campaign(path, state=folder / "state").plan()
    path.write_text(f"{text}matrix: {{quality: [720p, 1080p]}}\n", encoding="utf-8")
    replaced = Campaign(path, state=folder / "state").plan()

    assert (counts(joined), joined.again_micros) == ((4, 0, 4, 0), 0)
    assert counts(replaced) == (4, 4, 0, 0)  # one of the two qualities is what became of each recorded job
    assert replaced.again_micros == 2 * replaced.dearest_micros


def test_the_qualities_of_one_prompt_are_looked_at_together(folder: Path) -> None:
    """However many takes there are: more jobs than are looked up at once."""
    text = written(folder).manifest_path.read_text(encoding="utf-8").replace("takes: 2", "takes: 300")
    path = folder / "night.yaml"
    path.write_text(f"{text}matrix: {{quality: [360p, 720p, 540p]}}\n", encoding="utf-8")

    assert counts(Campaign(path, state=folder / "state").plan()) == (1796, 0, 4, 0)


def test_each_recorded_job_is_counted_once(folder: Path) -> None:
    """As unchanged, as what a changed job was before, or as gone, whatever changes together."""
    path = folder / "night.yaml"
    for prompt, takes, more in (
        ("Slow push-in", 1, ""),
        ("Slow pull-out", 1, ""),
        ("Slow pull-out", 3, "matrix: {quality: [540p, 720p]}\n"),
        ("Slow pull-out", 1, "matrix: {quality: [720p, 1080p]}\n"),
    ):
        written(folder, prompt, takes)
        path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
        plan = Campaign(path, state=folder / "state").plan()

        assert plan.jobs == plan.new + plan.changed + plan.unchanged == sum(plan.states.values())
        assert plan.unchanged + plan.changed + plan.gone == 4


@pytest.mark.parametrize("rows", [3, 600])
def test_a_place_that_rows_share_is_counted_once(tmp_path: Path, rows: int) -> None:
    """Product and include, looked at together or far apart: what another row still has was not replaced."""
    path = tmp_path / "night.yaml"
    images = "".join(f'  - {{id: i{n}, url: "https://example.com/{n}.png"}}\n' for n in range(rows))
    head = "version: 1\ncampaign: night\nmodel: pixverse-v5.6-i2v\nprovider: emulator\nseed: 1\n"
    head += f"images:\n{images}"
    head += 'prompts: [{id: p, text: "Slow push-in"}]\n'
    include = "include: [{image: i0, prompt: p, take: 1, duration: %s}]\n"
    path.write_text(head + include % 8, encoding="utf-8")
    campaign = Campaign(path, state=tmp_path / "state")
    campaign.record()
    path.write_text(head + include % 10, encoding="utf-8")
    included = Campaign(path, state=tmp_path / "state").plan()
    path.write_text(f"{head}matrix: {{quality: [720p, 360p]}}\n{include % 8}", encoding="utf-8")
    listed = Campaign(path, state=tmp_path / "state").plan()
    path.write_text(f"{head}parameters: {{quality: 360p}}\n{include % 10}", encoding="utf-8")
    both = Campaign(path, state=tmp_path / "state").plan()

    assert counts(included) == (0, 1, rows, 0)
    assert counts(listed) == (rows, rows, 1, 0)
    assert counts(both) == (0, rows + 1, 0, 0)


def test_without_a_state_table_everything_is_new(tmp_path: Path) -> None:
    """And nothing is paid again."""
    plan = written(tmp_path).plan()

    assert counts(plan) == (4, 0, 0, 0)
    assert plan.again_micros == 0


def test_a_table_that_is_just_being_made_is_none_yet(tmp_path: Path) -> None:
    """Another runner has made the file a moment ago: no jobs, and no error either."""
    campaign = written(tmp_path)
    (tmp_path / "state").mkdir()
    campaign.state_path.touch()

    assert campaign.plan().new == 4
    assert campaign.to_pay().jobs == 4
