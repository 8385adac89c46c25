"""How much memory all answers together may take that wait for their peers.

An answer may be ten thousand times as large as its request: the heatmaps of a picture of one colour, for instance. A
request's own memory is given back once its answer is made (`engine.admission`), and a peer may take its time. So many
peers that take large answers slowly could fill the memory.
"""

import asyncio
import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)


class UntakenAnswers:
    """Bounds the answers that wait: `max_bytes` in all, so at least `max_bytes / max_connections` for each peer.

    Beyond it, of those that have more than that, the ones that have waited longest are cut off. The last one that came
    is not: it may be taken at once.
    """

    def __init__(self, max_bytes: int, max_connections: int) -> None:
        self._max_bytes = max_bytes
        self._share = max_bytes // max_connections
        self._waiting: dict[Callable[[], None], asyncio.Transport] = {}  # in this order

    def add(self, transport: asyncio.Transport, cut_off: Callable[[], None]) -> None:
        """An answer waits in `transport`; `cut_off` ends its connection."""
        self._waiting[cut_off] = transport
        num_each = {each: waiting.get_write_buffer_size() for each, waiting in self._waiting.items()}
        too_many = sum(num_each.values()) - self._max_bytes
        for each, num_bytes in num_each.items():
            if too_many <= 0:
                return
            if num_bytes <= self._share or each == cut_off:
                continue
            too_many -= num_bytes
            del self._waiting[each]
            logger.warning(
                "an answer was cut off: all that wait for their peers had more than %d bytes, this one %d of them",
                *(self._max_bytes, num_bytes),
            )
            each()

    def remove(self, cut_off: Callable[[], None]) -> None:
        """The answer does not wait any more."""
        self._waiting.pop(cut_off, None)
