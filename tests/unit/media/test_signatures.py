from __future__ import annotations

import pickle
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dct

from data_engine.embedders.local import LocalEmbedder
from data_engine.errors import DamagedInputError
from data_engine.media import signatures
from data_engine.media.signatures import (
    Signature,
    moments_of,
    phash,
    phash_signature,
)


def texture(seed, height=240, width=320):
    coarse = np.random.default_rng(seed).integers(30, 220, (height // 20, width // 20), dtype=np.uint8)
    return coarse.repeat(20, 0).repeat(20, 1)


def scene(number, above=0):
    """A still background with a bright block that walks."""
    picture = texture(0)[:, :, None].repeat(3, 2)
    left = number * 5 % 280
    picture[100:180, left : left + 40] = 250
    return np.pad(picture, ((above, above), (0, 0), (0, 0)))


def write(path, draw=scene, frames=100, size=None, **encoder):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast", **encoder})
        height, width, _ = draw(0).shape
        stream.width, stream.height = size or (width, height)
        stream.pix_fmt, stream.gop_size = "yuv420p", 10
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def signed(path, **options):
    return phash_signature(path, key=path.name, **{"size": 8, "count": 5, **options})


def bits(words):
    return np.unpackbits(words.astype(">u8").view(np.uint8), axis=-1)


@pytest.mark.parametrize("size", [2, 3, 8, 16, 32])
def test_the_hash_is_the_definition(size):
    side = 4 * size
    luma = np.random.default_rng(size).integers(0, 256, (3 * side, 5 * side), dtype=np.uint8)
    small = luma.astype(float).reshape(side, 3, side, 5).mean(axis=(1, 3)).round()
    low = dct(dct(small, axis=0), axis=1)[:size, :size]
    # Of odd sizes one frequency is the median itself, and rounding decides it.
    clear = np.abs(low - np.median(low)) > 1e-6
    hashed = phash(luma, size).reshape(size, size)
    assert np.array_equal(hashed[clear], (low > np.median(low))[clear])
    assert clear.sum() >= size * size - 1


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 1.0), st.integers(0, 40))
@settings(max_examples=30, deadline=None)
def test_the_hash_hardly_minds_exposure(seed, gain, offset):
    luma = texture(seed)
    other = (luma * gain + offset).clip(0, 255).astype(np.uint8)
    # The constant part has one bit of its own; rounding may move those at the median.
    assert (phash(luma, 8) != phash(other, 8)).sum() <= 6


def test_pictures_that_differ_have_hashes_that_differ():
    distances = [(phash(texture(a), 8) != phash(texture(b), 8)).sum() for a in range(5) for b in range(a)]
    assert min(distances) > 12


def test_copies_show_the_same_moments(tmp_path):
    original = signed(write(tmp_path / "a.mp4"))
    for name, options in {
        "low.mp4": {"crf": "38"},
        "small.mkv": {"size": (160, 120)},
        "wide.ts": {"size": (480, 240)},
    }.items():
        copy = signed(write(tmp_path / name, **options))
        assert copy.present.all()
        assert copy.duration_s == pytest.approx(original.duration_s, abs=0.1)
        assert (bits(original.hashes) != bits(copy.hashes)).sum(axis=1).mean() <= 3
        for a, b in zip(original.motion.astype(float), copy.motion.astype(float), strict=True):
            assert np.corrcoef(a, b)[0, 1] > 0.9


def test_borders_are_left_out(tmp_path):
    original = signed(write(tmp_path / "a.mp4"))
    boxed = write(tmp_path / "boxed.mp4", lambda number: scene(number, above=60))
    inside, whole = signed(boxed, crop=(0, 60, 320, 240)), signed(boxed)
    assert (bits(original.hashes) != bits(inside.hashes)).sum(axis=1).mean() <= 2
    assert (bits(original.hashes) != bits(whole.hashes)).sum(axis=1).mean() > 5
    assert [frame.shape for frame in moments_of(boxed, key="b", count=3, crop=(0, 60, 320, 240)).pictures] == [
        (240, 320, 3)
    ] * 3


def test_motion_is_what_moved_and_not_the_light(tmp_path):
    def brightening(number):
        return (scene(0) * (0.5 + number / 200)).astype(np.uint8)

    still = signed(write(tmp_path / "still.mp4", lambda number: scene(0)))
    light = signed(write(tmp_path / "light.mp4", brightening, crf="12"))
    moving = signed(write(tmp_path / "moving.mp4"))
    assert still.strength.max() < 2
    assert light.strength.max() < 4
    assert moving.strength.min() > 20
    # The block's place in the third frame (number 50) is what stands out there.
    peak = int(np.abs(moving.motion[2].reshape(24, 24).astype(int)).sum(axis=0).argmax())
    assert 50 * 5 % 280 / 320 * 24 - 1 <= peak <= (50 * 5 % 280 + 40) / 320 * 24


def test_black_moments_are_missing(tmp_path):
    half_black = write(tmp_path / "b.mp4", lambda number: scene(number) * (number >= 50))
    assert signed(half_black).present.tolist() == [False, False, True, True, True]
    moments = moments_of(half_black, key="b", count=5)
    assert [frame is not None for frame in moments.frames] == [False, False, True, True, True]


def test_a_truncated_file_has_the_moments_that_are_left(tmp_path):
    path = write(tmp_path / "cut.mp4", movflags="faststart")
    whole = signed(path)
    from_start = path.read_bytes()
    with (
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as out,
        av.open(str(path)) as source,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    fast = tmp_path / "fast.mp4"
    fast.write_bytes(fast.read_bytes()[: int(len(from_start) * 0.65)])
    cut = signed(fast)
    assert cut.present.tolist() == [True, True, True, False, False]
    assert np.array_equal(cut.hashes[:3], whole.hashes[:3])
    assert cut.duration_s == whole.duration_s


def test_vectors_come_from_the_embedder(tmp_path):
    path = write(tmp_path / "a.mp4")
    moments = moments_of(path, key="a", count=3)
    expected = LocalEmbedder().embed(moments.pictures)
    signature = moments.with_vectors(expected)
    assert np.allclose(signature.vectors, expected, atol=1e-3)
    elsewhere = pickle.loads(pickle.dumps(moments)).with_vectors(expected * 7)
    assert elsewhere.to_bytes() == signature.to_bytes()
    with pytest.raises(ValueError, match="3 finite vectors are needed"):
        moments_of(path, key="a", count=3).with_vectors(expected[:2])


def test_large_frames_are_reduced_for_the_embedder(tmp_path):
    path = write(tmp_path / "large.mp4", lambda number: scene(number).repeat(4, 0).repeat(4, 1), frames=3)
    assert moments_of(path, key="large", count=2).pictures[0].shape == (384, 512, 3)


@given(st.integers(2, 9), st.integers(0, 17), st.integers(0, 40), st.floats(0, 1e6), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_signatures_survive_being_stored(count, words, dimension, duration_s, seed):
    random = np.random.default_rng(seed)
    signature = Signature(
        duration_s,
        random.random(count) < 0.5,
        random.integers(-127, 128, (count, 576)).astype(np.int8),
        random.random(count).astype(np.float32) * 255,
        random.integers(0, 2**64, (count, words), dtype=np.uint64) if words else None,
        random.normal(size=(count, dimension)).astype(np.float16) if dimension else None,
    )
    data = signature.to_bytes()
    again = Signature.from_bytes(data)
    assert again.duration_s == duration_s
    for name in ("present", "motion", "strength", "hashes", "vectors"):
        assert np.array_equal(getattr(again, name), getattr(signature, name))
    assert again.to_bytes() == data
    for wrong in (data[:-1], data + b"x", b"other" + data[5:], b""):
        with pytest.raises(ValueError, match="not a video signature"):
            Signature.from_bytes(wrong)


def test_the_same_file_gives_the_same_bytes(tmp_path):
    path = write(tmp_path / "a.mp4")
    assert signed(path).to_bytes() == signed(path).to_bytes()


def test_parameters_are_bounded_and_bad_files_named(tmp_path, make_sound):
    path = write(tmp_path / "a.mp4", frames=5)
    for wrong in ({"size": 1}, {"size": 33}, {"count": 1}, {"count": 65}):
        with pytest.raises(ValueError, match="got"):
            signed(path, **wrong)
    with pytest.raises(DamagedInputError, match=r"^s\.mp4 holds no video stream"):
        signed(make_sound("s.mp4"))
    assert signatures.phash_method(8, 5) != signatures.phash_method(8, 6) != signatures.embedding_method("local", 6)
