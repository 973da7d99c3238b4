"""What a cloud's scheduler does: a message on the topic of ticks, again and again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from infra.deadline import Deadline, DeadlineExceeded
from infra.pubsub import Message, Publisher, PublishError, open_publisher
from infra.sandbox.addresses import Addresses
from infra.sandbox.messaging import TICKS

log = logging.getLogger(__name__)


@contextmanager
def scheduler(addresses: Addresses, seconds: float) -> Iterator[None]:
    """Publish a message every so many seconds, the first one now, for the time of a block."""
    over = threading.Event()
    with open_publisher(addresses.project, broker_url=addresses.broker) as publisher:
        thread = threading.Thread(target=_tick, args=(publisher, seconds, over), name="scheduler", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(seconds)


def _tick(publisher: Publisher, seconds: float, over: threading.Event) -> None:
    while True:
        try:
            publisher.publish(TICKS, Message(b"{}"), Deadline.after(seconds))
        except (PublishError, DeadlineExceeded) as failed:
            log.warning("a tick could not be published: %s", failed)
        if over.wait(seconds):
            return
