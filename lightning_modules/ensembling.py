"""Several networks, and several views of an image, that answer as one: the same for every task."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from lightning_modules.records import Records

NO_VIEWS = "none"
MIRROR = "flip"


class View(NamedTuple):
    """One way of looking at images.

    Attributes:
        ask: Takes a task and images as its ``infer`` does; returns its answer for the images as they were
            given, whatever the network was shown: boxes and pixels are mapped back.
        weight: How much the answer counts, relative to other views; above 0.
    """

    ask: Callable[[Any, Any], Any]
    weight: float = 1.0


class EnsembleModule(LightningModule):
    """Base of the tasks: one network answers as it is, several by fusing what each says of each view.

    A task tells how one network answers (``infer``), how answers become one (``fuse``), and which views
    there are (``views_named``). Whatever is measured or predicted comes from ``answer``; what is trained
    never does. The members beside the task itself are its submodules, so that devices, checkpoints and
    Lightning's loops see one task.

    Attributes:
        fusions: Names of the ways in which answers become one; the first is taken where none is named.
        tta_names: Names of the test-time augmentations; ``none`` is the first.
        sees_one_size: Whether images arrive at the size of the network.
        members: The other tasks of an ensemble; empty for a single network.
        fusion: How answers become one.
        keeps_records: Whether what ``records`` needs is kept while measuring, where it takes memory.
    """

    fusions: ClassVar[tuple[str, ...]]
    tta_names: ClassVar[tuple[str, ...]] = (NO_VIEWS,)
    sees_one_size: ClassVar[bool] = False
    member_weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList()
        self.fusion = self.fusions[0]
        self.keeps_records = False
        self.views: list[View] = []

    @property
    def team(self) -> list[Any]:
        """The task itself, and the other members."""
        return [self, *self.members]

    @property
    def weights(self) -> list[float]:
        """Weight of each of the team; they sum to 1."""
        return self.member_weights.tolist() if self.members else [1.0]

    @property
    def looks(self) -> list[View]:
        """The views of an image: one, as it is, where there is no augmentation."""
        return self.views or [View(_plainly)]

    @property
    def is_single(self) -> bool:
        """Whether there is one network that looks once: what it says is the answer."""
        return not self.members and not self.views

    def infer(self, images: Any) -> Any:
        """What this network alone says of images that are seen once; of what kind is the task's affair."""
        raise NotImplementedError

    def fuse(self, answers: Iterable[Any], *, weights: Sequence[float], images: Any) -> Any:
        """One answer of several.

        Args:
            answers: From ``infer``, made one after the other: a large one may be added up and forgotten.
            weights: Of each; they sum to 1.
            images: What all the answers are about.
        """
        raise NotImplementedError

    def views_named(self, name: str, *, mirrors: bool) -> list[View]:
        """The views of a test-time augmentation; see ``use_tta``."""
        raise NotImplementedError

    def tta_side(self, name: str) -> int | None:
        """Side in pixels at which images must arrive for a test-time augmentation; None: as ever."""
        return None

    def check_member(self, other: Any) -> None:
        """Refuse a member whose answers mean something else; a task says what else it knows.

        Raises:
            ValueError: If it does.
        """

    def records(self) -> Records:
        """What the last epoch says of each image that was measured; for intervals of measures."""
        raise NotImplementedError

    def fit_weights(self, records: Sequence[Records]) -> list[float]:
        """Weights with which the members together are best, by what each says of the same images.

        Args:
            records: Of each member, measured by itself on the validation split.

        Raises:
            ValueError: If the task does not know how.
        """
        raise ValueError(
            "weights=fitted: only classification fits the weights of members; leave weights= out, or give "
            "numbers"
        )

    def answer(self, images: Any) -> Any:
        """What all networks say of all views, as one answer."""
        if self.is_single:
            return self.infer(images)
        return self.fuse(self._asked(images), weights=self.shares(), images=images)

    def join(
        self,
        others: Sequence[LightningModule],
        *,
        fusion: str | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        """Make an ensemble of this task and others.

        Args:
            others: At least one; on the same device.
            fusion: One of ``fusions``; None: the first.
            weights: Of this task and the others, at least 0 and not all 0; None: all alike.

        Raises:
            ValueError: If a name or number is wrong, or a member's answers mean something else.
        """
        if not others:
            raise ValueError("an ensemble needs at least two members; give more runs")
        for other in others:
            self._check_kind(other)
            self.check_member(other)
        self.fusion = self._known_fusion(fusion)
        shares = torch.tensor(_shares_of(weights, count=1 + len(others)))
        self.members = nn.ModuleList(others)
        # A buffer, so that it is part of what a checkpoint holds, and of what tells a network from others.
        self.register_buffer("member_weights", shares.to(self.device))

    def use_tta(self, name: str, *, mirrors: bool = True) -> None:
        """Look at each image in several ways, and fuse what is seen.

        Args:
            name: One of ``tta_names``.
            mirrors: Whether a mirrored image still shows the same; if not, such views are left out.

        Raises:
            ValueError: If the task has no such augmentation, or nothing is left of it.
        """
        if name not in self.tta_names:
            raise ValueError(f"tta={name} is not one of {', '.join(self.tta_names)} for this task")
        if name == MIRROR and not mirrors:
            others = ", ".join(each for each in self.tta_names if each not in (NO_VIEWS, MIRROR))
            way = f"take one of {others}, which then leave mirror images out" if others else "leave tta= out"
            raise ValueError(
                "tta=flip: with data.horizontal_flip=0 a mirrored image shows something else, as of digits; "
                f"{way}"
            )
        self.views = [] if name == NO_VIEWS else self.views_named(name, mirrors=mirrors)

    def _asked(self, images: Any) -> Iterator[Any]:
        for member in self.team:
            for view in self.looks:
                yield view.ask(member, images)

    def shares(self) -> list[float]:
        """Weight of each answer of ``infer``, member by member and for each of them view by view."""
        views = _shares_of([view.weight for view in self.looks], count=len(self.looks))
        return [weight * share for weight in self.weights for share in views]

    def _known_fusion(self, name: str | None) -> str:
        if name is not None and name not in self.fusions:
            raise ValueError(f"fusion={name} is not one of {', '.join(self.fusions)} for this task")
        return name or self.fusions[0]

    def _check_kind(self, other: Any) -> None:
        mine, theirs = type(self).__name__, type(other).__name__
        if mine != theirs:
            raise ValueError(f"members of one ensemble are of one task, not {mine} and {theirs}")
        names, others = getattr(self, "class_names", []), getattr(other, "class_names", [])
        if names != others:
            raise ValueError(
                f"a member knows {len(others)} classes ({', '.join(others[:5])}, ...), the first one "
                f"{len(names)} ({', '.join(names[:5])}, ...); join runs of the same classes in the same order"
            )
        if self.sees_one_size and self.image_size != other.image_size:
            raise ValueError(
                f"a member sees images of {other.image_size} pixels, the first one of {self.image_size}; "
                "join runs of one data.image_size"
            )


def _plainly(member: Any, images: Any) -> Any:
    return member.infer(images)


def _shares_of(weights: Sequence[float] | None, *, count: int) -> list[float]:
    """Weights that sum to 1."""
    if weights is None:
        return [1 / count] * count
    if len(weights) != count:
        raise ValueError(f"weights={list(weights)} are {len(weights)}, and there are {count} members")
    if not min(weights) >= 0 or not 0 < sum(weights) < float("inf"):
        raise ValueError(f"weights={list(weights)} must be at least 0 each, and one of them above 0")
    return [weight / sum(weights) for weight in weights]
