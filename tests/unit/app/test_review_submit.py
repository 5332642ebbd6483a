"""``review submit``: what people type wrongly."""

from __future__ import annotations

import pytest
from two_tasks import two_jobs

from data_engine.app.annotation.review import submit
from data_engine.errors import MissingInputError, UsageError


def test_the_number_of_a_second_job_is_no_file(workspace, monkeypatch):
    engine, one, two = two_jobs(workspace, 1)
    monkeypatch.chdir(engine.root)
    with pytest.raises(UsageError, match="jobs are submitted one by one") as caught:
        submit(engine, one, file=type(engine.root)(str(two)))
    assert caught.value.hint == f"dataengine review submit {one}; then dataengine review submit {two}"
    with pytest.raises(MissingInputError, match=r"boxes\.json is not there"):
        submit(engine, one, file=engine.root / "boxes.json")
