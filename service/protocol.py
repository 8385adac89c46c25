"""HTTP/1.1 as uvicorn speaks it, but with a limit on what a peer may make it wait for.

uvicorn waits for ever for the rest of a request, and lets a head grow without end. Here a peer has an absolute time to
send a whole request, from the opening of its connection or the first byte on one that is kept, however it spreads the
bytes; then it gets a 408, unless it has sent nothing at all, and is cut off. It has the same time to take an answer
that does not fit the buffers. What is not body (head, chunk sizes, trailers) may be 64 KiB, and as much again as the
body; connections are bounded in number.

When the server is told to stop, connections without a request stay open for a moment: a request that is on its way then
gets its answer, with the word that the connection closes, where it would otherwise meet a closed one.

While the house is full, its door answers what would be refused further in, and the body is read past.

uvicorn writes an answer's head and its body apart, and each is sent at once; here both leave together, in one call to
the system and one packet.
"""

import asyncio
import json
from asyncio import TimerHandle
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.door import Door
from service.errors import Problem

MAX_HEAD_BYTES = 64 * 2**10
LINGER_S = 0.5
"""How long a connection without a request stays open when the server stops, and one that was refused, so that what the
peer is still sending does not reset the connection before it has read why (RFC 9112, section 9.6)."""


@dataclass(frozen=True)
class PeerLimits:
    """What one peer, and all of them, may ask of the server's patience."""

    receive_timeout_s: float
    max_connections: int


class JoiningTransport:
    """A transport that keeps what is written until the next write, or until the event loop has done its step."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send what was kept with this; or, if nothing was, keep this for a moment."""
        if self._kept:
            self._send(data)
        elif data:
            self._kept = data
            self._loop.call_soon(self._send)

    def close(self) -> None:
        """Send what was written, and close."""
        self._send()
        self._transport.close()

    def _send(self, more: bytes = b"") -> None:
        kept, self._kept = self._kept, b""
        if kept and not self._transport.is_closing():
            self._transport.writelines([kept, more])


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, limits: PeerLimits, door: Door, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._door = door
        self._receiving: TimerHandle | None = None
        self._sending: TimerHandle | None = None
        self._extra_bytes = 0
        self._is_leaving = False
        self._is_refused = False
        self._is_turned_away = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base
        """Greet a peer, unless there are too many."""
        super().connection_made(JoiningTransport(transport, self.loop))  # type: ignore[arg-type]  # in all that is used
        self._start_receiving()
        if len(self.connections) > self._limits.max_connections:
            message = "The server has as many connections as it can hold; try again soon."
            self._refuse(Problem(503, "overloaded", message, {"Retry-After": "1"}), linger_s=0.0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a peer."""
        self._stop_receiving()
        self._stop_sending()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the clock runs from the first byte of a request."""
        if self._is_refused or self.transport.is_closing():
            return
        self._start_receiving()
        self._extra_bytes += len(data)
        super().data_received(data)
        if self._extra_bytes > MAX_HEAD_BYTES:
            message = f"The request's head has more than the {MAX_HEAD_BYTES} bytes accepted."
            self._refuse(Problem(431, "head_too_large", message, {}))

    def on_message_begin(self) -> None:
        """A request begins; on a connection that pipelines, in the middle of a piece of data."""
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._start_receiving()

    def on_headers_complete(self) -> None:
        """The head is there: the app is called, unless the door answers."""
        if self.transport.is_closing():
            return  # after the last answer nothing is processed
        if refusal := self._turn_away():
            self._is_turned_away = True
            self._write_error(refusal, stays_open=self._stays_open())
            return
        super().on_headers_complete()
        if self._is_leaving:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._extra_bytes -= 2 * len(body)
        if not (self._is_turned_away or self.transport.is_closing()):
            super().on_body(body)

    def on_message_complete(self) -> None:
        """All is there."""
        self._stop_receiving()
        self._extra_bytes = 0
        if self.transport.is_closing():
            return
        if not self._is_turned_away:
            if self.cycle.response_complete:  # it did not wait for the body
                self._wait_for_the_next()
            super().on_message_complete()
            return
        self._is_turned_away = False
        if not self._stays_open():
            self.transport.close()
        self.on_response_complete()

    def _stays_open(self) -> bool:
        """Whether the connection does after this request; of HTTP/1.0 none does, as with uvicorn."""
        is_kept = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        return is_kept and not self._is_leaving

    def _wait_for_the_next(self) -> None:
        """As after an answer that ends a request; here the request ended after its answer."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _turn_away(self) -> Problem | None:
        """What the door says; only of a request whose turn it is, and whose body comes unasked."""
        if self._is_answering() or self.pipeline or self.expect_100_continue:
            return None
        return self._door.refusal(self.parser.get_method(), self.url, self.headers, self.client and self.client[0])

    def pause_writing(self) -> None:
        """The peer does not take its answer: the clock runs."""
        super().pause_writing()
        if self._sending is None:
            self._sending = self.loop.call_later(self._limits.receive_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """The peer takes it again."""
        super().resume_writing()
        self._stop_sending()

    def timeout_keep_alive_handler(self) -> None:
        """No further request came. What the peer has not taken of its last answer by now it will not take."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """The server is told to stop: answer what is here, or arrives within a moment, and close."""
        if self._is_turned_away:
            self._is_leaving = True  # the connection closes when the body has been read past
        elif self._is_leaving or self._is_answering():
            super().shutdown()
        else:
            self._is_leaving = True
            self._unset_keepalive_if_required()
            self.loop.call_later(LINGER_S, super().shutdown)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._refuse(Problem(400, "malformed_request", msg, {}))

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_receiving(self) -> None:
        if self._receiving is None:
            self._receiving = self.loop.call_later(self._limits.receive_timeout_s, self._cut_off)

    def _stop_receiving(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _cut_off(self) -> None:
        self._receiving = None
        if self._is_answering() and not self.cycle.more_body:
            return  # the request is complete; what came after it, a stray line end, is none
        if not self._extra_bytes:
            self.transport.close()  # a peer that connected ahead of time has asked for nothing yet
            return
        message = f"The whole request did not come within {self._limits.receive_timeout_s:g} s."
        self._refuse(Problem(408, "receive_timeout", message, {}))

    def _refuse(self, problem: Problem, *, linger_s: float = LINGER_S) -> None:
        """Answer, if there is no answer yet, and close; what still comes is not read."""
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        is_answered = self._is_turned_away or (self._is_answering() and self.cycle.response_started)
        if not is_answered:
            self._write_error(problem, stays_open=False)
        if self.cycle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if linger_s:
            self.loop.call_later(linger_s, self.transport.close)
        else:
            self.transport.close()

    def _write_error(self, problem: Problem, *, stays_open: bool) -> None:
        """An answer in the one shape of errors."""
        body = json.dumps(problem.body()).encode()
        headers = {name.decode(): value.decode() for name, value in self.server_state.default_headers}
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))} | problem.headers
        if not stays_open:
            headers["Connection"] = "close"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        phrase = HTTPStatus(problem.status).phrase
        self.transport.write(f"HTTP/1.1 {problem.status} {phrase}\r\n{lines}\r\n".encode() + body)
