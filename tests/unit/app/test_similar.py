"""Search by a frame: the same frames as comparing with each, over vectors that a purge takes along."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from test_lineage_purge import SETTINGS, frames_of, sure

from data_engine.app.footage import similar
from data_engine.app.footage.embed import stored_embeddings
from data_engine.app.lineage.lineage_purge import purge
from data_engine.errors import MissingInputError


@pytest.fixture
def engine(workspace, round_once):
    shutil.copytree(round_once, workspace.root, dirs_exist_ok=True)
    return workspace.open(**SETTINGS)


def test_it_finds_what_comparing_with_each_finds(engine):
    frames = frames_of(engine)
    ids, vectors = stored_embeddings(engine, [frame.id for frame in frames])
    found = similar.vectors(engine)
    assert set(found.ids) == set(ids)
    for row, frame_id in enumerate(ids):
        cosine = dict(zip(ids, (vectors @ vectors[row]).tolist(), strict=True))
        del cosine[frame_id]
        told = found.like(frame_id, 4)
        assert [score for _other, score in told] == pytest.approx(sorted(cosine.values(), reverse=True)[:4], abs=1e-6)
        assert all(score == pytest.approx(cosine[other], abs=1e-6) for other, score in told)
    assert len(found.like(ids[0], 1000)) == len(ids) - 1


def test_a_frame_without_a_vector_is_told(engine):
    with pytest.raises(MissingInputError, match="not described"):
        similar.vectors(engine).like("f" * 32, 4)


def test_a_workspace_without_vectors_has_none(workspace):
    found = similar.vectors(workspace.open())
    assert list(found.ids) == []
    assert found.matrix.shape == (0, 448)


def test_a_purge_takes_the_matrix_along(engine):
    gone = {frame.id for frame in frames_of(engine, "secret one")}
    first = similar.vectors(engine)
    assert gone <= set(first.ids)
    before = similar.stamp(engine)
    report = purge(engine, video="secret one", sure=sure)
    assert report.failures == ()
    assert not list((engine.root / similar.FOLDER).glob("*"))
    assert similar.stamp(engine) != before
    second = similar.vectors(engine)
    assert not gone & set(second.ids)
    assert np.allclose(np.linalg.norm(second.matrix, axis=1), 1.0, atol=1e-5)
