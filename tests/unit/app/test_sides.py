"""No side leaks into another: in whatever order and portions frames come, as copies, cuts and stills of one another."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_engine.app.dataset.certificate_counts import counts
from data_engine.app.dataset.golden_blocks import Blocks
from data_engine.app.dataset.sides import sides_of
from data_engine.lineage import datasets, footage, migrate, reverting, split_sources
from data_engine.lineage.database import Database
from data_engine.lineage.datasets import DatasetFrame
from data_engine.lineage.tables import jobs, runs, split_plans, tasks
from data_engine.selection.golden import Block, Wanted, choose
from data_engine.selection.near_index import NEAR
from data_engine.selection.splits import moment, place
from data_engine.stages.export import ExportSettings
from data_engine.types import DatasetVersion, Frame, Video, content_id

NOW = "2026-01-01T00:00:00+00:00"
SETTINGS = ExportSettings(block=10.0, guard=1.0)
STEPS = 2
"""Frames a second."""


class _UndoneError(Exception):
    pass


@pytest.fixture
def embedded(tmp_path):
    made = Database(f"sqlite:///{tmp_path / 'lineage.db'}")
    migrate.ensure(made)
    yield made
    made.close()


@contextlib.contextmanager
def undone(database: Database):
    """A transaction of which nothing stays."""
    with contextlib.suppress(_UndoneError), database.write() as connection:
        connection.execute(sa.insert(runs), [run_row()])
        row = {"id": "t", "backend": "b", "number": 1, "name": "t", "plan": {}, "run_id": "r", "frames_at": None}
        connection.execute(sa.insert(tasks), [row])
        job = {"id": "j", "backend": "b", "number": 1, "task_id": "t", "stage": "acceptance", "state": "completed"}
        connection.execute(sa.insert(jobs), [{**job, "updated_at": NOW}])
        yield connection
        raise _UndoneError


def run_row() -> dict[str, object]:
    return {
        "id": "r",
        "stage": "export",
        "fingerprint": "f",
        "settings": {},
        "code_version": "0",
        "state": "done",
        "attempts": 1,
        "started_at": NOW,
    }


@dataclass
class Clip:
    """A video of a scene, from a moment of it on."""

    scene: int
    begin: float
    seconds: float
    camera: str
    static: bool
    captured_at: str | None = None

    def look(self, time: float) -> int:
        at = round((self.begin + time) * STEPS)
        # A static camera shows a few looks again and again, in no order.
        seen = int(content_id("order", self.scene, at), 16) % 5 if self.static else at
        return int(content_id("look", self.scene, seen)[:16], 16)

    def frames(self, number: int) -> list[Frame]:
        video = content_id("video", number)
        found = []
        for step in range(int(self.seconds * STEPS)):
            turned = 1 << (step * 7 + number) % 64 if (step + number) % 3 == 0 else 0
            look = self.look(step / STEPS) ^ turned
            name = f"v{number}_{step:06d}_x.jpg"
            ids = content_id("frame", number, step), name, name, 64, 48, self.camera
            found.append(Frame(*ids, video, step, Fraction(1, STEPS), look))
        return found

    def video(self, number: int) -> Video:
        ids = content_id("video", number), f"v{number}.mp4", f"v{number}", self.camera
        return Video(*ids, 1, 64, 48, "h264", Fraction(STEPS), self.seconds, captured_at=self.captured_at)


def stills(frames: list[Frame], rng: np.random.Generator, count: int) -> list[Frame]:
    """Pictures without a place in time, each taken from a frame."""
    found = []
    for number, row in enumerate(rng.integers(0, len(frames), count)):
        look = frames[row].dhash ^ sum(1 << int(bit) for bit in rng.choice(64, rng.integers(0, 4), replace=False))
        identity = content_id("still", number, int(row), look)
        found.append(Frame(identity, f"still {'abcdefghij'[number % 10]}.jpg", identity, 64, 48, "stills", dhash=look))
    return found


class Dataset:
    """A dataset that grows version by version, as ``export`` lets it."""

    def __init__(self, connection, clips: list[Clip], lone: int, seed: int) -> None:
        self.connection, self.number, self.known = connection, 0, {}
        rng = np.random.default_rng(seed)
        footage.add_videos(connection, [clip.video(number) for number, clip in enumerate(clips)])
        self.frames = [frame for number, clip in enumerate(clips) for frame in clip.frames(number)]
        self.frames += stills(self.frames, rng, lone)
        footage.add_frames(connection, self.frames)

    def add(self, frames: list[Frame]) -> None:
        sides = sides_of(self.connection, {frame.id: [1] for frame in frames}, SETTINGS)
        self.number += 1
        rows = [DatasetFrame(frame.id, "j", "c", sides[frame.id]) for frame in frames]
        datasets.replace_frames(self.connection, self.number, rows, {})
        assert all(self.known.get(frame, side) == side for frame, side in sides.items())
        self.known |= sides
        self._version()

    def turn_golden(self, share: float) -> None:
        blocks = Blocks(self.connection, self.number)
        wanted = Wanted(round(share * blocks.frames), {})
        chosen = choose(blocks.may_be_chosen(), wanted, blocks.held(), spare=blocks.on("valid") // 2)
        turned = blocks.turned(block.key for block in chosen)
        assert {(self.known[frame], side) for frame, side in turned.items()} <= {
            ("valid", "golden"),
            ("train", "golden"),
            ("train", "guard"),
        }
        self.number += 1
        reverting.restore(self.connection, self.number - 1, self.number, turned, [])
        split_sources.add_golden(self.connection, [block.key for block in chosen], self.number)
        self.known |= turned
        self._version()

    def _version(self) -> None:
        self.version = DatasetVersion(str(self.number), self.number, None, len(self.known), 0, f"v{self.number}.json")

    def near_duplicates(self) -> list[tuple[str, str]]:
        """By comparing everything: pairs across sides, of sources on no common axis, whose looks both tell anything."""
        rows = [frame for frame in self.frames if frame.id in self.known]
        axes = split_sources.shared_axes(self.connection)
        places = [place(frame) for frame in rows]
        axis = np.array([axes.get(source, source) for source, _position in places])
        source = np.array([source for source, _position in places])
        at = np.array([position for _source, position in places])
        apart = np.array([moment(name) for name in source])
        hashes = np.array([frame.dhash for frame in rows], np.uint64)
        near = np.bitwise_count(hashes[:, None] ^ hashes[None, :]) <= NEAR
        elsewhere = np.abs(at[:, None] - at[None, :]) > apart[:, None]
        again = (near & (source[:, None] == source[None, :]) & elsewhere).any(axis=1)
        side = np.array([self.known[frame.id] for frame in rows])
        wrong = near & (axis[:, None] != axis[None, :]) & ~again[:, None] & ~again[None, :]
        wrong &= (side == "train")[:, None] & np.isin(side, ["valid", "golden"])[None, :]
        return [(rows[one].name, rows[other].name) for one, other in np.argwhere(wrong)]

    def nearest(self) -> float:
        """The smallest distance of a training frame and a judged one of one video, in guards."""
        plans = datasets.plans(self.connection, {place(frame)[0] for frame in self.frames})
        found = [9.0]
        for source, plan in plans.items():
            here = [
                (place(f)[1], self.known[f.id]) for f in self.frames if f.id in self.known and place(f)[0] == source
            ]
            judged = [position for position, side in here if side in ("valid", "golden")]
            found += [abs(position - q) / plan.guard for position, s in here if s == "train" for q in judged]
        return min(found)


clips = st.builds(
    Clip,
    scene=st.integers(0, 2),
    begin=st.sampled_from([0.0, 7.5, 21.0]),
    seconds=st.sampled_from([6.0, 30.0, 45.0]),
    camera=st.sampled_from(["hall", "gate"]),
    static=st.booleans(),
    captured_at=st.sampled_from([None, None, "2026-01-01T10:00:00+00:00", "2026-01-01T10:00:40+00:00"]),
)


@given(st.data(), st.lists(clips, min_size=1, max_size=4), st.integers(0, 12), st.integers(0, 99))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_growing_dataset_never_leaks_and_no_frame_changes_sides(embedded, data, videos, lone, seed):
    with undone(embedded) as connection:
        dataset = Dataset(connection, videos, lone, seed)
        left = data.draw(st.permutations(dataset.frames))
        while left:
            some = data.draw(st.integers(1, 120))
            batch, left = left[:some], left[some:]
            # Frames that are there already come again, as with another job of theirs.
            again = [frame for frame in dataset.frames if frame.id in dataset.known][:3]
            dataset.add([*batch, *again])
            if data.draw(st.integers(0, 3)) == 0:
                dataset.turn_golden(data.draw(st.sampled_from([0.05, 0.3])))
            assert dataset.near_duplicates() == []
            assert dataset.nearest() >= 1 - 1e-9
        said = counts(connection, dataset.version)
        assert (said["near_duplicates"]["across_sides"], said["time"]["training_frames_too_near"]) == (0, 0)
        assert said["frames_that_changed_sides"] == 0
        frames = {side: said["sides"][side]["frames"] for side in said["sides"]}
        assert frames == {side: list(dataset.known.values()).count(side) for side in frames}


def grown(connection, clips: list[Clip], lone: int = 0) -> Dataset:
    """All frames of one clip after the other, then the stills."""
    dataset = Dataset(connection, clips, lone, 1)
    for number in range(len(clips)):
        dataset.add([frame for frame in dataset.frames if frame.video_id == content_id("video", number)])
    if lone:
        dataset.add([frame for frame in dataset.frames if frame.video_id is None])
    return dataset


def by_moment(dataset: Dataset, clips: list[Clip]) -> list[dict[float, str]]:
    """The sides of each clip's frames, by the moment of the scene."""
    return [
        {clip.begin + step / STEPS: dataset.known[frame.id] for step, frame in enumerate(clip.frames(number))}
        for number, clip in enumerate(clips)
    ]


def test_a_cut_under_another_name_has_the_sides_of_what_it_was_cut_from(database):
    with undone(database) as connection:
        two = [Clip(0, 0.0, 60.0, "hall", False), Clip(0, 13.0, 40.0, "copies", False)]
        whole, cut = by_moment(grown(connection, two), two)
        assert {"train", "valid"} <= set(cut.values())
        assert cut.items() <= whole.items()
        row = connection.execute(sa.select(split_plans).where(split_plans.c.shares.is_not(None))).one()
        assert (row.source, row.shift) == (f"video:{content_id('video', 1)}", pytest.approx(13.0))


def test_recordings_that_follow_one_another_are_cut_as_one(embedded):
    with undone(embedded) as connection:
        # No look in common, but their clocks say it.
        two = [
            Clip(0, 0.0, 57.0, "hall", False, "2026-01-01T10:00:00+00:00"),
            Clip(1, 57.0, 57.0, "hall", False, "2026-01-01T10:00:57+00:00"),
        ]
        first, second = by_moment(grown(connection, two), two)
        train = [at for part in (first, second) for at, side in part.items() if side == "train"]
        valid = [at for part in (first, second) for at, side in part.items() if side == "valid"]
        assert min(abs(one - other) for one in train for other in valid) >= SETTINGS.guard


def test_other_days_of_a_static_camera_keep_their_frames(embedded):
    with undone(embedded) as connection:
        days = [Clip(0, 1000.0 * day, 45.0, f"camera {day}", True) for day in range(4)]
        sides = [side for day in by_moment(grown(connection, days), days) for side in day.values()]
        # Its looks recur: nothing says that they are copies of one another, and the guard is that of time alone.
        assert sides.count("guard") < 0.1 * len(sides)
        assert {"train", "valid"} <= set(sides)


def test_stills_of_a_video_follow_their_moments(embedded):
    with undone(embedded) as connection:
        dataset = grown(connection, [Clip(0, 0.0, 60.0, "hall", False)], lone=40)
        lone = [frame for frame in dataset.frames if frame.video_id is None]
        assert {dataset.known[frame.id] for frame in lone} >= {"train", "valid"}
        for still in lone:
            like = {
                dataset.known[frame.id]
                for frame in dataset.frames
                if frame.video_id is not None and (frame.dhash ^ still.dhash).bit_count() <= NEAR
            }
            assert not like or dataset.known[still.id] in like | {"guard"}
        assert dataset.near_duplicates() == []


def test_a_rare_class_reaches_both_sides_where_the_blocks_allow_it(embedded):
    with undone(embedded) as connection:
        footage.add_videos(connection, [Clip(0, 0.0, 60.0, "hall", False).video(n) for n in range(8)])
        reached = []
        for number in range(8):
            clip = Clip(number, 0.0, 60.0, "hall", False)
            frames = clip.frames(number)
            footage.add_frames(connection, frames)
            # The rare one is only to be seen in two moments, a block apart.
            rare = {frames[30].id, frames[80].id}
            wanted = {frame.id: [number + 2] if frame.id in rare else [1] for frame in frames}
            sides = sides_of(connection, wanted, SETTINGS)
            reached.append({sides[frame] for frame in rare})
        assert all({"train", "valid"} == sides for sides in reached)


@pytest.mark.parametrize("static", [False, True])
def test_the_certificate_of_the_version_before_gives_the_same_counts(database, static):
    with undone(database) as connection:
        two = [Clip(0, 0.0, 45.0, "hall", static), Clip(0, 3.0, 30.0, "gate", static)]
        dataset = grown(connection, two, lone=9)
        dataset.turn_golden(0.2)
        before = counts(connection, DatasetVersion("v3", 3, None, 0, 0, ""))
        last = DatasetVersion("v4", 4, "v3", 0, 0, "")
        found = counts(connection, last)
        assert counts(connection, last, before) == found
        assert (found["near_duplicates"]["exempt_pairs"] > 0) is static


@pytest.mark.parametrize("first", ["video", "stills"])
def test_stills_of_a_camera_that_stands_do_not_stand_against_its_video(embedded, first):
    """Its looks recur within two bits, and every moment has one of its own: only a copy is nearer than that."""
    with undone(embedded) as connection:
        clip = Clip(1, 0.0, 60.0, "hall", False)
        rows = clip.frames(0)
        base = int(content_id("look", "hall")[:16], 16)
        video = [replace(f, dhash=base ^ (1 << n % 64) ^ (1 << (n * 7 + n // 64 + 1) % 64)) for n, f in enumerate(rows)]
        copies = [
            Frame(content_id("s", n), f"s_{n:04d}.jpg", f"s{n}", 64, 48, "stills", dhash=f.dhash)
            for n, f in enumerate(video[::2], 1)
        ]
        footage.add_videos(connection, [clip.video(0)])
        footage.add_frames(connection, [*video, *copies])
        dataset = Dataset(connection, [], 0, 0)
        for frames in (video, copies) if first == "video" else (copies, video):
            dataset.add(frames)
        sides = [
            {dataset.known[one.id], dataset.known[other.id]} for one, other in zip(video[::2], copies, strict=True)
        ]
        assert not [pair for pair in sides if "train" in pair and pair & {"valid", "golden"}]
        said = counts(connection, dataset.version)["near_duplicates"]
        # Other moments look alike on two sides as well, and nobody can tell them from copies.
        assert (said["across_sides"], said["exempt_pairs"] > 0) == (0, True)
        assert {"train", "valid"} <= {dataset.known[one.id] for one in video}


@pytest.mark.parametrize("harm", ["side", "time", "copy"])
def test_the_certificate_finds_what_was_done_to_the_rows(embedded, harm):
    from data_engine.lineage.tables import dataset_frames, frames

    with undone(embedded) as connection:
        two = [Clip(0, 0.0, 60.0, "hall", False), Clip(1, 0.0, 60.0, "gate", False)]
        dataset = grown(connection, two)
        train, valid = (
            [f for f in dataset.frames if f.camera == camera and dataset.known[f.id] == side]
            for camera, side in (("hall", "train"), ("gate", "valid"))
        )
        if harm == "copy":
            statement = sa.update(frames).where(frames.c.id == train[0].id)
            look = valid[0].dhash
            connection.execute(statement.values(dhash=look - (1 << 64) * (look >> 63)))
        else:
            guards = [f for f in dataset.frames if dataset.known[f.id] == "guard"]
            moved = {"side": train[len(train) // 2], "time": guards[0]}[harm]
            row = dataset_frames.c.frame_id == moved.id
            if harm == "side":
                connection.execute(sa.update(dataset_frames).where(row).values(until=2))
                datasets.replace_frames(connection, 2, [DatasetFrame(moved.id, "j", "c", "valid")], {})
            else:
                connection.execute(sa.update(dataset_frames).where(row).values(split="train"))
        said = counts(connection, dataset.version)
        assert said["near_duplicates"]["across_sides"] == (1 if harm == "copy" else 0)
        assert said["frames_that_changed_sides"] == (1 if harm == "side" else 0)
        assert bool(said["time"]["training_frames_too_near"]) is (harm != "copy")
        if harm == "copy":
            assert said["near_duplicates"]["named"] == [[train[0].id, valid[0].id]]


def test_golden_blocks_are_chosen_for_what_is_lacking_first_and_then_by_turns():
    blocks = [Block((f"video:{i % 3}", i), 10, {1: 5, 2: 3 if i == 4 else 0}) for i in range(12)]
    chosen = choose(blocks, Wanted(40, {2: 3}), Block(("", 0), 0), spare=60)
    assert chosen[0].key == ("video:1", 4)
    assert sorted(block.key[0] for block in chosen) == ["video:0", "video:1", "video:1", "video:2"] or len(chosen) == 4
    assert choose(list(reversed(blocks)), Wanted(40, {2: 3}), Block(("", 0), 0), spare=60) == chosen
    # The validation side gives no more than it can spare, and what no model has seen comes after it.
    more = [*blocks, Block(("video:9", 0), 10, {1: 5}, judged=False)]
    assert [b.judged for b in choose(more, Wanted(40, {}), Block(("", 0), 0), spare=20)] == [True, True, False]
    # What would overshoot by more than is lacking stays.
    assert choose([Block(("video:0", 0), 100)], Wanted(10, {}), Block(("", 0), 0), spare=100) == []
