"""Where ``filter`` writes: names that it refuses, and two lists that share a folder of pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_engine.app.footage.pictures import frames_in
from data_engine.app.selection.filter import filter_frames
from data_engine.errors import UsageError
from data_engine.formats.hardframes import read_hard_frames
from data_engine.lineage import uploads
from data_engine.lineage.uploads import PlannedTask
from data_engine.stages.export import dataset_name
from data_engine.stages.upload import UploadSettings, plan_tasks
from data_engine.types import ClassRegistry


def named(path: Path) -> set[str]:
    return {Path(line).name for line in read_hard_frames(path.read_bytes())}


@pytest.mark.required
@pytest.mark.parametrize("name", [".", "in", "hard.csv", "hard.CSV"])
def test_a_name_that_cannot_be_the_lists_is_refused(workspace, name):
    engine = workspace.open()
    folder = workspace.draw("in", range(3))
    before = sorted(workspace.root.rglob("*.*"))
    with pytest.raises(UsageError, match="--output"):
        filter_frames(engine, input=folder, output=workspace.root / name)
    assert [path for path in sorted(workspace.root.rglob("*.*")) if "lineage" not in path.name] == [
        path for path in before if "lineage" not in path.name
    ]


@pytest.mark.required
def test_two_lists_share_a_folder_and_keep_each_others_pictures(workspace):
    folders = [workspace.draw(f"in{n}", range(4 * n, 4 * n + 4)) for n in range(3)]
    one, other = (workspace.root / name for name in ("one.txt", "other.txt"))
    (workspace.root / "readme.txt").write_bytes(b"\xff\xfe no list")
    pictures = workspace.root / "frames_hard_to_annotate"
    engine = workspace.open(filter={"budget": 2})
    for folder, output in ((folders[0], one), (folders[1], other)):
        filter_frames(engine, input=folder, output=output)
    first = named(one)
    assert len(first | named(other)) == 4
    assert {path.name for path in pictures.iterdir()} == first | named(other)
    # What no list names any more still goes.
    filter_frames(engine, input=folders[2], output=one)
    assert not first & named(one)
    assert {path.name for path in pictures.iterdir()} == named(one) | named(other)


def test_a_budget_that_pays_for_no_frame_says_so_and_leads_nowhere(workspace):
    engine = workspace.open(filter={"budget_minutes": 0.01})
    report = filter_frames(engine, input=workspace.draw("in", range(5)))
    assert report.title.startswith("0 of 5 frames chosen")
    assert "the budget of minutes is too small for any frame" in report.notes
    assert report.next == ""


def test_fewer_frames_than_wanted_are_explained(workspace):
    folder = workspace.draw("in", range(5))
    spent = filter_frames(workspace.open(filter={"budget": 5, "budget_boxes": 10}), input=folder)
    assert "the budget of boxes is spent" in spent.notes
    whole = filter_frames(workspace.open(filter={"budget": 5}), input=folder)
    assert whole.data["chosen"] == 5
    assert not [note for note in whole.notes if "budget" in note or "other frames" in note]


def test_two_models_are_compared_where_there_are_two_only(workspace):
    engine = workspace.open(filter={"strategy": "disagreement"})
    with pytest.raises(UsageError, match="compares two models") as caught:
        filter_frames(engine, input=workspace.draw("in", range(3)))
    assert "--second-model" in caught.value.hint


def test_chance_without_a_model_is_told_as_it_was(workspace):
    engine = workspace.open(filter={"strategy": "random", "budget": 2})
    report = filter_frames(engine, input=workspace.draw("in", range(5)))
    assert report.data["strategy"] == "random"
    assert report.data["chosen_random"] == 2
    details = json.loads((workspace.root / "hard_frames.json").read_bytes())
    assert details["settings"]["strategy"] == "random"
    assert "there is no model yet: frames were chosen by chance" in report.notes


def test_frames_in_tasks_on_any_server_are_not_chosen_again(workspace):
    folder = workspace.draw("in", range(5))
    engine = workspace.open(filter={"budget": 5})
    frames, _failed = frames_in(engine, folder, hint="")
    taken = frames[1:4]
    (spec,) = plan_tasks("B", taken, {}, ClassRegistry.of(["person"]), UploadSettings())
    with engine.runner.run("upload", 1, UploadSettings(), inputs=["x"]) as run, engine.database.write() as connection:
        uploads.plan_task(
            connection,
            PlannedTask(spec, (), 0),
            backend="cvat:elsewhere.example.org/yard",
            run_id=run.id,
            frame_ids={frame.name: frame.id for frame in taken},
            model_id=None,
        )
        uploads.task_created(connection, spec.uid, 7)
    report = filter_frames(engine, input=folder, output=workspace.root / "list.txt")
    assert report.data["in_tasks_already"] == 3
    assert named(workspace.root / "list.txt") == {dataset_name(frames[0]), dataset_name(frames[4])}
