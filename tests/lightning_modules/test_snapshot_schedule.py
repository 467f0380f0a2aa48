"""A rate that falls several times, against the paper's formula, and where its cycles end."""

import math
from dataclasses import replace

import pytest

from lightning_modules.snapshot_schedule import Cycles, snapshot
from tests.lightning_modules.test_schedules import (
    HEAD_LR,
    HORIZON,
    LR,
    TOTAL,
    advance,
    make_optimizer,
    rates,
)


def test_each_cycle_falls_along_half_a_cosine() -> None:
    """Huang's equation 2, where the cycles divide the training: ⌈T / M⌉ steps each."""
    length = TOTAL // 4
    for step, (body, head) in enumerate(rates(snapshot, cycles=4)):
        share = (math.cos(math.pi * (step % length) / length) + 1) / 2
        assert body == pytest.approx(LR * share, rel=1e-9)
        assert head == pytest.approx(HEAD_LR * share, rel=1e-9)


@pytest.mark.parametrize("cycles", [1, 4, 7, 60])
def test_there_are_as_many_cycles_as_were_asked_for(cycles: int) -> None:
    optimizer = make_optimizer()
    built = snapshot(optimizer, HORIZON, cycles=cycles)
    schedule = built[0]["scheduler"]
    assert isinstance(schedule, Cycles)
    ended = []
    for step in range(TOTAL):
        advance(optimizer, built, step)
        ended.append(schedule.ended_cycle)
    assert [number for number in ended if number] == list(range(1, cycles + 1))
    lengths = [b - a for a, b in zip([0, *schedule.ends], schedule.ends, strict=False)]
    assert max(lengths) - min(lengths) <= 1
    assert ended[-1] == cycles


def test_a_short_training_has_fewer_cycles_and_none_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    schedule = snapshot(make_optimizer(), HORIZON, cycles=61)[0]["scheduler"]
    assert isinstance(schedule, Cycles) and len(schedule.ends) == TOTAL
    assert "scheduler.cycles=61 are more than the steps of this training; 60 instead" in caplog.text
    with pytest.raises(ValueError, match=r"scheduler\.cycles=0 must be at least 1"):
        snapshot(make_optimizer(), HORIZON, cycles=0)
    with pytest.raises(ValueError, match=r"scheduler=snapshot must know when training ends"):
        snapshot(make_optimizer(), replace(HORIZON, total_steps=None))
