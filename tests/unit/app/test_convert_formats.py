"""``convert --format voc|cvat``, from the command line to the folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_engine.cli.main import main

FILE = {
    "images": [
        {"id": 1, "file_name": "a.jpg", "width": 100, "height": 50, "split": "train"},
        {"id": 2, "file_name": "b.jpg", "width": 100, "height": 50, "split": "valid"},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3.5, 4]},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "attributes": {"rotation": 30}},
        {"id": 3, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 1},
    ],
    "categories": [{"id": 1, "name": "person"}],
}


@pytest.mark.parametrize(
    ("kind", "file", "turned"),
    [("voc", "Annotations/a.xml", 1), ("cvat", "annotations.xml", 0)],
)
def test_the_folder_and_the_report(
    kind: str,
    file: str,
    turned: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"picture")
    (tmp_path / "labels.json").write_text(json.dumps(FILE))
    words = ["convert", "--input", "labels.json", "--output", f"out/{kind}", "--format", kind, "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    train, valid = report["rows"]
    assert (train["format"], train["images"], train["boxes"]) == (kind, 1, 1)
    assert (train["crowds_dropped"], train["turned_dropped"]) == (1, turned)
    assert (valid["images"], valid["backgrounds"]) == (1, 1)
    assert "person" in (tmp_path / "out" / kind / "train" / file).read_text("utf-8")
    # No trainer reads it: the loop does not go on from here.
    assert not report.get("next")
