"""Filters and pages over all frames: the same frames as one finds by asking for each, none twice, none left out."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from test_lineage_purge import SETTINGS, sure

from data_engine.app.footage import frame_index
from data_engine.app.footage.frame_index import STATES, Wanted
from data_engine.app.lineage.lineage_purge import purge
from data_engine.lineage import choices, classes, datasets, footage


@pytest.fixture
def engine(workspace, round_once):
    shutil.copytree(round_once, workspace.root, dirs_exist_ok=True)
    return workspace.open(**SETTINGS)


def walked(index, wanted, size):
    """The frames of all pages, walked from the first to the last."""
    ids, given = [], {}
    while (shown := index.page(wanted, size, **given)).ids:
        assert shown.first == len(ids)
        ids += shown.ids
        given = {"after": ids[-1]}
    return ids


def walked_back(index, wanted, size):
    """The pages before each other, from the last frame on; the first page is full and may hold frames again."""
    ids = list(index.page(wanted, 10_000).ids[-1:])
    while True:
        shown = index.page(wanted, size, before=ids[0])
        if shown.first == 0:
            return [*shown.ids, *(frame_id for frame_id in ids if frame_id not in shown.ids)]
        assert len(shown.ids) == size
        ids = [*shown.ids, *ids]


def test_every_filter_finds_what_is_on_record(engine):
    index = frame_index.read(engine)
    with engine.database.read() as connection:
        frames = footage.frames_by_id(connection, index.ids)
        newest = datasets.latest(connection)
        held = datasets.frames_of(connection, newest.number)
        boxes = datasets.boxes_of(connection, newest.number)
        names = {c.id: c.name for c in classes.registry_at(connection, newest.number).categories}
        chosen = {row.frame_id: row.score for row in choices.latest(connection).frames}
    assert len(frames) == len(index.ids) == index.page(Wanted(), 1).total

    def found(**wanted):
        return set(index.page(Wanted(**wanted), 1000).ids)

    for camera in ("gate", "yard"):
        assert found(camera=camera) == {i for i, f in frames.items() if f.camera == camera} != set()
    for name in names.values():
        assert found(label=name) == {i for i, rows in boxes.items() if any(names[b.category_id] == name for b in rows)}
    for side in ("train", "valid"):
        assert found(state=side) == {i for i, row in held.items() if row.split == side}
    assert found(round=1) | found(round=2) == set(held)
    assert found(least=-1e9) >= set(chosen)
    middle = float(np.median(list(chosen.values())))
    assert {i for i in found(least=middle) if i in chosen} == {i for i, score in chosen.items() if score >= middle}
    assert found(camera="gate", state="train") == found(camera="gate") & found(state="train")
    assert found(name="OTHER") == {i for i, f in frames.items() if "other" in f.name}
    for nothing in ({"camera": "nowhere"}, {"label": "nothing"}, {"state": "strange"}, {"round": 99}, {"least": 1e9}):
        assert found(**nothing) == set()


@pytest.mark.parametrize("order", ["name", "score"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_pages_follow_each_other_in_both_directions(engine, order, size):
    index = frame_index.read(engine)
    wanted = Wanted(order=order)
    everything = list(index.page(wanted, 1000).ids)
    assert len(everything) == len(set(everything)) > 3
    assert walked(index, wanted, size) == everything
    assert walked_back(index, wanted, size) == everything
    if order == "score":
        scores = [index.score[index.rows[frame_id]] for frame_id in everything]
        assert scores == sorted(scores, reverse=True)
    else:
        names = [index.names[index.rows[frame_id]] for frame_id in everything]
        assert names == sorted(names)


def test_a_page_goes_on_where_its_frame_was_though_that_one_left_the_filter(engine):
    index = frame_index.read(engine)
    everything = index.page(Wanted(), 1000).ids
    only = Wanted(camera=index.cameras[index.camera[0]])
    other = next(i for i in everything if index.camera[index.rows[i]] != index.camera[0])
    expected = [i for i in index.page(only, 1000).ids if index.rows[i] > index.rows[other]]
    assert list(index.page(only, 1000, after=other).ids) == expected
    assert index.page(only, 1000, after="f" * 32).first == 0


def test_what_was_purged_is_in_no_new_index(engine):
    before = frame_index.read(engine)
    purge(engine, video="secret one", sure=sure)
    after = frame_index.read(engine)
    assert len(before.ids) - len(after.ids) == 3
    assert not [name for name in after.names if name.startswith("secret")]


def test_states_are_told_once_each():
    assert len(set(STATES)) == len(STATES) < 128
