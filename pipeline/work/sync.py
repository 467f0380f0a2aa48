"""Sends what waits on disk, with a bar, and says for each run what became of it."""

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipeline.compose import Composed
from pipeline.console import console
from pipeline.sync import chosen
from pipeline.tracking_pending import Delivery, Waiting, send_waiting
from pipeline.tracking_store import tracking_uri


def run(*, composed: Composed, run: str | None = None, dry_run: bool = False) -> int:
    """Send what waits.

    Args:
        composed: The whole configuration.
        run: Only this run or sweep; None for all.
        dry_run: Whether only to list it, which `pipeline.sync` does without this.

    Returns:
        The exit code: 0 where everything was sent, 1 where something is left.
    """
    waiting, uri = chosen(root=composed.root, run=run), tracking_uri(composed.root)
    deliveries: list[Delivery] = []
    with _bar() as progress:
        task = progress.add_task("sending", total=sum(each.entries for each in waiting), run="")
        for each in waiting:
            deliveries.append(_send(each, uri=uri, progress=progress, task=task, before=deliveries))
            _tell(each, deliveries[-1])
    sent, left = (sum(delivery.sent for delivery in deliveries), [each for each in deliveries if each.left])
    console.print(f"{sent:,} entries of {len(waiting) - len(left)} runs sent; {len(left)} runs still wait")
    return 1 if any(not delivery.alive for delivery in left) else 0


def _send(
    waiting: Waiting, *, uri: str, progress: Progress, task: TaskID, before: list[Delivery]
) -> Delivery:
    """One run, unless the server has not answered just now: the next run would only cost another timeout."""
    progress.update(task, run=waiting.run_id[:8])
    if any(delivery.silent for delivery in before):
        return Delivery(
            sent=0, left=waiting.entries, why="not tried, since the server did not answer", silent=True
        )
    return send_waiting(waiting, uri=uri, told=lambda count: progress.advance(task, count))


def _tell(waiting: Waiting, delivery: Delivery) -> None:
    left = f", {delivery.left:,} left: {delivery.why}" if delivery.left else ""
    style = "yellow" if delivery.left and not delivery.alive else ""
    line = f"{waiting.run_id[:8]}  {delivery.sent:,} sent{left}"
    console.print(line, style=style, soft_wrap=True, markup=False)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description} {task.fields[run]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
