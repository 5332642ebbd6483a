"""Dataset versions: only accepted boxes enter, versions never change, and a frame never changes its side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drawn_workspace import CLASSES, truth

from data_engine.app.annotation import review
from data_engine.app.annotation.review import accept, reject, submit
from data_engine.app.annotation.upload import upload
from data_engine.app.merge.export import export
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import datasets
from data_engine.lineage.tables import acceptances

UPLOAD = {"task_size": 4, "job_size": 2, "assignee": ["ann@example.com"]}


def moved(frame):
    """Another opinion of what is to be seen: one box, elsewhere."""
    return [(CLASSES[0], (1.0, 2.0, 20.0, 21.0))]


def document(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def boxes(path: Path) -> dict[str, list[tuple[int, tuple[float, ...]]]]:
    """Class and place of every box, by file name."""
    read = document(path)
    names = {image["id"]: image["file_name"] for image in read["images"]}
    found: dict[str, list[Any]] = {name: [] for name in names.values()}
    for annotation in read["annotations"]:
        found[names[annotation["image_id"]]].append((annotation["category_id"], tuple(annotation["bbox"])))
    return {name: sorted(rows) for name, rows in found.items()}


def stand(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def write_truth(engine, job: int, seen=truth) -> None:
    """What an annotator does: edit the job's file and submit it."""
    from data_engine.demo.people import _correct, _frames

    backend = engine.backend()
    _correct(Path(backend.link_of(job)), _frames(engine, backend.job(job).task_id), seen)
    submit(engine, job)


def accept_again(engine, job: int) -> None:
    write_truth(engine, job)
    accept(engine, [job], by="rev")


def second_task(engine, number: int):
    """Plan another task of the same frames, in lineage too."""
    from dataclasses import replace

    from data_engine.lineage import uploads
    from data_engine.lineage.tables import tasks
    from data_engine.types import content_id

    with engine.database.write() as connection:
        row = connection.execute(tasks.select().where(tasks.c.number == number)).one()
        connection.execute(tasks.update().where(tasks.c.id == row.id).values(number=None))
        known = uploads.planned_task(connection, row.id)
        names = uploads.frame_names(connection, row.id)
        connection.execute(tasks.update().where(tasks.c.id == row.id).values(number=number))
        twin = replace(known, spec=replace(known.spec, uid=content_id("task", "twin"), name="twin"))
        uploads.plan_task(connection, twin, backend="local", run_id=row.run_id, frame_ids=names, model_id=None)
        uploads.task_created(connection, twin.spec.uid, number + 1)
    return twin.spec


@pytest.fixture
def engine(workspace):
    """A workspace with two tasks of two jobs of two frames each."""
    made = workspace.open(upload=UPLOAD)
    upload(made, frames=workspace.draw("in", range(8)))
    return made


@pytest.fixture
def folder(workspace) -> Path:
    return workspace.root / "master_dataset"


def test_nothing_uploaded_and_nothing_accepted(workspace):
    bare = workspace.open(upload=UPLOAD)
    with pytest.raises(MissingInputError) as caught:
        export(bare)
    assert (caught.value.message, caught.value.hint) == ("no task was uploaded yet", "run first: dataengine upload")
    upload(bare, frames=workspace.draw("in", range(4)))
    with pytest.raises(MissingInputError) as caught:
        export(bare)
    assert caught.value.message == "none of 2 jobs was accepted yet"
    assert "dataengine review list" in caught.value.hint
    with pytest.raises(MissingInputError, match=r"^task 7 was not uploaded from here"):
        export(bare, task_id=7)
    assert list((workspace.root / "master_dataset").iterdir()) == []


def test_only_accepted_jobs_enter(engine, folder):
    jobs = engine.backend().jobs()
    write_truth(engine, jobs[0].id)
    accept(engine, [jobs[0].id], by="rev")
    # Edited but not submitted; submitted but not accepted; submitted, accepted and rejected again.
    from data_engine.demo.people import _correct, _frames

    _correct(Path(engine.backend().link_of(jobs[1].id)), _frames(engine, jobs[1].task_id), truth)
    write_truth(engine, jobs[2].id)
    write_truth(engine, jobs[3].id)
    accept(engine, [jobs[3].id], by="rev")
    reject(engine, jobs[3].id, "a box is missing", by="rev")
    report = export(engine)
    assert (report.data["jobs_accepted"], report.data["jobs_merged"], report.data["jobs_waiting"]) == (1, 1, 3)
    assert set(boxes(folder / "master_dataset_v1.json")) == set(jobs[0].frame_names)


def test_a_rejected_box_never_enters(engine, workspace, folder):
    job = engine.backend().jobs()[0]
    write_truth(engine, job.id, moved)
    reject(engine, job.id, "far off", by="rev")
    write_truth(engine, job.id)
    accept(engine, [job.id], by="rev")
    export(engine)
    found = [row for rows in boxes(folder / "master_dataset_v1.json").values() for row in rows]
    assert found
    assert (1, (1.0, 2.0, 20.0, 21.0)) not in found


def test_a_version_holds_the_truth_and_who_made_it(engine, workspace, folder):
    workspace.annotate(engine)
    report = export(engine)
    assert (report.data["version"], report.data["new"], report.data["frames"]) == ("v1", True, 8)
    read = document(folder / "master_dataset_v1.json")
    assert [category["name"] for category in read["categories"]] == list(CLASSES)
    with engine.database.read() as connection:
        from data_engine.lineage import footage

        frames = footage.frames_by_id(connection, [image["frame_id"] for image in read["images"]])
    expected = {
        image["file_name"]: sorted((CLASSES.index(label) + 1, xywh) for label, xywh in truth(frames[image["frame_id"]]))
        for image in read["images"]
    }
    assert boxes(folder / "master_dataset_v1.json") == expected
    people = {(a["attributes"]["annotator"], a["attributes"]["reviewer"]) for a in read["annotations"]}
    assert people == {("ann@example.com", "rev@example.com")}
    both = {**boxes(folder / "train.json"), **boxes(folder / "valid.json")}
    assert both.items() <= expected.items()


def test_nothing_new_makes_no_version_and_touches_no_file(engine, workspace, folder):
    workspace.annotate(engine)
    first = export(engine)
    before = stand(folder)
    again = export(engine)
    assert again.title == "nothing new since dataset version v1"
    assert (again.data["new"], again.data["version_id"]) == (False, first.data["version_id"])
    assert stand(folder) == before
    # Opened and accepted again with the same boxes is nothing new either.
    job = engine.backend().jobs()[0].id
    reject(engine, job, "look again", by="rev")
    submit(engine, job)
    accept(engine, [job], by="rev")
    report = export(engine)
    assert (report.data["jobs_merged"], report.data["new"]) == (1, False)
    assert stand(folder) == before


def test_a_job_opened_again_makes_a_new_version_and_leaves_the_old_one(engine, workspace, folder):
    workspace.annotate(engine)
    export(engine)
    before = stand(folder)
    job = engine.backend().jobs()[0]
    reject(engine, job.id, "boxes are too small", by="rev")
    # Nobody exported while it was open.
    write_truth(engine, job.id, moved)
    accept(engine, [job.id], by="second@example.com")
    report = export(engine)
    assert (report.data["version"], report.data["frames_changed"], report.data["frames"]) == ("v2", 2, 8)
    assert stand(folder)["master_dataset_v1.json"] == before["master_dataset_v1.json"]
    old, new = boxes(folder / "master_dataset_v1.json"), boxes(folder / "master_dataset_v2.json")
    assert {name for name in old if old[name] != new[name]} == set(job.frame_names)
    assert all(new[name] == [(1, (1.0, 2.0, 20.0, 21.0))] for name in job.frame_names)
    second = document(folder / "master_dataset_v2.json")
    assert second["info"]["parent"] == document(folder / "master_dataset_v1.json")["info"]["id"]
    reviewers = {a["attributes"]["reviewer"] for a in second["annotations"]}
    assert reviewers == {"rev@example.com", "second@example.com"}
    # The old version can still be read from lineage, and its file be written again as it was.
    (folder / "master_dataset_v1.json").unlink()
    from data_engine.app.dataset.version_files import version_frames

    counts = [sum(len(entry.annotations) for entry in version_frames(engine, number)) for number in (1, 2)]
    assert counts == [sum(map(len, old.values())), sum(map(len, new.values()))]


def test_one_task_of_two(engine, workspace, folder):
    workspace.annotate(engine)
    one, two = (task.id for task in engine.backend().tasks())
    names = {task: {n for j in engine.backend().jobs(task) for n in j.frame_names} for task in (one, two)}
    report = export(engine, task_id=two)
    assert (report.data["version"], report.data["jobs_merged"]) == ("v1", 2)
    assert set(boxes(folder / "master_dataset_v1.json")) == names[two]
    assert export(engine, task_id=two).data["new"] is False
    report = export(engine, task_id=one)
    assert (report.data["version"], report.data["jobs_merged"], report.data["frames"]) == ("v2", 2, 8)
    assert set(boxes(folder / "master_dataset_v2.json")) == names[one] | names[two]
    assert export(engine).data["new"] is False


def test_the_raw_export_of_every_job_is_kept(engine, workspace):
    workspace.annotate(engine)
    export(engine)
    for job in engine.backend().jobs():
        kept = workspace.root / f"cvat_exports/local_task_{job.task_id}_job_{job.id}.json"
        assert set(boxes(kept)) == set(job.frame_names)


def test_a_kill_between_the_record_and_the_files_is_mended(engine, workspace, folder):
    """The version is on record, the files are those of before: the next export writes what should be there."""
    first, second = (task.id for task in engine.backend().tasks())
    workspace.annotate(engine)
    export(engine, task_id=first)
    old = stand(folder)
    export(engine, task_id=second)
    wanted = {name: data for name, (data, _time) in stand(folder).items()}
    for side in ("train.json", "valid.json"):
        (folder / side).write_bytes(old[side][0])
    (folder / "master_dataset_v2.json").unlink()
    assert export(engine).data["new"] is False
    assert {name: data for name, (data, _time) in stand(folder).items()} == wanted


@pytest.mark.required
def test_a_version_without_its_file_gets_it_also_when_a_newer_one_is_made(engine, workspace, folder):
    first, second = (task.id for task in engine.backend().tasks())
    workspace.annotate(engine)
    export(engine, task_id=first)
    wanted = (folder / "master_dataset_v1.json").read_bytes()
    (folder / "master_dataset_v1.json").unlink()
    assert export(engine, task_id=second).data["version"] == "v2"
    assert (folder / "master_dataset_v1.json").read_bytes() == wanted


@pytest.mark.required
def test_a_job_that_is_opened_again_takes_its_frames_out_until_it_is_accepted(engine, workspace, folder):
    first, second = (task.id for task in engine.backend().tasks())
    workspace.annotate(engine)
    export(engine)
    whole = sides(folder / "master_dataset_v1.json")
    job = engine.backend().jobs(first)[0]
    reject(engine, job.id, "a box is missing", by="rev")
    # A task that is not exported is left alone.
    assert export(engine, task_id=second).data["new"] is False
    report = export(engine)
    assert (report.data["version"], report.data["frames_dropped"], report.data["frames"]) == ("v2", 2, 6)
    assert "2 frames left the dataset until their jobs are accepted again" in report.notes
    less = sides(folder / "master_dataset_v2.json")
    assert less.items() < whole.items()
    assert not set(boxes(folder / "master_dataset_v2.json")) & set(job.frame_names)
    assert boxes(folder / "master_dataset_v2.json").items() < boxes(folder / "master_dataset_v1.json").items()
    assert export(engine).data["new"] is False
    assert set(sides(folder / "master_dataset_v1.json")) == set(whole)
    accept_again(engine, job.id)
    report = export(engine)
    assert (report.data["version"], report.data["frames_changed"], report.data["frames_dropped"]) == ("v3", 2, 0)
    assert sides(folder / "master_dataset_v3.json") == whole
    assert boxes(folder / "master_dataset_v3.json") == boxes(folder / "master_dataset_v1.json")


@pytest.mark.required
def test_frames_that_come_back_keep_their_side(engine, workspace, folder):
    workspace.annotate(engine)
    export(engine)
    whole = sides(folder / "master_dataset_v1.json")
    jobs = engine.backend().jobs()
    for job in jobs:
        reject(engine, job.id, "all again", by="rev")
    assert export(engine).data["frames"] == 0
    with engine.database.write() as connection:
        # Whatever a plan says by now: the frames were given a side.
        plans = datasets.split_plans
        connection.execute(plans.update().values(phase=(plans.c.phase + 0.5), fraction=0.9))
    for job in jobs:
        accept_again(engine, job.id)
    export(engine)
    assert sides(folder / "master_dataset_v3.json") == whole


@pytest.mark.required
def test_a_frame_that_another_accepted_job_holds_stays(workspace, folder):
    engine = workspace.open(upload={**UPLOAD, "task_size": 8, "job_size": 8})
    pictures = workspace.draw("in", range(2))
    upload(engine, frames=pictures)
    workspace.annotate(engine)
    export(engine)
    first = engine.backend().jobs()[0]
    # The same pictures in a second task, as two machines would make it.
    twin = engine.backend().create_task(second_task(engine, first.task_id))
    write_truth(engine, (second := engine.backend().jobs(twin.id)[0]).id, moved)
    accept(engine, [second.id], by="rev")
    export(engine)
    reject(engine, second.id, "no", by="rev")
    report = export(engine)
    assert (report.data["version"], report.data["frames"], report.data["frames_dropped"]) == ("v3", 2, 0)
    assert boxes(folder / "master_dataset_v3.json") == boxes(folder / "master_dataset_v1.json")
    assert export(engine).data["new"] is False


@pytest.mark.required
@pytest.mark.parametrize("name", ["train.json", "valid.json", "out"])
def test_a_name_that_is_taken_is_refused(engine, workspace, folder, name):
    workspace.annotate(engine)
    (workspace.root / "to/out").mkdir(parents=True)
    with pytest.raises(UsageError, match="--output"):
        export(engine, output=workspace.root / "to" / name)
    assert list(folder.iterdir()) == []


def test_the_version_is_also_written_where_it_was_asked_for(engine, workspace, folder):
    workspace.annotate(engine)
    target = workspace.root / "shared with team" / "master_dataset_v9.json"
    report = export(engine, output=target)
    assert report.data["version"] == "v1"
    assert target.read_bytes() == (folder / "master_dataset_v1.json").read_bytes()
    for side in ("train.json", "valid.json"):
        assert (target.parent / side).read_bytes() == (folder / side).read_bytes()


def sides(path: Path) -> dict[str, str]:
    return {image["frame_id"]: image["split"] for image in document(path)["images"]}


def test_a_frame_never_changes_its_side(workspace, folder):
    """Of a numbered series more and more pictures come in, also between those that are there."""
    known: dict[str, str] = {}
    for number, seeds in enumerate((range(0, 300, 7), range(3, 300, 20), range(300, 420, 5)), 1):
        # Settings that changed in between hold for new sources only.
        engine = workspace.open(upload={"job_size": 100}, export={"valid_fraction": 0.2 + 0.1 * number})
        upload(engine, frames=workspace.draw("in", seeds, numbered=True))
        workspace.annotate(engine)
        export(engine)
        now = sides(folder / f"master_dataset_v{number}.json")
        assert known.items() <= now.items()
        assert len(now) > len(known)
        known = now
    assert set(known.values()) == {"train", "valid", "guard"}
    listed = {side: set(sides(folder / f"{side}.json")) for side in ("train", "valid")}
    assert listed == {side: {f for f, at in known.items() if at == side} for side in ("train", "valid")}
    # Neighbours are never on both sides: between a training and a validation picture of a series lies the guard.
    places = {
        image["frame_id"]: int(image["file_name"][1:5])
        for image in document(folder / "master_dataset_v3.json")["images"]
    }
    train = [places[f] for f in listed["train"]]
    assert all(min(abs(places[f] - place) for place in train) > 1 for f in listed["valid"])


def test_a_job_that_cannot_be_merged_is_left_out_whole_and_told(engine, workspace, folder):
    workspace.annotate(engine)
    job = engine.backend().jobs()[0]
    file = next((workspace.root / "annotation").rglob(f"jobs/{job.id}/boxes.json"))
    text = file.read_text("utf-8").replace('"person"', '"ghost"').replace('"helmet"', '"ghost"')
    file.write_text(text, "utf-8")
    with engine.database.write() as connection:
        # As accepted by hand: what is found first is what was accepted.
        connection.execute(acceptances.delete())
    report = export(engine)
    assert [(f.input_id, "label 'ghost' is not in the class registry" in f.reason) for f in report.failures] == [
        (f"job {job.id}", True)
    ]
    assert (report.data["jobs_merged"], report.data["frames"]) == (3, 6)
    assert not set(job.frame_names) & set(boxes(folder / "master_dataset_v1.json"))
    # Mended, it comes in with the next version.
    reject(engine, job.id, "a wrong label", by="rev")
    write_truth(engine, job.id)
    accept(engine, [job.id], by="rev")
    assert (export(engine).data["version"], export(engine).data["frames"]) == ("v2", 8)


def test_review_names_what_it_waits_for(engine):
    job = engine.backend().jobs()[0].id
    waits = {row["job"]: row["waits_for"] for row in review.list_jobs(engine).rows}
    assert waits[job] == f"correct the boxes, then: dataengine review submit {job}"
    write_truth(engine, job)
    (row,) = review.list_jobs(engine, stage="validation").rows
    assert (row["job"], row["assignee"]) == (job, "ann@example.com")
