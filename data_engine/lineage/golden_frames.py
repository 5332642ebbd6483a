"""What decides whether frames may become golden: their boxes, and the models that were trained on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import accepted, dataset_frames, dataset_versions, models


@dataclass(frozen=True, slots=True)
class Trained:
    """A registered model, and the number of the dataset version that it was trained on (None: nobody knows)."""

    model_id: str
    version: int | None


def trained_models(connection: Connection) -> list[Trained]:
    """Every registered model, by id."""
    query = (
        sa.select(models.c.id, dataset_versions.c.number)
        .outerjoin(dataset_versions, models.c.dataset_version_id == dataset_versions.c.id)
        .order_by(models.c.id)
    )
    return [Trained(*row) for row in connection.execute(query)]


def trained_on(connection: Connection, versions: set[int]) -> dict[str, set[int]]:
    """The frames that models of these versions were trained on, each with those of the versions that it trained."""
    held = dataset_frames.c
    query = sa.select(held.frame_id, held.since, held.until).where(held.split == "train")
    found: dict[str, set[int]] = {}
    for frame_id, since, until in connection.execute(query):
        seen = {version for version in versions if since <= version and (until is None or version < until)}
        if seen:
            found.setdefault(frame_id, set()).update(seen)
    return found


def boxes_by_frame(connection: Connection) -> dict[str, Counter[int]]:
    """How many boxes of each class every frame of the newest version has; frames without a box are left out."""
    box = accepted.c
    query = sa.select(box.frame_id, box.category_id, sa.func.count()).where(box.until.is_(None))
    found: dict[str, Counter[int]] = {}
    for frame_id, category, number in connection.execute(query.group_by(box.frame_id, box.category_id)):
        found.setdefault(frame_id, Counter())[category] = number
    return found
