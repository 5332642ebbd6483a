"""A model's classes as the registry has them today: it answers by the names that it was trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from data_engine.lineage.database import Connection
from data_engine.lineage.models import registry as registered
from data_engine.types import ClassRegistry, Detections, Model
from data_engine.words import listed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    T = TypeVar("T", bound=np.floating[Any])

_LEAST = 0.01
"""Boxes whose best score is below are not stored; those that a retired class leaves with less are left out as well."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a model's scores mean today."""

    names: tuple[str, ...]
    """Of today, each once, in the order in which the model has the first of each."""
    trained: tuple[str, ...]
    """The model's own."""
    place: tuple[int, ...]
    """For each of the model's own columns its place in :attr:`names`; -1 for a class that is retired."""

    @property
    def as_trained(self) -> bool:
        """Whether nothing has changed since."""
        return self.names == self.trained

    @property
    def single(self) -> tuple[str, ...]:
        """Those of :attr:`names` that one column alone stands for."""
        return tuple(name for number, name in enumerate(self.names) if self.place.count(number) == 1)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is taken for what, for people."""
        changed = [
            f"{old!r} for {self.names[at]!r}"
            for old, at in zip(self.trained, self.place, strict=True)
            if at >= 0 and self.names[at] != old
        ]
        gone = [repr(old) for old, at in zip(self.trained, self.place, strict=True) if at < 0]
        said = []
        if changed:
            said.append(f"the model's classes are taken for what they are called now: {listed(changed)}")
        if gone:
            said.append(f"what the model says of retired classes does not count: {listed(gone)}")
        return tuple(said)

    def kept(self, scores: NDArray[T]) -> tuple[NDArray[np.bool_], NDArray[T]]:
        """``(boxes,)`` whether anything is left of a box, and the ``(left, classes)`` scores in today's columns.

        Of several columns that are one class now the highest score counts.
        """
        import numpy as np

        found = np.zeros((len(scores), len(self.names)), scores.dtype)
        for column, at in enumerate(self.place):
            if at >= 0:
                np.maximum(found[:, at], scores[:, column], out=found[:, at])
        kept = found.max(axis=1, initial=0.0) >= _LEAST
        return kept, found[kept]

    def detections(self, given: Detections) -> Detections:
        """Detections in today's columns; boxes that only a retired class had are left out."""
        if self.as_trained:
            return given
        kept, scores = self.kept(given.scores)
        return Detections(given.xyxy[kept], scores)


def columns_of(model: Model, registry: ClassRegistry) -> Columns:
    """The columns of a model's scores, by the registry.  A class that the registry never had keeps its name."""
    names: list[str] = []
    place: list[int] = []
    for trained in model.class_names:
        if trained in registry.retired:
            place.append(-1)
            continue
        name = registry.now(trained) if trained in registry else trained
        if name not in names:
            names.append(name)
        place.append(names.index(name))
    return Columns(tuple(names), model.class_names, tuple(place))


def columns_now(connection: Connection, model: Model) -> Columns:
    """:func:`columns_of` by the registry of now."""
    return columns_of(model, registered(connection))


def unregistered(model: Model, registry: ClassRegistry) -> list[str]:
    """The classes of a model that the registry never had."""
    return [name for name in model.class_names if name not in registry and name not in registry.retired]
