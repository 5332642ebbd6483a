"""How many worker processes a command takes."""

from __future__ import annotations

import os

import pytest

from data_engine.executors.inline import InlineExecutor


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to CPUs")
def test_no_more_than_the_cpus_that_the_process_may_use(workspace, monkeypatch):
    engine = workspace.open()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2})
    assert engine.executor(0).workers == 3
    assert engine.executor(5).workers == 5
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {4})
    assert isinstance(engine.executor(0), InlineExecutor)
