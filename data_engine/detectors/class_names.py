"""Where the names of a model's classes come from: its file, else its user; never a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_engine.errors import DamagedInputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def chosen_names(model: str, in_file: Sequence[str] | None, given: Sequence[str] | None) -> tuple[str, ...]:
    """The class names of the model named ``model``, in the order of its outputs.

    Args:
        model: the file's name, for messages.
        in_file: the names that the file holds; None where it holds none.
        given: the names that the user gave; None where none were given.

    Raises:
        UsageError: no names at all, or the user's differ from the file's.
        DamagedInputError: a name stands twice in the file.
    """
    held = tuple(in_file or ())
    wanted = tuple(given or ())
    if held and wanted and held != wanted:
        raise UsageError(
            f"{model} names its classes {', '.join(held)}; given were {', '.join(wanted)}", hint="leave --classes out"
        )
    names = held or wanted
    if not names:
        raise UsageError(f"{model} does not name its classes", hint="name them in their order: --classes a,b,c")
    real = [name for name in names if name]
    twice = sorted({name for name in real if real.count(name) > 1})
    if twice:
        message = f"{model}: class {twice[0]!r} is named twice"
        raise DamagedInputError(message) if held else UsageError(message)
    return names


_COCO_SLOTS = 91
_COCO_UNUSED = frozenset({0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
"""Category ids below 91 that COCO's 80 classes of 2017 leave unused."""


def names_of_slots(names: Sequence[str], slots: int) -> tuple[str, ...]:
    """The names in the order of an RF-DETR's slots, empty for a slot that stands for no class.

    A model that was pretrained on COCO has a slot for each category id up to 90, ten of which COCO does not use, and
    rfdetr names it by COCO's 80 names without the gaps.
    """
    if slots != _COCO_SLOTS or len(names) != _COCO_SLOTS - len(_COCO_UNUSED):
        return tuple(names)
    left = iter(names)
    return tuple("" if slot in _COCO_UNUSED else next(left) for slot in range(slots))


def slot_columns(
    model: str, slots: int | None, names: Sequence[str], *, in_file: bool
) -> tuple[list[int], tuple[str, ...]]:
    """Which of an RF-DETR's slots stand for a class, ascending, and their names.

    Args:
        model: the file's name, for messages.
        slots: columns of its labels, background included; None where the file does not say.
        names: of :func:`chosen_names`; an empty one is that of a slot without a class.
        in_file: whether the file itself holds the names.

    Raises:
        DamagedInputError: no class; names of the file that do not fit.
        UsageError: given names that do not fit.
    """
    if slots is None or slots < 2:
        raise DamagedInputError(f"{model} has no class: its labels have {slots} slots, background included")
    names = names_of_slots(names, slots)
    if slots - len(names) not in (0, 1):
        raise misfit(model, f"labels of {slots} slots (one is background)", names, in_file=in_file)
    return [column for column, name in enumerate(names) if name], tuple(name for name in names if name)


def misfit(model: str, outputs: str, names: Sequence[str], *, in_file: bool) -> Exception:
    """The error for names that are not as many as the outputs: the file's own fault, or its user's."""
    message = f"{model} has {outputs}, which does not fit its {len(names)} class names ({_shown(names)})"
    if in_file:
        return DamagedInputError(message)
    return UsageError(message, hint="name every class, in the order of the outputs: --classes a,b,c")


def _shown(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(name or "-" for name in names[:most]) + (" …" if len(names) > most else "")
