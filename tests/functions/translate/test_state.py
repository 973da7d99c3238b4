"""What devices tell of themselves and are set to, the fabric's own context, and the nodes of the installer."""

from __future__ import annotations

from typing import Any

import pytest

from functions.kinds import BY_NAME
from functions.observe import trimmed
from functions.records import Ref
from functions.translate import Code, Translation
from tests.functions.translate.hedgehog import (
    codes,
    device,
    gateway,
    interface,
    of,
    profile,
    server,
    switch,
    thing,
    translated,
)

EMPTY = {
    "fabric_applied_gen": None,
    "fabric_desired_gen": None,
    "fabric_ready": None,
    "fabric_agent_version": None,
    "fabric_nos_version": None,
}


def agent(name: str, generation: int = 3, kind: str = "Agent", **status: Any) -> Any:
    item = thing(kind, name, {})
    return {**item, "metadata": {**item["metadata"], "generation": generation}, "status": status}


def state(found: Translation, key: str = "Switch/default/a") -> dict[str, Any]:
    custom = of(found, "device")[f"lab1/{key}"].custom
    return {name: custom[name] for name in EMPTY if name in custom}


def context(found: Translation, key: str = "Switch/default/a") -> Any:
    return of(found, "device")[f"lab1/{key}"].fields["local_context_data"]


def test_a_switch_tells_its_generations_and_versions() -> None:
    told = agent(
        "a",
        lastAppliedGen=3,
        version="v0.126.0",
        lastHeartbeat="2026-07-24T12:00:00Z",
        state={"nos": {"softwareVersion": "4.5.2", "serialNumber": "SN-A"}},
    )
    found = translated(profile(), switch("a"), told)
    assert state(found) == {
        "fabric_applied_gen": 3,
        "fabric_desired_gen": 3,
        "fabric_ready": True,
        "fabric_agent_version": "v0.126.0",
        "fabric_nos_version": "4.5.2",
    }
    assert of(found, "device")["lab1/Switch/default/a"].fields["serial"] == "SN-A"
    assert found.issues == ()


@pytest.mark.parametrize(("applied", "ready"), [(2, False), (3, True), (0, False), (None, False)])
def test_a_device_is_ready_when_all_is_applied(applied: int | None, ready: bool) -> None:
    status = {} if applied is None else {"lastAppliedGen": applied}
    assert state(translated(profile(), switch("a"), agent("a", **status)))["fabric_ready"] is ready


def test_a_heartbeat_alone_changes_nothing() -> None:
    one, two = (translated(profile(), switch("a"), agent("a", lastHeartbeat=beat)) for beat in ("t1", "t2"))
    assert one == two


def test_a_gateway_tells_the_version_of_its_dataplane() -> None:
    status = {"agentVersion": "v1", "lastAppliedGen": 2, "state": {"dataplane": {"version": "v0.24.0"}}}
    found = translated(gateway("gw-1"), agent("gw-1", 2, "GatewayAgent", **status), agent("gw-1"))
    assert state(found, "Gateway/default/gw-1") == {
        "fabric_applied_gen": 2,
        "fabric_desired_gen": 2,
        "fabric_ready": True,
        "fabric_agent_version": "v1",
        "fabric_nos_version": "v0.24.0",
    }


def test_a_switch_without_an_agent_has_no_state_and_one_whose_agents_are_unread_keeps_what_it_has() -> None:
    fresh = switch("a", boot={"serial": "SN-1"})
    assert state(translated(profile(), fresh)) == EMPTY
    found = translated(profile(), fresh, unread=["Agent"])
    assert state(found) == {}
    assert "serial" not in of(found, "device")["lab1/Switch/default/a"].fields
    assert "device" in found.complete, "the absence of a switch does not hang on its agent"


def test_servers_have_no_state() -> None:
    assert state(translated(server("a")), "Server/default/a") == {}


def test_the_serial_number_of_the_switch_itself_goes_before_that_of_its_object() -> None:
    nos = {"nos": {"serialNumber": "SN-2"}}
    found = translated(profile(), switch("a", boot={"serial": "SN-1"}), agent("a", state=nos))
    assert of(found, "device")["lab1/Switch/default/a"].fields["serial"] == "SN-2"
    assert codes(found) == [("Switch default/a", Code.SERIAL_MISMATCH)]
    assert "device" in found.complete


def test_an_agent_of_nonsense_is_noted_and_costs_its_own_fields() -> None:
    found = translated(profile(), switch("a"), agent("a", lastAppliedGen="three", version=["v"], state=7))
    assert state(found) == {**EMPTY, "fabric_desired_gen": 3, "fabric_ready": False}
    assert {source for source, _ in codes(found)} == {"Agent default/a"}
    assert "device" in found.complete
    assert found.unseen == {"Agent"}


def test_no_spec_of_an_agent_leaves_the_reading_of_the_fabric() -> None:
    raw = {**agent("a", version="v1"), "spec": {"users": [{"password": "SECRET"}]}}
    raw["status"]["state"] = {"nos": {"serialNumber": "S", "uptime": "1 day"}, "bgpNeighbors": {}}
    assert trimmed(raw, BY_NAME["Agent"]) == {
        **{key: raw[key] for key in ("apiVersion", "kind", "metadata")},
        "status": {"version": "v1", "state": {"nos": {"serialNumber": "S"}}},
    }


def test_what_a_switch_is_set_to_is_its_local_context() -> None:
    found = translated(
        profile(),
        thing("SwitchGroup", "g", {}),
        switch(
            "a",
            vlanNamespaces=["z", "default"],
            roce=True,
            ecmp={"roceQPN": True},
            redundancy={"group": "g", "type": "eslag"},
            enableAllPorts=True,
            portAutoNegs={"E1/1": False, "E1/2": True},
            portFECs={"E1/1": "rs"},
            portSpeeds={"E1/1": "10G"},
            portGroupSpeeds={"1": "25G"},
            portBreakouts={"E1/3": "4x25G"},
            linkFlapErrDisable={"flapThreshold": 3, "samplingInterval": 30, "recoveryInterval": 0},
        ),
    )
    assert context(found) == {
        "hedgehog": {
            "profile": "acme-1",
            "vlanNamespaces": ["default", "z"],
            "roce": True,
            "ecmp": {"roceQPN": True},
            "redundancy": {"group": "g", "type": "eslag"},
            "enableAllPorts": True,
            "portAutoNegs": {"E1/1": False, "E1/2": True},
            "portFECs": {"E1/1": "rs"},
            "portSpeeds": {"E1/1": "10G"},
            "portGroupSpeeds": {"1": "25G"},
            "portBreakouts": {"E1/3": "4x25G"},
            "linkFlapErrDisable": {"flapThreshold": 3, "samplingInterval": 30, "recoveryInterval": 0},
        }
    }
    assert found.issues == ()


def test_empty_settings_are_as_good_as_none() -> None:
    bare = translated(profile(), switch("a"))
    empty = translated(
        profile(), switch("a", ecmp={}, redundancy={}, roce=False, portFECs={}, portSpeeds=None, vlanNamespaces=[])
    )
    assert context(bare) == context(empty) == {"hedgehog": {"profile": "acme-1"}}


def test_what_a_gateway_is_set_to_is_its_local_context() -> None:
    found = translated(
        thing("GatewayGroup", "default", {}),
        gateway(
            "gw-1",
            workers=4,
            flowTableCapacity=1000,
            profiling={"enabled": True},
            logs={"default": "info", "tags": {"all": "debug"}, "rateLimit": {"burst": 5}},
            groups=[{"name": "default"}],
            neighbors=[{"ip": "10.0.0.2", "asn": 65101, "source": "enp2s2"}, {"ip": "10.0.0.0", "asn": 65100}],
            interfaces={"enp2s1": {"pci": "0000:01:00.0"}, "enp2s2": {}},
        ),
    )
    assert context(found, "Gateway/default/gw-1") == {
        "hedgehog": {
            "workers": 4,
            "flowTableCapacity": 1000,
            "profiling": True,
            "logs": {"default": "info", "tags": {"all": "debug"}, "rateLimit": {"burst": 5}},
            "groups": {"default": 0},
            "neighbors": [{"ip": "10.0.0.0", "asn": 65100}, {"ip": "10.0.0.2", "asn": 65101, "source": "enp2s2"}],
            "pci": {"enp2s1": "0000:01:00.0"},
        }
    }
    assert "local_context_data" not in of(translated(server("a")), "device")["lab1/Server/default/a"].fields


INSTALLED = {
    **thing(
        "Fabricator",
        "default",
        {
            "config": {
                "control": {"managementSubnet": "172.30.0.0/21", "controlVIP": "172.30.0.1/32"},
                "fabric": {
                    "mode": "spine-leaf",
                    "spineASN": 65100,
                    "leafASNStart": 65101,
                    "leafASNEnd": 65533,
                    "baseVPCCommunity": "50000:0",
                    "managementDHCPStart": "172.30.4.0",
                },
                "gateway": {"asn": 65534, "communities": {"0": "50001:0"}},
            }
        },
        namespace="fab",
    ),
    "status": {"versions": {"fabricator": {"controller": "v0.45.0"}}},
}


def told(found: Translation) -> Any:
    record = of(found, "config_context")["fabric-lab1"]
    assert record.tags == {"fabric-lab1"}
    return record.fields["data"]


def test_the_context_of_the_fabric_says_what_the_installer_knows() -> None:
    found = translated(profile(), switch("a"), INSTALLED)
    assert told(found) == {
        "hedgehog": {
            "fabric": "lab1",
            "mode": "spine-leaf",
            "release": "v0.45.0",
            "subnets": {"management": "172.30.0.0/21", "controlVIP": "172.30.0.1/32"},
            "asns": {"spine": 65100, "leafStart": 65101, "leafEnd": 65533, "gateway": 65534},
            "managementDHCP": {"start": "172.30.4.0"},
            "baseVPCCommunity": "50000:0",
            "gatewayCommunities": {"0": "50001:0"},
        }
    }
    assert of(found, "tag")["fabric-lab1"].fields["slug"] == "fabric-lab1"


def test_where_there_is_no_installer_the_context_says_the_name_and_where_it_is_unread_nothing() -> None:
    assert told(translated(profile(), switch("a"))) == {"hedgehog": {"fabric": "lab1"}}
    assert not of(translated(profile(), switch("a"), INSTALLED, unread=["Fabricator"]), "config_context")


def node(kind: str, name: str, ip: str, **spec: Any) -> Any:
    return thing(kind, name, {"management": {"ip": ip, "interface": "eno1"}, **spec}, namespace="fab")


CONTROL = node("ControlNode", "control-1", "172.30.0.5/21")


def test_a_control_node_is_a_device_with_its_management_port_and_address() -> None:
    found = translated(profile(), switch("a"), CONTROL)
    record = of(found, "device")["lab1/ControlNode/fab/control-1"]
    assert record.fields == {
        "name": "control-1",
        "device_type": Ref("device_type", "generic-node"),
        "role": Ref("device_role", "fabric-control"),
        "site": Ref("site", "dc1"),
        "cluster": Ref("cluster", "lab1"),
        "status": "active",
        "primary_ip4": Ref("ip_address", "lab1/ControlNode/fab/control-1#ip:management"),
    }
    assert record.custom == {"fabric_source": "fabricator.githedgehog.com/ControlNode fab/control-1"}
    port = of(found, "interface")["lab1/ControlNode/fab/control-1#eno1"]
    assert (port.fields["device"], port.fields["mgmt_only"]) == (device("ControlNode/fab/control-1"), True)
    address = of(found, "ip_address")["lab1/ControlNode/fab/control-1#ip:management"].fields
    assert (address["address"], address["assigned_object"]) == (
        "172.30.0.5/21",
        interface("ControlNode/fab/control-1#eno1"),
    )


def test_a_gateway_and_the_node_of_its_name_are_one_device() -> None:
    gateways = node("FabNode", "gw-1", "172.30.0.7/21", roles=["gateway"])
    found = translated(gateway("gw-1", interfaces={"enp2s1": {}}), gateways)
    assert list(of(found, "device")) == ["lab1/Gateway/default/gw-1"]
    record = of(found, "device")["lab1/Gateway/default/gw-1"]
    assert record.fields["name"] == "gw-1"
    assert record.fields["primary_ip4"] == Ref("ip_address", "lab1/FabNode/fab/gw-1#ip:management")
    port = of(found, "interface")["lab1/FabNode/fab/gw-1#eno1"]
    assert port.fields["device"] == device("Gateway/default/gw-1")
    assert port.custom["fabric_source"] == "fabricator.githedgehog.com/FabNode fab/gw-1"
    assert found.issues == ()


@pytest.mark.parametrize(("roles", "role"), [(["gateway"], "fabric-gateway"), ([], "fabric-control")])
def test_a_node_without_a_gateway_is_a_device_of_its_own(roles: list[str], role: str) -> None:
    found = translated(profile(), switch("a"), node("FabNode", "node-1", "172.30.0.7/21", roles=roles))
    assert of(found, "device")["lab1/FabNode/fab/node-1"].fields["role"] == Ref("device_role", role)


def test_nodes_that_may_not_be_read_change_nothing_else_and_prove_no_absence_of_their_own() -> None:
    items = (profile(), switch("control-1"), gateway("gw-1"), CONTROL, node("FabNode", "gw-1", "172.30.0.7/21"))
    full, less = translated(*items), translated(*items, unread=["ControlNode", "FabNode"])
    assert of(full, "device")["lab1/ControlNode/fab/control-1"].fields["name"] == "control-1-control"
    assert less.complete == full.complete
    assert less.unseen == {"ControlNode", "FabNode"}
    mine = {(record.model, record.key) for record in less.records}
    others = {
        (record.model, record.key)
        for record in full.records
        if "Node/" not in record.key and record.key not in ("generic-node", "fabric-control")
    }
    assert mine == others
    assert "primary_ip4" not in of(less, "device")["lab1/Gateway/default/gw-1"].fields
