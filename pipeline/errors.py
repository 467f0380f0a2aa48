"""What can go wrong because of what a person asked for, and how it is told."""

import sys


class Mistake(ValueError):
    """Something the person at the keyboard can put right; the message says what, where and how."""


class StopRequested(BaseException):
    """A person or a scheduler asked the run to end; everything done so far is kept.

    Not an Exception: it can be raised anywhere, and code that goes on after a failure must not swallow it.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number


class LeaderEnded(BaseException):
    """The first process of a distributed run ended before this one could join it, and has said why.

    Not an Exception, for the same reason.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the first process ended with exit code {code}")
        self.code = code


# The shell's convention: 128 + the number of the signal.
EXIT_MISTAKE = 2
EXIT_FAILURE = 1


def tell(message: str) -> None:
    """Print one clear message where errors belong, without a traceback."""
    print(f"error: {message}", file=sys.stderr, flush=True)
