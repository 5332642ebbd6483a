"""The numbered scripts on plain paths: nothing was prepared, the folder's name has spaces and is not ASCII."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import plant
import pytest

pytestmark = pytest.mark.required

SAMPLE = (
    "scripts/01_sample_frames.py --input videos_raw/ --output frames_sampled/ --method scene-change --threshold 0.85"
)
FILTER = (
    "scripts/02_run_active_learning_filter.py --input frames_sampled/ --model models/rfdetr_best.onnx"
    " --confidence-threshold 0.4 --output hard_frames.txt"
)
PREANNOTATE = (
    "scripts/03_generate_preannotations.py --frames hard_frames.txt --model models/rfdetr_best.onnx"
    " --output preannotations/hard_frames_preanno.json"
)
UPLOAD = (
    'scripts/04_manage_cvat_tasks.py --task-name "Batch_01_CCTV" --frames frames_hard_to_annotate/'
    " --preannotations preannotations/hard_frames_preanno.json --assignee annotator@company.com"
)
EXPORT = "scripts/05_export_and_merge.py --task-id {task} --output master_dataset/master_dataset_v2.json"
CONVERT = "scripts/06_convert_to_yolo.py --input master_dataset/train.json --output final_labels/yolo/train/"
RETRAIN = "scripts/07_retrain.py"

CLIPS = 5
HARD = 6
SMALL = {
    "DATAENGINE_FILTER_BUDGET": str(HARD),
    # Clips of one static camera begin alike.
    "DATAENGINE_FILTER_ALLOW_SIMILAR": "true",
    "DATAENGINE_UPLOAD_JOB_SIZE": "4",
    "DATAENGINE_RETRAIN_SIZE": "tiny",
    "DATAENGINE_RETRAIN_IMAGE_SIZE": "96",
    "DATAENGINE_RETRAIN_EPOCHS": "1",
    "DATAENGINE_CONVERT_FORMAT": "rfdetr",
}
"""What keeps the test short; script 06 writes YOLO whatever the settings say."""


@pytest.fixture(scope="module")
def here(tmp_path_factory, shared) -> plant.Plant:
    """A folder with videos and a model, and nothing else."""
    model = shared / "models/rfdetr_tiny.onnx"
    if not model.is_file():
        pytest.skip("the trained RF-DETR is not beside this checkout")
    folder = tmp_path_factory.mktemp("plain") / "Werk Süd – カメラ"
    made = plant.build(folder, clips=CLIPS, seconds=1.0, environment=SMALL)
    (folder / "models").mkdir()
    shutil.copyfile(model, folder / "models/rfdetr_best.onnx")
    return made


@pytest.fixture(scope="module")
def walked(here) -> dict[str, plant.Ended]:
    """Every call once, with the people's work between 04 and 05; then 01 to 06 again, as ``… again``."""
    ended: dict[str, plant.Ended] = {}

    def call(name: str, line: str) -> None:
        ended[name] = here.shell.type(line)
        assert ended[name].code == 0, (name, ended[name])

    for name, line in (("01", SAMPLE), ("02", FILTER), ("03", PREANNOTATE), ("04", UPLOAD)):
        call(name, line)
        rows = here.shell.counts()
        call(f"{name} again", line)
        assert here.shell.counts() == rows, f"{name} recorded something twice"
    for job in (1, 2):
        here.draw_boxes(job)
        call(f"submit {job}", f"dataengine review submit {job}")
    call("accept", "dataengine review accept 1 2 --by lead@company.com")
    for name, line in (("05", EXPORT.format(task=1)), ("06", CONVERT)):
        call(name, line)
        rows = here.shell.counts()
        call(f"{name} again", line)
        assert here.shell.counts() == rows, f"{name} recorded something twice"
    call("07", RETRAIN)
    return ended


def test_01_keeps_what_changed_and_says_where_lineage_is(here, walked):
    assert "no workspace here: lineage is kept in .dataengine/lineage.db of this folder" in walked["01"].err
    assert "no workspace here" not in walked["01 again"].err
    said = walked["01"].said
    frames = here.shell.files("frames_sampled")
    assert int(said["frames kept"]) == len(frames) >= 2 * CLIPS
    assert walked["01"].title == f"sampled {len(frames)} frames from {2 * CLIPS} videos"
    assert int(said["frames decoded"]) == 2 * CLIPS * 8
    assert walked["01 again"].title == f"no new frame: {2 * CLIPS} videos sampled before"
    # Two cameras have the same video names: nothing is lost, and the names tell them apart.
    assert here.shell.counts()["videos"] == 2 * CLIPS
    assert here.shell.counts()["frames"] == len(frames)
    assert {name.rsplit("_", 2)[0] for name in frames} == {f"08_0{n}" for n in range(1, CLIPS + 1)}


def test_02_lists_frames_that_can_be_opened_from_here_and_says_why(here, walked):
    folder = here.shell.folder
    lines = (folder / "hard_frames.txt").read_text("utf-8").splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert len(listed) == len(set(listed)) == HARD
    assert all((folder / line).is_file() for line in listed)
    assert sorted(Path(line).name for line in listed) == here.shell.files("frames_hard_to_annotate")
    why = (folder / "hard_frames.csv").read_text("utf-8").splitlines()
    assert [row.split(",")[1] for row in why[1:]] == [Path(line).name for line in listed]
    assert all(row.split(",")[3] for row in why[1:])
    assert walked["02"].title in lines[1]
    assert walked["02 again"].title == f"{walked['02'].title}, as before"
    assert f"predict: {len(here.shell.files('frames_sampled'))}/" in walked["02"].err
    assert "predict" not in walked["02 again"].err


def test_the_threshold_and_the_budget_are_honoured(here, walked):
    """A box is doubtful below the threshold: each makes its own choice of the same predictions."""

    def hard(threshold: float, budget: int) -> list[float]:
        line = FILTER.replace("0.4 --output hard", f"{threshold} --output other/hard") + f" --budget {budget}"
        ended = here.shell.type(f"{line} --only-hard --exploration 0 --min-gap 0 --tolerance 0")
        assert ended.code == 0, ended
        assert "predict:" not in ended.err
        # The model that was named is the one in use: it need not be named again.
        assert ended.next == "dataengine preannotate --frames other/hard_frames.txt"
        rows = (here.shell.folder / "other/hard_frames.csv").read_text("utf-8").splitlines()
        assert len(rows) - 1 == int(ended.said["chosen"]) <= budget
        place = rows[0].split(",").index("confidence")
        return [float(row.split(",")[place]) for row in rows[1:] if "uncertain" in row]

    low, high, three = hard(0.15, 50), hard(0.9, 50), hard(0.9, 3)
    assert max(low) < 0.15 < 0.4 < max(high) < 0.9
    assert len(three) == 3


def test_03_asks_the_model_nothing_that_02_has_asked(here, walked):
    assert walked["03"].said["frames predicted now"] == "0"
    assert "predict:" not in walked["03"].err
    document = json.loads((here.shell.folder / "preannotations/hard_frames_preanno.json").read_bytes())
    assert len(document["images"]) == HARD
    assert walked["03"].title == f"{len(document['annotations'])} boxes proposed on {HARD} frames"
    assert document["annotations"]
    assert here.shell.counts()["proposals"] == len(document["annotations"])


def test_04_splits_the_task_into_jobs_once(here, walked):
    assert walked["04"].title == f"1 task made of {HARD} frames"
    assert (walked["04"].said["jobs"], walked["04"].said["frames"]) == ("2", str(HARD))
    assert walked["04 again"].title == f"no new task: {HARD} frames in a task already"
    jobs = here.shell.type("dataengine review list --json").json()["rows"]
    assert [(job["job"], job["task"], job["assignee"], job["frames"]) for job in jobs] == [
        (1, 1, "annotator@company.com", 4),
        (2, 1, "annotator@company.com", 2),
    ]
    assert {job["waits_for"] for job in jobs} == {"nothing"}


def test_05_writes_the_version_its_sides_and_the_copy_that_was_named(here, walked):
    folder = here.shell.folder / "master_dataset"
    assert here.shell.files("master_dataset") == [
        "certificate_v1.json",
        "master_dataset_v1.json",
        "master_dataset_v2.json",
        "train.json",
        "valid.json",
    ]
    assert (folder / "master_dataset_v1.json").read_bytes() == (folder / "master_dataset_v2.json").read_bytes()
    assert "master_dataset_v2.json holds version v1" in walked["05"].err
    whole, train, valid = (
        json.loads((folder / name).read_bytes()) for name in ("master_dataset_v1.json", "train.json", "valid.json")
    )
    boxes = len(whole["annotations"])
    assert walked["05"].title == f"dataset version v1: {HARD} frames, {boxes} boxes"
    assert boxes == sum(int(walked[f"submit {job}"].said["boxes"]) for job in (1, 2))
    assert here.shell.counts()["annotations"] == boxes
    sides = [{image["file_name"] for image in part["images"]} for part in (train, valid)]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]
    assert walked["05 again"].title == "nothing new since dataset version v1"
    assert here.shell.counts()["dataset_versions"] == 1


def test_05_knows_the_tasks_that_were_uploaded_from_here(here, walked):
    ended = here.shell.type(EXPORT.format(task=123))
    assert ended.code == 3
    assert ended.err == "error: task 123 was not uploaded from here\nhint: see the numbers: dataengine review list\n"


def test_06_writes_both_sides_beside_one_data_yaml(here, walked):
    folder = here.shell.folder / "final_labels/yolo"
    assert here.shell.files("final_labels/yolo") == ["data.yaml", "dataset_version.json"]
    assert not (here.shell.folder / "final_labels/rfdetr").exists()
    for side in ("train", "valid"):
        document = json.loads((here.shell.folder / f"master_dataset/{side}.json").read_bytes())
        names = sorted(Path(image["file_name"]).stem for image in document["images"])
        assert sorted(path.stem for path in (folder / side / "images").iterdir()) == names
        assert sorted(path.stem for path in (folder / side / "labels").iterdir()) == names
        lines = [line for path in (folder / side / "labels").iterdir() for line in path.read_text().splitlines()]
        assert len(lines) == len(document["annotations"])
    assert walked["06"].next == "dataengine retrain"


def test_06_finds_pictures_where_it_is_told_and_counts_the_missing(here, walked, tmp_path):
    folder = tmp_path / "elsewhere ü"
    pictures = folder / "some pictures"
    pictures.mkdir(parents=True)
    shutil.copyfile(here.shell.folder / "master_dataset/train.json", folder / "train.json")
    document = json.loads((folder / "train.json").read_bytes())
    first, *rest = [image["file_name"] for image in document["images"]]
    for name in rest:
        shutil.copyfile(here.shell.folder / "frames_sampled" / name, pictures / name)
    line = 'scripts/06_convert_to_yolo.py --input train.json --output yolo/train --images "some pictures"'
    ended = plant.Shell(folder).type(line)
    assert ended.code == 8
    assert f"failed: yolo/train: 1 picture not found ({first})\n" in ended.err
    shell = plant.Shell(folder)
    assert len(shell.files("yolo/train/labels")) == len(document["images"])
    assert shell.files("yolo/train/images") == sorted(rest)


def test_07_makes_a_model_that_has_to_be_better_than_the_one_in_use(here, walked):
    """One epoch does not do for that: it is trained, measured and kept, and the next ``filter`` asks the other one."""
    assert not (here.shell.folder / "models/yolo_best.onnx").exists()
    said = walked["07"].said
    assert (said["in use"], said["dataset version"], said["epochs"]) == ("no", "v1", "1")
    assert (here.shell.folder / said["model"]).is_file()
    assert int(said["validation images"]) > 0
    assert walked["07"].next == "dataengine filter"
    ended = here.shell.type(walked["07"].next)
    assert (ended.code, ended.said["model"]) == (0, "rfdetr_best.onnx")
    assert int(ended.said["in tasks already"]) == HARD


def test_no_copy_takes_the_place_of_a_version(here, walked):
    """Named v2 while there was only v1, the copy gives way to the real v2; then a copy of v2 cannot take v1's place."""
    assert here.shell.type("dataengine review reject 1 --reason 'another look'").code == 0
    here.draw_boxes(1)
    (file,) = here.shell.folder.glob("annotation/tasks/*/jobs/1/annotations.json")
    document = json.loads(file.read_bytes())
    document["annotations"].pop()
    file.write_text(json.dumps(document), "utf-8")
    for line in ("dataengine review submit 1", "dataengine review accept 1", EXPORT.format(task=1)):
        assert here.shell.type(line).code == 0
    folder = here.shell.folder / "master_dataset"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    versions = [json.loads(before[f"master_dataset_v{n}.json"])["info"]["version"] for n in (1, 2)]
    assert versions == ["v1", "v2"]
    ended = here.shell.type("dataengine export --output master_dataset/master_dataset_v1.json")
    assert ended.code == 7
    assert "is dataset version v1, which stays as it is; this is v2" in ended.err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_reports_follow_one_another(walked):
    """Each names the command of the next step."""
    names = ["sample", "filter", "preannotate", "upload", "review list", "export", "convert", "retrain", "filter"]
    steps = ["01", "02", "03", "04", "accept", "05", "06", "07"]
    said = ["dataengine sample", *(walked[step].next for step in steps)]
    assert said == [f"dataengine {name}" for name in names]
