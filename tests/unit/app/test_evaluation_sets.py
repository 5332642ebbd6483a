"""Which pictures a model is judged on, how they hang together, and what a purge leaves of it."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from colour_models import NAMES, things, truth
from colour_world import annotated, draw, good

from data_engine.app.classes.class_changes import rename, retire
from data_engine.app.dataset.dataset_golden import golden
from data_engine.app.lineage.lineage_purge import purge
from data_engine.app.models.evaluate import evaluate
from data_engine.app.models.evaluation_footage import LEAST_BLOCKS, UNKNOWN, day, footage_of, stretches
from data_engine.app.models.evaluation_matches import FOLDER
from data_engine.app.models.evaluation_sets import evaluation_set, set_of, units_of
from data_engine.app.models.model_registry import model_named
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import evaluations
from data_engine.selection.splits import SplitPlan
from data_engine.types import Frame
from data_engine.types.evaluation import TruthBox

SETTINGS = {
    "workspace": {"classes": NAMES},
    "predict": {"device": "cpu"},
    "upload": {"job_size": 500},
    "golden": {"fraction": 0.3, "min_per_class": 5},
    "evaluate": {"resamples": 100},
}


@pytest.fixture
def engine(workspace):
    made = workspace.open(**SETTINGS)
    annotated(made, draw(made.root / "in", range(0, 120, 2)))
    return made


def test_the_golden_set_comes_first_and_what_judges_is_said(engine):
    before = evaluation_set(engine)
    assert (before.kind, before.name) == ("validation", "validation of v1")
    assert "by which models were chosen too" in before.notes[0]
    assert evaluation_set(engine, "validation").digest == before.digest
    assert evaluation_set(engine, "v1").digest == before.digest
    with pytest.raises(MissingInputError, match="v1 has no golden set"):
        evaluation_set(engine, "golden")
    golden(engine)
    after = evaluation_set(engine)
    assert (after.kind, after.name, after.notes) == ("golden", "golden set of v2", ())
    assert evaluation_set(engine, "golden") == after
    later = evaluation_set(engine, "validation")
    assert not {frame.id for frame in after.frames} & {frame.id for frame in later.frames}
    # What was the validation side is asked for by its version, as it was.
    assert evaluation_set(engine, "v1").digest == before.digest
    with pytest.raises(MissingInputError, match="there is no dataset version 'v9'"):
        evaluation_set(engine, "v9")


def test_it_holds_what_people_accepted(engine):
    on = evaluation_set(engine)
    for frame in on.frames:
        drawn = {(label, xywh) for label, xywh in truth(frame)}
        assert {(box.label, box.xywh) for box in on.boxes[frame.id]} == drawn
    assert [frame.id for frame in on.frames] == sorted(frame.id for frame in on.frames)


def test_pictures_that_are_gone_are_counted_and_none_at_all_is_refused(engine):
    on = evaluation_set(engine)
    engine.storage.delete(on.frames[0].key)
    left = evaluation_set(engine)
    assert (left.missing, len(left.frames)) == (1, len(on.frames) - 1)
    assert left.digest != on.digest
    assert "1 picture of the validation of v1 no longer on the disk, left out" in left.notes
    for frame in left.frames:
        engine.storage.delete(frame.key)
    with pytest.raises(MissingInputError, match="no picture of the validation of v1 is left"):
        evaluation_set(engine)


def test_the_digest_is_of_what_is_there_and_not_of_its_name():
    frame = Frame("a" * 32, "a.jpg", "in/a.jpg", 10, 10, "gate")
    box = TruthBox("person", (0.0, 0.0, 5.0, 5.0))
    one = set_of([frame], {frame.id: [box]}, "golden", "golden set of v2")
    assert one.digest == set_of([frame], {frame.id: [box]}, "folder", "elsewhere").digest
    for other in (
        TruthBox("helmet", box.xywh),
        TruthBox("person", box.xywh, crowd=True),
        TruthBox("person", (0, 0, 5, 6)),
    ):
        assert set_of([frame], {frame.id: [other]}, "golden", "golden set of v2").digest != one.digest
    assert set_of([frame], {}, "golden", "golden set of v2").digest != one.digest


def write_coco(folder, seeds, names, *, split=None):
    draw(folder / "images", seeds)
    images = [
        {"id": n, "file_name": f"p{s:04}.png", "width": 64, "height": 64, **({"split": split} if split else {})}
        for n, s in enumerate(seeds, 1)
    ]
    annotations = [
        {
            "image_id": n,
            "category_id": names.index(NAMES[number]) + 1,
            "bbox": [16 * x, 16 * y, 16, 16],
            "area": 256,
            "iscrowd": 0,
        }
        for n, seed in enumerate(seeds, 1)
        for number, x, y in things(seed)
    ]
    categories = [{"id": n, "name": name} for n, name in enumerate(names, 1)]
    numbered = [{"id": n, **row} for n, row in enumerate(annotations, 1)]
    (folder / "labels.json").write_text(
        json.dumps({"images": images, "annotations": numbered, "categories": categories})
    )
    return folder


@pytest.mark.parametrize("whole", [True, False])
def test_a_labelled_folder_is_a_set_whose_classes_meet_by_name(engine, tmp_path, whole):
    folder = write_coco(tmp_path / "elsewhere", range(500, 508), list(reversed(NAMES)))
    on = evaluation_set(engine, str(folder if whole else folder / "labels.json"))
    assert (on.kind, len(on.frames), on.version_id) == ("folder", 8, None)
    # Its boxes are whole cells, as the model's are.
    evaluation = evaluate(engine, model_named(engine, str(good(tmp_path))), on)
    assert evaluation.overall.map.value == pytest.approx(1.0)
    with engine.database.read() as connection:
        assert evaluations.by_id(connection, evaluation.id).dataset_version_id is None


def test_a_folder_without_labels_is_refused(engine, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DamagedInputError):
        evaluation_set(engine, str(tmp_path / "empty"))
    with pytest.raises(MissingInputError, match="is not there"):
        evaluation_set(engine, str(tmp_path / "nowhere"))


def test_real_pictures_from_elsewhere(engine, shared):
    on = evaluation_set(engine, str(shared / "data" / "bccd"))
    assert len(on.frames) > 100
    assert {box.label for mine in on.boxes.values() for box in mine} == {"RBC", "WBC", "Platelets"}
    assert any("the side to train on" in note for note in on.notes)


def test_frames_of_one_block_are_one_stretch():
    plan = SplitPlan("video:a", 60.0, 6.0, 0.2, 0.5)
    places = [("video:a", 60.0 * block + second) for block in range(LEAST_BLOCKS) for second in (1.0, 30.0)]
    units, what = stretches(places, {"video:a": plan})
    assert (len(set(units)), what) == (LEAST_BLOCKS, "blocks of the split")
    assert units[0] == units[1] != units[2]
    few, what = stretches(places[:4], {"video:a": plan})
    assert (len(set(few)), what) == (4, "moments")
    close, _what = stretches([("video:a", 20.1), ("video:a", 21.0), ("picture:b", 0.0), ("picture:c", 0.0)], {})
    assert close[0] == close[1]
    assert len(set(close)) == 3


def test_what_another_video_shows_of_the_same_time_is_the_same_stretch():
    first = SplitPlan("video:a", 60.0, 6.0, 0.2, 0.5)
    units, _what = stretches(
        [("video:a", 61.0), ("video:b", 1.0)], {"video:a": first, "video:b": first.of("video:b", 60.0)}
    )
    assert units[0] == units[1]


@pytest.mark.parametrize(
    ("captured", "pts", "expected"),
    [
        ("2026-03-01T23:59:50+02:00", 0, "2026-03-01"),
        ("2026-03-01T23:59:50+02:00", 20, "2026-03-02"),
        ("2026-03-01T23:59:50", 20, "2026-03-02"),
        ("no date", 0, UNKNOWN),
        (None, 0, UNKNOWN),
    ],
)
def test_the_day_is_that_of_the_recording_s_own_clock(captured, pts, expected):
    frame = Frame("f", "f.jpg", "f.jpg", 10, 10, "gate", "v", pts, Fraction(1))
    assert day(frame, {} if captured is None else {"v": captured}) == expected
    assert day(Frame("f", "f.jpg", "f.jpg", 10, 10, "gate"), {}) == UNKNOWN


def test_resamples_are_of_the_set_alone(engine):
    on = evaluation_set(engine)
    footage, _what = footage_of(engine, on.frames, on.digest)
    assert units_of(engine, on) == footage.units.tolist()
    assert footage.seed == footage_of(engine, on.frames, on.digest)[0].seed
    assert footage.seed != footage_of(engine, on.frames, "0" * 32)[0].seed


def test_what_is_purged_leaves_the_matches_too(engine, tmp_path):
    on = evaluation_set(engine)
    model = model_named(engine, str(good(tmp_path)))
    first = evaluate(engine, model, on)
    (file,) = (engine.root / FOLDER / model.id).iterdir()
    gone = on.frames[0]
    purge(engine, frame=gone.id, reason="asked for", sure=lambda _told: True)
    assert not file.exists()
    left = evaluation_set(engine)
    assert gone.id not in {frame.id for frame in left.frames}
    again = evaluate(engine, model, left)
    assert (again.images, again.predicted_now) == (first.images - 1, 0)
    (file,) = (engine.root / FOLDER / model.id).iterdir()
    assert gone.id.encode() not in file.read_bytes()


def test_the_boxes_of_an_older_version_go_by_the_names_of_today(engine):
    before = evaluation_set(engine, "v1")
    rename(engine, "vest", "waistcoat")
    retire(engine, "helmet")
    after = evaluation_set(engine, "v1")
    assert {box.label for mine in before.boxes.values() for box in mine} == set(NAMES)
    assert {box.label for mine in after.boxes.values() for box in mine} == {"person", "waistcoat"}
    assert sum(map(len, after.boxes.values())) == 2 * len(after.frames)


def test_a_folder_that_is_called_as_a_version_is_meant_where_a_path_is_spelt(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_coco(tmp_path / "v1", range(600, 603), list(NAMES))
    assert evaluation_set(engine, "v1").kind == "validation"
    assert evaluation_set(engine, "./v1").kind == "folder"
