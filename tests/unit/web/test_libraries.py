"""What the browser loads: fetched by name, carried with its licences, and nothing from elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import data_engine.web
from data_engine.web import server

WEB = Path(data_engine.web.__file__).parent
PACKAGE = json.loads((WEB / "package.json").read_text("utf-8"))
LOCK = json.loads((WEB / "package-lock.json").read_text("utf-8"))["packages"]
OWN = [path for folder in ("templates", "static") for path in sorted((WEB / folder).rglob("*")) if path.is_file()]


def test_the_lock_holds_versions_and_checksums_and_names_no_host():
    assert "://" not in (WEB / "package-lock.json").read_text("utf-8")
    for place, entry in LOCK.items():
        if place:
            assert entry["version"], place
            assert entry["integrity"].startswith("sha512-"), place
    named = PACKAGE["dependencies"] | PACKAGE["devDependencies"]
    assert {name: LOCK[f"node_modules/{name}"]["version"] for name in named} == named


def test_what_is_for_the_tests_is_not_carried():
    shipped = {source.rpartition("/dist/")[0] for source in PACKAGE["dataengine"]["vendor"].values()}
    assert shipped == PACKAGE["dependencies"].keys()
    assert not shipped & PACKAGE["devDependencies"].keys()


@pytest.mark.required
def test_every_library_is_there_with_its_licence():
    server.refuse_without_libraries()
    words = (WEB / "vendor" / "LICENSES.txt").read_text("utf-8")
    for place, entry in LOCK.items():
        if place and not entry.get("dev"):
            assert f"{place.removeprefix('node_modules/')} {entry['version']}: " in words
    assert "axe-core" not in words


@pytest.mark.parametrize("file", OWN, ids=lambda path: path.name)
def test_no_page_names_another_host(file):
    if file.suffix in (".html", ".css", ".js", ".svg"):
        text = file.read_text("utf-8").replace("http://www.w3.org/", "")
        assert re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text) == []
