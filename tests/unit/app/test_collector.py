"""The cycle collector runs seldom inside a block, and as before after it, however that ends."""

from __future__ import annotations

import gc

import pytest

from data_engine.app.collector import seldom_collected


def test_it_runs_as_before_after_the_block_and_after_a_function_that_failed():
    before = gc.get_threshold()
    with seldom_collected():
        assert gc.get_threshold()[0] > 100 * before[0]
        assert gc.isenabled()
    assert gc.get_threshold() == before

    @seldom_collected()
    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert gc.get_threshold() == before


def test_of_blocks_that_overlap_the_last_one_to_end_brings_it_back():
    before = gc.get_threshold()
    one, other = seldom_collected(), seldom_collected()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert gc.get_threshold()[0] > 100 * before[0]
    other.__exit__(None, None, None)
    assert gc.get_threshold() == before
