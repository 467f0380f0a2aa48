"""What is searched: for each key the numbers or words to choose from."""

import math
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Numbers between two bounds.

    Attributes:
        low: The smallest.
        high: The largest.
        is_log: Whether distances count by the logarithm.
        step: From one number to the next; None: every number.
        is_whole: Whether they are integers.
    """

    low: float
    high: float
    is_log: bool = False
    step: float | None = None
    is_whole: bool = False

    @property
    def steps(self) -> int:
        """How many steps lie between the bounds; only where there is a step."""
        assert self.step is not None
        return int((exact(self.high) - exact(self.low)) / exact(self.step))

    def word(self, number: float) -> str:
        """A number as Hydra reads it back exactly; where there is a step, the nearest that it reaches.

        Args:
            number: Between the bounds.
        """
        if self.step is None:
            return repr(float(number))
        steps = round((number - self.low) / self.step)
        return repr(self.reached(min(max(steps, 0), self.steps)))

    def reached(self, steps: int) -> float:
        """The number that lies so many steps above the smallest; an integer among integers.

        Args:
            steps: At most ``steps`` of these numbers.
        """
        assert self.step is not None
        number = exact(self.low) + steps * exact(self.step)
        return int(number) if self.is_whole else float(number)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Words in no order.

    Attributes:
        words: As Hydra reads them, with quotes where it needs them.
    """

    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One key that is searched.

    Attributes:
        key: As typed, such as ``optimizer.lr``, ``+model.dropout`` or the group ``model``.
        values: What it may be.
    """

    key: str
    values: Numbers | Choices

    @property
    def size(self) -> int | None:
        """How many values there are; None where they are not counted."""
        if isinstance(self.values, Choices):
            return len(self.values.words)
        return None if self.values.step is None else self.values.steps + 1

    def override(self, value: Any) -> str:
        """The word for make train that sets a value, such as ``optimizer.lr=0.01``.

        Args:
            value: A number, or one of the words.
        """
        word = value if isinstance(self.values, Choices) else self.values.word(float(value))
        return f"{self.key}={word}"


def exact(number: float | Decimal) -> Decimal:
    """The number as it is written: 0.1 and not the nearest fraction of powers of two.

    Args:
        number: A number.
    """
    return number if isinstance(number, Decimal) else Decimal(repr(number))


def drawn(values: Numbers | Choices, generator: Random) -> Any:
    """One value at random; every word or number is as likely, with ``is_log`` every factor.

    Bergstra and Bengio, Random search for hyper-parameter optimization, JMLR 2012.

    Args:
        values: What it may be.
        generator: Where the randomness comes from.
    """
    if isinstance(values, Choices):
        return generator.choice(values.words)
    if values.is_log:
        # Integers have half a number of room at each end, or the outer ones would come half as often.
        room = 0.5 if values.is_whole else 0.0
        number = math.exp(generator.uniform(math.log(values.low - room), math.log(values.high + room)))
        return _inside(values, number)
    if values.step is None:
        return _inside(values, generator.uniform(values.low, values.high))
    return values.reached(generator.randrange(values.steps + 1))


def _inside(values: Numbers, number: float) -> float:
    """Six figures are enough, and can be typed again."""
    return min(max(float(f"{number:.6g}"), values.low), values.high)
