from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_engine.errors import DamagedInputError, MissingInputError, UsageError
from data_engine.stages.upload import UploadSettings, plan_tasks
from data_engine.types import Box, ClassRegistry, Frame

REGISTRY = ClassRegistry.of(["person", "helmet"])
BOX = Box("person", (1.0, 2.0, 3.0, 4.0), 0.5, "p")


def frames(count: int) -> list[Frame]:
    return [Frame(f"id{n}", f"f{n}.jpg", f"frames/f{n}.jpg", 64, 48, "cam") for n in range(count)]


def test_one_task() -> None:
    settings = UploadSettings(assignee=("ann",), job_size=2)
    specs = list(plan_tasks("Batch_01", frames(3), {"f1.jpg": (BOX,)}, REGISTRY, settings))
    assert [(s.name, s.labels, s.job_size, s.assignee) for s in specs] == [("Batch_01", ("person", "helmet"), 2, "ann")]
    assert [(f.name, f.key, f.width, f.height, f.boxes) for f in specs[0].frames] == [
        ("f0.jpg", "frames/f0.jpg", 64, 48, ()),
        ("f1.jpg", "frames/f1.jpg", 64, 48, (BOX,)),
        ("f2.jpg", "frames/f2.jpg", 64, 48, ()),
    ]


@given(st.integers(1, 40), st.integers(1, 15))
def test_tasks_are_bounded_and_hold_every_frame_once_in_order(count: int, size: int) -> None:
    specs = list(plan_tasks("B", frames(count), {}, REGISTRY, UploadSettings(task_size=size, assignee=("a", "b"))))
    assert [f.name for spec in specs for f in spec.frames] == [f.name for f in frames(count)]
    assert max(len(spec.frames) for spec in specs) <= size
    assert len({spec.uid for spec in specs}) == len(specs)
    names = [spec.name for spec in specs]
    assert names == (["B"] if len(specs) == 1 else [f"B ({n}/{len(specs)})" for n in range(1, len(specs) + 1)])
    assert {spec.assignee for spec in specs} == {None}, "several are spread by the upload"


def test_uid_is_made_of_the_content() -> None:
    def uid(
        name: str = "B", count: int = 3, box: Box = BOX, registry: ClassRegistry = REGISTRY, **options: object
    ) -> str:
        settings = UploadSettings(**options)  # type: ignore[arg-type]
        (spec,) = plan_tasks(name, frames(count), {"f1.jpg": (box,)}, registry, settings)
        return spec.uid

    same = {
        uid(),
        uid(assignee=("somebody",)),
        uid(task_size=9),
        uid(task_name="B"),
        uid(box=replace(BOX, xywh=(1, 2, 3, 4))),
    }
    assert len(same) == 1
    others = [
        uid("C"),
        uid(count=4),
        uid(job_size=7),
        uid(box=replace(BOX, xywh=(1.5, 2, 3, 4))),
        uid(box=replace(BOX, label="helmet")),
        uid(box=replace(BOX, score=0.6)),
        uid(box=replace(BOX, proposal_id="q")),
        uid(box=replace(BOX, iscrowd=True)),
        uid(registry=REGISTRY.extended(["cat"])),
    ]
    assert len({*same, *others}) == 1 + len(others)


def test_what_cannot_be_uploaded() -> None:
    settings = UploadSettings()
    with pytest.raises(MissingInputError) as missing:
        plan_tasks("B", [], {}, REGISTRY, settings)
    assert (missing.value.message, missing.value.hint) == (
        "there are no frames to upload",
        "run first: dataengine filter",
    )
    with pytest.raises(UsageError, match=r"^a task needs at least one class to label"):
        plan_tasks("B", frames(1), {}, ClassRegistry(), settings)
    with pytest.raises(DamagedInputError, match=r"^two frames are named 'f0\.jpg'"):
        plan_tasks("B", [*frames(2), *frames(1)], {}, REGISTRY, settings)
    with pytest.raises(DamagedInputError, match=r"^there are proposals for 'x\.jpg', which is not among the 2 frames"):
        plan_tasks("B", frames(2), {"x.jpg": (BOX,)}, REGISTRY, settings)
    with pytest.raises(
        DamagedInputError, match=r"^f0\.jpg has a proposal of 'cat': the known classes are person, helmet$"
    ):
        list(plan_tasks("B", frames(2), {"f0.jpg": (replace(BOX, label="cat"),)}, REGISTRY, settings))


@pytest.mark.parametrize(
    "options", [{"job_size": 0}, {"task_size": 0}, {"task_name": " "}, {"assignee": ("ann", "")}, {"asignee": "ann"}]
)
def test_settings_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        UploadSettings(**options)  # type: ignore[arg-type]


def test_somebody_named_twice_is_one_person() -> None:
    assert UploadSettings(assignee=("ann", "bob", "ann")).assignee == ("ann", "bob")
