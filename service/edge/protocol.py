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

After the last answer the rest of a body is read and discarded, within the same limits, so that its peer can read that
answer (`ending`).
"""

import asyncio
import math
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.edge.ending import LINGER_S, Ending, send_no_more
from service.edge.idle import make_room
from service.edge.load_shedding import LoadShedding
from service.edge.parsing import ParsingProtocol
from service.edge.peer_limits import MAX_HEAD_BYTES, MAX_PIPELINED, PeerLimits
from service.edge.receiving import Receiving
from service.edge.taking import Taking
from service.edge.untaken import UntakenAnswers
from service.errors import Problem


class BoundedProtocol(ParsingProtocol):
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
        self._has_spoken = self._is_refused = self._is_shed = self._is_answer_untaken = False
        self._is_ending = False
        """The last answer is written, and what the peer is still sending is read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base
        """Accept a peer, unless there are too many."""
        super().connection_made(transport)
        self._receiving.start()
        all_open = cast("set[BoundedProtocol]", self.connections)
        if len(all_open) > self._limits.max_connections and not make_room(all_open):
            self._refuse(self._shedding.connection_refusal(self.client and self.client[0]), is_one_too_many=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a peer."""
        self._receiving.stop()
        self._taking.stop()
        self._unset_keepalive_if_required()
        if self._begun and not self._begun.response_complete:  # uvicorn tells only the last one that came
            self._begun.disconnected = True
            self._begun.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the clock runs from the first byte of a request."""
        if self._is_refused or self.transport.is_closing():
            return
        self._has_spoken = True
        self._receiving.start()
        self._extra_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._extra_bytes > MAX_HEAD_BYTES:
            message = f"The request's head has more than the {MAX_HEAD_BYTES} bytes accepted."
            self._refuse(Problem(431, "head_too_large", message, {}))

    def eof_received(self) -> None:
        """The peer sends no more, which counts as its end. What was written before it may still take, in time."""
        self._taking.start(self.loop, self.transport)

    def on_message_begin(self) -> None:
        """The clock of a request runs."""
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._receiving.start()

    def on_headers_complete(self) -> None:
        """The head is complete: the app is called, unless the request is shed."""
        if self.transport.is_closing() or self._is_refused:
            return  # after the last answer nothing is processed
        if len(self.pipeline) >= MAX_PIPELINED:  # those get their answers, and the client hears that no more come
            self._is_refused, self.cycle.keep_alive = True, False
            return
        if self._finds_offer():
            return
        if refusal := self._shed():
            self._is_shed = True
            self._write_error(refusal, stays_open=self._stays_open())
        else:
            super().on_headers_complete()
            self.cycle.scope["state"]["hang_up"] = partial(self._hang_up, self.cycle)
            self.cycle.transport = cast("asyncio.Transport", Ending(self.transport, self._end))
            self.cycle.keep_alive &= not (self._is_leaving or self.expect_100_continue)
            if not self.pipeline:
                self._begun = self.cycle
        self._is_in_head = False

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._extra_bytes -= 2 * len(body)
        self._receiving.count(len(body))
        if not (self._is_shed or self._is_refused or self.transport.is_closing()):
            self._hear_body()
            super().on_body(body)

    def on_message_complete(self) -> None:
        """All is there."""
        if self._is_offer:
            return
        self._receiving.stop()
        self._is_in_head = True
        self._extra_bytes = 0
        if self.transport.is_closing() or self._is_refused:
            return
        if self._is_ending:
            self.transport.close()
        elif not self._is_shed:
            self._hear_body()
            if self.cycle.response_complete:  # it did not wait for the body
                self._wait_for_the_next()
            super().on_message_complete()
        else:
            self._is_shed = False
            if not self._stays_open():
                self._end()
            self.on_response_complete()

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
        if self._is_ending:
            return
        was_untaken = self._is_answer_untaken
        self._is_answer_untaken = self._taking.is_on and not self.transport.is_closing()
        if self._is_answer_untaken:
            self.flow.pause_reading()
            return
        if self.pipeline:
            self._begun, _ = self.pipeline[-1]
        if self.pipeline or was_untaken:
            self._receiving.start_anew()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The peer does not take its answer: the clock runs."""
        super().pause_writing()
        self._taking.start(self.loop, self.transport)

    def resume_writing(self) -> None:
        """The peer takes it again; after the last answer the clock runs until that is taken."""
        super().resume_writing()
        if not (self._is_ending or self.transport.is_closing()):
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
        self._is_leaving = True
        if self._is_shed:
            return  # the connection closes when the body has been discarded
        if self._is_answering():
            super().shutdown()
        else:
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
        if self.pipeline or self._is_answer_untaken:  # it waits for those before it, and meanwhile need not be read
            return True
        if self._is_answering() and not self.cycle.more_body:
            return False  # the request is complete; what came after it is a stray line end
        if not self._has_spoken:
            self.transport.close()  # a peer that connected ahead of time
            return False
        message = self._limits.lack(num_body_bytes, is_in_head=self._is_in_head, is_over=is_over)
        if message:
            self._refuse(Problem(408, "receive_timeout", message, {}))
        return not message

    def _refuse(self, problem: Problem, *, is_one_too_many: bool = False) -> None:
        """Answer, if there is no answer yet, and close; what still comes is not read.

        If a whole request came before what is refused, its answer is the last one. The app of a request that has begun
        sees a peer that has gone: `request_log` is told what was answered. Where none has begun, it is noted here, but
        for a connection that is one too many, which is closed at once.
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
            elif not is_one_too_many:
                problem = self._shedding.unread_refusal(problem, self.client and self.client[0])
            self._write_error(problem, stays_open=False)
        if self.cycle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if is_one_too_many:
            self.transport.close()
        else:
            self._end()

    def _end(self) -> None:
        """Close after the last answer. What the peer is still sending is read first; see `ending`."""
        if self.transport.is_closing():
            return
        self._taking.start(self.loop, self.transport)
        is_sending = self._receiving.is_on or self.flow.read_paused or bool(self.pipeline)
        is_body = self._receiving.is_on and not (self._is_in_head or self._is_refused or self.expect_100_continue)
        if not (is_sending or self._is_refused):
            self.transport.close()
            return
        self._is_ending = True
        self.flow.resume_reading()
        send_no_more(self.transport)
        if not (is_body and self.cycle.response_complete):  # else `on_message_complete` closes
            self._is_refused = True
            self.loop.call_later(LINGER_S, self.transport.close)

    def _hang_up(self, cycle: RequestResponseCycle) -> None:
        """For an app that cannot end an answer that it has begun: the client must see that the rest is missing."""
        cycle.disconnected = True
        self._end()

    def _write_error(self, problem: Problem, *, stays_open: bool) -> None:
        defaults = self.server_state.default_headers
        self.transport.write(self._shedding.written_out(problem, self.url, defaults, stays_open=stays_open))
