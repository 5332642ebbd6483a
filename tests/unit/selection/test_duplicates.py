from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_engine.media.signatures import Signature
from data_engine.selection.duplicates import Candidate, Duplicate, by_hash, by_vector

FRAMES = 5


def motion(seed):
    return np.random.default_rng(seed).integers(-127, 128, (FRAMES, 576)).astype(np.int8)


def video(name, look=0, moved=0, *, flips=0, duration_s=60.0, pixels=1000, size_bytes=1000, captured_at=None, **other):
    """A candidate: ``look`` says what it shows, ``moved`` what moves in it, ``flips`` bits of each hash are changed."""
    hashes = np.random.default_rng(look).integers(0, 2**63, (FRAMES, 1), dtype=np.uint64)
    hashes ^= np.uint64((1 << flips) - 1)
    vectors = np.random.default_rng(look).normal(size=(FRAMES, 32))
    vectors[:, 0] += flips / 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    signature = Signature(
        duration_s,
        np.ones(FRAMES, np.bool_),
        motion(moved),
        np.full(FRAMES, 30.0, np.float32),
        hashes,
        vectors.astype(np.float16),
    )
    return Candidate(name, replace(signature, **other), pixels, size_bytes, captured_at)


def pairs(found):
    return [(duplicate.video_id, duplicate.original_id) for duplicate in found]


def test_a_copy_is_found_with_its_distance():
    assert by_hash([video("a"), video("b", flips=2, size_bytes=900), video("c", look=1, moved=1)], 5) == [
        Duplicate("b", "a", 2.0)
    ]
    (copy,) = by_vector([video("a"), video("b", flips=1, size_bytes=900), video("c", look=1, moved=1)], 0.95)
    assert (copy.video_id, copy.original_id) == ("b", "a")
    assert 0 < copy.distance < 0.05


@pytest.mark.parametrize(("flips", "found"), [(5, 1), (6, 0)])
def test_the_threshold_counts_the_mean_of_differing_bits(flips, found):
    assert len(by_hash([video("a"), video("b", flips=flips)], 5)) == found
    assert len(by_hash([video("a"), video("b", flips=flips)], flips)) == 1


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"pixels": 2000, "duration_s": 60.0}, {"pixels": 1000, "duration_s": 60.4, "size_bytes": 9000}),
        # A few lines more of a border that was not found whole are no better picture.
        ({"pixels": 1000, "size_bytes": 1001}, {"pixels": 1005, "size_bytes": 1000}),
        ({"duration_s": 60.4}, {"duration_s": 60.0, "size_bytes": 9000}),
        ({"size_bytes": 1001}, {"size_bytes": 1000}),
    ],
)
def test_the_original_is_the_better_one(better, worse):
    # Whatever their names and order.
    assert pairs(by_hash([video("a", **worse), video("b", **better)], 5)) == [("a", "b")]
    assert pairs(by_hash([video("a", **better), video("b", **worse)], 5)) == [("b", "a")]


def test_of_equals_the_smaller_id_is_the_original():
    assert pairs(by_hash([video("c"), video("a"), video("b")], 5)) == [("b", "a"), ("c", "a")]


def test_an_original_is_never_a_duplicate():
    # b looks like a, and c like b, but c does not look like a.
    chain = [video("a", pixels=3000), video("b", flips=4, pixels=2000), video("c", flips=8, pixels=1000)]
    assert pairs(by_hash(chain, 5)) == [("b", "a")]


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        (60.0, 60.5, 1),
        (60.0, 60.7, 0),
        (3600.0, 3630.0, 1),
        (3600.0, 3640.0, 0),
        (1.0, 1.4, 1),
    ],
)
def test_durations_must_agree(a, b, found):
    assert len(by_hash([video("a", duration_s=a), video("b", duration_s=b)], 5)) == found
    assert len(by_hash([video("a", duration_s=b), video("b", duration_s=a)], 5)) == found


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        (None, "2026-11-20T08:00:00", 1),
        ("2026-11-20T08:00:00", "2026-11-20T08:00:04", 1),
        ("2026-11-20T08:00:00", "2026-11-20T09:00:00", 0),
        ("2026-11-20T08:00:00+00:00", "2026-11-20T09:00:00+01:00", 1),
        ("2026-11-20T08:00:00+00:00", "2026-11-20T08:00:00+01:00", 0),
        # One of them knows its zone: a clock on the wall may be hours ahead, not minutes.
        ("2026-11-20T08:00:00+00:00", "2026-11-20T09:00:01", 1),
        ("2026-11-20T08:00:00+00:00", "2026-11-20T08:10:00", 0),
        ("2026-11-20T08:00:00+00:00", "2026-11-22T08:00:00", 0),
        ("sometime", "2026-11-20T08:00:00", 1),
    ],
)
def test_known_times_of_capture_must_agree(a, b, found):
    assert len(by_hash([video("a", captured_at=a), video("b", captured_at=b)], 5)) == found
    assert len(by_vector([video("a", captured_at=b), video("b", captured_at=a)], 0.95)) == found


def test_two_hours_of_a_static_camera_are_no_copies():
    hours = [video(f"{hour:02}", look=0, moved=hour, duration_s=3600.0) for hour in range(24)]
    assert by_hash(hours, 5) == []
    assert by_vector(hours, 0.95) == []


def test_where_nothing_moves_nothing_says_that_it_is_a_copy():
    still = {"strength": np.full(FRAMES, 2.0, np.float32)}
    assert by_hash([video("a", **still), video("b", **still)], 5) == []
    empty = {"strength": np.zeros(FRAMES, np.float32), "motion": np.zeros((FRAMES, 576), np.int8)}
    assert by_hash([video("a", **empty), video("b", **empty), video("c")], 5) == []


def test_what_moves_must_agree_in_every_frame():
    other = motion(0).copy()
    other[2] = motion(1)[2]
    assert pairs(by_hash([video("a"), video("b", motion=motion(0))], 5)) == [("b", "a")]
    assert by_hash([video("a"), video("b", motion=other)], 5) == []
    # Where nothing moved it need not.
    strength = np.array([30, 30, 3, 30, 30], np.float32)
    assert pairs(by_hash([video("a", strength=strength), video("b", motion=other, strength=strength)], 5)) == [
        ("b", "a")
    ]


def shadow_and_person(place, column=2):
    """A shadow that moves alike every day, and a person in the third frame."""
    moved = np.zeros((FRAMES, 24, 24), np.int8)
    for number in range(FRAMES):
        moved[number, :, 4 * number : 4 * number + 6] = 100
    moved[2, place : place + 3, column] = 127
    return moved.reshape(FRAMES, 576)


def test_a_shadow_that_falls_alike_every_day_is_not_enough():
    one = video("a", motion=shadow_and_person(5))
    assert pairs(by_hash([one, video("b", motion=shadow_and_person(5))], 5)) == [("b", "a")]
    # The copy's moment may be a frame or two beside: people have moved by a cell.
    assert pairs(by_hash([one, video("b", motion=shadow_and_person(5, column=3))], 5)) == [("b", "a")]
    assert by_hash([one, video("b", motion=shadow_and_person(15))], 5) == []
    assert by_hash([video("b", motion=shadow_and_person(15)), one], 5) == []


def test_a_few_strong_moments_do_not_outvote_the_others():
    # The light switch in one frame is the same in both, the people in the four others are not.
    moved = motion(1).copy()
    moved[2] = motion(0)[2]
    strength = np.array([10, 10, 200, 10, 10], np.float32)
    assert by_hash([video("a", strength=strength), video("b", motion=moved, strength=strength)], 5) == []


def test_missing_frames_are_left_out_and_half_must_be_there():
    def cut(name, first_missing):
        present = np.arange(FRAMES) < first_missing
        gone = np.where(present[:, None], motion(0), 0).astype(np.int8)
        hashes = np.where(present[:, None], video("x").signature.hashes, np.uint64(0))
        return video(name, size_bytes=10, present=present, motion=gone, hashes=hashes)

    assert by_hash([video("a"), cut("b", 3)], 5) == [Duplicate("b", "a", 0.0)]
    assert by_hash([video("a"), cut("b", 2)], 5) == []
    assert by_hash([cut("a", 0), cut("b", 0)], 64) == []


def test_signatures_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="the signature of b holds no hashes"):
        by_hash([video("a"), video("b", hashes=None)], 5)
    with pytest.raises(ValueError, match="the signature of b holds no vectors"):
        by_vector([video("a"), video("b", vectors=None)], 0.95)
    with pytest.raises(ValueError, match="different parameters"):
        by_hash([video("a"), video("b", hashes=np.zeros((FRAMES, 4), np.uint64))], 5)
    assert by_hash([], 5) == by_vector([], 0.95) == by_hash([video("a")], 5) == []


@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_all_pairs_are_found_whatever_the_order(seed, threshold):
    random = np.random.default_rng(seed)
    videos = []
    for number in range(30):
        present = random.random(FRAMES) < 0.9
        hashes = np.uint64(2**40) ^ random.integers(0, 2 ** int(random.integers(1, 20)), (FRAMES, 1)).astype(np.uint64)
        videos.append(
            video(
                f"{number:02}",
                duration_s=float(random.uniform(60, 62)),
                pixels=int(random.choice([1000, 2000])),
                present=present,
                hashes=np.where(present[:, None], hashes, np.uint64(0)),
            )
        )
    found = by_hash(videos, threshold)
    assert by_hash([videos[place] for place in random.permutation(len(videos))], threshold) == found

    def distance(a, b):
        both = a.signature.present & b.signature.present
        if 2 * both.sum() < FRAMES or abs(a.signature.duration_s - b.signature.duration_s) > 0.01 * max(
            a.signature.duration_s, b.signature.duration_s
        ):
            return None
        bits = [
            int(x[0] ^ y[0]).bit_count()
            for x, y, there in zip(a.signature.hashes, b.signature.hashes, both, strict=True)
            if there
        ]
        mean = round(sum(bits) / len(bits), 6)
        return mean if mean <= threshold else None

    alike = {(a.video_id, b.video_id): distance(a, b) for a, b in combinations(videos, 2)}
    copies = {duplicate.video_id: duplicate for duplicate in found}
    for duplicate in found:
        assert duplicate.original_id not in copies
        assert alike[tuple(sorted((duplicate.video_id, duplicate.original_id)))] == duplicate.distance
    # Of two that look alike, one at least is a duplicate, unless both lost their partner to a better pair.
    originals = [one.video_id for one in videos if one.video_id not in copies]
    assert all(alike[pair] is None for pair in combinations(originals, 2))


def test_many_recordings_of_many_cameras():
    videos = [video(f"{n:05}", look=n % 10, moved=n, duration_s=3600.0) for n in range(1500)]
    copies = [
        video(f"copy {n:05}", look=n % 10, moved=n, duration_s=3600.04, flips=3, pixels=500) for n in range(0, 1500, 50)
    ]
    assert pairs(by_hash(videos + copies, 5)) == [(f"copy {n:05}", f"{n:05}") for n in range(0, 1500, 50)]


def transcode(source, target, *, start=0, stop=None, size=None, border=0, codec="libx264", **options):
    import av

    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = written.add_stream(codec, rate=10, options=options)
        stream.width, stream.height = size or (384, 288)
        stream.height += 2 * border
        stream.pix_fmt, stream.gop_size = "yuv420p", 25
        for number, frame in enumerate(read.decode(video=0)):
            if number < start or number == stop:
                if number == stop:
                    break
                continue
            pixels = frame.to_ndarray(format="rgb24", width=stream.width, height=stream.height - 2 * border)
            pixels = np.pad(pixels, ((border, border), (0, 0), (0, 0)))
            image = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            image.pts, image.time_base = number - start, Fraction(1, 10)
            written.mux(stream.encode(image))
        written.mux(stream.encode())
    return target


@pytest.fixture(scope="module")
def cuts(shared, tmp_path_factory):
    """Four parts of one static camera's recording, and of each its copies."""
    folder = tmp_path_factory.mktemp("cuts")
    made = {}
    for number in range(4):
        part = transcode(
            shared / "data" / "video" / "vtest.avi",
            folder / f"{number}.avi",
            start=number * 150,
            stop=(number + 1) * 150,
            size=(768, 576),
            codec="mpeg4",
            b="3M",
        )
        made[part] = [
            transcode(part, folder / f"{number} low.mp4", preset="veryfast", crf="36"),
            transcode(part, folder / f"{number} small.mkv", size=(192, 144), preset="veryfast"),
            transcode(part, folder / f"{number} boxed.mp4", border=48, preset="veryfast"),
            transcode(part, folder / f"{number} first two gone.mp4", start=2, preset="veryfast"),
            transcode(part, folder / f"{number} last two gone.ts", stop=148, preset="veryfast"),
        ]
    return made


@pytest.mark.parametrize("method", ["phash", "embedding"])
def test_copies_of_real_footage_are_found_and_other_times_are_not(cuts, method):
    from data_engine.embedders.local import LocalEmbedder
    from data_engine.media.borders import find_borders
    from data_engine.media.probe import probe
    from data_engine.media.signatures import moments_of, phash_signature

    candidates = []
    for path in [path for part, copies in cuts.items() for path in (part, *copies)]:
        described = probe(path, key=path.name, camera="hall")
        crop = find_borders(path, key=path.name, seed=described.id)
        width, height = crop[2:] if crop else (described.width, described.height)
        if method == "phash":
            signature = phash_signature(path, key=path.name, size=8, count=5, crop=crop)
        else:
            moments = moments_of(path, key=path.name, count=5, crop=crop)
            signature = moments.with_vectors(LocalEmbedder().embed(moments.pictures))
        candidates.append(Candidate(path.name, signature, width * height, described.size_bytes, None))
    expected = sorted((copy.name, part.name) for part, copies in cuts.items() for copy in copies)
    # Also when appearance tells nothing apart, what moves does.
    for strictness in (5, 64) if method == "phash" else (0.95, -1.0):
        found = by_hash(candidates, strictness) if method == "phash" else by_vector(candidates, strictness)
        assert pairs(found) == expected
