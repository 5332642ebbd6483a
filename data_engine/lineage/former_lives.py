"""What boxes first began as: one that was looked at again began as the box that it was before (ADR 0028)."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from data_engine.lineage.database import Connection, rows_where_in
from data_engine.lineage.tables import accepted, requeued
from data_engine.types import Annotation


class FormerLives:
    """Follows boxes from one life to the one before.

    Args:
        connection: one state of the database.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Only on these is a proposal ever a box: of the others nothing has to be looked up.
        self._frames = set(connection.scalars(sa.select(requeued.c.frame_id).distinct()))

    def of(self, boxes: Iterable[Annotation]) -> dict[str, str]:
        """The proposal (or box) that the proposals of these boxes first began as, by the proposal's id.

        Proposals that are no box of an earlier life are left out: they are the beginning.
        """
        asked = {box.proposal_id for box in boxes if box.frame_id in self._frames and box.proposal_id is not None}
        before: dict[str, str | None] = {}
        query = sa.select(accepted.c.id, accepted.c.proposal_id).distinct()
        ahead = asked
        while ahead:
            found = {row.id: row.proposal_id for row in rows_where_in(self._connection, query, accepted.c.id, ahead)}
            before |= found
            ahead = {began for began in found.values() if began is not None} - before.keys()
        return {proposal: _first(proposal, before) for proposal in sorted(asked & before.keys())}


def _first(box: str, before: dict[str, str | None]) -> str:
    """The id at the end of the chain."""
    while (began := before.get(box)) is not None:
        box = began
    return box
