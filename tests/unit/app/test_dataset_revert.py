"""``dataset revert``: a version as an older one was, that holds until somebody accepts anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from test_export_versions import UPLOAD, accept_again, boxes, moved, second_task, write_truth

from data_engine.app.annotation.review import accept, reject
from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.dataset_revert import revert
from data_engine.app.dataset.dataset_verify import verify
from data_engine.app.merge.export import export
from data_engine.errors import MissingInputError
from data_engine.lineage import datasets
from data_engine.lineage.tables import dataset_frames, runs


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.required)])
def on_either(workspace, request):
    """A workspace of two tasks of two jobs of two frames each, of which the first job is in v1."""
    more = {}
    if request.param == "postgresql":
        more["database"] = {"url": request.getfixturevalue("new_postgres")()}
    return begun(workspace, more)


@pytest.fixture
def engine(workspace):
    """The same on SQLite alone."""
    return begun(workspace, {})


def begun(workspace, more):
    made = workspace.open(upload=UPLOAD, **more)
    upload(made, frames=workspace.draw("in", range(8)))
    accept_again(made, 1)
    export(made)
    return made


@pytest.fixture
def folder(workspace) -> Path:
    return workspace.root / "master_dataset"


def held(engine, folder: Path, number: int):
    found = boxes(folder / f"master_dataset_v{number}.json")
    with engine.database.read() as connection:
        sides = {i: frame.split for i, frame in datasets.frames_of(connection, number).items()}
    return found, sides


def test_frames_that_came_later_leave_and_stay_away(on_either, folder):
    engine = on_either
    accept_again(engine, 2)
    export(engine)
    report = revert(engine, "v1")
    assert (report.data["version"], report.data["new"], report.data["frames_dropped"]) == ("v3", True, 2)
    assert held(engine, folder, 3) == held(engine, folder, 1)
    again = export(engine)
    assert (again.data["version"], again.data["new"]) == ("v3", False)
    # Another job brings what is its own, and nothing of what was taken back.
    accept_again(engine, 3)
    export(engine)
    third = engine.backend().job(3).frame_names
    assert set(boxes(folder / "master_dataset_v4.json")) == {*engine.backend().job(1).frame_names, *third}
    assert verify(engine).data["sound"]


def test_accepted_anew_they_come_back_on_their_sides(on_either, folder):
    engine = on_either
    accept_again(engine, 2)
    export(engine)
    revert(engine, "v1")
    reject(engine, 2, "look again", by="rev")
    assert not export(engine).data["new"]
    accept_again(engine, 2)
    assert export(engine).data["version"] == "v4"
    assert held(engine, folder, 4) == held(engine, folder, 2)
    assert verify(engine).data["sound"]


def test_changed_boxes_are_as_they_were_until_accepted_anew(on_either, folder):
    engine = on_either
    reject(engine, 1, "look again", by="rev")
    write_truth(engine, 1, moved)
    accept(engine, [1], by="rev")
    export(engine)
    assert held(engine, folder, 2)[0] != held(engine, folder, 1)[0]
    report = revert(engine, "v1")
    assert (report.data["frames_restored"], report.data["frames_dropped"]) == (2, 0)
    assert held(engine, folder, 3) == held(engine, folder, 1)
    assert not export(engine).data["new"]
    reject(engine, 1, "once more", by="rev")
    write_truth(engine, 1, moved)
    accept(engine, [1], by="rev")
    assert export(engine).data["new"]
    assert held(engine, folder, 4)[0] == held(engine, folder, 2)[0]


def test_accepted_before_the_revert_but_not_merged_yet_is_news(engine, folder):
    accept_again(engine, 2)
    export(engine)
    reject(engine, 2, "look again", by="rev")
    write_truth(engine, 2, moved)
    accept(engine, [2], by="rev")
    revert(engine, "v1")
    assert export(engine).data["version"] == "v4"
    assert set(boxes(folder / "master_dataset_v4.json")) == set(boxes(folder / "master_dataset_v2.json"))


def test_another_job_of_the_same_frames_does_not_step_in(engine, folder):
    accept_again(engine, 3)
    export(engine)
    engine.backend().create_task(second_task(engine, 2))
    (first, _second) = engine.backend().jobs(3)
    write_truth(engine, first.id, moved)
    accept(engine, [first.id], by="rev")
    export(engine)
    assert boxes(folder / "master_dataset_v3.json") != boxes(folder / "master_dataset_v2.json")
    revert(engine, "v2")
    assert not export(engine).data["new"]
    # The one whose boxes are held is opened again: the twin's were taken back all the same.
    reject(engine, 3, "look again", by="rev")
    export(engine)
    assert boxes(folder / "master_dataset_v5.json") == boxes(folder / "master_dataset_v1.json")


def test_a_job_that_is_open_now_is_named(engine):
    reject(engine, 1, "look again", by="rev")
    export(engine)
    report = revert(engine, "v1")
    assert report.notes[0].startswith("2 frames of 1 job that is not accepted any more")


def test_nothing_to_do_and_unknown(engine):
    report = revert(engine, "v1")
    assert (report.title, report.data["new"]) == ("nothing to do: v1 is the newest version", False)
    accept_again(engine, 2)
    export(engine)
    revert(engine, "1")
    assert revert(engine, "v1").title == "nothing to do: v3 holds what v1 held"
    with pytest.raises(MissingInputError):
        revert(engine, "v9")


def test_killed_after_its_record_it_is_finished_as_one_revert(engine, folder, monkeypatch):
    from data_engine.app.dataset import dataset_revert

    accept_again(engine, 2)
    export(engine)

    def killed(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(dataset_revert, "write_version", killed)
        with pytest.raises(KeyboardInterrupt):
            revert(engine, "v1")
    assert not (folder / "master_dataset_v3.json").exists()
    assert revert(engine, "v1").data["version"] == "v3"
    assert held(engine, folder, 3) == held(engine, folder, 1)
    with engine.database.read() as connection:
        made = connection.execute(sa.select(runs.c.state).where(runs.c.stage == "dataset revert")).scalars().all()
        since = connection.scalar(sa.select(sa.func.max(dataset_frames.c.since)))
    assert (made, since) == (["done"], 2)
