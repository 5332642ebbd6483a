"""Accounts of the pages, where people annotate in them: who has one, and what that says of jobs."""

from __future__ import annotations

import json

import pytest

from data_engine.annotation import accounts
from data_engine.app.annotation import review, team
from data_engine.app.annotation.upload import upload
from data_engine.app.annotation.who import known
from data_engine.errors import ConflictError, MissingInputError, UnknownPersonError, UsageError


@pytest.fixture
def engine(workspace, monkeypatch):
    """Two jobs of two frames, nobody's."""
    monkeypatch.setattr(accounts, "_N", 2**4)
    opened = workspace.open(upload={"job_size": 2})
    upload(opened, frames=workspace.draw("in", range(4)))
    return opened


def test_an_account_is_made_and_its_password_shown_once(engine):
    report = team.add_person(engine, " anna ", "anna@example.com", "annotator")
    (row,) = report.rows
    assert (row["name"], row["role"]) == ("anna", "annotator")
    assert row["password"] not in json.dumps([report.title, report.data, report.notes, report.next])
    assert team.accounts_of(engine).checked("anna", row["password"]) is not None
    assert report.next == "dataengine upload --assignee anna"
    with pytest.raises(ConflictError, match="already"):
        team.add_person(engine, "Anna", "other@example.com", "admin")


def test_a_password_that_is_given_is_not_shown(workspace, engine):
    again = workspace.open(team={"password": "given by hand"})
    report = team.add_person(again, "ada", "ada@example.com", "admin")
    assert "password" not in report.rows[0]
    assert "ada has an account as an admin" in report.title
    assert team.accounts_of(again).checked("ada", "given by hand") is not None
    assert "password" not in team.set_password(again, "ada").rows[0]


@pytest.mark.parametrize(("name", "email"), [("", "a@b"), ("a b", "a@b"), ("anna", "nowhere"), ("anna", "@x")])
def test_what_is_no_name_or_address(engine, name, email):
    with pytest.raises(UsageError, match="not a"):
        team.add_person(engine, name, email, "annotator")
    assert team.accounts_of(engine).all() == ()


def test_passwords_tokens_and_removal(engine):
    team.add_person(engine, "anna", "anna@example.com", "annotator")
    password = team.set_password(engine, "anna").rows[0]["password"]
    assert team.accounts_of(engine).checked("anna", password) is not None
    made = team.make_token(engine, "anna")
    token = made.rows[0]["token"]
    assert token not in json.dumps([made.title, made.data, made.notes])
    assert team.accounts_of(engine).of_token(token).name == "anna"
    team.make_token(engine, "anna", revoke=True)
    assert team.accounts_of(engine).of_token(token) is None
    assert "served to this machine only" in team.remove_person(engine, "anna").notes[0]
    for change in (team.set_password, team.remove_person, team.make_token):
        with pytest.raises(MissingInputError, match="there is no account 'anna'"):
            change(engine, "anna")


def test_without_accounts_any_name_takes_jobs(engine):
    review.assign(engine, [1], "whoever")
    assert engine.backend().job(1).assignee == "whoever"
    assert engine.backend().people() == []


def test_with_accounts_jobs_are_given_to_those_who_have_one(engine):
    review.assign(engine, [1], "before")
    team.add_person(engine, "anna", "anna@example.com", "annotator")
    backend = engine.backend()
    review.assign(engine, [2], "ANNA@example.com")
    assert backend.job(2).assignee == "anna"
    with pytest.raises(UnknownPersonError, match="bert"):
        review.assign(engine, [2], "bert")
    with pytest.raises(UnknownPersonError, match="bert"):
        backend.update_job(2, assignee="bert")
    assert backend.job(2).assignee == "anna"
    # Who had a job before there were accounts is still known by name.
    assert known(engine, backend, "before") == "before"
    rows = {row["name"]: row for row in team.list_people(engine).rows}
    assert (rows["anna"]["role"], rows["anna"]["email"]) == ("annotator", "anna@example.com")
    assert rows["before"]["to_annotate"] == 1


def test_a_rejected_job_of_one_who_left_is_nobody_s(engine):
    for name, role in (("anna", "annotator"), ("rita", "reviewer")):
        team.add_person(engine, name, f"{name}@example.com", role)
    review.assign(engine, [1], "anna")
    review.submit(engine, 1, by="anna")
    team.remove_person(engine, "anna")
    report = review.reject(engine, 1, "wrong", by="rita")
    assert "back with nobody" in report.title
    assert engine.backend().job(1).assignee is None


def test_upload_gives_jobs_to_accounts_only(workspace, engine):
    team.add_person(engine, "anna", "anna@example.com", "annotator")
    more = workspace.draw("more", range(10, 14))
    with pytest.raises(UsageError, match="nobody on the annotation server is called 'bert'"):
        upload(workspace.open(upload={"assignee": ("bert",)}), frames=more)
    upload(workspace.open(upload={"assignee": ("ANNA",)}), frames=more)
    assert engine.backend().jobs()[-1].assignee == "anna"
