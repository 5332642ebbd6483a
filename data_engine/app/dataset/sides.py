"""The side of the split of frames that come to the dataset: kept where they had one, decided once where not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from data_engine.app.dataset.golden_blocks import turning
from data_engine.app.dataset.split_plans import Entering, plans_for
from data_engine.lineage import datasets, footage, split_sources
from data_engine.lineage.database import Connection
from data_engine.lineage.split_sources import Ever, Placed
from data_engine.selection.kept_apart import SIDES, Looks, kept_apart
from data_engine.selection.near_index import nearest_again, recurring
from data_engine.selection.splits import SplitPlan, moment, place, unit
from data_engine.stages.export import ExportSettings
from data_engine.types import Split


def sides_of(
    connection: Connection,
    categories: Mapping[str, Collection[int]],
    settings: ExportSettings,
    said: Mapping[str, Split] = MappingProxyType({}),
    known: Ever | None = None,
) -> dict[str, Split]:
    """The side of each of these frames: that which any version ever gave it, else that which it is given now.

    By its place in time, and by the near-duplicates that it has in other sources.

    Args:
        categories: ids of the classes on each frame, by frame id.
        settings: how sources without a plan are cut.
        said: the sides of frames that never had one, where somebody else decided them: then time alone does not, but
            near-duplicates in other sources do all the same.
        known: all frames that any version held, where they were read already.
    """
    sides = datasets.sides_before(connection, categories)
    golden = split_sources.golden(connection)
    if golden:
        _turn(connection, sides, golden)
    frames = footage.frames_by_id(connection, [frame_id for frame_id in categories if frame_id not in sides])
    if not frames:
        return sides
    known = split_sources.ever_held(connection) if known is None else known
    placed = sorted(
        (Placed(frame.id, *place(frame), frame.dhash, "guard") for frame in frames.values()),
        key=lambda one: (_is_lone(one), one.source, one.position, one.frame_id),
    )
    entering = {
        source: Entering(mine, [categories[one.frame_id] for one in mine])
        for source, mine in _by_source(placed).items()
    }
    plans = plans_for(connection, entering, frames, known, settings)
    for one in placed:
        plan = plans[one.source]
        sides[one.frame_id] = said.get(one.frame_id) or plan.side(one.position, golden.get(plan.axis, ()))
    sides.update(_apart(connection, placed, sides, known, plans))
    return sides


def _turn(connection: Connection, sides: dict[str, Split], golden: Mapping[str, set[int]]) -> None:
    """Frames that had left the dataset when their block became golden come back as what it is now."""
    places = {frame.id: place(frame) for frame in footage.frames_by_id(connection, sides).values()}
    plans = datasets.plans(connection, {source for source, _position in places.values()})
    for frame_id, (source, position) in places.items():
        plan = plans.get(source)
        if plan is not None:
            sides[frame_id] = turning(plan, position, sides[frame_id], golden.get(plan.axis, ()))


def _apart(
    connection: Connection,
    placed: Sequence[Placed],
    sides: Mapping[str, Split],
    known: Ever,
    plans: Mapping[str, SplitPlan],
) -> dict[str, Split]:
    """The sides of those new frames that have a look: where another source shows it on another side, they give way."""
    new = [one for one in placed if one.dhash is not None]
    axes = split_sources.shared_axes(connection) | {source: plan.axis for source, plan in plans.items()}
    numbers: dict[str, int] = {}

    def axis(source: str) -> int:
        return numbers.setdefault(axes.get(source, source), len(numbers))

    of_known = np.array([axis(source) for source in known.names], np.intp)
    in_units = np.array([unit(source) for source in known.names], np.int8)
    codes = {side: code for code, side in enumerate(SIDES)}
    seen = known.hashed
    units = np.array([unit(one.source) for one in new], np.int8)
    mixed = len({*units.tolist(), *in_units[known.sources[seen]].tolist()}) > 1
    decided = kept_apart(
        Looks(
            np.array([one.dhash for one in new], np.uint64),
            np.array([axis(one.source) for one in new], np.intp),
            np.array([codes[sides[one.frame_id]] for one in new], np.int8),
            units,
        ),
        Looks(known.hashes[seen], of_known[known.sources[seen]], known.sides()[seen], in_units[known.sources[seen]]),
        lone=np.array([_is_lone(one) for one in new], np.bool_),
        again=_again(new, known, exactly=mixed),
    )
    return {one.frame_id: SIDES[code] for one, code in zip(new, decided.tolist(), strict=True)}


def _again(new: Sequence[Placed], known: Ever, *, exactly: bool) -> NDArray[np.uint8]:
    """``(n,)`` bits to the nearest look at another moment of each one's source; not exactly 0 or 64."""
    numbers = {name: number for number, name in enumerate(known.names)}
    places = {one.frame_id: place for place, one in enumerate(new)}
    found = np.full(len(new), 64, np.uint8)
    for source, mine in _by_source([one for one in new if not _is_lone(one)]).items():
        before = known.hashed & (known.sources == numbers[source]) if source in numbers else np.zeros(0, np.intp)
        hashes = np.concatenate([np.array([one.dhash for one in mine], np.uint64), known.hashes[before]])
        positions = np.concatenate([np.array([one.position for one in mine]), known.positions[before]])
        if len(hashes) > 1:
            dull = np.flatnonzero(recurring(hashes, positions, moment(source))[: len(mine)])
            at = [places[mine[row].frame_id] for row in dull.tolist()]
            found[at] = nearest_again(hashes, positions, moment(source), dull) if exactly else 0
    return found


def _by_source(placed: Sequence[Placed]) -> dict[str, list[Placed]]:
    found: dict[str, list[Placed]] = {}
    for one in placed:
        found.setdefault(one.source, []).append(one)
    return found


def _is_lone(one: Placed) -> bool:
    return one.source.startswith("picture:")
