"""Picture files become frames by their content, whatever they are called and wherever they lie."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from data_engine.app.footage import pictures
from data_engine.app.footage.pictures import frames_in
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import footage
from data_engine.media import images
from data_engine.types import ID_LENGTH

HINT = "run first: dataengine sample"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose bytes were read for their hash."""
    read: list[str] = []
    real = images.sha256_of

    def counted(path: Path, *, name: str | None = None) -> str:
        read.append(path.name)
        return real(path, name=name)

    monkeypatch.setattr(images, "sha256_of", counted)
    return read


def counts(engine) -> tuple[int, int]:
    """Frames and files on record."""
    import sqlalchemy as sa

    from data_engine.lineage.tables import files, frames

    with engine.database.read() as connection:
        return tuple(connection.scalar(sa.select(sa.func.count()).select_from(t)) for t in (frames, files))


def test_a_picture_is_known_by_its_bytes(workspace):
    engine = workspace.open()
    folder = workspace.draw("in", range(3))
    frames, failed = frames_in(engine, folder, hint=HINT)
    assert not failed
    assert [frame.name for frame in frames] == ["pa.jpg", "pb.jpg", "pc.jpg"]
    for frame in frames:
        assert frame.id == images.sha256_of(workspace.root / frame.key)[:ID_LENGTH]
        assert (frame.key, frame.width, frame.height) == (f"in/{frame.name}", 64, 48)
        assert (frame.video_id, frame.pts, frame.time_s) == (None, None, None)
        assert frame.dhash is not None


def test_unchanged_files_are_not_read_again(workspace, reads):
    folder = workspace.draw("in", range(5))
    first, _ = frames_in(workspace.open(), folder, hint=HINT)
    assert sorted(reads) == ["pa.jpg", "pb.jpg", "pc.jpg", "pd.jpg", "pe.jpg"]
    reads.clear()
    again, _ = frames_in(workspace.open(), folder, hint=HINT)
    assert (again, reads) == (first, [])
    # One more and one touched: only these are read, and a touched one is still the same frame.
    workspace.draw("in", [7])
    os.utime(folder / "pb.jpg", ns=(1, 1))
    more, _ = frames_in(workspace.open(), folder, hint=HINT)
    assert sorted(reads) == ["pb.jpg", "ph.jpg"]
    assert [frame.id for frame in more[:5]] == [frame.id for frame in first]
    reads.clear()
    frames_in(workspace.open(), folder, hint=HINT)
    assert reads == []


def test_a_changed_file_is_another_frame(workspace):
    engine = workspace.open()
    folder = workspace.draw("in", [0, 1])
    before, _ = frames_in(engine, folder, hint=HINT)
    shutil.copyfile(workspace.draw("other", [5]) / "pf.jpg", folder / "pa.jpg")
    after, _ = frames_in(engine, folder, hint=HINT)
    assert after[1] == before[1]
    assert after[0].id != before[0].id
    # The frame that was there is still on record: people may have annotated it.
    with engine.database.read() as connection:
        assert footage.frames_by_id(connection, [before[0].id])[before[0].id] == before[0]


def test_copies_are_one_frame(workspace):
    engine = workspace.open()
    one, two = workspace.draw("one", [0, 1]), workspace.draw("two", [1, 2])
    shutil.copyfile(one / "pa.jpg", one / "zz.jpg")
    first, _ = frames_in(engine, one, hint=HINT)
    assert [frame.name for frame in first] == ["pa.jpg", "pb.jpg"]
    second, _ = frames_in(engine, two, hint=HINT)
    # The picture in both folders keeps its first place.
    assert [frame.key for frame in second] == ["one/pb.jpg", "two/pc.jpg"]
    assert counts(engine) == (3, 5)
    both, _ = frames_in(engine, workspace.root, hint=HINT)
    assert len({frame.id for frame in both}) == len(both) == 3


def test_the_same_name_in_two_folders_is_two_frames(workspace):
    engine = workspace.open()
    workspace.draw("in/cam1", [0])
    shutil.move(workspace.draw("in/cam2", [1]) / "pb.jpg", workspace.root / "in/cam2/pa.jpg")
    frames, _ = frames_in(engine, workspace.root / "in", hint=HINT)
    assert [(frame.name, frame.camera) for frame in frames] == [("pa.jpg", "cam1"), ("pa.jpg", "cam2")]
    assert frames[0].id != frames[1].id


def test_a_moved_file_is_the_same_frame_at_its_new_place(workspace):
    engine = workspace.open()
    folder = workspace.draw("in", range(3))
    before, _ = frames_in(engine, folder, hint=HINT)
    (workspace.root / "new").mkdir()
    for path in list(folder.iterdir()):
        path.rename(workspace.root / "new" / f"x-{path.name}")
    after, failed = frames_in(engine, workspace.root / "new", hint=HINT)
    assert not failed
    assert [frame.id for frame in after] == [frame.id for frame in before]
    # Its name is what tasks and datasets may hold already; where it is read from is what moved.
    assert [frame.name for frame in after] == [frame.name for frame in before]
    assert [frame.key for frame in after] == ["new/x-pa.jpg", "new/x-pb.jpg", "new/x-pc.jpg"]
    assert counts(engine)[0] == 3


def test_a_list_that_still_names_the_old_place_reports_it(workspace):
    engine = workspace.open()
    folder = workspace.draw("in", [0, 1])
    (workspace.root / "list.txt").write_text("in/pb.jpg\nin/pa.jpg\n")
    frames, _ = frames_in(engine, workspace.root / "list.txt", hint=HINT)
    assert [frame.name for frame in frames] == ["pb.jpg", "pa.jpg"]
    (folder / "pb.jpg").unlink()
    frames, failed = frames_in(engine, workspace.root / "list.txt", hint=HINT)
    assert [frame.name for frame in frames] == ["pa.jpg"]
    assert [(f.input_id, f.reason) for f in failed] == [("in/pb.jpg", "the file is not there")]
    # Looking for it elsewhere leaves no trace.
    assert not (workspace.root / ".dataengine/mounts.json").exists()


def test_a_list_may_name_the_pictures_of_the_current_folder(workspace, tmp_path, monkeypatch):
    engine = workspace.open()
    workspace.draw("../here", [0, 1])
    monkeypatch.chdir(tmp_path / "here")
    (workspace.root / "list.txt").write_text("pb.jpg\n")
    frames, failed = frames_in(engine, workspace.root / "list.txt", hint=HINT)
    assert ([frame.name for frame in frames], failed) == (["pb.jpg"], [])


def test_a_folder_outside_the_workspace_is_a_mount(workspace, tmp_path, reads):
    engine = workspace.open()
    workspace.draw("../elsewhere/cam", [0, 1])
    outside = tmp_path / "elsewhere"
    frames, _ = frames_in(engine, outside, hint=HINT)
    assert all(frame.key.startswith("@elsewhere-") for frame in frames)
    assert all(str(tmp_path) not in frame.key for frame in frames)
    assert {frame.camera for frame in frames} == {"cam"}
    assert engine.storage.path(frames[0].key) == outside / "cam/pa.jpg"
    # Another process finds them by the same keys, without reading them again.
    reads.clear()
    again, _ = frames_in(workspace.open(), outside, hint=HINT)
    assert (again, reads) == (frames, [])


def test_what_is_no_picture_is_named_and_the_rest_goes_on(workspace):
    engine = workspace.open()
    folder = workspace.draw("in", [0, 1])
    (folder / "broken.jpg").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture by its name")
    frames, failed = frames_in(engine, folder, hint=HINT)
    assert [frame.name for frame in frames] == ["pa.jpg", "pb.jpg"]
    assert [failure.input_id for failure in failed] == ["in/broken.jpg", "in/empty.png"]
    assert all("is not a picture that can be decoded" in failure.reason for failure in failed)
    assert counts(engine) == (2, 2)


def test_a_picture_that_cannot_be_read_is_named_and_the_rest_goes_on(workspace, monkeypatch):
    engine = workspace.open()
    folder = workspace.draw("in", range(3))
    real = images.sha256_of

    def refused(path: Path, *, name: str | None = None) -> str:
        # As for a file that may not be read, which root can read all the same.
        if path.name == "pb.jpg":
            raise DamagedInputError(f"{name} cannot be read: permission denied")
        return real(path, name=name)

    monkeypatch.setattr(images, "sha256_of", refused)
    frames, failed = frames_in(engine, folder, hint=HINT)
    assert [frame.name for frame in frames] == ["pa.jpg", "pc.jpg"]
    assert [(f.input_id, f.reason) for f in failed] == [("in/pb.jpg", "in/pb.jpg cannot be read: permission denied")]


def test_a_list_that_names_what_is_no_file(workspace):
    engine = workspace.open()
    workspace.draw("in", [0])
    os.mkfifo(workspace.root / "in/pipe.jpg")
    (workspace.root / "list.txt").write_text("in\nin/pipe.jpg\nin/pa.jpg\n")
    frames, failed = frames_in(engine, workspace.root / "list.txt", hint=HINT)
    assert [frame.name for frame in frames] == ["pa.jpg"]
    assert [(f.input_id, f.reason) for f in failed] == [("in", "it is a folder"), ("in/pipe.jpg", "it is not a file")]


def test_more_pictures_than_one_transaction_takes(workspace, monkeypatch):
    monkeypatch.setattr(pictures, "_COMMIT_EVERY", 3)
    engine = workspace.open()
    folder = workspace.draw("in", range(8))
    # A copy in another batch than its original is still one frame.
    shutil.copyfile(folder / "pa.jpg", folder / "zz.jpg")
    frames, _ = frames_in(engine, folder, hint=HINT)
    assert len(frames) == 8
    assert counts(engine) == (8, 9)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda root: root / "gone", "gone is not there"),
        (lambda root: root / "videos_raw", "there is no picture in"),
        (lambda root: _written(root / "list.txt", "# nothing\n\n"), "list.txt lists no frame"),
    ],
)
def test_what_a_wrong_path_is_told(make, text, workspace):
    with pytest.raises(MissingInputError, match=text) as caught:
        frames_in(workspace.open(), make(workspace.root), hint=HINT)
    assert caught.value.hint == HINT


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
