"""What people, networks and clocks do while the command line works with a CVAT server: nothing lost or doubled."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from data_engine.cli.main import main

pytest.importorskip("cvat_sdk")
from cvat_server import ADMIN, CvatServer
from cvat_server.answers import Answer
from cvat_team import PASSWORD, UPLOAD, WHOLE, Team, draw

pytestmark = pytest.mark.required


# --- in the middle of the work ----------------------------------------------------------------------------------------


def test_a_network_that_wants_a_login_first(team: Team) -> None:
    """Pages with status 200 come in place of answers, from any request on: no traceback, and nothing twice."""
    team.set(patience="0.3")
    for skip in range(1, 40, 3):
        team.server.faults.reset(0)
        team.server.faults.add("page", skip=skip, method="GET|POST|PUT|PATCH")
        said = team.run("upload", *UPLOAD, "--task-size", "2", code=None)
        if "error" not in said:
            break
        assert said["code"] == 6
        assert "answers with a web page in place of data: Guest network: please log in" in said["error"]
        assert "run the same command again" in said["hint"]
    else:
        raise AssertionError("it never ends")
    assert skip > 14
    team.server.faults.reset(0)
    team.upload("--task-size", "2")
    assert team.held() == WHOLE


@pytest.mark.parametrize("end", ["ended", "another cookie"])
def test_a_session_that_ends_in_the_middle(team: Team, end: str) -> None:
    """At every request of an upload: another login, and it goes on."""
    sessions, answer, passed = team.server.state.sessions, team.server.answer, 0

    def spoiled(call: Any) -> Any:
        nonlocal passed
        if "/auth/" not in call.path and "/about" not in call.path and (end == "ended" or call.method != "GET"):
            passed += 1
            if passed % 2 and end == "ended":
                sessions.clear()
            elif passed % 2:
                sessions.update({session: (user, "another") for session, (user, _csrf) in sessions.items()})
        return answer(call)

    team.server.answer = spoiled  # type: ignore[method-assign]
    team.upload()
    assert team.held() == WHOLE
    assert len(team.server.requests("POST", "/api/auth/login")) > 5


def test_a_password_that_is_changed_in_the_middle(team: Team) -> None:
    state, answer = team.server.state, team.server.answer

    def changed(call: Any) -> Any:
        if call.path.endswith("/data/") and "upload-finish" in call.headers:
            state.sessions.clear()
            state.user_named(ADMIN[0]).password = "another-password-1"
        return answer(call)

    team.server.answer = changed  # type: ignore[method-assign]
    assert "does not know admin with this password" in team.refused("upload", *UPLOAD, code=2)
    team.server.answer = answer  # type: ignore[method-assign]
    team.set(password="another-password-1")
    team.upload()
    assert team.held() == WHOLE


@pytest.mark.parametrize("gone", ["task", "project", "label"])
def test_what_is_removed_while_a_task_is_made(team: Team, gone: str) -> None:
    state, answer, done = team.server.state, team.server.answer, False

    def removing(call: Any) -> Any:
        nonlocal done
        if not done and call.method == "PUT":
            done = True
            with state.lock:
                if gone == "task":
                    state.drop_task(max(state.tasks))
                elif gone == "project":
                    for task in list(state.tasks):
                        state.drop_task(task)
                    state.projects.clear()
                    state.labels.clear()
                else:
                    del state.labels[min(state.labels)]
        return answer(call)

    team.server.answer = removing  # type: ignore[method-assign]
    said = team.refused("upload", *UPLOAD, code=7)
    assert "changed there while task 'Batch_01' was made" in said
    assert said.endswith("| run the same command again: it goes on where it was")
    team.upload()
    assert team.held() == WHOLE


def test_boxes_that_are_still_being_drawn(team: Team) -> None:
    """Two requests for the same boxes that overlap leave them twice on a real server: of the late one nothing stays."""
    answer, puts = team.server.answer, []

    def slow(call: Any) -> Any:
        if call.method != "PUT":
            return answer(call)
        puts.append(call)
        if len(puts) == 1:
            return Answer(504, b"", None)
        made = answer(call)
        # The first one comes to its end only now.
        answer(replace(puts[0], method="PATCH", query=[("action", "create")]))
        return made

    team.server.answer = slow  # type: ignore[method-assign]
    team.patch.setattr("data_engine.annotation.cvat.proposals._PAUSES_S", (0.01,))
    assert team.upload()["proposed_boxes"] == 8
    assert len(puts) == 2
    assert team.held() == WHOLE


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("largest", [6_000, 1_500])
def test_requests_larger_than_what_stands_before_the_server_takes(new_team: Any, largest: int) -> None:
    """nginx refuses bodies over ``client_max_body_size``: pictures go in parts, one that is larger by itself can't."""
    with CvatServer(seed=1, largest_request=largest) as server:
        team = new_team(server)
        sizes = [path.stat().st_size for path in (team.folder / "in").iterdir()]
        assert max(sizes) < 6_000 < sum(sizes)
        assert max(sizes) > 1_500
        if largest == 6_000:
            team.upload()
            assert 413 in {row["status"] for row in server.requests("POST", "/data/")}
        else:
            said = team.refused("upload", *UPLOAD, code=4)
            assert "is larger than the CVAT server" in said
            assert "client_max_body_size" in said
            assert team.tasks() == []
            server.largest_request = None
            team.upload()
        assert team.held() == WHOLE


def test_frames_of_one_name(team: Team) -> None:
    """Of two cameras, say; on the server every name carries the frame's id, so that boxes come back to their frame."""
    for number, camera in enumerate(("gate", "yard"), 50):
        draw(team.folder / "two" / camera / "same.jpg", number)
    team.run("upload", "--frames", "two")
    (task,) = team.tasks()
    assert len(set(task["frames"])) == 2
    team.accept()
    assert team.run("export")["frames"] == 2


# --- labels, tasks and projects that people change --------------------------------------------------------------------


def test_a_label_that_is_removed_before_the_upload_comes_back(team: Team) -> None:
    draw(team.folder / "first" / "a.jpg", 90)
    team.run("upload", "--frames", "first")
    team.relabel("helmet", deleted=True)
    team.upload()
    assert {label.name for label in team.server.state.labels.values()} == {"person", "helmet"}
    assert team.held() == (5, 8)


def test_a_label_that_is_removed_after_the_acceptance(team: Team) -> None:
    """Its boxes are gone from accepted jobs: merged, they would teach that there is none of it."""
    team.upload()
    team.accept(0)
    team.relabel("helmet", deleted=True)
    gone = "label 'helmet' of its task gone from the annotation server"
    assert gone in team.run("export", code=4)["error"]
    team.run("sync")
    assert gone in team.run("export", code=4)["error"]
    # Whoever puts it back has to look at what was lost.
    team.relabel_project({"name": "helmet", "type": "rectangle"})
    assert "none of 2 jobs" in team.run("export", code=3)["error"]
    assert [(job.stage, job.state) for job in team.server.state.jobs.values()] == [
        ("validation", "new"),
        ("annotation", "new"),
    ]


def test_a_label_that_is_removed_during_the_review(team: Team) -> None:
    team.upload()
    team.ask("PATCH", "/api/jobs/1", {"stage": "validation", "state": "completed"})
    team.relabel("helmet", deleted=True)
    report = team.run("sync", "--export", code=8)
    assert "label 'helmet' of its task gone" in report["failures"][0]["reason"]
    assert report["a_label_is_gone"] == 1
    assert team.server.state.jobs[1].state == "new"


def test_a_label_with_another_name(team: Team) -> None:
    team.upload()
    team.accept()
    team.relabel("helmet", name="hard hat")
    assert "label 'helmet' of its task gone" in team.run("export", code=4)["error"]
    team.relabel("hard hat", name="helmet")
    # The server moved the dates of all jobs, and nobody knows what else was changed: people look once more.
    team.run("export", code=3)
    team.accept()
    assert team.run("export")["boxes"] == 8


def test_a_label_that_is_removed_from_what_is_in_the_dataset(team: Team) -> None:
    team.upload()
    team.accept()
    team.run("export")
    team.relabel("helmet", deleted=True)
    report = team.run("export")
    assert (report["frames"], report["jobs_back_to_review"]) == (0, 2)


def test_tasks_and_projects_that_are_removed(team: Team) -> None:
    team.upload("--task-size", "2")
    team.accept()
    team.run("export", "--task-id", "1")
    for task in (1, 2):
        team.ask("DELETE", f"/api/tasks/{task}")
    for words in (("export",), ("export", "--task-id", "2")):
        assert "upload --again" in team.refused(*words, code=3)
    assert team.run("sync")["lost_tasks"] == [1, 2]
    assert "lost on the server: task 1, 2" in json.dumps(team.run("status"))
    # It is nobody's wish to have it again before somebody says so.
    assert team.upload()["tasks"] == 0
    assert team.run("upload", "--again", "1")["frames"] == 2
    (project,) = team.server.state.projects
    team.ask("DELETE", f"/api/projects/{project}")
    assert team.run("status")["rows"]
    for task in (2, 3):
        team.run("upload", "--again", str(task))
    assert team.held() == WHOLE
    assert "task 3 was made anew before: it is task 5 now" in team.refused("upload", "--again", "3", code=7)
    team.accept()
    assert team.run("export")["boxes"] == 8


def test_a_project_with_another_name(team: Team) -> None:
    team.upload()
    (project,) = team.server.state.projects
    team.ask("PATCH", f"/api/projects/{project}", {"name": "renamed by somebody"})
    draw(team.folder / "more" / "a.jpg", 70)
    assert team.run("upload", "--frames", "more")["tasks"] == 1
    assert list(team.server.state.projects) == [project]
    team.accept()
    assert team.run("export")["frames"] == 5


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-30, 30])
def test_clocks_that_differ(new_team: Any, hours: int) -> None:
    """The server's dates are compared with each other only: an edit after acceptance is noticed by any clock."""
    with CvatServer(seed=1, ahead=timedelta(hours=hours)) as server:
        team = new_team(server)
        for name in ("anna", "ben"):
            server.state.add_user(name, PASSWORD, email=f"{name}@example.org")
        team.upload("--assignee", "anna")
        for number in (1, 2):
            team.ask("PATCH", f"/api/jobs/{number}", {"state": "completed"})
        assert team.run("sync", "--reviewer", "ben")["to_review"] == 2
        for number in (1, 2):
            team.ask("PATCH", f"/api/jobs/{number}", {"state": "completed"})
        assert team.run("sync", "--reviewer", "ben", "--export")["dataset_version"] == "v1"
        assert team.run("export")["new"] is False
        shapes = team.ask("GET", "/api/jobs/1/annotations")
        del shapes["shapes"][0]
        team.ask("PUT", "/api/jobs/1/annotations", shapes)
        report = team.run("export")
        assert (report["jobs_back_to_review"], report["frames"]) == (1, 2)
        assert team.run("status")["rows"]


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_are_nowhere(team: Team) -> None:
    """Neither in what the commands print nor in any file of the workspace, also of those that fail."""
    value = team.ask("POST", "/api/auth/access_tokens", {"name": "t", "read_only": False})["value"]
    secrets = {"cvat-webhook-secret-of-the-tests", ADMIN[1], value, "guessed-password", "guessed-token"}
    printed = ""
    team.set(webhook_secret="cvat-webhook-secret-of-the-tests")

    def say(*words: str) -> None:
        nonlocal printed
        main([*words, "--verbose", "--log-level", "debug"])
        printed += "".join(team._capture.readouterr())

    for given in ({"password": "guessed-password"}, {"password": ADMIN[1]}, {"token": "guessed-token"}):
        team.set(**{"token": None, **given})
        say("upload", *UPLOAD)
    team.set(token=value)
    team.server.faults.mix(0.1, seconds=0.01)
    say("upload", *UPLOAD)
    team.server.faults.reset(0)
    team.accept()
    for words in (("export",), ("sync",), ("status",), ("review", "list"), ("doctor",)):
        say(*words)
    say("webhook", "register", "--url", "http://127.0.0.1:9/")
    for path in team.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in data], path
    assert not [secret for secret in secrets if secret in printed]
    assert "does not know admin" in printed
