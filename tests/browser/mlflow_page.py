r"""Looks at a run's MLflow page with headless Chromium; a check for people, outside the default tests.

    make ui &                                        # or: python -m pipeline.ui port=5000
    python tests/browser/mlflow_page.py <run id> --address http://127.0.0.1:5000 --output pictures \
        --parameter optimizer.lr --metric val/top1 --figure figures/confusion_matrix.png

Needs `chromium` and nothing else: it is spoken to over a pipe. Saves one picture of each page and ends
with 1 where a name, a drawn curve or the figure is missing.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
    "--window-size=1500,1100",
)

PATIENCE = 40.0
"""Seconds in which a page must show what is looked for."""


class Browser:
    """Chromium's developer protocol over a pipe: JSON messages that end with a zero byte."""

    def __init__(self, *, source: int, sink: int) -> None:
        self._source, self._sink = os.fdopen(source, "rb"), os.fdopen(sink, "wb")
        self._number, self._session = 0, ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._sink.write(json.dumps(message).encode() + b"\0")
        self._sink.flush()
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> bytes:
        message = bytearray()
        while (byte := self._source.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("Chromium ended")
            message += byte
        return bytes(message)

    def value(self, script: str) -> Any:
        """What a JavaScript expression comes to."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def wait(self, script: str) -> bool:
        """Whether an expression becomes true in time."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.value(script):
                return True
            time.sleep(0.3)
        return False

    def save(self, path: Path) -> None:
        """A picture of the window."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with an empty profile, ended with the block."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise FileNotFoundError(
            "no chromium on this machine; install it, for example: apt-get install chromium"
        )
    read_commands, write_commands = os.pipe()
    read_answers, write_answers = os.pipe()
    # Chromium reads commands from descriptor 3 and answers on 4.
    shell = f'exec "$@" 3<&{read_commands} 4>&{write_answers}'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = ["bash", "-c", shell, "bash", program, *FLAGS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            command, pass_fds=[read_commands, write_answers], stderr=subprocess.DEVNULL
        )
        os.close(read_commands)
        os.close(write_answers)
        try:
            yield Browser(source=read_answers, sink=write_commands)
        finally:
            process.terminate()
            process.wait()


def experiment_of(address: str, run_id: str) -> str:
    """The experiment that a run belongs to, from MLflow's own interface."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{address}/api/2.0/mlflow/runs/get?run_id={run_id}", timeout=10) as answer:
        return str(json.load(answer)["run"]["info"]["experiment_id"])


def _shown(text: str) -> str:
    return f"document.body.innerText.includes({json.dumps(text)})"


def search(field: str, text: str) -> str:
    """Type into a search field of the page, which draws only the rows and charts that are in view."""
    return f"""(() => {{
        const field = document.querySelector('input[placeholder="{field}"]');
        if (!field) return false;
        const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
        set.call(field, {json.dumps(text)});
        field.dispatchEvent(new Event('input', {{bubbles: true}}));
        field.scrollIntoView({{block: 'center'}});
        return true;
    }})()"""


def look(arguments: argparse.Namespace) -> list[str]:
    """Visit the three pages; returns what is missing."""
    experiment = experiment_of(arguments.address, arguments.run_id)
    run = f"{arguments.address}/#/experiments/{experiment}/runs/{arguments.run_id}"
    has_parameter = _shown(arguments.parameter)
    has_metric = _shown(arguments.metric)
    find = [search("Search parameters", arguments.parameter), search("Search metrics", arguments.metric)]
    find_chart = search("Search metric charts", arguments.metric)
    curves = "document.querySelectorAll('.js-line').length > 0"
    picture = "[...document.images].some(image => image.naturalWidth > 200)"
    has_figure = _shown(Path(arguments.figure).name)
    pages = {
        "overview": ("", [*find, has_parameter, has_metric]),
        "curves": ("/model-metrics", [find_chart, has_metric, curves]),
        "figures": (f"/artifacts/{arguments.figure}", [has_figure, picture]),
    }
    missing = []
    with chromium() as browser:
        browser.call("Page.navigate", url=arguments.address)
        browser.wait("document.body.innerText.length > 100")
        browser.value("localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')")  # it covers a third
        for name, (path, scripts) in pages.items():
            browser.call("Page.navigate", url="about:blank")  # pages that differ after the # load nothing
            browser.call("Page.navigate", url=f"{run}{path}?workflowType=machine_learning")
            missing += [f"{name}: never true: {script}" for script in scripts if not browser.wait(script)]
            time.sleep(1.5)
            browser.save(arguments.output / f"{name}.png")
    return missing


def main() -> int:
    """Command line; 0 where everything is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_id")
    parser.add_argument("--address", default="http://127.0.0.1:5000")
    parser.add_argument("--output", type=Path, default=Path("pictures"))
    parser.add_argument("--parameter", default="optimizer.lr")
    parser.add_argument("--metric", default="val/top1")
    parser.add_argument("--figure", default="figures/confusion_matrix.png")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    missing = look(arguments)
    print("\n".join(missing) or f"parameters, curves and figures are there; see {arguments.output}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
