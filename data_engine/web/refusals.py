"""Expected errors as answers: a page for people, ``{"error", "message", "hint"}`` for scripts and editors."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from data_engine import errors
from data_engine.web.render import refusal_page
from data_engine.web.site import site_of

log = logging.getLogger(__name__)

SIGNED_OUT = "signed-out"
"""The code by which an editor knows that it keeps its edit until somebody signs in again."""
_STATUS: dict[type[errors.DataEngineError], tuple[int, str]] = {
    errors.UnknownPersonError: (422, "usage"),
    errors.UsageError: (422, "usage"),
    errors.MissingInputError: (404, "missing"),
    errors.DamagedInputError: (422, "damaged"),
    errors.MissingDependencyError: (501, "dependency"),
    errors.ServiceError: (502, "service"),
    errors.ConflictError: (409, "conflict"),
    errors.PartialFailureError: (500, "partial"),
    errors.StorageFullError: (507, "full"),
}
_UNWRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT}
_TITLES = {
    400: "This cannot be understood",
    401: "Please sign in",
    403: "This is not yours to do",
    404: "There is nothing here",
    405: "This cannot be done here",
    409: "Somebody else was faster",
    413: "This is too much at once",
    422: "This cannot be done",
    429: "Please wait",
    502: "A service does not answer",
    507: "The disk is full",
}
_CODES = {401: SIGNED_OUT, 403: "forbidden", 404: "missing", 405: "method", 413: "too-large", 429: "wait"}


class Refused(Exception):  # noqa: N818 (an answer, not an error)
    """Ends a request with an answer.

    Args:
        status: of HTTP.
        message: what happened, in one sentence.
        hint: what to do.
        code: for programs; by the status when empty.
        headers: of the answer.
    """

    def __init__(
        self, status: int, message: str, hint: str = "", code: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.hint = status, message, hint
        self.code = code or _CODES.get(status, "failed")
        self.headers = dict(headers or {})


def status_of(error: errors.DataEngineError) -> tuple[int, str]:
    """The HTTP status and the code of an expected error."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), (500, "failed"))


def wants_page(request: Request) -> bool:
    """Whether a browser is to show the answer: then it is a page."""
    return "text/html" in request.headers.get("accept", "") and "hx-request" not in request.headers


def answer(request: Request, refused: Refused) -> Response:
    """The refusal in the form that suits who asks; who is signed out goes to sign in and comes back."""
    headers = dict(refused.headers)
    if refused.status == 401:
        if wants_page(request):
            return RedirectResponse(sign_in_address(request), 303, headers)
        if "hx-request" in request.headers:
            headers["HX-Redirect"] = sign_in_address(request)
        else:
            headers["WWW-Authenticate"] = 'Bearer realm="dataengine"'
    if wants_page(request):
        title = _TITLES.get(refused.status, "Something went wrong")
        return refusal_page(request, refused.status, title, refused.message, refused.hint, headers)
    told = {"error": refused.code, "message": refused.message, "hint": refused.hint}
    return JSONResponse(told, refused.status, headers)


def sign_in_address(request: Request) -> str:
    """Where to sign in, with the page to come back to; a request that changes something is not repeated."""
    back = request.url.path
    if "hx-request" in request.headers:
        current = urlsplit(request.headers.get("hx-current-url", ""))
        back = current.path + (f"?{current.query}" if current.query else "")
    elif request.method != "GET":
        referrer = urlsplit(request.headers.get("referer", ""))
        back = referrer.path if referrer.netloc == request.headers.get("host") else ""
    elif request.url.query:
        back += f"?{request.url.query}"
    return "/signin" if back in ("", "/") else f"/signin?next={quote(back)}"


def install(app: FastAPI) -> None:
    """Have the app answer expected errors so."""

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return answer(request, error)

    def expected(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.DataEngineError)
        status, code = status_of(error)
        redact = site_of(request).config.redact
        log.log(logging.ERROR if status >= 500 else logging.INFO, "%s %s: %s", request.method, request.url.path, error)
        return answer(request, Refused(status, redact(error.message), redact(error.hint), code))

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = {404: "there is no such page", 405: "not by this method"}.get(error.status_code, str(error.detail))
        return answer(request, Refused(error.status_code, message, headers=error.headers))

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        told = "; ".join(f"{'.'.join(map(str, e['loc'][1:])) or e['loc'][0]}: {e['msg']}" for e in error.errors()[:3])
        return answer(request, Refused(422, told, code="usage"))

    def unwritable(request: Request, error: Exception) -> Response:
        assert isinstance(error, OSError)
        if error.errno not in _UNWRITABLE:
            raise error
        log.error("%s %s: %s", request.method, request.url.path, error)
        return answer(request, Refused(503, f"the workspace cannot be written: {(error.strerror or '').lower()}"))

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(OSError, unwritable)
    app.add_exception_handler(errors.DataEngineError, expected)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


def failure(request: Request) -> Response:
    """The answer to a request that met a bug; what it was is in the log."""
    return answer(request, Refused(500, "a bug in this program; the log of the server tells more", code="bug"))
