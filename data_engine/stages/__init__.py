"""The steps of the loop, one file a stage, and their order as a table.

Help, scripts, workspace folders and documentation all take the loop's order from :data:`FLOW`, and a test compares
them.  The table is plain text on purpose: ``dataengine --help`` reads it and must not load a stage for that.
"""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """One command of ``dataengine``; a step of the loop also says what it turns into what, and where."""

    command: str
    help: str
    """One line, for the list of commands."""
    number: int | None = None
    """Place in the loop and in the script's name; None for a command without one."""
    consumes: str = ""
    produces: str = ""
    places: tuple[str, ...] = ()
    """Where the product lies, relative to the workspace: folders end with ``/``."""
    script: str = ""
    """File name below ``scripts/``."""


FLOW: tuple[Step, ...] = (
    Step(
        "ingest",
        "Register videos; find their borders and near-duplicates.",
        None,
        "files and folders",
        "videos, probed and deduplicated",
        ("videos_raw/",),
    ),
    Step(
        "sample",
        "Keep the frames of the videos in which something changed.",
        1,
        "videos",
        "frames",
        ("frames_sampled/",),
        "01_sample_frames.py",
    ),
    Step(
        "filter",
        "Choose the hard frames, those worth a person's time.",
        2,
        "frames and a model",
        "hard frames, ranked, with a reason each",
        ("hard_frames.txt", "frames_hard_to_annotate/"),
        "02_run_active_learning_filter.py",
    ),
    Step(
        "preannotate",
        "Let the model propose boxes on the hard frames.",
        3,
        "hard frames and a model",
        "pre-annotations in COCO",
        ("preannotations/",),
        "03_generate_preannotations.py",
    ),
    Step(
        "upload",
        "Make annotation tasks of the hard frames and their proposals.",
        4,
        "hard frames and pre-annotations",
        "annotation tasks",
        (),
        "04_manage_cvat_tasks.py",
    ),
    Step(
        "review",
        "List, show, assign, accept or reject annotation jobs; audit.",
        None,
        "finished jobs",
        "accepted or rejected jobs",
    ),
    Step(
        "sync",
        "Move finished jobs on: to review, to acceptance, or back.",
        None,
        "finished jobs",
        "jobs at their next stage",
    ),
    Step(
        "export",
        "Merge the accepted jobs into a new dataset version.",
        5,
        "accepted jobs only",
        "a dataset version with its train and valid splits",
        ("cvat_exports/", "master_dataset/"),
        "05_export_and_merge.py",
    ),
    Step(
        "convert",
        "Write a dataset version as training folders (YOLO, RF-DETR).",
        6,
        "a dataset version",
        "training folders",
        ("final_labels/",),
        "06_convert_to_yolo.py",
    ),
    Step(
        "retrain",
        "Train a model, evaluate it, and use it if it is better.",
        7,
        "training folders",
        "a registered, evaluated model",
        ("models/",),
        "07_retrain.py",
    ),
)
"""The loop, in order."""

OTHERS: tuple[Step, ...] = (
    Step("init", "Make a workspace in a folder."),
    Step("run", "Walk the loop from where it stands to where a person is needed."),
    Step("status", "Show where the loop stands and what comes next."),
    Step("serve", "Serve the pages to annotate, review and look around."),
    Step("report", "Write one page: what each round cost and brought."),
    Step("evaluate", "Measure a model, or two side by side, with intervals."),
    Step("dataset", "See, compare, check and restore the dataset's versions."),
    Step("classes", "See and change what may be labelled; older versions stay."),
    Step("promote", "Put a model in use if it is shown to be better, or go back."),
    Step("models", "List, show, export and thin out the trained models."),
    Step("lineage", "Tell what a box, frame, video or model comes from, and led to."),
    Step("webhook", "Move jobs on as soon as the annotation server tells."),
    Step("team", "List the people who annotate and review; make accounts."),
    Step("simulate", "Replay known labels: which strategy would have paid."),
    Step("embed", "Describe the frames by vectors that tell which are alike."),
    Step("demo", "Watch the loop turn twice on footage drawn on the spot."),
    Step("doctor", "Check this machine and this workspace."),
    Step("db", "Upgrade or check the lineage database."),
)
"""The commands beside the loop."""

COMMANDS: tuple[Step, ...] = FLOW + OTHERS
"""Every command, in the order of the help."""


def step_of(command: str) -> Step:
    """The table's row of a command; KeyError when there is none."""
    for step in COMMANDS:
        if step.command == command:
            return step
    raise KeyError(command)
