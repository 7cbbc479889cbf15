"""The page works in a real browser, opened from disk. Skipped where there is no chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchrunner.report.write import write_report
from batchrunner.store.changes import Noted
from batchrunner.store.runs import ASLEEP, SILENT
from batchrunner.store.tables import Store
from tests.fakes import START_US
from tests.media.films import film
from tests.report.nights import NightMaker

pytest.importorskip("playwright", reason="the page is tested in a browser: playwright is not installed")

from tests.report.browser import CHROMIUM, opened, started

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason="the page is tested in a browser, and there is no chromium (apt-get install chromium)",
)

HOSTILE = "</script><img src=x onerror=owned=1><script>owned=1</script>"
FATES = {0: "lost", 1: "unfetchable", 2: f"failed:{HOSTILE}", 3: "spared", 4: "pending", 5: "active"}
NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
PASTED = """() => { const box = document.createElement('textarea'); document.body.append(box); box.focus();
            box.id = 'pasted'; }"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all of these tests."""
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> NightMaker:
    """24 jobs: 3 images, 2 prompts, 2 settings, 2 takes; six of them in trouble."""
    root = tmp_path_factory.mktemp("night")
    source = root / "film.mp4"
    source.write_bytes(film(frames=48))
    return NightMaker(
        root,
        [source],
        prompts=(("push-in", f"Slow push-in {HOSTILE}"), ("drift", "Camera drifts")),
        qualities=("540p", "1080p"),
        fate=lambda number, _job: FATES.get(number, "done"),
    ).make()


@pytest.fixture(scope="module")
def path(night: NightMaker) -> Path:
    """Its page."""
    return write_report(night.state, night.campaign)


def test_every_job_is_in_the_grid_and_every_still_is_shown(browser: Browser, path: Path) -> None:
    """Image by image, prompt by prompt, and no file is loaded that is not looked at."""
    with opened(browser, path) as seen:
        seen.page.locator("#clips").scroll_into_view_if_needed()
        seen.wait("document.querySelector('.thumb img').naturalWidth > 0")

        assert seen.page.locator("h1").inner_text() == "night"
        assert seen.shown() == 24
        assert seen.page.locator("section.image h3").all_inner_texts() == ["fox", "harbour", "lighthouse"]
        assert seen.page.locator("section.image").nth(0).locator(".cell").count() == 2
        assert seen.page.locator(".cell").nth(0).locator("h5").all_inner_texts() == ["540p", "1080p"]
        assert not [url for url in seen.requests if url.endswith(".mp4")]


def test_clips_of_words_alone_stand_together_by_prompt(browser: Browser, tmp_path: Path) -> None:
    """Under one heading, and nowhere is an image named that there is not."""
    night = NightMaker(tmp_path, images=(), model="pixverse-v5.6-t2v").make()
    with opened(browser, write_report(night.state, night.campaign)) as seen:
        headings = [seen.page.locator(f"section.image {one}").all_inner_texts() for one in ("h3", "h4")]
        seen.page.locator(".clip button", has_text="Details").first.click()

        assert headings == [["All prompts"], ["push-in", "drift"]]
        assert seen.page.locator("#sheet-title").inner_text() == "push-in · take 1"
        labels = "[...document.querySelectorAll('[aria-label]')].map(one => one.ariaLabel).join()"
        assert "undefined" not in seen.page.evaluate(labels) + seen.page.locator("body").inner_text()


def test_a_clip_plays_while_it_is_pointed_at(browser: Browser, path: Path) -> None:
    """And lets go of its file afterwards."""
    with opened(browser, path) as seen:
        thumb = seen.page.locator("button.thumb").nth(3)
        thumb.hover()
        seen.wait_playing(1)
        playing = seen.playing()
        seen.page.mouse.move(2, 2)
        seen.wait("!document.querySelector('.thumb video')")

        assert len(playing) == 1
        assert playing[0].endswith(".mp4")


def test_a_clip_plays_under_the_keyboard_and_enter_toggles_it(browser: Browser, path: Path) -> None:
    """Arrow keys go from clip to clip."""
    with opened(browser, path) as seen:
        seen.page.locator("#words").focus()
        while not seen.page.evaluate("document.activeElement.matches('button.thumb')"):
            seen.page.keyboard.press("Tab")
        seen.wait_playing(1)
        first = seen.playing()
        seen.page.keyboard.press("ArrowRight")
        seen.wait(
            "source => ![...document.querySelectorAll('.thumb video')].some(one => one.src === source)",
            first[0],
        )
        seen.wait_playing(1)
        second = seen.playing()
        seen.page.keyboard.press("Enter")
        seen.wait_playing(0)
        seen.page.keyboard.press("Enter")
        seen.wait_playing(1)

        assert first != second
        assert seen.page.locator("button.thumb:focus").get_attribute("aria-pressed") == "true"


def test_takes_play_side_by_side_until_they_leave_the_window(browser: Browser, path: Path) -> None:
    """`Play all` starts a cell's clips; out of sight they are let go."""
    with opened(browser, path) as seen:
        cell = seen.page.locator(".cell").last
        cell.evaluate("cell => cell.scrollIntoView({block: 'center'})")
        cell.locator("button.all").click()
        seen.wait_playing(4)
        seen.page.evaluate("scrollTo(0, 0)")
        seen.wait("!document.querySelector('.thumb video')")


def test_nothing_moves_by_itself_for_those_who_want_calm(browser: Browser, path: Path) -> None:
    """A click still plays."""
    with opened(browser, path, reduced_motion="reduce") as seen:
        thumb = seen.page.locator("button.thumb").nth(0)
        thumb.hover()
        seen.page.wait_for_timeout(250)
        before = seen.page.locator(".thumb video").count()
        thumb.click()
        seen.wait_playing(1)

        assert before == 0


def test_the_filters_narrow_by_state_setting_and_words_and_survive_a_reload(
    browser: Browser, path: Path
) -> None:
    """They are in the address; clearing them brings everything back."""
    with opened(browser, path) as seen:
        page = seen.page
        page.get_by_role("checkbox", name="held 3").check()
        held = seen.shown()
        page.get_by_role("checkbox", name="1080p").check()
        both = seen.shown()
        page.get_by_label("Find").fill("fox  take 1")
        seen.wait("document.getElementById('found').value.startsWith('1 of 24')")
        page.reload()
        page.wait_for_selector("html[data-ready]", state="attached")
        kept = seen.shown()
        page.get_by_role("button", name="Clear filters").click()
        seen.wait("document.getElementById('found').value === '24 jobs'")
        page.get_by_label("Find").fill("no such thing")
        seen.wait("document.getElementById('found').value.startsWith('0 of')")

        assert (held, both, kept) == (3, 1, 1)
        assert page.get_by_text("Nothing here fits these filters.").is_visible()
        assert page.locator("section.image:visible").count() == 0


@pytest.mark.parametrize("before", ["", NO_CLIPBOARD], ids=["clipboard", "none"])
def test_payload_and_seed_are_copied_with_and_without_a_clipboard(
    browser: Browser, path: Path, before: str
) -> None:
    """What is pasted is the exact text."""
    with opened(browser, path, before=before) as seen:
        page = seen.page
        page.get_by_role("button", name="Details of lighthouse, drift, take 2, 1080p").click()
        page.get_by_role("button", name="Copy the payload").click()
        page.get_by_text("Copied the payload").wait_for()
        payload = page.locator("dialog pre").inner_text()
        page.keyboard.press("Escape")
        seen.wait("!document.getElementById('sheet').firstChild")
        page.evaluate(PASTED)
        page.keyboard.press("Control+v")
        seen.wait("document.getElementById('pasted').value")

        assert page.locator("#pasted").input_value() == payload
        assert json.loads(payload)["quality"] == "1080p"


def test_what_is_held_and_failed_says_why_and_what_settles_it(browser: Browser, path: Path) -> None:
    """On the page itself, with a copy button; and the sheet tells the story."""
    with opened(browser, path) as seen:
        page = seen.page
        trouble = page.locator("#trouble")
        commands = trouble.locator("code").all_inner_texts()

        assert "3 jobs held" in trouble.inner_text()
        assert "no trace of it in the provider's list" in trouble.inner_text()
        assert [one for one in commands if one.startswith("batchrunner resolve night fox.push-in.t1-")]
        assert [one for one in commands if one.endswith("--resubmit")]
        assert "batchrunner run night.yaml" in commands
        trouble.get_by_role("button", name="Its story").first.click()
        page.locator("dialog .story").wait_for()
        assert "held for a person, $0.15 at stake" in page.locator("dialog").inner_text()


def test_hostile_text_is_shown_as_text(browser: Browser, path: Path) -> None:
    """In a prompt and in a provider's reason."""
    with opened(browser, path) as seen:
        page = seen.page
        page.get_by_role("button", name="Details of fox, push-in, take 1, 1080p").click()

        assert page.evaluate("typeof owned") == "undefined"
        assert page.locator("img:not([src^=_posters])").count() == 0
        assert HOSTILE in page.locator("dialog .words").inner_text()
        assert HOSTILE in page.locator("#trouble").inner_text()


def test_the_policy_lets_nothing_else_run_or_call(browser: Browser, path: Path) -> None:
    """A script that gets in is refused, and so is a call to any address."""
    with opened(browser, path) as seen:
        refused = seen.page.evaluate(
            """async () => {
              const told = [];
              document.addEventListener('securitypolicyviolation', (it) => told.push(it.effectiveDirective));
              await fetch('http://127.0.0.1:9/x').catch(() => {});
              try { document.body.innerHTML += '<b>'; } catch { told.push('innerHTML'); }
              document.body.setAttribute('style', 'color: red');
              await new Promise((done) => setTimeout(done, 100));
              return told;
            }"""
        )
        seen.complaints.clear()

        assert {"connect-src", "innerHTML", "style-src-attr"} <= set(refused)


def test_the_sheet_is_walked_by_arrow_keys_and_closed_by_escape(browser: Browser, path: Path) -> None:
    """Through what the filters show; the focus comes back to the job that was last looked at."""
    with opened(browser, path, hash_="#state=done") as seen:
        page = seen.page
        page.locator(".more:visible").first.click()
        title = page.locator("#sheet-title")
        first = title.inner_text()
        page.keyboard.press("ArrowRight")
        second = title.inner_text()
        page.keyboard.press("ArrowLeft")
        back = title.inner_text()
        page.keyboard.press("ArrowRight")
        seen.wait("document.querySelector('dialog video').currentTime > 0")
        page.keyboard.press("Escape")
        seen.wait("!document.getElementById('sheet').firstChild")
        focused = page.locator(":focus").get_attribute("aria-label") or ""

        assert first == back != second
        assert focused == f"Details of {second.replace(' · ', ', ')}"
        assert page.locator("dialog video").count() == 0


def test_the_top_says_how_the_last_run_ended(browser: Browser, path: Path, tmp_path: Path) -> None:
    """By itself, or not."""
    killed = NightMaker(tmp_path, killed=True).make()
    with opened(browser, path) as seen:
        assert re.fullmatch(
            r"The last run, \w{3} \d+ \w+ \d{4}, [\d:]{8} to [\d:]{8}, every job was done \(exit 0\)\.",
            seen.page.locator("#last-run").inner_text(),
        )
    with opened(browser, write_report(killed.state, killed.campaign)) as seen:
        assert "did not end by itself (a kill, " in seen.page.locator("#last-run").inner_text()


def test_the_night_is_drawn_and_told_in_words(browser: Browser, path: Path) -> None:
    """A bar leads to its job."""
    with opened(browser, path) as seen:
        page = seen.page
        words = page.locator("#night-words").inner_text()
        chart = page.locator(".chart svg")
        chart.click(position={"x": 3, "y": 82})

        assert words.startswith("22 submissions in ")
        assert "At most 9 jobs at the provider at once." in words
        assert chart.locator("path.bar").count() == 4
        assert page.locator("dialog[open] #sheet-title").count() == 1
        assert page.get_by_role("table").get_by_role("row").count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_those_who_use_other_means(
    browser: Browser, path: Path, scheme: str
) -> None:
    """axe-core finds nothing, whatever its weight, on the page and on a job's sheet."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with opened(browser, path, color_scheme=scheme, bypass_csp=True) as seen:
        found = [*axe.run(seen.page).response["violations"]]
        seen.page.locator(".more").nth(8).click()
        found += axe.run(seen.page).response["violations"]

        assert [(one["id"], one["impact"], one["nodes"][0]["html"][:200]) for one in found] == []


@pytest.mark.parametrize("width", [390, 1024])
def test_the_page_fits_its_window(browser: Browser, path: Path, width: int) -> None:
    """Nothing reaches over the side, and two takes fit beside each other on a phone."""
    with opened(browser, path, viewport={"width": width, "height": 800}) as seen:
        wide = seen.page.evaluate("document.documentElement.scrollWidth")
        tops = seen.page.evaluate(
            "[...[...document.querySelectorAll('.takes')].pop().children].map(one => one.offsetTop)"
        )

        assert wide <= width
        assert len(set(tops)) == 1


def test_without_stills_only_what_is_near_the_window_loads(
    browser: Browser, night: NightMaker, tmp_path: Path
) -> None:
    """Clips show their own first picture, and one that plays goes on from there."""
    many = replace(
        night,
        root=tmp_path,
        images=[f"shot-{number}" for number in range(20)],
        fate=lambda *_: "done",
        _free=[],
    )
    many.make()
    path = write_report(many.state, many.campaign, keep_on=lambda: False)
    with opened(browser, path) as seen:
        seen.page.locator("#clips").scroll_into_view_if_needed()
        seen.wait("document.querySelector('.thumb video')?.readyState >= 2")
        loaded = seen.page.locator(".thumb video").count()
        seen.page.locator("button.thumb").first.hover()
        seen.wait_playing(1)

        assert seen.shown() == 160
        assert 0 < loaded < 80


def test_every_run_is_listed_with_how_it_ended(browser: Browser, tmp_path: Path) -> None:
    """The first of two left no word of its end."""
    two = NightMaker(tmp_path, pauses=(6,)).make()
    with opened(browser, write_report(two.state, two.campaign)) as seen:
        seen.page.get_by_text("2 runs").click()
        rows = [
            row.inner_text() for row in seen.page.get_by_role("table", name="Runs").locator("tbody tr").all()
        ]

    assert "did not end by itself" in rows[0]
    assert "every job was done (exit 0)" in rows[1]


def test_times_do_not_pass_what_nobody_looked_at_for_rendering(browser: Browser, tmp_path: Path) -> None:
    """A sleep, an outage and a pause between runs are drawn as what they are, and no median counts them."""
    maker = NightMaker(tmp_path, pauses=(8,), fate=lambda number, _job: "active" if number == 1 else "done")
    path = write_report(maker.make().state, maker.campaign)
    with opened(browser, path) as seen:
        before = seen.page.locator("#night-words").inner_text()
        assert seen.page.locator(".chart path.bar.away").count() == 1  # of the one that waited on
        assert "not looked at: no run, the machine asleep" in seen.page.locator(".legend .away").inner_text()
    store = Store(maker.state / f"{maker.campaign}.db")
    store.take_over()
    slept = Noted(ASLEEP, START_US + 100_000_000, evidence={"asleep_s": 60})
    silent = Noted(SILENT, START_US + 110_000_000, evidence={"silent_s": 30})
    store.commit([slept, silent])
    store.close()
    with opened(browser, write_report(maker.state, maker.campaign)) as seen:
        after = seen.page.locator("#night-words").inner_text()
        seen.page.get_by_role("button", name="Details of fox, push-in, take 1").click()
        time = seen.page.locator("dialog .facts", has_text="from submission to file").inner_text()

    assert "Left out" not in before
    assert "Left out: 7 clips, not looked at for a while" in after
    assert "of it not looked at (no run, the machine asleep, or no answer from the provider)" in time


def test_idle_hours_are_cut_out_of_the_picture_however_many(browser: Browser, tmp_path: Path) -> None:
    """Two nights are two stretches with the gap named; sixteen are drawn together."""
    two = NightMaker(tmp_path / "two", pauses=(6,)).make()
    with opened(browser, write_report(two.state, two.campaign)) as seen:
        assert ", in 2 stretches: " in seen.page.locator("#night-words").inner_text()
        assert seen.page.locator(".chart rect.cut").count() == 1
        assert "12 h" in seen.page.locator(".chart").inner_text()
    many = NightMaker(tmp_path / "many", takes=16, pauses=range(6, 96, 6)).make()
    with opened(browser, write_report(many.state, many.campaign)) as seen:
        assert seen.page.locator(".chart rect.cut").count() == 0
        assert seen.page.locator(".chart path.area").count() == 1
