"""HTTP/1.1 as uvicorn parses it, but for four things of the messages.

What stands behind a body is no header (RFC 9110, section 6.5.1): no proxy looks at it.

A client of HTTP/1.0 knows no interim answer (RFC 9110, section 10.1.1).

Who waits for leave to send a body (`Expect: 100-continue`) and is refused need not send it: what it sends next could be
the body or a request. So that answer is the last one.

A client may offer to go on in another protocol, as Java's does with HTTP/2 (`Upgrade: h2c`). That may be passed over
(RFC 9110, section 7.8). But the parser then takes the body for the other protocol's, and uvicorn loses it. Here such a
request is parsed once more without the offer.
"""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class ParsingProtocol(HttpToolsProtocol):
    """One connection, with what it has parsed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_offer = False
        self._is_in_head = True
        self._is_leaving = False
        """The server is told to stop."""
        self.url = b""  # until the first request

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

    def on_message_begin(self) -> None:
        """A request begins; on a connection that pipelines, in the middle of a piece of data."""
        super().on_message_begin()
        self._is_in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head."""
        if self._is_in_head:
            super().on_header(name, value)

    def _finds_offer(self) -> bool:
        """Whether the head that is complete has an offer, and will be parsed again."""
        self._is_offer = self.parser.should_upgrade() and any(name == b"upgrade" for name, _ in self.headers)
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False
        return self._is_offer

    def _stays_open(self) -> bool:
        """Whether the connection stays open after this request; with HTTP/1.0 none does, as with uvicorn."""
        is_kept = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        return is_kept and not self._is_leaving

    def _hear_body(self) -> None:
        """A body comes, asked for or not, or has no bytes: then the connection may be kept after the answer."""
        if self.expect_100_continue:
            self.expect_100_continue = False
            if not self.cycle.response_started:
                self.cycle.keep_alive = self._stays_open()

    def _head_without_offer(self) -> bytes:
        """The head that the parser has stopped at, for a new one."""
        start = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        return b"\r\n".join([start, *lines, b"", b""])
