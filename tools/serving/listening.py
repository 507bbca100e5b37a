"""Listen on this machine, serve a page there, and end at Ctrl-C."""

import errno
import importlib
import socket
from contextlib import suppress

from thaw.project.errors import UserError

LOOPBACK = ["127.0.0.1", "localhost", "::1", "[::1]"]  # the last as browsers send it


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises UserError when that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} is taken; choose another with --port") from None
        raise UserError(
            f"cannot listen on {host}, port {port} ({error.strerror}); choose others with --host "
            "and --port"
        ) from None


def port(text: str) -> int:
    if not 0 <= int(text) <= 65535:
        raise ValueError
    return int(text)


def check_installed(page: str, packages: list[str]) -> None:
    """Raise UserError where one of the packages that `make PAGE` installs is missing."""
    try:
        for name in packages:
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"the page needs {error.name}: install requirements-{page}.txt, or say `make {page}`"
        ) from None


def serve(application: object, host: str, listening: socket.socket) -> None:
    """Say where the page is, and serve it until Ctrl-C."""
    import uvicorn

    from tools.serving import connection

    host = f"[{host}]" if ":" in host else host
    print(f"http://{host}:{listening.getsockname()[1]} is ready; Ctrl-C ends it", flush=True)
    with suppress(KeyboardInterrupt):  # uvicorn has ended well by then, and tells of it
        uvicorn.Server(connection.config(application)).run(sockets=[listening])
