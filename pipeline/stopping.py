"""Ctrl-C and SIGTERM inside the worker: end at once, or, while training, after the batch at hand."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.errors import StopRequested
from pipeline.requeue import REQUEUE


class StopSignals:
    """Receives the signals that ask a run to end.

    Attributes:
        requested: The signal received while stopping was put off, or None.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self._put_off = False

    def install(self) -> None:
        """Become the handler of SIGINT, SIGTERM and SLURM's warning that the time is nearly over."""
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(REQUEUE, self._handle)

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Let the first signal wait for a moment that suits; a second one ends at once."""
        self._put_off = True
        try:
            yield
        finally:
            self._put_off = False

    def _handle(self, number: int, _: FrameType | None) -> None:
        if number == REQUEUE and self.requested is not None:
            return  # a scheduler may warn every process and its parent; nobody is impatient
        if not self._put_off or self.requested is not None:
            raise StopRequested(number)
        self.requested = number
        print("\nstopping after this batch; once more stops at once", file=sys.stderr, flush=True)


# One process has one set of signal handlers.
STOP = StopSignals()
