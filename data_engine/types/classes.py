"""The classes of objects, with ids that they keep for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


def wrong_with_name(name: str) -> str | None:
    """Why a new class cannot be called so; None where it can."""
    if not name.strip():
        return "a class needs a name"
    if "," in name:
        return f"the class {name!r} has a comma in its name, which stands between names wherever several are given"
    if not name.isprintable():
        return f"the class {name!r} has a line break or another character in its name that cannot be typed"
    return None


@dataclass(frozen=True, slots=True)
class Category:
    """A class of objects, with the id it keeps for ever."""

    id: int
    """COCO category id, from 1."""
    name: str
    supercategory: str = "object"
    """Never ``none``: some trainers drop such categories."""


class ClassRegistry:
    """The one place where a class name meets its stable id.

    YOLO's and RF-DETR's 0-based numbers are positions in :attr:`names` and exist only inside their format and
    detector modules.  A name that a class had before means that class still, wherever a label is looked up.

    Args:
        categories: the classes.
        former: other names -> id of the class that they mean.
        retired: names of classes that are in use no more -> their ids; such a label is no class.
        reserved: ids of :attr:`categories` that people are not offered any more.
        last: the largest id that ever was given.

    Raises:
        ValueError: an id below 1, an id or name twice, an empty name, a former name of no class.
    """

    __slots__ = ("_by_id", "_by_name", "_former", "_last", "categories", "reserved", "retired")

    def __init__(
        self,
        categories: Iterable[Category] = (),
        *,
        former: Mapping[str, int] = MappingProxyType({}),
        retired: Mapping[str, int] = MappingProxyType({}),
        reserved: Iterable[int] = (),
        last: int = 0,
    ) -> None:
        self.categories: tuple[Category, ...] = tuple(sorted(categories, key=lambda c: c.id))
        self._by_id = {c.id: c for c in self.categories}
        self._by_name = {c.name: c for c in self.categories}
        if len(self._by_id) != len(self.categories) or len(self._by_name) != len(self.categories):
            raise ValueError("class ids and names must be unique")
        for category in self.categories:
            if category.id < 1 or not category.name.strip():
                raise ValueError(f"class {category.name!r} with id {category.id}: ids begin at 1, names are not empty")
        self._former = {name: number for name, number in former.items() if name not in self._by_name}
        if not set(self._former.values()) <= self._by_id.keys():
            raise ValueError("a former name must mean a class")
        self.retired = {n: number for n, number in retired.items() if n not in self._by_name and n not in self._former}
        self.reserved = frozenset(reserved)
        self._last = max((last, *self._by_id, *self.retired.values()), default=0)

    @classmethod
    def of(cls, names: Sequence[str]) -> ClassRegistry:
        """A registry of ``names`` with the ids 1, 2, … in their order."""
        return cls(Category(number, name) for number, name in enumerate(names, 1))

    @property
    def names(self) -> tuple[str, ...]:
        """Names by ascending id: position ``i`` is the 0-based class number of the training formats."""
        return tuple(c.name for c in self.categories)

    @property
    def offered(self) -> ClassRegistry:
        """The classes that people may label."""
        return ClassRegistry(c for c in self.categories if c.id not in self.reserved) if self.reserved else self

    @property
    def ever(self) -> ClassRegistry:
        """With the classes that are in use no more, to read what was written when they were."""
        gone = {number: Category(number, name) for name, number in self.retired.items()}
        names = {name: number for name, number in self.retired.items() if gone[number].name != name}
        former = {**self._former, **names}
        return ClassRegistry((*self.categories, *gone.values()), former=former, reserved=self.reserved, last=self._last)

    def id_of(self, name: str) -> int:
        """The stable id of a class by its name or one that it had; KeyError when it is not registered."""
        category = self._by_name.get(name)
        return self._former[name] if category is None else category.id

    def now(self, name: str) -> str:
        """What the class of that name is called now; KeyError when it is not registered."""
        return self._by_id[self.id_of(name)].name

    def former_names(self, category_id: int) -> tuple[str, ...]:
        """Other names that mean this class, in order of the alphabet."""
        return tuple(sorted(name for name, number in self._former.items() if number == category_id))

    def name_of(self, category_id: int) -> str:
        """The name of a stable id; KeyError when it is not registered."""
        return self._by_id[category_id].name

    def index_of(self, category_id: int) -> int:
        """The 0-based position of a stable id among :attr:`categories`."""
        return self.categories.index(self._by_id[category_id])

    def extended(self, names: Iterable[str]) -> ClassRegistry:
        """This registry and, with the next free ids, those of ``names`` that it does not hold.

        A class that was retired comes back under the id that it had: none is ever used for another.
        """
        grown = list(self.categories)
        free = self._last + 1
        for name in names:
            if name in self or name in {c.name for c in grown}:
                continue
            number = self.retired.get(name)
            if number is None or number in {c.id for c in grown}:
                number, free = free, free + 1
            grown.append(Category(number, name))
        held = {c.name for c in grown}
        retired = {name: number for name, number in self.retired.items() if name not in held}
        return ClassRegistry(grown, former=self._former, retired=retired, reserved=self.reserved, last=self._last)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name or name in self._former

    def __iter__(self) -> Iterator[Category]:
        return iter(self.categories)

    def __len__(self) -> int:
        return len(self.categories)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClassRegistry) and self.categories == other.categories

    def __hash__(self) -> int:
        return hash(self.categories)

    def __repr__(self) -> str:
        return f"ClassRegistry({', '.join(f'{c.id}={c.name}' for c in self.categories)})"
