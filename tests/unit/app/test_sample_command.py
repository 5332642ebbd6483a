"""``sample`` in a workspace: what is told, what counts over several runs, and what is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from data_engine.app.footage import sample as app_sample
from data_engine.app.footage.ingest import ingest
from data_engine.app.footage.pictures import frames_in
from data_engine.app.footage.sample import sample
from data_engine.app.footage.sample_scratch import FOLDER, scratch_folder
from data_engine.errors import MissingInputError
from data_engine.lineage import footage
from data_engine.types import Failed


def film(path: Path, scenes: list[int], *, fps: int = 1, black: int = 0, moves: bool = False) -> Path:
    """A video of two seconds a scene, after some black ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.bit_rate = 2_000_000
        for number in range(2 * fps * (black + len(scenes))):
            place = number // (2 * fps) - black
            picture = np.zeros((48, 64, 3), np.uint8)
            if place >= 0:
                coarse = np.random.default_rng(scenes[place]).integers(0, 256, (6, 8, 3), dtype=np.uint8)
                picture = coarse.repeat(8, 0).repeat(8, 1)
            if moves:
                picture = np.roll(picture, number, 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def videos(workspace) -> Path:
    folder = workspace.root / "videos_raw"
    film(folder / "gate" / "a.mp4", [0, 1, 2, 3], black=1)
    film(folder / "gate" / "b.mp4", [3, 4, 5])
    film(folder / "yard" / "c.mp4", [6, 7])
    return folder


def pictures(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "frames_sampled").glob("*.jpg")}


def intact(engine) -> None:
    """Every file is the picture of a sampled frame, and every sampled frame has one."""
    found, failed = frames_in(engine, engine.root / "frames_sampled", hint="")
    with engine.database.read() as connection:
        sampled = footage.sampled_frames(connection)
    assert not failed
    assert sorted(frame.key for frame in found) == sorted(frame.key for frame in sampled)
    assert len(pictures(engine.root)) == len(sampled)


def test_the_report(workspace, videos):
    engine = workspace.open(sample={"workers": 1})
    report = sample(engine)
    assert report.title == "sampled 9 frames from 3 videos"
    assert dict(report.data) == {
        "videos": 3,
        "videos_sampled": 3,
        "videos_done_before": 0,
        "frames_decoded": 20,
        "frames_kept": 9,
        "frames_in_all": 9,
        "left_out_black": 2,
        "output": os.path.relpath(workspace.root / "frames_sampled"),
    }
    assert report.rows == (
        {"video": "videos_raw/gate/a.mp4", "decoded": 10, "kept": 4, "percent": 40.0, "left out": 2},
        {"video": "videos_raw/gate/b.mp4", "decoded": 6, "kept": 3, "percent": 50.0, "left out": 0},
        {"video": "videos_raw/yard/c.mp4", "decoded": 4, "kept": 2, "percent": 50.0, "left out": 0},
    )
    assert not (workspace.root / FOLDER).exists()
    intact(engine)
    again = sample(engine)
    assert (again.title, again.rows) == ("no new frame: 3 videos sampled before", ())


def test_a_long_table_is_summed_up(workspace, videos, monkeypatch):
    monkeypatch.setattr(app_sample, "MOST_ROWS", 2)
    rows = sample(workspace.open(sample={"workers": 1})).rows
    assert [row["video"] for row in rows] == ["videos_raw/gate/a.mp4", "2 more videos"]
    assert rows[1] == {"video": "2 more videos", "decoded": 10, "kept": 5, "percent": 50.0, "left out": 0}


def test_why_and_with_what_weight_a_frame_was_kept_is_recorded(workspace, videos):
    import sqlalchemy as sa

    from data_engine.lineage.tables import sampled

    engine = workspace.open(sample={"workers": 1})
    sample(engine)
    with engine.database.read() as connection:
        rows = list(connection.execute(sa.select(sampled.c.reason, sampled.c.weight)))
    assert sorted(row.reason for row in rows) == ["changed"] * 6 + ["first"] * 3
    assert all(0 < row.weight <= 2 for row in rows)


@pytest.mark.parametrize("settings", [{"budget": "5"}, {"limit": 5}])
def test_a_number_counts_over_several_runs(workspace, videos, settings):
    engine = workspace.open(sample={"workers": 1, **settings})
    first = sample(engine, inputs=[videos / "yard"])
    assert first.data["frames_kept"] == 2
    second = sample(engine)
    assert (second.data["frames_kept"], second.data["frames_in_all"]) == (3, 5)
    assert second.data.get("left_out_over_the_limit", 0) == (4 if "budget" in settings else 0)
    assert len(pictures(workspace.root)) == 5
    film(videos / "zoo" / "new.mp4", [9])
    third = sample(engine)
    ((option, value),) = settings.items()
    untouched = "1 video" if option == "budget" else "2 videos"
    assert third.notes == (f"--{option} {value} was reached: nothing was taken from {untouched}",)
    assert len(pictures(workspace.root)) == 5
    intact(engine)


def test_a_budget_counts_frames_of_videos_elsewhere(workspace, videos):
    engine = workspace.open(sample={"workers": 1, "budget": "5"})
    assert sample(engine, inputs=[videos / "gate/a.mp4"]).data["frames_kept"] == 4
    assert sample(engine, inputs=[videos / "yard"]).data["frames_kept"] == 1
    assert len(pictures(workspace.root)) == 5


def test_near_duplicates_over_several_runs(workspace, videos):
    engine = workspace.open(sample={"workers": 1, "tolerance": 12})
    later = (videos / "gate/a.mp4").rename(workspace.root / "a.mp4")
    assert sample(engine).data["frames_kept"] == 5
    later.rename(videos / "gate/a.mp4")
    report = sample(engine)
    # Scene 3 of the gate was known from b.
    assert report.data["left_out_near_duplicate"] == 1
    assert len(pictures(workspace.root)) == 8
    # What was lost is sampled again, and is not near itself.
    lost = next(path for path in (workspace.root / "frames_sampled").glob("b_*"))
    lost.unlink()
    assert sample(engine).data["frames_kept"] == 3
    assert lost.exists()
    intact(engine)


def test_a_budget_is_recorded_at_once(workspace, videos, monkeypatch):
    engine = workspace.open(sample={"workers": 1, "budget": "4"})
    record, asked = footage.record_sampled, []

    def cut_off(*arguments, **options):
        asked.append(arguments)
        if len(asked) == 2:
            raise KeyboardInterrupt
        record(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(footage, "record_sampled", cut_off)
        with pytest.raises(KeyboardInterrupt):
            sample(engine)
    with engine.database.read() as connection:
        assert footage.count(connection)["sampled"] == 0
    assert (workspace.root / FOLDER).is_dir()
    assert sample(engine).data["frames_kept"] == 4
    assert not (workspace.root / FOLDER).exists()
    intact(engine)


def test_damage_is_counted(workspace, videos):
    path = videos / "gate" / "b.mp4"
    film(path.with_suffix(".avi"), list(range(30)), fps=5)
    path = path.with_suffix(".avi")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    path.write_bytes(data)
    report = sample(workspace.open(sample={"workers": 1}))
    damage = {name: report.data[name] for name in ("damaged_packets", "left_out_next_to_damage") if name in report.data}
    assert damage
    assert [failure.input_id for failure in report.failures] == ["videos_raw/gate/b.avi"]
    assert isinstance(report.failures[0], Failed)


def test_videos_that_look_like_another_are_left_out_when_asked(workspace):
    folder = workspace.root / "videos_raw"
    film(folder / "gate" / "a.mp4", list(range(9)), fps=5, moves=True)
    film(folder / "gate" / "b.mkv", list(range(9)), fps=5, moves=True)
    found = ingest(workspace.open(ingest={"workers": 1}))
    assert found.data["near_duplicates"] == 1
    report = sample(workspace.open(sample={"workers": 1, "skip_near_duplicates": True}))
    assert (report.data["videos"], report.data["videos_sampled"]) == (1, 1)
    assert report.notes == ("1 video left out for looking like another",)
    assert sample(workspace.open(sample={"workers": 1})).data["videos_sampled"] == 1


# --- the folder of work that is under way -----------------------------------------------------------------------------


def test_a_folder_belongs_to_one_at_a_time(workspace):
    engine = workspace.open()
    with scratch_folder(engine, "f" * 32) as first, scratch_folder(engine, "f" * 32) as second:
        assert first == f"{FOLDER}/{'f' * 32}"
        assert second != first
        engine.storage.write_bytes(f"{first}/x", b"1")
    assert not (workspace.root / FOLDER).exists()


def test_a_folder_stays_when_the_work_does_not_end(workspace):
    engine = workspace.open()

    def cut_off(error: type[BaseException]) -> None:
        with scratch_folder(engine, "f" * 32) as folder:
            engine.storage.write_bytes(f"{folder}/x", b"1")
            raise error

    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error):
            cut_off(error)
        assert engine.storage.exists(f"{FOLDER}/{'f' * 32}/x")


def test_what_nobody_came_back_to_is_removed(workspace):
    engine = workspace.open()
    root = workspace.root / FOLDER
    for name, days in (("old", 8), ("new", 6), ("used", 8)):
        (root / name / "v").mkdir(parents=True)
        (root / name / "v" / "x.jpg").write_bytes(b"1")
        for path in (root / name / "v" / "x.jpg", root / name / "v", root / name):
            stat = path.stat()
            os.utime(path, (stat.st_atime, stat.st_mtime - days * 24 * 3600))
    with scratch_folder(engine, "used"), scratch_folder(engine, "f" * 32):
        pass
    assert sorted(path.name for path in root.iterdir()) == ["new"]


def letterboxed(path: Path) -> Path:
    """Six seconds of changing scenes between black bars of 12 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=2)
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        stream.bit_rate = 2_000_000
        for number in range(12):
            picture = np.zeros((96, 96, 3), np.uint8)
            coarse = np.random.default_rng(number // 4).integers(90, 256, (9, 12, 3), dtype=np.uint8)
            picture[12:84] = coarse.repeat(8, 0).repeat(8, 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_other_borders_are_other_frames(workspace):
    letterboxed(workspace.root / "videos_raw" / "a.mp4")
    engine = workspace.open(sample={"workers": 1}, ingest={"workers": 1})
    assert sample(engine).data["frames_kept"] == 3
    with engine.database.read() as connection:
        assert {frame.height for frame in footage.sampled_frames(connection)} == {72}
    assert sample(engine).data["videos_done_before"] == 1
    whole = workspace.open(sample={"workers": 1}, ingest={"workers": 1, "crop": False})
    ingest(whole)
    again = sample(whole)
    assert (again.data["videos_sampled"], again.data["frames_in_all"]) == (1, 3)
    with whole.database.read() as connection:
        assert {frame.height for frame in footage.sampled_frames(connection)} == {96}


def test_near_duplicates_are_those_of_the_last_ingest_whatever_the_settings_say_now(workspace, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    from drawn_videos import write_video

    folder = workspace.root / "videos_raw"
    write_video(folder / "a.mp4", 1, size=(320, 240))
    write_video(folder / "b.mp4", 1, size=(160, 120))
    skipping = {"workers": 1, "skip_near_duplicates": True}
    with pytest.raises(MissingInputError) as caught:
        sample(workspace.open(sample=skipping))
    assert caught.value.hint == "run first: dataengine ingest"
    assert ingest(workspace.open(ingest={"workers": 1, "num_frames_dedup": 6})).data["near_duplicates"] == 1
    report = sample(workspace.open(sample=skipping))
    assert report.data["videos"] == 1
    assert "1 video left out for looking like another" in report.notes


def test_until_a_video_is_finished_nothing_of_it_lies_in_the_output(workspace, videos, monkeypatch):
    engine = workspace.open(sample={"workers": 1})

    def pull_the_plug(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("data_engine.stages.sample_video.Scratch.finish", pull_the_plug)
    with pytest.raises(KeyboardInterrupt):
        sample(engine)
    assert pictures(workspace.root) == {}
    monkeypatch.undo()
    sample(workspace.open(sample={"workers": 1, "method": "interval", "interval": 3.0}))
    intact(engine)
