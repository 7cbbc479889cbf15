"""How jobs spread: counted by image, prompt and setting, whatever their order."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

from batchrunner.cards import load_card
from batchrunner.rules.expected import Shown, expected_micros
from batchrunner.tallies import Group, Tally
from batchrunner.values import Job

CARD = load_card("pixverse-v5.6-i2v")
JOB = Job("", "a", "p", 1, 1, CARD.id, {}, "", "", 10)


def jobs() -> list[Job]:
    """Return two images by two prompts by two qualities by three takes; one quality costs more."""
    return [
        replace(
            JOB, image=image, prompt=prompt, payload={"quality": quality, "duration": "5"}, cost_micros=cost
        )
        for image, prompt, (quality, cost), _take in itertools.product(
            "ab", "pq", [("360p", 10), ("720p", 30)], range(3)
        )
    ]


def test_groups_add_up_and_only_what_varies_is_a_setting() -> None:
    """Those of image `a` are not to be submitted any more."""
    tally = Tally(CARD)
    for job in jobs():
        tally.add(job, pays=job.image != "a")
    spread = tally.spread(priced=True)

    assert spread.images == {"a": Group(12, 0, 0), "b": Group(12, 12, 240)}
    assert spread.prompts == {"p": Group(12, 6, 120), "q": Group(12, 6, 120)}
    assert [(one.words, one.group) for one in spread.settings] == [
        ("quality 360p", Group(12, 6, 60)),
        ("quality 720p", Group(12, 6, 180)),
    ]


def test_the_order_of_the_jobs_changes_no_sum() -> None:
    """Alike ones are counted together where they follow each other; elsewhere too."""
    mixed = jobs()
    random.Random(1).shuffle(mixed)
    one, other = Tally(CARD), Tally(CARD)
    for straight, shuffled in zip(jobs(), mixed, strict=True):
        one.add(straight, pays=straight.image != "a")
        other.add(shuffled, pays=shuffled.image != "a")
    first, second = one.spread(priced=False), other.spread(priced=False)

    assert (first.images, first.prompts) == (second.images, second.prompts)
    assert sorted(first.settings, key=str) == sorted(second.settings, key=str)
    assert first.images["b"].cost_micros is None


def test_a_parameter_that_is_a_list_is_a_setting_too() -> None:
    """Nothing forbids one on a card."""
    tally = Tally(CARD)
    for value in ([1], [2], [1]):
        tally.add(replace(JOB, payload={"quality": value}), pays=True)

    assert [(one.words, one.group.jobs) for one in tally.spread(priced=True).settings] == [
        ("quality [1]", 2),
        ("quality [2]", 1),
    ]


def test_what_is_expected_follows_what_was_paid() -> None:
    """Less where failures were free, more where clips had to be paid again, nothing where nothing ended."""
    assert expected_micros(1000, Shown()) is None
    assert expected_micros(1000, Shown(4, 1, 400, 300)) == 750
    assert expected_micros(1000, Shown(4, 0, 400, 500)) == 1250
    assert expected_micros(1000, Shown(3, 0, 300, 100)) == 334  # rounded up
