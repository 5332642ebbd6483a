"""Uploads: Upload-Start, Upload-Multiple, TUS and Upload-Finish, for the images of tasks and for annotation files."""

from __future__ import annotations

import base64
import json
import posixpath
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import annotation, coco_in, creation
from .accounts import FORMATS
from .answers import Answer, as_json, denied, invalid, server_error
from .calls import Call, Part
from .exports import launch
from .records import Data, Job, Task
from .webhooks import watched
from .workers import Work

TUS = [("Tus-Resumable", "1.0.0"), ("Tus-Version", "1.0.0")]


@dataclass(slots=True)
class TusFile:
    """A file that comes in pieces."""

    id: str
    owner: int
    name: str
    size: int
    path: Path
    offset: int = 0
    data: Data | None = None
    """The images that it belongs to; None for an annotation file."""


def images(call: Call, task: Task) -> Answer:
    """POST to a task's data: which step it is, its headers say."""
    if task.data is not None and task.data.ready:
        raise invalid("Adding more data is not supported")
    if task.data is None:
        number = call.state.next_id("data")
        with watched(call, task, viewer=call.me):
            task.data = Data(number, call.state.folder / "data" / str(number))
            task.data.folder.mkdir(parents=True)
            task.updated = call.state.now()
    data = task.data
    if "upload-finish" in call.headers:
        return _finish_images(call, task, data)
    if "upload-start" in call.headers:
        return Answer(202)
    if "upload-length" in call.headers:
        name = _metadata(call).get("filename", "")
        if name in data.files and data.files[name].exists():
            return as_json("File with same name already exists", 409, list(TUS))
        data.files[name] = data.folder / name
        return _begin(call, name, f"tasks/{task.id}/data", data)
    if "upload-multiple" in call.headers:
        _keep(data, [part for part in call.parts if part.filename is not None])
        return Answer(200)
    return _finish_images(call, task, data)


def _keep(data: Data, parts: list[Part]) -> None:
    """Files by base name; a name that is there already is an error of the server's database, and nothing is kept."""
    names = [posixpath.basename(part.filename or "") for part in parts]
    if len(set(names)) < len(names) or any(name in data.files for name in names):
        raise server_error()
    for name, part in zip(names, parts, strict=True):
        (data.folder / name).write_bytes(part.content)
        data.files[name] = data.folder / name


def _finish_images(call: Call, task: Task, data: Data) -> Answer:
    sent: dict[str, Any] = {}
    if call.parts:
        sent = {part.name: part.content.decode() for part in call.parts if part.filename is None}
        _keep(data, [part for part in call.parts if part.filename is not None])
    elif call.body:
        sent = call.json()
    for name in ("job_file_mapping", "validation_params", "upload_file_order"):
        if isinstance(sent.get(name), str):
            sent[name] = json.loads(sent[name])
    if sent.get("sorting_method") == "predefined" and (order := sent.get("upload_file_order")):
        odd = set(order).symmetric_difference(data.files)
        if odd:
            told = [f"{name} ({'extra' if name in data.files else 'missing'})" for name in sorted(odd)[:5]]
            raise invalid(
                "Uploaded files do not match the 'upload_file_order' field contents. Please check the uploaded data "
                f"and the list of uploaded files. Mismatching files: {', '.join(told)}"
            )
    with watched(call, task, viewer=call.me):
        data.sent = sent
        task.updated = call.state.now()

    def run() -> tuple[None, None, None]:
        with watched(call, task, viewer=None):
            creation.create(call.state, task, sent)
        with watched(call, task, viewer=None):
            creation.complete(call.state, task, sent)
        return None, None, None

    work = Work(
        f"action=create&target=task&target_id={task.id}",
        "create",
        "create:task",
        "task",
        call.me.id,
        run,
        project=task.project,
        task=task.id,
        progress_message="Media files are being extracted..." if data.files else "",
    )
    return launch(call, work)


def annotation_file(call: Call, kind: str, task: Task, job: Job | None) -> Answer:
    """POST to the annotations of a task or job: which step of an import it is, its headers say."""
    if "upload-finish" in call.headers or call.parts:
        return _finish_annotations(call, kind, task, job)
    if "upload-start" in call.headers:
        return Answer(202)
    if "upload-length" in call.headers:
        number = job.id if job else task.id
        return _begin(call, _metadata(call).get("filename", ""), f"{kind}s/{number}/annotations", None)
    return _finish_annotations(call, kind, task, job)


def _finish_annotations(call: Call, kind: str, task: Task, job: Job | None) -> Answer:
    state = call.state
    if call.parts:
        path = state.folder / "tmp" / str(uuid.uuid4())
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(call.parts[0].content)
    else:
        file = call.server.tus.get(call.asked("filename") or "")
        if file is None or file.owner != call.me.id or not file.path.exists():
            raise invalid("No such file were uploaded")
        path = file.path
    name, mode = call.asked("format"), call.asked("import_mode") or "replace"
    if name not in FORMATS:
        raise invalid(f"Unknown input format '{name}'")
    if mode not in ("replace", "append"):
        raise invalid(f"Invalid import_mode='{mode}'. Allowed: replace, append")
    number = job.id if job else task.id

    def run() -> tuple[None, None, None]:
        jobs = [job] if job else state.jobs_of(task.id, "annotation")
        found = coco_in.shapes(state, task, job, path)
        with watched(call, *jobs, task, viewer=None):
            if mode == "replace":
                for one in jobs:
                    annotation.clear(state, one)
            annotation.add(state, task, jobs, found)
        path.unlink(missing_ok=True)
        return None, None, None

    work = Work(
        f"action=import&target={kind}&target_id={number}&subresource=annotations",
        "import",
        "import:annotations",
        kind,
        call.me.id,
        run,
        project=task.project,
        task=task.id,
        job=job.id if job else None,
    )
    return launch(call, work)


def _metadata(call: Call) -> dict[str, str]:
    pairs = [pair.strip().partition(" ") for pair in call.headers.get("upload-metadata", "").split(",") if pair.strip()]
    return {key: base64.b64decode(value).decode() for key, _, value in pairs}


def _begin(call: Call, name: str, where: str, data: Data | None) -> Answer:
    identity = f"{call.me.id}_{uuid.uuid4()}"
    folder = data.folder if data else call.state.folder / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    file = TusFile(identity, call.me.id, name, int(call.headers["upload-length"]), folder / f".{identity}", data=data)
    file.path.write_bytes(b"")
    call.server.tus[identity] = file
    shown = name if data else identity
    location = f"{call.host}/api/{where}/{identity}"
    return Answer(201, headers=[*TUS, ("Location", location), ("Upload-Filename", shown)])


def piece(call: Call, identity: str) -> Answer:
    """HEAD and PATCH of a TUS upload."""
    file = call.server.tus.get(identity)
    if file is None or file.offset == file.size > 0:
        # Nothing is known of an upload that is complete: who lost the answer to the last piece is told 404.
        return Answer(404, headers=list(TUS))
    if file.owner != call.me.id:
        raise denied()
    if call.method == "HEAD":
        return Answer(200, headers=[*TUS, ("Upload-Offset", str(file.offset)), ("Upload-Length", str(file.size))])
    if int(call.headers.get("upload-offset", "0")) != file.offset:
        return Answer(409, headers=list(TUS))
    if file.offset + len(call.body) > file.size:
        return Answer(413, headers=list(TUS))
    with file.path.open("ab") as stream:
        stream.write(call.body)
    file.offset += len(call.body)
    if file.offset == file.size and file.data is not None:
        file.path.replace(file.data.files[file.name])
        del call.server.tus[identity]
    return Answer(204, headers=[*TUS, ("Upload-Offset", str(file.offset))])
