"""``promote`` on real ONNX graphs: a worse model stays out of use, a better one comes into it, and it is said why."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from colour_models import NAMES, colours, draw, truth
from drawn_workspace import Workspace

from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.dataset_golden import golden
from data_engine.app.footage.pictures import frames_in
from data_engine.app.lineage.lineage_show import show
from data_engine.app.merge.export import export
from data_engine.app.models import promote as app_promote
from data_engine.app.models.evaluate import evaluate, evaluation_set
from data_engine.app.models.evaluation_matches import look
from data_engine.app.models.golden_metrics import on_golden
from data_engine.app.models.in_use import champion_key, current_model, standing_of
from data_engine.app.models.model_export import export_model
from data_engine.app.models.model_thin import thin
from data_engine.app.models.models import predict_missing, register_model
from data_engine.app.models.promote import consider, promote
from data_engine.app.models.rollback import rollback
from data_engine.cli.main import main
from data_engine.demo.people import work
from data_engine.errors import ConflictError, DamagedInputError, DataEngineError, MissingInputError, UsageError
from data_engine.lineage import champions, datasets, footage, models, tombstones
from data_engine.lineage.work import Run, start
from data_engine.media.images import sha256_of
from data_engine.types import ID_LENGTH, Model

RIGHT = np.pad((4 * np.eye(3) - 2).astype(np.float32), ((0, 0), (0, 1)))


def noisy(seed: int, noise: float) -> np.ndarray:
    """Weights that name every colour rightly, with seeded noise."""
    return RIGHT + np.random.default_rng(seed).normal(0, noise, RIGHT.shape).astype(np.float32) * [[1, 1, 1, 0]]


# mAP50 on faint things: 1.0 of all classes; 0.92, vest 0.74; 0.78, person 0.34.
GOOD, MIDDLING, POOR = RIGHT, noisy(0, 2), noisy(2, 3)


SETTINGS = {
    "workspace": {"classes": NAMES},
    "predict": {"device": "cpu"},
    "upload": {"job_size": 200},
    "export": {"valid_fraction": 0.5},
    "golden": {"fraction": 0.3, "min_per_class": 8},
    "evaluate": {"resamples": 200},
}


@pytest.fixture(scope="module")
def annotated(tmp_path_factory, new_clock) -> Path:
    """A workspace with a dataset version of a hundred pictures, half of them validation."""
    with ExitStack() as stack:
        made = Workspace(tmp_path_factory.mktemp("annotated") / "w", new_clock(), stack)
        engine = made.open(**SETTINGS)
        # Far apart, so that none is another one's neighbour.
        upload(engine, frames=draw(made.root / "in", range(0, 4000, 40), faintest=0.1))
        work(engine, truth, annotator="ann@example.com", reviewer="rev@example.com")
        export(engine)
    return made.root


@pytest.fixture
def engine(annotated, workspace):
    """A copy of that workspace."""
    shutil.copytree(annotated, workspace.root, dirs_exist_ok=True)
    return workspace.open(**SETTINGS)


@pytest.fixture
def model(engine, tmp_path):
    """Registers a model of these weights, as if it had been trained here on the newest version."""

    def made(name: str, weights: np.ndarray, *, parent: str | None = None) -> Model:
        found = register_model(engine, colours(tmp_path / f"{name}.onnx", weights=weights)).model
        key = f"models/rfdetr/{name}/model.onnx"
        engine.storage.link(found.key, key)
        with engine.database.write() as connection:
            run = Run(f"{name:r<32}", "retrain", "f" * 32, {}, "0")
            start(connection, run, engine.now())
            version = datasets.latest(connection)
            row = Model(found.id, found.kind, key, found.class_names, version.id, parent, {"map50": 0.5})
            models.add_model(connection, row, run_id=run.id, weights_key=None, registered_at=engine.now())
            models.move(connection, found.id, key)
        return row

    return made


def used(engine) -> str | None:
    """Beginning of the SHA-256 of the file in use."""
    path = current_model(engine, None)
    return None if path is None else sha256_of(path)[:ID_LENGTH]


def put_there(engine) -> list[str]:
    """What is said of a file that is not the promoted model's."""
    return [note for note in engine.notes if "somebody put it there" in note]


def rows(engine) -> list[tuple[str, str]]:
    with engine.database.read() as connection:
        return [(row.action, row.model_id) for row in champions.history(connection)]


def test_the_first_comes_into_use_and_it_is_said_that_nothing_was_compared(engine, model):
    poor = model("poor", POOR)
    decision = consider(engine, poor)
    assert decision.promoted
    assert decision.over_id is None
    assert decision.notes[0] == "no model was in use: nothing was compared"
    assert used(engine) == poor.id
    # Not a link: what is copied over it leaves the model alone.
    assert not os.path.samefile(engine.storage.path(champion_key("rfdetr")), engine.storage.path(poor.key))


def test_on_the_golden_set_a_better_one_is_promoted_and_a_worse_one_refused(engine, model):
    golden(engine)
    poor, good, middling = model("poor", POOR), model("good", GOOD), model("middling", MIDDLING)
    assert consider(engine, poor).promoted
    better = consider(engine, good)
    assert better.promoted
    assert better.reasons == ()
    assert (better.over_id, better.on, better.numbers["evidence"]) == (poor.id, "golden set of v2", "better")
    assert better.numbers["overall"]["low"] > 0
    worse = promote(engine, model=middling.id[:10])
    assert worse.failure_code == 1
    assert used(engine) == good.id
    first, *others = [failure.reason for failure in worse.failures]
    assert first.startswith("mAP50 on golden set of v2 is worse: 0.9")
    assert [text.partition(":")[0] for text in others] == ["class vest lost more than 0.02"]
    assert worse.data["high"] < 0
    # The same question again is answered from the record, and not recorded twice.
    again = consider(engine, middling)
    assert again.reasons == tuple(failure.reason for failure in worse.failures)
    with engine.database.read() as connection:
        assert len(champions.decisions(connection, middling.id)) == 1
    assert rows(engine) == [("crowned", poor.id), ("crowned", good.id)]


def test_a_better_mean_does_not_pay_for_a_class(engine, model):
    golden(engine)
    poor, middling = model("poor", POOR), model("middling", MIDDLING)
    consider(engine, poor)
    decision = consider(engine, middling)
    assert not decision.promoted
    assert decision.numbers["overall"]["low"] > 0
    (reason,) = decision.reasons
    assert reason.startswith("class vest lost more than 0.02: 0.7")
    report = promote(engine, model=middling.id, force=True, reason="vests are worn out", actor="kim")
    assert (report.data["promoted"], report.data["forced"], report.failures) == (True, True, ())
    assert f"overruled: {reason}" in report.notes
    assert used(engine) == middling.id
    with engine.database.read() as connection:
        row = champions.newest(connection)
    assert (row.action, row.actor, row.reason) == ("forced", "kim", "vests are worn out")
    assert row.detail["reasons"] == [reason]


def test_a_class_s_own_tolerance(workspace, engine, model):
    poor, middling = model("poor", POOR), model("middling", MIDDLING)
    consider(engine, poor)
    lenient = workspace.open(
        workspace={"classes": NAMES}, predict={"device": "cpu"}, promote={"tolerances": ["vest=0.5"]}
    )
    assert consider(lenient, middling, dry_run=True).promoted
    assert not consider(engine, middling, dry_run=True).promoted
    assert rows(engine) == [("crowned", poor.id)]


def test_without_a_golden_set_not_worse_is_enough_and_the_golden_set_is_recommended(engine, model):
    good, same = model("good", GOOD), model("same", RIGHT * 1.01)
    consider(engine, good)
    decision = consider(engine, same)
    assert decision.promoted
    assert (decision.on, decision.numbers["evidence"]) == ("validation of v1", "not-worse")
    assert any("dataengine dataset golden" in note for note in decision.notes)
    assert not consider(engine, model("poor", POOR)).promoted
    assert used(engine) == same.id
    golden(engine)
    (reason,) = consider(engine, good).reasons
    assert "is not shown to be better: 1.000, was 1.000, +0.000" in reason


def test_what_a_model_was_trained_on_and_what_was_purged_speaks_against_it(engine, model):
    child = model("child", GOOD, parent=model("parent", POOR).id)
    with engine.database.write() as connection:
        parent = models.by_id(connection, child.id).parent_id
        stone = tombstones.Tombstone(
            "t" * 32, "camera", "gate 3", None, None, engine.now(), "done", {"versions": {}, "models": [parent]}
        )
        tombstones.begin(connection, stone, {})
        for statement in (
            "update dataset_frames set split = 'train'",
            # Nine that were trained on have turned golden since.
            "insert into dataset_frames (frame_id, since, until, job_id, content, split) "
            "select frame_id, 2, null, job_id, content, 'golden' from dataset_frames order by frame_id limit 9",
            "update dataset_frames set until = 2 where since = 1 "
            "and frame_id in (select frame_id from dataset_frames where split = 'golden')",
        ):
            connection.exec_driver_sql(statement)
    first, second = consider(engine, child).reasons
    assert first.startswith("it was trained on camera gate 3, purged on 2026-01-01 (through ")
    assert second == "it was trained on 9 golden frames"
    assert used(engine) is None


def test_a_shifted_numbering_speaks_against_a_model(engine, model, monkeypatch):
    found = model("good", GOOD)
    # In the place of a library that reads the same bytes otherwise than it did.
    monkeypatch.setattr(app_promote, "refuse_changed", lambda *_: None)
    engine.storage.write_bytes(
        found.key, colours(engine.root / "s.onnx", weights=np.roll(RIGHT, 1, axis=1)).read_bytes()
    )
    with engine.database.write() as connection:
        connection.exec_driver_sql("delete from canaries")
    (reason,) = consider(engine, found).reasons
    assert "its numbering is shifted by one" in reason


def test_killed_between_the_record_and_the_file_the_next_command_mends_it(engine, model, monkeypatch):
    poor, good = model("poor", POOR), model("good", GOOD)
    consider(engine, poor)

    def killed(_engine):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(app_promote, "place", killed)
        with pytest.raises(KeyboardInterrupt):
            consider(engine, good)
    file = engine.storage.path(champion_key("rfdetr"))
    assert sha256_of(file)[:ID_LENGTH] == poor.id
    # What only looks leaves it so.
    current_model(engine, None, mend=False)
    assert standing_of(engine).told.endswith("its file is not in place; dataengine status puts it there")
    assert sha256_of(file)[:ID_LENGTH] == poor.id
    assert used(engine) == good.id
    assert not put_there(engine)
    assert standing_of(engine).state == "ok"
    file.unlink()
    assert used(engine) == good.id


def test_a_file_that_somebody_put_there_is_used_noticed_and_recorded(engine, model, workspace):
    poor, good, middling = model("poor", POOR), model("good", GOOD), model("middling", MIDDLING)
    consider(engine, good)
    shutil.copyfile(engine.storage.path(poor.key), engine.storage.path(champion_key("rfdetr")))
    assert sha256_of(engine.storage.path(good.key))[:ID_LENGTH] == good.id
    assert used(engine) == poor.id
    (note,) = put_there(engine)
    assert f"is not model {good.id[:8]}" in note
    assert (standing_of(engine).state, "another one's" in standing_of(engine).detail) == ("warn", True)
    engine.notes.clear()
    # The file in use is what a challenger is held against.
    assert consider(engine, middling).over_id == poor.id
    assert rows(engine) == [("crowned", good.id), ("found", poor.id)]
    # Once it is on record there is nothing to be said of it.
    engine.notes.clear()
    assert used(engine) == poor.id
    assert not put_there(engine)
    assert rollback(engine).data["model_id"] == good.id
    assert used(engine) == good.id


def test_a_broken_file_in_the_place_of_the_model_in_use_is_passed_over(engine, model):
    good, middling = model("good", GOOD), model("middling", MIDDLING)
    consider(engine, good)
    file = engine.storage.path(champion_key("rfdetr"))
    file.write_bytes(b"no model at all")
    decision = consider(engine, middling)
    # Held against what was promoted, not against nothing.
    assert (decision.promoted, decision.over_id) == (False, good.id)
    (remark,) = [note for note in decision.notes if "is of no use" in note]
    assert f"{good.id[:8]}, in use since 2026-01-01, is meant: dataengine promote --rollback" in remark
    assert not put_there(engine)
    assert [action for action, _ in rows(engine)] == ["crowned"]
    # What the hint says is true, and nothing is taken out of use by it.
    back = rollback(engine)
    assert (back.data["model_id"], back.data["taken_out_of_use"]) == (good.id, None)
    assert used(engine) == good.id
    with pytest.raises(MissingInputError, match="no model was in use before"):
        rollback(engine)
    # Where its own file is gone as well there is nothing to be held against.
    file.write_bytes(b"no model at all")
    engine.storage.delete(good.key)
    assert consider(engine, middling).over_id is None


def test_what_a_thinned_model_said_goes_but_for_what_the_dataset_holds(engine, model):
    middling, good = model("middling", MIDDLING), model("good", GOOD)
    consider(engine, good)
    on = evaluation_set(engine, "validation")
    before = evaluate(engine, middling, on)
    # Frames of no version, one of them in a file with frames of one.
    outside, _failed = frames_in(engine, draw(engine.root / "pool", range(9000, 9400, 40)), hint="")
    held = on.frames[:1]
    opened = register_model(engine, engine.storage.path(middling.key))
    with engine.database.write() as connection:
        connection.exec_driver_sql(f"delete from predictions where frame_id in ('{held[0].id}')")
    predict_missing(engine, opened, [*held, *outside])

    def known() -> set[str]:
        with engine.database.read() as connection:
            return set(models.predicted(connection, middling.id, [frame.id for frame in (*on.frames, *outside)]))

    assert known() == {frame.id for frame in (*on.frames, *outside)}
    with engine.database.write() as connection:
        champions.refuse(connection, middling.id, middling.kind, at=engine.now(), decision={}, over_id=None)
    planned = thin(engine, keep=0, dry_run=True)
    assert (planned.data["thinned"], planned.data["predictions"]) == ([middling.id], len(outside))
    assert len(known()) == len(on.frames) + len(outside)
    thinned = thin(engine, keep=0)
    assert thinned.data["prediction_bytes"] > 0
    assert known() == {frame.id for frame in on.frames}
    # It is measured as before, and nothing is left to be removed.
    assert evaluate(engine, middling, on).confusion == before.confusion
    assert thin(engine, keep=0).data["predictions"] == 0


def test_a_stranger_s_file_is_kept_so_that_there_is_a_way_back_to_it(engine, model, tmp_path):
    """As in a workspace of an earlier release, which recorded nothing about champions."""
    stranger = colours(tmp_path / "stranger.onnx", weights=POOR)
    engine.storage.write_bytes(champion_key("rfdetr"), stranger.read_bytes())
    good = model("good", GOOD)
    assert consider(engine, good).promoted
    assert [action for action, _ in rows(engine)] == ["found", "crowned"]
    back = rollback(engine, reason="too slow")
    assert used(engine) == back.data["model_id"] == sha256_of(stranger)[:ID_LENGTH]


def test_rolling_back_twice_goes_back_twice_and_says_what_is_in_the_way(engine, model):
    with pytest.raises(MissingInputError, match="no model is in use yet"):
        rollback(engine)
    poor, middling, good = model("poor", POOR), model("middling", MIDDLING), model("good", GOOD)
    for one in (poor, middling, good):
        promote(engine, model=one.id, force=True, reason="to have a history")
    assert rollback(engine, reason="it dreams", actor="kim").data["model_id"] == middling.id
    assert used(engine) == middling.id
    # What was taken back does not return unasked.
    (reason,) = consider(engine, good).reasons
    assert reason == "it was taken out of use on 2026-01-01: it dreams"
    assert rollback(engine).data["model_id"] == poor.id
    assert used(engine) == poor.id
    with pytest.raises(MissingInputError, match=f"no model was in use before {poor.id[:8]}"):
        rollback(engine)
    promote(engine, model=good.id, force=True, reason="it was the camera")
    with engine.database.read() as connection:
        assert champions.taken_back(connection, good.id) is None
        assert [(reign.model_id, reign.until is None) for reign in champions.reigns(connection)] == [
            (poor.id, False),
            (middling.id, False),
            (good.id, False),
            (middling.id, False),
            (poor.id, False),
            (good.id, True),
        ]
    told = [event["what"] for event in show(engine, [good.id]).data["nodes"][0]["events"]]
    # Asked for by its name it is judged as any other is: nothing had to be overruled.
    assert [what for what in told if "use" in what or "refused" in what] == [
        "came into use",
        "was refused",
        "came into use",
    ]
    engine.storage.delete(poor.key)
    with pytest.raises(MissingInputError, match=f"the weights of {poor.id[:8]}, which was in use before, are gone"):
        rollback(engine)
    assert used(engine) == good.id


def test_a_file_that_was_written_over_is_not_its_model(engine, model, tmp_path):
    good, poor = model("good", GOOD), model("poor", POOR)
    assert consider(engine, good).promoted
    promote(engine, model=poor.id, force=True, reason="to have a history")
    for other in (engine.storage.path(poor.key).read_bytes(), b"garbage"):
        engine.storage.write_bytes(good.key, other)
        for use in (
            lambda: promote(engine, model=good.id, force=True, reason="try"),
            lambda: rollback(engine),
            lambda: export_model(engine, good.id, tmp_path / "copy.onnx"),
        ):
            with pytest.raises(DamagedInputError, match=f"is not model {good.id[:8]} any more"):
                use()
    assert used(engine) == poor.id
    assert not (tmp_path / "copy.onnx").exists()


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ({"tolerances": ("vset=0",)}, "class"),
        ({"tolerances": ("recall:vset=0",)}, "class"),
        ({"decisive_class": "Vest"}, "class"),
        ({"tolerances": ("camera:gate 3=0",)}, "camera"),
    ],
)
def test_a_rule_for_a_class_or_camera_that_there_is_not_is_refused(rule, what, workspace, engine, model):
    good = model("good", GOOD)
    with pytest.raises(UsageError, match=f"there is no such {what}"):
        consider(workspace.open(**SETTINGS, promote=rule), good)
    assert rows(engine) == []
    with engine.database.read() as connection:
        camera = sorted(footage.cameras(connection))[0]
    fine = workspace.open(**SETTINGS, promote={"tolerances": (f"camera:{camera}=0", "recall:vest=0")})
    assert consider(fine, good).promoted


def test_recall_decides_where_it_is_to_and_a_class_is_held_to_its_own(workspace, engine, model):
    golden(engine)
    poor, good = model("poor", POOR), model("good", GOOD)
    consider(engine, poor)
    decides = workspace.open(**SETTINGS, promote={"metric": "recall"})
    better = consider(decides, good, dry_run=True)
    assert (better.promoted, better.numbers["metric"]) == (True, "recall")
    assert better.numbers["overall"]["low"] > 0
    assert better.numbers["per_class"] == better.numbers["recall"]
    consider(engine, good)
    worse = consider(decides, poor, dry_run=True)
    assert worse.reasons[0].startswith("recall at equal false alarms on golden set of v2 is worse: ")
    # Whatever else may be lost, not this.
    lenient = {"evidence": "not-worse", "tolerance": 1.0, "tolerances": ("recall:person=0.01",)}
    held = consider(workspace.open(**SETTINGS, promote=lenient), poor, dry_run=True).reasons
    assert [reason.partition(":")[0] for reason in held if reason.startswith("recall")] == [
        "recall of person at equal false alarms lost more than 0.01"
    ]


def test_what_a_model_is_measured_by_as_it_is_trained_it_is_not_asked_again(engine, model):
    good = model("good", GOOD)
    assert on_golden(engine, good) == {}
    golden(engine)
    found = on_golden(engine, good)["golden"]
    on = evaluation_set(engine, "golden")
    assert (found["images"], found["map50"], set(found["ap50_per_class"])) == (len(on.frames), 1.0, set(NAMES))
    assert look(engine, good, on).cached
    reached = evaluate(engine, good, on)
    assert (reached.predicted_now, reached.overall.map.value) == (0, pytest.approx(found["map"], abs=1e-9))


@pytest.mark.parametrize(
    "place",
    [".dataengine/lineage.db", "dataengine.toml", "models/x/model.onnx", "master_dataset/v.onnx", "logs/a.onnx"],
)
def test_an_export_never_goes_over_what_the_workspace_keeps(place, engine, model):
    good, target = model("good", GOOD), engine.root / place
    before = target.read_bytes() if target.exists() else None
    with pytest.raises((UsageError, ConflictError)):
        export_model(engine, good.id, target)
    assert (target.read_bytes() if target.exists() else None) == before
    assert export_model(engine, good.id, engine.root / "for the camera.onnx").data["sha256"].startswith(good.id)


def test_a_purged_model_does_not_come_back(engine, model):
    poor, good = model("poor", POOR), model("good", GOOD)
    consider(engine, poor)
    consider(engine, good)
    with engine.database.write() as connection:
        detail = {"versions": {}, "models": [poor.id]}
        stone = tombstones.Tombstone("t" * 32, "video", "v" * 32, None, None, engine.now(), "done", detail)
        tombstones.begin(connection, stone, {})
    with pytest.raises(DataEngineError, match="does not come back: it was trained on video") as caught:
        rollback(engine)
    assert caught.value.exit_code == 1
    assert used(engine) == good.id


def test_a_model_of_another_kind_takes_over_and_a_rollback_removes_its_file(engine, model):
    good = model("good", GOOD)
    consider(engine, good)
    with engine.database.write() as connection:
        other = Model("0" * 32, "yolo", "models/yolo/x/model.onnx", NAMES)
        engine.storage.write_bytes(other.key, b"a yolo")
        models.add_model(connection, other, run_id=None, weights_key=None, registered_at=engine.now())
        champions.crown(connection, other.id, "yolo", at=engine.now(), decision={}, over_id=good.id)
    assert current_model(engine, None) == engine.storage.path(champion_key("yolo"))
    rollback(engine)
    assert current_model(engine, None) == engine.storage.path(champion_key("rfdetr"))
    assert not engine.storage.exists(champion_key("yolo"))


def test_where_nothing_can_be_judged_only_what_learned_from_more_follows(workspace, tmp_path):
    engine = workspace.open(workspace={"classes": NAMES}, predict={"device": "cpu"})
    one, two = (
        register_model(engine, colours(tmp_path / f"{name}.onnx", weights=weights)).model
        for name, weights in (("one", GOOD), ("two", POOR))
    )
    assert consider(engine, one).promoted
    (reason,) = consider(engine, two).reasons
    assert reason.startswith("there is nothing to judge it on: ")
    assert used(engine) == one.id


def test_the_command_line(engine, model, monkeypatch, capsys):
    monkeypatch.chdir(engine.root)
    good, poor = model("good", GOOD), model("poor", POOR)
    assert main(["promote", good.id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["promoted"] is True
    # Without a name the one that was trained last.
    assert main(["promote"]) == 1
    told = capsys.readouterr()
    assert told.out.startswith(f"rfdetr {poor.id[:8]} does not come into use\n")
    assert told.err.count(f"failed: {poor.id[:8]}: ") >= 2
    assert main(["promote", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["reasons"]
    assert main(["promote", "--force"]) == 2
    assert main(["promote", "--rollback", "--force", "--reason", "x"]) == 2
    assert main(["promote", "--tolerances", "vest"]) == 2
    assert main(["promote", "nothing"]) == 3
    assert main(["promote", "--force", "--reason", "for a test"]) == 0
    assert main(["promote", "--rollback", "--reason", "back", "--json"]) == 0
    capsys.readouterr()
    assert used(engine) == good.id
    assert main(["promote", good.id]) == 0
    assert "it is in use already" in capsys.readouterr().err
