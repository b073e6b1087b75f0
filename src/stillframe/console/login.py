"""Logging in and out: by a link that counts once, or by an access key.

The link's token stands behind the `#` of its address, which browsers send to no server: it is in no log of a proxy. A
script of the login page sends it, so that a program that follows links to look what they are uses none up.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stillframe.accounts.console_sessions import ConsoleSessions
from stillframe.accounts.throttle import Throttle
from stillframe.console.headers import page_headers
from stillframe.console.templating import Templating
from stillframe.errors import AuthenticationError, Throttled
from stillframe.service.errors import as_api_error

#: tries to log in from one address: so many at once, then one in so many seconds
_AT_ONCE, _THEN_EVERY_S = 10, 6.0
_LONGEST = 200
_WRONG = {
    "link": "This link was used before, or it is over. On the server, stillframe console link prints a new one.",
    "key": "There is no such AccessKeyId, or the secret is not its own.",
    "disabled": "This key is disabled. Ask the owner of the account for another one.",
    "cross": "This form was not sent by a page of this server. Open the login page again.",
}
#: why somebody is here who was logged in
OVER = {
    "session": "You are logged in no more: it was too long ago, or the key that you came with was disabled or deleted.",
    "key": "The key that you were logged in with counts no more, and so you are logged out.",
}


def link_of(url: str, token: str) -> str:
    """The address that logs somebody in once; `url` is how the server is reached."""
    return f"{url.rstrip('/')}/console/login#{token}"


def cookie_name(request: Request) -> str:
    """The name of the session's cookie. Cookies know no ports, and two servers may share a host."""
    port = urlsplit(f"//{request.headers.get('host', '')}").port
    prefix = "__Secure-" if request.url.scheme == "https" else ""
    return f"{prefix}stillframe_console{f'_{port}' if port else ''}"


class Login:
    """The login page, and what its forms are sent to."""

    def __init__(self, sessions: ConsoleSessions, templating: Templating) -> None:
        self._sessions = sessions
        self._templating = templating
        self._throttle = Throttle(1 / _THEN_EVERY_S, at_once=_AT_ONCE)

    def page(self, root: str, next_path: str, *, wrong: str | None = None, status: int = 200) -> Response:
        """The login page; `wrong` says why somebody did not get in."""
        text = self._templating.render("login.html", root, next_path=next_path, wrong=wrong)
        return Response(text, status, page_headers(), "text/html")

    def cross(self, root: str) -> Response:
        """To who sent a form from elsewhere."""
        return self.page(root, "", wrong=_WRONG["cross"], status=403)

    def try_in(self, request: Request, root: str, form: Mapping[str, str]) -> Response:
        """Log in by what the form says."""
        next_path = safe_path(form.get("next", ""), root)
        try:
            self._throttle.take(request.client.host if request.client else "", "login")
        except Throttled as error:
            told = as_api_error(error)
            assert told is not None
            seconds = -(-error.retry_after_ms // 1000)
            response = self.page(
                root, next_path, wrong=f"{told.message} Try again in {seconds} seconds.", status=429
            )
            response.headers["Retry-After"] = str(seconds)
            return response
        link = form.get("link", "").strip()
        key_id, secret = form.get("access_key_id", "").strip(), form.get("access_key_secret", "").strip()
        if max(len(key_id), len(secret)) > _LONGEST or not key_id.isprintable():
            return self.page(root, next_path, wrong=_WRONG["key"], status=401)
        try:
            token = (
                self._sessions.begin_by_link(link[-_LONGEST:])
                if link
                else self._sessions.begin_by_key(key_id, secret)
            )
        except AuthenticationError as error:
            why = "link" if link else "disabled" if error.code.endswith("Inactive") else "key"
            return self.page(root, next_path, wrong=_WRONG[why], status=401)
        response = RedirectResponse(next_path or root, 303, page_headers())
        response.set_cookie(
            cookie_name(request),
            token,
            path=root,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    def out(self, request: Request, root: str, token: str) -> Response:
        """Log out."""
        self._sessions.end(token)
        response = RedirectResponse(f"{root}/login", 303, page_headers())
        is_secure = request.url.scheme == "https"
        response.delete_cookie(
            cookie_name(request), path=root, httponly=True, samesite="lax", secure=is_secure
        )
        return response


def safe_path(path: str, root: str) -> str:
    """A path of the console to go on to; nothing for what might lead elsewhere."""
    inside = path == root or path.startswith((f"{root}/", f"{root}?"))
    return path if inside and path.isprintable() and "\\" not in path and path.isascii() else ""
