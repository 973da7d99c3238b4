"""One request, one fabric, one outcome: the journey through the rooms, under one deadline."""

from __future__ import annotations

import logging
from datetime import datetime

from functions.ending import outcome_of, settle
from functions.outcome import Outcome
from functions.run import EXPECTED, Run
from infra.netbox import NetBox
from infra.stopping import Stopped

log = logging.getLogger(__name__)


def sync(run: Run, netbox: NetBox, started_at: datetime | None = None) -> Outcome:
    """Run to the end, and tell what came of it; never raises. The result is recorded on the fabric's cluster."""
    started_at = started_at or run.now()
    try:
        fabric = run.enter(netbox)
        if fabric is not None and not run.quiet(netbox, fabric) and run.hold(netbox, fabric):
            actual, plan = run.plan(netbox, fabric)
            run.remember(netbox, fabric, actual, run.apply(netbox, fabric, actual, plan))
    except EXPECTED as error:
        run.stopped(error)
    except Stopped:
        run.interrupted()
    except Exception as error:  # a fault of ours must end in an outcome like everything else; the log has the traceback
        log.exception("the sync of %s failed by a fault of fabric-sync", run.request.fabric)
        run.stopped(error)
    return settle(run, netbox, outcome_of(run, started_at, netbox.requests))
