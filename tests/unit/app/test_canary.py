"""The class canary, with real ONNX graphs that know colours: a moved numbering is stopped before anything is stored."""

from __future__ import annotations

import numpy as np
import pytest
from colour_models import NAMES, colours, draw, truth

from data_engine.app.annotation.upload import upload
from data_engine.app.footage.pictures import frames_in
from data_engine.app.merge.export import export
from data_engine.app.models import canary
from data_engine.app.models.models import OpenedModel, predict_missing, register_model
from data_engine.demo.people import work
from data_engine.errors import DamagedInputError
from data_engine.formats.predictions import pack, unpack
from data_engine.lineage import canaries, models
from data_engine.types import Detections


@pytest.fixture
def open_named(workspace):
    """Opens the workspace with three classes."""
    return lambda **predict: workspace.open(
        workspace={"classes": NAMES}, predict={"device": "cpu", **predict}, upload={"job_size": 200}
    )


@pytest.fixture
def accept(workspace, open_named):
    """Has people annotate drawn pictures and makes a dataset version of them."""

    def accepted(seeds, folder: str = "in") -> list:
        engine = open_named()
        pictures = draw(workspace.root / folder, seeds)
        upload(engine, frames=pictures)
        work(engine, truth, annotator="ann@example.com", reviewer="rev@example.com")
        export(engine)
        return frames_in(engine, pictures, hint="")[0]

    return accepted


def recorded(engine, opened: OpenedModel) -> list[tuple[str, str, int]]:
    """Environment, verdict and number of pictures of what is recorded of a model."""
    with engine.database.read() as connection:
        rows = canaries.of_model(connection, opened.model.id)
    return [(row.environment, row.verdict, len(unpack(engine.storage.read_bytes(row.key)))) for row in rows]


def registered(engine) -> int:
    from data_engine.lineage.tables import models as table

    with engine.database.read() as connection:
        return len(connection.execute(table.select()).all())


def asked(monkeypatch) -> list[str]:
    """Collects what every look at pictures was labelled."""
    from drawn_workspace import Silent

    labels: list[str] = []
    monkeypatch.setattr(Silent, "start", lambda self, label, *args, **more: labels.append(label))
    return labels


def test_the_right_numbering_passes_and_is_not_asked_again(accept, open_named, tmp_path, monkeypatch):
    accept(range(12))
    engine = open_named()
    path = colours(tmp_path / "right.onnx")
    opened = register_model(engine, path)
    environment = canary.environment_of(path, "rfdetr")
    assert "onnxruntime" in environment
    assert recorded(engine, opened) == [(environment, "agrees", 12)]
    accept(range(12, 14), "more")
    labels = asked(monkeypatch)
    register_model(engine, path)
    assert labels == []
    assert not engine.notes


def test_names_in_another_order_than_the_registry_are_right_where_the_outputs_are(accept, open_named, tmp_path):
    accept(range(12))
    engine = open_named()
    order = ("vest", "person", "helmet")
    weights = np.zeros((3, 4), np.float32)
    weights[:, :3] = (4 * np.eye(3) - 2)[:, [NAMES.index(name) for name in order]]
    opened = register_model(engine, colours(tmp_path / "other.onnx", order, weights=weights))
    assert opened.model.class_names == order
    assert [verdict for _, verdict, _ in recorded(engine, opened)] == ["agrees"]


@pytest.mark.parametrize(
    ("names", "message", "order"),
    [
        (
            ("helmet", "vest", "person"),
            "'vest' 12 of 12 accepted boxes of helmet, 'person' 12 of 12 accepted boxes of vest, "
            "'helmet' 12 of 12 accepted boxes of person: its numbering is shifted by one",
            "person,helmet,vest",
        ),
        (
            ("vest", "person", "helmet"),
            "'helmet' 12 of 12 accepted boxes of vest, 'vest' 12 of 12 accepted boxes of person, "
            "'person' 12 of 12 accepted boxes of helmet: its numbering is shifted by one",
            "person,helmet,vest",
        ),
        (
            ("helmet", "person", "vest"),
            "'person' 12 of 12 accepted boxes of helmet, 'helmet' 12 of 12 accepted boxes of person: "
            "its classes are numbered otherwise",
            "person,helmet,vest",
        ),
    ],
)
def test_a_moved_numbering_is_stopped_and_the_model_is_not_registered(
    names, message, order, accept, open_named, tmp_path
):
    accept(range(12))
    engine = open_named()
    with pytest.raises(DamagedInputError) as caught:
        register_model(engine, colours(tmp_path / "moved.onnx", names))
    assert (caught.value.exit_code, caught.value.message) == (4, f"moved.onnx calls {message}")
    assert f"real order, {order} (in the file, or with --classes" in caught.value.hint
    assert registered(engine) == 0
    assert not (engine.root / ".dataengine/predictions").exists()
    assert not (engine.root / ".dataengine/canaries").exists()


def test_names_given_in_the_order_of_the_hint_are_taken(accept, open_named, tmp_path):
    accept(range(12))
    path = colours(tmp_path / "nameless.onnx", ())
    with pytest.raises(DamagedInputError) as caught:
        register_model(open_named(classes=("vest", "person", "helmet")), path)
    (told,) = (word for word in caught.value.hint.split() if "," in word.strip(","))
    opened = register_model(open_named(classes=tuple(told.split(","))), path)
    assert opened.model.class_names == NAMES


def test_numbers_from_one_read_from_zero_are_a_shift_by_one(accept, open_named, tmp_path):
    """The last class falls out of the model, as where RF-DETR's releases disagreed."""
    accept(range(12))
    with pytest.raises(DamagedInputError) as caught:
        register_model(open_named(), colours(tmp_path / "from_one.onnx", first=1))
    assert caught.value.message == (
        "from_one.onnx calls 'helmet' 12 of 12 accepted boxes of person, 'vest' 12 of 12 accepted boxes of helmet: "
        "its numbering is shifted by one"
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_knows_nothing_is_unclear(seed, accept, open_named, tmp_path):
    accept(range(12))
    engine = open_named()
    random = np.random.default_rng(seed)
    # A new head, or one that says its favourite of everything that has a colour.
    weights = random.normal(0, 0.3, (3, 4)) if seed % 2 else np.outer([-9, -9, -9], random.permutation(4) == 0)
    opened = register_model(engine, colours(tmp_path / "random.onnx", weights=weights))
    assert [(verdict, pictures) for _, verdict, pictures in recorded(engine, opened)] == [("unclear", 12)]


def test_what_is_unclear_is_tried_again_with_each_dataset_version_only(accept, open_named, tmp_path, monkeypatch):
    engine = open_named()
    path = colours(tmp_path / "model.onnx")
    opened = register_model(engine, path)
    assert [row[1:] for row in recorded(engine, opened)] == [("unclear", 0)]
    labels = asked(monkeypatch)
    register_model(engine, path)
    assert labels == []
    for seeds, folder, verdict, pictures in ((range(5), "a", "unclear", 5), (range(5, 12), "b", "agrees", 12)):
        accept(seeds, folder)
        labels.clear()
        register_model(engine, path)
        register_model(engine, path)
        assert labels == ["checking classes"]
        assert [row[1:] for row in recorded(engine, opened)] == [(verdict, pictures)]
    # One file a model and environment, whatever was tried.
    assert len(list((engine.root / ".dataengine/canaries").rglob("*.npz"))) == 1


def test_a_model_that_was_trusted_before_there_were_boxes_is_stopped_by_the_first(accept, open_named, tmp_path):
    engine = open_named()
    path = colours(tmp_path / "moved.onnx", ("helmet", "vest", "person"))
    register_model(engine, path)
    accept(range(12))
    for _ in range(2):
        with pytest.raises(DamagedInputError, match="its numbering is shifted by one"):
            register_model(engine, path)


def test_pictures_that_are_gone_or_damaged_are_passed_over(accept, open_named, tmp_path):
    frames = accept(range(14))
    engine = open_named()
    engine.storage.path(frames[0].key).unlink()
    engine.storage.path(frames[1].key).write_bytes(b"no picture")
    opened = register_model(engine, colours(tmp_path / "model.onnx"))
    assert [row[1:] for row in recorded(engine, opened)] == [("agrees", 12)]


# --- other libraries ------------------------------------------------------------------------------------------------


def upgraded(monkeypatch, name: str = "onnxruntime 9.9") -> None:
    monkeypatch.setattr(canary, "environment_of", lambda path, kind: name)


def turn(engine, key: str, by: int = 1) -> None:
    """What another release would have said: the same boxes under the next names."""
    stored = unpack(engine.storage.read_bytes(key))
    turned = [Detections(seen.xyxy, np.roll(seen.scores, by, axis=1)) for _, seen in stored]
    engine.storage.write_bytes(key, pack(stored.model_id, stored.frame_ids, turned))


def test_an_upgrade_that_changes_nothing_is_recorded(accept, open_named, tmp_path, monkeypatch):
    accept(range(12))
    engine = open_named()
    path = colours(tmp_path / "model.onnx")
    opened = register_model(engine, path)
    upgraded(monkeypatch)
    register_model(engine, path)
    labels = asked(monkeypatch)
    register_model(engine, path)
    assert labels == []
    rows = recorded(engine, opened)
    assert [row[1:] for row in rows] == [("agrees", 12)] * 2
    assert rows[0][0] == "onnxruntime 9.9" != rows[1][0]


def test_an_upgrade_that_moves_classes_is_stopped_without_any_accepted_box(
    workspace, open_named, tmp_path, monkeypatch
):
    engine = open_named()
    path = colours(tmp_path / "model.onnx")
    opened = register_model(engine, path)
    frames, _ = frames_in(engine, draw(workspace.root / "in", range(12)), hint="")
    predict_missing(engine, opened, frames)
    before = canary.environment_of(path, "rfdetr")
    upgraded(monkeypatch, "onnxruntime 8.8")
    register_model(engine, path)
    assert [row[1:] for row in recorded(engine, opened)] == [("unclear", 12), ("unclear", 0)]

    with engine.database.read() as connection:
        newest, _ = canaries.of_model(connection, opened.model.id)
    turn(engine, newest.key)
    upgraded(monkeypatch)
    with pytest.raises(DamagedInputError) as caught:
        register_model(engine, path)
    assert caught.value.message == (
        "under onnxruntime 9.9 model.onnx calls 'vest' 12 of 12 boxes that it named person, 'person' 12 of 12 boxes "
        "that it named helmet, 'helmet' 12 of 12 boxes that it named vest under onnxruntime 8.8: "
        "an upgrade moved its classes"
    )
    assert len(recorded(engine, opened)) == 2
    # Whoever trusts the new names deletes what was said under the old ones.
    for part in ("predictions", "canaries"):
        folder = engine.root / f".dataengine/{part}/{opened.model.id}"
        assert str(folder.relative_to(engine.root)) in caught.value.hint
        for file in folder.iterdir():
            file.unlink()
    register_model(engine, path)
    assert before != "onnxruntime 9.9"
    with engine.database.read() as connection:
        assert models.by_id(connection, opened.model.id) is not None
        assert canaries.of_model(connection, opened.model.id)[0].environment == "onnxruntime 9.9"


def test_a_model_that_was_used_before_there_was_a_canary_is_held_against_its_predictions(
    workspace, open_named, tmp_path, monkeypatch
):
    from data_engine.lineage.tables import canaries as table

    engine = open_named()
    path = colours(tmp_path / "model.onnx")
    opened = register_model(engine, path)
    frames, _ = frames_in(engine, draw(workspace.root / "in", range(12)), hint="")
    predict_missing(engine, opened, frames)
    with engine.database.write() as connection:
        connection.execute(table.delete())
        ((part, _row), *_) = models.predicted(connection, opened.model.id, [frames[0].id]).values()
    turn(engine, part)
    with pytest.raises(DamagedInputError, match="boxes that it named vest before: an upgrade moved its classes"):
        register_model(engine, path)
    turn(engine, part, -1)
    register_model(engine, path)
    assert [row[1:] for row in recorded(engine, opened)] == [("unclear", 12)]


# --- the choice of pictures -----------------------------------------------------------------------------------------


def test_an_upgrade_is_named_where_accepted_boxes_show_the_shift_too(accept, open_named, tmp_path, monkeypatch):
    accept(range(12))
    path = colours(tmp_path / "model.onnx")
    engine = open_named()
    register_model(engine, path)
    before = canary.environment_of(path, "rfdetr")
    monkeypatch.setattr(canary, "environment_of", lambda *_: f"{before}, onnxruntime 99")
    real = canary._asked

    def moved(*args):
        return {
            i: Detections(found.xyxy, np.ascontiguousarray(found.scores[:, [1, 2, 0]]))
            for i, found in real(*args).items()
        }

    monkeypatch.setattr(canary, "_asked", moved)
    with pytest.raises(DamagedInputError, match="an upgrade moved its classes"):
        register_model(engine, path)


def test_rare_classes_come_first_and_the_number_is_bounded():
    often, rare = [f"o{i:03}" for i in range(500)], [f"r{i:02}" for i in range(30)]
    there = lambda frame_id: not frame_id.endswith("7")  # noqa: E731
    chosen = canary._chosen([often, rare, ["o001"]], there)
    assert chosen == canary._chosen([often, rare, ["o001"]], there)
    assert len(chosen) == len(set(chosen)) <= 64
    assert chosen[0] == "o001"
    assert sum(frame_id.startswith("r") for frame_id in chosen) == 24
    assert not any(frame_id.endswith("7") for frame_id in chosen)
    many = canary._chosen([[f"{c}-{i}" for i in range(99)] for c in range(80)], lambda _: True)
    assert len(many) == 64
