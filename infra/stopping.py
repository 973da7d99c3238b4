"""Whether the platform told this process to end, and how work that goes on hears of it."""

from __future__ import annotations

import signal


class Stopped(BaseException):
    """Raised once in the main thread of a supervised child when it is to end: report what was done, and return.

    Not an `Exception`: broad handlers, urllib3's retries and the like would take it for a failure of what they do.
    """


def told_to_stop() -> bool:
    """Whether SIGTERM came to this process, if gunicorn serves in it. Any thread may ask.

    gunicorn installs its own handlers in a worker after the function was loaded, and only the main thread could put
    others in their place. Its handler is a method of the worker, whose `alive` becomes false on SIGTERM, for the sync
    and the gthread worker alike (gunicorn/workers/base.py, gthread.py). Without gunicorn the answer is no: there
    SIGTERM ends the process itself, and the fork server ends what it left behind. A worker that ends after
    `max_requests` looks the same; functions-framework never sets that.
    """
    worker = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(worker, "alive", True) is False
