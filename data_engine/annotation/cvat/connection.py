"""Requests to a CVAT server through the client of ``cvat-sdk``: logged in, tried again, answers as plain JSON.

The SDK's client makes the requests and holds cookies and tokens.  Its typed models are left aside: they fit the SDK's
own release of the server only, and take seconds for what a page of jobs holds.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from data_engine.annotation.cvat import versions
from data_engine.annotation.cvat.attempts import attempt
from data_engine.annotation.cvat.contact import ABOUT, release
from data_engine.annotation.cvat.failures import (
    RefusedError,
    Trouble,
    TroubleError,
    decoded,
    trouble_of_answer,
    trouble_of_error,
    trouble_of_page,
    words,
)
from data_engine.annotation.cvat.refusals import CSRF, PASSWORD, TOKEN, refusal
from data_engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from data_engine.annotation.cvat.account import Account
    from data_engine.annotation.cvat.attempts import Patience

R = TypeVar("R")

PAGE = 500
"""Objects asked for at once."""
_ACCEPT = "application/vnd.cvat+json, application/json"


class Connection:
    """One account's way to a server; logs in with the first request.  Threads may share it.

    Args:
        account: the server and who we are.
        timeout_s: seconds to wait for one answer.
        patience: how long to try again.
        remark: told when the server's release was never tried, besides whom patience tells.
    """

    def __init__(
        self,
        account: Account,
        *,
        timeout_s: float,
        patience: Patience,
        remark: Callable[[str], None] | None = None,
    ) -> None:
        self.account = account
        self.patience = patience
        self._own = _Thread()
        self._timeout_s = timeout_s
        self._remark = remark
        self._client: Any = None
        self._logging_in = threading.RLock()
        self._logged_in = False
        self._logins = 0
        self._me: dict[str, Any] | None = None

    @property
    def troubles(self) -> int:
        """Tries of this thread that failed and may have had an effect; whoever creates something compares it."""
        return self._own.troubles

    # --- requests -------------------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Any:
        """The object at a path; RefusedError with status 404 where there is none."""
        return self.request("GET", path, query=query)

    def pages(
        self, path: str, *, headers: Mapping[str, str | None] | None = None, **query: Any
    ) -> list[dict[str, Any]]:
        """All objects of a list, by ascending id, in as few requests as the server allows."""
        rows: dict[int, dict[str, Any]] = {}
        page = 1
        while True:
            asked = {"page_size": PAGE, "page": page, "sort": "id", **query}
            answer = self.request("GET", path, query=asked, headers=headers)
            rows.update({row["id"]: row for row in answer["results"]})
            if not answer["next"]:
                return [rows[number] for number in sorted(rows)]
            page += 1

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        fields: Sequence[tuple[str, Any]] | None = None,
        headers: Mapping[str, str | None] | None = None,
        look: Callable[[], Any] | None = None,
        always: bool = False,
        anonymous: bool = False,
    ) -> Any:
        """One request, tried again; the answer as JSON, as text where it is none, None where it is empty.

        Args:
            method: of HTTP.
            path: below the address, from ``/api/``.
            query: parameters of the address; None among them are left out.
            json: the body.
            fields: the body as a form with files.
            headers: further ones; None leaves one out.
            look: as of :func:`~data_engine.annotation.cvat.attempts.attempt`.
            always: the same; also before the request is sent again because the session was over.
            anonymous: say nothing of who we are.

        Raises:
            ServiceError: no answer in time.
            UsageError: the account may not do that, or is not known.
            RefusedError: every other refusal.
        """
        again = look if always else None
        return self.trying(
            lambda: self.once(method, path, query, json, fields, headers, anonymous, again), look=look, always=always
        )

    def trying(self, call: Callable[[], R], *, look: Callable[[], R | None] | None = None, always: bool = False) -> R:
        """Try again what raises TroubleError, with this connection's patience."""
        self.log_in()
        return attempt(call, self.patience, server=self.account.server, look=look, always=always)

    def once(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        fields: Sequence[tuple[str, Any]] | None = None,
        headers: Mapping[str, str | None] | None = None,
        anonymous: bool = False,
        again: Callable[[], Any] | None = None,
    ) -> Any:
        """One try of :meth:`request`, to be called inside :meth:`trying`.

        Where the session was over it is sent a second time, unless ``again`` finds what it would have returned.

        Raises:
            TroubleError: what may pass.
        """
        from cvat_sdk.core.helpers import make_request_headers

        login = self._logins
        known = {} if anonymous else make_request_headers(self._client.api_client)
        given_headers = {**known, "Accept": _ACCEPT, **(headers or {})}
        sent = {name: value for name, value in given_headers.items() if value is not None}
        if fields is not None:
            sent["Content-Type"] = "multipart/form-data"
        given = {name: value for name, value in (query or {}).items() if value is not None}
        url = f"{self.account.url}{path}" + (f"?{urlencode(given)}" if given else "")
        answer = self._answer(method, url, sent, json, fields)
        if 200 <= answer.status < 300:
            found = decoded(answer.data) if answer.data else None
            trouble = None if anonymous else trouble_of_page(answer.status, answer.headers, found)
            if trouble is None:
                return found
        else:
            trouble = trouble_of_answer(answer.status, answer.headers)
        if trouble is not None:
            self._own.troubles += trouble.done
            raise TroubleError(trouble)
        over = answer.status == 401 or (answer.status == 403 and CSRF in words(decoded(answer.data)))
        if over and not anonymous and not self.account.token and not self._own.renewing:
            # A session ends after some weeks, or when the password is changed.
            self._own.renewing = True
            try:
                self._renew(login)
                found = again() if again is not None else None
                return self.once(method, path, query, json, fields, headers) if found is None else found
            finally:
                self._own.renewing = False
        raise self._refusal(answer, writes=method != "GET")

    def _answer(
        self, method: str, url: str, headers: Mapping[str, str], json: Any, fields: Sequence[tuple[str, Any]] | None
    ) -> Any:
        """Whatever the server answers; TroubleError where it does not."""
        try:
            return self._client.api_client.rest_client.request(
                method,
                url,
                headers=headers,
                body=json,
                post_params=list(fields) if fields is not None else None,
                _request_timeout=(self._timeout_s, self._timeout_s),
                _check_status=False,
            )
        except Exception as error:
            trouble = trouble_of_error(error)
            if trouble is None:
                raise
            self._own.troubles += trouble.done
            # Not chained: the SDK's errors carry headers with cookies.
            raise TroubleError(trouble) from None

    def _refusal(self, answer: Any, *, writes: bool) -> RefusedError | UsageError:
        known = self._logged_in
        return refusal(self.account, answer.status, decoded(answer.data), answer.headers, writes=writes, known=known)

    # --- who we are -----------------------------------------------------------------------------------------------

    def me(self) -> dict[str, Any]:
        """The account as the server knows it."""
        if self._me is None:
            self._me = self.get("/api/users/self")
        return self._me

    def refuse_read_only(self) -> bool:
        """UsageError where the access token is one that may only look; whether the server says that it may write."""
        if not self.account.token:
            return True
        try:
            token = self.get("/api/auth/access_tokens/self")
        except RefusedError:
            return False  # it is not told; the first change will be
        if token["read_only"]:
            raise UsageError(f"the access token for {self.account.server} is read-only", hint=TOKEN)
        return True

    def log_in(self) -> None:
        """Find the server and log in, once.

        Raises:
            ServiceError: it does not answer.
            UsageError: it is no CVAT server, or does not know the account.
        """
        with self._logging_in:
            if self._logged_in:
                return
            from cvat_sdk.version import VERSION

            remark = versions.remark(self.server_version(), VERSION)
            if remark is not None:
                self.patience.tell(remark)
                if self._remark is not None:
                    self._remark(remark)
            self.account.require_login()
            if self.account.token:
                self._client.api_client.configuration.access_token = self.account.token
            else:
                self._log_in_by_password()
            self._logged_in = True

    def _renew(self, login: int) -> None:
        """Log in again, unless another thread has since the login of that number."""
        with self._logging_in:
            if self._logins == login:
                self._log_in_by_password()

    def server_version(self) -> str:
        """Release of the server, which is asked without logging in.

        Raises:
            ServiceError: it does not answer.
            UsageError: it is no CVAT server.
        """
        from cvat_sdk.core.client import Client

        if self._client is None:
            self._client = Client(self.account.url, check_server_version=False)
            # Trying again is done here, where it is known what must not happen twice.
            self._client.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = False
            # "" is the account's own space; without the header the server shows all that the account may see.
            self._client.organization_slug = self.account.organization
        return release(self.account, self.patience, lambda: self.once("GET", ABOUT, anonymous=True))

    def _log_in_by_password(self) -> None:
        account = self.account
        api = self._client.api_client
        # Those of a session that is over would be looked at before the password.
        api.cookies.clear()
        api.configuration.api_key.pop("csrfHeaderAuth", None)

        def call() -> None:
            from cvat_sdk.core.helpers import make_request_headers

            body = {"username": account.username, "password": account.password}
            headers = {**make_request_headers(api), "Accept": _ACCEPT}
            answer = self._answer("POST", f"{account.url}/api/auth/login", headers, body, None)
            trouble = trouble_of_answer(answer.status, answer.headers)
            if trouble is not None:
                raise TroubleError(trouble)
            if answer.status in (400, 401, 403):
                raise UsageError(
                    f"{account.server} does not know {account.username} with this password: "
                    f"{words(decoded(answer.data))}",
                    hint=PASSWORD,
                )
            if answer.status != 200:
                raise self._refusal(answer, writes=True)
            api._update_cookies_from_response(answer)
            if "csrftoken" not in api.cookies:
                # A page that wants another login before, or a proxy that keeps cookies to itself.
                raise TroubleError(
                    trouble_of_page(answer.status, answer.headers, decoded(answer.data))
                    or Trouble("lets nobody in: its answer to the login has no cookie")
                )
            api.configuration.api_key["csrfHeaderAuth"] = api.cookies["csrftoken"].value
            self._logins += 1

        attempt(call, self.patience, server=account.server)


class _Thread(threading.local):
    """What each thread has of its own."""

    troubles = 0
    renewing = False
