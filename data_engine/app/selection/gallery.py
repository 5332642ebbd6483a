"""Why a choice is what it is, in files beside the list: JSON for programs, a page with pictures for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from data_engine.app.engine import Engine
from data_engine.app.models.models import OpenedModel, stored_predictions
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.types import Frame, Selection
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.stages.filter import FilterSettings

JSON, PAGE = ".json", ".html"
"""Suffixes of the files, whose names are otherwise the list's."""
_SIDE, _BYTES = 360, 18_000
"""Pixels of a thumbnail's longer side, and bytes it may take: 250 of them, in base64, stay below 8 MB."""
_READERS = 4
"""Threads that read and scale; decoding releases the interpreter's lock."""


def write_explanations(
    engine: Engine,
    selection: Selection,
    frames: Mapping[str, Frame],
    opened: OpenedModel | None,
    target: str,
    settings: FilterSettings,
    header: Sequence[str],
    *,
    spent: Sequence[tuple[str, str]] = (),
) -> list[str]:
    """Write the JSON and the page of a selection; a picture that cannot be read leaves its boxes on an empty ground.

    Args:
        frames: the frames that were looked at, by id.
        opened: the model that was asked, None before the first.
        target: key of the list.
        settings: what it was chosen with.
        header: sentences about the choice; the first is the page's heading.
        spent: more about the budget, a name and a value each.

    Returns:
        the keys that were written, the JSON's first.
    """
    from data_engine.formats.selection_json import selection_json
    from data_engine.pages.gallery import gallery, pictured
    from data_engine.stages.filter import used_without_model

    ids = [row.frame_id for row in selection.frames] + [row.frame_id for row in selection.refused]
    header = [line.removeprefix("# ") for line in header]
    seen = {} if opened is None else stored_predictions(engine, opened.model, ids)
    names = () if opened is None else opened.class_names
    given = settings.model_dump(mode="json")
    if opened is None:
        given["strategy"] = used_without_model(settings)
    keys = [PurePosixPath(target).with_suffix(suffix).as_posix() for suffix in (JSON, PAGE)]
    described = selection_json(selection, frames, seen, names, settings=given, floor=given["floor"], summary=header)
    engine.storage.write_bytes(keys[0], described)
    title, *notes = header or ("Frames chosen for labelling",)
    page = gallery(
        selection,
        frames,
        seen,
        names,
        pictures=thumbnails(engine, [frames[frame_id] for frame_id in pictured(selection)]),
        title=title,
        floor=given["floor"],
        threshold=given["confidence_threshold"],
        notes=notes,
        facts=[*_facts(selection, opened, given), *spent],
        settings={name.replace("_", " "): _plain(value) for name, value in given.items()},
    )
    engine.storage.write_bytes(keys[1], page.encode())
    return keys


def thumbnails(engine: Engine, frames: Sequence[Frame]) -> dict[str, bytes]:
    """Small pictures of these frames for a page, by frame id; empty where one cannot be read."""

    def small(frame: Frame) -> bytes:
        from data_engine.media.images import thumbnail

        try:
            return thumbnail(engine.storage.path(frame.key), _SIDE, _BYTES, name=frame.key)
        except (MissingInputError, DamagedInputError):
            return b""

    made: dict[str, bytes] = {}
    engine.progress.start("drawing the pictures", len(frames), "pictures")
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="thumbnail")
    try:
        for frame, jpeg in zip(frames, pool.map(small, frames), strict=True):
            made[frame.id] = jpeg
            engine.progress.advance()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        engine.progress.finish()
    return made


def _facts(selection: Selection, opened: OpenedModel | None, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    asked = [
        text
        for text in (
            None if given.get("budget") is None else counted(given["budget"], "frame"),
            None if given.get("budget_boxes") is None else counted(given["budget_boxes"], "box"),
            None if given.get("budget_minutes") is None else f"{given['budget_minutes']:g} min",
        )
        if text is not None
    ]
    facts = [("chosen", counted(len(selection.frames), "frame")), ("budget", ", ".join(asked) or "a tenth")]
    if opened is None:
        return [*facts, ("strategy", given["strategy"]), ("model", "none yet")]
    return [*facts, ("strategy", given["strategy"]), ("model", opened.path.name)]


def _plain(value: Any) -> str:
    """A setting as people write it."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return {"None": "not given", "True": "yes", "False": "no"}.get(str(value), str(value))
