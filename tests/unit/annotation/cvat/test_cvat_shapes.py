"""Boxes to shapes and back; labels; issues; groups of pictures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.annotation.cvat.account import Account
from data_engine.annotation.cvat.issues import read, written
from data_engine.annotation.cvat.labels import Label, lacking
from data_engine.annotation.cvat.names import name_of, shown_name
from data_engine.annotation.cvat.pictures import MOST_PICTURES, groups
from data_engine.annotation.cvat.shapes import Picture, boxes_of, shape_of
from data_engine.annotation.cvat.versions import remark
from data_engine.errors import UsageError
from data_engine.types import Box, TaskFrame, TaskSpec, content_id

LABEL = Label(7, "person", "rectangle", {1: "confidence", 2: "proposal", 3: "origin", 4: "truncated"})
PICTURES = {5: Picture("a.jpg", 100, 80), 6: Picture("b.jpg", 100, 80)}

numbers = st.floats(0, 40, allow_nan=False).map(lambda value: round(value, 4))
sizes = st.floats(0.01, 40, allow_nan=False).map(lambda value: round(value, 4))


@given(
    xywh=st.tuples(numbers, numbers, sizes, sizes),
    score=st.none() | st.floats(0.01, 1.0),
    proposal=st.none() | st.text("0123456789abcdef", min_size=1, max_size=32),
    frame=st.sampled_from([5, 6]),
)
def test_a_box_comes_back(
    xywh: tuple[float, float, float, float], score: float | None, proposal: str | None, frame: int
) -> None:
    box = Box("person", xywh, score, proposal)
    boxes, left_out = boxes_of({"shapes": [shape_of(box, frame, LABEL)]}, PICTURES, [LABEL])
    assert not left_out
    (found,) = boxes.pop(frame)
    assert list(boxes.values()) == [[]]
    assert found.xywh == pytest.approx(xywh, abs=2e-6)
    assert (found.label, found.score, found.proposal_id, found.attributes) == ("person", score, proposal, {})


def test_where_a_box_came_from() -> None:
    def told(box: Box) -> tuple[str, dict[int, str]]:
        shape = shape_of(box, 0, LABEL)
        return shape["source"], {a["spec_id"]: a["value"] for a in shape["attributes"]}

    assert told(Box("person", (0, 0, 1, 1), 0.5, "p")) == ("auto", {1: "0.5", 2: "p", 3: "model"})
    attributes = {"truncated": True, "colour": "red"}
    drawn = Box("person", (0, 0, 1, 1), attributes=attributes)
    assert told(drawn) == ("manual", {1: "", 2: "", 3: "person", 4: "true"})


def shape(**change: object) -> dict[str, object]:
    return {
        "type": "rectangle",
        "frame": 5,
        "label_id": 7,
        "points": [1, 2, 11, 22],
        "rotation": 0.0,
        "occluded": False,
        "attributes": [],
        **change,
    }


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"rotation": 30.0}, "rotated box"),
        ({"type": "polygon"}, "polygon"),
        ({"type": "mask"}, "mask"),
        ({"label_id": 8}, "box of a label that is gone"),
        ({"frame": 9}, "shape on a frame of another job"),
        ({"points": [200, 2, 210, 22]}, "box without area in its picture"),
        ({"points": [1, 2, 1, 22]}, "box without area in its picture"),
        ({"points": [1, 2, float("nan"), 22]}, "box with damaged corners"),
    ],
)
def test_what_is_left_out_is_counted(change: dict[str, object], what: str) -> None:
    boxes, left_out = boxes_of({"shapes": [shape(**change), shape()]}, PICTURES, [LABEL])
    assert left_out == {what: 1}
    assert [box.xywh for box in boxes[5]] == [(1.0, 2.0, 10.0, 20.0)]


def test_tracks_tags_and_deleted_frames() -> None:
    data = {"shapes": [shape(), shape(frame=6)], "tracks": [{}, {}], "tags": [{}]}
    boxes, left_out = boxes_of(data, PICTURES, [LABEL], deleted=[6])
    assert left_out == {"tag": 1, "track": 2}
    assert {number: len(rows) for number, rows in boxes.items()} == {5: 1}


def test_boxes_are_cut_and_other_attributes_kept() -> None:
    attributes = [{"spec_id": 4, "value": "true"}, {"spec_id": 1, "value": "0"}, {"spec_id": 99, "value": "?"}]
    data = {"shapes": [shape(points=[-5, 70, 20, 90], occluded=True, attributes=attributes)]}
    ((box,), _) = boxes_of(data, PICTURES, [LABEL])[0].values()
    assert box == Box("person", (0, 70, 20, 10), attributes={"truncated": "true", "occluded": True})


def test_labels_are_added_and_completed_and_never_removed() -> None:
    bare = Label(8, "helmet", "any", {9: "confidence"})
    other = Label(10, "vest", "polygon", {})
    assert lacking(["person", "helmet"], [LABEL, bare, other])[0]["id"] == 8
    (helmet, gloves) = lacking(["person", "helmet", "gloves"], [LABEL, bare, other])
    assert [spec["name"] for spec in helmet["attributes"]] == ["proposal", "origin"]
    assert (gloves["name"], gloves["type"], len(gloves["attributes"])) == ("gloves", "rectangle", 3)
    assert lacking(["person"], [LABEL]) == []


@pytest.mark.parametrize("author", [None, "ann", "ann@example.com", "Ann Ö."])
@pytest.mark.parametrize("scope", [None, "frame", "job"])
@pytest.mark.parametrize("message", ["too wide", "two\nlines", "ends in [by nobody]", ""])
def test_an_issue_keeps_its_author(message: str, author: str | None, scope: str | None) -> None:
    assert read(written(message, author, scope)) == (message, author, scope)


def test_a_message_that_a_person_typed() -> None:
    assert read("box too loose; helmet missed") == ("box too loose; helmet missed", None, None)


def test_groups_fit_a_request() -> None:
    frames = [TaskFrame(f"{number}.jpg", f"{number}.jpg", 1, 1) for number in range(7)]
    bytes_of = dict(zip((frame.name for frame in frames), (3, 3, 3, 20, 1, 9, 1), strict=True))
    parts = [[frame.name[0] for frame in part] for part in groups(frames, bytes_of, most_bytes=10)]
    assert parts == [["0", "1", "2"], ["3"], ["4", "5"], ["6"]]
    many = [TaskFrame(f"{number}", "k", 1, 1) for number in range(MOST_PICTURES + 1)]
    assert [len(part) for part in groups(many, dict.fromkeys((f.name for f in many), 1))] == [MOST_PICTURES, 1]


def test_names_carry_the_uid() -> None:
    spec = TaskSpec(content_id("t"), "Batch_03 (1/4)", ("a",), (), 1)
    assert name_of(spec) == f"Batch_03 (1/4) [{spec.uid[:12]}]"
    assert shown_name(name_of(spec)) == "Batch_03 (1/4)"
    assert shown_name("made by hand [x]") == "made by hand [x]"
    assert len(name_of(TaskSpec(spec.uid, 500 * "n", ("a",), (), 1))) <= 256


def test_releases_that_were_not_tried() -> None:
    assert remark("2.73.0", "2.80.0") is None
    assert remark("2.73.4", "2.73.0") is None
    told = remark("2.99.1", "2.81.0")
    assert told is not None
    assert "CVAT 2.99.1 (tried: 2.73)" in told
    assert "cvat-sdk 2.81.0 (tried: 2.73, 2.80)" in told


def test_secrets_are_in_no_repr() -> None:
    account = Account("https://cvat.example.org:8443/in", "t0ken", "ann", "passw0rd")
    assert "t0ken" not in repr(account)
    assert "passw0rd" not in repr(account)
    assert account.place == "cvat.example.org:8443/in"
    with pytest.raises(UsageError, match="must not hold a name or password") as caught:
        Account("https://ann:passw0rd@cvat.example.org", "t0ken")
    assert "passw0rd" not in str(caught.value)
    with pytest.raises(UsageError, match="nothing to log in with"):
        Account("https://cvat.example.org", username="ann").require_login()
