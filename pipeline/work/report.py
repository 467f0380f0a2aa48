"""What a person reads of a run: who it is before it starts, and what came of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer
from rich.table import Table

from pipeline import record
from pipeline.callbacks.device_use import DeviceUse
from pipeline.console import console
from pipeline.effective_batch import rule_of
from pipeline.environment import device_name
from pipeline.history_file import HISTORY_FILE, read_history
from pipeline.painting import needs_style, paints_others
from pipeline.panels import RunFacts, RunResult, first_panel, last_panel, shown_path
from pipeline.session import Session
from pipeline.work.loading import Trained

# What a run's folder holds, in the order in which people look.
_PLACES = ("figures", "metrics.json", "checkpoints", "config.yaml", "run.log")
_PICTURE = "figures/result.png"

_PRETRAINED = (
    "features=vgg19 (learnt from ImageNet, a download of 548 MB) would also know larger strokes and shapes"
)


def show_first_panel(
    session: Session,
    *,
    config: Mapping[str, Any],
    trainer: Trainer,
    task: Any,
    datamodule: Any,
    rate: float,
) -> None:
    """Say what will run, before it does."""
    choices = config["choices"]
    summary: dict[str, Any] = datamodule.summary()
    network: dict[str, Any] = task.facts()
    metadata: Mapping[str, Any] = datamodule.metadata
    facts = RunFacts(
        task=choices["task"],
        model=_model(choices),
        parameters=network["parameters"],
        trainable_parameters=network["trainable_parameters"],
        multiply_adds=network["multiply_adds"],
        data=choices["data"],
        sizes=summary["sizes"],
        class_counts=metadata.get("class_counts", ()),
        class_names=metadata.get("class_names", ()),
        counted=summary.get("counted", "images"),
        identities=summary.get("identities", {}),
        pairs=[summary[kind]["test"] for kind in ("matching_pairs", "other_pairs") if kind in summary],
        notes=_notes(choices, task=task, datamodule=datamodule),
        batch_size=config["data"]["batch_size"],
        accumulated=trainer.accumulate_grad_batches,
        processes=trainer.world_size,
        learning_rate=rate,
        recipe_rate=config["optimizer"]["lr"],
        scaling=rule_of(config),
        optimizer=choices["optimizer"],
        scheduler=choices["scheduler"],
        epochs=trainer.max_epochs,
        device=_device(trainer),
        precision=str(trainer.precision),
        folder=session.folder,
        tracking=session.tracker.address if session.tracker else "",
        run_id=session.run_id,
        resumed="goes on from its last checkpoint" if session.resumed else "",
    )
    console.print(first_panel(facts))


def _model(choices: Mapping[str, Any]) -> str:
    return " on ".join(name for name in (choices["model"], choices.get("network")) if name)


def _notes(choices: Mapping[str, Any], *, task: Any, datamodule: Any) -> dict[str, str]:
    """What is painted, and by which features it is judged; nothing of a task that does not paint."""
    source = getattr(getattr(task.model, "features", None), "source", "")
    if not source:
        return {}
    if choices.get("features") == "random":
        source += f"; {_PRETRAINED}"
    return {**_painted(datamodule), "features": source}


def _painted(datamodule: Any) -> dict[str, str]:
    """Content and styles with their sizes; nothing where there are many contents."""
    if datamodule.metadata.get("content_size") is None:
        return {}
    summary, item = datamodule.summary(), datamodule.dataset("train", augment=False)[0]
    styles = zip(summary["styles"], item["style"], strict=True)
    return {
        "content": _with_size(summary["content"], item["image"]),
        "style": ", ".join(_with_size(name, picture) for name, picture in styles),
    }


def _with_size(name: str, picture: Any) -> str:
    height, width = picture.shape[-2:]
    return f"{name} ({width} x {height})"


def _device(trainer: Trainer) -> str:
    name = type(trainer.accelerator).__name__.removesuffix("Accelerator").lower()
    return device_name() if name != "cpu" else f"CPU, {device_name()}"


def record_use(session: Session, use: DeviceUse, *, precision: str, seconds: float) -> None:
    """Keep with the run what it computed with, how long, how fast, and with how much memory.

    Args:
        session: The run.
        use: After training.
        precision: The word that `trainer.precision=auto` became.
        seconds: That training took, since this process began.
    """
    # A run that was interrupted has taken longer.
    epochs = read_history(session.folder / HISTORY_FILE)
    total = round(max(seconds, sum(row["seconds"] for row in epochs)), 3)
    # Of a run that went on, what is said again of an earlier step would count as a repetition.
    step = max((int(row["step"]) for row in epochs), default=0)
    record.update_facts(session.folder, seconds=total)
    if session.logger is not None:
        session.logger.log_metrics({"cost/seconds": total}, step=step)
    measured = {"images_per_second": use.images_per_second, "peak_memory_gib": use.peak_memory / 2**30}
    found = {name: round(value, 3) for name, value in measured.items() if value}
    record.update_facts(session.folder, device=device_name(), precision=precision, **found)
    if session.logger is not None:
        session.logger.log_metrics({f"system/{name}": value for name, value in found.items()}, step=step)
    if session.tracker is not None:
        session.tracker.log_tags({"precision": precision})


def record_size(session: Session, task: Any) -> None:
    """Keep with the run how many weights its network has; of an ensemble, those of all members.

    Args:
        session: The run.
        task: Around the network.
    """
    count = sum(each.numel() for member in task.team for each in member.model.parameters())
    record.update_facts(session.folder, parameters=count)
    if session.logger is not None:
        session.logger.log_metrics({"cost/parameters": count})


def show_last_panel(
    session: Session,
    *,
    config: Mapping[str, Any],
    measures: Mapping[str, float],
    baselines: Mapping[str, float],
    kept: Path | None,
    seconds: float,
    use: DeviceUse,
    metadata: Mapping[str, Any],
) -> None:
    """Say what came of it, where it lies, and what to type next."""
    monitor = config["task"]["monitor"]
    result = RunResult(
        status="FINISHED",
        measure=f"test/{monitor.partition('/')[2]}",
        mode=config["task"]["mode"],
        measures=measures,
        # With a measure behind its name it is none of those that are compared here.
        baselines={name.replace("_", " "): value for name, value in baselines.items() if "/" not in name},
        kept=_kept(kept, monitor=monitor, measures=measures),
        seconds=seconds,
        images_per_second=use.images_per_second,
        peak_memory=use.peak_memory,
        folder=session.folder,
        picture=_picture(session.folder),
        places=[_shown(session.folder / name) for name in _PLACES if (session.folder / name).exists()],
        tracking=session.tracker.address if session.tracker else "",
        commands=_next_commands(session, is_kept=kept is not None, config=config, metadata=metadata),
    )
    console.print(last_panel(result))


def _picture(folder: Path) -> str:
    path = folder / _PICTURE
    return shown_path(path) if path.is_file() else ""


def _shown(path: Path) -> str:
    return f"{path.name}/" if path.is_dir() else path.name


def _kept(kept: Path | None, *, monitor: str, measures: Mapping[str, float]) -> str:
    if kept is None:
        return "as training left them; no checkpoint was kept"
    return f"checkpoints/{kept.name}, best by {monitor} {measures.get(monitor, float('nan')):.4f}"


def _next_commands(
    session: Session, *, is_kept: bool, config: Mapping[str, Any], metadata: Mapping[str, Any]
) -> dict[str, str]:
    if not is_kept:
        return {"make train": "train for real; this run kept no weights"}
    name = f"run={session.run_id[:8]}"
    return {
        **_own_commands(name, config, metadata),
        f"make evaluate {name} split=val": "measure and draw it on any split",
        "make ui": "curves, figures and all runs side by side",
    }


def _own_commands(name: str, config: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, str]:
    """What only runs of this kind are good for, which model and data tell."""
    if paints_others(config):
        style = " style=PICTURE" if needs_style(config) else ""
        return {f"make stylize {name} input=FOLDER{style}": "paint your own photographs"}
    if "content_size" in metadata:
        train = "make train task=style_transfer"
        return {
            f"{train} data.content=FILE data.style=FILE": "paint your own picture, in the style of another",
            f"{train} data.style=retina": "or this one in another style",
        }
    if "num_identities" in metadata:
        return {
            f"make verify {name} a=FILE b=FILE": "do two images show the same?",
            f"make enroll {name} input=FOLDER": "take in people, a folder each, to be identified",
        }
    return {f"make predict {name} input=FOLDER": "label your own images"}


def show_stopped(session: Session) -> None:
    """Say that nothing is lost when a person ends a run, and how it goes on."""
    folder = shown_path(session.folder)
    if not (session.folder / "checkpoints" / "last.ckpt").exists():
        console.print(f"\nstopped before anything was saved; the log is in {folder}", soft_wrap=True)
        return
    console.print(
        f"\nstopped; everything so far is kept in {folder}\n"
        f"$ make train resume={session.run_id[:8]}   goes on from here",
        soft_wrap=True,
    )


def show_measures(trained: Trained, *, split: str, measures: Mapping[str, float], path: Path) -> None:
    """The measures of one split as a table."""
    table = Table(title=f"run {trained.run_id[:8]} on {split}", title_justify="left", title_style="bold")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, value in sorted(measures.items()):
        table.add_row(name, f"{value:.4f}")
    console.print(table)
    console.print(f"weights   {shown_path(trained.path)}\nmeasures  {shown_path(path)}", soft_wrap=True)
