"""``lineage purge``: afterwards nothing of the source is left in any file or row, and the rest is as it was."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from drawn_workspace import Workspace
from test_lineage_commands import add_model
from test_sample_command import film

from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.convert import convert
from data_engine.app.dataset.dataset_certificate import certificate
from data_engine.app.dataset.dataset_checkout import checkout
from data_engine.app.dataset.dataset_revert import revert
from data_engine.app.dataset.dataset_verify import verify
from data_engine.app.footage.embed import embed
from data_engine.app.footage.ingest import ingest
from data_engine.app.footage.sample import sample
from data_engine.app.lineage import lineage_purge, purge_versions
from data_engine.app.lineage.lineage_purge import purge
from data_engine.app.merge.export import export
from data_engine.app.models.models import stored_predictions
from data_engine.app.selection.filter import filter_frames
from data_engine.errors import DamagedInputError, MissingInputError, UsageError
from data_engine.formats.predictions import pack
from data_engine.lineage import datasets, models, tombstones
from data_engine.lineage.tables import metadata
from data_engine.stages.export import dataset_name
from data_engine.types import Detections

SETTINGS = {
    "upload": {"task_size": 3, "job_size": 2, "assignee": ["ann@example.com"]},
    "sample": {"method": "interval", "interval": 2.0},
    "filter": {"budget": 8, "strategy": "diversity"},
    "export": {"valid_fraction": 0.5},
    "convert": {"format": "all"},
}


def sure(_question: str) -> bool:
    return True


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.required)])
def made(workspace, request):
    """A workspace in which three videos of two cameras went round the whole loop, its files linked as they are."""
    more = {}
    if request.param == "postgresql":
        more["database"] = {"url": request.getfixturevalue("new_postgres")()}
    return gone_round(workspace, more)


@pytest.fixture
def engine(workspace, round_once):
    """A copy of the workspace that went round the loop."""
    shutil.copytree(round_once, workspace.root, dirs_exist_ok=True)
    return workspace.open(**SETTINGS)


def gone_round(space: Workspace, more: dict[str, Any]):
    root = space.root
    film(root / "videos_raw" / "gate" / "secret one.mp4", [0, 1, 2])
    film(root / "videos_raw" / "gate" / "other.mp4", [3, 4, 5])
    film(root / "videos_raw" / "yard" / "c.mp4", [6, 7])
    made = space.open(**SETTINGS, **more)
    ingest(made)
    sample(made)
    embed(made)
    filter_frames(made)
    predict(made)
    upload(made)
    space.annotate(made, careless=True)
    export(made)
    for kind in ("all", "voc", "cvat"):
        wanted = made.settings.convert.model_copy(update={"format": kind})
        made.settings = made.settings.model_copy(update={"convert": wanted})
        convert(made)
    checkout(made, "v1", root / "copies")
    add_model(made, "one", latest(made).id)
    (root / "logs").mkdir(exist_ok=True)
    for frame in frames_of(made, "secret one"):
        with (root / "logs" / "sample-2026-01-01.jsonl").open("a") as log:
            log.write(f'{{"message": "kept {frame.key}"}}\n')
    return made


def predict(engine) -> None:
    model = add_model(engine, "proposer", None)
    ids = [frame.id for frame in frames_of(engine)]
    found = [
        Detections(np.array([[1.0 + n, 2.0, 31.0, 32.0]], np.float32), np.array([[0.9, 0.1]], np.float32))
        for n in range(len(ids))
    ]
    key = f".dataengine/predictions/{model.id}/part.npz"
    engine.storage.write_bytes(key, pack(model.id, ids, found))
    engine.storage.write_bytes(".dataengine/predictions/left behind.npz", pack(model.id, ids, found))
    with engine.database.write() as connection:
        models.record_predictions(connection, model.id, ids, key)


def latest(engine):
    with engine.database.read() as connection:
        return datasets.latest(connection)


def frames_of(engine, video: str | None = None):
    from data_engine.lineage import footage

    with engine.database.read() as connection:
        found = sorted(footage.sampled_frames(connection), key=lambda frame: frame.id)
        videos = footage.videos_by_id(connection, {frame.video_id for frame in found})
    return [frame for frame in found if video is None or videos[frame.video_id].name == video]


def words(engine, frames) -> tuple[set[str], set[str]]:
    """What the frames are named by, and what a tombstone may say."""
    names = {word for f in frames for word in (f.name, f.key, dataset_name(f), Path(dataset_name(f)).stem)}
    return names | {"secret one"}, {f.id for f in frames} | {f.video_id for f in frames}


def texts(root: Path) -> dict[str, bytes]:
    """Every file, and every member of every archive; of the database only what its tables hold counts for ids."""
    found = {}
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        found[path.relative_to(root).as_posix()] = data
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in archive.namelist():
                    found[f"{path.relative_to(root)}!{name}"] = archive.read(name)
    return found


def rows(engine) -> dict[str, list[str]]:
    with engine.database.read() as connection:
        return {
            table.name: [repr(tuple(row)) for row in connection.execute(sa.select(table))]
            for table in metadata.sorted_tables
        }


def nothing_left(engine, frames, pictures: list[bytes]) -> None:
    names, ids = words(engine, frames)
    for place, data in texts(engine.root).items():
        assert data not in pictures, place
        for name in names:
            assert name.encode() not in data, (place, name)
        if not place.startswith(".dataengine/lineage.db"):
            for identity in ids:
                assert identity.encode() not in data, (place, identity)
    for table, held in rows(engine).items():
        for row in held:
            assert not [name for name in names if name in row], (table, row)
            if table not in (
                "tombstones",
                "purged",
                "dataset_frames",
                "frames",
                "runs",
                "split_plans",
                "golden_blocks",
            ):
                assert not [identity for identity in ids if identity in row], (table, row)


def test_a_video_is_gone_from_every_file_and_row(made):
    engine = made
    frames, others = frames_of(engine, "secret one"), frames_of(engine, "other") + frames_of(engine, "c")
    pictures = [engine.storage.read_bytes(frame.key) for frame in frames]
    before = latest(engine)
    told = purge(engine, video="secret one", dry_run=True, sure=sure)
    assert told.data["frames"] == len(frames) == 3
    assert verify(engine, pictures=True).data["sound"]
    report = purge(engine, video="secret one", reason="a person asked", actor="dpo", sure=sure)
    assert report.failures == ()
    nothing_left(engine, frames, pictures)
    assert (report.data["frames"], report.data["videos"], report.data["versions"]) == (3, 1, ["v1"])
    assert len(report.data["models"]) == 1
    # The rest is whole, the ids of versions hold, and nothing of it comes back.
    sound = verify(engine, pictures=True)
    assert sound.failures == ()
    assert [certificate(engine, version).failures for version in ("v1", "v2")] == [(), ()]
    assert latest(engine).number == before.number + 1
    assert {frame.id for frame in frames_of(engine)} == {frame.id for frame in others}
    with engine.database.read() as connection:
        (stone,) = tombstones.known(connection)
        held = datasets.frames_of(connection, latest(engine).number)
    assert (stone.kind, stone.state, stone.reason, stone.actor) == ("video", "done", "a person asked", "dpo")
    assert set(held) <= {frame.id for frame in others}
    assert not export(engine).data["new"]
    convert(engine)
    assert revert(engine, "v1").data["new"] is False
    proposer = next(model for model in all_models(engine) if model.dataset_version_id is None)
    seen = stored_predictions(engine, proposer, [frame.id for frame in (*frames, *others)])
    assert set(seen) == {frame.id for frame in others}
    embed(engine)
    with pytest.raises(MissingInputError, match="was purged on 2026"):
        purge(engine, video=stone.target, sure=sure)


def all_models(engine):
    with engine.database.read() as connection:
        return [models.by_id(connection, i) for i in connection.scalars(sa.select(metadata.tables["models"].c.id))]


def test_a_video_that_was_moved_or_copied_goes_as_well(engine):
    known = metadata.tables["videos"].c
    with engine.database.read() as connection:
        recorded = engine.storage.path(connection.scalar(sa.select(known.key).where(known.name == "secret one")))
    data = recorded.read_bytes()
    elsewhere = engine.root / "videos_raw" / "archive"
    elsewhere.mkdir()
    recorded.rename(elsewhere / "m.mp4")
    (elsewhere / "copy.bin").write_bytes(data)
    (elsewhere / "another.bin").write_bytes(data[::-1])  # of the same size
    report = purge(engine, video="secret one", sure=sure)
    assert report.data["files_removed"]["video"] == 2
    assert [path.name for path in sorted(elsewhere.iterdir())] == ["another.bin"]


def test_a_video_that_was_purged_is_not_sampled_again(engine, workspace):
    film_again = workspace.root / "videos_raw" / "gate" / "secret one.mp4"
    data = film_again.read_bytes()
    purge(engine, video="secret one", sure=sure)
    assert not film_again.exists()
    film_again.write_bytes(data)
    report = sample(engine)
    assert report.data["frames_kept"] == 0
    assert ["was purged with video" in failure.reason for failure in report.failures] == [True]
    with pytest.raises(DamagedInputError, match="it does not come back"):
        sample(engine, inputs=[film_again])


def test_a_frame_that_was_purged_is_not_sampled_again(engine, workspace):
    frame, *_rest = frames_of(engine, "secret one")
    picture = engine.storage.read_bytes(frame.key)
    before = {other.id for other in frames_of(engine)}
    purge(engine, frame=frame.id, sure=sure)
    # With other settings the same moment is looked at again.
    engine.settings = engine.settings.model_copy(
        update={"sample": engine.settings.sample.model_copy(update={"interval": 1.0})}
    )
    report = sample(engine)
    assert "2 frames left out: purged before, and not to come back" in report.notes
    assert frame.id not in {other.id for other in frames_of(engine)}
    assert before - {frame.id} <= {other.id for other in frames_of(engine)}
    assert picture not in texts(workspace.root).values()
    # Nor is its picture taken in by itself.
    (workspace.root / "found").mkdir()
    (workspace.root / "found" / "copy.jpg").write_bytes(picture)
    (workspace.root / "found" / "another.jpg").write_bytes(engine.storage.read_bytes(frames_of(engine)[0].key))
    report = filter_frames(engine, input=workspace.root / "found")
    assert ["was purged with frame" in failure.reason for failure in report.failures] == [True]


def test_a_camera_is_gone(engine, workspace):
    frames = frames_of(engine, "secret one") + frames_of(engine, "other")
    pictures = [engine.storage.read_bytes(frame.key) for frame in frames]
    half_done = workspace.root / ".dataengine" / "sampling" / "cut off" / "frame.jpg"
    recording = workspace.root / ".dataengine" / "live" / "gate" / "part.mkv"
    for path in (half_done, recording):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"pixels")
    report = purge(engine, camera="gate", sure=sure)
    assert not half_done.exists()
    assert not recording.exists()
    assert (report.data["frames"], report.data["videos"]) == (6, 2)
    nothing_left(engine, frames, pictures)
    assert verify(engine, pictures=True).data["sound"]
    assert not (workspace.root / "videos_raw" / "gate").exists()


@pytest.mark.parametrize(
    ("place", "when"),
    [
        ("take_out_of_tasks", "before"),
        ("take_out_of_tasks", "after"),
        ("sweep", "after"),
        ("drop_from_newest", "after"),
        ("write_without", "before"),
        ("write_version", "before"),
        ("write_without", "after"),
    ],
)
def test_killed_anywhere_and_run_again_it_ends_the_same(engine, monkeypatch, place, when):
    frames = frames_of(engine, "secret one")
    pictures = [engine.storage.read_bytes(frame.key) for frame in frames]
    module = purge_versions if place == "write_version" else lineage_purge
    step = getattr(module, place)

    def killed(*arguments):
        if when == "after":
            step(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, place, killed)
        with pytest.raises(KeyboardInterrupt):
            purge(engine, video="secret one", sure=sure)
    purge(engine, video="secret one", sure=lambda _question: pytest.fail("it was agreed to"))
    nothing_left(engine, frames, pictures)
    sound = verify(engine, pictures=True)
    assert (sound.failures, sound.notes, latest(engine).number) == ((), (), 2)
    with engine.database.read() as connection:
        assert [stone.state for stone in tombstones.known(connection)] == ["done"]


def test_nothing_is_purged_unasked(engine):
    before = rows(engine)
    assert purge(engine, camera="yard", sure=lambda _question: False).title == "nothing was purged"
    with pytest.raises(UsageError, match="name one of --camera, --video and --frame"):
        purge(engine, camera="yard", video="c", sure=sure)
    with pytest.raises(MissingInputError, match="nothing is recorded of camera"):
        purge(engine, camera="nowhere", sure=sure)
    assert rows(engine) == before


def test_what_lies_elsewhere_is_told(engine, workspace, tmp_path):
    outside = film(tmp_path / "elsewhere" / "d.mp4", [11, 12])
    sample(engine, inputs=[outside])
    report = purge(engine, video="d", sure=sure)
    assert outside.exists()
    assert [note for note in report.notes if str(outside) in note]
    outside.with_name("e.mp4").write_bytes(film(tmp_path / "elsewhere" / "e.mp4", [13, 14]).read_bytes())
    sample(engine, inputs=[outside.with_name("e.mp4")])
    purge(engine, video="e", originals=True, sure=sure)
    assert not outside.with_name("e.mp4").exists()
