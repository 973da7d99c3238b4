"""NetBox's configuration in the sandbox; runs inside NetBox's own environment, values from the instance file."""

import json
import os
from pathlib import Path

_instance = json.loads(Path(os.environ["FABRIC_SYNC_NETBOX_INSTANCE"]).read_text(encoding="utf-8"))
_sockets = os.environ["FABRIC_SYNC_NETBOX_SOCKETS"]
_valkey = f"unix://{_sockets}/valkey.sock"

ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
SECRET_KEY = _instance["secret_key"]
API_TOKEN_PEPPERS = {1: _instance["pepper"]}
DATABASES = {
    "default": {
        "NAME": os.environ["FABRIC_SYNC_NETBOX_DATABASE"],
        "USER": "netbox",
        "HOST": _sockets,
        # A reset drops the database under the workers: they must look whether their connection still lives.
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
    }
}
REDIS = {
    "tasks": {"URL": f"{_valkey}?db=0", "DATABASE": 0},
    "caching": {"URL": f"{_valkey}?db=1", "DATABASE": 1},
}

# Nothing may leave this machine.
ISOLATED_DEPLOYMENT = True
CENSUS_REPORTING_ENABLED = False

MAX_PAGE_SIZE = 1000
BANNER_LOGIN = "fabric-sync sandbox"
# Without this, Django would try to mail the tracebacks of server errors to nobody.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django.request": {"handlers": ["console"], "level": "ERROR", "propagate": False}},
}
