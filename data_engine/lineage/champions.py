"""Which model is in use, which was before it, and what was decided about every challenger.

Rows are only ever added.  A rollback adds one as well: it names the model that is in use again, and the row that the
next rollback returns to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import models, promotions

Action = Literal["crowned", "forced", "found", "rolled back", "refused"]
"""``forced``: somebody's word against the rule; ``found``: its file was put in the place of the model in use by other
means; ``rolled back``: it was in use before, and is again."""


@dataclass(frozen=True, slots=True)
class ChampionRow:
    """What was decided about a model."""

    number: int
    """From 1, in the order of time."""
    action: Action
    kind: str
    model_id: str
    over_id: str | None
    """The model that was in use, and that it was held against."""
    back_to: int | None
    """Number of the row that a rollback from here returns to."""
    placed: bool
    """Whether the files are as this row says: they are made so after it is written."""
    actor: str | None
    reason: str | None
    at: str
    detail: Mapping[str, Any]
    """The decision with its numbers."""

    @property
    def refused(self) -> bool:
        """Whether it did not come into use."""
        return self.action == "refused"


@dataclass(frozen=True, slots=True)
class Reign:
    """A time in which a model was in use."""

    model_id: str
    kind: str
    since: str
    until: str | None
    """None for the model in use."""


def newest(connection: Connection) -> ChampionRow | None:
    """The row of the model in use, whatever its kind; None before the first."""
    query = sa.select(promotions).where(promotions.c.action != "refused")
    row = connection.execute(query.order_by(promotions.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _read(row)


def champion(connection: Connection, kind: str) -> ChampionRow | None:
    """The row of the last model of a kind that came into use and was not taken back."""
    return next((row for row in line(connection) if row.kind == kind), None)


def line(connection: Connection) -> list[ChampionRow]:
    """The model in use, then those that rollbacks would return to, one after the other."""
    rows = {row.number: row for row in history(connection)}
    found = []
    at = max(rows, default=None)
    while at is not None:
        found.append(rows[at])
        at = rows[at].back_to
    return found


def history(connection: Connection, kind: str | None = None) -> list[ChampionRow]:
    """Every time that a model (of one kind) came into use, the oldest first."""
    query = sa.select(promotions).where(promotions.c.action != "refused")
    if kind is not None:
        query = query.where(promotions.c.kind == kind)
    return [_read(row) for row in connection.execute(query.order_by(promotions.c.number))]


def decisions(connection: Connection, model_id: str) -> list[ChampionRow]:
    """All that was decided about a model, the oldest first."""
    query = sa.select(promotions).where(promotions.c.model_id == model_id)
    return [_read(row) for row in connection.execute(query.order_by(promotions.c.number))]


def reigns(connection: Connection) -> list[Reign]:
    """When each model was in use, the oldest first."""
    found: list[Reign] = []
    for row in history(connection):
        if found and found[-1].model_id == row.model_id:
            continue
        if found:
            last = found.pop()
            found.append(Reign(last.model_id, last.kind, last.since, row.at))
        found.append(Reign(row.model_id, row.kind, row.at, None))
    return found


def undecided(connection: Connection) -> str | None:
    """Id of the model that was trained here last, where nothing was decided about it yet."""
    query = sa.select(models.c.id).where(models.c.run_id.is_not(None))
    trained: str | None = connection.scalar(query.order_by(models.c.registered_at.desc(), models.c.id).limit(1))
    if trained is None or decisions(connection, trained):
        return None
    return trained


def crown(
    connection: Connection,
    model_id: str,
    kind: str,
    *,
    at: str,
    decision: Mapping[str, Any],
    action: Action = "crowned",
    over_id: str | None = None,
    actor: str | None = None,
    reason: str | None = None,
) -> ChampionRow:
    """Record that a model comes into use; its files are still to be placed."""
    before = newest(connection)
    back_to = None if before is None else before.number
    return _add(connection, action, model_id, kind, over_id, back_to, False, actor, reason, at, decision)


def refuse(
    connection: Connection, model_id: str, kind: str, *, at: str, decision: Mapping[str, Any], over_id: str | None
) -> ChampionRow:
    """Record that a model does not come into use."""
    return _add(connection, "refused", model_id, kind, over_id, None, True, None, None, at, decision)


def roll_back(
    connection: Connection,
    to: ChampionRow,
    *,
    at: str,
    over_id: str | None,
    decision: Mapping[str, Any],
    actor: str | None = None,
    reason: str | None = None,
) -> ChampionRow:
    """Record that the model of an earlier row is in use again; the next rollback goes on from that row."""
    action: Action = "rolled back"
    return _add(connection, action, to.model_id, to.kind, over_id, to.back_to, False, actor, reason, at, decision)


def taken_back(connection: Connection, model_id: str) -> ChampionRow | None:
    """The last rollback from a model, where it has not come into use again since."""
    found = None
    for row in history(connection):
        if row.action == "rolled back" and row.over_id == model_id:
            found = row
        elif row.model_id == model_id:
            found = None
    return found


def set_placed(connection: Connection, number: int) -> None:
    """Record that the files are as this row says."""
    connection.execute(sa.update(promotions).where(promotions.c.number == number).values(placed=True))


def _add(
    connection: Connection,
    action: Action,
    model_id: str,
    kind: str,
    over_id: str | None,
    back_to: int | None,
    placed: bool,
    actor: str | None,
    reason: str | None,
    at: str,
    detail: Mapping[str, Any],
) -> ChampionRow:
    number = (connection.scalar(sa.select(sa.func.max(promotions.c.number))) or 0) + 1
    row = ChampionRow(number, action, kind, model_id, over_id, back_to, placed, actor, reason, at, dict(detail))
    connection.execute(sa.insert(promotions), [{name: getattr(row, name) for name in ChampionRow.__dataclass_fields__}])
    return row


def _read(row: Any) -> ChampionRow:
    return ChampionRow(**row._mapping)
