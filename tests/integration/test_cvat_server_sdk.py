"""The real ``cvat-sdk`` drives the tests' CVAT server, or a real one: ``DATAENGINE_TEST_CVAT_URL`` and its account."""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cvat_server import ADMIN, CvatServer
from cvat_server.snapshot import told
from cvat_server.where import Where, running
from PIL import Image, ImageDraw

pytest.importorskip("cvat_sdk", reason="cvat-sdk is not installed")

import urllib3
from cvat_sdk.api_client import exceptions, models
from cvat_sdk.core.client import AccessTokenCredentials, Client, Config
from cvat_sdk.core.exceptions import BackgroundRequestException
from cvat_sdk.core.proxies.projects import Project
from cvat_sdk.core.proxies.tasks import ResourceType, Task
from cvat_sdk.core.uploading import DataUploader

FRAMES = 20
LABELS = [
    {
        "name": "person",
        "type": "rectangle",
        "attributes": [
            {
                "name": "confidence",
                "mutable": False,
                "input_type": "number",
                "values": ["0", "1", "0.01"],
                "default_value": "0",
            }
        ],
    },
    {"name": "helmet", "type": "rectangle", "attributes": []},
]


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> list[Path]:
    """Twenty drawn frames of different sizes."""
    folder = tmp_path_factory.mktemp("frames")
    made = []
    for number in range(FRAMES):
        image = Image.new("RGB", (160 + number, 120), (number * 12, 80, 120))
        ImageDraw.Draw(image).rectangle((10 + number, 20, 60 + number, 90), fill=(250, 220, 40))
        made.append(folder / f"cam_{number:06d}.jpg")
        image.save(made[-1], "JPEG")
    return made


@pytest.fixture(scope="module")
def where() -> Iterator[Where]:
    with running() as place:
        yield place


def connect(url: str, credentials: object) -> Client:
    client = Client(url, logger=logging.getLogger("quiet"), config=Config(status_check_period=0.02))
    client.logger.setLevel(logging.CRITICAL)
    client.login(credentials)
    return client


@pytest.fixture
def client(where: Where) -> Iterator[Client]:
    with connect(where.url, where.admin) as made:
        yield made


@pytest.fixture
def project(client: Client) -> Iterator[Project]:
    made = client.projects.create({"name": f"sdk-{uuid.uuid4().hex[:8]}", "labels": LABELS})
    yield made
    made.remove()


def coco(frames: list[Path], *, score: float = 0.5) -> dict[str, object]:
    boxes = [(number, 10 + number, 20, 50, 70) for number in range(len(frames))]
    return {
        "images": [
            {"id": 100 + n, "file_name": file.name, "width": 160 + n, "height": 120} for n, file in enumerate(frames)
        ],
        "annotations": [
            {
                "id": n + 1,
                "image_id": 100 + n,
                "category_id": 1 + n % 2,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
                "segmentation": [],
                "attributes": {"confidence": score},
            }
            for n, *box in boxes
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "helmet"}],
    }


def make_task(client: Client, project: Project, frames: list[Path], **spec: object) -> Task:
    task = client.tasks.create({"name": "batch", "project_id": project.id, "segment_size": 5, "overlap": 0, **spec})
    task.upload_data(
        resource_type=ResourceType.LOCAL,
        resources=frames,
        params={"sorting_method": "predefined", "image_quality": 95},
        status_check_period=0.02,
    )
    return task


def data_url(client: Client, task: Task) -> str:
    endpoint = client.api_client.tasks_api.create_data_endpoint
    return client.api_map.make_endpoint_url(endpoint.path, kwsub={"id": task.id})


def import_boxes(task: Task, value: object, folder: Path, **how: object) -> None:
    file = folder / "boxes.json"
    file.write_text(json.dumps(value))
    task.import_annotations("COCO 1.0", file, status_check_period=0.02, **how)


def exported(source, folder: Path, **how: object) -> tuple[dict, list[str]]:
    """The one COCO file of an export, and the names of the images in it."""
    file = folder / f"{uuid.uuid4().hex}.zip"
    source.export_dataset("COCO 1.0", file, status_check_period=0.02, **how)
    with zipfile.ZipFile(file) as zipped:
        names = zipped.namelist()
        value = json.loads(zipped.read(next(name for name in names if name.endswith(".json"))))
    return value, sorted(name for name in names if not name.endswith(".json"))


def test_a_batch_goes_up_is_reviewed_and_comes_back(client, project, frames, tmp_path) -> None:
    order = frames[::-1]
    task = make_task(client, project, order, subset="train")
    assert task.size == FRAMES
    assert [frame.name for frame in task.get_meta().frames] == [file.name for file in order]
    assert [frame.width for frame in task.get_meta().frames] == [160 + n for n in range(FRAMES)][::-1]
    jobs = task.get_jobs()[::-1]
    assert [(job.start_frame, job.stop_frame) for job in jobs] == [(0, 4), (5, 9), (10, 14), (15, 19)]
    import_boxes(task, coco(frames), tmp_path)
    import_boxes(task, coco(frames, score=0.75), tmp_path)
    shapes = task.get_annotations().shapes
    assert len(shapes) == FRAMES
    assert {row.value for shape in shapes for row in shape.attributes} == {"0.75"}

    job = jobs[0].update({"stage": "validation"}) or jobs[0].fetch()
    assert (job.stage, job.state) == ("validation", "new")
    client.issues.create({"frame": 0, "position": [1.0, 2.0, 30.0, 40.0], "job": job.id, "message": "too loose"})
    job.update({"stage": "annotation", "state": "rejected"})
    assert [issue.frame for issue in job.get_issues()] == [0]
    assert [comment.message for comment in job.get_issues()[0].get_comments()] == ["too loose"]
    job.update({"stage": "acceptance", "state": "completed"})
    accepted = client.jobs.list(project_id=project.id, stage="acceptance", state="completed")
    assert [job.id for job in accepted] == [jobs[0].id]

    value, images = exported(job, tmp_path, include_images=True)
    assert [image["file_name"] for image in value["images"]] == [file.name for file in order[:5]]
    assert images == sorted(f"images/train/{file.name}" for file in order[:5])
    people = [row["attributes"] for row in value["annotations"] if row["category_id"] == 1]
    assert {row["confidence"] for row in people} == {0.75}
    task.remove_frames_by_ids([1, 2])
    value, _ = exported(task, tmp_path, include_images=False)
    assert len(value["images"]) == len(value["annotations"]) == FRAMES - 2


def test_files_over_the_limit_of_a_request_go_up_in_pieces(client, project, frames, monkeypatch) -> None:
    from cvat_sdk.core import uploading

    monkeypatch.setattr(uploading, "TUS_CHUNK_SIZE", 500)
    task = client.tasks.create({"name": "pieces", "project_id": project.id})
    url = data_url(client, task)
    sizes = sorted(file.stat().st_size for file in frames)
    answer = DataUploader(client, max_request_size=sizes[10]).upload_files(url, frames, image_quality=70)
    client.wait_for_completion(json.loads(answer.data)["rq_id"], status_check_period=0.02)
    assert task.fetch().size == FRAMES
    assert [frame.name for frame in task.get_meta().frames] == sorted(file.name for file in frames)
    assert task.get_frame(3, quality="original").read() == frames[3].read_bytes()


def test_a_label_that_is_not_there_refuses_the_whole_file(client, project, frames, tmp_path) -> None:
    task = make_task(client, project, frames[:3])
    import_boxes(task, coco(frames[:3]), tmp_path)
    unknown = {**coco(frames[:3]), "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "vest"}]}
    with pytest.raises(BackgroundRequestException, match="Label 'vest' is not registered for this task"):
        import_boxes(task, unknown, tmp_path)
    assert len(task.get_annotations().shapes) == 3


def test_an_assignee_moves_the_state_and_nothing_else(where, client, project, frames) -> None:
    name, word = f"anna-{uuid.uuid4().hex[:6]}", f"long-{uuid.uuid4().hex}"
    with Client(where.url, logger=logging.getLogger("quiet")) as visitor:
        visitor.api_client.auth_api.create_register(
            models.RegisterSerializerExRequest(
                username=name,
                password1=word,
                password2=word,
                email=f"{name}@example.test",
                first_name="A",
                last_name="B",
            )
        )
    job = make_task(client, project, frames[:3]).get_jobs()[0]
    anna = next(user for user in client.users.list() if user.username == name)
    job.update({"assignee": anna.id})
    with connect(where.url, (name, word)) as hers:
        assert [row.id for row in hers.jobs.list()] == [job.id]
        assert (hers.projects.list(), hers.tasks.list()) == ([], [])
        mine = hers.jobs.retrieve(job.id)
        assert mine.task_name is None
        mine.update({"state": "completed"})
        with pytest.raises(exceptions.ForbiddenException):
            mine.update({"stage": "acceptance"})
        with pytest.raises(exceptions.ForbiddenException):
            mine.update({"assignee": None})
        assert [user.username for user in hers.users.list()] == [name]
    assert job.fetch().state == "completed"


def test_a_token_only_reads_unless_it_was_made_to_write(where, client) -> None:
    for read_only in (True, False):
        request = models.AccessTokenWriteRequest(name=f"t-{uuid.uuid4().hex[:6]}", read_only=read_only)
        token, _ = client.api_client.auth_api.create_access_tokens(request)
        with connect(where.url, AccessTokenCredentials(token.value)) as other:
            assert other.users.retrieve_current_user().username == where.admin[0]
            if read_only:
                with pytest.raises(exceptions.ForbiddenException):
                    other.projects.create({"name": "no", "labels": []})
            else:
                other.projects.create({"name": "yes", "labels": []}).remove()


@pytest.fixture
def own() -> Iterator[CvatServer]:
    """A server that can be told to fail: never the real one."""
    with CvatServer(seed=1) as server:
        yield server


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("500", 500), ("502", 502), ("504", 504)])
@pytest.mark.parametrize("after", [False, True])
def test_a_request_fails_before_or_after_it_took_effect(own, kind, status, after) -> None:
    with connect(own.url, ADMIN) as client:
        own.faults.add(kind, after=after, method="POST", path="/api/projects", next=1, seconds=7)
        with pytest.raises(exceptions.ApiException) as refused:
            client.projects.create({"name": "one", "labels": []})
        assert refused.value.status == status
        assert (refused.value.headers.get("Retry-After") == "7") == (kind == "429")
        assert len(client.projects.list()) == after
        client.projects.create({"name": "two", "labels": []})


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_breaks_before_or_after_the_request_took_effect(own, after) -> None:
    with connect(own.url, ADMIN) as client:
        own.faults.add("reset", after=after, method="POST", path="/api/projects", next=1)
        with pytest.raises(urllib3.exceptions.HTTPError):
            client.projects.create({"name": "one", "labels": []})
        assert len(client.projects.list()) == after


@pytest.mark.parametrize("after", [False, True])
def test_a_request_hangs_until_its_client_goes_away(own, after) -> None:
    with connect(own.url, ADMIN) as client:
        own.faults.add("hang", after=after, method="POST", path="/api/projects", next=1)
        with pytest.raises(urllib3.exceptions.HTTPError):
            client.api_client.projects_api.create(models.ProjectWriteRequest(name="one"), _request_timeout=0.5)
        assert own.faults.told()["hanging"] == 1
        assert len(client.projects.list()) == after


def test_no_worker_picks_a_request_up_and_a_result_expires(own, frames, tmp_path) -> None:
    with connect(own.url, ADMIN) as client:
        project = client.projects.create({"name": "p", "labels": LABELS})
        task = make_task(client, project, frames[:2])
        own.faults.add("stuck", path="/dataset/export", next=1)
        start = client.api_client.tasks_api.create_dataset_export
        asked = {"format": "COCO 1.0", "save_images": False, "id": task.id}
        rq_id = start(**asked)[0].rq_id
        with pytest.raises(exceptions.ApiException) as conflict:
            start(**asked)
        assert conflict.value.status == 409
        assert json.loads(conflict.value.body) == {"rq_id": rq_id}
        time.sleep(0.05)
        assert str(client.api_client.requests_api.retrieve(rq_id)[0].status) == "queued"
        client.api_client.requests_api.create_cancel(rq_id)
        assert len(exported(task, tmp_path, include_images=False)[0]["images"]) == 2
        own.faults.add("expired", method="GET", path="/api/requests/", next=1)
        with pytest.raises(exceptions.NotFoundException) as gone:
            client.api_client.requests_api.retrieve(rq_id)
        assert gone.value.body == "There is no request with specified id"


def test_a_file_larger_than_the_server_takes_is_refused_by_its_proxy(frames) -> None:
    with CvatServer(largest_request=700) as server, connect(server.url, ADMIN) as client:
        task = client.tasks.create({"name": "t", "labels": LABELS})
        with pytest.raises(exceptions.ApiException) as refused:
            task.upload_data(resource_type=ResourceType.LOCAL, resources=frames[:1])
        assert refused.value.status == 413
        assert refused.value.reason == "Request Entity Too Large"


def test_files_that_are_there_already_are_an_error_of_the_server(own, frames) -> None:
    """So who sends an upload again whose answer was lost gets 500, and may go on with the next step."""
    with connect(own.url, ADMIN) as client:
        task = client.tasks.create({"name": "t", "labels": LABELS})
        own.faults.add("502", after=True, method="POST", path="/data/", skip=1, next=1)
        for status in (502, 500):
            with pytest.raises(exceptions.ServiceException) as refused:
                task.upload_data(resource_type=ResourceType.LOCAL, resources=frames[:3])
            assert refused.value.status == status
        url = data_url(client, task)
        answer = DataUploader(client).upload_files(url, [], image_quality=70)
        client.wait_for_completion(json.loads(answer.data)["rq_id"], status_check_period=0.02)
        assert task.fetch().size == 3
        with pytest.raises(exceptions.ApiException, match="Adding more data is not supported"):
            DataUploader(client).upload_files(url, [], image_quality=70)


def test_a_new_label_makes_every_job_of_its_project_newer(own, frames) -> None:
    """Also accepted ones: their ``updated_date`` alone does not say that anybody touched their boxes."""
    with connect(own.url, ADMIN) as client:
        project = client.projects.create({"name": "p", "labels": LABELS})
        job = make_task(client, project, frames[:3]).get_jobs()[0]
        job.update({"stage": "acceptance", "state": "completed"})
        before = job.fetch().updated_date
        project.update({"labels": [{"name": "vest"}]})
        assert job.fetch().updated_date > before
        assert (job.stage, job.state) == ("acceptance", "completed")


def test_one_in_five_fails_and_the_same_seed_fails_alike() -> None:
    def struck(seed: int) -> list[str | None]:
        with CvatServer(seed=seed) as server:
            server.faults.mix(0.2, seconds=0)
            connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port)
            for _ in range(200):
                try:
                    connection.request("GET", "/api/server/about")
                    connection.getresponse().read()
                except (OSError, http.client.HTTPException):
                    connection.close()
            connection.close()
            return [row["fault"] for row in server.requests()]

    first = struck(1)
    assert first == struck(1) != struck(2)
    assert 20 < sum(fault is not None for fault in first) < 60
    assert {"latency", "429", "500", "502", "reset", "reset-after"} <= set(first)


def test_no_credential_is_in_the_log(own) -> None:
    with connect(own.url, ADMIN) as client:
        client.projects.create({"name": "p", "labels": []})
        cookies = [morsel.value for morsel in client.api_client.cookies.values() if len(morsel.value) > 8]
    text = json.dumps(own.requests())
    assert len(own.requests()) == 3
    assert [secret for secret in (*cookies, ADMIN[1]) if secret in text] == []


def test_a_server_in_a_process_of_its_own_outlives_its_clients(frames, tmp_path) -> None:
    """Steered and looked into over HTTP."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "tests.cvat_server", "--seed", "3"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ, cwd=Path(__file__).parents[2])
    try:
        url = process.stdout.readline().strip()
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port)

        def side_door(method: str, path: str, value: object = None) -> dict:
            connection.request(method, path, None if value is None else json.dumps(value))
            return json.loads(connection.getresponse().read())

        with connect(url, ADMIN) as client:
            project = client.projects.create({"name": "p", "labels": LABELS})
            side_door("POST", "/__faults__", {"add": [{"kind": "502", "path": "/api/tasks$", "next": 1}]})
            with pytest.raises(exceptions.ServiceException):
                client.tasks.create({"name": "t", "project_id": project.id})
            import_boxes(make_task(client, project, frames), coco(frames), tmp_path)
        state = side_door("GET", "/__state__")
        assert side_door("GET", "/__faults__")["struck"] == {"502": 1}
        assert state["tasks"][0]["frames"] == [file.name for file in frames]
        third = ["cam_000002.jpg", "person", [12.0, 20.0, 62.0, 90.0], {"confidence": "0.5"}]
        assert state["tasks"][0]["boxes"][2] == third
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_snapshot_shows_each_box_once(own, frames, tmp_path) -> None:
    with connect(own.url, ADMIN) as client:
        project = client.projects.create({"name": "p", "labels": LABELS})
        import_boxes(make_task(client, project, frames), coco(frames), tmp_path)
    (task,) = told(own.state)["tasks"]
    assert task["ready"]
    assert [box[0] for box in task["boxes"]] == task["frames"] == [file.name for file in frames]
