"""The routes of the page: what a browser asks for, and the words that it is answered where that cannot be."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from colorjax import photos
from colorjax.inference.colorizer import Colorizer
from colorjax.platform.version import VERSION
from colorjax.science import hints
from colorjax.web import addresses, bodies, looks
from colorjax.web.answers import comparing, zipped
from colorjax.web.answers.sending import file, polite, result
from colorjax.web.connections import Shares
from colorjax.web.films.routes import Films
from colorjax.web.films.shelf import Film
from colorjax.web.security import HEALTH, Forwarded, Guard, Guests, Toll
from colorjax.web.sessions import Photograph, Refused, Sessions, Visitor
from colorjax.web.work import Studio

_STATIC = Path(__file__).parent / "static"
_KINDS = {".html": "text/html", ".css": "text/css", ".svg": "image/svg+xml", ".js": "text/javascript"}
_SWEEP = 30.0  # seconds between looks for visitors who have gone


def make(
    colorizer: Colorizer,
    sessions: Sessions,
    token: str | None = None,
    hosts: list[str] | None = None,
    proxies: addresses.Proxies | None = None,
    root: str = "",
    signing: dict[str, Any] | None = None,
) -> Starlette:
    """The application, its `state.guests` for `connections.Patient`; see `security.Guard` for `token`, `hosts` and `root`."""
    page, guard = Page(colorizer, sessions, signing), Middleware(Guard, hosts=hosts, token=token, root=root)
    entrance = [Middleware(Toll, guests=page.guests), guard, Middleware(Shares)]
    return page.app([Middleware(Forwarded, proxies=proxies), *entrance] if proxies else entrance)


class Page:
    """What the routes share."""

    def __init__(self, colorizer: Colorizer, sessions: Sessions, signing: dict[str, Any] | None = None):
        self.sessions, self.studio, self.guests = sessions, Studio(colorizer, sessions, signing), Guests()
        self._files = {f"/{path.name}": _answer(path) for path in _STATIC.iterdir() if path.suffix in _KINDS}
        self.films = Films(self.studio, sessions, self.guests.cookies, self.forget)
        self._files["/"] = self._files.pop("/index.html")

    def app(self, middleware: list[Middleware]) -> Starlette:
        """All routes, and nothing of a file system behind them but what a photograph's id stands for."""
        one = "/api/photographs/{id}"
        api = [
            ("GET", "/api/about", self.about),
            ("GET", "/api/photographs", self.list),
            ("POST", "/api/photographs", self.upload),
            ("DELETE", one, self.delete),
            ("GET", f"{one}/before", self.before),
            ("POST", f"{one}/view", self.view),
            ("POST", f"{one}/suggest", self.suggest),
            ("POST", f"{one}/doubt", self.doubt),
            ("POST", f"{one}/compare", self.compare),
            ("POST", f"{one}/copy", self.copy),
            ("GET", f"{one}/copy", self.download),
            ("GET", f"{one}/sidecar", self.sidecar),
            ("GET", f"{one}/beside/{{name}}", self.beside),
            ("GET", "/api/progress", self.progress),
            ("GET", "/api/copies.zip", self.copies),
            ("GET", HEALTH, self.health),
        ]
        routes = [Route(path, endpoint, methods=[method]) for method, path, endpoint in api]
        routes += self.films.routes()
        routes += [Route(path, endpoint) for path, endpoint in self._files.items()]
        app = Starlette(routes=routes, middleware=middleware, lifespan=self._life)
        app.router.redirect_slashes = False  # to where a proxy may not be
        app.state.guests = self.guests
        return app

    @contextlib.asynccontextmanager
    async def _life(self, app: Starlette) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await asyncio.sleep(_SWEEP)
                await asyncio.to_thread(self.sweep)

        task = asyncio.create_task(sweep())
        yield
        task.cancel()
        self.studio.close()
        self.films.room.close()

    def sweep(self) -> None:
        """Delete what is of visitors who have gone."""
        for one in self.sessions.expired():
            self.forget(one)

    def forget(self, one: Photograph | Film) -> None:
        """Delete a photograph or a film."""
        if isinstance(one, Film):
            self.films.room.forget(one)
        else:
            self.studio.forget(one)

    @polite
    async def health(self, request: Request) -> Response:
        """Whether photographs can be coloured, for programs that look after this one."""
        works = self.studio.works and self.films.room.works
        return JSONResponse({"status": "ok"}) if works else JSONResponse({"status": "stuck"}, 503)

    @polite
    async def about(self, request: Request) -> Response:
        """What the page asks first. Whoever has no cookie yet gets one: here, for a browser that follows a link from another
        site to the page does not show the cookie that it has. cookie: whether the one given before came back."""
        limits, known = self.sessions.limits, self.guests.cookies.of(request) is not None
        response = JSONResponse(
            {
                "version": VERSION,
                "guided": self.studio.guided,
                "signed_by": self.studio.signed_by,
                "variants": looks.VARIANTS if self.studio.guided else 1,
                "calibrated": self.studio.colorizer.calibrated,
                "suffixes": photos.SUFFIXES,
                "formats": looks.formats(),
                "upload": limits.upload,
                "megapixels": round(limits.pixels / 1e6, 1),
                "photographs": limits.photographs,
                "films": self.films.offer(),
                "idle_minutes": round(limits.idle / 60),
                "cookie": known,
            }
        )
        if not known:
            self.guests.cookies.give(request, response)
        return response

    @polite
    async def list(self, request: Request) -> Response:
        visitor = self._visitor(request)
        there = [photograph.as_dict() for photograph in visitor.photographs.values() if photograph.width] if visitor else []
        return JSONResponse({"photographs": there})

    @polite
    async def upload(self, request: Request) -> Response:
        """The body is the file, as it is; ?name= what it is called. Who has no cookie is asked to send it again with one."""
        cookie = self.guests.cookies.of(request)
        if cookie is None:
            return self.guests.cookies.once_more(request)
        bodies.check_length(request, self.sessions.limits.upload)
        visitor, gone = self.sessions.admit(cookie, addresses.of_one(request.client.host if request.client else None))
        photograph = self.sessions.begin(visitor, request.query_params.get("name", ""))
        try:
            for one in gone:
                await asyncio.to_thread(self.forget, one)
            grow = functools.partial(self.sessions.grow, photograph)
            await bodies.receive(request, photograph.source, self.sessions.limits.upload, grow)
            await result(self.studio.open(photograph))
        except BaseException:
            await asyncio.to_thread(self.studio.forget, photograph)
            raise
        return JSONResponse(photograph.as_dict(), 201)

    @polite
    async def delete(self, request: Request) -> Response:
        await asyncio.to_thread(self.studio.forget, self._photograph(request))
        return Response(status_code=204)

    @polite
    async def before(self, request: Request) -> Response:
        return Response(await result(self.studio.before(self._photograph(request))), media_type="image/jpeg")

    @polite
    async def view(self, request: Request) -> Response:
        photograph, asked = self._photograph(request), await bodies.json_of(request)
        look, ahead = looks.asked_for(asked, photograph, self.studio.guided), asked.get("ahead") is True
        task = self.studio.view(photograph, look, bodies.page_of(asked), ahead)
        return Response(await result(task), media_type="image/jpeg")

    @polite
    async def suggest(self, request: Request) -> Response:
        photograph, asked = self._photograph(request), await bodies.json_of(request)
        look = looks.asked_for(asked, photograph, self.studio.guided)
        shape = photograph.height, photograph.width
        (point,) = hints.checked([{"x": asked.get("x"), "y": asked.get("y"), "color": "#000000"}], shape)
        if not self.studio.guided:
            raise Refused(422, "this network does not follow hints")
        task = self.studio.suggest(photograph, point.x, point.y, look.hints, bodies.page_of(asked))
        return JSONResponse({"suggestions": await result(task)})

    @polite
    async def doubt(self, request: Request) -> Response:
        photograph, asked = self._photograph(request), await bodies.json_of(request)
        task = self.studio.doubt(photograph, looks.asked_for(asked, photograph, self.studio.guided))
        return Response(await result(task), media_type="image/png")

    @polite
    async def compare(self, request: Request) -> Response:
        photograph, asked = self._photograph(request), await bodies.json_of(request)
        kind = asked.get("kind")
        if not isinstance(kind, str) or kind not in comparing.KINDS:
            raise Refused(422, f"before and after are shown as {' or '.join(comparing.KINDS)}")
        look = looks.asked_for(asked, photograph, self.studio.guided)
        return Response(await result(self.studio.compare(photograph, look, kind)), media_type=comparing.KINDS[kind][1])

    @polite
    async def copy(self, request: Request) -> Response:
        photograph, asked = self._photograph(request), await bodies.json_of(request)
        look = looks.asked_for(asked, photograph, self.studio.guided)
        self.studio.copy(photograph, look, *looks.format_of(asked))
        return JSONResponse(self._progress(photograph), 202)

    @polite
    async def progress(self, request: Request) -> Response:
        visitor = self._visitor(request)
        copies = [photograph for photograph in visitor.photographs.values() if photograph.copy] if visitor else []
        return JSONResponse({"copies": {photograph.id: self._progress(photograph) for photograph in copies}})

    @polite
    async def download(self, request: Request) -> Response:
        return file(self._ready(request).target)

    @polite
    async def sidecar(self, request: Request) -> Response:
        return file(self._ready(request).sidecar)

    @polite
    async def beside(self, request: Request) -> Response:
        return file(self._ready(request).named(request.path_params["name"]))

    @polite
    async def copies(self, request: Request) -> Response:
        visitor = self._visitor(request)
        ready = [one.copy for one in visitor.photographs.values() if one.copy and one.copy.state == "ready"] if visitor else []
        if not ready:
            raise Refused(404, "there are no coloured copies yet")
        headers = {"Content-Disposition": 'attachment; filename="colorized.zip"'}
        return StreamingResponse(zipped.chunks([copy.files for copy in ready]), media_type="application/zip", headers=headers)

    def _visitor(self, request: Request) -> Visitor | None:
        return self.sessions.find(self.guests.cookies.of(request))

    def _photograph(self, request: Request) -> Photograph:
        return self.sessions.photograph(self._visitor(request), request.path_params["id"])

    def _ready(self, request: Request) -> Any:
        copy = self._photograph(request).copy
        if copy is None or copy.state != "ready":
            raise Refused(404, "this copy is not there (yet)")
        return copy

    def _progress(self, photograph: Photograph) -> dict[str, Any]:
        copy = photograph.copy
        about = {"state": copy.state, "reason": copy.reason, "not_carried": copy.notes, "warnings": copy.warnings}
        about |= {"beside": [path.name for path in copy.beside]} if copy.beside else {}
        if copy.state == "waiting" and copy.task is not None:
            about["ahead"] = self.studio.slow.ahead(copy.task)
        return about


def _answer(path: Path) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that gives a file of the page."""
    data, kind = path.read_bytes(), _KINDS[path.suffix]

    async def answered(request: Request) -> Response:
        return Response(data, media_type=kind, headers={"Cache-Control": "no-cache"})

    return answered
