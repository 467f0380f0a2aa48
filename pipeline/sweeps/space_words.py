"""Spaces in Hydra's own syntax: `optimizer.lr=tag(log, interval(1e-4, 1e-1))`, `model=lenet5,resnet8`."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.errors import Mistake
from pipeline.sweeps.spaces import Choices, Dimension, Numbers, exact
from pipeline.sweeps.words import values_of


def dimensions_of(overrides: Iterable[Any]) -> list[Dimension]:
    """What is searched.

    Args:
        overrides: Hydra's ``Override`` objects; a single value is a choice of one.

    Raises:
        Mistake: Something that cannot be searched.
    """
    return [Dimension(key=one.get_key_element(), values=_values(one)) for one in overrides]


def overrides_of(space: Mapping[str, str]) -> list[Any]:
    """Hydra's ``Override`` objects, read from what `written` has written.

    Args:
        space: Keys with Hydra's words for several values.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    return list(parser.parse_overrides([f"{key}={words}" for key, words in space.items()]))


def written(space: Sequence[Dimension]) -> dict[str, str]:
    """Keys with Hydra's words for several values; `overrides_of` gives back the same.

    Args:
        space: What is searched.
    """
    return {one.key: _text(one.values) for one in space}


def listed(space: Iterable[Any]) -> dict[str, str]:
    """Keys with each of their values in order; `overrides_of` gives back the same values in the same order.

    Args:
        space: Hydra's ``Override`` objects.

    Raises:
        Mistake: An interval, which has no end of values.
    """
    values = {one.get_key_element(): values_of(one) for one in space}
    return {key: ",".join(word.removeprefix(f"{key}=") for word in words) for key, words in values.items()}


def _text(values: Numbers | Choices) -> str:
    if isinstance(values, Choices):
        return ",".join(values.words)
    if values.step is None or (values.is_log and values.is_whole):
        inner = f"interval({values.low!r}, {values.high!r})"
        inner = f"int({inner})" if values.is_whole else inner
    else:
        low, step = exact(values.low), exact(values.step)
        # Half a step behind the last, since Hydra's ranges end before their stop.
        stop = low + values.steps * step + (1 if values.is_whole else step / 2)
        inner = f"range({low}, {stop}, {step})"
    return f"tag(log, {inner})" if values.is_log else inner


def _values(override: Any) -> Numbers | Choices:
    value = override.value()
    tags = sorted(getattr(value, "tags", ()))
    if set(tags) - {"log"} or (tags and override.is_choice_sweep()):
        raise Mistake(
            f"{override.input_line}: tag({', '.join(tags)}, ...) has no meaning here; intervals and ranges "
            f"take tag(log, ...), words in a list none"
        )
    if override.is_interval_sweep():
        return _interval(override, value, is_log=bool(tags))
    if override.is_range_sweep():
        return _range(override, value, is_log=bool(tags))
    if override.is_sweep_override():
        return _choices(override)
    return Choices(words=(override.get_value_element_as_str(),))


def _choices(override: Any) -> Choices:
    words = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not words:
        raise Mistake(f"{override.input_line} matches nothing; list the values: {override.key_or_group}=a,b")
    return Choices(words=words)


def _interval(override: Any, value: Any, *, is_log: bool) -> Numbers:
    is_whole = isinstance(value.start, int) and isinstance(value.end, int)
    _check_bounds(override, value.start, value.end, is_log=is_log)
    return Numbers(
        low=value.start, high=value.end, is_log=is_log, is_whole=is_whole, step=1 if is_whole else None
    )


def _range(override: Any, value: Any, *, is_log: bool) -> Numbers:
    start, stop, step = value.start, value.stop, value.step
    count = math.ceil((exact(stop) - exact(start)) / exact(step)) if step else 0
    if count < 1:
        raise Mistake(f"{override.input_line} holds no number: a range ends before its stop; range(1, 10)")
    last = exact(start) + (count - 1) * exact(step)
    is_whole = all(isinstance(number, int) for number in (start, stop, step))
    low, high = sorted((exact(start), last))
    number = int if is_whole else float
    if is_log:
        _check_bounds(override, number(low), number(high), is_log=True)
        _check_log_step(override, step=step, is_whole=is_whole)
    return Numbers(low=number(low), high=number(high), step=abs(step), is_whole=is_whole, is_log=is_log)


def _check_bounds(override: Any, low: float, high: float, *, is_log: bool) -> None:
    if not low < high:
        raise Mistake(f"{override.input_line}: {low} is not below {high}; give the smaller number first")
    if not math.isfinite(high - low):
        raise Mistake(f"{override.input_line}: the bounds must be numbers")
    if is_log and low <= 0:
        raise Mistake(
            f"{override.input_line}: {low} has no logarithm; start above 0, such as at 1e-5, or leave "
            f"out tag(log)"
        )


def _check_log_step(override: Any, *, step: float, is_whole: bool) -> None:
    if not is_whole or abs(step) != 1:
        raise Mistake(
            f"{override.input_line}: on a logarithmic scale there are no steps of {step}; "
            f"take tag(log, interval(...)), or tag(log, int(interval(...))) for integers"
        )
