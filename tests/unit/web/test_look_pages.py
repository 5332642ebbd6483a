"""The pages to look at a workspace, where there is next to nothing in it: each says what is to be done first."""

from __future__ import annotations

import pytest
from served import HTML, served


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with served(tmp_path_factory.mktemp("empty") / "plant") as made:
        yield made


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/wheel/now", "dataengine sample"),
        ("/wheel/history", "No round has ended yet"),
        ("/frames", "No frame is like that"),
        ("/selections", "dataengine filter"),
        ("/versions", "dataengine export"),
        ("/lineage", "by its id or the beginning of it"),
        ("/lineage?what=%3Cb%3Enothing%3C/b%3E", "&lt;b&gt;nothing&lt;/b&gt;"),
    ],
)
def test_an_empty_workspace_has_pages_that_say_what_comes_first(site, path, said):
    client = site.client("anna")
    for _ in range(100):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 200, answer.text
        if said in answer.text:
            return
    raise AssertionError(f"{said!r} is never told:\n{answer.text}")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/frames/" + "0" * 32, 404),
        ("/frames/" + "0" * 32 + "/like", 404),
        ("/frames/..%2f..%2fdataengine.toml", 404),
        ("/selections/1", 404),
        ("/selections/x", 422),
        ("/versions/v1", 404),
        ("/versions/v1/diff/v2", 404),
        ("/versions/v1/diff", 422),
        ("/lineage/frame:..%2f..%2fdataengine.toml", 404),
        ("/lineage/box:1?depth=99", 422),
        ("/thumbs/" + "0" * 32, 404),
        ("/thumbs/..%2f..%2fdataengine.toml", 404),
        ("/pictures/%2e%2e", 404),
        ("/frames?round=" + "9" * 99, 422),
    ],
)
def test_what_is_not_there_is_told_with_its_status(site, path, status):
    answer = site.client("anna").get(path, headers=HTML)
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text


def test_odd_filters_find_nothing_and_break_nothing(site):
    client = site.client("anna")
    for query in ("round=-1", "round=x", "least=nan", "least=inf", "most=-1e999", "after=zz", "order=up", "state=%00"):
        assert client.get(f"/frames?{query}", headers=HTML).status_code == 200, query
