"""What people look at, in headless Chromium: MLflow's pages over a real sweep, and the HTML report.

Screenshots go to tests/proofs/output/.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.conftest import Sweep, children

OUTPUT = Path(__file__).parent / "output"
PATIENCE_S = 240
Found = TypeVar("Found")


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.fail("this proof needs a browser: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    # Containers give root no sandbox and little shared memory.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1700,1100")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    OUTPUT.mkdir(exist_ok=True)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def server(sweep: Sweep) -> Iterator[str]:
    """The address of `mlflow ui`, as the README starts it but for the processes beside it: four
    workers and eight that wait for jobs all import MLflow, which takes a busy machine minutes."""
    OUTPUT.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", sweep.workplace.store]
    with (OUTPUT / "mlflow.log").open("w") as log:
        process = subprocess.Popen(
            [*program, "--port", str(port), "--workers", "1"],
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(lambda: _answers(f"http://127.0.0.1:{port}/health"))
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE_S)


def test_four_runs_are_selected_and_compared_in_mlflow(
    browser: webdriver.Chrome, server: str, sweep: Sweep
) -> None:
    parent, jobs = _sweep_runs(sweep)
    _open(browser, f"{server}/#/experiments/1/runs?workflowType=machine_learning")
    _expand(browser, parent, jobs)
    for run_id in jobs.values():
        _click(browser, f".ag-row[row-id='{run_id}'] .ag-checkbox-input")
    _screenshot(browser, "runs")
    compare = _wait(lambda: next(each for each in _buttons(browser) if each.text == "Compare"))
    compare.click()
    _wait(lambda: "Comparing 4 Runs" in _text(browser))
    charts = _wait(lambda: browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .main-svg"))
    assert charts
    for name in jobs:
        assert name in _text(browser)
    _screenshot(browser, "compare")


def test_charts_are_grouped_by_prefix(browser: webdriver.Chrome, server: str, sweep: Sweep) -> None:
    address = "experiments/1/runs?workflowType=machine_learning&compareRunsMode=CHART"
    _open(browser, f"{server}/#/{address}")
    _expand(browser, *_sweep_runs(sweep))
    wanted = {"step", "train", "val", "test", "time", "profile"}
    _wait(lambda: wanted <= set(_text(browser).split()))
    _wait(lambda: browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .main-svg"))
    _screenshot(browser, "charts")


def test_the_sweep_is_described_by_its_report(sweep: Sweep) -> None:
    parent, _ = _sweep_runs(sweep)
    [run] = [run for run in sweep.workplace.runs() if run.info.run_id == parent]
    text = run.data.tags["mlflow.note.content"]
    assert all(f"## {title}" in text for title in ("Ranking", "Findings")), text
    assert "**How sure**" in text


def test_the_report_sorts_by_a_column_and_asks_no_host(
    browser: webdriver.Chrome, sweep: Sweep
) -> None:
    browser.get_log("performance")
    _open(browser, (sweep.folder / "report.html").as_uri())
    pictures = browser.find_elements(By.CSS_SELECTOR, ".chart img")
    assert len(pictures) == 6
    assert all(int(picture.get_property("naturalWidth") or 0) > 500 for picture in pictures)
    table = browser.find_element(By.XPATH, "//table[.//th[contains(., 'latency')]]")
    header = table.find_element(By.XPATH, ".//th[contains(., 'training time')]")
    column = len(header.find_elements(By.XPATH, "./preceding-sibling::th")) + 1

    def seconds() -> list[float]:
        cells = table.find_elements(By.CSS_SELECTOR, f"tbody td:nth-child({column})")
        return [float(cell.text.split()[0]) for cell in cells]

    orders = []
    for _ in range(2):
        header.click()
        orders.append(seconds())
    ascending = sorted(orders[0])
    assert sorted(orders) == sorted([ascending, ascending[::-1]])
    _screenshot(browser, "report")
    asked = [_requested(entry["message"]) for entry in browser.get_log("performance")]
    addresses = [address for address in asked if address]
    assert addresses
    assert not [each for each in addresses if not each.startswith(("file:", "data:"))]


def test_charts_answer_to_the_pointer_and_to_keys(browser: webdriver.Chrome, sweep: Sweep) -> None:
    _open(browser, (sweep.folder / "report.html").as_uri())
    charts = browser.find_elements(By.CSS_SELECTOR, ".chart")
    assert len(charts) == 6
    for chart in charts:
        picture, tip = (chart.find_element(By.CSS_SELECTOR, each) for each in ("img", ".tip"))
        browser.execute_script("arguments[0].scrollIntoView()", chart)
        data = chart.find_element(By.TAG_NAME, "script").get_property("textContent")
        mark = json.loads(str(data))[-1]
        left, top = (
            (share / 10_000 - 0.5) * picture.rect[side]
            for share, side in zip(mark["spots"][0], ("width", "height"), strict=False)
        )
        assert not tip.is_displayed()
        pointer = ActionChains(browser)
        pointer.move_to_element_with_offset(picture, round(left), round(top)).perform()
        lines = [mark["label"], *(": ".join(each) for each in _named(mark, 0))]
        assert tip.text.splitlines() == lines
        # The corner is empty.
        size = picture.rect
        corner = (1 - size["width"] // 2, 1 - size["height"] // 2)
        ActionChains(browser).move_to_element_with_offset(picture, *corner).perform()
        assert not tip.is_displayed()
        first = json.loads(str(data))[0]
        chart.send_keys(Keys.ARROW_RIGHT)
        assert tip.text.splitlines()[1:] == [": ".join(each) for each in _named(first, 0)]
        chart.send_keys(Keys.ARROW_LEFT)
        assert tip.text.splitlines()[1:] == [": ".join(each) for each in _named(mark, -1)]
        chart.send_keys(Keys.ESCAPE)
        assert not tip.is_displayed()


def test_the_report_shows_what_the_best_network_gets_wrong(
    browser: webdriver.Chrome, sweep: Sweep
) -> None:
    _open(browser, (sweep.folder / "report.html").as_uri())
    galleries = browser.find_elements(By.CSS_SELECTOR, ".gallery")
    assert len(galleries) == 2
    pictures = browser.find_elements(By.CSS_SELECTOR, ".gallery img")
    assert 12 < len(pictures) <= 24
    assert all(0 < int(picture.get_property("naturalWidth") or 0) <= 64 for picture in pictures)
    # A grid: several beside one another, none wider than its place.
    tops = {picture.rect["y"] for picture in pictures}
    assert len(tops) <= len(pictures) / 3
    browser.execute_script("arguments[0].scrollIntoView()", galleries[0])
    _screenshot(browser, "gallery")


def _named(mark: dict[str, Any], index: int) -> Iterator[tuple[str, str]]:
    """Names and values of one of a mark's spots."""
    return zip(mark["names"], mark["values"][index], strict=True)


def _sweep_runs(sweep: Sweep) -> tuple[str, dict[str, str]]:
    """The id of the sweep's run, and those of its jobs by name."""
    jobs = children(sweep.workplace)
    [parent] = {run.data.tags["mlflow.parentRunId"] for run in jobs.values()}
    return parent, {name: run.info.run_id for name, run in jobs.items()}


def _expand(browser: webdriver.Chrome, parent: str, jobs: dict[str, str]) -> None:
    """Show a sweep's jobs below it, if an earlier page has not."""
    first = f".ag-row[row-id='{next(iter(jobs.values()))}']"
    _wait(lambda: browser.find_elements(By.CSS_SELECTOR, f".ag-row[row-id='{parent}'] button"))
    if not browser.find_elements(By.CSS_SELECTOR, first):
        _click(browser, f".ag-row[row-id='{parent}'] button")
    _wait(lambda: browser.find_elements(By.CSS_SELECTOR, first))


def _open(browser: webdriver.Chrome, address: str) -> None:
    """Load a page even where only the part after # differs."""
    browser.get("about:blank")
    _wait(lambda: browser.get(address) or True)


def _wait(condition: Callable[[], Found]) -> Found:
    """The condition's value as soon as it holds; pages are drawn piece by piece."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = condition()
            if found:
                return found
        except (WebDriverException, StopIteration):
            pass
        assert time.monotonic() < end, "the page does not show it"
        time.sleep(0.5)


def _answers(address: str) -> bool:
    with suppress(OSError), urlopen(address, timeout=10) as response:
        return bool(response.status == 200)
    return False


def _click(browser: webdriver.Chrome, selector: str) -> None:
    def click() -> bool:
        browser.find_element(By.CSS_SELECTOR, selector).click()
        return True

    _wait(click)


def _buttons(browser: webdriver.Chrome) -> list[WebElement]:
    return browser.find_elements(By.TAG_NAME, "button")


def _text(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def _screenshot(browser: webdriver.Chrome, name: str) -> None:
    # Charts grow into their places.
    time.sleep(2)
    browser.save_screenshot(str(OUTPUT / f"{name}.png"))


def _requested(message: str) -> str:
    """The address that an entry of the browser's log is a request for; else empty."""
    event = json.loads(message)["message"]
    if event["method"] != "Network.requestWillBeSent":
        return ""
    return str(event["params"]["request"]["url"])
