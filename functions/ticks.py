"""One tick after the other, each with a door of its own to NetBox, over one channel to Pub/Sub."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from functions.errors import Problem, Side
from functions.problems import problem_of
from functions.tick import Report, Tick
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBox
from infra.once import once
from infra.pubsub import Publisher, PublishError, open_publisher
from infra.secrets import SecretError, read_netbox_token
from infra.settings import Settings

log = logging.getLogger(__name__)

CLOSING_SECONDS: Final = 5.0
"""How long a channel that is being opened is waited for when nobody needs it any more."""


class Ticks:
    """Serves ticks; the channel to Pub/Sub is kept while the instance is warm."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._opening = threading.Thread(target=self._open, name="opening", daemon=True)

    def _open(self) -> None:
        with suppress(PublishError):  # whoever needs it tries again, and tells
            self.publisher  # noqa: B018 - opened by being asked for

    @once
    def publisher(self) -> Publisher:
        """The channel to Pub/Sub, opened at the first use."""
        return open_publisher(self.settings.project or "local", broker_url=self.settings.broker_url or "")

    def tick(self, at: datetime, deadline: Deadline) -> Report:
        """Serve the tick that was to come at `at`; never raises for what the world does."""
        settings = self.settings
        # gRPC takes most of a second to load: meanwhile NetBox is asked, and where nothing is due nobody waits for it.
        with suppress(RuntimeError):  # it was started by an earlier tick
            self._opening.start()
        try:
            token = read_netbox_token(settings, deadline)
        except (SecretError, DeadlineExceeded) as error:
            return _failed(at, problem_of(error, Side.CONFIG))
        ca_file = str(settings.netbox_ca_file) if settings.netbox_ca_file else None
        with NetBox(settings.netbox_url, token.reveal(), deadline, ca_file=ca_file) as netbox:
            every = timedelta(seconds=settings.tick_s)
            topics = settings.topic_requests, settings.topic_outcomes
            return Tick(netbox, lambda: self.publisher, *topics, deadline, at, every).run()

    def close(self) -> None:
        """Give the channel to Pub/Sub back."""
        if self._opening.ident is not None:
            self._opening.join(CLOSING_SECONDS)
        if "publisher" in self.__dict__:
            self.publisher.close()


def _failed(at: datetime, problem: Problem) -> Report:
    log.error("the tick of %s failed: %s", at.isoformat(), problem.text)
    return Report(at, problem=problem)
