from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from data_engine.errors import DamagedInputError
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage, read_coco, write_coco
from data_engine.stages.preannotate import PreannotateSettings, from_coco, propose, to_coco
from data_engine.types import Box, ClassRegistry, Detections, Frame, PreAnnotation

NAMES = ("person", "helmet", "no-helmet")
SETTINGS = PreannotateSettings()


def frame(name: str = "cam_000120_ab.jpg", width: int = 100, height: int = 80) -> Frame:
    return Frame("f-" + name, name, "frames/" + name, width, height, "cam")


def seen(*rows) -> Detections:
    """Rows of four corners and three probabilities."""
    array = np.asarray(rows, np.float32).reshape(-1, 7)
    return Detections(array[:, :4], array[:, 4:])


def test_what_is_proposed():
    pre = propose(
        frame(),
        seen(
            (60, 10.004, 90.126, 40, 0.1, 0.2, 0.30004),
            (10, 10, 30, 50, 0.9, 0.1, 0.1),
            (40, 40, 50, 50, 0.24, 0.1, 0.1),
        ),
        NAMES,
        "model",
        SETTINGS,
    )
    assert [(box.label, box.xywh, box.score) for box in pre.boxes] == [
        ("person", (10.0, 10.0, 20.0, 40.0), 0.9),
        ("no-helmet", (60.0, 10.0, 30.13, 30.0), 0.3),
    ]
    assert len({box.proposal_id for box in pre.boxes}) == 2


def test_the_bounds_are_met_exactly():
    settings = PreannotateSettings(confidence=0.7)
    assert len(propose(frame(), seen((1, 1, 9, 9, 0.7, 0, 0)), NAMES, "m", settings).boxes) == 1
    assert len(propose(frame(), seen((1, 1, 9, 9, 0.699, 0, 0)), NAMES, "m", settings).boxes) == 0


def test_one_box_where_the_model_hesitates():
    twins = seen((10, 10, 30, 50, 0.1, 0.6, 0.5), (10, 10, 30, 49, 0.1, 0.5, 0.55), (10, 10, 30, 25, 0.5, 0, 0))
    assert [box.label for box in propose(frame(), twins, NAMES, "m", SETTINGS).boxes] == ["helmet", "person"]
    everything = PreannotateSettings(overlap=1.0)
    assert len(propose(frame(), twins, NAMES, "m", everything).boxes) == 3


def test_at_most_so_many():
    rows = [(8 * i, 0, 8 * i + 6, 6, 0.3 + i / 100, 0, 0) for i in range(12)]
    boxes = propose(frame(), seen(*rows), NAMES, "m", PreannotateSettings(max_boxes=3)).boxes
    assert [box.score for box in boxes] == [0.41, 0.4, 0.39]


def test_ids_depend_on_what_is_proposed_only():
    row = (10, 10, 30, 50, 0.9, 0.1, 0.1)

    def id_of(detections, *, of=None, model="m", **options):
        return propose(of or frame(), detections, NAMES, model, PreannotateSettings(**options)).boxes[0].proposal_id

    same = id_of(seen(row))
    assert same == id_of(seen(row, (60, 10, 90, 40, 0.5, 0, 0)), confidence=0.4)
    assert same == id_of(seen((10.001, 10, 30, 50, 0.8, 0.1, 0.1)))
    others = [
        id_of(seen((10.1, 10, 30, 50, 0.9, 0.1, 0.1))),
        id_of(seen((10, 10, 30, 50, 0.1, 0.9, 0.1))),
        id_of(seen(row), model="other"),
        id_of(seen(row), of=frame("b.jpg")),
    ]
    assert len({same, *others}) == 5


def test_a_sliver_is_not_proposed():
    assert propose(frame(), seen((10, 10, 10.004, 50, 0.9, 0, 0)), NAMES, "m", SETTINGS).boxes == ()
    assert propose(frame(), Detections.empty(3), NAMES, "m", SETTINGS).boxes == ()


def test_predictions_of_another_model():
    with pytest.raises(DamagedInputError) as caught:
        propose(frame(), Detections.empty(4), NAMES, "m", SETTINGS)
    assert caught.value.message == "the predictions of cam_000120_ab.jpg have 4 classes, the model 3"


@pytest.mark.parametrize("wrong", [{"confidence": 0}, {"confidence": 1.1}, {"overlap": 0}, {"max_boxes": 0}, {"x": 1}])
def test_settings_out_of_bounds(wrong):
    with pytest.raises(ValidationError):
        PreannotateSettings(**wrong)


@st.composite
def detections(draw):
    count = draw(st.integers(0, 8))
    raw = draw(hnp.arrays(np.float32, (count, 4), elements=st.floats(0, 120, width=32)))
    xyxy = np.concatenate([raw[:, :2], raw[:, :2] + raw[:, 2:]], axis=1)
    return Detections(xyxy, draw(hnp.arrays(np.float32, (count, 3), elements=st.floats(0, 1, width=32))))


@settings(max_examples=80, deadline=None)
@given(st.lists(detections(), max_size=4), st.randoms())
def test_there_and_back_through_a_file(found, random):
    pre = [propose(frame(f"frame {number} ü.jpg"), each, NAMES, "model", SETTINGS) for number, each in enumerate(found)]
    for each in pre:
        for box in each.boxes:
            x, y, w, h = box.xywh
            assert x >= 0
            assert y >= 0
            assert x + w <= 100 + 1e-9
            assert y + h <= 80 + 1e-9
    registry = ClassRegistry.of(("helmet", "no-helmet", "crane", "person"))
    data = write_coco(to_coco(pre, registry, "model"))
    back = read_coco(data, name="pre.json", registry=registry)
    # Reading clips at the edge by less than a rounding error of the sum of two coordinates.
    held = from_coco(back)
    assert held.keys() == {each.frame.name for each in pre}
    for each in pre:
        for box, other in zip(each.boxes, held[each.frame.name], strict=True):
            assert other.xywh == pytest.approx(box.xywh, abs=1e-9)
            assert (other.label, other.score, other.proposal_id, other.attributes) == (
                box.label,
                box.score,
                box.proposal_id,
                {},
            )
    shuffled = list(pre)
    random.shuffle(shuffled)
    assert write_coco(to_coco(shuffled, registry, "model")) == data


def test_what_the_file_holds():
    box = Box("helmet", (1.0, 2.0, 3.0, 4.0), 0.5, "p1", attributes={"occluded": True})
    registry = ClassRegistry.of(NAMES)
    dataset = to_coco([PreAnnotation(frame("b.jpg"), (box,)), PreAnnotation(frame("a.jpg"), ())], registry, "m")
    assert dataset == CocoDataset(
        (
            CocoImage(1, "a.jpg", 100, 80, {"frame_id": "f-a.jpg"}),
            CocoImage(2, "b.jpg", 100, 80, {"frame_id": "f-b.jpg"}),
        ),
        (
            CocoAnnotation(
                1,
                2,
                2,
                (1.0, 2.0, 3.0, 4.0),
                False,
                0.5,
                {"occluded": True, "confidence": 0.5, "proposal": "p1"},
            ),
        ),
        registry,
        {"model": "m"},
    )
    assert from_coco(dataset) == {"a.jpg": (), "b.jpg": (box,)}
    assert to_coco([], registry, None).info == {}


def test_an_unregistered_class_and_a_name_twice():
    pre = PreAnnotation(frame(), (Box("crane", (1.0, 2.0, 3.0, 4.0), 0.5, "p1"),))
    with pytest.raises(DamagedInputError) as caught:
        to_coco([pre], ClassRegistry.of(NAMES), "m")
    assert caught.value.message == "the model's class 'crane' is not registered: person, helmet, no-helmet are"
    empty = PreAnnotation(frame(), ())
    with pytest.raises(DamagedInputError, match="two frames are named"):
        to_coco([empty, empty], ClassRegistry.of(NAMES), "m")


@pytest.mark.parametrize(
    ("attributes", "score", "proposal"),
    [
        ({}, None, None),
        ({"confidence": "0.5"}, 0.5, None),
        ({"confidence": "high"}, None, None),
        ({"proposal": ""}, None, None),
    ],
)
def test_files_from_elsewhere(attributes, score, proposal):
    registry = ClassRegistry.of(NAMES)
    dataset = CocoDataset(
        (CocoImage(7, "a.jpg", 100, 80),),
        (CocoAnnotation(3, 7, 1, (1.0, 2.0, 3.0, 4.0), attributes=attributes),),
        registry,
    )
    (box,) = from_coco(dataset)["a.jpg"]
    assert (box.label, box.score, box.proposal_id) == ("person", score, proposal)
