"""The page on which a person drops a picture, in a real browser."""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from served_models import good, running, served, spotted
from small_models import small_judge

from raylab2f.cluster.serving.rules import ServingRules

pytestmark = pytest.mark.browser

SHOTS = Path(os.environ.get("RAYLAB2F_SCREENSHOTS", "build/screenshots"))
TOKEN = "t0ken-of-the-tests"
WIDTHS = (1440, 390)


@pytest.fixture(scope="module")
def models():
    judge, rules = small_judge(), ServingRules()
    return lambda: [served(rules, judge, name) for name in ("plates", "others")]


@pytest.fixture(scope="module")
def port(models):
    with running(ServingRules(), *models()) as (number, _):
        yield number


@pytest.fixture
def opened(browser, port):
    """opened(width, scheme, at) -> the page, and what it said and asked for."""
    contexts = []

    def open_page(width=1440, scheme="light", at=None):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page, heard, asked = context.new_page(), [], []
        page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"http://localhost:{at or port}/")
        return page, heard, asked

    yield open_page
    for context in contexts:
        context.close()


def choose(page, content, name="part.png"):
    page.locator("#file").set_input_files({"name": name, "mimeType": "image/png", "buffer": content})


def judged(page, content, name="part.png"):
    choose(page, content, name)
    expect(page.locator("#caption")).to_contain_text(name)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_gets_its_verdict_and_nothing_comes_from_elsewhere(opened, port, width, scheme):
    page, heard, asked = opened(width, scheme)
    judged(page, spotted(), "spotted.png")
    assert page.locator("#verdict").inner_text() == "Rejected"
    assert "is at or above the threshold" in page.locator("#sentence").inner_text()
    assert page.locator("#picture").evaluate("image => image.complete && image.naturalWidth") == 64
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"serving-{scheme}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    judged(page, good(3), "good.png")
    assert page.locator("#verdict").inner_text() == "Accepted"
    assert heard == []
    own = f"http://localhost:{port}/"
    assert [url for url in asked if not url.startswith((own, "data:", f"blob:{own}"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_serious_fault(opened, width, scheme):
    page, _, _ = opened(width, scheme)
    judged(page, spotted())
    for path in ("", "docs"):
        if path:
            page.goto(f"{page.url}{path}")
        found = Axe().run(page).response["violations"]
        bad = [(fault["id"], [node["target"] for node in fault["nodes"]][:3]) for fault in found]
        assert [one for one, fault in zip(bad, found, strict=True) if fault["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_said_is_heard(opened):
    page, _, _ = opened()
    assert page.locator("#status").get_attribute("aria-live") == "polite"
    judged(page, spotted(), "spotted.png")
    assert page.locator("#status").inner_text().startswith("Rejected. Score")
    assert "anomaly map laid over it: 1 region is marked" in page.locator("#picture").get_attribute("alt")
    choose(page, b"no picture", "text.png")
    expect(page.locator("#error")).not_to_be_empty()
    assert "is no PNG" in page.locator("#error").inner_text()
    assert page.locator("#error").get_attribute("role") == "alert"
    assert not page.locator("#result").is_visible()


def test_the_map_is_laid_over_and_taken_away_by_keyboard(opened):
    page, _, _ = opened()
    judged(page, spotted())
    before = page.locator("#picture").get_attribute("src")
    page.locator("#file").focus()
    reached = []
    for _ in range(6):
        reached.append(page.evaluate("document.activeElement.id"))
        page.keyboard.press("Tab")
    assert {"file", "map"} <= set(reached)
    page.locator("#map").focus()
    page.keyboard.press("Space")
    plain = page.locator("#picture").get_attribute("src")
    assert before.startswith("data:image/png")
    assert plain.startswith("blob:")
    page.keyboard.press("Space")
    assert page.locator("#picture").get_attribute("src") == before


def test_a_picture_is_dropped(opened):
    page, _, _ = opened()
    data = page.evaluate_handle(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" })); return data }""",
        list(spotted()),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})
    expect(page.locator("#caption")).to_contain_text("dropped.png")
    assert page.locator("#verdict").inner_text() == "Rejected"


def test_another_model_is_chosen(opened):
    page, _, _ = opened()
    page.locator("#model option").nth(1).wait_for(state="attached")
    page.locator("#model").select_option("others")
    judged(page, good(3))
    assert page.locator("#about").inner_text().startswith("Model others,")


def test_a_token_is_asked_for_where_one_is_needed(opened, models):
    with running(ServingRules(), *models(), token=TOKEN) as (port, _):
        page, _, _ = opened(at=port)
        token = page.get_by_label("Token")
        token.wait_for()
        token.fill("wrong")
        token.blur()
        expect(page.locator("#error")).not_to_be_empty()
        token.fill(TOKEN)
        token.blur()
        page.locator("#model option").first.wait_for(state="attached")
        judged(page, good(3))
        assert page.locator("#verdict").inner_text() == "Accepted"
