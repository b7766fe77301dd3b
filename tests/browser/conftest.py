"""A browser, and the page of a run in which parts were judged wrongly."""

import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "No Chromium is installed; apt-get install chromium, or make test-browser as root."
    with sync_playwright() as playwright:
        # Without a user of its own, as in a container, the sandbox cannot start.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def page_file(finished_run, run, tmp_path_factory):
    """`report.html` of a run that rejects far too many parts; its limits were set before."""
    folder = tmp_path_factory.mktemp("judged") / "run"
    shutil.copytree(finished_run[0], folder)
    metrics = ["--threshold", "target-fpr:0.5", "--threshold", "target-recall:0.4", "--prevalence", "0.02"]
    run("--detector", "glass", "--folds", 3, "--out", folder, "--resume", *metrics)
    return folder / "report.html"
