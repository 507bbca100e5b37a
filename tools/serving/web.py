"""What the pages have in common: who may ask, for how much, and in which words they are refused.

Errors are {"error": ...} with 400 for a body that is not what was asked for, and what limits says.
"""

from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from tools.serving import limits

PAGE = Path(__file__).with_name("page")
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
    name of theirs, or ["*"]. largest: bytes of a file in a body. wanted: what to send instead of
    what is not understood.
    """
    # no documentation pages: theirs load scripts from elsewhere
    app = FastAPI(title="thaw", docs_url=None, redoc_url=None)
    app.state.largest, app.state.wanted, app.state.turns = largest, wanted, limits.Turns()
    # for bodies that do not say how large they are; Limits is for the others
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=largest + limits.AROUND)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.add_middleware(limits.Limits, largest=largest, turns=app.state.turns, headers=HEADERS)
    app.add_exception_handler(RequestValidationError, _unwanted)
    app.add_exception_handler(AnyHTTPException, _http_error)
    app.add_exception_handler(Exception, _failed)
    app.mount("/static", StaticFiles(directory=PAGE))
    return app


def _unwanted(request: Request, error: RequestValidationError) -> JSONResponse:
    return limits.error(HTTPException(400, request.app.state.wanted))


def _http_error(request: Request, error: AnyHTTPException) -> JSONResponse:
    if error.status_code == 413:
        error = limits.too_large(request.app.state.largest)
    return limits.error(error)


def _failed(request: Request, error: Exception) -> JSONResponse:
    return limits.error(HTTPException(500, "the server failed at this; its terminal says why"))
