"""What every request must pass and every answer carries: the right host, the page's own origin, the token, strict headers."""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from colorjax.web.addresses import Credit, Proxies, is_here, of_one
from colorjax.web.sessions import Refused

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
_AGAIN = "again"  # in the query of a request that is sent once more
_KEPT = re.compile(rb"colorjax-visitor-\d+=([\w-]{1,64})\.([0-9a-f]{64})\b", re.ASCII)
_MOST_WAIT = 32  # refusals that are put off at once
_HEAD = 16_384  # bytes in which a cookie is looked for
TOO_MUCH = "Too much was asked for from your network just now; please try again in a minute."
HEALTH = "/healthz"  # which is asked by programs without a token, and by any name


class Cookies:
    """The cookies of visitors. They are known to be from here though none of them is remembered, so that nobody gets a place
    who does not keep one."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, request: Request) -> str | None:
        """The one that came with a request, if it is from here."""
        cookie = request.cookies.get(cookie_name(request, "visitor"), "")
        return cookie if self._is_from_here(cookie) else None

    def within(self, words: bytes) -> str | None:
        """The first one from here in the beginning of a request, or in a header of it, without understanding the rest."""
        found = (f"{match[1].decode()}.{match[2].decode()}" for match in _KEPT.finditer(words[:_HEAD]))
        return next((one for one in found if self._is_from_here(one)), None)

    def give(self, request: Request, response: Response) -> None:
        """One like no other."""
        name = secrets.token_urlsafe(24)
        set_cookie(request, response, cookie_name(request, "visitor"), f"{name}.{self._sign(name)}")

    def once_more(self, request: Request) -> Response:
        """Lets the browser send the same request again with a cookie. Raises Refused where it has done so without."""
        if _AGAIN in request.query_params:
            raise Refused(403, "this page needs cookies; please allow them and load it again")
        query = urlencode([*request.query_params.multi_items(), (_AGAIN, "1")])
        response = RedirectResponse(f"?{query}", 307)
        self.give(request, response)
        return response

    def _is_from_here(self, cookie: str) -> bool:
        name, _, sign = cookie.rpartition(".")
        return hmac.compare_digest(sign.encode(), self._sign(name).encode())

    def _sign(self, name: str) -> str:
        return hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest()


class Guests:
    """Who asks, and whether they have asked for too much. Who keeps a cookie has credit of their own, whatever somebody else at
    the same address does; the others of an address share its credit."""

    def __init__(self) -> None:
        self.cookies, self.credit = Cookies(), Credit()

    def name(self, host: str | None, words: bytes) -> str | None:
        """Who asks from this address, by the beginning of what they say; None where nobody counts."""
        return None if is_here(host) else self.cookies.within(words) or of_one(host)


class Toll:
    """ASGI middleware: every request costs its guest credit, and who has none is refused before anything else is looked at:
    after a while, unless that would keep many waiting, who have places meanwhile."""

    def __init__(self, app: ASGIApp, guests: Guests):
        self._app, self._guests, self._waiting = app, guests, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = b";".join(value for name, value in scope.get("headers", ()) if name == b"cookie")
        name = self._guests.name((scope.get("client") or ("",))[0], said)
        if scope["type"] != "http" or name is None:
            await self._app(scope, receive, send)
            return
        wait = self._guests.credit.wait(name)
        self._guests.credit.spend(name)
        if wait:
            if self._waiting < _MOST_WAIT:
                self._waiting += 1
                try:
                    await asyncio.sleep(wait)
                finally:
                    self._waiting -= 1
            headers = {**_HEADERS, "Cache-Control": "no-store", "Retry-After": "60", "Connection": "close"}
            await PlainTextResponse(TOO_MUCH, 429, headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Forwarded:
    """ASGI middleware: what a known proxy says of who asks, under which name and by TLS or not, is as if they asked here.

    X-Forwarded-For and X-Forwarded-Proto are uvicorn's matter. X-Forwarded-Host takes the place of Host, which a proxy may
    have rewritten: a page elsewhere cannot set it without asking first, and is not allowed to.
    """

    def __init__(self, app: ASGIApp, proxies: Proxies):
        self._app, self._proxies = ProxyHeadersMiddleware(app, proxies.named), proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope.get("client") or ("",))[0] in self._proxies:
            told = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
            if told:
                others = [(name, value) for name, value in scope["headers"] if name != b"host"]
                scope = {**scope, "headers": [(b"host", told[0].split(b",")[0].strip()), *others]}
        await self._app(scope, receive, send)


class Guard:
    """ASGI middleware.

    hosts: the names that a request may call this server by, None for any. A page elsewhere whose name is made to point here
    (DNS rebinding) calls it by another; with a token it has no cookie either. token: what must have been shown once, as
    ?token=..., before anything is answered; the cookie that stands for it afterwards is none that could be guessed. root: the
    path below which a browser sees the page, "" or as "/colour"; a proxy may have taken it away, or not.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None, token: str | None, root: str = ""):
        self._app, self._token, self._root = app, token, root
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

        path, scope = self._inside(scope)
        refusal = await self._refusal(Request(scope), path)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _inside(self, scope: Scope) -> tuple[str, Scope]:
        """The path below the root, "" for the root without its slash; and the request as ASGI wants it."""
        path = scope["path"]
        if self._root and (path == self._root or path.startswith(f"{self._root}/")):
            path = path[len(self._root) :]
        return path, {**scope, "root_path": self._root, "path": self._root + path}

    async def _refusal(self, request: Request, path: str) -> Response | None:
        """The answer to a request that must not pass."""
        if path == HEALTH and request.method in _SAFE:
            return None
        host = request.headers.get("host", "")
        if self._hosts is not None and _part(f"//{host}", "hostname") not in self._hosts:
            return PlainTextResponse("This server is not known by this name.", 421)
        if request.method not in _SAFE and not _of_the_page(request, host):
            return PlainTextResponse("Only the page itself may do this.", 403)
        if not path:
            query = request.url.query
            return RedirectResponse(f"{self._root}/{f'?{query}' if query else ''}", 308)
        return await self._token_asked(request, path) if self._token else None

    async def _token_asked(self, request: Request, path: str) -> Response | None:
        name = cookie_name(request, "pass")
        if secrets.compare_digest(request.cookies.get(name, "").encode(), self._pass.encode()):
            return None
        if given := request.query_params.get("token"):
            if secrets.compare_digest(given.encode(), self._token.encode()):
                response = _once_more(path)  # so that the token stays neither in the address nor in the history
                set_cookie(request, response, name, self._pass)
                return response
            await asyncio.sleep(_WRONG_TOKEN_SECONDS)
        elif path == "/" and request.headers.get("sec-fetch-site") == "cross-site":
            return _once_more(path)
        return PlainTextResponse("Please open the whole link that colorjax serve printed: it ends with ?token=...", 401)


def _of_the_page(request: Request, host: str) -> bool:
    """Whether the page itself asks, or no browser at all. A browser's own word is best: a proxy may have rewritten Host."""
    if site := request.headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or _part(origin.lower(), "netloc") == host.lower()


def _part(url: str, what: str) -> str | None:
    try:
        return getattr(urlsplit(url), what)
    except ValueError:
        return None


def _once_more(path: str) -> Response:
    """Lets the browser ask for the page again. Who follows a link on another site does not show the cookie, nor after a
    redirect, but then."""
    home = "../" * (path.count("/") - 1) or "./"  # whatever a proxy has put before it
    return PlainTextResponse("One moment...", headers={"Refresh": f"0; url={home}"})


def cookie_name(request: Request, what: str) -> str:
    """Cookies are those of a host, whichever the port: servers side by side need different names."""
    return f"colorjax-{what}-{(request.scope.get('server') or ('', 0))[1]}"


def set_cookie(request: Request, response: Response, name: str, value: str) -> None:
    """For this visit, unseen by scripts, sent to this site alone, and by TLS alone where the page came by it."""
    path, secure = request.scope.get("root_path") or "/", request.url.scheme == "https"
    response.set_cookie(name, value, httponly=True, samesite="strict", path=path, secure=secure)
