"""A selection as JSON: complete, of its stated form, the same every time."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from data_engine.formats.selection_json import selection_json
from data_engine.types import Detections, Frame, RefusedFrame, SelectedFrame, Selection

FRAMES = {
    "f1": Frame("f1", '作業 "a".jpg', "in/a.jpg", 640, 360, "gate", "v1", 25, Fraction(1, 10)),
    "f2": Frame("f2", "caf\udce9.jpg", "in/b.jpg", 64, 48, "yard"),
}
SELECTION = Selection(
    "5e1ec7",
    "m",
    (SelectedFrame("f1", 1, 0.75, "uncertain: no-helmet 0.31", {"uncertain": 0.75, "rarity": 4.0}),),
    (RefusedFrame("f2", 0.5, "missed: helmet", "its camera has its share", {"missed": 0.5}),),
)
SEEN = {
    "f1": Detections(
        np.array([[0, 0, 5, 5], [10.126, 20, 50.5, 140], [1, 1, 2, 2]], np.float32),
        np.array([[0.1, 0.31], [0.9, 0.06], [0.04, 0.01]], np.float32),
    )
}


def write(selection: Selection = SELECTION, **changes) -> bytes:
    given = {"settings": {"seed": 0, "like": []}, "floor": 0.05, "summary": ["1 of 2"], **changes}
    return selection_json(selection, FRAMES, SEEN, ("person", "no-helmet"), **given)


def test_it_holds_what_the_form_says():
    assert json.loads(write()) == {
        "form": "dataengine-selection",
        "version": 1,
        "selection": "5e1ec7",
        "model": "m",
        "summary": ["1 of 2"],
        "settings": {"seed": 0, "like": []},
        "classes": ["person", "no-helmet"],
        "chosen": [
            {
                "rank": 1,
                "file": '作業 "a".jpg',
                "frame": "f1",
                "camera": "gate",
                "video": "v1",
                "time_s": 2.5,
                "width": 640,
                "height": 360,
                "score": 0.75,
                "reason": "uncertain: no-helmet 0.31",
                "parts": {"uncertain": 0.75, "rarity": 4.0},
                "boxes": [
                    {
                        "label": "person",
                        "xywh": [10.13, 20.0, 40.37, 120.0],
                        "score": 0.9,
                        "probabilities": {"person": 0.9, "no-helmet": 0.06},
                    },
                    {
                        "label": "no-helmet",
                        "xywh": [0.0, 0.0, 5.0, 5.0],
                        "score": 0.31,
                        "probabilities": {"no-helmet": 0.31, "person": 0.1},
                    },
                ],
            }
        ],
        "refused": [
            {
                "refusal": "its camera has its share",
                "file": "caf\udce9.jpg",
                "frame": "f2",
                "camera": "yard",
                "video": None,
                "time_s": None,
                "width": 64,
                "height": 48,
                "score": 0.5,
                "reason": "missed: helmet",
                "parts": {"missed": 0.5},
                "boxes": [],
            }
        ],
    }


def test_a_frame_is_a_line_and_names_stay_readable():
    lines = write().decode().splitlines()
    assert sum('"frame": ' in line for line in lines) == 2
    assert any("作業" in line for line in lines)


def test_an_empty_selection_of_no_model():
    read = json.loads(write(Selection("s", None, ())))
    assert (read["model"], read["chosen"], read["refused"]) == (None, [], [])


def test_frames_in_words_go_by_their_names():
    known = "ab" * 16
    refused = RefusedFrame("f1", 0.5, "r", f"looks like {known} and {'0' * 32}")
    frames = {**FRAMES, known: Frame(known, "gate.jpg", "in/g.jpg", 9, 9, "gate")}
    read = json.loads(selection_json(Selection("s", None, (), (refused,)), frames, {}, (), settings={}, floor=0.05))
    assert read["refused"][0]["refusal"] == f"looks like gate.jpg and {'0' * 32}"


def test_numbers_that_are_none_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        write(Selection("s", None, (SelectedFrame("f1", 1, float("nan"), "r"),)))


def test_the_same_selection_makes_the_same_bytes():
    assert write() == write()
