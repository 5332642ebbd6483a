"""What a workspace's dataset holds, against what the accepted jobs of a CVAT server hold."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from cvat_people import People, Shown


def compared(people: People, folder: Path) -> None:
    """Tell how a workspace's dataset differs from what the server's accepted jobs hold."""
    held, jobs = people.accepted()
    found, doubled = dataset(folder)
    missing = sum((boxes - found.get(name, Counter())).total() for name, boxes in held.items())
    more = sum((boxes - held.get(name, Counter())).total() for name, boxes in found.items())
    print(f"  on the server: {len(jobs)} accepted jobs, {len(held)} frames, {boxes_in(held)} boxes")
    print(f"  dataset: {len(found)} frames, {boxes_in(found)} boxes")
    print(f"  frames missing {len(held.keys() - found)}, of jobs not accepted {len(found.keys() - held)}", end=", ")
    print(f"boxes missing {missing}, too many {more}, ids or frames doubled {doubled}")
    merged = set(rows(folder, "select number from jobs where merged_at = updated_at"))
    (recorded,) = rows(folder, "select count(*) from annotations where until is null")
    print(f"  database: {recorded} boxes, jobs merged but not accepted {len(merged - jobs)}", end=", ")
    print(f"accepted but not merged {len(jobs - merged)}")


def without_file(folder: Path) -> int:
    """How many versions the database knows whose own file is not there."""
    return sum(not (folder / key).exists() for key in rows(folder, "select key from dataset_versions"))


def rows(folder: Path, query: str) -> list[Any]:
    """The first column of what a workspace's database answers."""
    connection = sqlite3.connect(folder / ".dataengine" / "lineage.db")
    try:
        return [row[0] for row in connection.execute(query)]
    finally:
        connection.close()


def boxes_in(shown: Shown) -> int:
    """How many there are."""
    return sum(boxes.total() for boxes in shown.values())


def dataset(folder: Path) -> tuple[Shown, int]:
    """The newest version's file, checked against its two sides, and how much of it is there twice."""
    file = max((folder / "master_dataset").glob("master_dataset_v*.json"), key=lambda p: int(p.stem.split("_v")[1]))
    whole = json.loads(file.read_text("utf-8"))
    names = {category["id"]: category["name"] for category in whole["categories"]}
    images = {image["id"]: image["file_name"] for image in whole["images"]}
    found: Shown = {name: Counter() for name in images.values()}
    for box in whole["annotations"]:
        found[images[box["image_id"]]][names[box["category_id"]], *(round(v, 2) for v in box["bbox"])] += 1
    doubled = len(whole["images"]) - len(found)
    for value in ("id", "proposal"):
        told = [box["attributes"][value] for box in whole["annotations"] if value in box["attributes"]]
        doubled += len(told) - len(set(told))
    sides = [json.loads((folder / "master_dataset" / f"{side}.json").read_text("utf-8")) for side in ("train", "valid")]
    on_sides = [image["file_name"] for side in sides for image in side["images"]]
    assert set(on_sides) <= set(found)
    return found, doubled + len(on_sides) - len(set(on_sides))
