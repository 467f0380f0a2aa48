r"""Looks at MLflow's pages of sweeps, comparisons, pictures and models with headless Chromium; for people.

    make ui port=5000 &
    python -m tests.browser.mlflow_pages --output pictures sweep <id of the sweep's run>
    python -m tests.browser.mlflow_pages --output pictures compare <id> <id> <id> --metric val/top1
    python -m tests.browser.mlflow_pages --output pictures picture <run id> --name predictions
    python -m tests.browser.mlflow_pages --output pictures model digits

Each saves what it saw and ends with 1 where something is missing.
"""

import argparse
import json
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser.mlflow_page import Browser, chromium, search

EXPANDER = 'button[data-component-id*="runnamecellrenderer"]'
CURVES = "document.querySelectorAll('.js-line').length"
PICTURE = "[...document.images].filter(image => image.src.includes('images') && image.naturalWidth > 60)"


class Pages:
    """MLflow's pages in one browser, and what was missing on them.

    Args:
        browser: Headless Chromium.
        address: Of the server.
        output: Folder for pictures of the pages.
    """

    def __init__(self, browser: Browser, *, address: str, output: Path) -> None:
        self.browser, self.missing = browser, list[str]()
        self._address, self._output = address, output
        browser.call("Page.navigate", url=address)
        browser.wait("document.body.innerText.length > 100")
        browser.value("localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')")  # it covers a third

    def ask(self, path: str, /, **parameters: Any) -> dict[str, Any]:
        """What MLflow's own interface answers."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        query = json.dumps(parameters).encode() if path.endswith("search") else None
        url = f"{self._address}/api/2.0/mlflow/{path}"
        url += "" if query else f"?{urllib.parse.urlencode(parameters)}"
        request = urllib.request.Request(url, data=query, headers={"Content-Type": "application/json"})
        with direct.open(request, timeout=20) as answer:
            return dict(json.load(answer))

    def open(self, path: str, **query: str) -> None:
        """Go to a page of the interface for training."""
        said = {**query, "workflowType": "machine_learning"}
        words = urllib.parse.urlencode(said, quote_via=urllib.parse.quote)
        self.browser.call("Page.navigate", url="about:blank")  # pages that differ after the # load nothing
        self.browser.call("Page.navigate", url=f"{self._address}/#/{path}?{words}")

    def expect(self, what: str, script: str) -> None:
        """Wait for something, and note it as missing where it never comes."""
        if not self.browser.wait(f"Boolean({script})"):
            self.missing.append(f"{what}: never true: {script}")

    def expect_text(self, text: str) -> None:
        """Wait for a text."""
        self.expect(repr(text), f"document.body.innerText.includes({json.dumps(text)})")

    def find_chart(self, name: str) -> None:
        """Bring a chart into view, among those whose names hold this one."""
        self.expect("the search field", search("Search metric charts", name))
        self.expect_text(name.rpartition("/")[2])

    def save(self, name: str) -> None:
        """A picture of what is seen now."""
        time.sleep(2.0)
        self.browser.save(self._output / f"{name}.png")


def look_at_sweep(pages: Pages, given: argparse.Namespace) -> None:
    """The runs page: the sweep with its trials below it, and their trainings below these."""
    run = pages.ask("runs/get", run_id=given.run_id)["run"]
    experiment = run["info"]["experiment_id"]
    family = [run["info"]["run_name"], *_descendants(pages, experiment, given.run_id)]
    if len(family) == 1:
        pages.missing.append(f"{given.run_id} has no children")
    pages.open(f"experiments/{experiment}/runs")
    pages.expect_text(family[0])
    for _ in range(20):
        row = f"[...document.querySelectorAll('{EXPANDER}')].find(each => !each.seen)"
        if not pages.browser.value(f"Boolean({row})"):
            break
        pages.browser.value(f"(each => {{ each.seen = true; each.click(); }})({row})")
        time.sleep(0.7)
    for name in family[: given.rows]:
        pages.expect_text(name)
    pages.save("mlflow_sweep")


def _descendants(pages: Pages, experiment: str, run_id: str) -> list[str]:
    children = pages.ask(
        "runs/search", experiment_ids=[experiment], filter=f"tags.mlflow.parentRunId = '{run_id}'"
    ).get("runs", [])
    names = []
    for child in children:
        names += [child["info"]["run_name"], *_descendants(pages, experiment, child["info"]["run_id"])]
    return names


def look_at_comparison(pages: Pages, given: argparse.Namespace) -> None:
    """What differs between runs, and their curves in one chart."""
    runs = [pages.ask("runs/get", run_id=run_id)["run"] for run_id in given.run_ids]
    experiment = runs[0]["info"]["experiment_id"]
    ids = json.dumps(given.run_ids)
    pages.open("compare-runs", runs=ids, experiments=json.dumps([experiment]))
    for run in runs:
        pages.expect_text(run["info"]["run_id"])
    pages.expect_text(given.metric)
    pages.save("mlflow_compare")
    wanted = ",".join(f"'{run_id}'" for run_id in given.run_ids)
    # Sorted by something else than the time: only then trainings do not hide below their sweeps.
    pages.open(
        f"experiments/{experiment}/runs",
        compareRunsMode="CHART",
        searchFilter=f"attributes.run_id IN ({wanted})",
        orderByKey=f"metrics.`{given.metric}`",
    )
    for run in runs:
        pages.expect_text(run["info"]["run_name"])
    pages.find_chart(given.metric)
    pages.expect("a curve for each run", f"{CURVES} >= {len(runs)}")
    pages.save("mlflow_curves")


def look_at_picture(pages: Pages, given: argparse.Namespace) -> None:
    """A series of pictures on a run's page: the first step, and the last one after its slider was moved."""
    run = pages.ask("runs/get", run_id=given.run_id)["run"]
    files = pages.ask("artifacts/list", run_id=given.run_id, path="images").get("files", [])
    named = [file["path"].partition("/")[2].split("+") for file in files]
    steps = sorted({int(parts[2]) for parts in named if parts[0] == given.name and len(parts) > 2})
    if len(steps) < 2:
        pages.missing.append(f"{given.name} has pictures of the steps {steps}, not of several")
    pages.open(f"experiments/{run['info']['experiment_id']}/runs/{given.run_id}/model-metrics")
    pages.find_chart(given.name)
    pages.expect("a picture", f"{PICTURE}.length")
    first = pages.browser.value(f"{PICTURE}[0]?.src")
    for _ in steps[1:]:
        pages.browser.value("document.querySelector('[role=slider]').focus()")
        for kind in ("keyDown", "keyUp"):
            pages.browser.call(
                "Input.dispatchKeyEvent", type=kind, key="ArrowRight", windowsVirtualKeyCode=39
            )
        time.sleep(0.5)
    pages.expect("the last picture", f"{PICTURE}.some(image => image.src != {json.dumps(first)})")
    # MLflow puts all parameters of the run above its pictures, in the same small card.
    pages.browser.value(f"{PICTURE}[0].scrollIntoView({{block: 'center'}})")
    pages.save("mlflow_picture")


def look_at_model(pages: Pages, given: argparse.Namespace) -> None:
    """A registered model: its name, its newest version, and the names that stand for versions."""
    model = pages.ask("registered-models/get", name=given.name)["registered_model"]
    pages.open(f"models/{urllib.parse.quote(given.name)}")
    pages.expect_text(given.name)
    for alias in model.get("aliases", []):
        pages.expect_text(alias["alias"])
    pages.expect_text(f"Version {model['latest_versions'][-1]['version']}")
    pages.save("mlflow_model")


@contextmanager
def opened(given: argparse.Namespace) -> Iterator[Pages]:
    """A browser at the server."""
    given.output.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        yield Pages(browser, address=given.address, output=given.output)


def main() -> int:
    """Command line; 0 where everything is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--address", default="http://127.0.0.1:5000")
    parser.add_argument("--output", type=Path, default=Path("pictures"))
    kinds = parser.add_subparsers(required=True)
    sweep = kinds.add_parser("sweep")
    sweep.add_argument("run_id")
    sweep.add_argument("--rows", type=int, default=20, help="how many of its runs must be in view")
    sweep.set_defaults(look=look_at_sweep)
    compare = kinds.add_parser("compare")
    compare.add_argument("run_ids", nargs="+")
    compare.add_argument("--metric", default="val/top1")
    compare.set_defaults(look=look_at_comparison)
    picture = kinds.add_parser("picture")
    picture.add_argument("run_id")
    picture.add_argument("--name", default="predictions")
    picture.set_defaults(look=look_at_picture)
    model = kinds.add_parser("model")
    model.add_argument("name")
    model.set_defaults(look=look_at_model)
    given = parser.parse_args()
    with opened(given) as pages:
        given.look(pages, given)
    print("\n".join(pages.missing) or f"everything is there; see {given.output}")
    return 1 if pages.missing else 0


if __name__ == "__main__":
    sys.exit(main())
