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


def test_no_picture_of_a_file_is_left_out_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    images = [
        {"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 50, **said}
        for n, said in enumerate([{"split": "train"}, {"split": "val"}, {"split": "test"}, {"split": "test"}, {}], 1)
    ]
    for image in images:
        (tmp_path / str(image["file_name"])).write_bytes(b"picture")
    (tmp_path / "labels.json").write_text(json.dumps({**FILE, "images": images, "annotations": []}))
    assert main(["convert", "--input", "labels.json", "--output", "out", "--format", "yolo", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    # COCO's own word for the validation side is understood.
    assert [(row["split"], row["images"]) for row in report["rows"]] == [("train", 1), ("valid", 1)]
    assert report["notes"] == ["3 pictures for neither training nor validation left out: not said 1, test 2"]


def test_run_refuses_to_write_what_nothing_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", ".", "--classes", "person"]) == 0
    capsys.readouterr()
    assert main(["run", "--convert-format", "voc", "--retrain-kind", "yolo"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: run trains a yolo model, and [convert] format voc writes no folder to train it on",
        "hint: dataengine run --convert-format yolo; and for other tools: dataengine convert --format voc",
    ]
