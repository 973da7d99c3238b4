"""Translate: a Hedgehog snapshot in, NetBox records out; pure."""

from functions.translate.issues import Code, Issue
from functions.translate.mapping import FAMILIES, Family, Translation, translate

__all__ = ["FAMILIES", "Code", "Family", "Issue", "Translation", "translate"]
