"""Programs beside us: ready or an error with their own words, and nothing left when they end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from infra.deadline import Deadline
from infra.sandbox import emulator
from infra.sandbox.emulator import Emulator, EmulatorMissing, emulator_jar
from infra.sandbox.process import NotReady, Program
from infra.sandbox.serving import Serving
from tests.pubsub_fixtures import PUSH_TARGET, eventually


def _group_is_gone(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_served_function_answers_and_leaves_no_process(tmp_path: Path) -> None:
    log = tmp_path / "serving.log"
    with Serving(PUSH_TARGET, "record", log, {"PUSH_TARGET_LOG": str(tmp_path / "pushes")}) as serving:
        pid = serving.pid
        assert serving.url.startswith("http://127.0.0.1:")
        assert not (tmp_path / "pushes").exists(), "looking whether it is ready called the function"

    assert eventually(lambda: _group_is_gone(pid), within=10)


def test_a_function_that_cannot_be_loaded_ends_with_its_own_words(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text("raise RuntimeError('this function is broken')\n")
    serving = Serving(source, "sync", tmp_path / "serving.log")

    with pytest.raises(NotReady, match="this function is broken"):
        serving.start()

    assert serving.pid == 0


def test_a_program_that_does_not_want_to_end_is_ended_with_all_it_started(tmp_path: Path) -> None:
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('ready', flush=True); time.sleep(600)\n"
    )
    program = Program("a stubborn program", [sys.executable, "-c", script], tmp_path / "log")
    program.start()
    program.wait_ready(lambda: "ready" in program.tail(), Deadline.after(60))
    pid = program.pid

    program.stop(grace=0.3)
    program.stop()  # a second time does nothing

    assert eventually(lambda: _group_is_gone(pid), within=10)


def test_a_program_that_is_never_ready_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    program = Program("a slow program", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log")
    program.start()
    try:
        with pytest.raises(NotReady, match="a slow program was not ready in time"):
            program.wait_ready(lambda: False, Deadline.after(0.3))
    finally:
        program.stop(grace=0)


def test_a_missing_emulator_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(emulator.JAR_SETTING, str(tmp_path / "none.jar"))
    with pytest.raises(EmulatorMissing, match=r"none\.jar, and there is no such file"):
        emulator_jar()

    monkeypatch.delenv(emulator.JAR_SETTING)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulatorMissing, match="no gcloud on the path"):
        emulator_jar()
    with pytest.raises(EmulatorMissing, match="no java on the path"):
        Emulator(tmp_path / "log")

    gcloud = tmp_path / "sdk" / "bin" / "gcloud"
    gcloud.parent.mkdir(parents=True)
    gcloud.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(gcloud.parent))
    with pytest.raises(EmulatorMissing, match="component pubsub-emulator"):
        emulator_jar()
