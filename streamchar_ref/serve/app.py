"""The ASGI application: the page, portraits, and the WebSocket, all behind one token."""

import secrets
from collections.abc import Awaitable, Callable
from importlib.resources import files
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from streamchar_ref.core.errors import InputError
from streamchar_ref.serve.people import as_jpeg, character
from streamchar_ref.serve.session import Hello, Session
from streamchar_ref.serve.worker import Worker

MAX_VISITORS = 64
"""Open pages; how many of them can be served at once is the engine's affair."""
_TYPES = {
    "": ("index.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; connect-src 'self' ws:; "
        "frame-ancestors 'none'"
    ),
}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_FORBIDDEN, _TRY_LATER = 403, 1013
_Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(worker: Worker, hello: Hello, token: str) -> Starlette:
    """Builds the application.

    Args:
        worker: Makes the chunks; started.
        hello: What a page is told first.
        token: First part of every path; without it, all is forbidden.

    Returns:
        The application.
    """
    visitors: set[Session] = set()

    def is_known(connection: HTTPConnection) -> bool:
        given = connection.path_params.get("token", "").encode()
        return secrets.compare_digest(given, token.encode()) and is_own_origin(connection)

    def guarded(endpoint: _Endpoint) -> _Endpoint:
        async def answer(request: Request) -> Response:
            if not is_known(request):
                return _refused()
            response = await endpoint(request)
            response.headers.update(_HEADERS)
            return response

        return answer

    async def live(socket: WebSocket) -> None:
        if not is_known(socket):
            await socket.close()  # before it is accepted: 403
            return
        if len(visitors) >= MAX_VISITORS:
            await socket.accept()
            await socket.close(_TRY_LATER, "too many pages are open")
            return
        session = Session(socket, worker, hello)
        visitors.add(session)
        try:
            await session.run()
        finally:
            visitors.discard(session)

    async def forbidden(request: Request) -> Response:
        return _refused()

    return Starlette(
        routes=[
            WebSocketRoute("/{token}/live", live),
            Route("/{token}/face/{number}", guarded(_face)),
            Route("/{token}/{name}", guarded(_file)),
            Route("/{token}/", guarded(_file)),
            Route("/{path:path}", forbidden),
        ]
    )


def is_own_origin(connection: HTTPConnection) -> bool:
    """Whether a request comes from our own page, or from no page of a browser.

    Args:
        connection: With its headers.

    Returns:
        False for pages of other sites, also where their name leads to this machine.
    """
    host = connection.headers.get("host", "")
    origin = connection.headers.get("origin")
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:  # no address at all
        return False
    if name not in _LOOPBACK:
        return False
    return origin is None or origin == f"http://{host}"


async def _file(request: Request) -> Response:
    name = request.path_params.get("name", "")
    if name not in _TYPES:
        return PlainTextResponse("there is no such page", 404)
    file, kind = _TYPES[name]
    return Response((files(__package__) / file).read_bytes(), media_type=kind)


async def _face(request: Request) -> Response:
    number = request.path_params["number"]
    try:
        if not (number.isascii() and number.isdecimal()):
            raise InputError("a character has a number")
        person = await run_in_threadpool(character, number)
    except InputError as error:
        return PlainTextResponse(str(error), 404)
    return Response(as_jpeg(person.picture), media_type="image/jpeg")


def _refused() -> Response:
    return PlainTextResponse(
        "403: open the address that `streamchar serve` has printed, with all of its letters",
        _FORBIDDEN,
    )
