"""The same pictures in two tasks, as two machines would make them, and people who say what they like in each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from drawn_workspace import CLASSES, Workspace

from data_engine.app.annotation.review import accept, reject, submit
from data_engine.app.annotation.upload import upload
from data_engine.app.engine import Engine
from data_engine.lineage import uploads
from data_engine.lineage.tables import metadata, tasks
from data_engine.types import content_id

XYWH = tuple[float, float, float, float]
Said = tuple[str, XYWH]
PERSON, HELMET = CLASSES
LEFT: Said = (PERSON, (2.0, 2.0, 12.0, 20.0))
RIGHT: Said = (PERSON, (40.0, 2.0, 12.0, 20.0))
LOW: Said = (HELMET, (20.0, 30.0, 10.0, 8.0))


def moved(said: Said, by: float) -> Said:
    label, (x, y, w, h) = said
    return label, (x + by, y, w, h)


def two_jobs(workspace: Workspace, pictures: int = 2, **overrides: dict[str, Any]) -> tuple[Engine, int, int]:
    """A workspace with its pictures in one job of each of two tasks; the engine, and the jobs' numbers."""
    size = {"task_size": pictures, "job_size": pictures, "assignee": ["ann@example.com"]}
    engine = workspace.open(upload=size, **overrides)
    upload(engine, frames=workspace.draw("in", range(pictures)))
    backend = engine.backend()
    (first,) = backend.jobs()
    with engine.database.write() as connection:
        row = connection.execute(tasks.select().where(tasks.c.number == first.task_id)).one()
        known = uploads.planned_task(connection, row.id)
        names = uploads.frame_names(connection, row.id)
        twin = replace(known, spec=replace(known.spec, uid=content_id("task", "twin"), name="twin"))
        uploads.plan_task(connection, twin, backend="local", run_id=row.run_id, frame_ids=names, model_id=None)
        uploads.task_created(connection, twin.spec.uid, first.task_id + 1)
    second = backend.create_task(twin.spec)
    return engine, first.id, backend.jobs(second.id)[0].id


def say(engine: Engine, job: int, *of_frames: Sequence[Said]) -> None:
    """What an annotator draws on the job's frames, in order of their names, is submitted and accepted."""
    if engine.backend().job(job).accepted:
        reject(engine, job, "not yet", by="rev@example.com")
    path = Path(engine.backend().link_of(job))
    document = json.loads(path.read_text("utf-8"))
    ids = {category["name"]: category["id"] for category in document["categories"]}
    images = sorted(document["images"], key=lambda image: image["file_name"])
    document["annotations"] = []
    for image, boxes in zip(images, of_frames, strict=True):
        for label, xywh in boxes:
            document["annotations"].append(
                {"id": len(document["annotations"]) + 1, "image_id": image["id"], "category_id": ids[label],
                 "bbox": list(xywh), "area": xywh[2] * xywh[3], "iscrowd": 0, "segmentation": []}
            )  # fmt: skip
    path.write_text(json.dumps(document), "utf-8")
    submit(engine, job)
    accept(engine, [job], by="rev@example.com")


def held(engine: Engine, version: int) -> list[set[Said]]:
    """What a version's file says of each frame, in order of their names."""
    document = json.loads((engine.root / f"master_dataset/master_dataset_v{version}.json").read_text("utf-8"))
    found: dict[int, set[Said]] = {image["id"]: set() for image in document["images"]}
    for box in document["annotations"]:
        found[box["image_id"]].add((CLASSES[box["category_id"] - 1], tuple(box["bbox"])))
    return list(found.values())


def rows_of(engine: Engine) -> dict[str, list[Any]]:
    """Every row of every table."""
    with engine.database.read() as connection:
        return {name: sorted(map(repr, connection.execute(table.select()))) for name, table in metadata.tables.items()}
