"""docker-compose.yml by itself: what the Compose schema says, and what a file for a team must keep besides."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text("utf-8"))
PROFILES = ("storage", "cvat")
CVAT_RELEASE = "v2.73.0"
CVAT_QUEUES = {
    *("annotation", "chunks", "cleaning", "consensus", "export"),
    *("import", "notifications", "quality_reports", "webhooks"),
}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_AUTH$|_PASS$")
REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")
DEFAULT = re.compile(r"\$\{\w+:-([^${}]*)\}")


def with_defaults(text: str) -> str:
    """What Compose makes of it where no variable is set; the innermost default first."""
    while (filled := DEFAULT.sub(r"\1", text)) != text:
        text = filled
    return text


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    else:
        yield str(node)


def secrets_of(service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every place where a secret stands: environment variables by their names, and what follows --requirepass."""
    for name, value in service.get("environment", {}).items():
        if SECRET.search(name):
            yield name, value
    words = service.get("command", [])
    if isinstance(words, list):
        yield from ((option, value) for option, value in pairwise(words) if "pass" in option)


def hosts_of(service: dict[str, Any]) -> Iterator[str]:
    """Every host the service is told to speak to."""
    told = dict(service.get("environment", {}))
    told.pop("CVAT_BASE_URL", None)  # What people type.
    yield from (value for name, value in told.items() if name.endswith("_HOST"))
    for text in strings({**service, "environment": told}):
        yield from re.findall(r"https?://([\w.-]+)", text)


def faults_of(name: str, service: dict[str, Any], compose: dict[str, Any]) -> Iterator[str]:
    image = service.get("image", "")
    if not re.search(r":[v\d][\w.-]*\d[\w.-]*$", image) or "latest" in image or "$" in image:
        yield f"{name}: the image {image!r} is not pinned"
    elif not re.search(r":v?\d+\.\d+", image):
        yield f"{name}: the image {image!r} floats"
    if service.get("restart") != "unless-stopped":
        yield f"{name}: not started again"
    if "_" in name:
        yield f"{name}: no valid host name"
    probe = service.get("healthcheck", {})
    if probe.get("test", ["NONE"])[0] not in ("CMD", "CMD-SHELL") or not {"interval", "timeout"} <= probe.keys():
        yield f"{name}: no health check"
    for published in service.get("ports", []):
        if not with_defaults(str(published)).startswith("127.0.0.1:"):
            yield f"{name}: {published} is open to others"
    for where, value in secrets_of(service):
        if not REQUIRED.fullmatch(str(value)):
            yield f"{name}: {where} is not asked for"
    for other, wanted in service.get("depends_on", {}).items():
        if other not in compose["services"]:
            yield f"{name}: depends on {other}, which is not there"
        elif not set(service.get("profiles", [])) <= set(compose["services"][other].get("profiles", PROFILES)):
            yield f"{name}: depends on {other}, which its profile does not start"
        elif wanted["condition"] != "service_healthy":
            yield f"{name}: does not wait for {other} to be healthy"
    for kind, used in {
        "networks": service.get("networks", []),
        "configs": [config["source"] for config in service.get("configs", [])],
        "secrets": service.get("secrets", []),
    }.items():
        yield from (f"{name}: {one} is not among the {kind}" for one in used if one not in (compose.get(kind) or {}))
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith((".", "/", "~")):
            if not (source.startswith("./") and (ROOT / source).exists()):
                yield f"{name}: {source} does not come with the project"
        elif source not in compose["volumes"]:
            yield f"{name}: {source} is not among the volumes"
    yield from unreachable(name, service, compose)


def unreachable(name: str, service: dict[str, Any], compose: dict[str, Any]) -> Iterator[str]:
    told = set(hosts_of(service))
    for config in service.get("configs", []):
        routes = compose.get("configs", {}).get(config["source"], {}).get("content", "")
        told |= set(re.findall(r"https?://([\w.-]+)", routes))
    near = {
        other
        for other, there in compose["services"].items()
        if set(there.get("networks", [])) & set(service.get("networks", []))
    }
    yield from (f"{name}: {host} is on none of its networks" for host in sorted(told - near - {"127.0.0.1"}))


def faults(compose: dict[str, Any]) -> list[str]:
    """What is wrong with the file, beyond its form."""
    found = [fault for name, service in compose["services"].items() for fault in faults_of(name, service, compose)]
    used = "\n".join(strings(compose["services"]))
    found += [f"{one} is never used" for one in compose["volumes"] if f"{one}:/" not in used]
    cvat = {name: one for name, one in compose["services"].items() if one["image"].startswith("cvat/")}
    found += [f"{name}: another release" for name, one in cvat.items() if not one["image"].endswith(f":{CVAT_RELEASE}")]
    queues: list[str] = []
    for name, worker in cvat.items():
        if name.startswith("cvat-worker-"):
            asked = [word for word in worker["command"].split()[2:] if not word.startswith("--")]
            probe = worker["healthcheck"]["test"]
            if probe[1:] != [
                *("django-admin", "workerprobe", *asked),
                f"--expected-num-workers={worker['environment']['NUMPROCS']}",
            ]:
                found.append(f"{name}: its probe looks for other workers")
            queues += asked
    found += [f"nobody works on {queue}" for queue in sorted(CVAT_QUEUES - set(queues))]
    return found


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema, which carries the Compose schema, is missing")
    text = resources.files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text("utf-8")
    return json.loads(text)


def errors_by(schema: dict[str, Any], compose: dict[str, Any]) -> list[str]:
    from jsonschema.validators import validator_for

    validator = validator_for(schema)
    validator.check_schema(schema)
    return [f"{error.json_path}: {error.message}" for error in validator(schema).iter_errors(compose)]


@pytest.mark.required
def test_it_is_of_the_form_that_compose_defines(schema):
    assert errors_by(schema, COMPOSE) == []


@pytest.mark.required
def test_another_form_would_be_seen(schema):
    broken = deepcopy(COMPOSE)
    broken["services"]["lineage-db"]["enviroment"] = {"A": "1"}
    broken["services"]["storage"]["healthcheck"]["retries"] = [3]
    errors = "\n".join(errors_by(schema, broken))
    assert "enviroment" in errors
    assert "healthcheck.retries" in errors


def test_it_holds_what_a_team_s_file_must():
    assert faults(COMPOSE) == []


def _set(service: str, **keys: Any) -> Callable[[dict[str, Any]], None]:
    return lambda compose: compose["services"][service].update(keys)


def _in(service: str, part: str, **keys: Any) -> Callable[[dict[str, Any]], None]:
    return lambda compose: compose["services"][service][part].update(keys)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_set("storage", image="versity/versitygw"), "not pinned"),
        (_set("storage", image="versity/versitygw:latest"), "not pinned"),
        (_set("storage", image="versity/versitygw:${TAG:-v1.8.0}"), "not pinned"),
        (_set("cvat-db", image="postgres:15-alpine"), "floats"),
        (_set("cvat-ui", image="cvat/ui:v2.74.0"), "another release"),
        (_set("cvat-opa", restart="no"), "not started again"),
        (_set("cvat-opa", healthcheck={}), "no health check"),
        (_set("cvat-opa", healthcheck={"test": ["NONE"], "interval": "1s", "timeout": "1s"}), "no health check"),
        (_set("cvat-proxy", ports=["8080:8080"]), "open to others"),
        (_set("cvat-proxy", ports=["${CVAT_BIND:-0.0.0.0}:8080:8080"]), "open to others"),
        (_in("cvat-db", "environment", POSTGRES_PASSWORD="cvat"), "POSTGRES_PASSWORD is not asked for"),
        (_in("cvat-db", "environment", POSTGRES_PASSWORD="${P:-cvat}"), "POSTGRES_PASSWORD is not asked for"),
        (_set("cvat-redis-ondisk", command=["--requirepass", "cvat"]), "--requirepass is not asked for"),
        (_set("cvat-proxy", depends_on={"cvat_server": {"condition": "service_healthy"}}), "which is not there"),
        (_set("cvat-proxy", depends_on={"cvat-opa": {"condition": "service_started"}}), "to be healthy"),
        (_set("storage", depends_on={"cvat-opa": {"condition": "service_healthy"}}), "profile does not start"),
        (_set("cvat-ui", networks=["pages"]), "pages is not among the networks"),
        (_set("cvat-ui", networks=["storage"]), "cvat-ui is on none of its networks"),
        (_in("cvat-server", "environment", CVAT_POSTGRES_HOST="cvat_db"), "cvat_db is on none"),
        (_set("cvat-proxy", configs=[{"source": "routes", "target": "/r"}]), "routes is not among the configs"),
        (_set("cvat-opa", volumes=["./components/opa:/rules:ro"]), "does not come with the project"),
        (_set("cvat-proxy", volumes=["/var/run/docker.sock:/var/run/docker.sock"]), "does not come with the project"),
        (_set("cvat-db", volumes=["postgres:/var/lib/postgresql/data"]), "postgres is not among the volumes"),
        (_set("cvat-db", volumes=[]), "cvat-db is never used"),
        (_set("cvat-worker-export", command="run worker exports"), "nobody works on export"),
        (_in("cvat-worker-export", "environment", NUMPROCS="3"), "looks for other workers"),
    ],
)
def test_a_worse_file_would_be_seen(change, fault):
    compose = deepcopy(COMPOSE)
    change(compose)
    assert [found for found in faults(compose) if fault in found], faults(compose)


def test_the_release_is_the_recorded_one(shared):
    told = re.search(r"^  version: (\S+)", (shared / "cvat" / "openapi.yml").read_text("utf-8"), re.MULTILINE)
    assert told is not None
    assert f"v{told[1]}" == CVAT_RELEASE


@pytest.fixture
def made(tmp_path):
    """A folder with the file, and the .env that the line in its head makes."""
    if not (shutil.which("bash") and shutil.which("openssl")):
        pytest.skip("the line that makes .env needs bash and openssl")
    shutil.copy(FILE, tmp_path)
    assert make_env(tmp_path).returncode == 0
    return tmp_path


def make_env(folder: Path) -> subprocess.CompletedProcess[str]:
    head = FILE.read_text("utf-8").split("\nname:", 1)[0]
    (line,) = re.findall(r"^#   (\(umask .*?\))$", head, re.MULTILINE | re.DOTALL)
    line = line.replace("\n#", "\n")
    return subprocess.run(["bash", "-ec", line], cwd=folder, capture_output=True, text=True)


def test_one_line_makes_every_password(made):
    lines = dict(line.split("=", 1) for line in (made / ".env").read_text("ascii").splitlines())
    assert set(lines) == set(REQUIRED.findall(FILE.read_text("utf-8")))
    assert all(re.fullmatch("[0-9a-f]{48}", value) for value in lines.values())
    assert len(set(lines.values())) == len(lines)
    assert stat.S_IMODE((made / ".env").stat().st_mode) == 0o600
    assert not any(name.startswith("DATAENGINE_") for name in lines), "those are read as settings"


def test_the_passwords_are_not_written_over(made):
    before = (made / ".env").read_bytes()
    assert make_env(made).returncode != 0
    assert (made / ".env").read_bytes() == before


def test_git_ignores_the_passwords():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    ignored = subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=ROOT)
    assert ignored.returncode == 0


@pytest.fixture
def client(made) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Compose's own client, in a folder with the file and its .env; it needs no engine to read them."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]):
            said = subprocess.run([*words, "version", "--short"], capture_output=True, text=True)
            if said.returncode == 0 and re.match(r"v?([2-9]|\d\d)\.", said.stdout):
                break
    else:
        pytest.skip("no Compose client of version 2 or newer")
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    return lambda *more: subprocess.run(
        [*words, *more], cwd=made, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("profile", ["", *PROFILES])
def test_compose_reads_it(client, profile):
    read = client("--profile", profile, "config", "--format", "json")
    assert read.returncode == 0, read.stderr
    started = json.loads(read.stdout)["services"]
    assert set(started) == {
        name for name, one in COMPOSE["services"].items() if profile in one.get("profiles", [profile])
    }
    bound = {port["host_ip"] for one in started.values() for port in one.get("ports", [])}
    assert bound == {"127.0.0.1"}


def test_compose_asks_for_the_passwords(client, made):
    (made / ".env").unlink()
    read = client("config", "--quiet")
    assert read.returncode != 0
    assert "the head of docker-compose.yml shows how to make .env" in read.stderr


def test_the_readme_makes_the_same_passwords():
    names = re.search(r"for name in ([A-Z_ ]+)\n", (ROOT / "README.md").read_text("utf-8"))
    assert names is not None
    assert set(names[1].split()) == set(REQUIRED.findall(FILE.read_text("utf-8")))
