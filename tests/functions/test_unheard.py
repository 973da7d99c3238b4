"""When Pub/Sub does not take an outcome: a 503 by the deadline, so that the request comes again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.sandbox.serving import Serving
from tests import hostile
from tests.house import MAIN, MARGIN, House, house, posted, requested
from tests.proxy import answering

DEADLINE = 5.0
RESERVE = 2.4
TOKEN = "0" * 40


@pytest.fixture(scope="module")
def empty_netbox() -> Iterator[str]:
    """A NetBox that knows no fabric: every request ends at once, with an outcome to be published."""
    behaviour = answering("200 OK", b'{"count": 0, "results": []}', kind="application/json")
    with hostile.serve(behaviour) as server:
        yield server.url


@pytest.fixture(scope="module")
def served(empty_netbox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house"), empty_netbox, TOKEN, deadline=DEADLINE, reserve=RESERVE) as made:
        yield made


@pytest.fixture
def unheard(served: House) -> Iterator[House]:
    """The house with events that pass, before and after."""
    served.events.behave()
    served.outcomes()
    yield served
    served.events.behave()


HUNG_EVENTS = {
    "hangs": hostile.silent,
    "is down for maintenance": answering("503 Service Unavailable"),
    "answers something else": hostile.html_page,
    "lost the topic": answering("404 Not Found", b"{}"),
}


@pytest.mark.parametrize("case", HUNG_EVENTS)
def test_an_outcome_that_cannot_be_published_is_a_503_by_the_deadline(unheard: House, case: str) -> None:
    unheard.events.misbehave(HUNG_EVENTS[case])
    asked = unheard.ask("unknown")
    assert asked.status == 503
    assert asked.seconds < DEADLINE + MARGIN
    assert asked.outcomes == []
    assert (asked.answer["error"]["code"], asked.answer["publish_error"]["code"]) == (
        "unknown_fabric",
        "publish_failed",
    )
    # Delivered again, the same request ends in one outcome.
    unheard.events.behave()
    again = unheard.ask("unknown")
    assert (again.status, again.code) == (200, "unknown_fabric")


def test_a_short_silence_of_the_events_is_waited_out(unheard: House) -> None:
    unheard.events.misbehave(answering("503 Service Unavailable"), times=2)
    asked = unheard.ask("unknown")
    assert (asked.status, asked.code) == (200, "unknown_fabric")


SILENT_PUBSUB = {"hangs": lambda: hostile.serve(hostile.silent), "is not there": hostile.refusing}


@pytest.mark.parametrize("case", SILENT_PUBSUB)
def test_a_pub_sub_that_hangs_or_is_down_is_a_503_by_the_deadline_over_grpc_as_well(
    empty_netbox: str, tmp_path: Path, case: str
) -> None:
    with SILENT_PUBSUB[case]() as server:
        environment = {
            "NETBOX_URL": empty_netbox,
            "NETBOX_TOKEN": TOKEN,
            "FABRIC_SYNC_SECRETS": str(tmp_path),
            "FABRIC_SYNC_PROJECT": "nowhere",
            "FABRIC_SYNC_DEADLINE_S": str(DEADLINE),
            "FABRIC_SYNC_RESERVE_S": str(RESERVE),
            "PUBSUB_EMULATOR_HOST": server.place,
        }
        with Serving(MAIN, "sync", tmp_path / "function.log", environment) as serving:
            for _ in range(2 if case == "is not there" else 1):  # a second one finds the ordering key held back
                status, answer, seconds = posted(serving.url, *requested("unknown"))
                assert status == 503
                assert (answer["error"]["code"], answer["publish_error"]["code"]) == (
                    "unknown_fabric",
                    "publish_failed",
                )
                assert seconds < DEADLINE + MARGIN
