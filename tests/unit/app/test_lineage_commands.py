"""``lineage show`` and ``lineage models`` on a workspace that went round once, with a model that was trained on it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from data_engine.app.annotation.upload import upload
from data_engine.app.lineage.lineage_models import trained_on
from data_engine.app.lineage.lineage_show import show
from data_engine.app.merge.export import export
from data_engine.app.models.models import champion_key
from data_engine.cli.main import main
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import footage, models
from data_engine.lineage.tables import frames
from data_engine.media.images import sha256_of
from data_engine.types import ID_LENGTH, Model, Video

OPTIONS = {"task_size": 4, "job_size": 2, "assignee": ["ann@example.com"]}


def add_model(engine, name: str, version: str | None, parent: str | None = None, kind: str = "yolo") -> Model:
    key = f"models/{kind}/{name}/model.onnx"
    engine.storage.write_bytes(key, name.encode())
    identity = sha256_of(engine.storage.path(key))[:ID_LENGTH]
    made = Model(identity, kind, key, ("person", "helmet"), version, parent, {"map50": 0.5})
    with engine.database.write() as connection:
        models.add_model(connection, made, run_id=None, weights_key=f"{key}.pt", registered_at=f"2026-{name}")
    return made


@pytest.fixture
def engine(workspace):
    engine = workspace.open(upload=OPTIONS, export={"valid_fraction": 0.5})
    upload(engine, frames=workspace.draw("frames_sampled", range(1, 7)))
    workspace.annotate(engine)
    export(engine)
    return engine


def master(engine) -> dict:
    return json.loads((engine.root / "master_dataset" / "master_dataset_v1.json").read_text("utf-8"))


def test_a_person_and_what_they_did(engine):
    report = show(engine, ["ann@example.com"])
    nodes = {node["id"]: node for node in report.data["nodes"]}
    assert nodes[report.data["root"]]["kind"] == "person"
    assert nodes[report.data["root"]]["facts"] == {"annotated": 3, "decided on": 3, "had": 3}
    did = Counter(edge["relation"] for edge in report.data["edges"] if edge["source"] == report.data["root"])
    assert did == {"annotated": 3, "decided on": 3, "had": 3}
    assert {node["kind"] for node in nodes.values()} == {"person", "job", "box", "versions"}
    assert show(engine, ["person", "rev@example.com"], up=True).data["nodes"][0]["facts"]["accepted"] == 3
    with pytest.raises(MissingInputError, match=r"did you mean ann@example\.com, "):
        show(engine, ["anne@example.com"])


def test_what_the_master_file_names_can_be_shown(engine):
    document = master(engine)
    image = document["images"][0]
    box = next(a for a in document["annotations"] if a["image_id"] == image["id"])
    report = show(engine, [box["attributes"]["id"]])
    assert report.data["root"] == f"box:{box['attributes']['id']}"
    nodes = {node["id"]: node for node in report.data["nodes"]}
    assert nodes[report.data["root"]]["facts"]["annotator"] == "ann@example.com"
    job = nodes[f"job:{box['attributes']['job']}"]
    assert [event["by"] for event in job["events"] if event["what"] in ("submitted", "accepted")] == [
        "ann@example.com",
        "rev@example.com",
    ]
    assert f"frame:{image['frame_id']}" in nodes
    assert report.text.startswith(f"box {box['attributes']['id'][:12]} ")
    assert "accepted; by rev@example.com" in report.text
    by_name = show(engine, [image["file_name"]])
    assert by_name.data["root"] == f"frame:{image['frame_id']}"
    by_key = show(engine, [str(engine.root / image["key"])])
    assert by_key.data["root"] == f"frame:{image['frame_id']}"
    assert show(engine, ["v1"]).data["root"] == show(engine, [document["info"]["id"]]).data["root"]
    assert (
        show(engine, ["v1"]).data["root"]
        == show(engine, [str(engine.root / "master_dataset/master_dataset_v1.json")]).data["root"]
    )


def test_a_direction_and_a_depth_can_be_chosen(engine):
    box = master(engine)["annotations"][0]["attributes"]
    up, down = show(engine, [box["id"]], up=True), show(engine, [box["id"]], down=True)
    assert {edge["target"] for edge in up.data["edges"]} >= {f"box:{box['id']}"}
    assert [edge["relation"] for edge in down.data["edges"]] == ["held"]
    both = show(engine, [box["id"]], up=True, down=True)
    assert len(both.data["edges"]) == len(up.data["edges"]) + len(down.data["edges"])
    near = show(engine, [box["id"]], up=True, depth=1)
    assert {edge["target"] for edge in near.data["edges"]} == {f"box:{box['id']}"}
    assert near.notes == ("the lineage goes on: --depth 2",)


def test_a_kind_can_stand_before_a_name(engine):
    (job,) = {a["attributes"]["job"] for a in master(engine)["annotations"][:1]}
    for words in (["job", job], [f"job:{job}"], [f"job {job[:10]}"]):
        assert show(engine, words).data["root"] == f"job:{job}"
    assert show(engine, ["job", "1"]).data["root"].startswith("job:")
    assert show(engine, ["task", "1"]).data["root"].startswith("task:")
    with pytest.raises(MissingInputError, match=r"nothing is recorded of job '99'; there are 1, 2"):
        show(engine, ["job", "99"])


def test_what_nothing_is_recorded_of_is_told_with_names_that_are_near(engine):
    with pytest.raises(MissingInputError, match=r"did you mean v1\?") as caught:
        show(engine, ["v11"])
    assert caught.value.hint == "dataengine lineage show v1"
    with pytest.raises(MissingInputError, match="nothing is recorded of 'xyz'"):
        show(engine, ["xyz"])
    (engine.root / "stranger.jpg").write_bytes(b"not known")
    with pytest.raises(MissingInputError):
        show(engine, [str(engine.root / "stranger.jpg")])


def test_what_several_things_are_called_is_told_of_each(engine):
    camera = master(engine)["images"][0]["camera"]
    with engine.database.write() as connection:
        from data_engine.lineage import footage
        from data_engine.types import Video

        video = Video("f" * 32, "videos_raw/x.mp4", camera, "yard", 1, 64, 48, "h264", None, None)
        footage.add_videos(connection, [video, replace(video, id="f" * 31 + "0", key="videos_raw/y.mp4")])
    with pytest.raises(UsageError, match=f"'{camera}' may be camera {camera}, video {camera}, video") as caught:
        show(engine, [camera])
    assert caught.value.hint == f"say which: dataengine lineage show camera {camera}"
    with pytest.raises(UsageError) as caught:
        show(engine, ["video", camera])
    assert caught.value.hint == f"say which: dataengine lineage show video {'f' * 24}"
    assert show(engine, ["camera", camera]).data["root"] == f"camera:{camera}"


def test_it_is_written_as_the_file_s_ending_says(engine, tmp_path):
    box = master(engine)["annotations"][0]["attributes"]["id"]
    shown = show(engine, [box])
    for name in ("a.json", "a.mmd", "a.md", "a.txt"):
        report = show(engine, [box], output=tmp_path / name)
        assert (report.data["nodes"], report.text) == (len(shown.data["nodes"]), "")
    data = {name: shown.data[name] for name in ("root", "nodes", "edges", "left_out")}
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == data
    flowchart = (tmp_path / "a.mmd").read_text("utf-8")
    assert flowchart == show(engine, [box], mermaid=True).text
    assert (tmp_path / "a.md").read_text("utf-8") == f"```mermaid\n{flowchart}```\n"
    assert (tmp_path / "a.txt").read_text("utf-8") == shown.text
    with pytest.raises(UsageError, match="is a folder"):
        show(engine, [box], output=tmp_path)


def test_the_models_of_a_camera_with_the_sides_that_they_saw(engine):
    document = master(engine)
    camera = document["images"][0]["camera"]
    here = [image for image in document["images"] if image["camera"] == camera]
    sides = {image["id"]: image["split"] for image in here}
    frames = Counter(sides.values())
    boxes = Counter(sides[a["image_id"]] for a in document["annotations"] if a["image_id"] in sides)
    assert min(frames["train"], frames["valid"]) > 0
    seen = add_model(engine, "1", document["info"]["id"])
    child = add_model(engine, "2", None, seen.id)
    stranger = add_model(engine, "3", None, kind="rfdetr")
    engine.storage.link(child.key, champion_key("yolo"))
    shutil.copyfile(engine.storage.path(stranger.key), engine.storage.path(champion_key("rfdetr")))
    first, second = trained_on(engine, camera=camera).rows
    assert (first["model"], first["version"], first["in_use"], first["through"]) == (seen.id, "v1", False, None)
    for side in ("train", "valid"):
        assert (first[f"{side}_frames"], first[f"{side}_boxes"]) == (frames[side], boxes[side])
        assert (second[f"{side}_frames"], second[f"{side}_boxes"]) == (0, 0)
    assert (second["model"], second["through"], second["in_use"]) == (child.id, seen.id, True)
    whole = trained_on(engine, person="rev@example.com").rows[0]
    assert whole["train_frames"] + whole["valid_frames"] == len(document["images"])
    assert whole["train_boxes"] + whole["valid_boxes"] == len(document["annotations"])
    frame = trained_on(engine, frame=here[0]["frame_id"][:10]).rows
    assert [row["model"] for row in frame] == [seen.id, child.id]
    with pytest.raises(MissingInputError, match=r"did you mean 'rev@example\.com'"):
        trained_on(engine, person="rev@example.org")
    with pytest.raises(MissingInputError, match="nothing is recorded of camera 'nowhere'"):
        trained_on(engine, camera="nowhere")
    for given in ({}, {"camera": camera, "person": "x"}):
        with pytest.raises(UsageError, match="name one of"):
            trained_on(engine, **given)


def test_the_model_in_use_is_marked_and_found_by_its_file(engine):
    seen = add_model(engine, "1", master(engine)["info"]["id"])
    engine.storage.link(seen.key, champion_key("yolo"))
    for file in (seen.key, f"{seen.key}.pt", champion_key("yolo")):
        if file.endswith(".pt"):
            engine.storage.write_bytes(file, b"checkpoint")
        report = show(engine, [str(engine.storage.path(file))])
        assert report.data["root"] == f"model:{seen.id}"
        assert report.data["nodes"][0]["facts"]["champion"] is True
        assert report.text.splitlines()[0].endswith(", in use")


def test_a_video_goes_by_the_name_of_its_file_and_what_is_mistyped_is_suggested(engine):
    video = Video("f" * 32, "videos_raw/north/monday_a.mp4", "monday_a", "north", 1, 64, 48, "h264", None, None)
    with engine.database.write() as connection:
        footage.add_videos(connection, [video])
        frame = next(iter(connection.scalars(sa.select(frames.c.name).order_by(frames.c.name))))
    assert show(engine, ["monday_a.mp4"]).title == show(engine, ["video", "monday_a"]).title == "video monday_a"
    for text, meant in (("mondaya.mp4", "monday_a.mp4"), ("Monday_A", "monday_a"), (f"{frame[:-4]}.png", frame)):
        with pytest.raises(MissingInputError, match="did you mean ") as caught:
            show(engine, [text])
        assert caught.value.hint == f"dataengine lineage show {meant}"


def test_the_command_line(engine, capsys, monkeypatch):
    monkeypatch.chdir(engine.root)
    box = master(engine)["annotations"][0]["attributes"]["id"]
    assert main(["lineage", "show", box, "--up"]) == 0
    assert capsys.readouterr().out == show(engine, [box], up=True).text
    assert main(["lineage", "show", "job", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["root"].startswith("job:")
    assert "text" not in document
    assert main(["lineage", "show", box, "--mermaid"]) == 0
    assert capsys.readouterr().out.startswith("flowchart LR\n")
    assert main(["lineage", "show", "nowhere"]) == 3
    assert main(["lineage", "show", box, "--depth", "0"]) == 2
    assert main(["lineage", "show"]) == 2
    assert main(["lineage", "models", "--person", "rev@example.com"]) == 0
    assert Path("dataengine.toml").is_file()
