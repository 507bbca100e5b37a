"""What the pages have in common: who may ask, for how much, and in which words they are refused.

Errors are {"error": ...} with 413 for a body that is too large and 400 for one that is not what was
asked for.
"""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

PAGE = Path(__file__).with_name("page")
AROUND = 4096  # bytes of a multipart body beside the file
HEADERS = {
    # nothing from elsewhere, so that the page works without a network and tells nobody
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # another start may have other figures
}


def application(hosts: list[str], largest: int, wanted: str) -> FastAPI:
    """Return an application without routes, but for what lies in page/.

    hosts: the names by which it may be called, which keeps other sites' pages from reaching it by a
    name of theirs, or ["*"]. largest: bytes of a file in a body. wanted: what to send instead.
    """
    # no documentation pages: theirs load scripts from elsewhere
    app = FastAPI(title="thaw", docs_url=None, redoc_url=None)
    app.state.largest, app.state.wanted = largest, wanted
    # for bodies that do not say how large they are; `_guard` is for the others
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=largest + AROUND)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.middleware("http")(_guard)
    app.add_exception_handler(RequestValidationError, _unwanted)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failed)
    app.mount("/static", StaticFiles(directory=PAGE))
    return app


def error(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)


async def _guard(request: Request, call):
    """Refuse a body that says itself that it is too large, in our words; add HEADERS to all."""
    size = int(request.headers.get("content-length", 0))
    too_large = size > request.app.state.largest + AROUND
    response = _too_large(request) if too_large else await call(request)
    response.headers.update(HEADERS)
    return response


def _too_large(request: Request) -> JSONResponse:
    return error(413, f"the file is larger than {request.app.state.largest / 1e6:g} MB")


def _unwanted(request: Request, refusal: RequestValidationError) -> JSONResponse:
    return error(400, request.app.state.wanted)


def _http_error(request: Request, refusal: HTTPException) -> JSONResponse:
    if refusal.status_code == 413:
        return _too_large(request)
    return error(refusal.status_code, refusal.detail)


def _failed(request: Request, failure: Exception) -> JSONResponse:
    return error(500, "the server failed at this; its terminal says why")
