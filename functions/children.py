"""What runs in children of the fork server, by name: so whoever asks for it need not load it."""

from __future__ import annotations

from typing import Final

SYNC: Final = "functions.work:work"
PLAN: Final = "functions.planning:work"
CHECKUP: Final = "functions.web.checkup:work"

CHECKUP_SECONDS: Final = 10.0
"""The longest that a test of the connection may take."""
