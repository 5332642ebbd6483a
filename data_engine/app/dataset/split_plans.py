"""The plans of sources that come to the dataset for the first time.

A source that shows moments of one that has a plan (a copy under another name, a cut, an overlapping recording, the next
file of a recorder) takes over that plan on a common time axis, so that no moment lies on two sides.  Any other source
is given one of its own, with the phase by which rare classes reach both sides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from data_engine.lineage import datasets, footage, split_sources
from data_engine.lineage.database import Connection
from data_engine.lineage.split_sources import Ever, Placed, Recording
from data_engine.selection.splits import SplitPlan, balanced, make_plan
from data_engine.selection.timelines import Timelines
from data_engine.stages.export import ExportSettings
from data_engine.types import Frame, Split

_VIDEO = "video:"


@dataclass(frozen=True, slots=True)
class Entering:
    """The frames with which a source comes to the dataset."""

    placed: Sequence[Placed]
    categories: Sequence[Collection[int]]
    """Ids of the classes on each of them."""


def plans_for(
    connection: Connection,
    entering: Mapping[str, Entering],
    frames: Mapping[str, Frame],
    known: Ever,
    settings: ExportSettings,
) -> dict[str, SplitPlan]:
    """The plan of each of these sources, made now where there is none yet, and kept.

    Args:
        entering: by source.
        frames: the entering frames, by id.
        known: all frames that the dataset ever held.
    """
    plans = datasets.plans(connection, entering)
    fresh = sorted(entering.keys() - plans.keys())
    if not fresh:
        return plans
    videos = footage.videos_by_id(connection, [s.removeprefix(_VIDEO) for s in fresh if s.startswith(_VIDEO)])
    alike = _alike(connection, fresh, entering, known)
    copies = _copies(connection, videos)
    clocks = split_sources.recordings(connection, {video.camera for video in videos.values()})
    related = {other for other, _behind in alike.values()} | {f"{_VIDEO}{clock.video_id}" for clock in clocks}
    plans |= datasets.plans(connection, related.union(*copies.values()))
    spans = _spans(connection, fresh, frames)
    met = {category for source in fresh for found in entering[source].categories for category in found}
    reached: dict[int, set[Split]] = split_sources.reached(connection, met)
    for source in fresh:
        video = videos.get(source.removeprefix(_VIDEO))
        shared = [alike[source]] if source in alike else []
        shared += [(other, 0.0) for other in copies.get(source, ())]
        shared += _next_to(source, clocks, settings.block)
        plan = next((plans[other].of(source, shift) for other, shift in shared if other in plans), None)
        came = entering[source]
        positions = [one.position for one in came.placed]
        if plan is None:
            plan = make_plan(
                source,
                duration_s=None if video is None else video.duration_s,
                block_s=settings.block,
                guard_s=settings.guard,
                fraction=settings.valid_fraction,
                span=spans.get(source),
            )
            plan = balanced(plan, positions, came.categories, reached)
        plans[source] = plan
        for position, found in zip(positions, came.categories, strict=True):
            for category in found:
                reached.setdefault(category, set()).add(plan.side(position))
    datasets.add_plans(connection, [plans[source] for source in fresh])
    return plans


def _spans(connection: Connection, fresh: Iterable[str], frames: Mapping[str, Frame]) -> dict[str, float]:
    """The largest known position of sources that are no videos: the length of all that is known of them."""
    if all(source.startswith(_VIDEO) for source in fresh):
        return {}
    spans: dict[str, float] = {}
    # The first frames that people accept may be the first of a series.
    for placed in split_sources.lone_frames(connection, {frame.camera for frame in frames.values()}):
        spans[placed.source] = max(placed.position, spans.get(placed.source, 0.0))
    return spans


def _alike(
    connection: Connection, fresh: Sequence[str], entering: Mapping[str, Entering], known: Ever
) -> dict[str, tuple[str, float]]:
    """The sources whose frames say that they show moments of an earlier one, which, and by how much they are behind."""
    ids = [source.removeprefix(_VIDEO) for source in fresh if source.startswith(_VIDEO)]
    # Of a video all frames are asked: which of them were chosen for the dataset is chance.
    asked = [*split_sources.frames_of_videos(connection, ids)]
    asked += [one for source in fresh if not source.startswith(_VIDEO) for one in entering[source].placed]
    found: dict[str, tuple[str, float]] = {}
    for timed in (True, False):
        rows = [one for one in asked if one.dhash is not None and _is_timed(one.source) is timed]
        new = sorted({one.source for one in rows})
        if not new:
            continue
        # What is known comes first, so that it is never said to be a copy of what comes now.
        numbers = {name: number for number, name in enumerate(new, len(known.names))}
        like = np.array([_is_timed(name) is timed for name in known.names], np.bool_)
        kept = known.hashed & like[known.sources] if len(known.names) else known.hashed
        lines = Timelines.of(
            np.concatenate([known.hashes[kept], np.array([one.dhash for one in rows], np.uint64)]),
            np.concatenate([known.sources[kept], np.array([numbers[one.source] for one in rows], np.intp)]),
            np.concatenate([known.positions[kept], np.array([one.position for one in rows])]),
        )
        for source in new:
            original = lines.original(numbers[source])
            if original is not None:
                found[source] = ([*known.names, *new][original[0]], original[1])
    return found


def _is_timed(source: str) -> bool | None:
    """Whether positions are seconds; None for a picture, which has none."""
    return None if source.startswith("picture:") else not source.startswith("series:")


def _copies(connection: Connection, video_ids: Iterable[str]) -> dict[str, list[str]]:
    """The sources that a video was found to be a near-duplicate of as a whole, by its own."""
    found: dict[str, list[str]] = {}
    for one, other in sorted(split_sources.copies(connection, video_ids)):
        found.setdefault(f"{_VIDEO}{one}", []).append(f"{_VIDEO}{other}")
    return found


def _next_to(source: str, recordings: Sequence[Recording], near_s: float) -> list[tuple[str, float]]:
    """The recordings of the same camera that overlap with this one or lie within ``near_s`` of it, and how far behind
    their beginning it begins.

    Clocks that are wrong do no harm: what they call simultaneous is only cut at the same times.
    """
    mine = next((one for one in recordings if source == f"{_VIDEO}{one.video_id}"), None)
    begun = None if mine is None else _time(mine.captured_at)
    if mine is None or begun is None:
        return []
    found = []
    for other in recordings:
        their = _time(other.captured_at)
        if other is mine or other.camera != mine.camera or their is None:
            continue
        if (their.tzinfo is None) != (begun.tzinfo is None):
            continue
        behind = (begun - their).total_seconds()
        if -mine.duration_s - near_s <= behind <= other.duration_s + near_s:
            found.append((f"{_VIDEO}{other.video_id}", behind))
    return found


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
