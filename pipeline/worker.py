"""The process in which a verb's heavy work is done. It knows no Hydra command line."""

import importlib
import json
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from pipeline import meeting, ranks
from pipeline.compose import Composed
from pipeline.console import log_handler
from pipeline.errors import EXIT_FAILURE, EXIT_MISTAKE, LeaderEnded, Mistake, StopRequested, tell
from pipeline.stopping import STOP

_SECONDS_TO_END = 20.0


def main(path: str) -> int:
    """Do the work that a specification file asks for.

    Args:
        path: JSON of a `Composed`.

    Returns:
        0, or 1 for a failure, 2 for something the person can put right, 128 + n for signal n.
    """
    code = _work(_read(Path(path)))
    if code:
        meeting.end(code)
    return code


def _work(composed: Composed) -> int:
    _end_with_parent()
    STOP.install()
    _prepare_logging()
    try:
        if ranks.current() is not None:
            composed = meeting.agreed(composed)
        work = importlib.import_module(f"pipeline.work.{composed.verb}")
        return int(work.run(composed=composed, **composed.settings))
    except LeaderEnded as leader:
        return leader.code
    except StopRequested as stop:
        return 128 + stop.signal_number
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        told = meeting.leader_fails_too()
        return told if told is not None else _explain(error, show_traceback=composed.show_traceback)


def _read(path: Path) -> Composed:
    fields = json.loads(path.read_text(encoding="utf-8"))
    return Composed(**{**fields, "root": Path(fields["root"])})


def _prepare_logging() -> None:
    """Problems on the terminal; notices and Python's warnings only in the run's `run.log`."""
    handler = log_handler(level=logging.WARNING)
    handler.addFilter(lambda line: line.name != "py.warnings")
    # Before Lightning is imported, which otherwise brings a handler of its own.
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, even if that was killed outright."""
    pipe = os.environ.pop("PIPELINE_PARENT_PIPE", None)
    if pipe is not None:
        threading.Thread(target=_wait_for_end, args=(int(pipe),), daemon=True).start()


def _wait_for_end(pipe: int) -> None:
    os.read(pipe, 1)
    # The terminal may be gone too; a message to it must not become an error of the run.
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.dup2(nothing, sys.stderr.fileno())
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_SECONDS_TO_END)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _explain(error: Exception, *, show_traceback: bool) -> int:
    """What people can put right is one message; a bug shows its traceback."""
    cause = _cause(error)
    is_mistake = isinstance(cause, Mistake | ValueError | OSError | _misconfiguration())
    if show_traceback or not is_mistake:
        traceback.print_exception(error)
    if is_mistake:
        tell(str(cause) if show_traceback else f"{cause}\n(debug=true shows where)")
    return EXIT_MISTAKE if is_mistake else EXIT_FAILURE


def _misconfiguration() -> type[Exception]:
    """Lightning's error for what it cannot do here: no GPU, an unknown strategy."""
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    return MisconfigurationException


def _cause(error: BaseException) -> BaseException:
    """The error behind Hydra's `InstantiationException`, which wraps what a constructor raised."""
    wrapped = type(error).__name__ == "InstantiationException" and error.__cause__ is not None
    return error.__cause__ if wrapped and error.__cause__ else error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
