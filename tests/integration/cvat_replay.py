"""Sends a recorded scenario to the tests' CVAT server, step by step, and says where the two answers differ.

What the recording can't know is mapped as it comes: sessions, tokens, TUS ids, the address.  The worker's pace is the
recording's (a request that was ``started`` when it was polled is started here); what comes of it is the server's own.
Images are drawn anew in the recorded sizes, of pixels and of bytes.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from cvat_server import CvatServer
from PIL import Image

Pair = dict[str, Any]
HOST = "http://127.0.0.1:58090"
"""The address of the recorded server."""
WEBHOOK_URL = "http://127.0.0.1:58070/cvat"
"""Where it sent its web-hooks."""
ADMIN = ("labadmin", "password-of-labadmin")
PICTURE = (320, 240)
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d+(Z|\+00:00)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FOLDER = re.compile(r"'/[^']*?(annotations/)?([^/']+)'")
_OWN_HEADERS = ("content-length", "cookie", "x-csrftoken", "authorization", "content-type", "host")


def read(file: Path) -> list[Pair]:
    """The recorded pairs; the file of pre-annotations, of which only the head was kept, made whole again."""
    pairs = [json.loads(line) for line in file.read_text().splitlines()]
    whole = _pre_annotations(pairs)
    for pair in pairs:
        text = pair["request"].get("text")
        if text is not None and len(text) < pair["request"].get("size", 0):
            assert whole.startswith(text)
            assert len(whole) == pair["request"]["size"]
            pair["request"]["text"] = whole
    return pairs


def _pre_annotations(pairs: list[Pair]) -> str:
    """The 78 boxes that were imported most: the boxes from the archive that has them too, scores from the server."""
    archive = next(pair["request"] for pair in pairs if pair["request"].get("base64", "").startswith("UEs"))
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(archive["base64"]))) as zipped:
        value = json.loads(zipped.read(zipped.namelist()[0]))
    first = next(
        pair["response"]["json"]
        for pair in pairs
        if pair["request"]["path"] == "/api/tasks/1/annotations/" and pair["request"]["method"] == "GET"
    )
    rows = sorted(first["shapes"], key=lambda row: row["id"])
    for annotation, row in zip(value["annotations"], rows, strict=True):
        attributes = {
            **annotation.pop("attributes"),
            "truncated": True,
            "not_declared": "zz",
            "occluded": row["occluded"],
        }
        annotation |= {"score": row["score"], "attributes": attributes}
    return json.dumps({name: value[name] for name in ("images", "annotations", "categories")})


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where an answer is not the recorded one.  ``shape``: a status, key or type; else only a value."""

    seq: int
    path: str
    recorded: Any
    ours: Any
    shape: bool


@dataclass(slots=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes
    cookies: dict[str, str] = field(default_factory=dict)


class Replay:
    """One client of everybody who took part.

    Args:
        actors: which step was whose; all others are the administrator's.
        tokens: which step used which access token, by the seq of its creation.
        archive: the names of the images in the zip that was uploaded.
    """

    def __init__(self, server: CvatServer, actors: dict[int, str], tokens: dict[int, int], archive: list[str]) -> None:
        self.server = server
        self._actors, self._tokens, self._archive = actors, tokens, archive
        self._sessions: dict[str, dict[str, str]] = {}
        self._values: dict[int, str] = {}
        self._dates: dict[str, str] = {}
        self._tus: dict[str, str] = {}
        self._connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=30)
        self.webhook_url: str | None = None

    def play(self, pair: Pair) -> list[Difference]:
        self._pace(pair)
        response = self._send(pair)
        self._learn(pair, response)
        if self.webhook_url:
            response.body = response.body.replace(self.webhook_url.encode(), WEBHOOK_URL.encode())
        return list(differences(pair, response, self.server.url))

    def _pace(self, pair: Pair) -> None:
        """Lets the worker be as far as the recorded one was."""
        workers, request, recorded = self.server.workers, pair["request"], pair["response"].get("json")
        shown = recorded.get("results", [recorded]) if isinstance(recorded, dict) else []
        if request["path"].startswith("/api/webhooks/"):
            self.server.hooks.drain()
        if request["path"].startswith("/api/requests"):
            for row in shown:
                if row.get("id") in workers.all and row["status"] != "queued":
                    (workers.begin if row["status"] == "started" else workers.end)(row["id"])
        elif (
            pair["response"]["status"] == 202 and isinstance(recorded, dict) and workers.running(recorded.get("rq_id"))
        ):
            workers.end(recorded["rq_id"])

    def _send(self, pair: Pair) -> Response:
        request = pair["request"]
        headers = {name: value for name, value in request["headers"].items() if name not in _OWN_HEADERS}
        seq, actor = pair["seq"], self._actors.get(pair["seq"], ADMIN[0])
        if "sessionid" in request["headers"].get("cookie", ""):
            session = self._sessions[actor]
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in session.items())
            if "x-csrftoken" in request["headers"]:
                headers["X-CSRFToken"] = session["csrftoken"]
        if "authorization" in request["headers"]:
            headers["Authorization"] = f"Bearer {self._values.get(self._tokens.get(seq, 0), 'no-such-token')}"
        path = request["path"]
        for theirs, ours in self._tus.items():
            path = path.replace(theirs, ours)
        query = [(key, self._mapped(value)) for key, value in request["query"]]
        body, kind = self._body(pair)
        if kind:
            headers["Content-Type"] = kind
        target = quote(unquote(path)) if "%" not in path else path
        return self._ask(request["method"], target + (f"?{urlencode(query)}" if query else ""), body, headers)

    def _mapped(self, value: str) -> str:
        """A parameter with what is ours in place of what was recorded: the name of an upload, or a date in a filter."""
        value = self._tus.get(value, value)
        return _DATE.sub(lambda found: self._dates.get(_iso(found[0]), found[0]), value)

    def _ask(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Response:
        self._connection.request(method, target, body or (b"" if method != "GET" else None), headers)
        answer = self._connection.getresponse()
        response = Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                response.cookies |= {key: morsel.value for key, morsel in SimpleCookie(value).items()}
        return response

    def _body(self, pair: Pair) -> tuple[bytes, str | None]:
        request = pair["request"]
        kind = request["headers"].get("content-type")
        if "multipart" in request:
            return self._multipart(request["multipart"])
        if "json" in request:
            value = json.loads(json.dumps(request["json"]).replace('"<PASSWORD>"', json.dumps(self._password(pair))))
            if self.webhook_url and "target_url" in value:
                value["target_url"] = self.webhook_url
            return json.dumps(value).encode(), kind
        if "text" in request:
            return request["text"].encode(), kind
        return base64.b64decode(request.get("base64", "")), kind

    def _password(self, pair: Pair) -> str:
        refused = pair["response"]["status"] == 400 and pair["request"]["path"].endswith("login")
        return "wrong-password" if refused else f"password-of-{pair['request']['json'].get('username')}"

    def _multipart(self, parts: list[dict[str, Any]]) -> tuple[bytes, str]:
        pieces = []
        for part in parts:
            head, content = f'Content-Disposition: form-data; name="{part["name"]}"', part.get("value", "").encode()
            if "filename" in part:
                head += f'; filename="{part["filename"]}"\r\nContent-Type: {part["content_type"]}'
                content = self._file(part)
            pieces.append(b"--b0undary\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n")
        return b"".join(pieces) + b"--b0undary--\r\n", "multipart/form-data; boundary=b0undary"

    def _file(self, part: dict[str, Any]) -> bytes:
        head = base64.b64decode(part["base64_head"])
        if len(head) == part["size"]:
            return head
        if head.startswith(b"PK"):
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as zipped:
                for name in self._archive:
                    zipped.writestr(name, picture(name, 2570))
            return archive.getvalue()
        return picture(part["filename"], part["size"])

    def _learn(self, pair: Pair, response: Response) -> None:
        """Remembers what the recording has another value of."""
        recorded, request = pair["response"], pair["request"]
        if "sessionid" in response.cookies and response.cookies["sessionid"] != "":
            name = request["json"]["username"]
            self._sessions[f"{name}-2" if name in self._sessions else name] = response.cookies
        if request["path"] == "/api/auth/access_tokens" and response.status == 201:
            self._values[pair["seq"]] = json.loads(response.body)["value"]
        if "json" in recorded and response.body:
            self._dates |= _dates(recorded["json"], json.loads(response.body))
        if "upload-filename" in recorded["headers"]:
            self._tus[recorded["headers"]["upload-filename"]] = response.headers["upload-filename"]


def _iso(date: str) -> str:
    return date.replace(" ", "T").replace("+00:00", "Z")


def _dates(recorded: Any, ours: Any) -> dict[str, str]:
    """Recorded dates, and what our server has in their places."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        pairs = [(recorded[key], ours[key]) for key in recorded.keys() & ours.keys()]
    elif isinstance(recorded, list) and isinstance(ours, list):
        pairs = list(zip(recorded, ours, strict=False))
    elif isinstance(recorded, str) and isinstance(ours, str) and _DATE.fullmatch(recorded):
        return {_iso(recorded): ours}
    else:
        return {}
    return {date: mine for theirs, own in pairs for date, mine in _dates(theirs, own).items()}


def picture(name: str, size: int) -> bytes:
    """A JPEG of the recorded size; what is behind its end nobody looks at."""
    file = io.BytesIO()
    shade = sum(PurePosixPath(name).name.encode()) % 256
    Image.new("RGB", PICTURE, (shade, 90, 160)).save(file, "JPEG", quality=50)
    return file.getvalue().ljust(size, b"\0")


def differences(pair: Pair, response: Response, host: str) -> Iterator[Difference]:
    """Status, content type and body: keys and types, and the values as far as they mean anything."""
    seq, recorded = pair["seq"], pair["response"]
    if recorded["status"] != response.status:
        yield Difference(seq, "status", recorded["status"], response.status, True)
        return
    kind = response.headers.get("content-type")
    if recorded["headers"].get("content-type") != kind:
        yield Difference(seq, "content-type", recorded["headers"].get("content-type"), kind, True)
    for name in ("retry-after", "upload-filename", "www-authenticate", "tus-resumable"):
        if (name in recorded["headers"]) != (name in response.headers):
            yield Difference(seq, name, recorded["headers"].get(name), response.headers.get(name), True)
    if "json" in recorded:
        ours = json.loads(response.body)
        yield from compared(seq, recorded["json"], ours, host)
    elif "text" in recorded:
        yield from _compared(seq, "", recorded["text"], response.body.decode())
    elif "base64" in recorded and kind == "application/zip":
        yield from _compared(seq, "", _unzipped(base64.b64decode(recorded["base64"])), _unzipped(response.body))
    elif "size" in recorded or not response.body:
        yield from _compared(seq, "size", recorded.get("size", 0), len(response.body))
    else:
        yield Difference(seq, "body", None, response.body[:80], True)


def compared(seq: int, recorded: Any, ours: Any, host: str) -> Iterator[Difference]:
    """Two JSON values, the second of the server at ``host``."""
    yield from _compared(seq, "", _plain(recorded, HOST), _plain(ours, host))


def _plain(value: Any, host: str) -> Any:
    """Without what is different each time (dates, addresses, folders, uuids); rows that have no order are sorted."""
    if isinstance(value, dict):
        made = {key: _plain(inner, host) for key, inner in value.items()}
        for name in ("shapes", "tags", "tracks"):
            if isinstance(made.get(name), list) and all(isinstance(row, dict) and "id" in row for row in made[name]):
                made[name] = sorted(made[name], key=lambda row: row["id"])
        if isinstance(made.get("task_subsets"), list):
            made["task_subsets"] = sorted(made["task_subsets"])
        return made
    if isinstance(value, list):
        return [_plain(inner, host) for inner in value]
    if isinstance(value, str):
        text = value.replace(host, "<host>")
        text = _UUID.sub("<uuid>", _DATE.sub("<date>", text))
        return _FOLDER.sub(r"'<folder>/\1\2'", text)
    return value


def _compared(seq: int, path: str, recorded: Any, ours: Any) -> Iterator[Difference]:
    if recorded == "<TOKEN>":
        recorded = ours if isinstance(ours, str) and ours else recorded
    if type(recorded) is not type(ours):
        yield Difference(seq, path, recorded, ours, True)
    elif isinstance(recorded, dict):
        for key in sorted(recorded.keys() | ours.keys()):
            if key not in recorded or key not in ours:
                yield Difference(seq, f"{path}.{key}", recorded.get(key, "(no key)"), ours.get(key, "(no key)"), True)
            else:
                yield from _compared(seq, f"{path}.{key}", recorded[key], ours[key])
    elif isinstance(recorded, list):
        if len(recorded) != len(ours):
            yield Difference(seq, f"{path}[]", f"{len(recorded)} rows", f"{len(ours)} rows", False)
        for number, (theirs, own) in enumerate(zip(recorded, ours, strict=False)):
            yield from _compared(seq, f"{path}[{number}]", theirs, own)
    elif recorded != ours:
        yield Difference(seq, path, recorded, ours, False)


def _unzipped(content: bytes) -> dict[str, Any]:
    """What is in an export: COCO files with their annotations as a set, and of everything else the size."""
    found: dict[str, Any] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        for name in zipped.namelist():
            if not name.startswith("annotations/instances_"):
                found[name] = zipped.getinfo(name).file_size
                continue
            value = json.loads(zipped.read(name))
            rows = [{key: inner for key, inner in row.items() if key != "id"} for row in value["annotations"]]
            ids = Counter(row["id"] for row in value["annotations"])
            value["annotations"] = sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
            found[name] = {**value, "annotation_ids": sorted(ids)}
    return found
