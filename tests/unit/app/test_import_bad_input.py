"""``dataset import`` of what is damaged or contradicts itself: what is refused, what is named, what comes in."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import cv2
import pytest
from drawn_workspace import draw

from data_engine.app.merge.dataset_import import Wanted, import_dataset
from data_engine.cli.main import main
from data_engine.errors import DamagedInputError, MissingInputError

BOX = (3.0, 4.0, 20.0, 12.0)


def coco(names: list[str], *boxes: tuple[float, ...], **annotation: Any) -> str:
    """A file with one box a picture, and further ones on the first."""
    images = [{"id": n, "file_name": name, "width": 64, "height": 48} for n, name in enumerate(names, 1)]
    drawn = [(image["id"], BOX) for image in images] + [(1, box) for box in boxes]
    rows = [
        {"id": n, "image_id": image, "category_id": 1, "bbox": list(box), **annotation}
        for n, (image, box) in enumerate(drawn, 1)
    ]
    return json.dumps({"images": images, "annotations": rows, "categories": [{"id": 1, "name": "person"}]})


@pytest.fixture
def typed(workspace, tmp_path, monkeypatch, capsys):
    """Imports what a test makes in a folder, as it is typed."""
    monkeypatch.chdir(workspace.root)

    def call(source: Path, *options: str) -> tuple[int, dict[str, Any], str]:
        code = main(["dataset", "import", str(source), "--json", *options])
        told = capsys.readouterr()
        return code, json.loads(told.out or "{}"), "" if told.out else json.loads(told.err)["error"]

    return call


def labels(folder: Path, text: str, *, part: str = "a") -> Path:
    draw(folder / part / "images" / "x.jpg", 1)
    (folder / part / "labels.json").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("bbox", "reason"),
    [
        ("[1, 2, NaN, 4]", "a/labels.json: annotations[0].bbox[2] is NaN, which is not a number"),
        ("[1, 2, 0, 4]", "a/labels.json: annotation 1 has a box of 0 x 4 pixels: x.jpg is left out"),
        ("[1, 2, -3, 4]", "a/labels.json: annotation 1 has a box of -3 x 4 pixels: x.jpg is left out"),
    ],
)
def test_numbers_that_are_no_box(typed, tmp_path, bbox, reason):
    source = labels(tmp_path / "bees", coco(["x.jpg"]).replace("[3.0, 4.0, 20.0, 12.0]", bbox))
    code, _report, error = typed(source)
    assert (code, error) == (4, f"bees: no file can be used; the first: {reason}")
    # Beside a sound part it is one failure, and the part comes in.
    code, report, _error = typed(labels(source, coco(["x.jpg"]), part="b"))
    assert (code, report["frames_added"], len(report["failures"])) == (8, 1, 1)


def test_json_that_breaks_off(typed, tmp_path):
    source = labels(tmp_path / "bees", coco(["x.jpg"])[:-30])
    code, _report, error = typed(source)
    reason = "a/labels.json ends in the middle: it is a truncated piece of JSON, not a COCO file"
    assert (code, error) == (4, f"bees: no file can be used; the first: {reason}")
    code, report, _error = typed(labels(source, coco(["x.jpg"]), part="b"))
    assert (code, report["frames_added"], report["failures"][0]["input"]) == (8, 1, "a/labels.json")


def test_json_of_two_gigabytes_is_refused_before_it_is_read(typed, tmp_path):
    source = labels(tmp_path / "bees", coco(["x.jpg"]), part="b")
    huge = source / "a" / "labels.json"
    huge.parent.mkdir()
    huge.write_text('{"images": [')
    with huge.open("r+b") as file:  # a hole, which takes no room on the disk
        file.truncate(2 << 30)
    code, report, _error = typed(source)
    assert (code, report["frames_added"]) == (8, 1)
    assert report["failures"] == [
        {
            "input": "a/labels.json",
            "reason": "a/labels.json has 2147483648 bytes, more than the 1073741824 that are read of one file: "
            "split it by its pictures",
        }
    ]


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/x.jpg", "C:\\x.jpg", "a/../../x.jpg"])
def test_archives_that_climb_out(typed, workspace, tmp_path, name):
    packed = tmp_path / "bees.zip"
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("labels.json", coco(["x.jpg"]))
        file.writestr(name, b"x")
    code, _report, error = typed(packed)
    assert (code, error) == (4, f"bees.zip: the entry {name!r} climbs out of its folder")
    assert not (workspace.root / "imported").exists()


def test_a_file_name_that_climbs_out_of_labels(typed, tmp_path):
    code, _report, error = typed(labels(tmp_path / "bees", coco(["../x.jpg"])))
    assert code == 4
    assert error.endswith("a/labels.json: the file name '../x.jpg' of image 1 climbs out of its folder")


def test_pictures_that_are_none(typed, tmp_path):
    source = labels(tmp_path / "bees", coco(["x.jpg", "y.jpg", "z.jpg"]))
    (source / "a" / "images" / "y.jpg").write_bytes(b"no picture")
    ok, data = cv2.imencode(".png", cv2.imread(str(draw(tmp_path / "s.png", 3))))
    assert ok
    (source / "a" / "images" / "z.jpg").write_bytes(data.tobytes()[:200])
    code, report, _error = typed(source)
    assert (code, report["frames_added"]) == (8, 1)
    assert sorted(failure["input"] for failure in report["failures"]) == ["a/images/y.jpg", "a/images/z.jpg"]


def test_nothing_there_and_nothing_known(workspace, tmp_path):
    engine = workspace.open()
    with pytest.raises(MissingInputError, match="nowhere is not there"):
        import_dataset(engine, tmp_path / "nowhere", Wanted())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DamagedInputError, match="holds no labels that are known"):
        import_dataset(engine, tmp_path / "empty", Wanted())
    (tmp_path / "x.zip").write_bytes(b"no archive")
    with pytest.raises(DamagedInputError, match=r"^x\.zip is not a zip archive, or it is damaged$"):
        import_dataset(engine, tmp_path / "x.zip", Wanted())


def test_a_box_without_area_costs_its_picture_and_no_other(typed, tmp_path):
    source = labels(tmp_path / "bees", coco(["x.jpg", "y.jpg"], (1, 2, 0, 4)))
    draw(source / "a" / "images" / "y.jpg", 2)
    code, report, _error = typed(source)
    assert (code, report["frames_added"], report["boxes_added"]) == (8, 1, 1)
    assert [failure["reason"] for failure in report["failures"]] == [
        "a/labels.json: annotation 3 has a box of 0 x 4 pixels: x.jpg is left out"
    ]
    # Not for a picture that nobody labelled.
    assert report["notes"][0].startswith("1 picture that no annotation that can be used names left out")


def test_an_archive_of_another_kind_that_climbs_out(typed, tmp_path):
    packed = tmp_path / "bees.tar"
    with tarfile.open(packed, "w") as file:
        entry = tarfile.TarInfo("../labels.json")
        entry.size = 2
        file.addfile(entry, io.BytesIO(b"{}"))
    code, _report, error = typed(packed)
    assert (code, error) == (4, "bees.tar: the entry '../labels.json' climbs out of its folder")


def cvat(*images: str, before: str = "") -> str:
    said = "".join(
        f'<image id="{n}" name="{chr(120 + n)}.jpg" width="64" height="48">{boxes}</image>'
        for n, boxes in enumerate(images)
    )
    return f"{before}<annotations><version>1.1</version>{said}</annotations>"


def cvat_box(left: str = "3", right: str = "20", label: str = "person") -> str:
    return f'<box label="{label}" xtl="{left}" ytl="4" xbr="{right}" ybr="20"/>'


def pictured(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names, 1):
        draw(folder / "images" / name, seed)
    return folder


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (cvat_box("20", "3"), "box 1 has its edges reversed: left, top, right, bottom are 20, 4, 3, 20"),
        (cvat_box("3", "3"), "box 1 has a box of 0 x 16 pixels"),
        (cvat_box("nan"), "box 1: xtl is 'nan', which is not a number"),
        (cvat_box(label=" "), "box 1 has no label"),
    ],
)
def test_a_box_that_is_none_in_cvats_xml_costs_its_picture_and_no_other(typed, tmp_path, box, reason):
    source = pictured(tmp_path / "bees", "x.jpg", "y.jpg")
    (source / "annotations.xml").write_text(cvat(box + cvat_box(), cvat_box()))
    code, report, _error = typed(source)
    assert (code, report["frames_added"], report["boxes_added"]) == (8, 1, 1)
    assert [failure["reason"] for failure in report["failures"]] == [f"annotations.xml: image 0 (x.jpg): {reason}"]


@pytest.mark.parametrize("before", ["<!DOCTYPE annotations>", '<!DOCTYPE annotations [<!ENTITY a "b">]>'])
def test_xml_with_a_document_type_is_told_so(typed, tmp_path, before):
    source = pictured(tmp_path / "bees", "x.jpg")
    (source / "annotations.xml").write_text(cvat(cvat_box(), before=before))
    code, _report, error = typed(source)
    assert code == 4
    assert error.startswith(
        "bees: no file can be used; the first: annotations.xml has a document type (<!DOCTYPE …>), which can define "
        "entities: the file is not read; remove the document type"
    )
    (source / "annotations.xml").write_text(cvat(cvat_box()))
    assert typed(source)[0] == 0


def test_a_line_with_an_unknown_class_costs_its_picture_and_no_other(typed, tmp_path):
    source = pictured(tmp_path / "bees", "x.jpg", "y.jpg")
    (source / "labels").mkdir()
    (source / "labels" / "x.txt").write_text("0 .5 .5 .1 .1\n7 .5 .5 .1 .1\n")
    (source / "labels" / "y.txt").write_text("0 .5 .5 .1 .1\n")
    (source / "data.yaml").write_text("names: [person, helmet]\n")
    code, report, _error = typed(source)
    assert (code, report["frames_added"], report["boxes_added"]) == (8, 1, 1)
    assert report["failures"] == [
        {"input": "labels/x.txt", "reason": "labels/x.txt: line 2 has the class '7': the classes are 0 to 1"}
    ]


def test_what_lies_beside_a_box_and_what_stands_alone_are_told_apart(typed, tmp_path):
    code, report, _error = typed(labels(tmp_path / "bees", coco(["x.jpg"], segmentation=[[1, 2, 3, 4, 5, 6]])))
    assert (code, report["boxes_added"], report["outlines_left_out"]) == (0, 1, 1)
    assert (
        report["notes"][0]
        == "1 box came with a polygon or mask as well: the box comes in, its polygon or mask does not"
    )
    assert "shapes_left_out" not in report
    source = pictured(tmp_path / "wasps", "x.jpg")
    shapes = '<polygon label="person" points="1,1;2,2;3,3"/>' * 2 + '<tag label="person"/>'
    (source / "annotations.xml").write_text(cvat(cvat_box() + shapes))
    code, report, _error = typed(source)
    assert (code, report["shapes_left_out"], report["left_out"]) == (0, 3, {"polygon": 2, "tag": 1})
    assert "2 polygons, 1 tag left out whole, for a dataset holds upright boxes only" in report["notes"]
