"""A page with the frames that two versions do not hold alike, drawn with the boxes of both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from data_engine.app.dataset.difference import KINDS, Difference, described
from data_engine.app.engine import Engine
from data_engine.app.selection.gallery import thumbnails
from data_engine.pages.changes import MOST, ChangedFrame, changes
from data_engine.stages.dataset_diff import FrameChange
from data_engine.stages.export import dataset_name
from data_engine.types import Frame
from data_engine.words import counted


def write_page(
    engine: Engine, pair: Difference, target: Path, *, title: str, facts: Sequence[tuple[str, str]] = ()
) -> str:
    """Write the page; where there are more frames than it shows, those that changed take half of the places.

    Returns:
        the file, as it can be typed.
    """
    with engine.database.read() as connection:
        kinds = [list(islice(pair.frames(connection, (kind,)), MOST)) for kind in KINDS]
    shown = [changed_frame(pair, frame, change) for frame, change in _shared_out(kinds)]
    key = engine.storage.key_of(target)
    page = changes(
        shown,
        thumbnails(engine, [entry.frame for entry in shown]),
        command="dataengine dataset diff",
        title=title,
        before=f"as it was in {pair.first.label}",
        after=f"as it is in {pair.second.label}",
        notes=(f"At most {counted(MOST, 'frame')} are shown.",) if len(shown) == MOST else (),
        facts=facts,
    )
    engine.storage.write_bytes(key, page.encode())
    return engine.shown(key)


def changed_frame(pair: Difference, frame: Frame, change: FrameChange) -> ChangedFrame:
    """A frame as the page shows it."""
    said = [" ".join(described(pair, box)) for box in change.boxes] if change.kind == "changed" else []
    if change.changed_sides:
        said.insert(0, f"side {change.side_before} -> {change.side_after}")
    return ChangedFrame(
        frame,
        dataset_name(frame),
        change.kind,
        said,
        [(pair.name_before(box.before), box.before.xywh) for box in change.boxes if box.before is not None],
        [(pair.name_after(box.after), box.after.xywh) for box in change.boxes if box.after is not None],
    )


def _shared_out(
    kinds: Sequence[Sequence[tuple[Frame, FrameChange]]],
) -> Iterable[tuple[Frame, FrameChange]]:
    """At most :data:`MOST` of them: half of the places are kept for the first kind, a quarter for each other one."""
    takes = [min(len(found), MOST // 2 if place == 0 else MOST // 4) for place, found in enumerate(kinds)]
    for place, found in enumerate(kinds):
        takes[place] += min(len(found) - takes[place], MOST - sum(takes))
    return [entry for found, take in zip(kinds, takes, strict=True) for entry in found[:take]]
