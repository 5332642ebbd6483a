"""Import of COCO 1.0: what a file must say, and which message refuses it."""

from __future__ import annotations

import io
import json
import os.path
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from .annotation import attributes
from .records import Job, Label, Shape, Task
from .state import State
from .workers import WorkError

ERROR = "cvat.apps.dataset_manager.bindings.CvatImportError"


def shapes(state: State, task: Task, job: Job | None, file: Path) -> list[Shape]:
    """The boxes and polygons of a file, for the frames of a task or of one job.

    Raises:
        WorkError: the whole file is refused, as the real server words it.
    """
    where = file.parent / "annotations" / "default.json"
    value = _read(file, where)
    for name in ("images", "annotations", "categories"):
        if name not in value:
            raise WorkError(
                f"{ERROR}: Failed to import dataset 'coco_instances' at '{where}': Missing annotation field '{name}'"
            )
    for annotation in value["annotations"]:
        for name in ("image_id", "category_id", "bbox", "segmentation"):
            if name not in annotation:
                item = f"Failed to import item ({annotation.get('image_id')}, 'default') annotation"
                said = f"{item}: Missing annotation field '{name}'"
                raise WorkError(f"{ERROR}: Failed to import dataset 'coco_instances' at '{where}': {said}")
    by_image: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in value["images"]}
    for annotation in value["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    categories = {row["id"]: row["name"] for row in value["categories"] if row["id"] != 0}
    labels = {label.name: label for label in state.labels_of(task)}
    frames = _Frames(task, job)
    frames.find_root([_stem(image["file_name"]) for image in value["images"]])
    made: list[Shape] = []
    for image in value["images"]:
        item = _stem(image["file_name"])
        frame = frames.match(item)
        if frame is None:
            if job is not None and job.type == "ground_truth" and _Frames(task, None).match(item) is not None:
                continue
            raise WorkError(f"{ERROR}: Could not match item id: '{item}' with any task frame")
        for number, annotation in enumerate(by_image[image["id"]]):
            try:
                made += _one(annotation, frame, categories, labels)
            except ValueError as error:
                kind = "polygon" if annotation.get("segmentation") else "bbox"
                said = f"Image {item}: can't import annotation #{number} ({kind}): {error}"
                raise WorkError(f"{ERROR}: {said}") from None
    return made


def _read(file: Path, where: Path) -> dict[str, Any]:
    content = file.read_bytes()
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as zipped:
            names = [name for name in zipped.namelist() if PurePosixPath(name).suffix == ".json"]
            if not names:
                raise WorkError(f'{ERROR}: Dataset must contain a file: "annotations/*.json"')
            content = zipped.read(names[0])
    try:
        value = json.loads(content)
        if not isinstance(value, dict):
            raise ValueError
    except ValueError:
        said = "unexpected character: line 1 column 1 (char 0)"
        raise WorkError(f"{ERROR}: Failed to import dataset 'coco_instances' at '{where}': {said}") from None
    return value


class _Frames:
    """Finds frames by name without its ending, as the real server does: with a common folder in front, or by number."""

    def __init__(self, task: Task, job: Job | None) -> None:
        assert task.data is not None
        numbers = job.frames() if job else range(len(task.data.frames))
        named = [(number, task.data.frames[number]) for number in numbers]
        self._numbers = set(numbers)
        self._names = {_stem(frame.name): number for number, frame in named if frame.honeypot_of is None}
        self._paths = {number: frame.name for number, frame in named}
        self._root = ""

    def find_root(self, items: list[str]) -> None:
        """The folder that the frames have in front of the file's longest name, when one frame ends as that does."""
        longest = max(items, key=lambda item: len(PurePosixPath(item).parts), default=None)
        if longest is None:
            return
        parts = PurePosixPath(longest).parts
        for name, number in self._names.items():
            if PurePosixPath(name).parts[-len(parts) :] == parts:
                folder, own = os.path.dirname(self._paths[number]), os.path.dirname(longest)
                self._root = (folder[: -len(own)] if own else folder).rstrip("/")
                return

    def match(self, item: str) -> int | None:
        found = self._names.get(item)
        if found is None and self._root and not item.startswith(self._root):
            found = self._names.get(f"{self._root}/{item}")
        if found is None and item.isdecimal() and int(item) in self._numbers:
            return int(item)
        return found


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _one(annotation: dict[str, Any], frame: int, categories: dict[Any, str], labels: dict[str, Label]) -> list[Shape]:
    name = categories.get(annotation["category_id"])
    if name is None:
        raise ValueError("annotation has no label")
    label = labels.get(name)
    if label is None:
        raise ValueError(f"Label '{name}' is not registered for this task")
    said = dict(annotation.get("attributes") or {})
    score = annotation.get("score", said.get("score"))
    common = {
        "id": None,
        "label_id": label.id,
        "frame": frame,
        "group": 0,
        "source": "file",
        "score": 1.0 if score is None else float(score),
        "occluded": bool(said.get("occluded", False)),
        "outside": False,
        "z_order": 0,
        "rotation": float(said.get("rotation", 0.0)),
        "attributes": attributes(label, said),
        "elements": [],
    }
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        return [{**common, "type": "polygon", "points": [round(float(n), 2) for n in part]} for part in segmentation]
    x, y, width, height = (float(number) for number in annotation["bbox"])
    points = [round(number, 2) for number in (x, y, x + width, y + height)]
    return [{**common, "type": "rectangle", "points": points}]
