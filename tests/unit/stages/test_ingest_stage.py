"""What is found out about a file, in whichever process, and what is not found out again."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from drawn_videos import write_sequence, write_video
from pydantic import ValidationError

from data_engine.embedders.local import LocalEmbedder
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.executors.inline import InlineExecutor
from data_engine.executors.processes import ProcessExecutor
from data_engine.media.signatures import Signature, phash_method
from data_engine.stages import ingest as stage
from data_engine.stages.ingest import Ingested, IngestSettings, Source, ingest_one, near_duplicates, stamp_of
from data_engine.storage.local import LocalStorage
from data_engine.types import Failed, Video


class Recorder:
    """A Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        self.told.append((label, total, unit))

    def advance(self, amount: int = 1) -> None:
        self.told.append(amount)

    def note(self, text: str) -> None:
        self.told.append(text)

    def finish(self) -> None:
        self.told.append("finished")


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def source(storage: LocalStorage, key: str, **more: object) -> Source:
    sequence = storage.path(key).is_dir()
    return Source(key, stamp_of(storage, key, sequence=sequence), "cam", sequence, **more)


def read(storage: LocalStorage, key: str, settings: IngestSettings | None = None, **more: object) -> Ingested:
    return ingest_one(source(storage, key, **more), settings or IngestSettings(), storage)


def test_settings_have_bounds():
    for wrong in (
        {"phash_size": 1},
        {"phash_size": 33},
        {"num_frames_dedup": 1},
        {"sequence_rate": 0},
        {"pattern": ""},
    ):
        with pytest.raises(ValidationError):
            IngestSettings(**wrong)


def test_workers_do_not_count_as_a_setting():
    assert IngestSettings(workers=1).fingerprint() == IngestSettings(workers=7).fingerprint()
    assert IngestSettings().fingerprint() != IngestSettings(crop=False).fingerprint()


def test_a_rate_is_what_was_typed():
    assert IngestSettings(sequence_rate=29.97).rate == Fraction(2997, 100)


def test_what_signatures_are_kept_under():
    assert IngestSettings().signature_method("") == phash_method(8, 5)
    assert IngestSettings(dedup_method="none").signature_method("local") is None
    # A new threshold needs no new signatures.
    assert IngestSettings(phash_threshold=9).signature_method("") == phash_method(8, 5)
    methods = {
        IngestSettings(**given).signature_method(name)
        for given, name in (
            ({}, ""),
            ({"phash_size": 16}, ""),
            ({"num_frames_dedup": 6}, ""),
            ({"dedup_method": "embedding"}, "local"),
            ({"dedup_method": "embedding"}, "other"),
        )
    }
    assert len(methods) == 5


def test_a_file_is_described(storage, tmp_path):
    write_video(tmp_path / "v/gate 2026-11-20 08-00-00.mp4")
    found = read(storage, "v/gate 2026-11-20 08-00-00.mp4")
    assert (found.video.key, found.video.camera) == ("v/gate 2026-11-20 08-00-00.mp4", "cam")
    assert (found.video.width, found.video.height, found.video.pixel_format) == (160, 120, "yuv420p")
    assert (found.video.captured_at, found.video.audio, found.video.crop) == ("2026-11-20T08:00:00", False, None)
    signature = Signature.from_bytes(found.signature)
    assert signature.hashes.shape[0] == 5
    assert signature.duration_s == pytest.approx(4.0)


def test_borders_are_found_unless_they_are_not_wanted(storage, tmp_path):
    write_video(tmp_path / "boxed.mp4", borders=(0, 20))
    assert read(storage, "boxed.mp4").video.crop == (0, 20, 160, 120)
    whole = read(storage, "boxed.mp4", IngestSettings(crop=False))
    assert whole.video.crop is None
    # What videos are compared by is the picture inside the borders.
    assert whole.signature != read(storage, "boxed.mp4").signature


@pytest.mark.parametrize("method", ["phash", "embedding"])
def test_all_executors_find_the_same(storage, tmp_path, method):
    for seed in range(3):
        write_video(tmp_path / f"{seed}.mp4", seed)
    (tmp_path / "bad.mp4").write_text("no video")
    write_sequence(tmp_path / "pictures")
    keys = ["0.mp4", "bad.mp4", "pictures", "1.mp4", "2.mp4"]
    sources = [*(source(storage, key) for key in keys), Source("gone.mp4", "1-1", "cam")]
    settings = IngestSettings(dedup_method=method)
    found = []
    for executor in (InlineExecutor(), ProcessExecutor(2)):
        progress = Recorder()
        outcomes = stage.ingest(
            sources, settings, storage=storage, executor=executor, progress=progress, embedder=LocalEmbedder()
        )
        found.append(list(outcomes))
        assert progress.told == [("reading videos", 6, "videos"), *[1] * 6, "finished"]
    assert found[0] == found[1]
    described = [o.reason if isinstance(o, Failed) else o.video.key for o in found[0]]
    assert described == [
        "0.mp4",
        "bad.mp4 is not a video: its content is of no known video format",
        "pictures",
        "1.mp4",
        "2.mp4",
        "gone.mp4 is not there",
    ]
    assert all(outcome.signature for outcome in found[0] if isinstance(outcome, Ingested))


class OwnEmbedder(LocalEmbedder):
    """One that no other process could be given, as a model on a graphics card is."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.processes: list[int] = []

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        with self.lock:
            self.processes.append(os.getpid())
        return super().embed(images)


def test_the_embedder_stays_in_this_process(storage, tmp_path):
    for seed in range(2):
        write_video(tmp_path / f"{seed}.mp4", seed)
    embedder = OwnEmbedder()
    outcomes = stage.ingest(
        [source(storage, f"{seed}.mp4") for seed in range(2)],
        IngestSettings(dedup_method="embedding", num_frames_dedup=3),
        storage=storage,
        executor=ProcessExecutor(2),
        progress=Recorder(),
        embedder=embedder,
    )
    shapes = [Signature.from_bytes(outcome.signature).vectors.shape for outcome in outcomes]
    assert shapes == [(3, LocalEmbedder.dimension)] * 2
    assert embedder.processes == [os.getpid()] * 2


def test_one_file_that_is_bad_raises(storage, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"")
    with pytest.raises(DamagedInputError, match="is empty"):
        read(storage, "bad.mp4")
    with pytest.raises(MissingInputError, match=r"gone\.mp4 is not there"):
        ingest_one(Source("gone.mp4", "1-1", "cam"), IngestSettings(), storage)


def test_a_file_that_grows_is_refused(storage, tmp_path):
    write_video(tmp_path / "a.mp4")
    before = replace(source(storage, "a.mp4"), stamp="1-1")
    with pytest.raises(DamagedInputError, match=r"a\.mp4 changed while it was read"):
        ingest_one(before, IngestSettings(), storage)


# --- what is known already --------------------------------------------------------------------------------------------


def unlike_the_file(video: Video) -> Video:
    """Whoever opened the file would find something else."""
    return replace(video, codec="known", size_bytes=1)


def test_what_is_known_is_not_found_out_again(storage, tmp_path):
    write_video(tmp_path / "a.mp4", borders=(16, 0))
    whole = read(storage, "a.mp4")
    known = unlike_the_file(whole.video)
    again = read(storage, "a.mp4", known=known, searched=True, signed=False)
    assert (again.video, again.signature) == (known, whole.signature)
    assert read(storage, "a.mp4", known=known, searched=True, signed=True).signature is None


def test_borders_are_looked_for_later_and_forgotten_again(storage, tmp_path):
    write_video(tmp_path / "a.mp4", borders=(16, 0))
    without = read(storage, "a.mp4", IngestSettings(crop=False))
    known = unlike_the_file(without.video)
    searched = read(storage, "a.mp4", known=known, searched=False, signed=True)
    assert searched.video == replace(known, crop=(16, 0, 160, 120))
    # The picture that is compared is another one now.
    assert searched.signature not in (None, without.signature)
    forgotten = read(storage, "a.mp4", IngestSettings(crop=False), known=searched.video, searched=True, signed=True)
    assert (forgotten.video, forgotten.signature) == (known, without.signature)


def test_looking_for_borders_in_vain_needs_no_new_signature(storage, tmp_path):
    write_video(tmp_path / "a.mp4")
    video = read(storage, "a.mp4", IngestSettings(crop=False)).video
    assert read(storage, "a.mp4", known=video, searched=False, signed=True).signature is None


# --- folders of pictures ----------------------------------------------------------------------------------------------


def test_a_folder_of_pictures_is_described_as_a_video(storage, tmp_path):
    write_sequence(tmp_path / "v/run 2026-11-20", count=20)
    found = read(storage, "v/run 2026-11-20", IngestSettings(sequence_rate=12.5))
    video = found.video
    assert (video.key, video.name, video.codec) == ("v/run 2026-11-20", "run 2026-11-20", "image sequence")
    assert (video.frame_rate, video.duration_s) == (Fraction(25, 2), 1.6)
    assert (video.width, video.height, video.audio, video.variable_rate) == (160, 120, False, False)
    assert video.size_bytes == sum(path.stat().st_size for path in (tmp_path / "v/run 2026-11-20").iterdir())
    assert Signature.from_bytes(found.signature).duration_s == 1.6
    # Its identity is that of its pictures.
    (tmp_path / "v/run 2026-11-20").rename(tmp_path / "moved")
    (tmp_path / "moved/notes.txt").write_text("x")
    moved = read(storage, "moved", IngestSettings(sequence_rate=12.5)).video
    assert moved.id == video.id
    (tmp_path / "moved/img_0007.png").write_bytes((tmp_path / "moved/img_0008.png").read_bytes())
    assert read(storage, "moved", IngestSettings(sequence_rate=12.5)).video.id != video.id


def test_borders_of_a_folder_of_pictures(storage, tmp_path):
    import cv2

    folder = write_sequence(tmp_path / "pictures")
    for path in folder.iterdir():
        bordered = cv2.copyMakeBorder(cv2.imread(str(path)), 18, 18, 0, 0, cv2.BORDER_CONSTANT)
        cv2.imwrite(str(path), bordered)
    assert read(storage, "pictures").video.crop == (0, 18, 160, 120)


@pytest.mark.parametrize("folder", ["pictures", "."])
def test_the_stamp_of_a_folder_is_that_of_its_pictures(tmp_path, folder):
    write_sequence(tmp_path / "pictures", count=3)
    storage = LocalStorage(tmp_path if folder == "pictures" else tmp_path / "pictures")
    pictures = tmp_path / "pictures"

    def stamp() -> str:
        return stamp_of(storage, folder, sequence=True)

    before = stamp()
    (pictures / "notes.txt").write_text("x")
    write_sequence(pictures / "below", seed=2, count=3)
    assert stamp() == before
    (pictures / "img_0003.png").write_bytes(b"one more")
    more = stamp()
    os.utime(pictures / "img_0001.png", ns=(1, 1))
    assert len({before, more, stamp()}) == 3


# --- near-duplicates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["phash", "embedding"])
def test_the_same_recording_in_another_form_is_found(storage, tmp_path, method):
    settings = IngestSettings(dedup_method=method)
    write_video(tmp_path / "good.mp4", 1, size=(320, 240))
    write_video(tmp_path / "small.avi", 1, size=(160, 120))
    write_video(tmp_path / "boxed.mkv", 1, size=(160, 120), borders=(0, 24))
    write_video(tmp_path / "other.mp4", 2, size=(320, 240))
    sources = [source(storage, key) for key in ("good.mp4", "small.avi", "boxed.mkv", "other.mp4")]
    outcomes = stage.ingest(
        sources, settings, storage=storage, executor=InlineExecutor(), progress=Recorder(), embedder=LocalEmbedder()
    )
    found = {outcome.video.key: outcome for outcome in outcomes}
    videos = [outcome.video for outcome in found.values()]
    signatures = {outcome.video.id: outcome.signature for outcome in found.values()}
    duplicates = near_duplicates(videos, signatures, settings)
    assert {one.video_id: one.original_id for one in duplicates} == {
        found["small.avi"].video.id: found["good.mp4"].video.id,
        found["boxed.mkv"].video.id: found["good.mp4"].video.id,
    }
    for order in itertools.permutations(videos):
        assert near_duplicates(order, signatures, settings) == duplicates
    # One that could not be looked into is like no other.
    signatures[found["small.avi"].video.id] = b""
    del signatures[found["other.mp4"].video.id]
    assert [one.video_id for one in near_duplicates(videos, signatures, settings)] == [found["boxed.mkv"].video.id]
    assert near_duplicates([], {}, settings) == []


def test_a_threshold_of_nothing_finds_nothing(storage, tmp_path):
    write_video(tmp_path / "a.mp4", 1, size=(320, 240))
    write_video(tmp_path / "b.avi", 1, size=(80, 60))
    found = [read(storage, key) for key in ("a.mp4", "b.avi")]
    signatures = {one.video.id: one.signature for one in found}
    videos = [one.video for one in found]
    (alike,) = near_duplicates(videos, signatures, IngestSettings())
    assert alike.distance > 0
    below = IngestSettings(phash_threshold=alike.distance / 2)
    assert near_duplicates(videos, signatures, below) == []
