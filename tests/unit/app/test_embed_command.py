"""``embed``: stored by frame, done once, the same after a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_workspace import Workspace, draw

from data_engine.app.footage import embed as app
from data_engine.app.footage.pictures import frames_in
from data_engine.embedders.local import LocalEmbedder
from data_engine.errors import DamagedInputError, MissingInputError, UsageError
from data_engine.media.images import read_rgb

pytestmark = pytest.mark.required
ROOM = ".dataengine/embeddings/local-2"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PART", 4)


def stored(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / ROOM).glob("*.npz")}


def test_every_picture_once(workspace: Workspace) -> None:
    folder = workspace.draw("in", range(10))
    first = app.embed(workspace.open(), input=folder)
    assert first.data == {
        "frames": 10,
        "described": 10,
        "described_now": 10,
        "embedder": "local-2",
        "dimension": LocalEmbedder.dimension,
    }
    files = stored(workspace.root)
    assert len(files) == 3
    draw(folder / "another.jpg", 77)
    again = app.embed(workspace.open(embed={"workers": 1, "batch": 1}), input=folder)
    assert again.title == "11 of 11 frames described, 1 of them now"
    assert stored(workspace.root).items() > files.items()


def test_what_is_stored_comes_back_in_the_asked_order(workspace: Workspace) -> None:
    engine = workspace.open()
    frames, _ = frames_in(engine, workspace.draw("in", range(9)), hint="")
    assert app.embed_missing(engine, frames[:7]) == (7, ())
    order = [frames[number].id for number in (8, 3, 0, 6, 3)]
    ids, vectors = app.stored_embeddings(engine, order)
    assert ids == [frames[number].id for number in (3, 0, 6)]
    pictures = [read_rgb(engine.storage.path(frames[number].key)) for number in (3, 0, 6)]
    np.testing.assert_allclose(vectors, LocalEmbedder().embed(pictures), atol=0.001)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    ids, vectors = app.stored_embeddings(engine, [])
    assert (ids, vectors.shape) == ([], (0, LocalEmbedder.dimension))


def test_a_picture_that_cannot_be_read_is_told_and_tried_again(workspace: Workspace) -> None:
    engine = workspace.open()
    frames, _ = frames_in(engine, workspace.draw("in", range(6)), hint="")
    path = engine.storage.path(frames[2].key)
    whole = path.read_bytes()
    path.write_bytes(whole[:300])
    done, failed = app.embed_missing(engine, frames)
    assert (done, [failure.input_id for failure in failed]) == (5, [frames[2].key])
    path.write_bytes(whole)
    assert app.embed_missing(engine, frames) == (1, ())


@pytest.mark.parametrize("after", [1, 9])
def test_interrupted_anywhere_it_ends_as_an_undisturbed_run(workspace: Workspace, after: int, monkeypatch) -> None:
    folder = workspace.draw("in", range(11))
    engine = workspace.open()
    frames, _ = frames_in(engine, folder, hint="")
    calls = []

    def advance(amount: int = 1) -> None:
        calls.append(amount)
        if len(calls) == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(engine.progress, "advance", advance)
    with pytest.raises(KeyboardInterrupt):
        app.embed_missing(engine, frames)
    monkeypatch.undo()
    monkeypatch.setattr(app, "PART", 4)
    before = stored(workspace.root)
    assert len(before) == (after - 1) // 4
    again = workspace.open()
    assert app.embed_missing(again, frames)[0] == 11 - 4 * len(before)
    ended = stored(workspace.root)
    for file in (workspace.root / ROOM).glob("*.npz"):
        file.unlink()
    # What is lost is made anew, in the same parts.
    assert app.embed_missing(again, frames) == (11, ())
    assert stored(workspace.root) == ended


def test_a_damaged_part_is_named(workspace: Workspace) -> None:
    engine = workspace.open()
    frames, _ = frames_in(engine, workspace.draw("in", range(5)), hint="")
    app.embed_missing(engine, frames)
    one, other = sorted((workspace.root / ROOM).glob("*.npz"))
    content = one.read_bytes()
    one.write_bytes(content[:-30])
    with pytest.raises(DamagedInputError, match=f"{one.name} does not hold stored embeddings") as caught:
        app.stored_embeddings(engine, [frame.id for frame in frames])
    assert caught.value.hint == "delete it and run again: its frames are described anew"
    one.write_bytes(other.read_bytes())
    with pytest.raises(DamagedInputError, match="does not hold what lineage says"):
        app.stored_embeddings(engine, [frame.id for frame in frames])
    one.unlink()
    app.embed_missing(engine, frames)
    assert len(app.stored_embeddings(engine, [frame.id for frame in frames])[0]) == 5
    assert one.read_bytes() == content


def test_without_a_frame_it_says_what_to_run(workspace: Workspace) -> None:
    with pytest.raises(MissingInputError) as caught:
        app.embed(workspace.open())
    assert caught.value.hint == "run first: dataengine sample"


def test_an_unknown_embedder_is_wrong_usage(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="embedder"):
        workspace.open(embed={"embedder": "clip"})
