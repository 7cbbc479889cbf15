"""What failures have in common."""

from __future__ import annotations

import pytest

from batchrunner.rules.suspects import MODEL_JOBS, Suspect, Suspects
from batchrunner.values import Reason


def test_a_picture_is_suspect_once_it_was_refused_in_two_jobs() -> None:
    """The same job twice is one refusal; another picture is another matter."""
    suspects = Suspects()

    assert suspects.failed("a1", "fox", "pan", Reason.PICTURE) == []
    assert suspects.failed("a1", "fox", "pan", Reason.PICTURE) == []
    assert suspects.failed("b1", "owl", "pan", Reason.PICTURE) == []
    assert suspects.failed("a2", "fox", "zoom", Reason.PICTURE) == [Suspect("fox", None)]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (("fox", "zoom"), Suspect("fox", None)),
        (("owl", "pan"), Suspect(None, "pan")),
        (("fox", "pan"), Suspect("fox", "pan")),
    ],
)
def test_moderation_points_at_what_both_have(second: tuple[str, str], expected: Suspect) -> None:
    """The picture, the prompt, or only the two together."""
    suspects = Suspects()
    assert suspects.failed("1", "fox", "pan", Reason.MODERATION) == []

    assert suspects.failed("2", *second, Reason.MODERATION) == [expected]


def test_without_pictures_only_a_prompt_is_suspect() -> None:
    """What all jobs have in common, no picture, says nothing against any: other prompts are still sent."""
    suspects = Suspects()
    for job, prompt in (("1", "pan"), ("2", "zoom"), ("3", "tilt")):
        assert suspects.failed(job, "", prompt, Reason.MODERATION) == []
        assert suspects.failed(job, "", prompt, Reason.PICTURE) == []

    assert suspects.failed("4", "", "zoom", Reason.MODERATION) == [Suspect(None, "zoom")]


def test_moderation_of_things_apart_makes_nothing_suspect() -> None:
    """Nothing in common."""
    suspects = Suspects()
    suspects.failed("1", "fox", "pan", Reason.MODERATION)

    assert suspects.failed("2", "owl", "zoom", Reason.MODERATION) == []


def test_a_failed_render_makes_nothing_suspect() -> None:
    """It says nothing about what was sent."""
    suspects = Suspects()
    assert [suspects.failed(str(n), "fox", "pan", Reason.RENDER) for n in range(5)] == [[]] * 5


def test_a_model_that_refuses_its_first_jobs_alike_is_found_out() -> None:
    """Once, with the last of them."""
    suspects = Suspects()
    told = [suspects.refuses("m", Reason.MODEL) for _ in range(MODEL_JOBS + 2)]

    assert told == [False] * (MODEL_JOBS - 1) + [True, False, False]


@pytest.mark.parametrize(
    "reasons",
    [
        [Reason.MODEL, Reason.REQUEST, Reason.MODEL],
        [Reason.MODERATION] * MODEL_JOBS,
        [Reason.RENDER] * MODEL_JOBS,
    ],
)
def test_other_beginnings_say_nothing_about_the_model(reasons: list[Reason]) -> None:
    """Different reasons, or reasons that are about single jobs."""
    suspects = Suspects()
    assert not any(suspects.refuses("m", reason) for reason in reasons)


def test_a_model_that_took_one_request_is_sound() -> None:
    """Then the refusals are about the jobs."""
    suspects = Suspects()
    suspects.accepted("m")
    assert not any(suspects.refuses("m", Reason.REQUEST) for _ in range(MODEL_JOBS))
