"""Every way in which accepted boxes disagree, under every policy: what counts, what is kept, what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from drawn_workspace import draw
from two_tasks import LEFT, LOW, RIGHT, held, moved, rows_of, say, two_jobs

from data_engine.app.annotation.requeue import requeue
from data_engine.app.annotation.review import list_jobs
from data_engine.app.dataset.dataset_diff import diff
from data_engine.app.dataset.dataset_golden import golden
from data_engine.app.dataset.dataset_revert import revert
from data_engine.app.lineage.lineage_show import show
from data_engine.app.merge.dataset_import import Wanted, import_dataset
from data_engine.app.merge.export import export
from data_engine.app.merge.export_conflicts import open_rows
from data_engine.app.merge.export_dry_run import try_export
from data_engine.app.status import status
from data_engine.errors import ConflictError
from data_engine.lineage import footage
from data_engine.lineage.tables import merge_conflicts

OURS, THEIRS = {LEFT, LOW}, {moved(LEFT, 3), RIGHT}


def of_two_jobs(workspace: Any, policy: str) -> tuple[Any, str, str]:
    """Two accepted jobs hold one frame."""
    engine, one, two = two_jobs(workspace, 1)
    say(engine, one, sorted(OURS))
    export(engine)
    say(engine, two, sorted(THEIRS))
    return workspace.open(export={"on_conflict": policy}), f"job {two}", f"job {one}"


def of_a_job_reopened(workspace: Any, policy: str) -> tuple[Any, str, str]:
    """A job is opened again after its export, while another changed the frame."""
    engine, one, two = two_jobs(workspace, 1)
    say(engine, one, [moved(LEFT, 1), LOW])
    export(engine)
    say(engine, two, [LEFT, LOW])
    export(engine)
    say(engine, one, sorted(THEIRS))
    return workspace.open(export={"on_conflict": policy}), f"job {one}", f"job {two}"


def what_it_holds(engine: Any) -> set[Any]:
    versions = sorted((engine.root / "master_dataset").glob("master_dataset_v*.json"))
    return held(engine, len(versions))[0]


def recorded(engine: Any) -> list[Any]:
    with engine.database.read() as connection:
        return list(connection.execute(merge_conflicts.select().order_by(merge_conflicts.c.at)))


def waiting(engine: Any) -> list[tuple[str, str]]:
    with engine.database.read() as connection:
        return [(row["said"], row["held"]) for row in open_rows(connection)]


def shapes(engine: Any, stored: list[list[Any]]) -> set[Any]:
    names = {1: "person", 2: "helmet"}
    return {(names[category], tuple(xywh)) for category, *xywh, _crowd in stored}


@pytest.mark.parametrize("made", [of_two_jobs, of_a_job_reopened])
@pytest.mark.parametrize("policy", ["newest", "ask", "both"])
def test_jobs_that_disagree(workspace, made, policy):
    engine, came, stood = made(workspace, policy)
    before, rows, old = what_it_holds(engine), rows_of(engine), len(recorded(engine))
    page = engine.root / "would.html"
    tried = try_export(engine, pictures=page)
    assert rows_of(engine) == rows
    (sentence,) = (row["dispute"] for row in tried.tables["disputes"])
    assert f"{came} and {stood} disagree (1 box" in sentence
    assert sentence.endswith(
        {
            "newest": f"{came} counts",
            "ask": "you will be asked which counts",
            "both": "kept as it is, to be looked at again",
        }[policy]
    )
    assert tried.data["frames_to_be_asked_about"] == (policy == "ask")
    asked: list[Any] = []

    def ask(question, sides, answers):
        asked.append((question, {(row["side"], row["class"], row["left"]) for row in sides}))
        return came

    if policy == "ask":
        assert tried.title == "export would ask about 1 frame on which accepted jobs disagree"
        with pytest.raises(ConflictError, match="accepted jobs disagree on 1 frame"):
            export(engine)
        assert (what_it_holds(engine), len(recorded(engine))) == (before, old)
    report = export(engine, ask=ask)
    expected = before if policy == "both" else {moved(LEFT, 3), RIGHT} | ({LOW} if made is of_two_jobs else set())
    assert what_it_holds(engine) == expected
    # Nobody's boxes are gone without a record.
    (record,) = recorded(engine)[old:]
    assert (record.policy, record.kept) == (policy, "ours" if policy == "both" else "theirs")
    assert (shapes(engine, record.theirs), shapes(engine, record.ours)) == (THEIRS, before)
    assert report.data["frames_disputed"] == 1
    assert len(asked) == (policy == "ask")
    # What would come is what came, by box and in the same words.
    if policy == "newest":
        real = diff(engine)
        for name in ("frames_added", "frames_removed", "frames_changed", "boxes_added", "boxes_removed"):
            assert tried.data[name] == real.data[name], name
        assert [dict(row) for row in tried.rows] == [dict(row) for row in real.rows]
        assert b"<svg" in page.read_bytes()
    assert waiting(engine) == ([(came, stood)] if policy == "both" else [])
    assert (export(engine, ask=ask).data["new"], len(recorded(engine)), len(asked)) == (False, old + 1, policy == "ask")


def source_over_the_frame(folder: Any) -> Any:
    """A dataset from elsewhere that says THEIRS of the frame."""
    source = folder / "bees"
    draw(source / "images" / "p1.jpg", 0)
    ids = {"person": 1, "helmet": 2}
    boxes = [
        {"id": n, "image_id": 1, "category_id": ids[label], "bbox": list(xywh)}
        for n, (label, xywh) in enumerate(sorted(THEIRS), 1)
    ]
    image = {"id": 1, "file_name": "p1.jpg", "width": 64, "height": 48}
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    document = {"images": [image], "annotations": boxes, "categories": categories}
    (source / "labels.json").write_text(json.dumps(document))
    return source


@pytest.mark.parametrize(
    ("policy", "answer", "kept"),
    [
        ("newest", None, "theirs"),
        ("held", None, "ours"),
        ("ask", "the import of bees", "theirs"),
        ("ask", "job 1", "ours"),
    ],
)
def test_an_import_that_overlaps(workspace, tmp_path, policy, answer, kept):
    engine, one, _two = two_jobs(workspace, 1)
    say(engine, one, sorted(OURS))
    export(engine)
    source = source_over_the_frame(tmp_path)
    before = rows_of(engine)["merge_conflicts"], what_it_holds(engine)
    would = import_dataset(engine, source, Wanted(on_conflict=policy, dry_run=True))
    assert (rows_of(engine)["merge_conflicts"], what_it_holds(engine)) == before
    assert would.data.get("frames_to_be_asked_about", 0) == (policy == "ask")
    asked: list[Any] = []

    def ask(question, sides, answers):
        asked.append((question, {(row["side"], row["class"], row["left"]) for row in sides}, tuple(answers)))
        return answer

    report = import_dataset(engine, source, Wanted(on_conflict=policy), ask=ask)
    assert what_it_holds(engine) == (OURS if kept == "ours" else {moved(LEFT, 3), RIGHT, LOW})
    (record,) = recorded(engine)
    assert (record.policy, record.kept) == ("both" if policy == "held" else policy, kept)
    assert (shapes(engine, record.theirs), shapes(engine, record.ours)) == (THEIRS, OURS)
    # Only what the dataset keeps because nobody decided waits for somebody to look.
    assert waiting(engine) == ([("the import of bees", f"job {one}")] if policy == "held" else [])
    assert report.data["conflicts"] == 1
    if policy == "ask":
        ((question, sides, answers),) = asked
        assert "the import of bees and job 1 disagree (1 box" in question
        assert answers == ("the import of bees", "job 1")
        assert {side for side, *_ in sides} == set(answers)
        assert len(sides) == len(OURS) + len(THEIRS)


def test_an_import_that_is_to_ask_where_nobody_is_changes_nothing(workspace, tmp_path):
    engine, one, _two = two_jobs(workspace, 1)
    say(engine, one, sorted(OURS))
    export(engine)
    source = source_over_the_frame(tmp_path)
    before = rows_of(engine)["merge_conflicts"], what_it_holds(engine)
    with pytest.raises(ConflictError, match="the dataset says something else on 1 frame"):
        import_dataset(engine, source, Wanted(on_conflict="ask"))
    assert (rows_of(engine)["merge_conflicts"], what_it_holds(engine)) == before
    # What was decided for the dataset can be asked again, and answered otherwise.
    import_dataset(engine, source, Wanted(on_conflict="ask"), ask=lambda *_: "job 1")
    assert what_it_holds(engine) == OURS
    import_dataset(engine, source, Wanted(on_conflict="ask"), ask=lambda *_: "the import of bees")
    assert what_it_holds(engine) == {moved(LEFT, 3), RIGHT, LOW}


def disputed(workspace: Any) -> tuple[Any, str, str]:
    """One frame that was kept for somebody to look at: its name and its id."""
    engine, _came, _stood = of_two_jobs(workspace, "both")
    export(engine)
    (record,) = recorded(engine)
    with engine.database.read() as connection:
        (frame,) = footage.frames_by_id(connection, [record.frame_id]).values()
    return engine, frame.name, frame.id


def test_what_waits_is_seen_where_people_look_until_somebody_looked(workspace):
    engine, name, frame_id = disputed(workspace)
    listed = list_jobs(engine)
    (row,) = listed.tables["disputes"]
    assert (row["said"], row["held"], row["disagree"], row["looked_at_in"]) == (
        "job 2",
        "job 1",
        "1 box drawn by both",
        "",
    )
    assert "dataengine review requeue --frame" in listed.notes[0]
    assert status(engine).data["frames_in_dispute"] == 1
    assert any(row["step"].strip() == "frames in dispute" for row in status(engine).rows)
    (event,) = show(engine, ["frame", frame_id]).data["nodes"][0]["events"]
    assert (event["what"], event["waits"], event["counts"]) == (
        "disputed by job 2 and job 1",
        "to be looked at again",
        "job 1",
    )
    assert event["job 2_said"] == ["person 12 x 20 at 5,2", "person 12 x 20 at 40,2"]
    requeue(engine, frames=[frame_id], reason="which?")
    (row,) = list_jobs(engine).tables["disputes"]
    assert row["looked_at_in"] == "job 3"
    assert list_jobs(engine).notes == ()
    # Whoever looks finds that the dataset was right.
    say(engine, 3, sorted(OURS))
    assert export(engine).data["new"] is False
    assert (waiting(engine), list_jobs(engine).tables, status(engine).data["frames_in_dispute"]) == ([], {}, 0)
    assert [event["what"] for event in show(engine, ["frame", frame_id]).data["nodes"][0]["events"]] == [
        "disputed by job 2 and job 1",
        "looked at again",
    ]
    assert name


def test_another_word_on_the_same_frame_is_another_record_and_the_frame_waits_once(workspace):
    engine, _name, _frame = disputed(workspace)
    say(engine, 2, [moved(LEFT, 2)])
    export(engine)
    assert [shapes(engine, row.theirs) for row in recorded(engine)] == [THEIRS, {moved(LEFT, 2)}]
    assert waiting(engine) == [("job 2", "job 1")]


def test_a_frame_that_only_changes_its_side_or_comes_back_by_a_revert_still_waits(workspace):
    engine, one, two = two_jobs(workspace, 8, export={"on_conflict": "both", "valid_fraction": 0.5})
    say(engine, one, *[[LEFT]] * 8)
    export(engine)
    say(engine, two, *[[moved(LEFT, 3)]] * 8)
    export(engine)
    assert len(waiting(engine)) == 8
    golden(workspace.open(golden={"fraction": 0.2, "min_per_class": 0}))
    assert len(waiting(engine)) == 8
    say(engine, two, *[[LEFT]] * 4, *[[moved(LEFT, 3)]] * 4)
    export(engine)
    assert len(waiting(engine)) == 4
    revert(engine, "v1")
    assert len(waiting(engine)) == 4


def test_a_dry_run_says_the_sides_that_frames_get(workspace):
    engine, one, _two = two_jobs(workspace, 8, export={"valid_fraction": 0.5})
    say(engine, one, *[[LEFT]] * 8)
    before = rows_of(engine)
    would = {row["frame"]: row["detail"] for row in try_export(engine).rows}
    assert rows_of(engine) == before
    export(engine)
    document = json.loads((engine.root / "master_dataset" / "master_dataset_v1.json").read_text("utf-8"))
    assert {image["file_name"]: f"1 box, {image['split']}" for image in document["images"]} == would
    assert {image["split"] for image in document["images"]} >= {"train", "valid"}
