"""The routes of films: what a browser asks for, and what it is answered."""

import asyncio
import json
import os
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from colorjax.science import hints
from colorjax.science.tints import RANGES
from colorjax.web import addresses, bodies, looks
from colorjax.web.answers.sending import file, polite, result
from colorjax.web.films.limits import SUFFIXES
from colorjax.web.films.room import Room, digest, given
from colorjax.web.films.shelf import Film, Shelf, Still, Work
from colorjax.web.security import Cookies
from colorjax.web.sessions import Refused, Sessions, Visitor
from colorjax.web.work import Studio

_KEYS = ("frame", "x", "y", "color", "radius", "reach")  # of a hint


class Films:
    """What the routes of films share. forget: deletes photographs or films that must go for a new visitor."""

    def __init__(self, studio: Studio, sessions: Sessions, cookies: Cookies, forget: Any):
        self._studio, self._sessions, self._cookies, self._forget = studio, sessions, cookies, forget
        self.shelf = Shelf(sessions)
        self.room = Room(studio, self.shelf, sessions.limits.seconds)

    def routes(self) -> list[Route]:
        """All of them."""
        one = "/api/films/{id}"
        frame = f"{one}/frames/{{frame:int}}"
        api = [
            ("GET", "/api/films", self.list),
            ("POST", "/api/films", self.upload),
            ("GET", one, self.about),
            ("DELETE", one, self.delete),
            ("GET", f"{one}/shots/{{shot:int}}", self.thumb),
            ("GET", f"{one}/hints", self.hints),
            ("PUT", f"{one}/hints", self.keep_hints),
            ("GET", f"{frame}/before", self.before),
            ("POST", f"{frame}/view", self.view),
            ("POST", f"{frame}/suggest", self.suggest),
            ("POST", f"{frame}/doubt", self.doubt),
            ("POST", f"{one}/try", self.attempt),
            ("DELETE", f"{one}/try", self.stop),
            ("GET", f"{one}/tried", self.tried),
            ("POST", f"{one}/copy", self.copy),
            ("DELETE", f"{one}/copy", self.cancel),
            ("GET", f"{one}/copy/{{name}}", self.download),
        ]
        return [Route(path, endpoint, methods=[method]) for method, path, endpoint in api]

    def offer(self) -> dict[str, Any]:
        """What the page is told of films. lacking: why there are none here."""
        limits = self.shelf.limits
        about = {
            "lacking": self.room.lacking,
            "suffixes": SUFFIXES,
            "upload": limits.upload,
            "films": limits.of_one,
            "formats": self.room.formats,
            "minutes": round(self._sessions.limits.idle / 60),
        }
        return about | {"frames": limits.frames, "megapixels": round(limits.pixels / 1e6, 1)}

    @polite
    async def list(self, request: Request) -> Response:
        visitor = self._visitor(request)
        there = [self._said(film) for film in visitor.films.values() if film.facts] if visitor else []
        return JSONResponse({"films": there})

    @polite
    async def upload(self, request: Request) -> Response:
        """The body is the file, as it is; ?name= what it is called. Who has no cookie is asked to send it again with one."""
        if self.room.lacking:
            raise Refused(501, self.room.lacking)
        cookie = self._cookies.of(request)
        if cookie is None:
            return self._cookies.once_more(request)
        bodies.check_length(request, self.shelf.limits.upload)
        visitor, gone = self._sessions.admit(cookie, addresses.of_one(request.client.host if request.client else None))
        film = self.shelf.begin(visitor, request.query_params.get("name", ""))
        try:
            for one in gone:
                await asyncio.to_thread(self._forget, one)
            limit = self.shelf.limits.upload
            await bodies.receive(request, film.source, limit, lambda size: self.shelf.come(film, size))
            self.shelf.come(film, 0, whole=True)
            await result(self.room.open(film))
        except BaseException:
            await asyncio.to_thread(self.room.forget, film)
            raise
        self.room.look(film)
        return JSONResponse(self._said(film), 201)

    @polite
    async def about(self, request: Request) -> Response:
        return JSONResponse(self._said(self._film(request)))

    @polite
    async def delete(self, request: Request) -> Response:
        await asyncio.to_thread(self.room.forget, self._film(request))
        return Response(status_code=204)

    @polite
    async def thumb(self, request: Request) -> Response:
        film, number = self._film(request), request.path_params["shot"]
        return Response(await asyncio.to_thread(self.room.thumb, film, number), media_type="image/jpeg")

    @polite
    async def hints(self, request: Request) -> Response:
        """All hints of the film, as `colorjax film` reads them, and their "version"."""
        rows = given(self._film(request))
        return JSONResponse({"hints": rows, "version": digest(rows)})

    @polite
    async def keep_hints(self, request: Request) -> Response:
        """Take all hints of the film. "version": of those that they were made from, where others may have been kept since."""
        film, asked = self._film(request), await bodies.json_of(request)
        if not film.frames:
            raise Refused(409, "its shots are still being looked for")
        if asked.get("hints") and not self._studio.guided:
            raise Refused(422, "this network does not follow hints")
        return JSONResponse({"version": await asyncio.to_thread(_keep, film, asked.get("hints", []), asked.get("version"))})

    @polite
    async def before(self, request: Request) -> Response:
        return Response(await result(self._studio.before(await self._still(request))), media_type="image/jpeg")

    @polite
    async def view(self, request: Request) -> Response:
        """One frame in colour, by its own hints: what the network says of it, as of a photograph."""
        asked, still = await bodies.json_of(request), await self._still(request)
        look = looks.asked_for(asked, still, self._studio.guided)
        task = self._studio.view(still, look, bodies.page_of(asked), asked.get("ahead") is True)
        return Response(await result(task), media_type="image/jpeg")

    @polite
    async def suggest(self, request: Request) -> Response:
        asked, still = await bodies.json_of(request), await self._still(request)
        look = looks.asked_for(asked, still, self._studio.guided)
        point = {"x": asked.get("x"), "y": asked.get("y"), "color": "#000000"}
        (point,) = hints.checked([point], (still.height, still.width))
        if not self._studio.guided:
            raise Refused(422, "this network does not follow hints")
        task = self._studio.suggest(still, point.x, point.y, look.hints, bodies.page_of(asked))
        return JSONResponse({"suggestions": await result(task)})

    @polite
    async def doubt(self, request: Request) -> Response:
        asked, still = await bodies.json_of(request), await self._still(request)
        task = self._studio.doubt(still, looks.asked_for(asked, still, self._studio.guided))
        return Response(await result(task), media_type="image/png")

    @polite
    async def attempt(self, request: Request) -> Response:
        """Try the shot of {"frame"} in colour with the film's hints and {"strength"}."""
        film, asked = self._film(request), await bodies.json_of(request)
        frame = asked.get("frame")
        if not isinstance(frame, int) or isinstance(frame, bool):
            raise Refused(422, "the frame must be a whole number")
        self.room.attempt(film, frame, _strength(asked))
        return JSONResponse(self._said(film), 202)

    @polite
    async def stop(self, request: Request) -> Response:
        self.room.stop(self._film(request))
        return Response(status_code=204)

    @polite
    async def tried(self, request: Request) -> Response:
        return file(self._ready(self._film(request).tried)[0])

    @polite
    async def copy(self, request: Request) -> Response:
        """Have all of it coloured, as {"format"} and with {"strength"}."""
        film, asked = self._film(request), await bodies.json_of(request)
        if not film.frames:
            raise Refused(409, "its shots are still being looked for")
        legal = [one["name"] for one in film.formats]
        if asked.get("format", "ffv1") not in legal:
            raise Refused(422, f"the format of this film must be one of {', '.join(legal)}")
        self.room.copy(film, asked.get("format", "ffv1"), _strength(asked))
        return JSONResponse(self._said(film), 202)

    @polite
    async def cancel(self, request: Request) -> Response:
        self.room.cancel(self._film(request))
        return Response(status_code=204)

    @polite
    async def download(self, request: Request) -> Response:
        """The copy, or what belongs to it, by name."""
        film = self._film(request)
        ready = film.copy if film.copy is not None and film.copy.state == "ready" else film.kept
        found = next((path for path in self._ready(ready) if path.name == request.path_params["name"]), None)
        if found is None:
            raise Refused(404, "there is no such file beside this copy")
        return file(found)

    def _visitor(self, request: Request) -> Visitor | None:
        return self._sessions.find(self._cookies.of(request))

    def _film(self, request: Request) -> Film:
        return self.shelf.film(self._visitor(request), request.path_params["id"])

    async def _still(self, request: Request) -> Still:
        return await result(self.room.still(self._film(request), request.path_params["frame"]))

    def _ready(self, work: Work | None) -> tuple[Any, ...]:
        if work is None or work.state != "ready":
            raise Refused(404, "this is not there (yet)")
        return work.files

    def _said(self, film: Film) -> dict[str, Any]:
        """All that the page shows of a film."""
        about = {"id": film.id, "name": film.name} | film.facts | {"looked": film.looked.as_dict()}
        about |= {"frames": film.frames, "shots": [[shot.first, shot.end] for shot in film.shots], "formats": film.formats}
        openings = (shot.opening for shot in film.shots)  # the dissolves that they begin in: first and last frame
        about["openings"] = [[at.first, at.end - 1] if at else None for at in openings]
        if film.tried is not None:
            first, end = film.tried.asked[0][:2]
            about["tried"] = film.tried.as_dict() | {"first": first, "end": end}
        if film.copy is not None:
            ahead = self.room.ahead(film.copy) if film.copy.state == "waiting" else None
            kept = None if film.kept is None else _copied(film, film.kept)
            about["copy"] = film.copy.as_dict() | _copied(film, film.copy) | {"ahead": ahead, "kept": kept}
        return about


def _copied(film: Film, copy: Work) -> dict[str, Any]:
    """How a copy was asked for, and what there is of it. current: whether of the hints that the film has now."""
    format, strength, version = copy.asked
    return {
        "format": format,
        "strength": strength,
        "current": version == digest(given(film)),
        "files": [path.name for path in copy.files],
    }


def _strength(asked: dict[str, Any]) -> float:
    return looks.number(asked.get("strength", 1.0), *RANGES["strength"], "the strength")


def _keep(film: Film, rows: list[Any], version: Any) -> str:
    """Write these hints, if they are some and come from those of this version. Gives theirs."""
    from colorjax.film import lists

    kept = [{key: row[key] for key in _KEYS if key in row} if isinstance(row, dict) else row for row in rows]
    coming = film.folder / "coming" / film.hints.name
    with film.keeping:
        if version is not None and version != digest(given(film)):
            raise Refused(412, "other hints of this film were saved meanwhile, as in another tab; load them first")
        coming.parent.mkdir(mode=0o700, exist_ok=True)
        coming.write_text(json.dumps({"hints": kept}, indent=1) + "\n")
        lists.read_hints(coming, film.frames, (film.facts["height"], film.facts["width"]))
        os.replace(coming, film.hints)
    return digest(kept)
