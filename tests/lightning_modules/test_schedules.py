"""Learning rates against formulas, and the same after a resume."""

import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Optimizer

from lightning_modules import schedules
from lightning_modules.schedules import Horizon
from tests.lightning_modules.configs import build, names

LR, HEAD_LR, STEPS, TOTAL = 0.1, 0.4, 10, 60
HORIZON = Horizon(
    steps_per_epoch=STEPS, batches_per_epoch=STEPS, total_steps=TOTAL, monitor="val/top1", mode="max"
)


def make_optimizer() -> SGD:
    body, head = nn.Linear(2, 2), nn.Linear(2, 2)
    groups: list[dict[str, Any]] = [
        {"params": body.parameters()},
        {"params": head.parameters(), "lr": HEAD_LR},
    ]
    return SGD(groups, lr=LR, momentum=0.9)


def advance(optimizer: Optimizer, built: schedules.Schedulers, step: int, measure: float = 0.0) -> None:
    """One optimiser step, and what Lightning does after it."""
    optimizer.step()
    for config in built:
        if config.get("reduce_on_plateau"):
            if (step + 1) % config["frequency"] == 0:
                config["scheduler"].step(measure)  # type: ignore[arg-type]
        else:
            config["scheduler"].step()


def rates(schedule: Callable[..., Any], *, horizon: Horizon = HORIZON, **options: Any) -> list[list[float]]:
    """Rates of both groups before each step."""
    optimizer = make_optimizer()
    built = schedule(optimizer, horizon, **options)
    found = []
    for step in range(TOTAL):
        found.append([group["lr"] for group in optimizer.param_groups])
        advance(optimizer, built, step)
    return found


def check(found: list[list[float]], share: Callable[[int], float]) -> None:
    for step, (body, head) in enumerate(found):
        assert body == pytest.approx(LR * share(step), rel=1e-9), step
        assert head == pytest.approx(HEAD_LR * share(step), rel=1e-9), step


def rise(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / (steps + 1))


@pytest.mark.parametrize("warmup", [0.0, 0.5, 2.0])
def test_constant(warmup: float) -> None:
    check(rates(schedules.constant, warmup_epochs=warmup), lambda k: rise(k, round(warmup * STEPS)))


@pytest.mark.parametrize("warmup", [0.0, 2.0])
def test_step_counts_from_the_start(warmup: float) -> None:
    found = rates(schedules.step, every_epochs=1.5, factor=0.5, warmup_epochs=warmup)
    check(found, lambda k: 0.5 ** (k // 15) * rise(k, round(warmup * STEPS)))


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_multistep(warmup: float) -> None:
    found = rates(schedules.multistep, milestones=[4, 2.5], factor=0.2, warmup_epochs=warmup)
    check(found, lambda k: 0.2 ** ((k >= 25) + (k >= 40)) * rise(k, round(warmup * STEPS)))


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_exponential(warmup: float) -> None:
    found = rates(schedules.exponential, factor=0.8, warmup_epochs=warmup)
    check(found, lambda k: 0.8 ** (k / STEPS) * rise(k, round(warmup * STEPS)))


@pytest.mark.parametrize("warmup", [0, 2])
def test_cosine_starts_after_the_warmup_and_keeps_its_floor_in_every_group(warmup: int) -> None:
    start = warmup * STEPS

    def share(k: int) -> float:
        fall = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (k - start) / (TOTAL - start)))
        return rise(k, start) if k < start else fall

    check(rates(schedules.cosine, warmup_epochs=float(warmup), final_factor=0.1), share)


@pytest.mark.parametrize(("warmup", "peak"), [(None, 0.3 * TOTAL - 1), (2.0, 2 * STEPS - 1)])
def test_one_cycle(warmup: float | None, peak: float) -> None:
    def share(k: int) -> float:
        low, high, progress = (
            (0.05, 1.0, k / peak) if k <= peak else (0.001, 1.0, (TOTAL - 1 - k) / (TOTAL - 1 - peak))
        )
        return low + (high - low) * 0.5 * (1 - math.cos(math.pi * progress))

    check(rates(schedules.one_cycle, warmup_epochs=warmup, start_factor=0.05, final_factor=0.001), share)


def test_plateau_divides_after_patience_and_not_for_the_warmup() -> None:
    found = rates(schedules.plateau, factor=0.5, patience=1, warmup_epochs=2.0)
    # The measure never moves. Epochs 0 and 1 are the warm-up; 2 and 3 are one more than is waited for.
    check(found, lambda k: rise(k, 2 * STEPS) * (1.0 if k < 4 * STEPS else 0.5))


def test_plateau_watches_what_the_task_is_judged_by() -> None:
    optimizer = make_optimizer()
    (config,) = schedules.plateau(optimizer, HORIZON, patience=0, factor=0.1)
    assert config["monitor"] == "val/top1"
    for measure in (0.5, 0.6, 0.7):
        config["scheduler"].step(measure)  # type: ignore[arg-type]
    assert optimizer.param_groups[0]["lr"] == LR
    config["scheduler"].step(0.6)  # type: ignore[arg-type]
    assert optimizer.param_groups[0]["lr"] == pytest.approx(LR / 10)


@pytest.mark.parametrize("name", names("scheduler"))
@pytest.mark.parametrize("warmup", [0.0, 1.5])
@pytest.mark.parametrize("stop", [7, 15, 31])
def test_a_resumed_schedule_goes_on_exactly(name: str, warmup: float, stop: int) -> None:
    builder = build("scheduler", name, warmup_epochs=warmup, every_epochs=1.0, milestones=[1, 3])
    whole = rates(builder)
    optimizer = make_optimizer()
    built = builder(optimizer, HORIZON)
    for step in range(stop):
        advance(optimizer, built, step)
    file = io.BytesIO()
    torch.save([optimizer.state_dict(), [config["scheduler"].state_dict() for config in built]], file)
    file.seek(0)
    optimizer_state, states = torch.load(file, weights_only=True)

    resumed = make_optimizer()
    again = builder(resumed, HORIZON)
    resumed.load_state_dict(optimizer_state)
    for config, state in zip(again, states, strict=True):
        config["scheduler"].load_state_dict(state)
    for step in range(stop, TOTAL):
        assert [group["lr"] for group in resumed.param_groups] == whole[step], step
        advance(resumed, again, step)


@pytest.mark.parametrize("name", names("scheduler"))
def test_every_schedule_survives_a_training_of_one_step(name: str) -> None:
    horizon = Horizon(steps_per_epoch=1, batches_per_epoch=1, total_steps=1, monitor="val/top1", mode="max")
    optimizer = make_optimizer()
    built = build("scheduler", name)(optimizer, horizon)
    assert 0 < optimizer.param_groups[0]["lr"] <= LR
    advance(optimizer, built, step=0)


def test_a_warmup_longer_than_the_training_is_cut_and_said(caplog: pytest.LogCaptureFixture) -> None:
    found = rates(schedules.cosine, warmup_epochs=99.0)
    assert max(body for body, _ in found) == pytest.approx(LR)
    assert "warmup_epochs=99.0 is all of the training; 30 steps instead" in caplog.text


@pytest.mark.parametrize("name", ["cosine", "one_cycle"])
def test_a_training_without_end_needs_another_schedule(name: str) -> None:
    endless = Horizon(
        steps_per_epoch=STEPS, batches_per_epoch=STEPS, total_steps=None, monitor="val/top1", mode="max"
    )
    with pytest.raises(
        ValueError, match=rf"scheduler={name} must know when training ends.*scheduler=constant"
    ):
        getattr(schedules, name)(make_optimizer(), endless)


def test_impossible_values_are_named() -> None:
    with pytest.raises(ValueError, match=r"scheduler\.warmup_epochs=-1 must not be negative"):
        schedules.constant(make_optimizer(), HORIZON, warmup_epochs=-1)
    with pytest.raises(ValueError, match=r"scheduler\.every_epochs=0 must be above 0"):
        schedules.step(make_optimizer(), HORIZON, every_epochs=0)
