"""The HTTP server of the page: uvicorn, with an end for clients that stand still.

uvicorn itself limits how many connections there are and how long one is kept open between two
requests. It waits for ever for the rest of a request's head, and for a client to take an answer.
"""

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS = 500  # at once; whoever comes then gets 503
SECONDS = 30  # for a request to come, and for its answer to be taken


class Connection(H11Protocol):
    """A connection that is closed when its client takes more than SECONDS for its part."""

    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._limit()

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle and not self.cycle.response_complete:  # a whole head: it is the app's turn
            self._free()

    def on_response_complete(self) -> None:
        self._limit()  # as answers are written at once, and wait for the client to take them
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._free()
        super().connection_lost(exc)

    def _limit(self) -> None:
        self._free()
        self.deadline = self.loop.call_later(SECONDS, self.transport.abort)

    def _free(self) -> None:
        if self.deadline:
            self.deadline.cancel()


def config(application: FastAPI, log_level: str = "warning") -> uvicorn.Config:
    """Return how an application is served; it ends two seconds after it was told to, at most."""
    return uvicorn.Config(
        application,
        http=Connection,
        log_level=log_level,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=2,
    )
