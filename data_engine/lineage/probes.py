"""Boxes that are known to be wrong: which were shown where, and what they stand for.

A probe is a proposal of no model, and so are the rows that tell how it was shown; the proposal that it replaces is kept
beside them without a position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, rows_where_in
from data_engine.lineage.tables import probes, proposals
from data_engine.types import Box, Probe, ProbeKind

NOT_SHOWN = -1
"""``proposals.position`` of a proposal that a probe stands for."""


def record(
    connection: Connection,
    task_id: str,
    planned: Mapping[str, Probe],
    *,
    frame_ids: Mapping[str, str],
    model_id: str | None,
) -> None:
    """Record the probes of a task that was planned with them in the place of proposals.

    Args:
        planned: by name inside the task.
        frame_ids: name inside the task -> frame id.
        model_id: whose proposals they stand among.
    """
    rows: list[dict[str, Any]] = []
    hidden: list[dict[str, Any]] = []
    for name, probe in planned.items():
        place = {"task_id": task_id, "frame_id": frame_ids[name]}
        box, replaced = probe.box, probe.replaces
        rows.append(
            {
                **place,
                **_geometry(box),
                "id": box.proposal_id,
                "kind": probe.kind,
                "replaces": None if replaced is None else replaced.proposal_id,
            }
        )
        if replaced is not None:
            hidden.append(
                {
                    **place,
                    **_geometry(replaced),
                    "id": replaced.proposal_id,
                    "model_id": model_id,
                    "score": replaced.score,
                    "iscrowd": replaced.iscrowd,
                    "attributes": dict(replaced.attributes),
                    "position": NOT_SHOWN,
                }
            )
    insert_new(connection, probes, rows)
    insert_new(connection, proposals, hidden)
    for row in rows:
        shown = (proposals.c.id == row["id"]) & (proposals.c.task_id == task_id)
        connection.execute(sa.update(proposals).where(shown).values(model_id=None))


def any_in(connection: Connection, task_id: str) -> bool:
    """Whether a task has probes."""
    return connection.scalar(sa.select(probes.c.id).where(probes.c.task_id == task_id).limit(1)) is not None


def on_frames(connection: Connection, task_id: str, frame_ids: Iterable[str]) -> dict[str, list[Probe]]:
    """The probes on these frames of a task, by frame id; frames without one are left out."""
    shown, hidden = proposals.alias(), proposals.alias()
    of_task = probes.c.task_id == task_id
    query = (
        sa.select(
            probes,
            shown.c.score,
            *(hidden.c[name].label(f"real_{name}") for name in ("label", "x", "y", "w", "h", "score", "attributes")),
        )
        .join(shown, (shown.c.id == probes.c.id) & (shown.c.task_id == task_id))
        .outerjoin(hidden, (hidden.c.id == probes.c.replaces) & (hidden.c.task_id == task_id))
        .where(of_task)
        .order_by(probes.c.id)
    )
    found: dict[str, list[Probe]] = {}
    for row in rows_where_in(connection, query, probes.c.frame_id, frame_ids):
        box = Box(row.label, (row.x, row.y, row.w, row.h), row.score, row.id)
        real = None
        if row.replaces is not None:
            corners = (row.real_x, row.real_y, row.real_w, row.real_h)
            real = Box(row.real_label, corners, row.real_score, row.replaces, attributes=row.real_attributes)
        found.setdefault(row.frame_id, []).append(Probe(cast("ProbeKind", row.kind), box, real))
    return found


def _geometry(box: Box) -> dict[str, Any]:
    x, y, w, h = box.xywh
    return {"label": box.label, "x": x, "y": y, "w": w, "h": h}
