"""NetBox's web application with its static files; runs inside NetBox's own environment."""

import gc

# The import makes a million long-lived objects: collecting them again and again costs 15 % of the start.
gc.disable()

from django.contrib.staticfiles.handlers import StaticFilesHandler  # type: ignore[import-not-found]  # noqa: E402
from django.db import connections  # type: ignore[import-not-found]  # noqa: E402
from netbox.wsgi import application as netbox  # type: ignore[import-not-found]  # noqa: E402

application = StaticFilesHandler(netbox)

# The workers are forked from this process: a connection must not be shared between them.
connections.close_all()
gc.freeze()
gc.enable()
