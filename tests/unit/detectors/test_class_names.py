from __future__ import annotations

import pytest

from data_engine.detectors.class_names import chosen_names, names_of_slots
from data_engine.detectors.device import listed_devices, parse_device
from data_engine.detectors.rfdetr_onnx import noted_names
from data_engine.errors import DamagedInputError, UsageError


def test_the_file_s_names_or_the_user_s():
    assert chosen_names("m", ["a", "b"], None) == ("a", "b")
    assert chosen_names("m", None, ["a", "b"]) == ("a", "b")
    assert chosen_names("m", ["a", "b"], ("a", "b")) == ("a", "b")
    assert chosen_names("m", ["a", "b"], ()) == ("a", "b")
    assert chosen_names("m", None, ["", "a", "", "b"]) == ("", "a", "", "b")


@pytest.mark.parametrize(
    ("in_file", "given", "error", "text"),
    [
        (None, None, UsageError, "m does not name its classes"),
        ([], [], UsageError, "m does not name its classes"),
        (["a"], ["b"], UsageError, "m names its classes a; given were b"),
        (["a", "a"], None, DamagedInputError, "m: class 'a' is named twice"),
        (None, ["a", "a"], UsageError, "m: class 'a' is named twice"),
    ],
)
def test_names_that_cannot_be(in_file, given, error, text):
    with pytest.raises(error) as caught:
        chosen_names("m", in_file, given)
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("notes", "names"),
    [
        ('{"class_names": ["a", "b"]}', ["a", "b"]),
        ('{"class_names": []}', None),
        ('{"class_names": [1, 2]}', None),
        ('{"class_names": "ab"}', None),
        ('{"other": 1}', None),
        ('"trained on Tuesday"', None),
        ("trained on Tuesday", None),
    ],
)
def test_names_in_notes(notes, names):
    assert noted_names({"rfdetr_notes": notes}) == names
    assert noted_names({}) is None


def test_devices():
    assert parse_device("auto") == ("auto", 0)
    assert parse_device("CPU ") == ("cpu", 0)
    assert parse_device("cuda") == ("cuda", 0)
    assert parse_device("cuda:12") == ("cuda", 12)
    assert parse_device("TensorRT:1") == ("tensorrt", 1)
    assert listed_devices("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    assert listed_devices("cpu,cpu") == ("cpu", "cpu")
    assert listed_devices("auto") == ("auto",)
    for wrong in ("gpu", "cuda:", "cuda:-1", "cpu:0", "auto:1", "", "0"):
        with pytest.raises(UsageError, match=r"choose auto, cpu, cuda, cuda:0 or tensorrt, or several: cuda:0,cuda:1"):
            parse_device(wrong)


def test_the_80_names_of_coco_stand_on_its_category_ids():
    names = [f"class {number}" for number in range(80)]
    slots = names_of_slots(names, 91)
    assert len(slots) == 91
    assert [name for name in slots if name] == names
    # person 1, stop sign 13, backpack 27, toothbrush 90 in COCO's list of categories.
    assert [slots.index(f"class {number}") for number in (0, 11, 24, 79)] == [1, 13, 27, 90]
    assert [slot for slot, name in enumerate(slots) if not name] == [0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83]


def test_other_models_have_a_slot_a_name():
    assert names_of_slots(["a", "b"], 3) == ("a", "b")
    assert names_of_slots([f"{n}" for n in range(80)], 81) == tuple(f"{n}" for n in range(80))
