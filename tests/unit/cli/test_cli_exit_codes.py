"""Every outcome has its exit code and its text."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from data_engine import errors
from data_engine.types import Failed, Report

CODES = {
    errors.DataEngineError: 1,
    errors.UsageError: 2,
    errors.UnknownPersonError: 2,
    errors.MissingInputError: 3,
    errors.DamagedInputError: 4,
    errors.MissingDependencyError: 5,
    errors.ServiceError: 6,
    errors.ConflictError: 7,
    errors.PartialFailureError: 8,
    errors.StorageFullError: 1,
}


def test_every_error_class_is_known_here():
    def below(cls):
        return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))

    assert {cls for cls in below(errors.DataEngineError) if cls.__module__ == "data_engine.errors"} == set(CODES)


@pytest.mark.parametrize(("kind", "code"), CODES.items(), ids=lambda value: getattr(value, "__name__", str(value)))
def test_an_expected_error_is_two_lines_and_a_code(app, run, kind, code):
    app.status(kind("frames_sampled is not there", hint="dataengine sample"))
    result = run("status")
    assert (result.code, result.out) == (code, "")
    assert result.err == "error: frames_sampled is not there\nhint: dataengine sample\n"
    assert app.engines[0].closed


def test_an_error_without_a_hint_is_one_line(app, run):
    app.status(errors.ConflictError("job 3 is held by ann"))
    assert run("status").err == "error: job 3 is held by ann\n"


def test_an_error_is_an_object_for_a_program(app, run):
    app.status(errors.ServiceError("no answer", hint="try again"))
    result = run("status", "--json")
    assert (result.code, result.out) == (6, "")
    assert json.loads(result.err) == {"error": "no answer", "hint": "try again", "code": 6}


def test_quiet_still_shows_errors_and_failures(app, run):
    app.notes = ["a remark"]
    app.status(errors.ServiceError("no answer"))
    assert run("status", "--quiet").err == "error: no answer\n"
    app.status(Report("did something", {"n": 1}, notes=("noted",), failures=(Failed("a b.mp4", "no video in it"),)))
    result = run("status", "-q")
    assert (result.code, result.out, result.err) == (8, "", "failed: a b.mp4: no video in it\n")


def test_failures_give_code_8_and_the_report_is_still_shown(app, run):
    app.status(Report("sampled 2 of 3 videos", failures=(Failed("c.mp4", "ends after 3.2 s of 10.0 s"),)))
    result = run("status")
    assert result.code == 8
    assert result.out == "sampled 2 of 3 videos\n"
    assert result.err == "failed: c.mp4: ends after 3.2 s of 10.0 s\n"


def test_a_bug_propagates(app, run):
    app.status(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run("status")
    assert app.engines[0].closed


def test_a_pipe_that_breaks_inside_is_a_bug_too(app, run):
    app.status(BrokenPipeError("a worker died"))
    with pytest.raises(BrokenPipeError, match="a worker died"):
        run("status")


def test_an_interruption_says_how_to_go_on(app, run):
    app.status(KeyboardInterrupt())
    result = run("status")
    assert (result.code, result.out) == (130, "")
    assert result.err == "interrupted; run the same command again to go on\n"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["sampel"], "there is no command 'sampel'; did you mean 'sample'?", "dataengine --help"),
        (["xyzzy"], "there is no command 'xyzzy'", "dataengine --help"),
        (
            ["--json", "status"],
            "no such option '--json' before the command",
            "a command's options stand after its name: dataengine status --json",
        ),
        (["review"], "missing command", "dataengine review --help"),
        (["review", "show"], "missing argument 'JOB'", "dataengine review show --help"),
        (["review", "reject", "3"], "missing option '--reason'", "dataengine review reject --help"),
        (["demo", "--rounds"], "option '--rounds' requires an argument", "dataengine demo --help"),
        (
            ["demo", "--rounds", "two"],
            "invalid value for '--rounds': 'two' is not a valid integer range",
            "dataengine demo --help",
        ),
    ],
)
def test_wrong_usage_is_one_clear_line(run, words, message, hint):
    result = run(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: {message}\nhint: {hint}\n"


def test_an_unknown_option_is_wrong_usage(run):
    result = run("status", "--workspaec", "x")
    assert result.code == 2
    assert result.err.startswith("error: no such option")
    assert "--workspaec" in result.err
    assert result.err.endswith("hint: dataengine status --help\n")


def test_no_words_at_all_show_the_help(run):
    result = run()
    assert result.code == 0
    assert result.out == run("--help").out
    assert result.err == ""


_SLOW_STATUS = """
import contextlib, os, signal, sys, time, types
import data_engine.app
class Engine:
    root, in_workspace, notes, told, settings = __import__("pathlib").Path("."), True, [], [], None
    readable = str
@contextlib.contextmanager
def open_engine(*args, **kwargs):
    try:
        yield Engine()
    finally:
        print("closed", file=sys.stderr)
def status(engine):
    {body}
fakes = {{"engine": {{"open_engine": open_engine, "STATE_FOLDER": "x"}}, "status": {{"status": status}}}}
for name, members in fakes.items():
    module = types.ModuleType("data_engine.app." + name)
    vars(module).update(members)
    sys.modules[module.__name__] = module
    setattr(data_engine.app, name, module)
from data_engine.cli.main import main
sys.exit(main(["status"]))
"""


def test_ctrl_c_in_a_real_process(tmp_path):
    program = _SLOW_STATUS.format(body='print("working", flush=True); time.sleep(60)')
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err == "closed\ninterrupted; run the same command again to go on\n"


def test_help_for_a_reader_that_leaves_early_is_no_error(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "data_engine", "--help"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    body = 'time.sleep(0.2); from data_engine.types import Report; return Report("x" * 100000, {"a": 1})'
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW_STATUS.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 141
    assert err == "closed\n"
