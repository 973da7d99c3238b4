"""Where everything of a running sandbox is: one file that its user alone can read, for whoever joins later."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from infra.pubsub import BROKER_PROJECT
from infra.sandbox.messaging import OUTCOMES, REQUESTS

FILE: Final = "addresses.json"
SECRET_PREFIX: Final = "fabric-"  # noqa: S105 - what the names of secrets start with


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one sandbox. `secrets` is the directory of the fabrics' kubeconfigs, `logs` that of the logs.

    `broker` is the REST form of the embedded broker, or of the emulator when `emulator` (host:port) is not empty.
    `fabrics` is name → the address of its API server; `fabrics_admin` the door that switches their faults; `page` is
    the function `manual`, for people.
    """

    netbox: str
    token: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    broker: str
    secrets: str
    logs: str
    emulator: str = ""
    function: str = ""
    page: str = ""
    fabrics_admin: str = ""
    fabrics: Mapping[str, str] = field(default_factory=dict)
    project: str = BROKER_PROJECT

    def environment(self) -> dict[str, str]:
        """The settings with which a program works on this sandbox.

        What must not be inherited from the caller's environment is there with an empty text, which means "not set".
        """
        return {
            "NETBOX_URL": self.netbox,
            "NETBOX_TOKEN": self.token,
            "NETBOX_TOKEN_SECRET": "",
            "NETBOX_CA_FILE": "",
            "FABRIC_SYNC_SECRETS": self.secrets,
            "FABRIC_SYNC_SECRET_PREFIX": SECRET_PREFIX,
            "FABRIC_SYNC_PROJECT": self.project,
            "FABRIC_SYNC_TOPIC_REQUESTS": REQUESTS,
            "FABRIC_SYNC_TOPIC_OUTCOMES": OUTCOMES,
            "FABRIC_SYNC_PAGE_URL": self.page,
            "FABRIC_SYNC_BROKER_URL": "" if self.emulator else self.broker,
            "PUBSUB_EMULATOR_HOST": self.emulator,
        }

    def write(self, place: Path) -> None:
        """Write the file into the directory `place`, whole or not at all, readable for its owner alone."""
        beside = place / f"{FILE}.new"
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=2)
        beside.replace(place / FILE)

    @classmethod
    def read(cls, place: Path) -> Addresses | None:
        """The addresses in the directory `place`, None where there are none."""
        try:
            return cls(**json.loads((place / FILE).read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None

    @staticmethod
    def forget(place: Path) -> None:
        """Take the file away: there is nothing any more at these addresses."""
        (place / FILE).unlink(missing_ok=True)
