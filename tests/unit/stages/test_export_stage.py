from __future__ import annotations

import math

import pytest

from data_engine.errors import DamagedInputError
from data_engine.formats.coco import read_coco, write_coco
from data_engine.stages.export import Proposed, dataset_name, merge_frame, version_id
from data_engine.stages.version_coco import VersionFrame, version_coco
from data_engine.types import Box, ClassRegistry, DatasetVersion, Frame

REGISTRY = ClassRegistry.of(["person", "helmet"])
FRAME = Frame("f" * 32, "cam_1_ffffffff.jpg", "frames/cam_1_ffffffff.jpg", 100, 80, "cam", "v" * 32)


def merge(boxes, proposed=()):
    return merge_frame(
        FRAME, boxes, proposed, REGISTRY, job_id="j" * 32, annotator="ann", reviewer="rev", match_iou=0.5
    )


def proposal(name, label, xywh):
    return Proposed(name, "m" * 32, Box(label, xywh, 0.5, name))


def test_a_box_that_nobody_touched_is_kept_and_knows_its_model():
    p = proposal("p1", "person", (1.0, 2.0, 10.0, 20.0))
    (box,) = merge([Box("person", (1.01, 2.0, 10.0, 20.0), proposal_id="p1")], [p]).annotations
    assert (box.change, box.proposal_id, box.model_id, box.annotator, box.reviewer) == (
        "kept",
        "p1",
        "m" * 32,
        "ann",
        "rev",
    )


@pytest.mark.parametrize(("label", "xywh"), [("helmet", (1.0, 2.0, 10.0, 20.0)), ("person", (2.0, 2.0, 10.0, 20.0))])
def test_another_label_or_place_is_an_edit(label, xywh):
    p = proposal("p1", "person", (1.0, 2.0, 10.0, 20.0))
    (box,) = merge([Box(label, xywh, proposal_id="p1")], [p]).annotations
    assert (box.change, box.proposal_id) == ("edited", "p1")


def test_a_box_that_lost_its_id_is_matched_by_overlap_and_a_drawn_one_is_not():
    p = proposal("p1", "person", (0.0, 0.0, 10.0, 10.0))
    merged = merge([Box("person", (0.0, 1.0, 10.0, 10.0)), Box("person", (50.0, 50.0, 10.0, 10.0))], [p])
    assert [(b.change, b.proposal_id) for b in merged.annotations] == [("edited", "p1"), ("added", None)]


def test_a_copied_box_does_not_claim_the_same_proposal_twice():
    p = proposal("p1", "person", (0.0, 0.0, 10.0, 10.0))
    box = Box("person", (0.0, 0.0, 10.0, 10.0), proposal_id="p1")
    merged = merge([box, box], [p])
    assert sorted(b.change for b in merged.annotations) == ["added", "kept"]
    assert len({b.id for b in merged.annotations}) == 2


def test_the_content_is_the_boxes_alone_in_any_order():
    a, b = Box("person", (0.0, 0.0, 10.0, 10.0)), Box("helmet", (5.0, 5.0, 10.0, 10.0))
    assert merge([a, b]).content == merge([b, a]).content
    assert merge([a, b]).content != merge([a]).content
    assert merge([a], [proposal("p", "person", a.xywh)]).content == merge([a]).content


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (Box("boot", (0.0, 0.0, 1.0, 1.0)), "label 'boot' is not in the class registry"),
        (Box("person", (math.nan, 0.0, 1.0, 1.0)), "is not finite"),
        (Box("person", (0.0, 0.0, -1.0, 1.0)), "has no size inside the frame"),
        (Box("person", (100.0, 0.0, 5.0, 5.0)), "has no size inside the frame"),
    ],
)
def test_a_box_that_cannot_be_is_refused(box, message):
    with pytest.raises(DamagedInputError, match=message):
        merge([box])


def test_a_box_over_the_edge_is_cut():
    (box,) = merge([Box("person", (90.0, -5.0, 20.0, 10.0))]).annotations
    assert box.xywh == (90.0, 0.0, 10.0, 5.0)


def test_names_are_unique_across_folders_and_stay_the_same():
    assert dataset_name(FRAME) == FRAME.name
    lone = Frame("a" * 32, "0001.jpg", "x/0001.jpg", 1, 1, "x")
    other = Frame("b" * 32, "0001.jpg", "y/0001.jpg", 1, 1, "y")
    assert {dataset_name(lone), dataset_name(other)} == {"0001_aaaaaaaa.jpg", "0001_bbbbbbbb.jpg"}


def test_the_version_depends_on_frames_boxes_sides_and_the_version_before():
    one = {"a": ("c1", "train"), "b": ("c2", "valid")}
    assert version_id(one) == version_id(dict(reversed(one.items())))
    assert version_id(one) != version_id({**one, "b": ("c2", "train")})
    assert version_id(one) != version_id({**one, "b": ("c3", "valid")})
    assert version_id(one) != version_id(one, version_id(one))


def test_a_version_as_coco_reads_back_and_is_the_same_bytes_in_any_order():
    merged = merge([Box("helmet", (1.5, 2.25, 3.0, 4.0)), Box("person", (0.0, 0.0, 10.0, 10.0))])
    empty = Frame("e" * 32, "cam_2_eeeeeeee.jpg", "frames/cam_2_eeeeeeee.jpg", 100, 80, "cam")
    entries = [VersionFrame(FRAME, "train", merged.annotations, "cam", 1), VersionFrame(empty, "valid", (), None, 2)]
    version = DatasetVersion("v" * 32, 1, None, 2, 2, "master_dataset/master_dataset_v1.json")
    data = write_coco(version_coco(version, entries, REGISTRY))
    assert data == write_coco(version_coco(version, entries[::-1], REGISTRY))
    back = read_coco(data, name="v1")
    assert [image.extra["split"] for image in back.images] == ["train", "valid"]
    assert {a.xywh for a in back.annotations} == {(1.5, 2.25, 3.0, 4.0), (0.0, 0.0, 10.0, 10.0)}
    assert back.annotations[0].attributes["reviewer"] == "rev"
    train = version_coco(version, entries, REGISTRY, side="train")
    assert [image.file_name for image in train.images] == [FRAME.name]
    assert train.info["split"] == "train"
