"""HTTP/1.1 as uvicorn speaks it, but with a limit on how long a peer may keep it waiting.

uvicorn waits without limit for the rest of a request, and lets a head grow without end. Here a peer has a fixed time to
send a head, from the opening of its connection or the first byte on one that is kept, however it spreads the bytes. A
body may take longer as long as each further such time brings enough of its bytes, up to a limit for the whole request.
Else the peer gets a 408, unless it has sent nothing at all, and is cut off. While an answer does not fit the buffers,
the peer must take half as many bytes of it in each such time, and none of its further requests begins. What is not body
(head, chunk sizes, trailers) may be 64 KiB, and as much again as the body. What is refused takes no answer from a whole
request before it. The number of connections is bounded (`idle`).

When the server is told to stop, connections without a request stay open for a moment. A request that is on its way then
gets its answer, with the word that the connection closes, where it would otherwise meet a closed one.

While the server cannot accept an image, load shedding answers what the app would refuse, and the body is discarded.

A client may offer to go on in another protocol, as Java's does with HTTP/2 (`Upgrade: h2c`). That may be passed over
(RFC 9110, section 7.8). But the parser then takes the body for the other protocol's, and uvicorn loses it. Here such a
request is parsed once more without the offer.
"""

import asyncio
import math
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.edge.idle import make_room
from service.edge.load_shedding import LoadShedding
from service.edge.peer_limits import MAX_PIPELINED, PeerLimits
from service.edge.receiving import Receiving
from service.edge.taking import Taking
from service.edge.untaken import UntakenAnswers
from service.errors import Problem

MAX_HEAD_BYTES = 64 * 2**10
LINGER_S = 0.5
"""How long a connection without a request stays open when the server stops, and one whose request was refused: what
the peer is still sending would otherwise reset the connection before it has read why (RFC 9112, section 9.6)."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self, *args: Any, limits: PeerLimits, shedding: LoadShedding, untaken: UntakenAnswers, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._shedding = shedding
        self._receiving = Receiving(limits, self.loop, self._is_fast_enough)
        self._taking = Taking(limits, untaken, cut_off=lambda: self.transport.abort())
        self._begun: RequestResponseCycle | None = None
        """The request that is being answered, or was the last one."""
        self._extra_bytes = 0
        self._is_leaving = self._is_refused = self._is_shed = self._is_offer = self._is_answer_untaken = False
        self._is_in_head = True
        self.url = b""  # until the first request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base
        """Accept a peer, unless there are too many."""
        super().connection_made(transport)
        self._receiving.start()
        all_open = cast("set[BoundedProtocol]", self.connections)
        if len(all_open) > self._limits.max_connections and not make_room(all_open):
            self._refuse(self._shedding.connection_refusal(self.client and self.client[0]), linger_s=0.0, is_noted=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a peer."""
        self._receiving.stop()
        self._taking.stop()
        if self._begun and not self._begun.response_complete:  # uvicorn tells only the last one that came
            self._begun.disconnected = True
            self._begun.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the clock runs from the first byte of a request."""
        if self._is_refused or self.transport.is_closing():
            return
        self._receiving.start()
        self._extra_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._extra_bytes > MAX_HEAD_BYTES:
            message = f"The request's head has more than the {MAX_HEAD_BYTES} bytes accepted."
            self._refuse(Problem(431, "head_too_large", message, {}))

    def on_message_begin(self) -> None:
        """A request begins; on a connection that pipelines, in the middle of a piece of data."""
        super().on_message_begin()
        self._is_in_head = True
        self._unset_keepalive_if_required()
        self._receiving.start()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head. What stands behind a body is none (RFC 9110, section 6.5.1): no proxy looks at it."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete: the app is called, unless the request is shed."""
        if self.transport.is_closing() or self._is_refused:
            return  # after the last answer nothing is processed
        if len(self.pipeline) >= MAX_PIPELINED:  # those get their answers, and the client hears that no more come
            self._is_refused, self.cycle.keep_alive = True, False
            return
        if self.parser.should_upgrade() and any(name == b"upgrade" for name, _ in self.headers):
            self._is_offer = True
            return
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # such a client knows no interim answer (RFC 9110, section 10.1.1)
        if refusal := self._shed():
            self._is_shed = True
            self._write_error(refusal, stays_open=self._stays_open())
        else:
            super().on_headers_complete()
            self.cycle.scope["state"]["hang_up"] = partial(self._hang_up, self.cycle)
            self.cycle.keep_alive &= not self._is_leaving
            if not self.pipeline:
                self._begun = self.cycle
        self._is_in_head = False

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._extra_bytes -= 2 * len(body)
        self._receiving.count(len(body))
        if not (self._is_shed or self._is_refused or self.transport.is_closing()):
            super().on_body(body)

    def on_message_complete(self) -> None:
        """All is there."""
        if self._is_offer:
            return
        self._receiving.stop()
        self._is_in_head = True
        self._extra_bytes = 0
        if self.transport.is_closing():
            return
        if not self._is_shed:
            if self.cycle.response_complete:  # it did not wait for the body
                self._wait_for_the_next()
            super().on_message_complete()
            return
        self._is_shed = False
        if not self._stays_open():
            self.transport.close()
        self.on_response_complete()

    def _parse(self, data: bytes) -> None:
        """As uvicorn does, but a head with an offer is parsed again without it, and then what came behind it."""
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_offer() + data[upgrade.args[0] :] if self._is_offer else b""
                self._is_offer = False
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return
            else:
                return

    def _head_without_offer(self) -> bytes:
        """The head that the parser has stopped at, for a new one."""
        start = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        return b"\r\n".join([start, *lines, b"", b""])

    def _stays_open(self) -> bool:
        """Whether the connection stays open after this request; with HTTP/1.0 none does, as with uvicorn."""
        is_kept = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        return is_kept and not self._is_leaving

    def _wait_for_the_next(self) -> None:
        """As uvicorn does after an answer; here the request ended after its answer."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _shed(self) -> Problem | None:
        """The refusal; only of a request that is next to be answered, and whose body comes unasked."""
        if self._is_answering() or self.pipeline or self.expect_100_continue:
            return None
        return self._shedding.refusal(self.parser.get_method(), self.url, self.headers, self.client and self.client[0])

    def on_response_complete(self) -> None:
        """The next request may begin; but while this answer is in memory for its peer, no further one is made."""
        self._is_answer_untaken = self._taking.is_on and not self.transport.is_closing()
        if self._is_answer_untaken:
            self.flow.pause_reading()
        else:
            if self.pipeline:
                self._begun, _ = self.pipeline[-1]
                self._receiving.start_anew()
            super().on_response_complete()

    def pause_writing(self) -> None:
        """The peer does not take its answer: the clock runs."""
        super().pause_writing()
        self._taking.start(self.loop, self.transport)

    def resume_writing(self) -> None:
        """The peer takes it again."""
        super().resume_writing()
        self._taking.stop()
        if self._is_answer_untaken:
            self.on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """No further request came. A peer that has not taken its last answer by now will not take it."""
        if self._taking.is_on:
            self._wait_for_the_next()  # it takes its answer still
        elif self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """The server is told to stop: answer what is here, or arrives within a moment, and close."""
        if self._is_shed:
            self._is_leaving = True  # the connection closes when the body has been discarded
        elif self._is_leaving or self._is_answering():
            super().shutdown()
        else:
            self._is_leaving = True
            self._unset_keepalive_if_required()
            self.loop.call_later(LINGER_S, super().shutdown)

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP."""
        self._refuse(Problem(400, "malformed_request", msg, {}))

    @property
    def idle_until(self) -> float:
        """When it ends if no request comes; infinite if one has begun, or an answer has not left, or none has come."""
        is_used = self._receiving.is_on or self.transport.is_closing() or self.transport.get_write_buffer_size()
        return math.inf if is_used or not self.timeout_keep_alive_task else self.timeout_keep_alive_task.when()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_fast_enough(self, num_body_bytes: int, is_over: bool) -> bool:
        """Whether to wait on for the rest of a request; else the peer has been told, or needs not be."""
        if self.pipeline:  # it waits for those before it, and meanwhile need not be read
            return True
        if self._is_answering() and not self.cycle.more_body:
            return False  # the request is complete; what came after it is a stray line end
        if not (self._extra_bytes or num_body_bytes):
            self.transport.close()  # a peer that connected ahead of time has sent nothing yet
            return False
        message = self._limits.lack(num_body_bytes, is_in_head=self._is_in_head, is_over=is_over)
        if message:
            self._refuse(Problem(408, "receive_timeout", message, {}))
        return not message

    def _refuse(self, problem: Problem, *, linger_s: float = LINGER_S, is_noted: bool = False) -> None:
        """Answer, if there is no answer yet, and close; what still comes is not read.

        If a whole request came before what is refused, its answer is the last one. The app of a request that has begun
        sees a peer that has gone: `request_log` is told what was answered. Where none has begun, it is noted here.
        """
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        whole: RequestResponseCycle | None = self.cycle
        if self.pipeline and not self._is_in_head:
            self.pipeline.popleft()  # what is refused waits for those before it, and is not begun
            whole = self.pipeline[0][0] if self.pipeline else self._begun
        if whole and not (whole.response_complete or whole.more_body):
            whole.keep_alive = False
            return
        is_in_message = self._is_answering() or not self._is_in_head
        is_answered = self._is_shed or (is_in_message and self.cycle.response_started)
        if not is_answered:
            if self._is_answering():
                self.cycle.scope["state"]["refused_with"] = problem
            elif not is_noted:
                problem = self._shedding.unread_refusal(problem, self.client and self.client[0])
            self._write_error(problem, stays_open=False)
        if self.cycle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if linger_s:
            self.loop.call_later(linger_s, self.transport.close)
        else:
            self.transport.close()

    def _hang_up(self, cycle: RequestResponseCycle) -> None:
        """For an app that cannot end an answer that it has begun: the client must see that the rest is missing."""
        cycle.disconnected = True
        self.transport.close()

    def _write_error(self, problem: Problem, *, stays_open: bool) -> None:
        defaults = self.server_state.default_headers
        self.transport.write(self._shedding.written_out(problem, self.url, defaults, stays_open=stays_open))
