"""The loop's order is one: table, scripts and help agree, and the scripts take the commands' options."""

from __future__ import annotations

import importlib
import os
import re
import runpy
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import data_engine
from data_engine.cli.main import main
from data_engine.stages import COMMANDS, FLOW, OTHERS
from data_engine.types import Report

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
NUMBERED = [step for step in FLOW if step.number is not None]


def test_numbers_count_from_one():
    assert [step.number for step in NUMBERED] == list(range(1, 8))
    assert all(step.number is None and not step.script for step in OTHERS)
    names = [step.command for step in COMMANDS]
    assert len(names) == len(set(names))


def test_scripts_are_the_numbered_steps():
    assert sorted(path.name for path in SCRIPTS.glob("*.py")) == [step.script for step in NUMBERED]
    for step in NUMBERED:
        assert step.script.startswith(f"{step.number:02}_")
        assert os.access(SCRIPTS / step.script, os.X_OK)


def test_the_help_lists_the_commands_in_the_table_s_order(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    listed = re.findall(r"^  ([1-9 ]) ([a-z]+) {2,}(\S.*)$", text, re.MULTILINE)
    assert [(number.strip(), name, help) for number, name, help in listed] == [
        (str(step.number or ""), step.command, step.help) for step in COMMANDS
    ]


@pytest.mark.parametrize("step", COMMANDS, ids=lambda step: step.command)
def test_every_command_explains_itself(step, capsys):
    assert main([step.command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: dataengine {step.command} ")
    assert " ".join(step.help.split()) in " ".join(text.split())
    if step.script:
        assert f"scripts/{step.script}" in " ".join(text.split())


@pytest.mark.parametrize("step", NUMBERED, ids=lambda step: step.script)
def test_a_script_is_its_command(step, capsys):
    assert main([step.command, "--help"]) == 0
    of_command = capsys.readouterr().out
    assert _run_script(step.script, "--help") == 0
    assert capsys.readouterr().out == of_command


def test_the_version_is_the_package_s():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == data_engine.__version__
    assert project["scripts"] == {"dataengine": "data_engine.cli.main:main"}


CALLS: list[tuple[str, str, dict[str, Any], dict[str, dict[str, Any]]]] = [
    (
        "01_sample_frames.py --input videos_raw/ --output frames_sampled/ --method scene-change --threshold 0.85"
        " --limit 100",
        "sample",
        {"inputs": (Path("videos_raw"),), "output": Path("frames_sampled"), "duration_s": None},
        {"sample": {"method": "scene-change", "threshold": 0.85, "limit": 100}},
    ),
    (
        "02_run_active_learning_filter.py --input frames_sampled/ --model models/rfdetr_best.onnx"
        " --confidence-threshold 0.4 --output hard_frames.txt",
        "filter",
        {
            "input": Path("frames_sampled"),
            "model": Path("models/rfdetr_best.onnx"),
            "second_model": None,
            "output": Path("hard_frames.txt"),
        },
        {"filter": {"confidence_threshold": 0.4}},
    ),
    (
        "03_generate_preannotations.py --frames hard_frames.txt --model models/rfdetr_best.onnx"
        " --output preannotations/hard_frames_preanno.json",
        "preannotate",
        {
            "frames": Path("hard_frames.txt"),
            "model": Path("models/rfdetr_best.onnx"),
            "output": Path("preannotations/hard_frames_preanno.json"),
        },
        {},
    ),
    (
        "04_manage_cvat_tasks.py --task-name Batch_01_CCTV --frames frames_hard_to_annotate/"
        " --preannotations preannotations/hard_frames_preanno.json --assignee annotator@company.com",
        "upload",
        {
            "frames": Path("frames_hard_to_annotate"),
            "preannotations": Path("preannotations/hard_frames_preanno.json"),
        },
        {"upload": {"task_name": "Batch_01_CCTV", "assignee": ("annotator@company.com",)}},
    ),
    (
        "05_export_and_merge.py --task-id 123 --output master_dataset/master_dataset_v2.json",
        "export",
        {"task_id": 123, "output": Path("master_dataset/master_dataset_v2.json"), "ask": None},
        {},
    ),
    (
        "06_convert_to_yolo.py --input master_dataset/train.json --output final_labels/yolo/train/",
        "convert",
        {"input": Path("master_dataset/train.json"), "output": Path("final_labels/yolo/train"), "images": None},
        {"convert": {"format": "yolo"}},
    ),
    ("07_retrain.py", "retrain", {"data": None, "output": None}, {}),
]


@pytest.mark.parametrize(("line", "command", "arguments", "overrides"), CALLS, ids=lambda value: str(value)[:10])
def test_the_documented_calls(line, command, arguments, overrides, monkeypatch, tmp_path, capsys):
    """Every call reaches the function of its command with these arguments and settings."""
    import data_engine.app.engine as engine_module

    (file,) = Path(engine_module.__file__).parent.rglob(f"{command}.py")
    module = importlib.import_module(f"data_engine.app.{file.parent.name}.{command}")
    function = "filter_frames" if command == "filter" else command
    seen: dict[str, Any] = {}
    opened = engine_module.open_engine

    def open_engine(start, **options):
        seen["overrides"] = options["overrides"]
        return opened(start, **options)

    def call(engine, **given):
        seen["arguments"] = given
        for section, values in overrides.items():
            for name, value in values.items():
                assert getattr(getattr(engine.settings, section), name) == value
        return Report("seen")

    monkeypatch.setattr(engine_module, "open_engine", open_engine)
    monkeypatch.setattr(module, function, call)
    monkeypatch.chdir(tmp_path)
    assert _run_script(*line.split()) == 0
    assert capsys.readouterr().out == "seen\n"
    assert seen == {"arguments": arguments, "overrides": overrides}


def _run_script(name: str, *words: str) -> int:
    before = sys.argv
    sys.argv = [name, *words]
    try:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    except SystemExit as done:
        return int(done.code or 0)
    finally:
        sys.argv = before
    raise AssertionError(f"{name} did not exit")
