"""Where files that people ask for may lie: nowhere among the workspace's own."""

from __future__ import annotations

import pytest

from data_engine.app.dataset.dataset_diff import diff
from data_engine.app.lineage.lineage_show import show
from data_engine.app.merge.export_dry_run import try_export
from data_engine.app.outputs import output_key
from data_engine.app.rounds.report import report
from data_engine.errors import ConflictError, UsageError

OWN = (".dataengine/lineage.db", "dataengine.toml", "models/a/model.html", "master_dataset/v1.html", "hard_frames.txt")


@pytest.mark.parametrize("place", OWN)
def test_what_the_workspace_keeps_is_no_place_for_an_output(workspace, place):
    engine = workspace.open()
    target = engine.root / place
    before = target.read_bytes() if target.exists() else None
    for write in (
        lambda: show(engine, ["v1"], output=target),
        lambda: diff(engine, None, None, pictures=target),
        lambda: try_export(engine, pictures=target),
        lambda: report(engine, output=target),
    ):
        with pytest.raises((ConflictError, UsageError)):
            write()
    with pytest.raises(ConflictError, match="among the workspace's own files"):
        output_key(engine, "--output", target)
    assert (target.read_bytes() if target.exists() else None) == before


def test_elsewhere_it_may_be_anything_of_the_right_kind(workspace, tmp_path):
    engine = workspace.open()
    assert output_key(engine, "--output", engine.root / "notes" / "a.html", (".html",)) == "notes/a.html"
    assert engine.storage.path(output_key(engine, "--output", tmp_path / "b.txt")) == tmp_path / "b.txt"
    with pytest.raises(UsageError, match=r"--page .*a\.txt: name a \.html or \.htm file"):
        output_key(engine, "--page", tmp_path / "a.txt", (".html", ".htm"))
    with pytest.raises(UsageError, match="is a folder"):
        output_key(engine, "--page", tmp_path)
