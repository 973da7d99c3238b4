"""How a command ends: the exit codes, and every error as one clear line with a hint, never a traceback."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

if TYPE_CHECKING:
    from functions.outcome import Result

log = logging.getLogger(__name__)


class Exit(IntEnum):
    """The exit codes of `fabric-sync`."""

    SUCCEEDED = 0  # done, and nothing is left to do
    FAILED = 1  # failed or timed out
    USAGE = 2  # the arguments or the settings do not make sense
    INCOMPLETE = 3  # done as far as possible: something could not be read, was refused or is held
    UNFINISHED = 4  # cut off with progress made (run it again to go on), or skipped


EXIT_CODES = (
    "Exit codes: 0 succeeded; 1 failed or timed out; 2 wrong arguments or settings; "
    "3 incomplete (something could not be read, was refused or is held); "
    "4 continued (cut off with progress made: run it again to go on) or skipped."
)

_BY_RESULT = {
    "succeeded": Exit.SUCCEEDED,
    "continued": Exit.UNFINISHED,
    "incomplete": Exit.INCOMPLETE,
    "failed": Exit.FAILED,
    "timed_out": Exit.FAILED,
    "skipped": Exit.UNFINISHED,
}


def exit_of(result: Result) -> Exit:
    """The exit code that a result ends with."""
    return _BY_RESULT[result.value]


@dataclass(frozen=True, slots=True)
class Told:
    """An error as people read it."""

    text: str
    hint: str = ""
    exit: Exit = Exit.FAILED


class TellingGroup(TyperGroup):
    """The commands, with whatever they raise told in a line and a hint."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:  # every error of a command ends here, in words; what typer itself raises goes on
            if type(error).__module__.partition(".")[0] in ("typer", "click"):
                raise
            told = tell(error)
            sys.stderr.write(f"error: {told.text}\n" + (f"hint: {told.hint}\n" if told.hint else ""))
            ctx.exit(int(told.exit))


def tell(error: Exception) -> Told:
    """An exception in words. What nobody foresaw is named as what it is; the log has its traceback."""
    from functions.errors import Code, Problem, Side, SyncStopped
    from functions.problems import problem_of
    from infra.deadline import DeadlineExceeded
    from infra.netbox import NetBoxError
    from infra.secrets import SecretError
    from infra.settings import SettingsError
    from infra.transport import TransportError

    if isinstance(error, SettingsError):
        hint = "" if "NETBOX_URL is not set" not in str(error) else "without a NetBox: `fabric-sync sandbox up`"
        return Told(str(error), hint, Exit.USAGE)
    if isinstance(error, SyncStopped | DeadlineExceeded | NetBoxError | SecretError | TransportError):
        problem = problem_of(error, Side.NETBOX)
        usage = problem.code in (Code.BAD_REQUEST, Code.NOT_CONFIGURED)
        return Told(problem.text, problem.nature.hint, Exit.USAGE if usage else Exit.FAILED)
    if isinstance(error, ModuleNotFoundError):
        return Told(f"the package {error.name} is missing", 'install it: python -m pip install "fabric-sync[sandbox]"')
    told = _of_the_sandbox(error)
    if told is not None:
        return told
    log.error("%s", error, exc_info=error)
    problem = Problem(Code.INTERNAL, f"{type(error).__name__}: {error}")
    return Told(problem.text, "a fault of fabric-sync: FABRIC_SYNC_LOG_LEVEL=ERROR shows where")


def _of_the_sandbox(error: Exception) -> Told | None:
    from infra.sandbox.emulator import EmulatorMissing
    from infra.sandbox.messaging import MessagingError
    from infra.sandbox.netbox import SandboxError
    from infra.sandbox.process import NotReady

    if isinstance(error, EmulatorMissing):
        return Told(str(error), "leave --emulator away: the embedded broker needs nothing")
    if isinstance(error, SandboxError | MessagingError | NotReady):
        return Told(str(error))
    try:
        from infra.sandbox.fabric.faults import FaultError
        from infra.sandbox.fabric.manifests import ManifestError
        from infra.sandbox.fabric.spec import SpecError
    except ModuleNotFoundError:
        return None  # then none of them can have been raised
    if isinstance(error, FaultError | ManifestError | SpecError):
        return Told(str(error), "", Exit.USAGE)
    return None
