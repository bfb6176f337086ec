"""Runs the application on the loopback interface."""

import errno
import socket

import uvicorn
from starlette.applications import Starlette

from streamchar_ref.core.errors import InputError
from streamchar_ref.serve.people import MAX_PICTURE_BYTES

HOST = "127.0.0.1"
_ENDED_WITHIN_S = 2


def listen(port: int) -> socket.socket:
    """Takes a port of the loopback interface.

    Args:
        port: Its number; 0 takes any that is free.

    Returns:
        The bound socket.

    Raises:
        InputError: If it is in use, or may not be used.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} is in use; choose another with --port, or 0 for any"
            ) from error
        if error.errno == errno.EACCES:
            raise InputError(f"port {port} may not be used here; choose one above 1023") from error
        raise
    return listener


def make_server(app: Starlette) -> uvicorn.Server:
    """Returns a server for `listen`'s socket; messages that are too large end a connection."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        ws_max_size=2 * MAX_PICTURE_BYTES,  # up to it, a picture that is too large is told why
        ws_per_message_deflate=False,  # sound and JPEG do not shrink, and it takes time
        timeout_graceful_shutdown=_ENDED_WITHIN_S,
    )
    return uvicorn.Server(config)
