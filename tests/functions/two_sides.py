"""Two sides for the properties of a sync: a generated fabric, a NetBox of values, and changes to either of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from functions.actual import Actual, Existing
from functions.compare import compare
from functions.fabric import Fabric, Naming
from functions.fields import APPLIED, HOLD_TAG, KEY, NAME, own_tag
from functions.kinds import BY_NAME
from functions.needs import blocked, parts, users
from functions.observe import trimmed
from functions.plan import Delete, Plan
from functions.records import MODELS, Shape
from functions.snapshot import Snapshot
from functions.superseded import superseded
from functions.translate import Translation, translate
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.offering import BY_KIND, Release
from infra.sandbox.fabric.topology import mesh, spine_leaf
from tests.functions.netbox_model import World
from tests.functions.translate.hedgehog import snapshot

ENOUGH_RUNS = 4


@dataclass(frozen=True)
class Drawn:
    """One generated fabric, small enough to be quick; `changes` are made to it between two syncs."""

    shape: str
    size: Mapping[str, Any]
    release: Release
    seed: int
    changes: int

    def cluster(self, name: str) -> Cluster:
        make = mesh if self.shape == "mesh" else spine_leaf
        return make(name, seed=self.seed, release=self.release, managed_fields=False, **self.size)


def sizes(shape: str) -> st.SearchStrategy[dict[str, Any]]:
    leaves = st.integers(2, 3) if shape == "mesh" else st.integers(1, 3)
    return st.fixed_dictionaries(
        {
            "leaves": leaves,
            **({} if shape == "mesh" else {"spines": st.integers(1, 2)}),
            "orphans": st.integers(0, 1),
            "mclag": st.integers(0, 1),
            "links": st.integers(1, 2),
            "servers": st.integers(1, 5),
            "vpcs": st.integers(1, 4),
            "subnets": st.integers(1, 2),
            "externals": st.integers(0, 2),
            "gateways": st.integers(0, 1),
            "static_externals": st.integers(0, 1),
            "hardware": st.booleans(),
            "agents": st.booleans(),
        }
    )


FABRICS = st.sampled_from(["spine_leaf", "mesh"]).flatmap(
    lambda shape: st.builds(
        Drawn, st.just(shape), sizes(shape), st.sampled_from(Release), st.integers(0, 999), st.integers(0, 6)
    )
)


@dataclass
class Site:
    """One fabric beside the NetBox that it is synced into."""

    fabric: Fabric
    cluster: Cluster
    world: World
    unread: frozenset[str] = field(default_factory=frozenset)

    def snapshot(self, unread: frozenset[str] = frozenset()) -> Snapshot:
        kinds = [kind for kind in BY_KIND if kind in BY_NAME]
        items = [trimmed(item, BY_NAME[kind]) for kind in kinds for item in self.cluster.objects(kind)]
        return snapshot(*items, unread=unread)

    def translation(self, unread: frozenset[str] = frozenset()) -> Translation:
        return translate(self.snapshot(unread), self.fabric)

    def plan(self, unread: frozenset[str] = frozenset()) -> tuple[Plan, Actual]:
        found = self.translation(unread)
        actual = self.world.survey(self.fabric, found)
        plan = compare(found.records, actual, self.fabric.name, found.complete, unseen=found.unseen)
        return with_deletes(plan, actual), actual

    def sync(self, unread: frozenset[str] = frozenset()) -> list[str]:
        plan, actual = self.plan(unread)
        return self.world.apply(plan, actual, self.fabric)

    def settle(self) -> int:
        """Sync until nothing is left to do; after how many runs that is."""
        for runs in range(1, ENOUGH_RUNS + 1):
            refused = self.sync()
            if self.settled:
                return runs
        raise AssertionError(refused)

    @property
    def settled(self) -> bool:
        plan, _ = self.plan()
        return (len(plan), plan.stale) == (0, ())


def with_deletes(plan: Plan, actual: Actual) -> Plan:
    """The plan with all that is stale deleted at once, but for what is held and what something needs that stays."""
    used, urgent = users(actual.owned), superseded(plan, actual)
    due = [s for s in plan.stale if HOLD_TAG not in actual.owned[s.model][s.key].tags]
    stuck = blocked(due, used, plan.updates)
    going = [s for s in due if s not in stuck]
    leaving = {(s.model, s.id) for s in going}
    deletes = (Delete(s, parts((s.model, s.id), used) & leaving, s in urgent) for s in going)
    return replace(plan, deletes=tuple(deletes))


def put(world: World, name: str, cluster: Cluster, site: str = "", naming: Naming = Naming.PLAIN) -> Site:
    """Register a fabric: its site (shared when it is there already) and its cluster."""
    place = site or name
    sites = [id_ for id_, thing in world.things["site"].items() if thing.custom["slug"] == place]
    site_id = sites[0] if sites else world.add("site", {}, {"slug": place})
    cluster_id = world.add("cluster", {}, {"name": name})
    return Site(Fabric(name, cluster_id, place, "s", naming=naming, site_id=site_id), cluster, world)


def moved(value: Any, shape: Shape, chance: random.Random) -> Any:
    """Another value than the one there, as a person may give it."""
    if shape is Shape.REFS:
        return value - {chance.choice(sorted(value))} if value else value
    if shape in (Shape.REF, Shape.GENERIC):
        return None
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + chance.randrange(1, 50)
    if shape is Shape.JSON:
        return [[7, 8]]
    if shape is Shape.OWN_KEYS:
        return {"theirs": 1}
    return "changed by hand"


NOT_EMPTIED = {("interface", "device"), ("vlan", "group"), ("device", "device_type"), ("l2vpn_termination", "l2vpn")}
ADDRESSES = ("prefix", "address", "start_address", "end_address", "mac_address")


def edit(world: World, thing: Existing, model: str, chance: random.Random) -> None:
    """One thing that people do in NetBox to an object of a fabric; what NetBox would refuse is not done."""
    deed = chance.choice(["owned", "owned", "once", "custom", "ours", "tag", "untag", "theirs", "delete", "move"])
    values, custom, tags = dict(thing.values), dict(thing.custom), set(thing.tags)
    match deed:
        case "owned" | "once":
            values |= other_value(model, thing, chance, once=deed == "once")
        case "custom":
            custom["theirs"] = chance.randrange(100)
        case "ours":
            names = [name for name in custom if name.startswith("fabric_") and name not in (KEY, NAME, APPLIED)]
            custom |= {name: chance.choice([None, "by hand"]) for name in names[:1]}
        case "tag":
            tags.add(chance.choice(["theirs", "fabric-sg-another-x"]))
        case "untag":
            tags.discard("fabric-managed")
        case "theirs":
            values["comments"] = values["asset_tag"] = f"noted {chance.randrange(100)}"
        case "move":
            values |= other_place(world, model, thing, chance)
        case "delete":
            world.remove(model, thing.id)
            return
    world.put(model, replace(thing, values=values, custom=custom, tags=frozenset(tags)))


def other_value(model: str, thing: Existing, chance: random.Random, *, once: bool) -> dict[str, Any]:
    """Another value for one field, of those that are ours or of those that people may refine."""
    fields = MODELS[model].fields
    names = [name for name, spec in fields.items() if spec.once is once and spec.shape is not Shape.ENDS]
    names = [name for name in names if (model, name) not in NOT_EMPTIED and name not in ADDRESSES]
    return {
        name: moved(thing.values.get(name), fields[name].shape, chance)
        for name in chance.sample(names, min(1, len(names)))
    }


def other_place(world: World, model: str, thing: Existing, chance: random.Random) -> dict[str, Any]:
    """Another site, rack and name for a device, another port for a cable, the number or name of a neighbour else."""
    if model == "device":
        return {"site": 3, "rack": 4, "position": 5, "name": f"renamed-{thing.id}"}
    if model == "cable":
        ports = world.things["interface"]
        used = {port for cable in world.things["cable"].values() for port in cable_ends(cable)}
        free = [id_ for id_ in ports if id_ not in used and not ports[id_].values.get("mark_connected")]
        return {"b_terminations": frozenset({chance.choice(free)})} if free else {}
    if model == "vlan":
        return {"vid": chance.randrange(2, 4000), "name": f"v{thing.id}"}
    return {}


def cable_ends(cable: Existing) -> frozenset[int]:
    return frozenset().union(cable.values["a_terminations"], cable.values["b_terminations"])


def edits(site: Site, seed: int, count: int) -> None:
    """Let people do `count` things."""
    chance = random.Random(seed)
    for _ in range(count):
        owned = sorted(site.world.owned(site.fabric.name), key=lambda pair: pair[1].id)
        if owned:
            # Models alike often, or it would be ports all the time.
            model = chance.choice(sorted({model for model, _ in owned}))
            edit(site.world, chance.choice([thing for of, thing in owned if of == model]), model, chance)


def of_people(world: World, fabric: str) -> dict[int, tuple[Any, ...]]:
    """What on the objects of a fabric is people's own, by the object's id."""
    found = {}
    for model, thing in world.owned(fabric):
        fields = MODELS[model].fields
        values = {name: value for name, value in thing.values.items() if name not in fields or fields[name].once}
        custom = {name: value for name, value in thing.custom.items() if not name.startswith("fabric_")}
        found[thing.id] = (values, custom, {t for t in thing.tags if not own_tag(t, fabric) and t != "fabric-managed"})
    return found
