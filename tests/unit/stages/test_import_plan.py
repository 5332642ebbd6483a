"""What of a read source enters the master."""

from __future__ import annotations

import pytest

from data_engine.errors import UsageError
from data_engine.stages.import_plan import Labelled, OneEach, cameras, class_map, counts, digest
from data_engine.types import Box


def picture(path: str, *boxes: tuple[str, float], said: str | None = None) -> Labelled:
    drawn = tuple(Box(label, (x, 0.0, 5.0, 5.0)) for label, x in boxes)
    return Labelled(path, path.rpartition("/")[2], 64, 48, said, "bees", drawn)


def test_folders_that_tell_pictures_apart_are_cameras() -> None:
    assert cameras([], "bees") == {}
    assert cameras(["delivery/images/train2017/a.jpg", "delivery/images/val2017/b.jpg"], "bees") == {
        "delivery/images/train2017/a.jpg": "bees",
        "delivery/images/val2017/b.jpg": "bees",
    }
    told = cameras(["x/train/images/gate/1.jpg", "x/valid/images/hall/2.jpg", "x/valid/images/3.jpg"], "bees")
    assert list(told.values()) == ["bees/gate", "bees/hall", "bees"]
    assert set(cameras(["obj_train_data/1.jpg", "obj_Validation_data/2.jpg"], "bees").values()) == {"bees"}


def test_a_map_of_classes() -> None:
    assert class_map("a=b, c d = e") == {"a": "b", "c d": "e"}
    # A class of a source may have commas in its name, which none has here.
    assert class_map("red, cell=rbc,a, b, c=d") == {"red, cell": "rbc", "a, b, c": "d"}
    for text, reason in (
        ("a", "'a' is not OLD=NEW"),
        ("a=b,=c", "'=c' is not"),
        ("a=b,", "'' is not"),
        ("a=b,a=c", "twice"),
    ):
        with pytest.raises(UsageError, match=reason):
            class_map(text)


def test_a_frame_is_taken_once() -> None:
    taken = OneEach()
    taken.add("1", picture("train/a.jpg", ("cat", 1), ("dog", 2), said="train"))
    taken.add("1", picture("valid/a.jpg", ("dog", 2), ("cat", 1), said="valid"))
    taken.add("1", picture("train/b.jpg", ("dog", 2), ("cat", 1), said="train"))
    taken.add("1", picture("train/c.jpg", ("dog", 2), said="train"))
    assert (taken.frames["1"].path, taken.twice) == ("valid/a.jpg", 2)
    assert [failed.input_id for failed in taken.failures] == ["train/c.jpg"]


def test_what_a_source_says_is_known_by_its_content() -> None:
    one = {"1": picture("a.jpg", ("cat", 1), ("dog", 2)), "2": picture("b.jpg")}
    same = {"2": picture("x/b.jpg", said="train"), "1": picture("y.jpg", ("dog", 2), ("cat", 1))}
    assert digest(one) == digest(same)
    assert len({digest(one), digest({"1": one["1"]}), digest({**one, "2": picture("b.jpg", ("cat", 1))})}) == 3
    assert counts([*one.values(), picture("c.jpg", ("dog", 1), ("dog", 9))]) == {"dog": (3, 2), "cat": (1, 1)}
