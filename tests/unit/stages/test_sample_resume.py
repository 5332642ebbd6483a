"""Whatever cuts sampling off, it goes on inside the video and ends with the same files and records."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sampled_videos import SCRATCH, Recorder, add, files, run, write_video

from data_engine.executors.inline import InlineExecutor
from data_engine.stages import sample as stage
from data_engine.stages.sample_settings import SampleSettings
from data_engine.storage.local import LocalStorage
from data_engine.types import Failed, Sampled, Video


class Killed(BaseException):
    """What nothing in the program catches."""


class Mortal(LocalStorage):
    """A storage that is gone before its nth change."""

    def __init__(self, root: Path, lives: int | None = None) -> None:
        super().__init__(root)
        self.changes: list[str] = []
        self._lives = lives

    def _change(self, what: str) -> None:
        if len(self.changes) == self._lives:
            raise Killed(what)
        self.changes.append(what)

    def write_bytes(self, key: str, data: bytes) -> None:
        self._change(f"write {key}")
        super().write_bytes(key, data)

    def link(self, source_key: str, target_key: str) -> None:
        self._change(f"link {target_key}")
        super().link(source_key, target_key)

    def delete(self, key: str) -> None:
        self._change(f"delete {key}")
        super().delete(key)


class Records:
    """What a database would hold: an outcome is recorded when it was handed out, or all together with a budget."""

    def __init__(self, videos: list[Video], settings: SampleSettings) -> None:
        self.outcomes: dict[str, Sampled | Failed] = {}
        self._videos = videos
        self._settings = settings

    def sample(self, storage: LocalStorage) -> Recorder:
        """One attempt, as the application makes it."""
        settings, progress = self._settings, Recorder()
        todo = [video for video in self._videos if video.id not in self.outcomes]
        frames = [kept for outcome in self.outcomes.values() for kept in outcome.frames]
        hashes: dict[str, list[int]] = {}
        for kept in frames:
            hashes.setdefault(kept.frame.camera, []).append(kept.frame.dhash)
        most = settings.limit if settings.most is None else settings.most
        outcomes = stage.sample(
            todo,
            settings,
            storage=storage,
            executor=InlineExecutor(),
            progress=progress,
            output="frames",
            scratch=SCRATCH,
            first_number=1 + len(frames),
            remaining=None if most is None else most - len(frames),
            kept_before=hashes,
        )
        if settings.most is not None:
            self.outcomes.update({outcome.video.id: outcome for outcome in list(outcomes)})
            return progress
        for outcome in outcomes:
            self.outcomes[outcome.video.id] = outcome
        return progress


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Callable[[Path], list[Video]]:
    """Three videos of two cameras; of 130, 70 and 100 seconds, at a frame a second; the third looks like the first."""
    folder = tmp_path_factory.mktemp("films")
    plain = LocalStorage(folder)
    made = [
        add(plain, "in/a/1.mp4", scenes=13, frames_a_scene=10, fps=1),
        add(plain, "in/b/2.mkv", scenes=7, frames_a_scene=10, fps=1, seed=1),
        add(plain, "in/a/3.mp4", scenes=10, frames_a_scene=10, fps=1, size=(192, 144)),
    ]

    def at(root: Path) -> list[Video]:
        shutil.copytree(folder / "in", root / "in")
        return made

    return at


SETTINGS = [
    {},
    {"method": "interval", "interval": 9, "names": "sequential"},
    {"method": "keyframes", "min_gap": 10, "tolerance": 3},
    {"per_video_limit": 4, "names": "sequential"},
    {"budget": "5%", "max_gap": 15},
    {"budget": "9"},
    {"budget": "7", "tolerance": 12, "names": "sequential"},
    {"limit": 16, "tolerance": 3},
    {"limit": 7, "per_video_limit": 4},
]


@pytest.mark.parametrize("given", SETTINGS, ids=lambda given: ",".join(f"{k}={v}" for k, v in given.items()) or "plain")
def test_killed_before_any_change(films, tmp_path, given):
    settings = SampleSettings(**given)
    whole = Mortal(tmp_path / "whole")
    videos = films(whole.root)
    expected = Records(videos, settings)
    expected.sample(whole)
    assert sum(len(outcome.frames) for outcome in expected.outcomes.values()) > 5
    assert settings.most in (None, sum(len(outcome.frames) for outcome in expected.outcomes.values()))
    pictures = files(whole)
    # The first, a middle and the last change of each kind.
    kinds: dict[str, list[int]] = {}
    for number, change in enumerate(whole.changes):
        kinds.setdefault(re.sub(r"[0-9a-f_]{8,}|\d+|/[ab]", "", change), []).append(number)
    steps = sorted({places[n * (len(places) - 1) // 2] for places in kinds.values() for n in range(3)})
    assert any("checkpoint" in change for change in whole.changes)
    assert any("pool" in change for change in whole.changes) == (settings.most is not None)
    for step in steps:
        root = tmp_path / f"killed before {step}"
        films(root)
        records = Records(videos, settings)
        with pytest.raises(Killed):
            records.sample(Mortal(root, step))
        # Once more on the way back.
        again = Mortal(root, step // 2)
        try:
            records.sample(again)
        except Killed:
            records.sample(LocalStorage(root))
        assert records.outcomes == expected.outcomes, f"killed before {whole.changes[step]}"
        assert files(LocalStorage(root)) == pictures, f"killed before {whole.changes[step]}"
        shutil.rmtree(root)


def test_what_was_decoded_before_a_kill_is_not_decoded_again(films, tmp_path):
    storage = Mortal(tmp_path)
    videos = films(tmp_path)[:1]
    settings = SampleSettings()
    run(storage, videos, settings, output="whole")
    last = max(n for n, change in enumerate(storage.changes) if change.startswith("write") and "checkpoint" in change)
    with pytest.raises(Killed):
        run(Mortal(tmp_path, last + 1), videos, settings)
    (outcome,), progress = run(LocalStorage(tmp_path), videos, settings)
    assert (progress.started, progress.done, progress.advanced) == ([("sampling", 130, "frames")], 121, 9)
    assert outcome.decoded == 130
    assert list(files(storage).values()) == list(files(storage, "whole").values())


@pytest.mark.parametrize(
    "harm", ["nothing", "garbage", "half", "another part", "a picture", "other settings", "a video"]
)
def test_a_checkpoint_that_is_not_whole_is_no_checkpoint(films, tmp_path, harm):
    storage = Mortal(tmp_path)
    videos = films(tmp_path)[:1]
    settings = SampleSettings(names="sequential")
    expected, _ = run(storage, videos, settings)
    pictures = files(storage)
    with pytest.raises(Killed):
        run(Mortal(tmp_path, storage.changes.index(f"write {SCRATCH}/{videos[0].id}/result.json")), videos, settings)
    scratch = tmp_path / SCRATCH / videos[0].id
    checkpoint, part = scratch / "checkpoint.npz", scratch / "kept-00001.json"
    data = checkpoint.read_bytes()
    if harm == "garbage":
        checkpoint.write_bytes(b"garbage")
    elif harm == "half":
        checkpoint.write_bytes(data[: len(data) // 2])
    elif harm == "another part":
        part.write_bytes((scratch / "kept-00002.json").read_bytes())
    elif harm == "a picture":
        next(scratch.glob("*.jpg")).unlink()
    elif harm == "other settings":
        settings = SampleSettings(names="sequential", quality=91)
        expected, _ = run(LocalStorage(tmp_path), videos, settings, scratch="elsewhere")
        pictures = files(storage)
    elif harm == "a video":
        # A shorter one in its place, as if nobody had noticed.
        write_video(storage.path(videos[0].key), scenes=5, frames_a_scene=10, fps=1, seed=9)
        expected, _ = run(LocalStorage(tmp_path), videos, settings, scratch="elsewhere")
        pictures = files(storage)
    outcomes, progress = run(LocalStorage(tmp_path), videos, settings)
    assert outcomes == expected
    assert files(storage) == pictures
    assert progress.advanced == {"nothing": 9, "a video": 50}.get(harm, 130)


def test_nothing_is_left_behind(films, tmp_path):
    storage = LocalStorage(tmp_path)
    videos = films(tmp_path)
    for given in ({}, {"names": "sequential"}, {"per_video_limit": 2}):
        run(storage, videos, SampleSettings(**given))
        assert list(storage.list(SCRATCH)) == []


def test_a_budget_stages_at_most_twice_what_it_keeps(films, tmp_path):
    class Watched(LocalStorage):
        most = 0

        def write_bytes(self, key: str, data: bytes) -> None:
            super().write_bytes(key, data)
            self.most = max(self.most, len(list((tmp_path / SCRATCH).rglob("*.jpg"))))

    storage = Watched(tmp_path)
    outcomes, _ = run(storage, films(tmp_path), SampleSettings(budget="3"))
    assert [len(outcome.frames) for outcome in outcomes] != [3, 0, 0]
    assert len(files(storage)) == 3
    # And the candidates of the one video that is being read.
    assert storage.most <= 2 * 3 + 13
