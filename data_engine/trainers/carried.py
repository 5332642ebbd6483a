"""A parent of other classes: what is taken over by name, what begins anew, what is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_engine.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data_engine.ports import Progress

_SHOWN = 5


def told_carried(progress: Progress, parent: Sequence[str], names: Sequence[str]) -> None:
    """Say what becomes of a parent's classes in a model of ``names``; nothing where they are the same."""
    if sentence := carried(parent, names):
        progress.note(sentence)


def carried(parent: Sequence[str], names: Sequence[str]) -> str:
    """The sentence of :func:`told_carried`; empty where nothing differs but the order."""
    kept = [name for name in names if name in parent]
    new = [name for name in names if name not in parent]
    lost = [name for name in parent if name not in names]
    if not new and not lost:
        return ""
    parts = [f"carried over by name: {_listed(kept)}" if kept else "none is carried over"]
    if new:
        parts.append(f"new: {_listed(new)}")
    if lost:
        parts.append(f"dropped: {_listed(lost)}")
    return f"the parent knows {counted(len(parent), 'class')} of its own; {'; '.join(parts)}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
