"""An import that is tried before it is made: for a dry run, and to ask people about what it says otherwise."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.app.merge.export_conflicts import Ask, Asking, names_of
from data_engine.app.merge.export_plan import Decide
from data_engine.app.merge.import_merge import Boxes, Given, Outcome, merge_import
from data_engine.errors import ConflictError
from data_engine.lineage import footage, models
from data_engine.words import counted, listed

if TYPE_CHECKING:
    from data_engine.app.merge.export_plan import Dispute, Kept


class _UndoneError(Exception):
    """Ends the transaction of a trial."""


def tried(engine: Engine, given: Given, boxes: Boxes) -> Outcome:
    """What would come of an import: it is done in a transaction that is taken back."""
    outcome = Outcome()
    with contextlib.suppress(_UndoneError), engine.database.write() as connection:
        models.add_classes(connection, given.classes.names)
        footage.add_frames(connection, given.frames.values())
        outcome = merge_import(engine, connection, given, boxes, run="", dry_run=True)
        raise _UndoneError
    return outcome


def answered(engine: Engine, given: Given, boxes: Boxes, ask: Ask | None) -> Decide:
    """Ask about each frame on which the dataset and an import disagree, before anything is written.

    To be called while no other version can be made: what is asked about is what is merged then.

    Raises:
        ConflictError: they disagree, and nobody can be asked.
    """
    disputes = tried(engine, given, boxes).disputes
    with engine.database.read() as connection:
        if disputes and ask is None:
            names = names_of(connection, disputes)
            where = sorted(names[dispute.frame_id] for dispute in disputes)
            raise ConflictError(
                f"the dataset says something else on {counted(len(where), 'frame')}: {listed(where, 3)}",
                hint="import where you can be asked, or with --on-conflict newest (these boxes), or held (the others)",
            )
        kept: dict[str, Kept] = {}
        if ask is not None:
            asking = Asking(connection, given.classes, ask, {given.made.job_id: f"the import of {given.made.name}"})
            kept = {dispute.frame_id: asking(dispute) for dispute in disputes}

    def decide(dispute: Dispute) -> Kept:
        return kept[dispute.frame_id]

    return decide
