"""Ends a trial of a sweep early where its validation values are hopeless."""

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from pipeline.sweeps.watching import Reporter, Watched, watched


class Pruning(Callback):
    """Report the measure after each validation, and end training on all ranks when the study says so.

    Args:
        trial: The trial that is trained.
        reporter: Who asks the study; None makes one.

    Attributes:
        pruned: Whether training was ended.
    """

    def __init__(self, trial: Watched, *, reporter: Reporter | None = None) -> None:
        self._measure = trial.measure
        self._reporter = reporter or Reporter(trial)
        self.pruned = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask on the first rank, and end on all of them."""
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        hopeless = trainer.is_global_zero and self._is_hopeless(trainer)
        self.pruned = bool(trainer.strategy.broadcast(hopeless))
        if self.pruned:
            trainer.should_stop = True

    def _is_hopeless(self, trainer: Trainer) -> bool:
        value = trainer.callback_metrics.get(self._measure)
        # None where this validation did not take it; NaN, of a loss that overflowed, is hopeless.
        return value is not None and self._reporter.is_hopeless(
            float(value), epochs=trainer.current_epoch + 1
        )


def pruning() -> list[Callback]:
    """What ends this training early; nothing where it is no trial that may be."""
    trial = watched()
    return [] if trial is None else [Pruning(trial)]


def was_pruned(trainer: Trainer) -> bool:
    """Whether training was ended as hopeless; the same on all ranks.

    Args:
        trainer: After training.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return any(callback.pruned for callback in callbacks if isinstance(callback, Pruning))
