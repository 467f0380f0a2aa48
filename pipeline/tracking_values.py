"""Plain values of a run to queue entries: metrics, parameters, data sets."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.tracking_file import Entry

LONGEST_PARAMETER = 6000
"""Characters; MLflow refuses more."""


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def safe_name(name: str) -> str:
    """A name with the letters that MLflow takes: `map@0.5` becomes `map_0.5`."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]


def metric_entries(metrics: Mapping[str, Any], *, step: int) -> list[Entry]:
    """One entry for each number, all at the same time."""
    moment = now()
    return [
        Entry(kind="metric", key=safe_name(name), value=float(value), step=step, time=moment)
        for name, value in metrics.items()
    ]


def flatten(config: Mapping[str, Any], *, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and texts of a nested mapping, as a person would type them on the command line.

    Lists stay whole; so does an empty mapping, as `{}`.
    """
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, prefix=f"{name}.")
        else:
            yield name, value if isinstance(value, str) else json.dumps(value, default=str)


def config_entries(config: Mapping[str, Any]) -> list[Entry]:
    """Parameters; what is too long for one becomes a text file that the parameter names."""
    entries = []
    for name, text in flatten(config):
        key = safe_name(name)
        if len(text) > LONGEST_PARAMETER:
            path = f"parameters/{key.replace('/', '.')}.txt"
            entries.append(Entry(kind="text", key=path, value=text))
            text = f"see {path}"
        entries.append(Entry(kind="param", key=key, value=text))
    return entries


def input_entry(summary: Mapping[str, Any]) -> Entry:
    """The data set of a run: `name`, `digest`, `sizes` and whatever else the summary holds."""
    return Entry(kind="input", key=str(summary.get("name") or "data"), value=json.dumps(summary, default=str))
