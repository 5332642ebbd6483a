from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_engine.embedders.local import LocalEmbedder
from data_engine.media.images import read_rgb
from data_engine.stages.embed import FrameVector, embed
from data_engine.storage.local import LocalStorage
from data_engine.types import Failed, Frame


class Steps:
    def __init__(self) -> None:
        self.told: list[object] = []

    def start(self, label, total, unit, *, done=0):
        self.told.append((label, total, unit))

    def advance(self, amount=1):
        self.told.append(amount)

    def note(self, text): ...

    def finish(self):
        self.told.append("finished")


class Sizes:
    """An embedder that looks at 20 pixels a side and tells how large the pictures were that it got."""

    name, dimension, side = "sizes", 2, 20

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def embed(self, images):
        self.seen += [image.shape for image in images]
        return np.tile(np.array([1, 0], np.float32), (len(images), 1))


def frames(root: Path, count: int, size: tuple[int, int] = (160, 120), suffix: str = "jpg") -> list[Frame]:
    made = []
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        name = f"f{number}.{suffix}"
        (root / name).write_bytes(cv2.imencode(f".{suffix}", picture)[1].tobytes())
        made.append(Frame(id=f"id{number}", name=name, key=name, width=size[0], height=size[1], camera="c"))
    return made


def run(root: Path, of: list[Frame], embedder=None, *, batch: int = 3, readers: int = 2) -> list[object]:
    steps = Steps()
    outcomes = list(
        embed(of, embedder or LocalEmbedder(), storage=LocalStorage(root), batch=batch, readers=readers, progress=steps)
    )
    assert steps.told == [("describing frames", len(of), "frames"), *[1] * len(of), "finished"]
    return outcomes


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_one_vector_a_frame_in_order_whatever_the_batch(tmp_path: Path, batch: int) -> None:
    of = frames(tmp_path, 7)
    made = run(tmp_path, of, batch=batch)
    assert [one.frame_id for one in made] == [frame.id for frame in of]
    full = LocalEmbedder().embed([read_rgb(tmp_path / frame.key) for frame in of])
    np.testing.assert_allclose([one.vector for one in made], full, atol=1e-5)


def test_what_cannot_be_read_is_one_failure(tmp_path: Path) -> None:
    of = frames(tmp_path, 5)
    (tmp_path / "f1.jpg").write_bytes((tmp_path / "f1.jpg").read_bytes()[:900])
    (tmp_path / "f2.jpg").unlink()
    (tmp_path / "f3.jpg").write_bytes(cv2.imencode(".jpg", np.zeros((60, 80, 3), np.uint8))[1].tobytes())
    made = run(tmp_path, of)
    assert [type(one) for one in made] == [FrameVector, Failed, Failed, Failed, FrameVector]
    assert [one.input_id for one in made[1:4]] == ["id1", "id2", "id3"]
    assert "truncated" in made[1].reason
    assert "not there" in made[2].reason
    assert made[3].reason == "f3.jpg is 80 x 60, recorded as 160 x 120"


def test_large_jpegs_are_decoded_at_a_fraction_that_is_still_twice_what_is_looked_at(tmp_path: Path) -> None:
    looking = Sizes()
    run(tmp_path, frames(tmp_path, 1, (640, 480)), looking)
    run(tmp_path, frames(tmp_path, 1, (640, 480), "png"), looking)
    run(tmp_path, frames(tmp_path, 1, (48, 36)), looking)
    assert looking.seen == [(60, 80, 3), (480, 640, 3), (36, 48, 3)]


def test_an_embedder_that_forgets_a_picture_is_a_bug_to_be_seen(tmp_path: Path) -> None:
    class Forgetful(Sizes):
        def embed(self, images):
            return super().embed(images)[1:]

    with pytest.raises(RuntimeError, match="described 1 of 2 pictures"):
        run(tmp_path, frames(tmp_path, 2), Forgetful())


def test_no_frame(tmp_path: Path) -> None:
    assert run(tmp_path, []) == []
