"""What a client may ask of the page: how much, how slowly, and how many images at once.

One image is at work at a time, in a thread. The others wait without a thread, so that what takes no
time (the page, /healthz, figures) is answered meanwhile.
"""

import asyncio
from collections.abc import Callable
from typing import BinaryIO

from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tools.serving import connection

WAITING = 64  # images without an answer, with the one that is at work
RETRY_AFTER = 2  # seconds in which some of them have theirs
AROUND = 4096  # bytes of a multipart body beside the file


def error(refused: HTTPException) -> JSONResponse:
    return JSONResponse({"error": refused.detail}, refused.status_code, refused.headers)


def too_large(largest: int) -> HTTPException:
    return HTTPException(413, f"the file is larger than {largest / 1e6:g} MB")


def too_slow() -> HTTPException:
    said = f"the request did not come within {connection.SECONDS} seconds"
    return HTTPException(408, said, {"Connection": "close"})


class Turns:
    """Gives one image at a time its turn, in the order in which they came whole."""

    def __init__(self) -> None:
        self.waiting = 0  # images that have no answer yet
        self._turn = asyncio.Lock()

    def check(self) -> None:
        """Raise HTTPException, 503, when as many as may wait do."""
        if self.waiting >= WAITING:
            again = {"Retry-After": str(RETRY_AFTER)}
            raise HTTPException(503, f"{WAITING} images wait already; try again later", again)

    async def take(self, request: Request, answer: Callable[[bytes], dict], file: BinaryIO) -> dict:
        """Return the answer to the content of `file`, computed in a thread when it is its turn.

        Raises HTTPException as `check` does, and when the client has left by then.
        """
        self.check()
        self.waiting += 1
        try:
            async with self._turn:
                if await request.is_disconnected():
                    raise HTTPException(499, "the client has left")
                return await run_in_threadpool(lambda: answer(file.read()))
        finally:
            self.waiting -= 1


class Limits:
    """Middleware that refuses bodies that say themselves that they are too large, or are too slow.

    Nor does it take an image when it could not wait. largest: bytes of a file. headers: what every
    answer gets.
    """

    def __init__(self, app: ASGIApp, largest: int, turns: Turns, headers: dict[str, str]):
        self.app, self.largest, self.turns, self.headers = app, largest, turns, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        app = self.app
        try:
            self._check(scope)
        except HTTPException as refused:
            app = error(refused)
        await app(scope, _in_time(receive), send_with_headers)

    def _check(self, scope: Scope) -> None:
        if int(Headers(scope=scope).get("content-length", 0)) > self.largest + AROUND:
            raise too_large(self.largest)
        if scope["method"] == "POST":
            self.turns.check()


def _in_time(receive: Receive) -> Receive:
    """Return `receive`, which raises HTTPException, 408, when the body is not whole in time."""
    ends = asyncio.get_running_loop().time() + connection.SECONDS
    whole = False

    async def receive_in_time() -> Message:
        nonlocal whole
        if whole:  # all that may come is that the client leaves
            return await receive()
        try:
            async with asyncio.timeout_at(ends):
                message = await receive()
        except TimeoutError:
            raise too_slow() from None
        whole = not message.get("more_body", False)
        return message

    return receive_in_time
