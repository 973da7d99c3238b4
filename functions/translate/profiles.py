"""Switch profiles: what a device is made as (manufacturer, device type, platform)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from functions.records import Record, Ref, Value
from functions.translate.issues import Code
from functions.translate.names import DESCRIPTION_LIMIT, LABEL_LIMIT, PART_NUMBER_LIMIT, clean, shorten, slug
from functions.translate.spec import Spec, Thing

HEDGEHOG = "Hedgehog"
VIRTUAL = "vs"


@dataclass(frozen=True, slots=True)
class Make:
    """What a device is: its device type with manufacturer, and its platform.

    `u_height` is in rack units: profiles do not tell it, so it is 1 (0 for virtual switches) and people refine it.
    `facts` are what NetBox has no field for: the silicon, the platform of the NOS, what it can do, notes.
    """

    slug: str
    model: str
    manufacturer: str = HEDGEHOG
    part_number: str = ""
    platform: str | None = None
    u_height: int = 1
    facts: str = ""

    @property
    def device_type(self) -> Ref:
        """The device type that devices of this make have."""
        return Ref("device_type", self.slug)

    @property
    def platform_ref(self) -> Ref | None:
        """The platform that devices of this make have; None when the profile names none."""
        return Ref("platform", slug(self.platform)) if self.platform else None

    def records(self) -> Iterator[Record]:
        """The shared records behind this make."""
        maker = Ref("manufacturer", slug(self.manufacturer))
        yield Record(maker.model, maker.key, {"name": shorten(self.manufacturer, LABEL_LIMIT), "slug": maker.key})
        fields: dict[str, Value] = {
            "manufacturer": maker,
            "model": shorten(self.model, LABEL_LIMIT),
            "slug": self.slug,
            "part_number": shorten(self.part_number, PART_NUMBER_LIMIT),
            "u_height": self.u_height,
        }
        if self.facts:
            fields["description"] = shorten(self.facts, DESCRIPTION_LIMIT)
        yield Record("device_type", self.slug, fields)
        if self.platform and (ref := self.platform_ref):
            yield Record("platform", ref.key, {"name": shorten(self.platform, LABEL_LIMIT), "slug": ref.key})


SERVER = Make("generic-server", "Generic server")
GATEWAY = Make("generic-gateway", "Generic gateway")
NODE = Make("generic-node", "Generic fabric node")
UNKNOWN = Make("unknown-switch", "Unknown switch")


@dataclass(frozen=True, slots=True)
class Profile:
    """One SwitchProfile: what its switches are, and its spec for the port math."""

    make: Make
    spec: Spec
    virtual: bool


def profiles(found: list[Thing]) -> Mapping[str, Profile]:
    """The profiles by name. Two of one manufacturer with the same display name get the profile's name added."""
    made: dict[str, Profile] = {}
    models: set[tuple[str, str]] = set()
    for thing in found:
        spec = thing.spec
        virtual = VIRTUAL in (thing.name, spec.text("switchSilicon"))
        model = spec.text("displayName") or thing.name
        maker = HEDGEHOG if virtual else model.split()[0]
        if (slug(maker), shorten(model, LABEL_LIMIT).lower()) in models:
            model = f"{model} ({thing.name})"
            spec.notes.add(thing.source, Code.NAME_COLLISION, f"another profile has its display name: now {model}")
        models.add((slug(maker), shorten(model, LABEL_LIMIT).lower()))
        others = spec.texts("otherNames")
        made[thing.name] = Profile(
            Make(
                slug(thing.name),
                model,
                maker,
                others[0] if others else "",
                spec.text("nosType"),
                0 if virtual else 1,
                _facts(spec),
            ),
            spec,
            virtual,
        )
    return made


def _facts(spec: Spec) -> str:
    """Silicon, platform, features and notes of a profile, in one line; no two releases name the same features."""
    able = [name for name in spec.names("features") if spec.flag("features", name)]
    told = (spec.text("switchSilicon"), spec.text("platform"), ", ".join(map(clean, able)), spec.text("notes"))
    return "; ".join(text for text in told if text)
