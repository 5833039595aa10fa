"""MLflow's UI in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from browser.conftest import Site
from browser.sample import EXPERIMENT, MODEL, NOTE, PROMPT, RUN


def test_an_experiment_is_created_in_the_dialog(site: Site, page: Page) -> None:
    page.goto(site.url)
    page.get_by_role("link", name="Experiments", exact=True).first.click()
    expect(page.get_by_role("link", name=EXPERIMENT)).to_be_visible()
    page.get_by_test_id("create-experiment-button").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_placeholder("Input an experiment name").fill("Büsche und Bäume")
    dialog.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile(r"#/experiments/\d+"))
    page.goto(site.at("experiments"))
    listed = page.get_by_test_id("experiment-list-item-link")
    expect(listed.filter(has_text="Büsche und Bäume")).to_be_visible()


def test_runs_are_searched_and_one_is_opened(site: Site, page: Page) -> None:
    page.goto(site.at(f"experiments/{site.sample.experiment_id}/runs"))
    row = page.get_by_role("link", name=RUN)
    expect(row).to_be_visible()
    search = page.get_by_test_id("search-box")
    search.fill("metrics.accuracy > 0.99")
    search.press("Enter")
    expect(row).to_have_count(0)
    search.fill("metrics.accuracy > 0.9 AND params.kind = 'forest'")
    search.press("Enter")
    row.click()

    expect(page.get_by_role("heading", name=RUN)).to_be_visible()
    for shown in (site.sample.run_id, "Finished", "forest", "depth", "0.98", MODEL):
        expect(page.get_by_text(shown).first).to_be_visible()
    page.get_by_role("tab", name="Model metrics").click()
    chart = page.locator(".js-plotly-plot")
    expect(chart).to_be_visible()
    expect(chart.locator(".scatterlayer .point")).to_have_count(40)


def test_an_artifact_is_previewed(site: Site, page: Page) -> None:
    page.goto(site.at(f"experiments/{site.sample.experiment_id}/runs/{site.sample.run_id}/artifacts"))
    page.get_by_text("notes").click()
    page.get_by_text("readme.txt").click()
    expect(page.get_by_text(NOTE)).to_be_visible()
    with page.expect_download() as waited:
        page.locator("button[data-component-id*='artifactview.tsx']").click()
    assert waited.value.path().read_text() == NOTE


def test_the_registry_shows_its_models(site: Site, page: Page) -> None:
    page.goto(site.at("models"))
    # A first visit is greeted by a dialog.
    page.get_by_role("button", name="Try it now").click()
    page.get_by_role("link", name=MODEL).click()
    expect(page.get_by_text("Tells flowers apart")).to_be_visible()
    expect(page.get_by_text("champion")).to_be_visible()
    page.get_by_role("link", name="Version 1").click()
    expect(page).to_have_url(re.compile(rf"#/models/{MODEL}/versions/1"))
    expect(page.get_by_role("link", name=RUN)).to_be_visible()


def test_a_trace_is_opened(site: Site, page: Page) -> None:
    page.goto(site.at(f"experiments/{site.sample.experiment_id}/traces"))
    cell = page.get_by_text('{"petal": 4.2}').first
    expect(cell).to_be_visible()
    page.get_by_role("button", name="Got it").click()
    cell.click()
    expect(page.get_by_text("which flower").first).to_be_visible()
    expect(page.get_by_text("virginica").first).to_be_visible()


def test_a_prompt_is_opened(site: Site, page: Page) -> None:
    page.goto(site.at("prompts"))
    page.get_by_role("link", name=PROMPT).click()
    expect(page.get_by_text("Hello {{name}}").first).to_be_visible()
