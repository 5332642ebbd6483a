"""Reports with several tables, and with more rows than are held."""

from __future__ import annotations

import json

from data_engine.cli.output import write_report
from data_engine.types import Report


def written(report: Report, capsys, *, as_json: bool) -> str:
    assert write_report(report, as_json=as_json, quiet=False, told=("told before",)) == 0
    return capsys.readouterr().out


def test_tables_stand_under_their_names_above_the_rows(capsys):
    report = Report("title", {"a": 1}, ({"x": 1},), tables={"per_class": ({"n": 1},), "nothing": ()})
    assert written(report, capsys, as_json=False) == "title\na: 1\n\nper class:\nn\n1\n\nx\n1\n"
    told = json.loads(written(report, capsys, as_json=True))
    assert (told["per_class"], told["nothing"], told["rows"]) == ([{"n": 1}], [], [{"x": 1}])


def test_rows_are_written_as_they_are_made(capsys):
    at_once = []

    def rows():
        for number in range(3):
            at_once.append(len(capsys.readouterr().out))
            yield {"n": number, "places": (1.5, float("nan"))}

    report = Report("title", {"a": {"b": None}}, ({"n": 0},), every_row=rows, next="more")
    text = written(report, capsys, as_json=True)
    # What was written before a row was made has left already; the rest is the end of the line.
    assert text.endswith("]}\n")
    assert at_once[0] > 0
    assert all(at_once)


def test_they_are_one_json_object_with_all_that_a_report_has(capsys):
    report = Report("title", {"a": 1}, ({"n": 0},), every_row=lambda: ({"n": n} for n in range(3)), next="more")
    told = json.loads(written(report, capsys, as_json=True))
    plain = json.loads(
        written(Report("title", {"a": 1}, ({"n": 0}, {"n": 1}, {"n": 2}), next="more"), capsys, as_json=True)
    )
    assert told == plain
    assert told["notes"] == ["told before"]
    none = json.loads(written(Report("title", every_row=lambda: ()), capsys, as_json=True))
    assert none["rows"] == []
    assert written(report, capsys, as_json=False) == "title\na: 1\nn\n0\nnext: more\n"
