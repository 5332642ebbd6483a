"""What one walk through a lineage reads: the row of each node once, for its facts and for what it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from data_engine.lineage import tombstones
from data_engine.lineage.database import Connection, chunks
from data_engine.lineage.tables import (
    accepted,
    dataset_versions,
    frames,
    jobs,
    models,
    proposals,
    runs,
    selections,
    tasks,
    videos,
)
from data_engine.lineage.tombstones import Tombstone


def prepared(query: sa.Select[Any], column: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """The query for those rows whose column is one of ``keys``: to build one takes as long as to ask it."""
    return query.where(column.in_(sa.bindparam("keys", expanding=True)))


def asked(connection: Connection, query: sa.Select[Any] | sa.CompoundSelect[Any], keys: Iterable[str]) -> Iterator[Any]:
    """The rows of a prepared query for these keys."""
    for chunk in chunks(keys):
        yield from connection.execute(query, {"keys": chunk}).all()


_OWN: Mapping[str, sa.Select[Any]] = {
    "video": prepared(sa.select(videos), videos.c.id),
    "frame": prepared(sa.select(frames), frames.c.id),
    "selection": prepared(sa.select(selections), selections.c.id),
    # One that was uploaded twice has a row for each task.
    "proposal": prepared(sa.select(proposals).order_by(proposals.c.task_id), proposals.c.id),
    "task": prepared(sa.select(tasks), tasks.c.id),
    "job": prepared(sa.select(jobs), jobs.c.id),
    # One that left and came back has a row for each time.
    "box": prepared(sa.select(accepted).order_by(accepted.c.since), accepted.c.id),
    "version": prepared(sa.select(dataset_versions), dataset_versions.c.id),
    "model": prepared(sa.select(models), models.c.id),
}
OWN_ROWS = frozenset(_OWN)
"""Kinds of nodes that have a row of their own."""
_RUNS = prepared(sa.select(runs), runs.c.id)
_MADE_BY_RUNS = ("selection", "task", "version", "model")


class Rows:
    """The rows of nodes, each read once.

    Args:
        connection: one state of the database.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._known: dict[str, dict[str, list[Any]]] = {}
        self._runs: dict[str, Any] = {}

    def of(self, kind: str, keys: Iterable[str]) -> dict[str, list[Any]]:
        """The rows of these nodes by key; what is not recorded is left out."""
        known = self._known.setdefault(kind, {})
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if key not in known]
        if missing:
            known.update({key: [] for key in missing})
            for row in asked(self.connection, _OWN[kind], missing):
                known[row.id].append(row)
        return {key: known[key] for key in wanted if known[key]}

    def run(self, identity: str | None, others: Sequence[str | None] = ()) -> Any:
        """The row of a run, None where there is none; those of all nodes read so far, and ``others``, come with it."""
        if identity is not None and identity not in self._runs:
            made = (row.run_id for kind in _MADE_BY_RUNS for rows in self._known.get(kind, {}).values() for row in rows)
            ids = {run for run in (identity, *others, *made) if run is not None} - self._runs.keys()
            self._runs |= dict.fromkeys(ids)
            self._runs |= {row.id: row for row in asked(self.connection, _RUNS, sorted(ids))}
        return None if identity is None else self._runs[identity]

    @cached_property
    def stones(self) -> list[Tombstone]:
        """What stands in the place of sources that were purged."""
        return tombstones.known(self.connection)
