"""What is kept of a workspace: made anew when it changed, never waited for where that takes long."""

from __future__ import annotations

import threading

import pytest

from data_engine.app.pages.kept import Kept, KeptEach
from data_engine.errors import MissingInputError
from data_engine.lineage.change_stamp import change_stamp
from data_engine.lineage.database import upsert
from data_engine.lineage.tables import videos


def touch(database, number: int) -> None:
    with database.write() as connection:
        row = {"id": f"{number:032x}", "key": "k", "name": "n", "camera": "c", "size_bytes": 1, "width": 1, "height": 1}
        upsert(connection, videos, [{**row, "codec": "h264"}])


def test_another_stamp_after_every_write_and_the_same_after_reads(database):
    seen = [change_stamp(database)]
    for number in range(3):
        touch(database, number)
        seen.append(change_stamp(database))
        with database.read() as connection:
            assert connection.execute(videos.select()).all()
    assert len(set(seen)) == 4
    assert change_stamp(database) == seen[-1]


def test_it_is_made_anew_only_when_something_was_written(workspace):
    engine = workspace.open()
    made = []
    kept = Kept(lambda own: made.append(own) or len(made), share=1.0)
    assert kept.get(engine, wait_s=30).value == 1
    assert kept.get(engine, wait_s=30).value == 1
    touch(engine.database, 1)
    assert kept.get(engine, wait_s=30).value == 2
    # Each time with an engine of its own, which is closed then.
    assert len({id(own) for own in made} | {id(engine)}) == 3


def test_who_asks_gets_what_there_is_while_the_next_is_made(workspace):
    engine = workspace.open()
    go_on, asked = threading.Event(), []

    def slow(_own):
        asked.append(1)
        assert go_on.wait(30)
        return len(asked)

    kept = Kept(slow, share=1.0)
    assert kept.get(engine, wait_s=0.01) is None
    assert kept.get(engine, wait_s=0.01) is None
    go_on.set()
    assert kept.get(engine, wait_s=30).value == 1
    go_on.clear()
    touch(engine.database, 1)
    assert kept.get(engine, wait_s=0.01).value == 1
    go_on.set()
    assert kept.get(engine, wait_s=30).value in (1, 2)
    assert len(asked) == 2


def test_an_error_is_told_until_it_can_be_made(workspace):
    engine = workspace.open()
    wrong = [MissingInputError("there is nothing yet")]

    def make(_own):
        if wrong:
            raise wrong.pop()
        return "something"

    kept = Kept(make, share=1.0)
    with pytest.raises(MissingInputError, match="nothing yet"):
        kept.get(engine, wait_s=30)
    touch(engine.database, 1)
    assert kept.get(engine, wait_s=30).value == "something"


def test_of_many_those_that_were_asked_for_last_are_kept(workspace):
    engine = workspace.open()
    made = []
    each = KeptEach(lambda _own, key: made.append(key) or key, stamp=lambda _engine: "", most=2)
    for key in ("a", "b", "a", "c", "a", "b"):
        assert each.get(engine, key, wait_s=30).value == key
    assert made == ["a", "b", "c", "b"]
