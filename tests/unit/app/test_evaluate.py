"""Models measured through the command: real ONNX graphs, a golden set, pages and files, and nothing asked twice."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from colour_models import NAMES, colours
from colour_world import annotated, draw, good, weak
from drawn_workspace import Workspace

from data_engine.app.dataset.dataset_golden import golden
from data_engine.app.models import evaluation_measure
from data_engine.app.models import models as app_models
from data_engine.app.models.evaluate import compare, evaluate, evaluation_set
from data_engine.app.models.evaluation_matches import seen_by, true_boxes
from data_engine.app.models.evaluation_report import evaluated
from data_engine.app.models.model_registry import model_named
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import evaluations
from data_engine.metrics.coco import evaluate as coco

SETTINGS = {
    "workspace": {"classes": NAMES},
    "predict": {"device": "cpu"},
    "upload": {"job_size": 500},
    "golden": {"fraction": 0.3, "min_per_class": 5},
    "evaluate": {"resamples": 200},
}
ODD = range(0, 400, 16)
"""Pictures on which everything has another colour than it should."""


@pytest.fixture(scope="module")
def made(tmp_path_factory, new_clock):
    """A workspace with a golden set; and where it lies with its models."""
    root = tmp_path_factory.mktemp("colours")
    with ExitStack() as stack:
        workspace = Workspace(root / "Halle 3 ä", new_clock(), stack)
        engine = workspace.open(**SETTINGS)
        annotated(engine, draw(engine.root / "in", range(0, 400, 2), odd=ODD))
        golden(engine)
        good(root)
        weak(root)
        yield workspace, root


@pytest.fixture
def engine(made, monkeypatch):
    monkeypatch.chdir(made[1])
    return made[0].open(**SETTINGS)


@pytest.fixture
def asked(monkeypatch):
    """How many pictures models are asked about."""
    counts = []

    def counted(engine, path, frames):
        counts.append(len(frames))
        return was(engine, path, frames)

    was = app_models.asked
    monkeypatch.setattr(app_models, "asked", counted)
    return counts


def test_the_numbers_are_coco_s_of_the_golden_set(engine):
    on = evaluation_set(engine)
    assert (on.kind, on.name) == ("golden", "golden set of v2")
    model = model_named(engine, "good.onnx")
    evaluation = evaluate(engine, model, on)
    opened = app_models.register_model(engine, engine.storage.path(model.key))
    seen = seen_by(engine, opened, on.frames)
    told = coco(true_boxes(on, on.frames, NAMES), [seen[frame.id] for frame in on.frames], NAMES)
    assert evaluation.overall.map.value == pytest.approx(told["map"], abs=1e-8)
    assert evaluation.overall.map50.value == pytest.approx(told["map50"], abs=1e-8)
    assert {name: one.map.value for name, one in evaluation.per_class.items()} == pytest.approx(told["ap_per_class"])
    assert (evaluation.images, evaluation.boxes) == (told["images"], told["boxes"])
    assert 0 < evaluation.overall.map50.low < evaluation.overall.map50.value < evaluation.overall.map50.high <= 1
    assert [one.boxes for one in evaluation.per_size.values()] == [evaluation.boxes, 0, 0]
    assert evaluation.per_size["large"].map.value is None
    assert set(evaluation.per_camera) == {"in"}
    assert set(evaluation.per_day) == {"unknown"}
    assert sum(map(sum, evaluation.confusion.table)) >= evaluation.boxes


def test_a_second_look_asks_the_model_nothing_whatever_is_wanted(engine, made, asked):
    model = model_named(engine, "good.onnx")
    on = evaluation_set(engine)
    first = evaluate(engine, model, on)
    asked.clear()
    again = evaluate(engine, model, on)
    assert (asked, again.cached, again.predicted_now) == ([], True, 0)
    assert replace(again, cached=first.cached, predicted_now=first.predicted_now) == first
    wanted = made[0].open(**{**SETTINGS, "evaluate": {"resamples": 200, "recall": ("0.5", "helmet=0.8")}})
    other = evaluate(wanted, model, on)
    assert (asked, other.cached) == ([], True)
    assert other.id != first.id
    assert {name: one.wanted for name, one in other.thresholds.items()} == {"person": 0.5, "helmet": 0.8, "vest": 0.5}
    with engine.database.read() as connection:
        rows = {row.id: row for row in evaluations.of_model(connection, model.id, "golden")}
    assert {first.id, other.id} <= set(rows)
    row = rows[first.id]
    assert row.metrics["map50"] == pytest.approx(
        [getattr(first.overall.map50, n) for n in ("value", "low", "high")], abs=1e-6
    )
    assert (row.kind, row.images, row.boxes, row.data_digest) == ("golden", first.images, first.boxes, on.digest)
    assert engine.storage.exists(row.key)


def test_what_was_matched_is_matched_again_where_its_file_is_gone_or_broken(engine, asked):
    model = model_named(engine, "good.onnx")
    on = evaluation_set(engine)
    first = evaluate(engine, model, on)
    asked.clear()
    with engine.database.read() as connection:
        key = evaluations.by_id(connection, first.id).key
    whole = engine.storage.read_bytes(key)
    for broken in (None, whole[: len(whole) // 2]):
        engine.storage.delete(key) if broken is None else engine.storage.write_bytes(key, broken)
        again = evaluate(engine, model, on)
        assert (asked, again.cached) == ([], False)
        assert again.overall == first.overall
        assert engine.storage.read_bytes(key) == whole


def test_a_worse_model_is_seen_to_be_worse_where_it_is(engine):
    champion, challenger = model_named(engine, "good.onnx"), model_named(engine, "weak.onnx")
    on = evaluation_set(engine, "golden")
    comparison = compare(engine, champion, challenger, on)
    assert comparison.overall.high < 0
    assert comparison.per_class["helmet"].difference < -0.3
    assert comparison.overall.difference == pytest.approx(
        np.mean([one.difference for one in comparison.per_class.values()])
    )
    assert (comparison.champion_id, comparison.challenger_id, comparison.kind) == (champion.id, challenger.id, "golden")
    back = compare(engine, challenger, champion, on)
    assert (back.overall.low, back.overall.high) == (-comparison.overall.high, -comparison.overall.low)
    same = compare(engine, champion, champion, on)
    assert (same.overall.low, same.overall.difference, same.overall.high) == (0.0, 0.0, 0.0)
    other = compare(engine, champion, challenger, on, metric="map50")
    assert (comparison.metric, other.metric) == ("map", "map50")
    assert other.overall.champion > comparison.overall.champion


def test_models_of_other_classes_meet_by_name(engine, made):
    one = colours(made[1] / "two.onnx", ("vest", "person"), weights=_turned())
    champion, challenger = model_named(engine, "good.onnx"), model_named(engine, str(one))
    wanted = made[0].open(**{**SETTINGS, "evaluate": {"resamples": 200, "recall": ("0.9", "helmet=0.98")}})
    alone = evaluate(wanted, challenger, evaluation_set(engine))
    assert set(alone.thresholds) == {"vest", "person"}
    assert any("two.onnx does not have helmet: no threshold" in note for note in alone.notes)
    comparison = compare(engine, champion, challenger, evaluation_set(engine))
    assert set(comparison.per_class) == {"person", "vest"}
    assert (comparison.champion_only, comparison.challenger_only) == (("helmet",), ())
    assert any("compared on the classes that both have: person, vest; left out: helmet" in n for n in comparison.notes)
    # It is as good as the other: its classes were not taken by their numbers.
    assert comparison.overall.champion == pytest.approx(comparison.overall.challenger, abs=0.02)
    assert any("does not have are left out: helmet (" in note for note in comparison.notes)


def _turned() -> np.ndarray:
    from colour_world import SEEN

    return np.stack([SEEN[:, 2], SEEN[:, 0], [-2.0] * 3], axis=1).astype(np.float32)


def test_the_command_tells_writes_and_shows(engine, made):
    report = evaluated(engine, model="good.onnx", page=made[1] / "one.html")
    assert re.match(
        r"good.onnx \(\w{8}\) on the golden set of v2: mAP 0.\d{3} \[0.\d{3}, 0.\d{3}\], mAP50 ", report.title
    )
    assert [row["class"] for row in report.rows] == list(NAMES)
    assert set(report.tables) == {"sizes", "taken for"}
    written = json.loads((engine.root / "evaluation.json").read_bytes())
    assert written["thresholds"]["person"]["score"] == report.rows[0]["score"] > 0
    assert written["map"] == report.data["map"]
    page = (made[1] / "one.html").read_text("utf-8")
    assert page.count("<figure") > 3
    # A curve and a reliability diagram a class, and that of all classes.
    assert page.count("<polyline") == 2 * 3 + 1
    assert page.count("share that is right against the score. score ") == 3 + 1
    beside = evaluated(
        engine, model="weak.onnx", against="good.onnx", page=made[1] / "two.html", output=made[1] / "pair.json"
    )
    assert beside.title.endswith("worse, beyond chance")
    pair = json.loads((made[1] / "pair.json").read_bytes())
    assert pair["comparison"]["overall"]["high"] < 0
    assert [one["on"] for one in pair["evaluations"]] == ["golden set of v2"] * 2
    page = (made[1] / "two.html").read_text("utf-8")
    assert "http" not in re.sub(r"http://www.w3.org/\S+|http-equiv", "", page)
    assert "found by it alone: 0, by the other alone: 1" in page


def test_each_of_two_models_is_looked_at_once(engine, made, monkeypatch):
    looked: list[str] = []
    look = evaluation_measure.look

    def counting(engine, model, on):
        looked.append(model.key)
        return look(engine, model, on)

    monkeypatch.setattr(evaluation_measure, "look", counting)
    told = evaluated(engine, model="weak.onnx", against="good.onnx", page=made[1] / "two.html")
    assert len(looked) == len(set(looked)) == 2
    # Beside the averages stands what each finds at as many false alarms as the other may raise.
    recalls = told.tables["recall at equal false alarms"]
    assert [row["class"] for row in recalls] == list(NAMES)
    assert all(row["model"] <= row["against"] for row in recalls)


def test_pictures_come_by_how_much_the_models_differ(engine, made):
    evaluated(engine, model="weak.onnx", against="good.onnx", page=made[1] / "two.html")
    page = (made[1] / "two.html").read_text("utf-8")
    alone = [int(a) + int(b) for a, b in re.findall(r"found by it alone: (\d+), by the other alone: (\d+)", page)]
    false = [abs(int(a) - int(b)) for a, b in re.findall(r"false alarms: (\d+) against (\d+)", page)]
    differ = [a + b for a, b in zip(alone, false, strict=True)]
    assert differ == sorted(differ, reverse=True)
    assert min(differ) > 0


def test_a_wanted_recall_that_nothing_reaches_is_said(engine, made):
    wanted = made[0].open(**{**SETTINGS, "evaluate": {"resamples": 200, "recall": ("0.99",)}})
    report = evaluated(wanted, model="weak.onnx")
    (note,) = [note for note in report.notes if "no score reaches" in note]
    assert "helmet" in note
    with pytest.raises(UsageError, match="bicycle"):
        evaluated(made[0].open(**{**SETTINGS, "evaluate": {"recall": ("bicycle=0.9",)}}), model="weak.onnx")


def test_what_it_cannot_do_is_said(engine, made):
    with pytest.raises(UsageError, match="against itself"):
        evaluated(engine, model="good.onnx", against="good.onnx")
    with pytest.raises(MissingInputError):
        evaluated(engine, model="no-such.onnx")
    with pytest.raises(UsageError, match=r"name a \.json file"):
        evaluated(engine, model="good.onnx", output=made[1] / "x.txt")
    strange = colours(made[1] / "strange.onnx", ("person",), weights=np.array([[2, -2], [-2, -2], [-2, -2]]))
    model = model_named(engine, str(strange))
    on = evaluation_set(engine)
    nothing = replace(on, boxes={i: [b for b in mine if b.label == "vest"] for i, mine in on.boxes.items()})
    with pytest.raises(MissingInputError, match=r"no box of what strange\.onnx knows: person"):
        evaluate(engine, model, replace(nothing, digest="d" * 32))


def test_a_picture_that_cannot_be_read_is_left_out_on_both_sides(made, monkeypatch, tmp_path_factory, new_clock):
    root = tmp_path_factory.mktemp("broken")
    with ExitStack() as stack:
        engine = Workspace(root / "w", new_clock(), stack).open(**SETTINGS)
        annotated(engine, draw(engine.root / "in", range(0, 120, 2)))
        on = evaluation_set(engine)
        assert on.kind == "validation"
        assert "no golden set yet" in on.notes[0]
        broken = on.frames[1]
        engine.storage.path(broken.key).write_bytes(b"no picture")
        champion, challenger = (
            model_named(engine, str(made[1] / "good.onnx")),
            model_named(engine, str(made[1] / "weak.onnx")),
        )
        comparison = compare(engine, champion, challenger, on)
        assert comparison.images == len(on.frames) - 1
        assert any("1 picture of validation of v1 cannot be read" in note for note in comparison.notes)
        assert not evaluate(engine, champion, on).cached


def test_what_was_measured_of_a_model_stays_when_its_file_is_thinned_out(engine, made, asked):
    old = made[1] / "old.onnx"

    model = model_named(engine, str(colours(old, weights=_dimmed())))
    on = evaluation_set(engine)
    first = evaluate(engine, model, on)
    old.unlink()
    asked.clear()
    again = evaluate(engine, model, on)
    assert (asked, again.overall, again.cached) == ([], first.overall, True)
    assert compare(engine, model, model_named(engine, "good.onnx"), on).overall.champion == first.overall.map.value
    with pytest.raises(MissingInputError, match="is gone"):
        evaluate(engine, model, evaluation_set(engine, "validation"))


def _dimmed() -> np.ndarray:
    from colour_world import SEEN

    return np.concatenate([0.7 * SEEN, np.full((3, 1), -2.0)], axis=1).astype(np.float32)


def test_an_evaluation_that_is_cut_off_ends_as_one_that_is_not(engine, monkeypatch):
    model = model_named(engine, "weak.onnx")
    on = replace(evaluation_set(engine, "validation"), digest="e" * 32)
    with monkeypatch.context() as cut:

        def stop(*_given):
            raise KeyboardInterrupt

        cut.setattr(evaluations, "record", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate(engine, model, on)
    with engine.database.read() as connection:
        assert not [row for row in evaluations.of_model(connection, model.id) if row.data_digest == on.digest]
    done = evaluate(engine, model, on)
    assert done.cached
    with engine.database.read() as connection:
        (row,) = [row for row in evaluations.of_model(connection, model.id) if row.data_digest == on.digest]
        state = connection.scalar(sa.text("select state from runs where stage = 'evaluate' order by started_at desc"))
    assert (row.id, state) == (done.id, "done")
