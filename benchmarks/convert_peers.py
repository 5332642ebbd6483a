"""COCO -> YOLO by other converters, each in an environment of its own; run by ``convert.py``.

    PYTHON benchmarks/convert_peers.py ultralytics|supervision|globox|datumaro FOLDER OUTPUT

FOLDER holds ``annotations/instances_train.json`` and ``images/train/``.  Only labels are written, no pictures.  Printed
are user and all CPU seconds of the call, without the start of Python and its imports, and the label lines written.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path


def ultralytics(folder: Path, output: Path) -> Callable[[], object]:
    from ultralytics.data.converter import convert_coco

    return lambda: convert_coco(str(folder / "annotations"), str(output), cls91to80=False)


def supervision(folder: Path, output: Path) -> Callable[[], object]:
    from supervision import DetectionDataset

    source, images = folder / "annotations/instances_train.json", folder / "images/train"
    return lambda: DetectionDataset.from_coco(str(images), str(source)).as_yolo(
        annotations_directory_path=str(output / "labels")
    )


def globox(folder: Path, output: Path) -> Callable[[], object]:
    from globox import AnnotationSet  # type: ignore[import-not-found]

    def convert() -> None:
        output.mkdir(parents=True)
        found = AnnotationSet.from_coco(folder / "annotations/instances_train.json")
        numbers = {label: number for number, label in enumerate(sorted(found._labels()))}
        found.save_yolo_v5(output / "labels", label_to_id=numbers)

    return convert


def datumaro(folder: Path, output: Path) -> Callable[[], object]:
    from datumaro import Dataset  # type: ignore[import-not-found]

    return lambda: Dataset.import_from(str(folder), "coco_instances").export(
        str(output / "labels"), "yolo", save_media=False
    )


PEERS = {peer.__name__: peer for peer in (ultralytics, supervision, globox, datumaro)}


def main() -> None:
    name, folder, output = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    convert = PEERS[name](folder, output)
    before = resource.getrusage(resource.RUSAGE_SELF)
    convert()
    after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    lines = sum(path.read_bytes().count(b"\n") for path in output.rglob("*.txt") if path.stem.isdigit())
    print(json.dumps({"user": user, "cpu": user + system, "lines": lines}))


if __name__ == "__main__":
    main()
