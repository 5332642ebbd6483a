"""``--names sequential``: no number is given twice, whatever was sampled into the folder before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data_engine.app.footage.pictures import frames_in
from data_engine.app.footage.sample import sample
from data_engine.errors import ConflictError
from data_engine.lineage import footage


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """Two videos of four seconds, a picture a second, no two alike."""
    import av
    import numpy as np

    folder = tmp_path_factory.mktemp("films")
    for seed, name in enumerate(("a", "b")):
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=1)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(4):
                rng = np.random.default_rng(10 * seed + number)
                picture = np.kron(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    return folder


@pytest.fixture
def opened(workspace, films):
    """Opens the workspace with the two videos in it, to sample at this interval."""
    for film in films.iterdir():
        shutil.copyfile(film, workspace.root / "videos_raw" / film.name)

    def engine(interval: float = 1.0):
        settings = {"method": "interval", "interval": interval, "names": "sequential", "workers": 1}
        return workspace.open(sample=settings)

    return engine


def pictures(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "frames_sampled").glob("*.jpg"))}


def intact(engine) -> None:
    """Every file is the picture of the frame that lineage says it is, and every sampled frame has one."""
    found, failed = frames_in(engine, engine.root / "frames_sampled", hint="")
    with engine.database.read() as connection:
        sampled = footage.sampled_frames(connection)
        known = footage.files_below(connection, "frames_sampled")
    assert not failed
    assert {frame.id for frame in found} == {frame.id for frame in sampled}
    for frame in sampled:
        assert known[frame.key].frame_id == frame.id
        assert engine.storage.stamp(frame.key) == known[frame.key].stamp


def test_one_video_after_the_other(opened, workspace):
    engine = opened()
    sample(engine, inputs=[workspace.root / "videos_raw/a.mp4"])
    first = pictures(workspace.root)
    assert list(first) == [f"frame_{n:05d}.jpg" for n in range(1, 5)]
    sample(engine, inputs=[workspace.root / "videos_raw/b.mp4"])
    both = pictures(workspace.root)
    assert list(both) == [f"frame_{n:05d}.jpg" for n in range(1, 9)]
    assert first.items() <= both.items()
    intact(engine)


def test_a_lost_picture_costs_no_other(opened, workspace):
    engine = opened()
    sample(engine)
    before = pictures(workspace.root)
    (workspace.root / "frames_sampled/frame_00002.jpg").unlink()
    sample(engine)
    after = pictures(workspace.root)
    # The first video's have new numbers; its old files are gone, the other's stay.
    assert list(after) == [f"frame_{n:05d}.jpg" for n in range(5, 13)]
    assert sorted(after.values()) == sorted(before.values())
    assert all(after[name] == before[name] for name in set(before) & set(after))
    intact(engine)
    assert sample(engine).data["videos_sampled"] == 0


def test_a_changed_picture_is_not_removed(opened, workspace):
    engine = opened()
    sample(engine)
    folder = workspace.root / "frames_sampled"
    (folder / "frame_00002.jpg").unlink()
    (folder / "frame_00001.jpg").write_bytes(b"somebody's")
    sample(engine)
    assert (folder / "frame_00001.jpg").read_bytes() == b"somebody's"


def test_other_settings_in_the_same_folder(opened, workspace):
    sample(opened(1.0))
    before = pictures(workspace.root)
    engine = opened(2.0)
    sample(engine)
    after = pictures(workspace.root)
    assert before.items() <= after.items()
    assert len(after) == 8 + 4
    intact(engine)


def test_pictures_of_others_are_not_overwritten(opened, workspace):
    folder = workspace.root / "frames_sampled"
    (folder / "frame_00003.jpg").write_bytes(b"somebody's")
    for _time in range(2):
        with pytest.raises(ConflictError, match=r"frame_00003\.jpg") as caught:
            sample(opened())
        assert "--output" in caught.value.hint
    assert [path.name for path in folder.glob("*.jpg")] == ["frame_00003.jpg"]


def test_a_run_that_was_cut_off_ends_as_an_undisturbed_one(opened, workspace, monkeypatch):
    engine = opened()
    sample(engine)
    expected = pictures(workspace.root)
    shutil.rmtree(workspace.root / "frames_sampled")
    (workspace.root / "frames_sampled").mkdir()
    for path in (workspace.root / ".dataengine").glob("lineage.db*"):
        path.unlink()
    engine = opened()
    write, written = engine.storage.write_bytes, []

    def cut_off(key: str, data: bytes) -> None:
        if len(written) == 6:
            raise KeyboardInterrupt
        write(key, data)
        written.append(key)

    with monkeypatch.context() as patched:
        patched.setattr(engine.storage, "write_bytes", cut_off)
        with pytest.raises(KeyboardInterrupt):
            sample(engine)
    # The first video is done, of the second one picture waits.
    assert len(pictures(workspace.root)) == 4
    assert any((workspace.root / ".dataengine" / "sampling").iterdir())
    sample(engine)
    assert pictures(workspace.root) == expected
    assert not (workspace.root / ".dataengine" / "sampling").exists()
    intact(engine)


def test_leftovers_of_other_settings_are_no_licence_to_overwrite(opened, workspace, monkeypatch):
    def pull_the_plug(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("data_engine.app.footage.sample.footage.record_sampled", pull_the_plug)
    with pytest.raises(KeyboardInterrupt):
        sample(opened())
    monkeypatch.undo()
    mine = workspace.root / "frames_sampled" / "frame_00001.jpg"
    mine.write_bytes(b"a picture of somebody else")
    with pytest.raises(ConflictError):
        sample(opened(interval=2.0))
    assert mine.read_bytes() == b"a picture of somebody else"


def test_two_that_give_numbers_in_one_folder_take_turns(opened, workspace):
    import threading

    engines = [opened(), opened(interval=2.0)]
    threads = [threading.Thread(target=sample, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engines[0].database.read() as connection:
        frames = footage.sampled_frames(connection)
        files = footage.files_below(connection, "frames_sampled")
    # Two videos of four seconds: eight frames of one sampling, four of the other, each with a number of its own.
    assert len([file for file in files.values() if file.frame_id]) == len(pictures(workspace.root)) == 12
    assert len(frames) == 8
