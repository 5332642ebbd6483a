"""What ``dataset diff`` says of classes: renamed, merged, come and gone, in either direction."""

from __future__ import annotations

import pytest

from data_engine.app.annotation.upload import upload
from data_engine.app.classes import class_changes
from data_engine.app.dataset.dataset_diff import diff
from data_engine.app.merge.export import export


@pytest.fixture
def engine(workspace):
    made = workspace.open(upload={"task_size": 4, "job_size": 2, "assignee": ["ann@example.com"]})
    upload(made, frames=workspace.draw("in", range(4)))
    workspace.annotate(made)
    export(made)
    return made


def test_a_version_that_only_renamed_a_class_says_so(engine):
    class_changes.rename(engine, "helmet", "hard hat", by="lea", reason="as the customer says")
    report = diff(engine)
    assert report.title == "v1 -> v2: they hold the same boxes; 1 class renamed: helmet -> hard hat"
    (row,) = report.tables["class_changes"]
    assert {name: row[name] for name in row if name != "at"} == {
        "class": "helmet",
        "change": "renamed",
        "to": "hard hat",
        "by": "lea",
        "reason": "as the customer says",
    }
    assert row["at"]
    assert diff(engine, "v2", "v1").title.endswith("1 class renamed: hard hat -> helmet")
    # There and back again is no difference.
    class_changes.rename(engine, "hard hat", "helmet")
    assert diff(engine, "v1", "v3").title == "v1 -> v3: they hold the same boxes"
    assert diff(engine, "v1", "v3").tables["class_changes"] == ()


def test_a_class_that_another_took_in_says_which(engine):
    class_changes.merge(engine, ["helmet"], "person")
    report = diff(engine)
    assert report.title.endswith("; 1 class listed no more: helmet -> person")
    assert report.data["boxes_reclassified"] > 0
    assert diff(engine, "v2", "v1").title.endswith("; 1 class listed: helmet")
