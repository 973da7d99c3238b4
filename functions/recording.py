"""The `record` function behind its entry point: an outcome event in, a journal entry and perhaps a notification out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Final

from functions import contract
from functions.contract import ContractError, Result, StatusChanged, SyncEnded
from infra.settings import Settings
from infra.telemetry import bound

log = logging.getLogger(__name__)

MOST_BYTES: Final = 1024 * 1024
"""An outcome is a few kilobytes; what is larger is none of ours."""

JSON: Final = {"Content-Type": "application/json"}
type Answer = tuple[str, int, dict[str, str]]


class RecordHandler:
    """Answers outcome events. What is no event of this system, or of a fabric that is gone, is taken and passed over.

    The same event again finds its entry and writes nothing. Status 503 when NetBox or the receiver of notifications
    did not take it: then it comes again.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def answer(self, headers: Mapping[str, str], read: Callable[[int], bytes], length: int | None) -> Answer:
        """The HTTP answer to one event."""
        deadline = self.settings.deadline()
        body = read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            return self._passed("the event is larger than any of ours")
        try:
            event = contract.parse(headers, body)
        except ContractError as wrong:
            return self._passed(str(wrong))
        if not isinstance(event, SyncEnded | StatusChanged) or _is_no_news(event):
            return json.dumps({"event": event.id, "entry": False, "note": None}), 200, JSON
        # Loaded by the first event that is news: no start waits for doors that it does not go through.
        from functions.recorder import record

        with bound(fabric=event.fabric, event_id=event.id, deadline=deadline.reporting()):
            told = record(event, self.settings, deadline)
        return json.dumps(told), 503 if "error" in told else 200, JSON

    def _passed(self, why: str) -> Answer:
        log.warning("passed over an event: %s", why)
        return json.dumps({"passed_over": why}), 200, JSON


def _is_no_news(event: SyncEnded | StatusChanged) -> bool:
    """Whether an event needs no look into NetBox: nothing was tried, or it was told before."""
    return isinstance(event, SyncEnded) and (event.result is Result.SKIPPED or event.told_again)
