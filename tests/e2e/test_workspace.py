"""A workspace, walked by typing what each report and ``status`` say comes next, from a folder somewhere below it."""

from __future__ import annotations

import json
import shlex
import shutil

import plant
import pytest

pytestmark = pytest.mark.required

BELOW = "videos_raw/Werk Süd"
HARD = 5
SETTINGS = f"""
[sample]
method = "tiles"
tiles_again = 0.2

[filter]
budget = {HARD}

[upload]
job_size = 3
assignee = ["ada", "björn"]

[retrain]
size = "tiny"
image_size = 96
epochs = 1
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> plant.Plant:
    """A new workspace with videos, copies of videos and other files."""
    folder = tmp_path_factory.mktemp("ws") / "Neue Anlage – 工場"
    made = plant.build(folder, clips=1, seconds=9.0)
    ended = plant.Shell(folder.parent).type(f"dataengine init {shlex.quote(folder.name)}")
    assert ended.code == 0, ended
    assert ended.next == (
        f"put videos into {folder.name}/videos_raw, then: cd {shlex.quote(folder.name)} && dataengine sample"
    )
    videos = folder / "videos_raw"
    shutil.copyfile(next(videos.rglob("*.mp4")), videos / "a copy.mp4")
    (videos / "notes.txt").write_text("no video\n")
    with (folder / "dataengine.toml").open("a") as file:
        file.write(SETTINGS)
    return made


@pytest.fixture(scope="module")
def first_round(here) -> list[tuple[str, plant.Ended]]:
    """What ``status`` said, was typed, twice each, until people were needed; classes are named when they are missed."""
    typed: list[tuple[str, plant.Ended]] = []
    while (line := _status_next(here)) != "dataengine review list":
        ended = here.shell.type(line, below=BELOW)
        typed.append((line, ended))
        if ended.code:
            hint = next(row for row in ended.err.splitlines() if row.startswith("hint: "))
            line = hint.partition("dataengine ")[2].replace("person,helmet", "person,helmet,no-helmet")
            ended = here.shell.type(f"dataengine {line}", below=BELOW)
            typed.append((f"dataengine {line}", ended))
        assert ended.code == 0, (line, ended)
        assert len(typed) < 9, "status leads in a circle"
        if line != "dataengine filter":
            # Frames that were chosen are typed again below, once they are in a task.
            _nothing_doubles(here, line)
    return typed


def _status_next(here: plant.Plant) -> str:
    ended = here.shell.type("dataengine status --json", below=BELOW)
    assert ended.code == 0, ended
    line: str = ended.json()["next"]
    return line


def _nothing_doubles(here: plant.Plant, line: str) -> plant.Ended:
    rows = here.shell.counts()
    ended = here.shell.type(line if line.startswith("dataengine ") else f"dataengine {line}", below=BELOW)
    assert ended.code == 0, (line, ended)
    assert here.shell.counts() == rows, f"{line} recorded something twice"
    return ended


def test_the_hint_about_missing_classes_works_as_it_is_typed(here, first_round):
    lines = [line for line, _ended in first_round]
    upload = lines.index("dataengine upload")
    assert first_round[upload][1].code == 2
    assert first_round[upload][1].err.startswith("error: no class is known yet")
    assert lines[upload + 1] == "dataengine init --classes person,helmet,no-helmet ../.."
    assert not (here.shell.folder / BELOW / "dataengine.toml").exists()
    assert 'classes = ["person", "helmet", "no-helmet"]\n' in (here.shell.folder / "dataengine.toml").read_text("utf-8")


def test_status_leads_to_the_people(here, first_round):
    assert [line.split()[1] for line, _ended in first_round] == ["sample", "filter", "upload", "init", "upload"]
    sample = first_round[0][1]
    assert sample.title == f"sampled {len(here.shell.files('frames_sampled'))} frames from 2 videos"
    assert "1 copy of another video left out\n" in sample.err
    assert "1 file passed over: not a video\n" in sample.err
    assert sample.said["output"] == "../../frames_sampled"
    frames = here.shell.type("dataengine status --json", below=BELOW).json()["rows"][1]
    assert (frames["step"], frames["count"]) == ("frames sampled", len(here.shell.files("frames_sampled")))
    assert not list((here.shell.folder / BELOW).glob(".dataengine"))


def test_round_0_chooses_without_a_model(here, first_round):
    chosen = dict(first_round)["dataengine filter"]
    assert chosen.title.endswith(f"frames chosen: {HARD} diverse")
    assert "there is no model yet" in chosen.err
    assert chosen.next == "dataengine upload"
    assert len(here.shell.files("frames_hard_to_annotate")) == HARD
    assert not (here.shell.folder / "preannotations/hard_frames_preanno.json").exists()
    ended = here.shell.type("dataengine preannotate", below=BELOW)
    assert ended.code == 3
    assert ended.err.endswith("hint: go on without proposals: dataengine upload\n")


def test_jobs_are_given_out_in_turn(here, first_round):
    listed = here.shell.type("dataengine review list --json", below=BELOW).json()
    assert listed["title"] == "2 jobs"
    assert [(job["job"], job["assignee"], job["frames"], job["state"]) for job in listed["rows"]] == [
        (1, "ada", 3, "new"),
        (2, "björn", 2, "new"),
    ]
    assert [job["waits_for"] for job in listed["rows"]] == [
        f"correct the boxes, then: dataengine review submit {n}" for n in (1, 2)
    ]


@pytest.fixture(scope="module")
def reviewed(here, first_round) -> dict[str, plant.Ended]:
    """Job 1 is rejected, mended and accepted; job 2 is accepted at once."""
    ended: dict[str, plant.Ended] = {}

    def call(name: str, line: str) -> None:
        ended[name] = here.shell.type(f"dataengine review {line}", below=BELOW)
        assert ended[name].code == 0, ended[name]
        ended[f"{name} again"] = _nothing_doubles(here, f"review {line}")

    refused = here.shell.type("dataengine review accept 1", below=BELOW)
    assert (refused.code, refused.err) == (
        7,
        "error: job 1 has not been submitted (stage annotation, state new)\nhint: dataengine review submit 1\n",
    )
    call("submit empty", "submit 1")
    call("reject", "reject 1 --reason 'the man at the door is missing' --by 'chef é'")
    call("show rejected", "show 1")
    here.draw_boxes(1)
    call("submit", "submit 1")
    here.draw_boxes(2)
    call("submit other", "submit 2")
    call("accept", "accept 1 2 --by 'chef é'")
    return ended


def test_a_rejected_job_goes_back_with_its_reason(reviewed):
    assert reviewed["submit empty"].title == "job 1 submitted: 0 boxes on 3 frames"
    assert reviewed["submit empty again"].title == "job 1 submitted before: 0 boxes on 3 frames"
    assert reviewed["submit empty"].next == "dataengine review accept 1"
    assert reviewed["reject"].title == "job 1 rejected and back with ada"
    assert reviewed["reject again"].title == "job 1 already rejected and back with ada"
    assert reviewed["reject"].next == "dataengine review show 1"
    shown = reviewed["show rejected"]
    assert shown.title == "job 1: annotation, rejected"
    assert shown.said["remarks"] == "the man at the door is missing (chef é)"
    assert shown.said["assignee"] == "ada"


def test_a_mended_job_is_accepted_and_every_step_recorded_once(here, reviewed):
    assert reviewed["accept"].title == "2 jobs accepted"
    assert reviewed["accept again"].title == "2 jobs accepted, 2 of them before"
    # Submitted, rejected, submitted, accepted; submitted, accepted.
    assert here.shell.counts()["reviews"] == 6


@pytest.fixture(scope="module")
def turned(here, reviewed) -> plant.Ended:
    """``run``, from the accepted jobs to the next ones."""
    assert _status_next(here) == "dataengine export"
    ended = here.shell.type("dataengine run", below=BELOW)
    assert ended.code == 0, ended
    return ended


def test_run_walks_to_where_people_are_needed(here, reviewed, turned):
    steps = [step for line in turned.out.splitlines() if (step := line.partition(" ")[0]) in _STEPS]
    assert steps == ["sample", "export", "convert", "retrain", "filter", "preannotate", "upload"]
    assert turned.title == "waiting for people: 2 jobs"
    assert turned.next == "dataengine review list"
    boxes = sum(int(reviewed[name].said["boxes"]) for name in ("submit", "submit other"))
    rows = here.shell.counts()
    assert (rows["dataset_versions"], rows["dataset_frames"], rows["annotations"]) == (1, HARD, boxes)
    assert (rows["models"], rows["tasks"], rows["jobs"]) == (1, 2, 4)
    assert rows["predictions"] == rows["frames"] == len(here.shell.files("frames_sampled"))
    assert "no new frame: 2 videos sampled before" in turned.out
    assert f"export       dataset version v1: {HARD} frames, {boxes} boxes\n" in turned.out


_STEPS = {"sample", "export", "convert", "retrain", "filter", "preannotate", "upload"}


def test_run_is_safe_to_call_again(here, turned):
    again = _nothing_doubles(here, "run")
    assert again.title == turned.title
    assert again.next == "dataengine review list"
    assert _nothing_doubles(here, "export").title == "nothing new since dataset version v1"


def test_new_choices_are_other_frames_and_status_leads_them_to_their_tasks(here, turned):
    """With a model there are proposals: once made, ``status`` sends nobody back to make them."""
    ended = here.shell.type("dataengine filter --budget 2", below=BELOW)
    assert (ended.code, ended.said["model"], ended.said["in tasks already"]) == (0, "yolo_best.onnx", str(2 * HARD))
    assert _status_next(here) == ended.next == "dataengine preannotate"
    ended = here.shell.type(_status_next(here), below=BELOW)
    assert (ended.code, ended.said["frames predicted now"]) == (0, "0")
    assert _status_next(here) == ended.next == "dataengine upload"
    ended = here.shell.type(_status_next(here), below=BELOW)
    assert ended.title == "1 task made of 2 frames"
    assert _nothing_doubles(here, "upload").title == "no new task: 2 frames in a task already"
    assert _status_next(here) == "dataengine review list"
    rows = here.shell.counts()
    assert rows["task_frames"] == rows["job_frames"] == rows["selection_frames"] == 2 * HARD + 2


def test_json_is_one_object_and_quiet_is_quiet(here, turned):
    for line in ("sample", "status", "review list", "review show 1", "doctor", "db check", "db upgrade", "run"):
        ended = here.shell.type(f"dataengine {line} --json --quiet", below=BELOW)
        assert (ended.code, ended.err) == (0, ""), (line, ended)
        assert {"title", "rows", "failures", "next"} <= set(ended.json())
        assert "\x1b" not in ended.out
        quiet = here.shell.type(f"dataengine {line} --quiet", below=BELOW)
        assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    ended = here.shell.type("dataengine review show 99 --json --quiet", below=BELOW)
    assert (ended.code, ended.out) == (3, "")
    assert json.loads(ended.err) == {"error": "there is no job 99", "hint": "dataengine review list", "code": 3}


def test_init_changes_nothing_that_is_there(here, turned):
    text = (here.shell.folder / "dataengine.toml").read_bytes()
    assert _nothing_doubles(here, "init ../..").title.endswith(" is a workspace already")
    refused = here.shell.type("dataengine init --classes cat,dog .")
    assert refused.code == 7
    assert "names other classes: person, helmet, no-helmet" in refused.err
    assert (here.shell.folder / "dataengine.toml").read_bytes() == text
