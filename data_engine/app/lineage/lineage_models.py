"""``lineage models``: which models were trained on a camera, a video, a frame or a person's work."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from data_engine.app.engine import Engine
from data_engine.app.lineage.lineage_find import meant
from data_engine.app.lineage.lineage_show import champions
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import exposure, tombstones
from data_engine.lineage.database import Connection
from data_engine.lineage.exposure import Exposure, Source
from data_engine.types import Report
from data_engine.words import counted

_SIDES = ("train", "valid")


def trained_on(
    engine: Engine,
    *,
    camera: str | None = None,
    video: str | None = None,
    frame: str | None = None,
    person: str | None = None,
) -> Report:
    """List the models whose dataset version holds frames of the source, and those that were begun from such a model.

    Raises:
        UsageError: not one source was named; several go by that name.
        MissingInputError: nothing is recorded of it.
    """
    given: dict[Source, str | None] = {"camera": camera, "video": video, "frame": frame, "person": person}
    named = [(source, name) for source, name in given.items() if name is not None]
    if len(named) != 1:
        raise UsageError("name one of --camera, --video, --frame and --person", hint="dataengine lineage models --help")
    ((source, name),) = named
    with engine.database.read() as connection:
        if source == "person":
            key = _person(connection, name)
        else:
            key = meant(engine, connection, (source, name), command="models").key
        known = exposure.exposures(connection, source, key)
        purged = {model for stone in tombstones.known(connection) for model in stone.detail["models"]}
    by_id = {model.model_id: model for model in known}
    used = champions(engine, {model.model_id: (model.kind, model.key) for model in known})
    rows = tuple(
        {
            "model": model.model_id,
            "kind": model.kind,
            "in_use": model.model_id in used,
            "version": None if model.version is None else f"v{model.version}",
            **{f"{side}_{what}": n for what in ("frames", "boxes") for side, n in _sides(getattr(model, what)).items()},
            "through": through,
            "trained_at": model.registered_at,
            "weights": engine.shown(model.key),
            **({"also_on_purged": True} if model.model_id in purged else {}),
        }
        for model in known
        if (through := _through(model, by_id)) is not None or model.frames or model.boxes
    )
    return Report(
        title=f"{counted(len(rows), 'model')} trained on {source} {name}",
        data={"source": source, "name": name, "id": key},
        rows=rows,
        notes=() if rows else (f"of {counted(len(known), 'registered model')} none saw a frame of it",),
    )


def _sides(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of the two sides that are trained and judged on, and of any other that there is."""
    return {side: counts.get(side, 0) for side in (*_SIDES, *sorted(counts.keys() - {*_SIDES}))}


def _through(model: Exposure, by_id: Mapping[str, Exposure]) -> str | None:
    """The nearest model that this one was begun from, directly or not, and that saw something of the source."""
    seen = {model.model_id}
    parent = model.parent_id
    while parent is not None and parent not in seen and parent in by_id:
        if by_id[parent].frames or by_id[parent].boxes:
            return parent
        seen.add(parent)
        parent = by_id[parent].parent_id
    return None


def _person(connection: Connection, name: str) -> str:
    """Somebody who annotated or reviewed.

    Raises:
        MissingInputError: nobody of that name did.
    """
    everybody = exposure.people(connection)
    if name in everybody:
        return name
    close = difflib.get_close_matches(name, sorted(everybody), n=1)
    raise MissingInputError(
        f"nobody called {name!r} annotated or reviewed" + (f"; did you mean {close[0]!r}?" if close else ""),
        hint="dataengine team list",
    )
