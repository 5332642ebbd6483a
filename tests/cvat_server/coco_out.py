"""Export as COCO 1.0: what of a job, task or project is in it, under which ids, and the zip."""

from __future__ import annotations

import json
import os.path
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .annotation import box, merged
from .records import Frame, Job, Label, Shape, Task
from .state import State

Row = dict[str, Any]
_HEAD = {
    "licenses": [{"name": "", "id": 0, "url": ""}],
    "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
}


def write(state: State, tasks: list[Task], job: Job | None, images: bool, to: Path) -> None:
    """One ``instances_<subset>.json`` a subset, and the images where they are wanted.

    Ids are the server's own: images count from 1 by name, so that two subsets share the id of a name that both have;
    annotations count from 1 in each subset; categories are the labels in their order.  Only a frame's name is a key
    that stays.
    """
    labels = state.labels_of(tasks[0]) if tasks else []
    subsets: dict[str, list[tuple[Task, int, str]]] = {}
    for task in sorted(tasks, key=lambda task: (task.subset, task.id)):
        names = subsets.setdefault(task.subset or "default", [])
        taken = {name for _, _, name in names}
        for number in _numbers(state, task, job):
            assert task.data is not None
            names.append((task, number, _unique(task.data.frames[number].name, taken)))
    shapes = {task.id: _by_frame(state, task, job) for task in tasks}
    image_ids: dict[str, int] = {}
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as zipped:
        for subset, rows in subsets.items():
            made_images: list[Row] = []
            made: list[Row] = []
            annotation_id = 0
            for task, number, name in rows:
                image_id = image_ids.setdefault(name, len(image_ids) + 1)
                assert task.data is not None
                frame = task.data.frames[number]
                made_images.append(_image(image_id, name, frame))
                for shape in shapes[task.id].get(number, ()):
                    annotation_id += 1
                    made.append(_annotation(annotation_id, image_id, shape, labels, frame))
                if images:
                    zipped.write(frame.file, f"images/{subset}/{name}")
            categories = [{"id": at, "name": label.name, "supercategory": ""} for at, label in enumerate(labels, 1)]
            value = {**_HEAD, "categories": categories, "images": made_images, "annotations": made}
            text = json.dumps(value, separators=(",", ":"))
            zipped.writestr(f"annotations/instances_{subset}.json", text)


def _numbers(state: State, task: Task, job: Job | None) -> list[int]:
    """The frames that are exported: those of the job, without deleted ones and without repeats of a validation pool."""
    assert task.data is not None
    deleted = set(task.data.deleted)
    numbers = job.frames() if job else range(len(task.data.frames))
    return [number for number in numbers if number not in deleted and task.data.frames[number].honeypot_of is None]


def _unique(name: str, taken: set[str]) -> str:
    """``x.jpg``, and ``x_1.jpg`` where two tasks of a subset have one name."""
    stem, ending = os.path.splitext(name)
    number = 0
    while (tried := f"{stem}_{number}{ending}" if number else name) in taken:
        number += 1
    taken.add(tried)
    return tried


def _by_frame(state: State, task: Task, job: Job | None) -> dict[int, list[Row]]:
    assert task.data is not None
    rows: dict[str, list[Shape]] = merged(state, task) if job is None else {"shapes": job.shapes, "tracks": job.tracks}
    found: dict[int, list[Row]] = {}
    for shape in rows["shapes"]:
        found.setdefault(shape["frame"], []).append(shape)
    last = job.stop if job else len(task.data.frames) - 1
    for number, track in enumerate(rows["tracks"]):
        for shape in interpolated(track, last):
            found.setdefault(shape["frame"], []).append({**shape, "track_id": number})
    return found


def interpolated(track: Shape, last: int) -> Iterator[Shape]:
    """A track's box on every frame: moved evenly between its key frames, and standing still after the last."""
    keys = sorted(track["shapes"], key=lambda shape: shape["frame"])
    for at, key in enumerate(keys):
        following = keys[at + 1] if at + 1 < len(keys) else None
        end = following["frame"] - 1 if following else last
        for frame in range(key["frame"], end + 1):
            if key["outside"]:
                continue
            points = key["points"]
            if following and not following["outside"]:
                share = (frame - key["frame"]) / (following["frame"] - key["frame"])
                points = [a + (b - a) * share for a, b in zip(points, following["points"], strict=True)]
            shape = {**track, **key, "frame": frame, "points": points, "keyframe": frame == key["frame"]}
            yield {**shape, "attributes": track["attributes"], "label_id": track["label_id"]}


def _image(number: int, name: str, frame: Frame) -> Row:
    return {
        "id": number,
        "width": frame.width,
        "height": frame.height,
        "file_name": name,
        "license": 0,
        "flickr_url": "",
        "coco_url": "",
        "date_captured": 0,
    }


def _annotation(number: int, image: int, shape: Row, labels: list[Label], frame: Frame) -> Row:
    at = next(at for at, label in enumerate(labels) if label.id == shape["label_id"])
    points = shape["points"]
    x1, y1, x2, y2 = box(points)
    extra: Row = {**_attributes(labels[at], shape), "occluded": shape["occluded"]}
    if shape["type"] == "rectangle":
        segmentation: list[list[float]] = []
        area = (x2 - x1) * (y2 - y1)
        extra["rotation"] = float(shape["rotation"])
    else:
        segmentation = [[round(value, 2) for value in points]]
        area = _area(points, frame)
    if "track_id" in shape:
        extra |= {"track_id": shape["track_id"], "keyframe": shape["keyframe"]}
    return {
        "id": number,
        "image_id": image,
        "category_id": at + 1,
        "segmentation": segmentation,
        "area": round(area, 2),
        "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
        "iscrowd": 0,
        "attributes": extra,
    }


def _attributes(label: Label, shape: Row) -> Row:
    """All attributes of the label, as what they are: numbers, truths or text."""
    have = {row["spec_id"]: row["value"] for row in shape["attributes"]}
    made: Row = {}
    for attribute in label.attributes:
        value = have.get(attribute.id, attribute.default)
        if attribute.input_type == "checkbox":
            made[attribute.name] = value.lower() == "true"
        elif attribute.input_type == "number":
            made[attribute.name] = float(value or 0)
        else:
            made[attribute.name] = value
    return made


def _area(points: list[float], frame: Frame) -> float:
    """Of a polygon, in the pixels that it covers."""
    from pycocotools import mask

    return float(mask.area(mask.merge(mask.frPyObjects([points], frame.height, frame.width))))
