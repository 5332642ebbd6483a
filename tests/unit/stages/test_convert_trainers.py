"""The training folders, as the trainers themselves read them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage
from data_engine.stages.convert import convert_rfdetr, convert_yolo
from data_engine.storage.local import LocalStorage
from data_engine.types import Category, ClassRegistry

# "object" has no box and is the others' supercategory; the ids have a gap; "no" is a YAML trap.
REGISTRY = ClassRegistry([Category(2, "object"), Category(5, "no"), Category(9, "Helm ä")])
NAMES = ("b.jpg", "cam 1/images/a ä.png", "leer.jpg")
BOXES = (
    CocoAnnotation(1, 1, 9, (10, 10, 20, 20)),
    CocoAnnotation(2, 1, 5, (50, 20, 50, 30)),
    CocoAnnotation(3, 2, 9, (0, 0, 100, 50)),
    CocoAnnotation(4, 2, 5, (0, 0, 50, 50), iscrowd=True),
)


class Quiet:
    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...
    def advance(self, amount: int = 1) -> None: ...
    def note(self, text: str) -> None: ...
    def finish(self) -> None: ...


def converted(tmp_path: Path, convert: Any) -> Path:
    storage = LocalStorage(tmp_path / "arbeits platz")
    for name in NAMES:
        with storage.writing(f"frames/{name}") as path:
            Image.new("RGB", (100, 50), "grey").save(path)
    images = tuple(CocoImage(number, name, 100, 50) for number, name in enumerate(NAMES, 1))
    for split in ("train", "valid"):
        convert(
            CocoDataset(images, BOXES, REGISTRY),
            split,
            storage=storage,
            root="final_labels/x",
            find_picture=lambda image: f"frames/{image.file_name}",
            progress=Quiet(),
        )
    return storage.path("final_labels/x")


def ask(program: str, *arguments: str, tmp_path: Path) -> Any:
    """What a fresh Python prints as JSON."""
    environment = os.environ | {
        "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_CONFIG_DIR": str(tmp_path), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


READ_YOLO = """
import json, os, sys
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
found = []
for folder, description in zip(sys.argv[1::2], sys.argv[2::2]):
    os.chdir(folder)
    data = check_det_dataset(description, autodownload=False)
    found.append([data["names"], data["train"], data["val"]])
read = {}
for split in ("train", "val"):
    labels = YOLODataset(img_path=data[split], data=data, imgsz=64, augment=False).labels
    read[split] = {label["im_file"].split("/images/", 1)[1]:
        [label["cls"].ravel().tolist(), label["bboxes"].round(6).astype(float).round(6).tolist()] for label in labels}
print(json.dumps([found, read]))
"""


@pytest.mark.required
def test_ultralytics_reads_the_folder_from_anywhere(tmp_path: Path) -> None:
    if importlib.util.find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed")
    folder = converted(tmp_path, convert_yolo)
    places = [tmp_path, folder / "data.yaml", folder, "data.yaml", folder.parent, "x/data.yaml"]
    found, read = ask(READ_YOLO, *map(str, places), tmp_path=tmp_path)
    names = {"0": "object", "1": "no", "2": "Helm ä"}
    assert found == 3 * [[names, str(folder / "train" / "images"), str(folder / "valid" / "images")]]
    for split in ("train", "val"):
        assert read[split] == {
            "b.jpg": [[2, 1], [[0.2, 0.4, 0.2, 0.4], [0.75, 0.7, 0.5, 0.6]]],
            "cam 1/images/a ä.png": [[2], [[0.5, 0.5, 1, 1]]],
            "leer.jpg": [[], []],
        }


READ_RFDETR = """
import json, sys
from pathlib import Path
from rfdetr.datasets.coco import CocoDetection, filter_parent_categories, annotated_category_ids
read = {}
for split in ("train", "valid"):
    folder = Path(sys.argv[1]) / split
    file = folder / "_annotations.coco.json"
    data = CocoDetection(folder, file, transforms=None, remap_category_ids=True)
    names = [c["name"] for c in filter_parent_categories(json.loads(file.read_text())["categories"])]
    targets = [data[number][1] for number in range(len(data))]
    read[split] = [names, data.cat2label, [[t["labels"].tolist(), t["boxes"].tolist()] for t in targets]]
print(json.dumps(read))
"""


@pytest.mark.required
def test_rfdetr_numbers_the_classes_as_the_registry_does(tmp_path: Path) -> None:
    if importlib.util.find_spec("rfdetr") is None:
        pytest.skip("rfdetr is not installed")
    folder = converted(tmp_path, convert_rfdetr)
    for names, numbers, targets in ask(READ_RFDETR, str(folder), tmp_path=tmp_path).values():
        assert names == list(REGISTRY.names)
        assert numbers == {"2": 0, "5": 1, "9": 2}
        assert targets == [
            [[2, 1], [[10, 10, 30, 30], [50, 20, 100, 50]]],
            [[2], [[0, 0, 100, 50]]],
            [[], []],
        ]
