"""Frames taken out of files that name them: theirs goes, everybody else's stays to the letter."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data_engine.errors import DamagedInputError
from data_engine.formats import crops, embeddings, predictions
from data_engine.formats.column_rows import frames_in, without_frames
from data_engine.formats.pruning import Marks, is_drawn_lineage, pruned, pruned_lines, pruned_log, pruned_xml
from data_engine.types import Detections

GONE, STAYS, VIDEO = "0a1b2c3d" + "0" * 24, "0a1b2c3e" + "0" * 24, "77777777" + "f" * 24
BOX = "fd29cb5378bd" + "e" * 20
MARKS = Marks(
    [GONE, VIDEO],
    ["gate_1200_0a1b2c3d.jpg", "my picture.jpg"],
    ["frames_sampled/gate_1200_0a1b2c3d.jpg", "in/my picture.jpg", "videos_raw/gate one.mp4"],
    [BOX],
)


def test_coco_loses_the_image_and_its_annotations():
    document = {
        "info": {"version": "v1"},
        "images": [
            {"id": 1, "file_name": "gate_1200_0a1b2c3d.jpg", "width": 64},
            {"id": 2, "file_name": "gate_1300_0a1b2c3e.jpg", "frame_id": STAYS},
            {"id": 3, "file_name": "other.jpg", "frame_id": GONE},
        ],
        "annotations": [{"id": n, "image_id": n % 3 + 1, "bbox": [n, 0, 1, 1]} for n in range(6)],
        "categories": [{"id": 1, "name": "person"}],
    }
    left = pruned(document, MARKS)
    assert [image["id"] for image in left["images"]] == [2]
    assert [(a["id"], a["image_id"]) for a in left["annotations"]] == [(1, 2), (4, 2)]
    assert (left["info"], left["categories"]) == (document["info"], document["categories"])


def test_members_rows_and_texts():
    document = {
        "chosen": [
            {"frame": GONE, "score": 0.5},
            {"frame": STAYS, "reason": "unlike gate_1200_0a1b2c3d.jpg and my picture.jpg"},
        ],
        "boxes": {"gate_1200_0a1b2c3d.jpg": [[1, 2, 3, 4]], "gate_1300_0a1b2c3e.jpg": [[5, 6, 7, 8]]},
        "files": ["images/gate_1200_0a1b2c3d.jpg", "images/gate_1300_0a1b2c3e.jpg", "labels/gate_1200_0a1b2c3d.txt"],
        "number": 0.5,
        "nothing": None,
    }
    assert pruned(document, MARKS) == {
        "chosen": [{"frame": STAYS, "reason": "unlike purged and purged"}],
        "boxes": {"gate_1300_0a1b2c3e.jpg": [[5, 6, 7, 8]]},
        "files": ["images/gate_1300_0a1b2c3e.jpg"],
        "number": 0.5,
        "nothing": None,
    }
    assert pruned({"frame": GONE, "boxes": [1]}, MARKS) is None
    untouched = {"a": [STAYS, "my pictures", "picture.jpg", 1], "b": {"video": "gate one"}}
    assert pruned(untouched, MARKS) == untouched


def test_lists_and_tables():
    text = (
        "# chosen: 3, the first is gate_1200_0a1b2c3d.jpg\n"
        "frames/gate_1200_0a1b2c3d.jpg\r\n"
        "frames/gate_1300_0a1b2c3e.jpg\r\n"
        "in/my picture.jpg\n"
        "\n"
        f'2,{GONE},"so, so"\n'
        "0.0a1b2c3d 12\n"
    )
    left = "# chosen: 3, the first is purged\nframes/gate_1300_0a1b2c3e.jpg\r\n\n0.0a1b2c3d 12\n"
    assert pruned_lines(text, MARKS) == left


def test_elements_of_xml():
    def image(name: str, inside: str = "") -> str:
        return (
            f'  <image id="0" name="{name}" width="1">{inside}</image>\n' if inside else f'  <image name="{name}"/>\n'
        )

    stays = image("gate_1300_0a1b2c3e.jpg", '<box label="a"></box>')
    text = (
        "<annotations>\n"
        + image("gate_1200_0a1b2c3d.jpg", "\n<box/>\n")
        + stays
        + image("sub/my picture.jpg")
        + "</annotations>\n"
    )
    assert pruned_xml(text.encode(), MARKS).decode() == f"<annotations>\n{stays}</annotations>\n"


def test_a_line_of_a_log_keeps_its_length_and_nothing_else():
    def line(message: str, **more: object) -> bytes:
        head = {"time": "2026-01-01T00:00:00.000+00:00", "level": "info", "command": "sample", "process": 7}
        return json.dumps({**head, "logger": "x", "message": message, **more}).encode()

    about = line("finished", report={"nodes": [{"id": f"box:{BOX}", "facts": {"xywh": [5.25, 23.5, 12, 10]}}]})
    for said in (about, line("kept in/my picture.jpg"), line(f"finished: box {BOX[:12]} person, 12 x 10 at 5,23")):
        left = pruned_log(said, MARKS)
        assert len(left) == len(said)
        found = json.loads(left)
        assert (found["command"], found["message"]) == ("sample", "purged")
        assert not [word for word in (BOX[:12], "5.25", "5,23", "my picture") if word.encode() in left]
    stays = line(f"kept {STAYS} of gate_1300_0a1b2c3e.jpg")
    assert pruned_log(stays, MARKS) == stays
    assert pruned_log(f"no JSON: {GONE}".encode(), MARKS) == b"x" * 41


def test_boxes_are_known_by_their_ids_and_what_they_begin_with():
    node = {"id": f"box:{BOX}", "facts": {"xywh": [1, 2, 3, 4]}}
    edge = {"source": f"frame:{STAYS}", "target": f"box:{BOX}"}
    assert pruned({"root": f"frame:{STAYS}", "nodes": [node, {"id": "job:1"}], "edges": [edge]}, MARKS) == {
        "root": f"frame:{STAYS}",
        "nodes": [{"id": "job:1"}],
        "edges": [],
    }
    assert pruned({"root": f"box:{BOX}", "nodes": [node]}, MARKS) is None
    assert pruned_lines(f"box {BOX[:12]} person\nbox {BOX[:11]}0 person\n", MARKS) == f"box {BOX[:11]}0 person\n"


def test_a_lineage_that_was_drawn_is_known():
    assert is_drawn_lineage('flowchart LR\n    box_1["box"]\n')
    assert is_drawn_lineage('```mermaid\nflowchart LR\n    box_1["box"]\n```\n')
    assert is_drawn_lineage("box 0a1b person\n    xywh 1, 2\ncomes from\n`-- frame x\n")
    assert not is_drawn_lineage("a list that\nled to nothing\n")


def parts() -> dict[str, tuple]:
    """Each kind of column file, with three frames and without the second."""
    ids = [STAYS, GONE, "c" * 32]
    seen = [
        Detections(np.full((n, 4), [n, n, 40, 40], np.float32), np.full((n, 2), [0.9, 0.1], np.float32))
        for n in (2, 1, 0)
    ]
    vectors = np.eye(3, 4, dtype=np.float32)
    rows = [(np.ones((n, 4), np.float32), np.eye(n, 3, dtype=np.float32)) for n in (1, 2, 3)]

    def of(kept: list[int]):
        named = [ids[i] for i in kept]
        return {
            "predictions": predictions.pack("m" * 32, named, [seen[i] for i in kept]),
            "embeddings": embeddings.pack("local", named, vectors[kept]),
            "crops": crops.pack("local/crops", named, [rows[i][0] for i in kept], [rows[i][1] for i in kept]),
        }

    whole, left = of([0, 1, 2]), of([0, 2])
    return {kind: (whole[kind], left[kind]) for kind in whole}


@pytest.mark.parametrize("kind", ["predictions", "embeddings", "crops"])
def test_a_column_file_is_as_if_the_frame_had_never_been_in_it(kind, tmp_path):
    whole, expected = parts()[kind]
    left = without_frames(whole, {GONE}, name="part.npz")
    assert (left.frame_ids, left.data) == ((STAYS, "c" * 32), expected)
    (tmp_path / "part.npz").write_bytes(whole)
    assert frames_in(tmp_path / "part.npz") == (STAYS, GONE, "c" * 32)


def test_damaged_column_files_are_told(tmp_path):
    path = tmp_path / "part.npz"
    path.write_bytes(b"PK nothing")
    with pytest.raises(DamagedInputError, match=r"part\.npz cannot be read"):
        frames_in(path)
    np.savez(path, a=np.zeros(3))
    assert frames_in(path) == ()
