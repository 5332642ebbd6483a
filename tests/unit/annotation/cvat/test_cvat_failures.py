"""What the server, the network and the SDK say instead of an answer."""

from __future__ import annotations

import pickle
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from data_engine.annotation.cvat.failures import (
    NO_HOST,
    RefusedError,
    Trouble,
    last_line,
    trouble_of_answer,
    trouble_of_error,
    trouble_of_page,
    words,
)

pytest.importorskip("cvat_sdk")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "No Task matches the given query."}, "No Task matches the given query."),
        ({"state": ['"done" is not a valid choice.']}, 'state: "done" is not a valid choice.'),
        ({"non_field_errors": ["Unable to log in."]}, "Unable to log in."),
        (["Project matching query does not exist."], "Project matching query does not exist."),
        ("There is no request with specified id", "There is no request with specified id"),
        ("\n<!doctype html>\n<html><head>\n <title>Server\n Error (500)</title></head></html>", "Server Error (500)"),
        ("x" * 1000, "x" * 300 + " …"),
    ],
)
def test_words_of_each_shape(body: object, said: str) -> None:
    assert words(body) == said


@pytest.mark.parametrize(
    ("status", "done"), [(429, False), (500, True), (502, True), (503, True), (504, True), (408, True)]
)
def test_what_may_pass(status: int, done: bool) -> None:
    assert trouble_of_answer(status, {}) == Trouble(f"answers {status}", status, done)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413])
def test_what_was_refused(status: int) -> None:
    assert trouble_of_answer(status, {"Retry-After": "3"}) is None


def test_retry_after() -> None:
    def wait(header: str) -> float | None:
        trouble = trouble_of_answer(429, {"Retry-After": header})
        assert trouble is not None
        return trouble.wait_s

    assert wait("7") == 7.0
    later = wait(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert later is not None
    assert 30 < later <= 60
    assert wait("-3") == 0.0
    assert wait("soon") is None


def test_errors_of_the_network() -> None:
    from cvat_sdk.api_client.exceptions import ApiException
    from urllib3 import exceptions as net

    pool: object = None
    refused = net.NewConnectionError(pool, "refused")  # type: ignore[arg-type]
    lost = net.ProtocolError("Connection aborted.", ConnectionResetError(104))
    late = net.ReadTimeoutError(pool, "/", "late")  # type: ignore[arg-type]
    assert trouble_of_error(refused) == Trouble("does not answer", done=False, silent=True)
    nowhere = net.NameResolutionError("x.invalid", pool, socket.gaierror(socket.EAI_NONAME, "unknown"))  # type: ignore[arg-type]
    assert trouble_of_error(nowhere) is NO_HOST
    later = net.NameResolutionError("x.invalid", pool, socket.gaierror(socket.EAI_AGAIN, "later"))  # type: ignore[arg-type]
    assert "at the moment" in trouble_of_error(later).said  # type: ignore[union-attr]
    assert trouble_of_error(net.MaxRetryError(pool, "/", refused)) == trouble_of_error(refused)  # type: ignore[arg-type]
    assert trouble_of_error(lost) == Trouble("cut the connection")
    assert trouble_of_error(late) == Trouble("does not answer in time")
    tls = trouble_of_error(ApiException(status=0, reason="SSLError\ncertificate verify failed"))
    assert tls is not None
    assert (tls.said, tls.done, bool(tls.repair)) == (
        "cannot be trusted: SSLError certificate verify failed",
        False,
        True,
    )
    assert trouble_of_error(KeyError("x")) is None


@pytest.mark.parametrize(
    ("said", "repair"),
    [
        ("unable to get local issuer certificate (_ssl.c:1006)", "SSL_CERT_FILE names"),
        ("certificate has expired (_ssl.c:1006)", "to be renewed"),
        ("certificate is not yet valid (_ssl.c:1006)", "the clock of this machine"),
        ("Hostname mismatch, certificate is not valid for 'cvat.example.org'.", "[cvat] url must name it"),
    ],
)
def test_what_to_do_about_a_certificate(said: str, repair: str) -> None:
    from urllib3.exceptions import SSLError

    trouble = trouble_of_error(SSLError(f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {said}"))
    assert trouble is not None
    assert repair in trouble.repair
    assert not trouble.done


def test_a_page_in_place_of_data() -> None:
    page = "<html><head><title>Please log in</title></head></html>"
    trouble = trouble_of_page(200, {"Content-Type": "text/html; charset=utf-8"}, page)
    assert trouble == Trouble("answers with a web page in place of data: Please log in", 200)
    assert trouble_of_page(200, {"Content-Type": "application/vnd.cvat+json"}, "just a text") is None
    assert trouble_of_page(200, {"Content-Type": "text/html"}, {"id": 1}) is None


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "cvat.apps.dataset_manager.bindings.CvatImportError: Could not match item id: 'x'\n",
            "Could not match item id: 'x'",
        ),
        (
            "Traceback (most recent call last):\n  File ...\nrest_framework.exceptions.ValidationError: "
            "[ErrorDetail(string='No media data found', code='invalid')]",
            "No media data found",
        ),
        ("", "no reason given"),
        ("plain words", "plain words"),
    ],
)
def test_last_line(message: str, said: str) -> None:
    assert last_line(message) == said


def test_refusal_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(RefusedError("no", hint="do", status=400, said="no")))
    assert (type(error), error.message, error.hint) == (RefusedError, "no", "do")
