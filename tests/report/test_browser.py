"""The report in a real browser: what a person does with it, by mouse and by keys."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from report.browser import Page, browser, require_browser
from report.cases import HOSTILE_CLASSES, HOSTILE_FILES, hostile_run, made_up, write_run

from mixnn.results.issues import conflicting_duplicates, stored_label_issues
from mixnn.results.report.page import write_report
from mixnn.runs.directory import RunDirectory

CLASSES = ["apple", "pear", "plum"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = write_run(tmp_path_factory.mktemp("report") / "run", made_up(300, 3, unlabeled=5), CLASSES)
    write_report(run, run.report)
    return run


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = hostile_run(tmp_path_factory.mktemp("hostile") / "run")
    write_report(run, run.report)
    return run


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    require_browser()
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(started: Page, run: RunDirectory) -> Iterator[Page]:
    """The report with nothing decided; afterwards, nothing may have gone wrong unseen."""
    started.open(run.report)
    yield started
    started.js("localStorage.clear()")
    assert started.complaints() == []
    assert started.requests() == []


def suspects(run: RunDirectory) -> list[tuple[str, str, str]]:
    """File name, given and suggested label of the flagged labels, the worst first."""
    evidence = run.read_evidence()
    issues, classes = stored_label_issues(evidence), run.read_classes()
    rows = issues.ranking[: issues.is_label_issue.sum()]
    return [(str(evidence.names[i]), classes[evidence.given[i]], classes[issues.suggested[i]]) for i in rows]


def test_a_cell_filters_the_cards(page: Page, run: RunDirectory) -> None:
    wanted = [name for name, given, suggested in suspects(run) if (given, suggested) == ("pear", "plum")]
    page.click('#matrix [data-pair="1-2"]')
    assert page.texts("#cards .name") == wanted[:24]
    assert page.text("#shown") == f"{len(wanted)} samples"
    assert page.text('#matrix [aria-pressed="true"]') == str(len(wanted))
    page.click('#matrix [data-pair="1-2"]')  # again: all of them
    assert page.text("#shown") == f"{len(suspects(run))} samples"


def test_decisions_by_key_are_undone_and_found_again(page: Page, run: RunDirectory) -> None:
    expected = suspects(run)
    names = [name for name, *_ in expected]
    page.keys("j")
    assert page.at() == names[0]
    page.keys("a")
    page.keys("k")
    page.keys("x")
    assert page.at() == names[3]
    assert list(page.decisions().values())[:3] == [f"accepted: {expected[0][2]}", f"kept: {expected[1][1]}", "dropped"]
    page.open(run.report)
    assert page.text("#counter") == f"3 of {len(names)} label issues decided: 1 accept, 1 keep, 1 drop"
    page.keys("u")
    assert page.at() == names[2]
    assert page.decisions()[names[2]] == ""
    assert page.text("#counter") == f"2 of {len(names)} label issues decided: 1 accept, 1 keep"

    page.open(run.report)
    assert page.text("#counter") == f"2 of {len(names)} label issues decided: 1 accept, 1 keep"
    assert page.js("return document.querySelector('.current .name').textContent") == names[2]  # where one stopped
    page.keys("u")
    page.keys("u")  # steps from before the page was closed
    page.keys("u")  # and none more
    assert page.text("#counter") == "nothing decided yet"
    assert page.js("return document.getElementById('download').disabled")


def test_another_report_has_its_own_decisions(page: Page, run: RunDirectory, hostile: RunDirectory) -> None:
    page.keys("j")
    page.keys("a")
    page.open(hostile.report)
    assert page.text("#counter") == "nothing decided yet"
    page.open(run.report)
    assert page.text("#counter").startswith("1 of ")


def test_the_same_picture_under_another_label_is_named_as_text(page: Page, hostile: RunDirectory) -> None:
    evidence = hostile.read_evidence()
    issues = stored_label_issues(evidence)
    page.open(hostile.report)
    duplicate = conflicting_duplicates(evidence)
    drawn = issues.ranking[: len(page.texts("article"))]
    conflicts = drawn[duplicate[drawn] >= 0]
    said = [line for line in page.texts(".review-reason") if line.startswith("conflicting duplicate: ")]
    assert len(said) == len(conflicts) > 1
    for row, line in zip(conflicts, said, strict=True):
        assert line.endswith(f" labeled {HOSTILE_CLASSES[evidence.given[duplicate[row]]]}")


def test_another_class_by_digit_and_by_name(page: Page, run: RunDirectory) -> None:
    expected = suspects(run)
    page.keys("j")
    for i, key in enumerate("123"):
        name, given, suggested = expected[i]
        assert page.at() == name
        page.keys(key)
        word = {given: "kept", suggested: "accepted"}.get(CLASSES[int(key) - 1], "changed")
        assert page.decisions()[name] == f"{word}: {CLASSES[int(key) - 1]}"
    page.keys("p")  # pear or plum: not clear yet
    page.keys("\ue007")
    assert "no class, or several" in page.text(".other")
    page.keys("lu")
    page.keys("\ue007")
    assert page.decisions()[expected[3][0]].endswith(": plum")
    page.keys("o")
    page.keys("\ue00c")  # Escape
    assert page.at() == expected[4][0]


def test_arrows_move_over_pages(page: Page, run: RunDirectory) -> None:
    names = [name for name, *_ in suspects(run)]
    page.keys("j")
    page.keys("\ue014")  # right
    assert page.at() == names[1]
    page.keys("\ue012")
    assert page.at() == names[0]
    page.keys("\ue015")  # down: the row below
    across = names.index(page.at())
    assert across >= 2
    page.keys("\ue013")
    for _ in range(24):
        page.keys("j")
    assert page.at() == names[24]
    assert page.text("#page").startswith("page 2 of ")


def test_a_batch_is_one_step(page: Page, run: RunDirectory) -> None:
    issues = stored_label_issues(run.read_evidence())
    least = int(100 * np.median(issues.suggested_confidence[issues.is_label_issue]))
    sure = int((issues.is_label_issue & (issues.suggested_confidence >= least / 100)).sum())
    assert 0 < sure < len(suspects(run))
    page.js(f"document.getElementById('least').value = {least}")
    page.js("document.getElementById('least').dispatchEvent(new Event('input'))")
    assert page.text("#batch") == f"Accept {sure}"
    page.click("#batch")
    assert page.text("#counter") == f"{sure} of {len(suspects(run))} label issues decided: {sure} accept"
    assert {row["decision"] for row in page.corrections()} == {"accept"}
    page.click("#undo")
    assert page.text("#counter") == "nothing decided yet"


def test_the_download(page: Page, run: RunDirectory) -> None:
    expected = suspects(run)
    page.keys("j")
    for key in "akx":
        page.keys(key)
    third = next(name for name in CLASSES if name not in expected[3][1:])
    page.keys(str(CLASSES.index(third) + 1))
    rows = {row["file_name"]: row for row in page.corrections()}
    decided = [(expected[0][2], "accept"), (expected[1][1], "keep"), ("", "drop"), (third, "other")]
    for (name, *_), (label, decision) in zip(expected, decided, strict=False):
        assert rows[name] == {"file_name": name, "corrected_label": label, "decision": decision}
    assert len(rows) == 4


def test_samples_without_a_label(page: Page) -> None:
    page.js("const s = document.getElementById('group'); s.value = 'unlabeled'; s.dispatchEvent(new Event('change'))")
    assert len(page.texts("#cards .name")) == 5
    page.focus("#cards article")
    page.keys("k")
    page.keys("a")
    assert page.text("#counter").startswith("0 of ")
    assert [row["decision"] for row in page.corrections()].count("keep") == 1
    assert "Not sure" in {row["corrected_label"] for row in page.corrections()}


def test_the_map_leads_to_a_card(page: Page) -> None:
    page.focus("#map")
    page.keys("\ue014")  # the point in the middle
    middle = page.text("#tip .name")
    page.keys("\ue014")
    name = page.text("#tip .name")
    assert name != middle
    assert name in page.text("#point")
    page.keys("\ue007")
    assert page.at() == name
    page.keys("k")
    assert page.decisions()[name].startswith("kept: ")


def test_the_slider_shows_other_epochs(page: Page) -> None:
    page.wait(lambda: page.text("#moment") == "after training")
    page.focus("#epoch")
    page.keys("\ue012")
    assert page.text("#moment") == "epoch 3"
    assert "no mixture of two components" in page.text("#mixture")
    page.keys("\ue012")
    assert page.text("#moment") == "epoch 2"
    assert "80 % in the lower component" in page.text("#mixture")
    assert page.js("return document.querySelectorAll('#histogram .curve').length") == 2


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(page: Page, width: int, scheme: str, run: RunDirectory) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    try:
        page.open(run.report)
        assert page.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        light = page.js("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 128")
        assert light == (scheme == "light")
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_names_are_text(page: Page, hostile: RunDirectory) -> None:
    page.open(hostile.report)
    page.js("window.alert = () => { throw new Error('a name ran as a program') }")
    for at in range(2):
        shown = page.texts("#cards .name")
        for name in shown:
            assert name in {n.replace("\n", "\\u000a").replace("\udce4", "\\udce4") for n in hostile_names(hostile)}
        labels = set(page.texts("#cards .given") + page.texts("#cards .suggested"))
        assert labels <= set(HOSTILE_CLASSES)
        if at == 0:
            page.click("#next")
    assert set(page.texts("#matrix th[scope=row]")) == set(HOSTILE_CLASSES)
    assert set(page.texts(".table th[scope=row] bdi")) == set(HOSTILE_CLASSES)
    assert page.js("return [document.querySelectorAll('b, img[onerror]').length, document.scripts.length]") == [0, 2]


def hostile_names(run: RunDirectory) -> list[str]:
    return [str(name) for name in run.read_evidence().names]


def test_names_come_back_to_the_byte(page: Page, hostile: RunDirectory) -> None:
    page.open(hostile.report)
    page.js("const box = document.getElementById('least'); box.value = 0; box.dispatchEvent(new Event('input'))")
    page.click("#batch")
    expected = {name: suggested for name, _, suggested in suspects(hostile)}
    rows = page.corrections()
    assert {row["file_name"]: row["corrected_label"] for row in rows} == expected
    assert set(HOSTILE_FILES) & set(expected)  # the odd ones are among them
    listed = {row["file_name"] for row in hostile.read_table(hostile.labels)}
    assert {row["file_name"] for row in rows} <= listed


def test_a_report_without_pictures_and_map(page: Page, tmp_path: Path) -> None:
    from dataclasses import replace

    bare = write_run(tmp_path / "bare", replace(made_up(60, 3, noise=0), coordinates=None), CLASSES, side=None)
    bare.losses.unlink()
    write_report(bare, bare.report)
    page.open(bare.report)
    assert "almost no noise" in page.text("#summary")
    assert page.js("return document.getElementById('map-section')") is None
    assert page.js("return document.querySelectorAll('#cards img').length") == 0
    assert page.js("return document.getElementById('slider').hidden")
    page.keys("j")  # the next in doubt are there to be looked at
    page.keys("k")
    assert page.text("#counter").startswith("0 of 0 label issues decided, and 1 other sample")
