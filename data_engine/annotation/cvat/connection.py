"""Requests to a CVAT server through the client of ``cvat-sdk``: logged in, tried again, answers as plain JSON.

The SDK's client makes the requests and holds cookies and tokens.  Its typed models are left aside: they fit the SDK's
own release of the server only, and take seconds for what a page of jobs holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from data_engine.annotation.cvat import versions
from data_engine.annotation.cvat.attempts import Patience, attempt
from data_engine.annotation.cvat.failures import (
    RefusedError,
    TroubleError,
    decoded,
    trouble_of_answer,
    trouble_of_error,
    words,
)
from data_engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from data_engine.annotation.cvat.account import Account

R = TypeVar("R")

PAGE = 500
"""Objects asked for at once."""
_FIRST_CONTACT_S = 5.0
"""How long a server that has not answered yet may stay silent: its address may be wrong."""
_TOKEN_HINT = "make an access token that is not read-only in CVAT (Profile, Security): DATAENGINE_CVAT_TOKEN"
_ACCEPT = "application/vnd.cvat+json, application/json"


class Connection:
    """One account's way to a server; logs in with the first request.

    Args:
        account: the server and who we are.
        timeout_s: seconds to wait for one answer.
        patience: how long to try again.
    """

    def __init__(self, account: Account, *, timeout_s: float, patience: Patience) -> None:
        self.account = account
        self.patience = patience
        self.troubles = 0
        """Tries that failed and may have had an effect; whoever creates something compares it."""
        self._timeout_s = timeout_s
        self._client: Any = None
        self._logged_in = False
        self._renewing = False
        self._me: dict[str, Any] | None = None

    # --- requests -------------------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Any:
        """The object at a path; RefusedError with status 404 where there is none."""
        return self.request("GET", path, query=query)

    def pages(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All objects of a list, by ascending id, in as few requests as the server allows."""
        rows: dict[int, dict[str, Any]] = {}
        page = 1
        while True:
            answer = self.get(path, page_size=PAGE, page=page, sort="id", **query)
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
        headers: Mapping[str, str] | None = None,
        look: Callable[[], Any] | None = None,
        anonymous: bool = False,
    ) -> Any:
        """One request, tried again; the answer as JSON, as text where it is none, None where it is empty.

        Args:
            method: of HTTP.
            path: below the address, from ``/api/``.
            query: parameters of the address; None among them are left out.
            json: the body.
            fields: the body as a form with files.
            headers: further ones.
            look: as of :func:`~data_engine.annotation.cvat.attempts.attempt`.
            anonymous: say nothing of who we are.

        Raises:
            ServiceError: no answer in time.
            UsageError: the account may not do that, or is not known.
            RefusedError: every other refusal.
        """
        return self.trying(lambda: self.once(method, path, query, json, fields, headers, anonymous), look=look)

    def trying(self, call: Callable[[], R], *, look: Callable[[], R | None] | None = None) -> R:
        """Try again what raises TroubleError, with this connection's patience."""
        self.log_in()
        return attempt(call, self.patience, server=self.account.server, look=look)

    def once(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        fields: Sequence[tuple[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> Any:
        """One try of :meth:`request`, to be called inside :meth:`trying`.

        Raises:
            TroubleError: what may pass.
        """
        from cvat_sdk.core.helpers import make_request_headers

        known = {} if anonymous else make_request_headers(self._client.api_client)
        sent = {**known, "Accept": _ACCEPT, **(headers or {})}
        if fields is not None:
            sent["Content-Type"] = "multipart/form-data"
        given = {name: value for name, value in (query or {}).items() if value is not None}
        url = f"{self.account.url}{path}" + (f"?{urlencode(given)}" if given else "")
        try:
            answer = self._client.api_client.rest_client.request(
                method,
                url,
                headers=sent,
                body=json,
                post_params=list(fields) if fields is not None else None,
                _request_timeout=(self._timeout_s, self._timeout_s),
                _check_status=False,
            )
        except Exception as error:
            trouble = trouble_of_error(error)
            if trouble is None:
                raise
            self.troubles += trouble.done
            # Not chained: the SDK's errors carry headers with cookies.
            raise TroubleError(trouble) from None
        if 200 <= answer.status < 300:
            return decoded(answer.data) if answer.data else None
        trouble = trouble_of_answer(answer.status, answer.headers)
        if trouble is not None:
            self.troubles += trouble.done
            raise TroubleError(trouble)
        if answer.status == 401 and not anonymous and not self.account.token and not self._renewing:
            # A session ends after some weeks, or when the password is changed.
            self._renewing = True
            try:
                self._log_in_by_password()
                return self.once(method, path, query, json, fields, headers)
            finally:
                self._renewing = False
        raise self._refusal(answer.status, decoded(answer.data), answer.headers, writes=method != "GET")

    def _refusal(
        self, status: int, body: Any, headers: Mapping[str, str], *, writes: bool
    ) -> RefusedError | UsageError:
        account, said = self.account, words(body)
        if status == 401:
            what = "access token (wrong, expired or revoked)" if account.token else "login any more"
            return UsageError(f"{account.server} does not accept the {what}", hint=_TOKEN_HINT)
        if status == 403:
            who = f"account {account.username}" if account.username and not account.token else "account of the token"
            if writes and account.token:
                hint = f"its token may be read-only: {_TOKEN_HINT}"
            else:
                hint = "give it the right, or log in with an account that has it"
            return _NoRightError(f"{account.server} does not let the {who} do that: {said}", hint=hint)
        if status == 404 and account.organization and "organization" in said:
            return UsageError(
                f"{account.server} has no organization {account.organization!r}", hint="see [cvat] organization"
            )
        if 300 <= status < 400:
            where = headers.get("Location", "another address")
            return UsageError(f"{account.server} sends on to {where.split('?')[0]}", hint="see [cvat] url")
        return RefusedError(f"{account.server} refused: {said} (HTTP {status})", status=status, said=said, body=body)

    # --- who we are -----------------------------------------------------------------------------------------------

    def me(self) -> dict[str, Any]:
        """The account as the server knows it."""
        if self._me is None:
            self._me = self.get("/api/users/self")
        return self._me

    def log_in(self) -> None:
        """Find the server and log in, once.

        Raises:
            ServiceError: it does not answer.
            UsageError: it is no CVAT server, or does not know the account.
        """
        if self._logged_in:
            return
        from cvat_sdk.core.client import Client
        from cvat_sdk.version import VERSION

        if self._client is None:
            self._client = Client(self.account.url, check_server_version=False)
            # Trying again is done here, where it is known what must not happen twice.
            self._client.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = False
            # "" is the account's own space; without the header the server shows all that the account may see.
            self._client.organization_slug = self.account.organization
        remark = versions.remark(self._server_version(), VERSION)
        if remark is not None:
            self.patience.tell(remark)
        if self.account.token:
            self._client.api_client.configuration.access_token = self.account.token
        else:
            self._log_in_by_password()
        self._logged_in = True

    def _server_version(self) -> str:
        first = Patience(
            min(_FIRST_CONTACT_S, self.patience.limit_s), self.patience.sleep, self.patience.now, self.patience.tell
        )

        def about() -> Any:
            try:
                return self.once("GET", "/api/server/about", anonymous=True)
            except TroubleError as error:
                if not error.trouble.status:
                    raise
                # It is there: what it asks for is waited for as long as for everything else.
                return attempt(
                    lambda: self.once("GET", "/api/server/about", anonymous=True), self.patience, server=server
                )

        server = self.account.server
        try:
            found = attempt(about, first, server=server)
        except RefusedError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("version"), str):
            raise UsageError(f"there is no CVAT server at {self.account.url}", hint="see [cvat] url")
        return str(found["version"])

    def _log_in_by_password(self) -> None:
        account = self.account
        api = self._client.api_client

        def call() -> None:
            from cvat_sdk.core.helpers import make_request_headers

            try:
                answer = api.rest_client.request(
                    "POST",
                    f"{account.url}/api/auth/login",
                    headers={**make_request_headers(api), "Accept": _ACCEPT},
                    body={"username": account.username, "password": account.password},
                    _request_timeout=(self._timeout_s, self._timeout_s),
                    _check_status=False,
                )
            except Exception as error:
                trouble = trouble_of_error(error)
                if trouble is None:
                    raise
                raise TroubleError(trouble) from None
            trouble = trouble_of_answer(answer.status, answer.headers)
            if trouble is not None:
                raise TroubleError(trouble)
            if answer.status in (400, 401, 403):
                raise UsageError(
                    f"{account.server} does not know {account.username} with this password: "
                    f"{words(decoded(answer.data))}",
                    hint="see DATAENGINE_CVAT_USERNAME and DATAENGINE_CVAT_PASSWORD",
                )
            if answer.status != 200:
                raise self._refusal(answer.status, decoded(answer.data), answer.headers, writes=True)
            api._update_cookies_from_response(answer)
            api.configuration.api_key["csrfHeaderAuth"] = api.cookies["csrftoken"].value

        attempt(call, self.patience, server=account.server)


class _NoRightError(UsageError):
    """HTTP 403: also the answer about an object of somebody else."""


NO_RIGHT = _NoRightError
