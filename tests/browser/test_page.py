"""A report in a real browser: it is quiet, loads nothing, shows what `evaluate` says, and everybody can use it."""

import csv
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from raylab2f import evaluate

pytestmark = pytest.mark.browser

#: Where screenshots are kept.
SHOTS = Path(os.environ.get("RAYLAB2F_SCREENSHOTS", "build/screenshots"))
WIDTHS = (1440, 390)


@pytest.fixture
def opened(browser, page_file):
    """opened(width, scheme) -> the page, and what it said and asked for."""
    contexts = []

    def open_page(width=1440, scheme="light", file=page_file):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page, heard = context.new_page(), []
        page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: heard.append(str(error)))
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        for place in range(0, page.evaluate("document.body.scrollHeight"), 700):
            page.evaluate(f"window.scrollTo(0, {place})")
            page.wait_for_timeout(40)
        page.evaluate("window.scrollTo(0, 0)")
        return page, heard, asked

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_quiet_loads_nothing_and_fits(opened, page_file, width, scheme):
    page, heard, asked = opened(width, scheme)
    assert heard == []
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("[data-plot] svg").count() >= 4
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{scheme}-{width}.png", full_page=True)
    page.emulate_media(media="print")
    page.pdf(path=SHOTS / f"{scheme}-{width}.pdf", format="A4")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_serious_fault(opened, width, scheme):
    page, _, _ = opened(width, scheme)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    found = Axe().run(page).response["violations"]
    bad = [(fault["id"], [node["target"] for node in fault["nodes"]][:3]) for fault in found]
    assert [one for one, fault in zip(bad, found, strict=True) if fault["impact"] in ("serious", "critical")] == []


def _number(text):
    return float(text.replace(",", ""))


def test_the_slider_gives_what_evaluate_gives(opened, page_file):
    page, _, _ = opened()
    slider = page.locator('[data-end="high"]')
    slider.focus()
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    tiles = page.locator(".readout > div")
    threshold = tiles.nth(0).locator("b").inner_text()
    found = evaluate(str(page_file.parent), threshold=f"fixed:{threshold}", replicates=200, prevalence=0.02).summary
    for number, metric in ((1, "escape_rate"), (2, "overkill_rate"), (3, "cost_at_prevalence")):
        row = found.find(metric, level="object")
        shown = [_number(tiles.nth(number).locator("b").inner_text())]
        shown += [_number(end) for end in tiles.nth(number).locator("span").inner_text().split(" to ") if end]
        expected = [row.mean, row.interval.low, row.interval.high][: len(shown)]
        assert shown == pytest.approx(expected, rel=5e-3, abs=5e-4), metric


@pytest.fixture
def reviewing(opened):
    """The page with a person between two thresholds."""
    page, _, _ = opened()
    page.locator("[data-review]").check()
    low = page.locator('[data-end="low"]')
    low.focus()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    return page


def _tile(page, number):
    """The figure of a tile, and the ends of its interval."""
    tile = page.locator(".readout > div").nth(number)
    ends = tile.locator("span").inner_text().split(" to ")
    return [_number(tile.locator("b").inner_text()), *(_number(end) for end in ends if end)]


def test_a_person_between_two_thresholds_gives_what_evaluate_gives(reviewing, page_file):
    page = reviewing
    said = page.locator(".readout").inner_text()
    assert "accepted below this score" in said
    assert "review rate: of all parts at 2.00 % defective" in said
    high, low = (page.locator(".readout b").nth(number).inner_text() for number in (0, 1))
    assert float(low) < float(high)
    name = f"fixed-pair:{low},{high}"
    found = evaluate(str(page_file.parent), threshold=name, replicates=200, prevalence=0.02).summary
    metrics = ("escape_rate", "overkill_rate", "review_rate_at_prevalence", "cost_at_prevalence")
    for number, metric in enumerate(metrics, start=2):
        row = found.find(metric, level="object")
        expected = [row.mean, row.interval.low, row.interval.high]
        assert _tile(page, number) == pytest.approx(expected, rel=5e-3, abs=5e-4), metric


def test_at_another_share_of_defective_parts_reviews_have_no_interval(reviewing):
    page = reviewing
    page.locator("[data-prevalence]").fill("10")
    tile = page.locator(".readout > div").nth(4)
    assert "at 10.0 % defective" in tile.inner_text()
    assert "no interval at a share that is typed here" in tile.inner_text()
    of_class = [_number(line.split(" ones ")[1].split(" (")[0]) for line in tile.locator("small").all_inner_texts()[1:]]
    assert _tile(page, 4) == pytest.approx([0.1 * of_class[0] + 0.9 * of_class[1]], abs=1e-3)
    page.locator("[data-prevalence]").fill("2")
    assert len(_tile(page, 4)) == 3


def test_all_pairs_are_saved(reviewing, tmp_path):
    page = reviewing
    with page.expect_download() as download:
        page.locator("[data-save-pairs]").click()
    download.value.save_as(tmp_path / "pairs.csv")
    with (tmp_path / "pairs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    thresholds = sorted({float(row["rejected_from"]) for row in rows})
    assert len(rows) == len(thresholds) * (len(thresholds) + 1) / 2
    high, low = (page.locator(".readout b").nth(number).inner_text() for number in (0, 1))
    [shown] = [row for row in rows if (row["accepted_below"], row["rejected_from"]) == (low, high)]
    names = [f"review_rate_at_prevalence{end}" for end in ("", "_from", "_to")]
    assert [float(shown[name]) for name in names] == pytest.approx(_tile(page, 4), abs=5e-4)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_study_fits_is_quiet_and_is_for_everybody(opened, study_file, width, scheme):
    page, heard, asked = opened(width, scheme, study_file)
    assert heard == []
    assert [url for url in asked if not url.startswith("data:")] == [study_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Of the first run: all defects, dents and scratches; errors and AUROC.
    first = page.locator("#run0")
    assert first.locator('[data-plot="pod"] svg').count() == 3
    for kind in ("learning-errors", "learning-auroc"):
        plot = first.locator(f'[data-plot="{kind}"] svg')
        assert plot.count() >= 1
        assert "this run" in first.locator(f'[data-plot="{kind}"]').inner_text()
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"study-{scheme}-{width}.png", full_page=True)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    found = Axe().run(page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []


def test_sliders_of_a_run_of_two_thresholds_begin_at_them(opened, study_file):
    page, _, _ = opened(file=study_file)
    one, two = page.locator("[data-slider]").all()
    assert not one.locator("[data-review]").is_checked()
    assert two.locator("[data-review]").is_checked()
    assert [two.locator(f'[data-end="{end}"]').input_value() for end in ("low", "high")] == ["3", "9"]
    assert "a person looks at" in two.locator(".readout").inner_text()


def test_the_curves_of_a_study_are_saved(opened, study_file, tmp_path):
    page, _, _ = opened(file=study_file)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    for name, heading in (
        ("learning-errors", "share of the training parts,pictures,run"),
        ("pod-types", "defects,parts"),
    ):
        with page.expect_download() as download:
            page.locator(f'#run0 .scroll:has(table[data-file="{name}"]) + .save').click()
        download.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(heading)


def test_the_share_of_defective_parts_changes_the_sentence(opened):
    page, _, _ = opened()
    before = page.locator(".outcome").inner_text()
    assert before.startswith("Of 1,000 parts at 2 % defective")
    page.locator("[data-prevalence]").fill("10")
    assert page.locator(".outcome").inner_text().startswith("Of 1,000 parts at 10 % defective")
    page.locator("[data-prevalence]").fill("")
    assert page.locator(".outcome").inner_text() == before


def test_cards_are_filtered_and_sorted(opened):
    page, _, _ = opened()
    cards = page.locator(".card:visible")
    all_of_them = cards.count()
    assert all_of_them > 0
    page.locator('[data-filter="kind"]').select_option("overkill")
    overkills = cards.count()
    assert page.locator(".card.escape:visible").count() == 0
    page.locator('[data-filter="text"]').fill("no part is called that")
    assert cards.count() == 0
    page.locator('[data-filter="text"]').fill("plate")
    assert cards.count() == overkills
    page.locator("[data-sort]").select_option("name")
    names = [text.split()[-1] for text in page.locator(".card:visible h4").all_inner_texts()]
    assert names == sorted(names)
    page.locator('[data-layer="map"]').uncheck()
    assert page.locator(".card .map:visible").count() == 0


def test_tables_are_sorted_and_saved(opened, tmp_path):
    page, _, _ = opened()
    table = page.locator('table[data-file="folds"]')
    heading = table.locator("th button").first
    heading.click()
    heading.click()
    assert [cell.inner_text() for cell in table.locator("tbody tr td:first-child").all()] == ["2", "1", "0"]
    with page.expect_download() as download:
        page.locator('.scroll:has(table[data-file="folds"]) + .save').click()
    download.value.save_as(tmp_path / "folds.csv")
    lines = (tmp_path / "folds.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("fold,escape rate")
    assert len(lines) == 4


def test_everything_is_reached_by_keyboard(opened):
    page, _, _ = opened()
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        where = page.evaluate(
            "() => { const e = document.activeElement; return e === document.body ? '' : "
            "e.tagName + ' ' + (e.dataset.end ?? e.dataset.filter ?? e.dataset.layer ?? e.className) }"
        )
        if where == "A skip" and reached - {where}:
            break
        reached.add(where)
    assert {"A skip", "INPUT high", "SELECT kind", "INPUT text", "INPUT map"} <= reached
    assert any(where.startswith("SUMMARY") for where in reached)
