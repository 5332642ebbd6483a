"""Hunting a class by example, from pictures to ranked frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_workspace import Workspace

from data_engine.app.annotation.upload import upload
from data_engine.app.engine import Engine
from data_engine.app.footage.pictures import frames_in
from data_engine.app.merge.export import export
from data_engine.app.models.models import OpenedModel
from data_engine.app.selection import crops, hunting
from data_engine.errors import DamagedInputError, MissingInputError, UsageError
from data_engine.formats.predictions import pack
from data_engine.lineage import models
from data_engine.types import Detections, Frame, Model

pytestmark = pytest.mark.required

COUNT = 40
HUNTED = (7, 18, 31)
"""Pictures of the hall with a red cross in them; all others hold a blue block."""
THING = (90, 60, 24, 24)


def hall(number: int) -> np.ndarray:
    """A static hall of 240 x 180 in which one thing moves about: a red cross, or a blue block."""
    picture = np.random.default_rng(5).integers(90, 150, (12, 16, 3)).astype(np.uint8)
    picture = picture.repeat(15, axis=0).repeat(15, axis=1)
    x, y, w, h = place(number)
    if number in HUNTED:
        picture[y + 8 : y + h - 8, x : x + w] = picture[y : y + h, x + 8 : x + w - 8] = (240, 30, 30)
    else:
        picture[y : y + h, x : x + w] = (30, 30, 230)
    noise = np.random.default_rng(number).normal(0, 2, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def place(number: int) -> tuple[int, int, int, int]:
    return 10 + 23 * (number * 7 % 9), 8 + 24 * (number * 5 % 6), 24, 24


@pytest.fixture
def frames(workspace: Workspace) -> tuple[Engine, list[Frame]]:
    folder = workspace.root / "hall"
    folder.mkdir()
    for number in range(COUNT):
        cv2.imwrite(str(folder / f"p{number:03}.png"), cv2.cvtColor(hall(number), cv2.COLOR_RGB2BGR))
    engine = workspace.open()
    return engine, frames_in(engine, folder, hint="")[0]


def like(workspace: Workspace, number: int) -> str:
    return f"{workspace.root / 'hall' / f'p{number:03}.png'}:{','.join(map(str, place(number)))}"


def model_with(engine: Engine, frames: list[Frame], boxes: dict[str, np.ndarray]) -> OpenedModel:
    """A model that has looked at the frames, and was sure of nothing."""
    model = Model("0" * 32, "rfdetr", "models/m.onnx", ("person", "helmet"))
    seen = [Detections(boxes[frame.id], np.full((len(boxes[frame.id]), 2), 0.02)) for frame in frames]
    with engine.database.write() as connection:
        models.add_model(connection, model, run_id=None, weights_key=None, registered_at=engine.now())
        models.record_predictions(connection, model.id, [frame.id for frame in frames], "part.npz")
    engine.storage.write_bytes("part.npz", pack(model.id, [frame.id for frame in frames], seen))
    return OpenedModel(model, Path("m.onnx"))


def top(hunted: hunting.Hunted, count: int = len(HUNTED)) -> set[int]:
    return set(np.argsort(-hunted.value, kind="stable")[:count].tolist())


def test_what_no_model_has_seen_is_found_by_its_movement(workspace: Workspace, frames) -> None:
    engine, of = frames
    found = hunting.hunted(engine, of, None, hunting.examples_of(engine, [like(workspace, HUNTED[0])], ()))
    assert found.frame_ids == tuple(frame.id for frame in of)
    assert top(found) == set(HUNTED)
    for number in HUNTED:
        x, y, w, h = place(number)
        np.testing.assert_allclose(found.box[number], [x, y, x + w, y + h], atol=4)
        assert found.reason(number).startswith("like: p007.png ")
    assert found.value[HUNTED[1]] > 0.9


def test_the_boxes_of_a_model_are_looked_at_however_unsure_it_is(workspace: Workspace, frames) -> None:
    engine, of = frames
    rng = np.random.default_rng(0)
    boxes = {}
    for number, frame in enumerate(of):
        corners = rng.uniform(0, 140, (12, 2))
        x, y, w, h = place(number)
        boxes[frame.id] = np.concatenate([np.concatenate([corners, corners + 24], axis=1), [[x, y, x + w, y + h]]])
    opened = model_with(engine, of, boxes)
    # Lone pictures of different places: nothing can be told from movement.
    found = hunting.hunted(engine, of[:4] + of[7:8], opened, hunting.examples_of(engine, [like(workspace, 18)], ()))
    assert found.value.argmax() == 4
    np.testing.assert_allclose(found.box[4], boxes[of[7].id][-1], atol=1e-3)
    assert crops.describe_missing(engine, of, opened)[0] == COUNT - 5


def test_a_second_hunt_reads_no_picture(workspace: Workspace, frames) -> None:
    engine, of = frames
    one = hunting.examples_of(engine, [like(workspace, HUNTED[0])], ())
    other = hunting.examples_of(engine, [like(workspace, 2)], ())
    first = hunting.hunted(engine, of, None, one)
    for frame in of:
        engine.storage.path(frame.key).unlink()
    again = hunting.hunted(engine, of, None, one)
    np.testing.assert_array_equal(again.value, first.value)
    np.testing.assert_array_equal(again.box, first.box)
    assert hunting.hunted(engine, of, None, other).value.argmax() == 2


def test_a_frame_that_cannot_be_read_looks_like_nothing_and_spoils_no_other(workspace: Workspace, frames) -> None:
    engine, of = frames
    examples = hunting.examples_of(engine, [like(workspace, HUNTED[0])], ())
    engine.storage.path(of[9].key).write_bytes(b"no picture")
    found = hunting.hunted(engine, of, None, examples)
    assert (found.value[9], found.example[9]) == (0.0, -1)
    assert top(found) == set(HUNTED)


@pytest.mark.parametrize("after", [1, 22])
def test_interrupted_anywhere_it_ends_as_an_undisturbed_run(workspace: Workspace, frames, after, monkeypatch) -> None:
    engine, of = frames
    monkeypatch.setattr(crops, "PART", 8)
    calls = []

    def advance(amount: int = 1) -> None:
        calls.append(amount)
        if len(calls) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine.progress, "advance", advance)
        with pytest.raises(KeyboardInterrupt):
            crops.describe_missing(engine, of, None)
    room = workspace.root / ".dataengine/crops/local-2/crops-1/moving"
    before = {path.name for path in room.glob("*.npz")}
    assert len(before) == (after - 1) // 8
    assert crops.describe_missing(engine, of, None) == (COUNT - 8 * len(before), ())
    ended = {path.name: path.read_bytes() for path in room.glob("*.npz")}
    assert before <= ended.keys()
    for path in room.glob("*.npz"):
        path.unlink()
    crops.describe_missing(engine, of, None)
    assert {path.name: path.read_bytes() for path in room.glob("*.npz")} == ended


def test_a_damaged_part_is_named(workspace: Workspace, frames) -> None:
    engine, of = frames
    examples = hunting.examples_of(engine, [like(workspace, HUNTED[0])], ())
    hunting.hunted(engine, of, None, examples)
    (part,) = (workspace.root / ".dataengine/crops").rglob("*.npz")
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(DamagedInputError) as caught:
        hunting.hunted(engine, of, None, examples)
    assert caught.value.hint == "delete it and run again: its crops are described anew"


def test_accepted_boxes_are_examples(workspace: Workspace) -> None:
    engine = workspace.open()
    upload(engine, frames=workspace.draw("in", range(8)))
    workspace.annotate(engine)
    export(engine)
    examples = hunting.examples_of(engine, (), ("helmet", "person", "helmet"))
    assert set(examples.kinds) == {"person", "helmet"}
    assert all(name.split(" in ")[0] == kind for name, kind in zip(examples.names, examples.kinds, strict=True))
    assert len(examples.vectors) == 2 * len(examples.names)
    again = hunting.examples_of(workspace.open(), (), ("helmet", "person"))
    np.testing.assert_array_equal(examples.vectors, again.vectors)


def test_what_cannot_be_hunted(workspace: Workspace, frames) -> None:
    engine, _ = frames
    picture = workspace.root / "hall" / "p007.png"
    for text, kind, message, hint in (
        (f"{workspace.root / 'gone.jpg'}:1,2,3,4", MissingInputError, "gone.jpg is not there", "PICTURE:X,Y,W,H"),
        (f"{picture}:1,2,3", UsageError, "is not PICTURE:X,Y,W,H", ""),
        (f"{picture}:200,2,80,40", UsageError, "not inside the picture, which is 240 x 180", "left, top"),
        (f"{picture}:-1,2,8,4", UsageError, "not inside the picture", "left, top"),
    ):
        with pytest.raises(kind, match=message) as caught:
            hunting.examples_of(engine, [text], ())
        assert hint in caught.value.hint
    with pytest.raises(UsageError, match="there is no class 'helmets'") as caught:
        hunting.examples_of(engine, (), ("helmets",))
    assert caught.value.hint == "did you mean 'helmet'?"
    with pytest.raises(MissingInputError, match="no box of helmet is accepted yet") as caught:
        hunting.examples_of(engine, (), ("helmet",))
    assert caught.value.hint == "give an example: --like picture.jpg:x,y,w,h"
    with pytest.raises(UsageError, match="nothing is hunted"):
        hunting.examples_of(engine, (), ())
    # A class that nobody has labelled yet is hunted by what was given.
    assert hunting.examples_of(engine, [like(workspace, 7)], ("helmet",)).kinds == ("--like",)
