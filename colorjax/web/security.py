"""What every request must pass and every answer carries: the right host, the page's own origin, the token, strict headers."""

import asyncio
import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SAFE = ("GET", "HEAD")
_WRONG_TOKEN_SECONDS = 0.5  # that a guess costs


class Guard:
    """ASGI middleware.

    hosts: the names that a request may call this server by, None for any. A page elsewhere whose name is made to point here
    (DNS rebinding) calls it by another; with a token it has no cookie either. token: what must have been shown once, as
    ?token=..., before anything is answered; the cookie that stands for it afterwards is none that could be guessed.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None, token: str | None):
        self._app, self._token = app, token
        self._hosts = None if hosts is None else {host.lower() for host in hosts}
        self._pass = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = await self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send_guarded)

    async def _refusal(self, request: Request) -> Response | None:
        """The answer to a request that must not pass."""
        host = request.headers.get("host", "")
        if self._hosts is not None and _part(f"//{host}", "hostname") not in self._hosts:
            return PlainTextResponse("This server is not known by this name.", 421)
        origin = request.headers.get("origin")
        if request.method not in _SAFE and (
            (origin is not None and _part(origin.lower(), "netloc") != host.lower())
            or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        ):
            return PlainTextResponse("Only the page itself may do this.", 403)
        return await self._token_asked(request) if self._token else None

    async def _token_asked(self, request: Request) -> Response | None:
        name = cookie_name(request, "pass")
        if secrets.compare_digest(request.cookies.get(name, "").encode(), self._pass.encode()):
            return None
        if given := request.query_params.get("token"):
            if secrets.compare_digest(given.encode(), self._token.encode()):
                response = _once_more()  # so that the token stays neither in the address nor in the history
                set_cookie(response, name, self._pass)
                return response
            await asyncio.sleep(_WRONG_TOKEN_SECONDS)
        elif request.url.path == "/" and request.headers.get("sec-fetch-site") == "cross-site":
            return _once_more()
        return PlainTextResponse("Please open the whole link that colorjax serve printed: it ends with ?token=...", 401)


def _part(url: str, what: str) -> str | None:
    try:
        return getattr(urlsplit(url), what)
    except ValueError:
        return None


def _once_more() -> Response:
    """Lets the browser ask for the page again. Who follows a link on another site does not show the cookie, nor after a
    redirect, but then."""
    return PlainTextResponse("One moment...", headers={"Refresh": "0; url=/"})


def cookie_name(request: Request, what: str) -> str:
    """Cookies are those of a host, whichever the port: servers side by side need different names."""
    return f"colorjax-{what}-{(request.scope.get('server') or ('', 0))[1]}"


def set_cookie(response: Response, name: str, value: str) -> None:
    """For this visit, unseen by scripts, sent to this site alone."""
    response.set_cookie(name, value, httponly=True, samesite="strict", path="/")
