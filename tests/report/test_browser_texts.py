"""A report on texts in a real browser: what is shown, folded, found, and never run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from report.browser import Page, browser, require_browser
from report.cases import made_up, write_run

from mixnn.results.report.page import write_report
from mixnn.runs.directory import RunDirectory

LONG = "a long story " * 60
HOSTILE = "</script><img src=x onerror=alert(1)>\nשלום 🦊"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    require_browser()
    root: Path = tmp_path_factory.mktemp("texts")
    evidence = made_up(60, 3, names=[f"row {i + 1}" for i in range(60)])
    run = RunDirectory(root / "run")
    texts = [[HOSTILE, LONG, f"text of {i}"][min(i % 20, 2)] for i in range(60)]
    write_run(run.path, evidence, ["apple", "pear", "plum"], side=None)
    run.write_json(run.records, {"noun": "text", "columns": ["text"], "texts": texts})
    write_report(run, run.report)
    with browser(root / "browser") as started:
        started.open(run.report)
        yield started
        assert started.complaints() == []


def test_texts_take_the_place_of_pictures(page: Page) -> None:
    names, texts = page.texts("#cards .name"), page.texts("#cards .text")
    assert len(texts) == len(names) > 0
    for name, text in zip(names, texts, strict=True):
        i = int(name.removeprefix("row ")) - 1
        if i % 20 > 1:
            assert text == f"text of {i}"
        else:
            assert text.replace(" … more", "") == (LONG if i % 20 else HOSTILE)
    assert page.texts("#cards .near p")[0] == "Nearest texts are labeled"
    assert len(page.texts("#cards article:first-child .list .said")) >= 8
    assert page.text("#map-section-title") == "Map of the texts"


def test_the_search_looks_into_texts(page: Page) -> None:
    wanted, before = page.texts("#cards .text")[0], page.texts("#cards .text")
    page.js("document.getElementById('search').value = arguments[0].toUpperCase()", wanted)
    page.js("document.getElementById('search').dispatchEvent(new Event('input'))")
    found = page.texts("#cards .text")
    assert 0 < len(found) < len(before)
    assert all(wanted in text for text in found)
