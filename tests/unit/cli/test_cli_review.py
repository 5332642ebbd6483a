"""The options of ``review`` that are spelt in a form of their own."""

from __future__ import annotations

import pytest

from data_engine.types import Report


def test_a_rejection_takes_a_frame_s_number_and_a_box(app, run):
    seen = []
    app.set("review", reject=lambda engine, job, **given: seen.append((job, given)) or Report("seen"))
    assert run("review", "reject", "3", "--reason", "bad", "--frame", "5", "--box", "1,2.5, 30,40").code == 0
    place = (1.0, 2.5, 30.0, 40.0)
    assert seen == [(3, {"reason": "bad", "by": None, "frame": "5", "box": place})]


@pytest.mark.parametrize("box", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,nan,4", "1,2,0,4", "1,2,3,-4", ""])
def test_what_is_no_box_is_wrong_usage(app, run, box):
    app.set("review", reject=lambda engine, job, **given: Report("seen"))
    result = run("review", "reject", "3", "--reason", "bad", "--frame", "5", "--box", box)
    assert result.code == 2
    assert result.err == (
        f"error: --box {box}: not a box: left, top, width and height in pixels, as in 10,20,64,48\n"
        "hint: dataengine review reject --help\n"
    )


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["3", "4", "--to", "bo"], ((3, 4), "bo", None)),
        (["3", "--to", "bo", "--as", "reviewer"], ((3,), "bo", "reviewer")),
        (["3", "--to", ""], ((3,), "", None)),
    ],
)
def test_assign(app, run, words, given):
    seen = []
    app.set("review", assign=lambda engine, jobs, to, role: seen.append((jobs, to, role)) or Report("seen"))
    assert run("review", "assign", *words).code == 0
    assert seen == [given]


def test_an_audit_is_of_the_people_or_of_the_ground_truth(app, run):
    seen = []
    app.set("audit", audit=lambda engine, since: seen.append(since) or Report("seen"))
    app.set("ground_truth", ground_truth=lambda engine, share: seen.append(share) or Report("seen"))
    assert run("review", "audit").code == 0
    assert run("review", "audit", "--since", "2026-11-28").code == 0
    assert run("review", "audit", "--ground-truth", "0.05").code == 0
    assert seen == [None, "2026-11-28", 0.05]
    both = run("review", "audit", "--since", "2026-11-28", "--ground-truth", "0.05")
    assert (both.code, both.err.splitlines()[0]) == (2, "error: --since and --ground-truth do not go together")
    assert run("review", "audit", "--ground-truth", "2").code == 2


def test_probes_and_assignees_of_an_upload(app, run):
    app.set("upload", upload=lambda engine, **given: Report("seen"))
    assert run("upload", "--assignee", "a,b", "--assignee", "c", "--probes", "2%").code == 0
    assert app.engines[-1].overrides == {"upload": {"assignee": ("a", "b", "c"), "probes": 0.02}}
    refused = run("upload", "--probes", "half")
    assert (refused.code, refused.err.splitlines()[0]) == (
        2,
        "error: --probes half: the share of probes is at most 20% (2%, or 0.02)",
    )
