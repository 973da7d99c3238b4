"""Pull: `python pull.py PROJECT SUBSCRIPTION FILE` keeps events until Ctrl-C.

Create the subscription with `--enable-message-ordering`, and set PUBSUB_EMULATOR_HOST to speak to the emulator.
"""

from __future__ import annotations

import sys

from google.cloud import pubsub_v1
from history import History

from functions.contract import ContractError


def main(project: str, subscription: str, path: str) -> None:
    """Keep what comes; each message is acknowledged when it is kept, and not before."""
    history = History(path)

    def heard(message: pubsub_v1.subscriber.message.Message) -> None:
        try:
            history.keep(message.attributes, message.data)
        except ContractError as error:
            # It would be as strange the next time.
            print(f"not kept: {error}", file=sys.stderr)
        message.ack()

    with pubsub_v1.SubscriberClient() as subscriber:
        pulling = subscriber.subscribe(subscriber.subscription_path(project, subscription), heard)
        try:
            pulling.result()
        except KeyboardInterrupt:
            pulling.cancel()
            pulling.result()


if __name__ == "__main__":
    main(*sys.argv[1:])
