"""A careless and a careful annotator on the backend of plain files, watched by probes from upload to the dataset."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from data_engine.app.annotation import ground_truth, review, team
from data_engine.app.annotation.audit import audit
from data_engine.app.annotation.jobs import refresh
from data_engine.app.annotation.sync import sync
from data_engine.app.annotation.upload import upload
from data_engine.app.merge.export import export
from data_engine.demo import people
from data_engine.errors import ConflictError, MissingInputError, UnknownPersonError, UsageError
from data_engine.lineage import datasets, uploads
from data_engine.lineage import probes as lineage_probes
from data_engine.stages.export import dataset_name
from data_engine.stages.probes import uncaught
from data_engine.types import Box, Failed

FRAMES, JOB = 24, 4
SETTINGS = {"task_name": "Night", "job_size": JOB, "assignee": ("hasty", "ada"), "probes": "20%"}


def truth(frame):
    """One person and one helmet, apart from each other, here or there."""
    shift = float(int(frame.id[:2], 16) % 7)
    return [("person", (4.0 + shift, 4.0, 12.0, 10.0)), ("helmet", (36.0 + shift, 30.0, 12.0, 10.0))]


def proposals(workspace, engine, folder):
    """A COCO file in which a model proposes the truth, but the helmet of every third frame beside its place."""
    from data_engine.app.footage.pictures import frames_in

    frames, _failures = frames_in(engine, folder, hint="")
    images, boxes = [], []
    for number, frame in enumerate(sorted(frames, key=lambda frame: frame.name), 1):
        images.append({"id": number, "file_name": dataset_name(frame), "width": frame.width, "height": frame.height})
        for label, (x, y, w, h) in truth(frame):
            off = 3.0 if label == "helmet" and number % 3 == 0 else 0.0
            category = 1 + ("person", "helmet").index(label)
            row = {"image_id": number, "category_id": category, "bbox": [x, y + off, w, h], "score": 0.9 - number / 100}
            boxes.append({"id": len(boxes) + 1, **row})
    file = workspace.root / "pre.json"
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "helmet"}]
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return file


@pytest.fixture
def loop(workspace):
    """A workspace in which everything is uploaded: jobs 1, 3, 5 are hasty's, 2, 4, 6 ada's."""
    folder = workspace.draw("pictures", range(FRAMES))
    engine = workspace.open(upload=SETTINGS)
    upload(engine, frames=folder, preannotations=proposals(workspace, engine, folder))
    return workspace, engine


def watched(engine):
    """The probes of each job, by frame name."""
    found = {}
    with engine.database.read() as connection:
        for seen in refresh(engine, engine.backend()):
            names = uploads.frame_names(connection, seen.known.task_id)
            by_frame = lineage_probes.on_frames(connection, seen.known.task_id, names.values())
            found[seen.job.id] = {
                name: by_frame[names[name]] for name in seen.job.frame_names if names[name] in by_frame
            }
    return found


def work_all(workspace, engine, clock):
    """Hasty hands in what is shown, within a second; ada takes ten minutes and leaves nothing wrong."""
    for number in (1, 3, 5):
        review.start(engine, number)
        review.submit(engine, number, by="hasty")
        review.accept(engine, [number], by="rev")
    for number in (2, 4, 6):
        review.start(engine, number)
        clock.time += timedelta(minutes=10)
        # The people of the demonstration take every open job; here one at a time.
        seen = {job.id: job for job in engine.backend().jobs()}
        frames = people._frames(engine, seen[number].task_id)
        people._correct(workspace.root / engine.backend().link_of(number), frames, truth)
        review.submit(engine, number, by="ada")
        review.accept(engine, [number], by="rev")


def test_probes_are_shown_as_proposals_and_known_to_lineage(loop):
    _workspace, engine = loop
    backend = engine.backend()
    probes = watched(engine)
    assert sum(map(len, probes.values())) == 10, "a fifth of 48 proposals"
    assert all(probes.values()), "every job has one"
    assert {kind for of_job in probes.values() for (p,) in of_job.values() for kind in [p.kind]} == {
        "invented",
        "shifted",
        "swapped",
    }
    for number, of_job in probes.items():
        shown = backend.annotations(number).boxes
        for name, (probe,) in of_job.items():
            ids = [box.proposal_id for box in shown[name]]
            assert probe.box.proposal_id in ids
            assert len(ids) == (3 if probe.replaces is None else 2)
            assert probe.replaces is None or probe.replaces.proposal_id not in ids
            assert list(uncaught(shown[name], [probe]).values()) == [probe]
            (box,) = (box for box in shown[name] if box.proposal_id == probe.box.proposal_id)
            assert 0.66 <= box.score <= 0.89
            assert set(box.attributes) == set(), "nothing gives it away"


def test_the_careless_and_the_careful_are_told_apart(loop, clock):
    workspace, engine = loop
    probes = watched(engine)
    hers = sum(len(probes[number]) for number in (2, 4, 6))
    his = sum(len(probes[number]) for number in (1, 3, 5))
    work_all(workspace, engine, clock)
    told = audit(engine)
    ada, hasty = told.rows
    assert (ada["annotator"], ada["jobs"], ada["frames"], ada["probes"], ada["caught"]) == ("ada", 3, 12, hers, hers)
    assert (hasty["annotator"], hasty["jobs"], hasty["probes"], hasty["caught"]) == ("hasty", 3, his, 0)
    # Hasty left all as it was: every proposal that was shown, but the probes.
    hidden = sum(p.replaces is not None for number in (1, 3, 5) for (p,) in probes[number].values())
    assert hasty["kept"] == 24 - hidden
    assert [hasty[name] for name in ("moved", "relabelled", "added", "removed")] == [0, 0, 0, 0]
    # Ada moved the helmets that were beside their place; what a probe stood for she drew, or gave its class back.
    assert ada["moved"] >= 2
    assert ada["relabelled"] == ada["removed"] == 0
    shifted = sum(p.kind == "shifted" for number in (2, 4, 6) for (p,) in probes[number].values())
    assert ada["added"] == shifted
    assert ada["minutes_per_job"] == pytest.approx(10.0, abs=0.01)
    assert hasty["minutes_per_job"] < 0.01
    assert (ada["flagged"], hasty["flagged"]) == (0, 3)
    assert (ada["agreement"], ada["changed_in_review"]) == (1.0, 0)
    assert (told.data["probes"], told.data["caught"]) == (10, hers)
    listed = told.data["untouched_probes"]
    assert {(row["job"], row["frame"]) for row in listed} == {(n, name) for n in (1, 3, 5) for name in probes[n]}
    assert all(row["accepted"] and row["annotator"] == "hasty" for row in listed)
    assert [row["job"] for row in told.data["rushed_jobs"]] == [1, 3, 5]
    assert f"job {listed[0]['job']} (hasty): the {listed[0]['kind']} {listed[0]['label']} box on" in told.notes[0]
    assert told.next == "dataengine review show 1"


def test_an_untouched_probe_enters_no_dataset(loop, clock):
    workspace, engine = loop
    probes = watched(engine)
    work_all(workspace, engine, clock)
    report = export(engine)
    with engine.database.read() as connection:
        version = datasets.latest(connection)
        entries = datasets.frames_of(connection, version.number)
        boxes = list(connection.exec_driver_sql("select frame_id, proposal_id, model_id, x, y from annotations"))
    ids = {p.box.proposal_id for number in (1, 3, 5) for (p,) in probes[number].values()}
    assert report.data["probes_untouched"] == len(ids)
    assert not ids & {row.proposal_id for row in boxes}
    # A frame whose object is hidden by a probe would teach that nothing is there.
    away = sum(p.replaces is not None for number in (1, 3, 5) for (p,) in probes[number].values())
    assert len(entries) == FRAMES - away
    assert report.data["boxes"] == 2 * len(entries)
    # Looked at again, it is all there.
    for number in (1, 3, 5):
        review.reject(engine, number, "a box is wrong", by="rev")
    workspace.annotate(engine, annotator="hasty")
    assert [row["rejected"] for row in audit(engine).rows] == [0, 3]


def test_what_the_reviewer_changed_is_told(loop, clock):
    _workspace, engine = loop
    backend = engine.backend()
    review.submit(engine, 1, by="hasty")
    boxes = {name: list(rows) for name, rows in backend.annotations(1).boxes.items()}
    first = next(name for name in boxes if name not in watched(engine)[1])
    boxes[first] = [Box("person", (1.0, 1.0, 5.0, 5.0)), *boxes[first][1:]]
    backend.put_annotations(1, boxes)
    review.accept(engine, [1], by="rev")
    (row,) = audit(engine).rows
    assert (row["changed_in_review"], row["added"], row["removed"]) == (2, 0, 0)
    assert 0.6 < row["agreement"] < 0.9
    # Only what was handed in since then.
    assert audit(engine, since="2026-01-01").rows == (row,)
    with pytest.raises(MissingInputError, match="no job was handed in since 2026-01-02"):
        audit(engine, since="2026-01-02")
    with pytest.raises(UsageError, match="--since yesterday: not a date"):
        audit(engine, since="yesterday")


def test_what_was_handed_in_is_kept_when_sync_moves_the_job_on(loop):
    _workspace, engine = loop
    backend = engine.backend()
    backend.update_job(1, state="completed")
    sync(engine)
    assert backend.job(1).stage == "validation"
    boxes = {name: rows[1:] for name, rows in backend.annotations(1).boxes.items()}
    backend.put_annotations(1, boxes, state="completed")
    sync(engine)
    assert backend.job(1).accepted
    (row,) = audit(engine).rows
    assert (row["annotator"], row["removed"], row["changed_in_review"]) == ("hasty", 0, JOB)
    # Handed in again without anybody looking: what the reviewer changed is not known, and not made up.
    review.reject(engine, 1, "once more", by="rev")
    backend.put_annotations(1, {}, stage="acceptance", state="completed")
    (row,) = audit(engine).rows
    assert (row["rejected"], row["kept"], row["agreement"]) == (1, 0, None)


def test_a_reviewer_who_finds_the_probe_does_not_excuse_the_annotator(loop):
    _workspace, engine = loop
    backend = engine.backend()
    review.submit(engine, 1, by="hasty")
    boxes = {name: list(rows) for name, rows in backend.annotations(1).boxes.items()}
    for name, (probe,) in watched(engine)[1].items():
        boxes[name] = [box for box in boxes[name] if box.proposal_id != probe.box.proposal_id]
    backend.put_annotations(1, boxes)
    review.accept(engine, [1], by="rev")
    told = audit(engine)
    assert told.rows[0]["caught"] == 0
    assert not any(row["accepted"] for row in told.data["untouched_probes"])


def test_an_interrupted_upload_keeps_its_probes(workspace, monkeypatch):
    folder = workspace.draw("pictures", range(FRAMES))
    engine = workspace.open(upload=SETTINGS)
    file = proposals(workspace, engine, folder)

    class Killed(BaseException):
        """Stands for a SIGKILL."""

    def killed(*_given):
        raise Killed

    backend_class = type(engine.backend())
    with monkeypatch.context() as patched:
        patched.setattr(backend_class, "create_task", killed)
        with pytest.raises(Killed):
            upload(engine, frames=folder, preannotations=file)
    # Whatever is asked for the second time: what was planned is what is made.
    again = workspace.open(upload=SETTINGS | {"probes": None})
    assert upload(again, frames=folder, preannotations=file).data["tasks"] == 1
    probes = watched(again)
    assert sum(map(len, probes.values())) == 10
    for number, of_job in probes.items():
        shown = again.backend().annotations(number).boxes
        assert all(uncaught(shown[name], found) for name, found in of_job.items())
    with again.database.read() as connection:
        real = list(connection.exec_driver_sql("select position from proposals where position < 0"))
    assert len(real) == sum(p.replaces is not None for of_job in probes.values() for (p,) in of_job.values())


def test_a_list_with_people_and_ages(loop, clock):
    _workspace, engine = loop
    review.submit(engine, 1, by="hasty")
    review.assign(engine, [1], "rev", role="reviewer")
    clock.time += timedelta(hours=30)
    rows = {row["job"]: row for row in review.list_jobs(engine).rows}
    assert (rows[1]["assignee"], rows[1]["reviewer"], rows[1]["age"]) == ("rev", "rev", "1 d")
    assert (rows[2]["assignee"], rows[2]["reviewer"], rows[2]["age"]) == ("ada", "", "1 d")


def test_people_are_who_has_or_had_a_job_in_any_case(loop):
    _workspace, engine = loop
    assert review.list_jobs(engine, assignee="ADA").data["jobs"] == 3
    review.submit(engine, 1, by="Hasty")
    review.accept(engine, [1], by="rev")
    assert review.list_jobs(engine, assignee="Rev").data["jobs"] == 0
    review.assign(engine, [2], "HASTY")
    assert engine.backend().job(2).assignee == "hasty"
    with pytest.raises(UnknownPersonError) as caught:
        review.list_jobs(engine, assignee="hastie")
    assert (caught.value.message, caught.value.hint) == ("nobody is known as 'hastie'", "did you mean hasty?")
    assert team.list_people(engine).data["people"] == 3


def test_a_part_that_is_not_in_its_picture(loop):
    _workspace, engine = loop
    review.submit(engine, 1, by="hasty")
    with pytest.raises(UsageError, match=r"the box 60,1,20,8 is not in .* which has 64 x 48 pixels"):
        review.reject(engine, 1, "here", frame="0", box=(60.0, 1.0, 20.0, 8.0))
    assert engine.backend().issues(1) == []
    assert engine.backend().job(1).stage == "validation"


def test_what_is_rejected_is_its_annotators_again_though_nobody_reviewed(loop):
    _workspace, engine = loop
    review.submit(engine, 1, by="hasty")
    review.assign(engine, [1], "")
    assert review.reject(engine, 1, "again").title == "job 1 rejected and back with hasty"
    assert engine.backend().job(1).assignee == "hasty"
    # It counts in the audit, as it was handed in.
    (row,) = audit(engine).rows
    assert (row["annotator"], row["jobs"], row["rejected"], row["rejections"]) == ("hasty", 1, 1, 1)


def test_jobs_are_given_to_the_role_whose_turn_it_is(loop):
    _workspace, engine = loop
    review.submit(engine, 1, by="hasty")
    assert review.assign(engine, [2, 3], "bo").data["jobs"] == [2, 3]
    assert [seen.known.annotator for seen in refresh(engine, engine.backend())][1:3] == ["bo", "bo"]
    report = review.assign(engine, [1, 2, 99], "carla", role="reviewer")
    assert report.data["jobs"] == [1]
    assert report.failures == (
        Failed("job 2", "job 2 waits for an annotator, not for a reviewer (stage annotation, state new)"),
        Failed("job 99", "there is no job 99"),
    )
    # Another reviewer takes over, and nobody.
    review.assign(engine, [1], "dora")
    assert refresh(engine, engine.backend())[0].known.reviewer == "dora"
    assert review.assign(engine, [1], "").title == "1 job given to nobody"
    review.accept(engine, [1], by="dora")
    with pytest.raises(ConflictError, match="job 1 is accepted"):
        review.assign(engine, [1], "carla")


def test_a_rejection_names_its_frame_by_number(loop):
    _workspace, engine = loop
    for number in (2, 3):
        review.submit(engine, number, by="ada")
    names = engine.backend().job(2).frame_names
    assert [row["number"] for row in review.show(engine, 2).rows] == [4, 5, 6, 7]
    review.reject(engine, 2, "here", frame="5", box=(1.0, 2.0, 3.0, 4.0))
    (issue,) = engine.backend().issues(2)
    assert (issue.frame_name, issue.xywh) == (names[1], (1.0, 2.0, 3.0, 4.0))
    with pytest.raises(UsageError, match="job 3 has the frames 8 to 11, counted from 0 over the whole task, and no 5"):
        review.reject(engine, 3, "here", frame="5")


def test_a_job_is_opened_in_the_browser(loop, monkeypatch, tmp_path):
    _workspace, engine = loop
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{seen}"\n')
    browser.chmod(0o755)
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    assert review.show(engine, 1, open_it=True).notes == ()
    assert seen.read_text().strip().startswith("file:///")
    assert seen.read_text().strip().endswith("jobs/1/annotations.json")


def test_what_a_backend_of_plain_files_does_not_have(loop):
    _workspace, engine = loop
    with pytest.raises(UsageError, match="'local' has no ground-truth jobs"):
        ground_truth.ground_truth(engine, 0.1)


def test_the_team_is_who_has_jobs(loop):
    _workspace, engine = loop
    review.submit(engine, 1, by="hasty")
    review.accept(engine, [1], by="rev")
    rows = {row.pop("name"): row for row in map(dict, team.list_people(engine).rows)}
    assert set(rows) == {"ada", "hasty", "rev"}
    assert (rows["ada"]["to_annotate"], rows["hasty"]["to_annotate"]) == (3, 2)
    assert (rows["hasty"]["annotated"], rows["rev"]["reviewed"]) == (1, 1)
