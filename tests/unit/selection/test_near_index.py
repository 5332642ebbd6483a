from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.selection.near_index import NEAR, NearIndex, recurring
from data_engine.selection.separation import Seen, distance, near_duplicates, near_pairs
from data_engine.selection.timelines import Timelines


def differing(a, b):
    return np.bitwise_count(np.asarray(a, np.uint64)[:, None] ^ np.asarray(b, np.uint64)[None, :])


def looks(seed: int, count: int, kinds: int) -> np.ndarray:
    """Hashes that often lie a few bits apart: each one of a few, with up to five bits turned."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 2**64, kinds, dtype=np.uint64)[rng.integers(0, kinds, count)]
    for _ in range(5):
        bits = np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
        found = found ^ np.where(rng.random(count) < 0.5, bits, np.uint64(0))
    return found


@pytest.mark.parametrize("tolerance", [0, 1, 3, 7])
@given(st.integers(0, 10_000), st.integers(0, 120), st.integers(0, 60), st.integers(1, 40))
def test_it_finds_every_near_pair_of_different_groups_once(tolerance, seed, n, m, kinds):
    hashes, asked = looks(seed, n, kinds), looks(seed, m, kinds) ^ np.uint64(seed % 2)
    groups, mine = np.arange(n) % 3, np.arange(m) % 4
    index = NearIndex(hashes, groups, tolerance)
    found = [(int(i), int(j)) for a, b in index.pairs(asked, mine) for i, j in zip(a, b, strict=True)]
    wanted = np.argwhere((differing(asked, hashes) <= tolerance) & (mine[:, None] != groups[None, :]))
    assert sorted(found) == sorted(map(tuple, wanted.tolist()))


def test_a_tolerance_that_parts_of_a_hash_cannot_answer_is_refused():
    with pytest.raises(ValueError, match="from 0 to 7 bits"):
        NearIndex(np.zeros(1, np.uint64), np.zeros(1, np.intp), 8)


@given(st.integers(0, 10_000), st.integers(0, 900), st.integers(1, 300), st.floats(0.5, 50))
def test_a_look_recurs_when_the_source_shows_it_at_another_moment(seed, n, kinds, apart):
    hashes, positions = looks(seed, n, kinds), np.random.default_rng(seed).uniform(0, 300, n)
    wanted = (differing(hashes, hashes) <= NEAR) & (np.abs(positions[:, None] - positions[None, :]) > apart)
    assert recurring(hashes, positions, apart).tolist() == wanted.any(axis=1).tolist()


@given(
    st.lists(st.floats(0, 100), max_size=30),
    st.lists(st.floats(0, 100), max_size=30),
    st.floats(0, 10),
)
def test_the_distance_of_the_sides(training, judged, guard):
    found = distance(np.array(training), np.array(judged), guard)
    if not training or not judged:
        assert (found.smallest, found.too_near) == (None, 0)
        return
    gaps = [min(abs(one - other) for other in judged) for one in training]
    assert found.smallest == min(gaps)
    assert found.too_near == sum(gap < guard - 1e-6 for gap in gaps)


@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(1, 30))
def test_near_duplicates_on_two_sides_are_counted_wherever_they_come_from(seed, n, kinds):
    rng = np.random.default_rng(seed)
    hashes, sources, positions = looks(seed, n, kinds), rng.integers(0, 6, n), rng.uniform(0, 60, n)
    axes, sides = sources // 2, rng.integers(0, 3, n)
    units = np.asarray(rng.integers(0, 3, 3)[axes], np.int8)
    seen = Seen(hashes, axes, sources, positions, np.full(n, 5.0), units)
    near = differing(hashes, hashes) <= NEAR
    same = sources[:, None] == sources[None, :]
    elsewhere = np.abs(positions[:, None] - positions[None, :]) > 5.0
    again = np.where(same & elsewhere, differing(hashes, hashes), 64).min(axis=1)
    near &= (axes[:, None] != axes[None, :]) & (sides == 0)[:, None] & (sides == 1)[None, :]
    recur = again <= NEAR
    telling = ~recur[:, None] & ~recur[None, :]
    nearer = differing(hashes, hashes) < np.minimum(again[:, None], again[None, :])
    telling |= (units[:, None] != units[None, :]) & nearer
    everything = near_duplicates(seen, sides == 0, sides == 1)
    assert everything.across == [tuple(pair) for pair in np.argwhere(near & telling).tolist()]
    assert everything.exempt == (near & ~telling).sum()
    touched = rng.random(n) < 0.3
    near &= touched[:, None] | touched[None, :]
    some = near_duplicates(seen, sides == 0, sides == 1, touched)
    assert some.across == [tuple(pair) for pair in np.argwhere(near & telling).tolist()]
    assert some.exempt == (near & ~telling).sum()
    assert near_pairs(seen, sides == 0, sides == 1, touched) == near.sum()


def footage(seed: int, seconds: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a scene that changes: ten looks a second, of which every second one stays for a frame more."""
    rng = np.random.default_rng(seed)
    times = np.arange(0, seconds, 0.1)
    hashes = rng.integers(0, 2**64, len(times), dtype=np.uint64)
    hashes[1::4] = hashes[::4][: len(hashes[1::4])]
    return hashes, times


def joined(*sources: tuple[np.ndarray, np.ndarray]) -> Timelines:
    numbers = np.concatenate([np.full(len(times), number) for number, (_hashes, times) in enumerate(sources)])
    return Timelines.of(np.concatenate([h for h, _t in sources]), numbers, np.concatenate([t for _h, t in sources]))


def test_a_cut_is_known_by_its_looks_and_placed_on_the_time_of_what_it_was_cut_from():
    whole, other = footage(1, 60), footage(2, 40)
    # Sampled elsewhere, and encoded again: most looks are others.
    hashes, times = whole[0][123:500:3].copy(), whole[1][123:500:3] - 12.3
    hashes[::3] ^= np.uint64(1)
    lines = joined(other, whole, (hashes, times))
    found = lines.original(2)
    assert found is not None
    assert found[0] == 1
    assert found[1] == pytest.approx(12.3, abs=0.2)
    # What came first is nobody's copy.
    assert lines.original(0) is lines.original(1) is None


def test_an_empty_corridor_says_nothing_of_the_time():
    times = np.arange(0, 60, 0.5)
    still = np.full(len(times), 77, np.uint64)
    assert joined((still, times), (still, times)).original(1) is None
    # A handful of looks that come again and again.
    few = np.arange(len(times), dtype=np.uint64) % 12
    assert joined((few, times), (few[::-1].copy(), times)).original(1) is None


@pytest.mark.parametrize("count", [0, 3])
def test_a_few_frames_that_agree_are_chance(count):
    hashes, times = footage(3, 10)
    assert joined((hashes, times), (hashes[:count], times[:count])).original(1) is None


def test_a_cut_of_real_footage_is_found_and_another_recording_is_not(shared):
    import av
    import cv2

    from data_engine.media.hashing import dhash, dhash_of_bytes

    with av.open(str(shared / "data/video/vtest.avi")) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]

    def encoded_again(frame):
        _ok, data = cv2.imencode(".jpg", cv2.resize(frame, (384, 288)), [cv2.IMWRITE_JPEG_QUALITY, 50])
        return dhash_of_bytes(data.tobytes(), name="copy")

    whole = np.array([dhash(frame) for frame in frames], np.uint64), np.arange(len(frames)) / 10
    copies = np.array([encoded_again(frame) for frame in frames[155:700:5]], np.uint64)
    assert np.mean(np.bitwise_count(copies ^ whole[0][155:700:5]) <= NEAR) > 0.98
    # The copy is of other frames than those that were sampled of the whole.
    sampled = whole[0][::3], whole[1][::3]
    found = joined(sampled, (copies, np.arange(len(copies)) / 2)).original(1)
    assert found == (0, pytest.approx(15.5, abs=0.3))
    half = len(frames) // 2
    assert (
        joined((whole[0][:half], whole[1][:half]), (whole[0][half:], whole[1][half:] - whole[1][half])).original(1)
        is None
    )
