"""How much a browser may make the session hold, and for how long (D8): connections, bodies that come in, time for a body."""

from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate, RequestStartLine

CONNECTIONS = 256
BODIES = 96 * 1024 * 1024  # bytes of all bodies that are being received or answered
BODY_SECONDS = 60.0
IDLE_SECONDS = 75.0  # a connection without a request; the headers of one too


class Intake(HTTPServerConnectionDelegate):
    """Stands before Tornado's application and counts."""

    def __init__(self, server: HTTPServer) -> None:
        self.server, self.held = server, 0

    @classmethod
    def install(cls, server: HTTPServer) -> None:
        """Put it into a server that Jupyter made."""
        intake, start, accept = cls(server), server.start_request, server.handle_stream
        server.conn_params.body_timeout = BODY_SECONDS
        server.conn_params.header_timeout = IDLE_SECONDS

        def handle_stream(stream: Any, address: Any) -> None:
            if len(server._connections) >= CONNECTIONS:  # noqa: SLF001 - where Tornado keeps them
                stream.close()
            else:
                accept(stream, address)

        def start_request(server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
            return Counted(intake, start(server_conn, request_conn), request_conn)

        server.start_request = start_request  # type: ignore[method-assign]
        server.handle_stream = handle_stream  # type: ignore[method-assign]


class Counted(HTTPMessageDelegate):
    """One request whose body counts until it is answered."""

    def __init__(self, intake: Intake, inner: HTTPMessageDelegate, connection: Any) -> None:
        self.intake, self.inner, self.connection, self.size = intake, inner, connection, 0

    def headers_received(self, start_line: Any, headers: Any) -> Any:
        """Pass on."""
        assert isinstance(start_line, RequestStartLine)  # noqa: S101 - this is a server
        return self.inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        """Count, and drop the connection whose chunk does not fit any more."""
        if self.intake.held + len(chunk) > BODIES:
            self._done()
            self.connection.stream.close()
            return None
        self.size += len(chunk)
        self.intake.held += len(chunk)
        return self.inner.data_received(chunk)

    def finish(self) -> Any:
        """The body is whole; Tornado hands it to the handler, which starts in this call."""
        try:
            return self.inner.finish()
        finally:
            self._done()

    def on_connection_close(self) -> None:
        """It never became whole."""
        self._done()
        self.inner.on_connection_close()

    def _done(self) -> None:
        self.intake.held -= self.size
        self.size = 0
