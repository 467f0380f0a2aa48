"""Trains: data, network, fit, test on the kept weights, report."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer

from pipeline import build, checkpoints, record
from pipeline.callbacks.average_statistics import AverageStatistics
from pipeline.callbacks.checkpoint_record import CheckpointRecord
from pipeline.callbacks.device_use import DeviceUse
from pipeline.callbacks.graceful_stop import GracefulStop
from pipeline.callbacks.keep_last import asked_by, is_asked_to_end
from pipeline.callbacks.pruning import pruning, was_pruned
from pipeline.callbacks.step_seed import StepSeed
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.devices import ChannelsLast
from pipeline.effective_batch import scale_rate
from pipeline.errors import StopRequested
from pipeline.meeting import leave_together
from pipeline.session import Session, follows, opened
from pipeline.stopping import STOP
from pipeline.work.batch_size import with_largest_batch
from pipeline.work.keeping import keep_network
from pipeline.work.preparing import Speed, prepared
from pipeline.work.report import record_size, record_use, show_first_panel, show_last_panel, show_stopped

log = logging.getLogger(__name__)


def run(
    *,
    composed: Composed,
    seed: int,
    resume: str | None = None,
    channels_last: ChannelsLast = "auto",
    compile: bool = False,
    batch_size_finder: bool = False,
) -> int:
    """Train one run to its end and test the weights it keeps.

    Args:
        composed: The whole configuration.
        seed: Where everything random starts.
        resume: The id of an interrupted run to go on with.
        channels_last: How the weights of convolutions lie in memory; see `arrange`.
        compile: Whether torch.compile turns the network into kernels of its own.
        batch_size_finder: Whether a larger batch than ``data.batch_size`` is looked for first; a run that
            goes on keeps the one that was found.

    Returns:
        The exit code, 0.
    """
    console.quiet = follows()
    speed = Speed(channels_last=channels_last, compiles=compile)
    if batch_size_finder and resume is None:
        composed = replace(composed, config=with_largest_batch(composed, seed=seed, speed=speed))
    config, datamodule, task = prepared(composed, seed=seed)
    with opened(composed, config=config) as session:
        try:
            _train(session, config=config, datamodule=datamodule, task=task, speed=speed)
        except StopRequested:
            show_stopped(session)
            raise
    leave_together()
    return 0


def _train(
    session: Session,
    *,
    config: dict[str, Any],
    datamodule: LightningDataModule,
    task: LightningModule,
    speed: Speed,
) -> None:
    use = DeviceUse()
    metadata = dict(datamodule.metadata)  # type: ignore[attr-defined]
    trainer = _trainer(session, config=config, metadata=metadata, use=use)
    session.keep_input(datamodule.summary())  # type: ignore[attr-defined]
    rate = scale_rate(
        task, config=config, processes=trainer.world_size, accumulated=trainer.accumulate_grad_batches
    )
    show_first_panel(session, config=config, trainer=trainer, task=task, datamodule=datamodule, rate=rate)
    speed.arrange(task, trainer=trainer)
    started = time.monotonic()
    _fit(session, trainer=trainer, task=task, datamodule=datamodule)
    seconds = time.monotonic() - started
    kept = _kept_weights(trainer, session=session)
    pruned = was_pruned(trainer)
    measures = _measure(trainer, task=task, datamodule=datamodule, kept=kept, tests=not pruned)
    if session.leads:
        if pruned:
            _mark_pruned(session)
        record_use(session, use, precision=str(trainer.precision), seconds=seconds)
        record_size(session, task)
        _close(
            session,
            config=config,
            measures=measures,
            kept=kept,
            datamodule=datamodule,
            seconds=seconds,
            use=use,
        )


def _trainer(
    session: Session, *, config: dict[str, Any], metadata: dict[str, Any], use: DeviceUse
) -> Trainer:
    kept_in_checkpoint = {"run_id": session.run_id, "config": config, "metadata": metadata}
    infrastructure: list[Callback] = [
        StepSeed(seed=config["seed"]),
        CheckpointRecord(record=kept_in_checkpoint),
        use,
        AverageStatistics(),
        *pruning(),
        GracefulStop(),
    ]
    chosen = build.callbacks(config, folder=session.folder)
    return build.trainer(
        config, folder=session.folder, callbacks=[*chosen, *infrastructure], logger=session.logger
    )


def _fit(
    session: Session, *, trainer: Trainer, task: LightningModule, datamodule: LightningDataModule
) -> None:
    last = session.folder / "checkpoints" / "last.ckpt"
    checkpoint = last if session.resumed and last.is_file() else None
    if checkpoint is not None:
        progress = checkpoints.progress(checkpoints.read(checkpoint))
        datamodule.resume(epoch=progress.epoch, batches=progress.batches)  # type: ignore[attr-defined]
    with STOP.put_off():
        trainer.fit(task, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    if is_asked_to_end(trainer):
        raise StopRequested(asked_by(trainer))


def _kept_weights(trainer: Trainer, *, session: Session) -> Path | None:
    """The best checkpoint by the watched measure; None where nothing was saved (callbacks=none)."""
    callback = trainer.checkpoint_callback
    # One decision for all: on another machine a new file may be seen a little later.
    path = Path(trainer.strategy.broadcast(getattr(callback, "best_model_path", "") or ""))
    if not path.is_file():
        return None
    if session.leads:
        record.update_facts(session.folder, checkpoint=str(path.relative_to(session.folder)))
    return path


def _mark_pruned(session: Session) -> None:
    """Say that it was ended as hopeless: nobody chooses it, and it is not tested."""
    record.update_facts(session.folder, pruned=True)
    if session.tracker is not None:
        session.tracker.log_tags({"pruned": "true"})
    console.print("[bold yellow]pruned[/]: other trials of the sweep are better; it is not tested")


def _measure(
    trainer: Trainer,
    *,
    task: LightningModule,
    datamodule: LightningDataModule,
    kept: Path | None,
    tests: bool,
) -> dict[str, float]:
    """Measures on validation, and where asked on test, with the kept weights; training's last beside them."""
    measures = {
        key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("train/")
    }
    for evaluate in (trainer.validate, trainer.test) if tests else (trainer.validate,):
        results = evaluate(task, datamodule=datamodule, ckpt_path=kept, weights_only=True, verbose=False)
        measures.update({key: float(value) for result in results for key, value in result.items()})
    return measures


def _baselines(config: dict[str, Any], datamodule: LightningDataModule) -> dict[str, float]:
    compute = build.baselines(config)
    if compute is None:
        return {}
    try:
        with console.status("measuring the baselines"):
            return dict(compute(datamodule=datamodule))
    except (ValueError, OSError, MemoryError) as problem:
        log.warning("no baselines: %s", problem)
        return {}


def _close(
    session: Session,
    *,
    config: dict[str, Any],
    measures: dict[str, float],
    kept: Path | None,
    datamodule: LightningDataModule,
    seconds: float,
    use: DeviceUse,
) -> None:
    # First without the baselines: nothing that is only for comparison may cost a finished run its result.
    record.write_metrics(session.folder, measures)
    baselines = _baselines(config, datamodule)
    named = {f"baseline/{name}": value for name, value in baselines.items()}
    session.keep_file(record.write_metrics(session.folder, {**measures, **named}))
    if session.logger is not None:
        session.logger.log_metrics(named)
    if kept is not None:
        keep_network(session, kept)
    show_last_panel(
        session,
        config=config,
        measures=measures,
        baselines=baselines,
        kept=kept,
        seconds=seconds,
        use=use,
        metadata=datamodule.metadata,  # type: ignore[attr-defined]
    )
