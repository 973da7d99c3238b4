"""Port math: every rule of port names, speeds and interface types."""

from __future__ import annotations

from typing import Any

import pytest

from functions.translate.issues import Code, Notes
from functions.translate.ports import Port, Ports, kbits, lanes, ports_of
from functions.translate.spec import Spec

SPEED_PROFILES = {
    "SFP28-25G": ("25G", "25gbase-x-sfp28", 25_000_000),
    "SFP28-10G": ("10G", "10gbase-x-sfpp", 10_000_000),
    "RJ45-1G": ("1G", "1000base-t", 1_000_000),
    "RJ45-2.5G": ("2.5G", "2.5gbase-t", 2_500_000),
    "RJ45-10G": ("10G", "10gbase-t", 10_000_000),
    "QSFP28-100G-nb": ("100G", "100gbase-x-qsfp28", 100_000_000),
    "CPO-3.2T": ("50G", "other", 50_000_000),
}

MODES = [
    ("QSFP28-100G", "1x100G", "100gbase-x-qsfp28", 100_000_000),
    ("QSFP28-100G", "1x40G", "40gbase-x-qsfpp", 40_000_000),
    ("QSFP28-100G", "2x50G", "50gbase-x-sfp28", 50_000_000),
    ("QSFP28-100G", "4x25G", "25gbase-x-sfp28", 25_000_000),
    ("QSFP28-100G", "4x10G", "10gbase-x-sfpp", 10_000_000),
    ("QSFPDD-400G", "1x400G", "400gbase-x-qsfpdd", 400_000_000),
    ("QSFPDD-400G", "2x200G", "200gbase-x-qsfp56", 200_000_000),
    ("QSFPDD-400G", "4x100G", "100gbase-x-qsfp28", 100_000_000),
    ("QSFPDD-400G", "8x50G", "50gbase-x-sfp56", 50_000_000),
    ("QSFPDD-400G", "8x25G", "25gbase-x-sfp28", 25_000_000),
    ("QSFP56DD-400G", "1x400G", "400gbase-x-qsfpdd", 400_000_000),
    ("QSFP56DD-400G", "2x200G", "200gbase-x-qsfp56", 200_000_000),
    ("OSFP-800G", "1x800G", "800gbase-x-osfp", 800_000_000),
    ("OSFP-800G", "2x400G", "400gbase-x-osfp", 400_000_000),
    ("OSFP-2x400G", "2x400G", "400gbase-x-osfp", 400_000_000),
    ("OSFP-2x400G", "4x200G", "200gbase-x-qsfpdd", 200_000_000),
    ("OSFP-800G", "8x100G", "100gbase-x-sfp112", 100_000_000),
    ("CPO-3.2T", "4x800G", "other", 800_000_000),
]


def find(
    profile: dict[str, Any], switch: dict[str, Any] | None = None, *, virtual: bool = False
) -> tuple[Ports, Notes]:
    notes = Notes()
    found = ports_of(
        Spec(profile, "SwitchProfile default/p", notes), Spec(switch or {}, "Switch default/s", notes), virtual=virtual
    )
    return found, notes


def plain(kind: str, speed: str) -> dict[str, Any]:
    return {
        "portProfiles": {kind: {"speed": {"default": speed, "supported": [speed]}}},
        "ports": {"E1/1": {"label": "1", "nos": "Ethernet0", "profile": kind}},
    }


def cage(kind: str, mode: str, offsets: list[str], base: str = "Ethernet72") -> dict[str, Any]:
    return {
        "portProfiles": {kind: {"breakout": {"default": mode, "supported": {mode: {"offsets": offsets}}}}},
        "ports": {"E1/49": {"label": "49", "nos": "1/49", "baseNOSName": base, "profile": kind}},
    }


@pytest.mark.parametrize("kind", SPEED_PROFILES)
def test_a_port_without_breakout_keeps_its_name_and_takes_the_type_of_its_profile(kind: str) -> None:
    speed, expected, rate = SPEED_PROFILES[kind]
    found, notes = find(plain(kind, speed))
    assert found.by_name["E1/1"] == Port("E1/1", expected, "1", rate, "Ethernet0")
    assert found.normalise("E1/1") == "E1/1"
    assert not notes.found


@pytest.mark.parametrize(("kind", "mode", "expected", "rate"), MODES)
def test_every_breakout_mode_gives_its_lanes_with_their_type(kind: str, mode: str, expected: str, rate: int) -> None:
    count = int(mode[0])
    found, notes = find(cage(kind, mode, [str(lane) for lane in range(count)]))
    assert [port for name, port in found.by_name.items() if name != "M1"] == [
        Port(f"E1/49/{lane}", expected, "49", rate, f"Ethernet{71 + lane}", f"{mode} lane {lane}/{count}")
        for lane in range(1, count + 1)
    ]
    assert not notes.found


def test_the_name_on_the_switch_follows_the_offsets_of_the_mode_and_not_the_lane() -> None:
    found, _ = find(cage("QSFPDD-400G", "4x100G", ["0", "2", "4", "6"], base="Ethernet8"))
    assert [found.by_name[f"E1/49/{lane}"].nos_name for lane in (1, 2, 3, 4)] == [
        "Ethernet8",
        "Ethernet10",
        "Ethernet12",
        "Ethernet14",
    ]


def test_a_cage_is_always_named_by_lane_even_when_it_has_a_single_one() -> None:
    found, _ = find(cage("QSFP28-100G", "1x100G", ["0"]))
    assert set(found.by_name) == {"E1/49/1", "M1"}
    assert found.normalise("E1/49") == "E1/49/1"
    assert found.normalise("E1/49/1") == "E1/49/1"
    assert found.get("E1/49") is None
    assert found.get("E1/49/2") is None


@pytest.mark.parametrize(
    ("written", "name"),
    [("E1/49.100", "E1/49/1"), ("E1/49/3.7", "E1/49/3"), ("E1/1.5", "E1/1"), ("M1", "M1"), ("enp2s1.4", "enp2s1.4")],
)
def test_a_subinterface_is_a_use_of_its_port(written: str, name: str) -> None:
    assert Ports(cages=frozenset({"E1/49"})).normalise(written) == name


def test_the_breakout_of_the_switch_wins_over_the_default_of_the_profile() -> None:
    profile = cage("QSFP28-100G", "1x100G", ["0"])
    profile["portProfiles"]["QSFP28-100G"]["breakout"]["supported"]["2x50G"] = {"offsets": ["0", "2"]}
    found, _ = find(profile, {"portBreakouts": {"E1/49": "2x50G"}})
    assert {name: port.nos_name for name, port in found.by_name.items()} == {
        "M1": None,
        "E1/49/1": "Ethernet72",
        "E1/49/2": "Ethernet74",
    }


def test_a_group_gives_its_profile_and_its_speed_to_its_ports() -> None:
    profile = {
        "portProfiles": {"SFP28-25G": {"speed": {"default": "25G"}}},
        "portGroups": {"1": {"nos": "1", "profile": "SFP28-25G"}, "2": {"nos": "2", "profile": "SFP28-25G"}},
        "ports": {"E1/1": {"group": "1"}, "E1/2": {"group": "2"}},
    }
    found, _ = find(profile, {"portGroupSpeeds": {"1": "SPEED_10G"}, "portSpeeds": {"E1/2": "10G"}})
    assert found.by_name["E1/1"] == Port("E1/1", "25gbase-x-sfp28", None, 10_000_000)
    assert found.by_name["E1/2"].speed == 25_000_000, "a port of a group has the speed of the group alone"


def test_the_speed_of_the_switch_wins_over_the_default_and_leaves_the_type() -> None:
    found, _ = find(plain("SFP28-25G", "25G"), {"portSpeeds": {"E1/1": "10G"}})
    assert (found.by_name["E1/1"].speed, found.by_name["E1/1"].type) == (10_000_000, "25gbase-x-sfp28")


def test_a_virtual_switch_has_ports_without_a_connector_but_with_their_speed() -> None:
    found, _ = find(plain("SFP28-25G", "25G"), virtual=True)
    assert found.by_name["E1/1"] == Port("E1/1", "other", "1", 25_000_000, "Ethernet0")
    assert found.by_name["M1"].type == "1000base-t"


def test_the_management_port_is_there_with_or_without_a_profile_entry() -> None:
    found, _ = find({"ports": {"M1": {"management": True, "nos": "Management0", "label": "MGMT"}}})
    assert found.by_name == {"M1": Port("M1", "1000base-t", "MGMT", None, "Management0", management=True)}
    assert find({})[0].by_name == {"M1": Port("M1", "1000base-t", management=True)}


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25G", 25_000_000),
        ("2.5G", 2_500_000),
        ("SPEED_100G", 100_000_000),
        ("100M", 100_000),
        ("0G", None),
        ("fast", None),
        ("25", None),
        ("9" * 500 + "G", None),
    ],
)
def test_speeds_are_read_into_kbits_a_second(text: str, rate: int | None) -> None:
    assert kbits(text) == rate


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4x25G", (4, "25G")), ("1xSPEED_100G", (1, "100G")), ("3x25G", None), ("4x", None), ("", None), ("x25G", None)],
)
def test_breakout_modes_have_one_two_four_or_eight_lanes(text: str, expected: tuple[int, str] | None) -> None:
    assert lanes(text) == expected


def test_a_mode_that_the_profile_does_not_support_is_taken_and_noted() -> None:
    found, notes = find(cage("QSFP28-100G", "1x100G", ["0"]), {"portBreakouts": {"E1/49": "2x50G"}})
    assert {port.name: port.nos_name for port in found.by_name.values() if port.breakout} == {
        "E1/49/1": None,
        "E1/49/2": None,
    }
    assert [issue.code for issue in notes.found] == [Code.UNKNOWN_MODE]


@pytest.mark.parametrize("mode", ["3x33G", 4, {"a": 1}])
def test_a_mode_that_is_none_is_noted(mode: object) -> None:
    _, notes = find(cage("QSFP28-100G", "1x100G", ["0"]), {"portBreakouts": {"E1/49": mode}})
    assert {issue.code for issue in notes.found} == {Code.MALFORMED}


def test_a_breakout_of_a_port_that_has_none_is_noted() -> None:
    found, notes = find(plain("SFP28-25G", "25G"), {"portBreakouts": {"E1/1": "4x10G"}})
    assert set(found.by_name) == {"E1/1", "M1"}
    assert [issue.code for issue in notes.found] == [Code.PORT_NOT_IN_PROFILE]


def test_names_on_a_switch_that_is_not_sonic_are_not_guessed() -> None:
    found, _ = find(cage("QSFP28-100G", "4x25G", ["0", "1", "2", "3"], base="swp49"))
    assert {port.nos_name for port in found.by_name.values()} == {None}


def test_a_device_whose_ports_cannot_be_listed_has_every_port_that_is_named() -> None:
    assert Ports().get("enp2s1/extra") == Port("enp2s1/extra", "other")
