"""What may never be shown: the type that holds a secret, and the mask that takes secrets out of any text."""

from __future__ import annotations

import base64
import hmac
import json
import re
from threading import Lock
from typing import Final, NoReturn, Self
from urllib.parse import quote

MASK: Final = "***"

_SHORTEST = 4  # a shorter value would take letters out of every line, and is no secret
_LONG = 12  # a shorter value has too few digits of its own when it is packed with others
_MOST_FORMS = 8192  # a warm instance sees access tokens come and go; the oldest forms are forgotten
_MOST_TEXT = 65_536  # characters the patterns look at; what is longer is cut before them


class _Known:
    """The values to mask, in every form in which they may be written."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._forms: dict[str, None] = {}
        self._longest_first: tuple[str, ...] = ()

    def add(self, value: str) -> None:
        with self._lock:
            before = len(self._forms)
            self._forms.update(dict.fromkeys(_forms(value)))
            if len(self._forms) == before:
                return
            while len(self._forms) > _MOST_FORMS:
                del self._forms[next(iter(self._forms))]
            self._longest_first = tuple(sorted(self._forms, key=len, reverse=True))

    def hide(self, text: str) -> str:
        for form in self._longest_first:
            if form in text:
                text = text.replace(form, MASK)
        return text


def _forms(value: str) -> set[str]:
    """How a value looks where programs write it: plain, quoted for a URL, a JSON text or a repr, in base64, by line."""
    raw = value.encode("utf-8", "surrogatepass")
    forms = {value, value.strip(), quote(raw, safe=""), quote(raw), base64.b64encode(raw).decode("ascii")}
    forms |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    forms.add(base64.urlsafe_b64encode(raw).decode("ascii"))
    if len(raw) >= _LONG:
        forms |= _packed(raw)
    # A traceback or a YAML error quotes single lines; "kind: Config" is in every kubeconfig and gives nothing away.
    forms |= {line.strip() for line in value.splitlines() if len(line.strip()) >= 20}
    return {form for form in forms if len(form) >= _SHORTEST}


_known = _Known()


def _packed(raw: bytes) -> set[str]:
    """The base64 digits of a value that stands within a longer text: three ways, by where in the text it begins."""
    found = set()
    for before in range(3):
        digits = base64.b64encode(b"\0" * before + raw).decode("ascii").rstrip("=")
        # The first and the last digit may belong to what stands beside the value as well.
        whole = digits[before + 1 if before else 0 : -1 if (before + len(raw)) % 3 else None]
        found |= {whole, whole.replace("+", "-").replace("/", "_")}
    return found


class Secret:
    """A text that cannot be shown by accident: `reveal()` is the only way to it.

    str, repr and format give a mask; json and pickle refuse; copies are the same object. Whatever was ever held by
    a Secret is masked in every log line (`redact`), in the forms in which programs write it.
    """

    __slots__ = ("__value",)
    __value: str

    def __init__(self, value: str) -> None:
        """Hold `value`; an empty one is a `ValueError`, since nothing good comes of an empty credential."""
        if not value:
            raise ValueError("a secret may not be empty")
        object.__setattr__(self, "_Secret__value", value)
        _known.add(value)

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (each.reveal().encode("utf-8", "surrogatepass") for each in (self, other))
        return hmac.compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret cannot be changed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled: hand over its name, and read it where it is needed")


_SENSITIVE = (
    r"(?:(?:access|auth|bearer|id|refresh)[_-]?)?token|pass(?:word|wd|phrase)\w{0,16}|client[_-]?secret|secret[_-]?key"
    r"|api[_-]?key|private[_-]?key(?:[_-]?data)?|client-(?:key|certificate)-data|join[_-]?token|cookie"
)
_VALUE = (
    r"""(?:\\{1,3}(?P<q>["']).{0,4096}?\\{1,3}(?P=q)|"(?:[^"\\]|\\.){0,65536}"?|'(?:[^'\\]|\\.){0,65536}'?"""
    r"""|[^\s,;&})\]"'\\]+)"""
)

# Each pattern is linear, or bounded, in the length of the text: a log line must not cost seconds.
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # PEM private keys (RFC 7468), also when the end was cut off or the newlines are escaped
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        f"-----BEGIN PRIVATE KEY----- {MASK}",
    ),
    # the users of a kubeconfig, whole
    (re.compile(r"(\busers:[ \t]{0,8}\r?\n)(?:[ \t-].*(?:\n|\Z))+"), rf"\1  {MASK}" + "\n"),
    # Authorization headers, to the end of the line or the quoted text
    (
        re.compile(r"""(?i)(authorization\\{0,3}["']?\s{0,8}[:=,]\s{0,8}\\{0,3}["']?)[^"'\\\r\n]{1,4096}"""),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer\s{1,8})[\w.~+/=-]{6,}"), rf"\1{MASK}"),
    (re.compile(r"\b(Token\s{1,8})[0-9a-f]{40}\b"), rf"\1{MASK}"),
    # NetBox v2 tokens, Google access tokens, JSON web tokens: known by their first letters
    (re.compile(r"nbt_[\w.~+/=-]+"), f"nbt_{MASK}"),
    (re.compile(r"\bya29\.[\w.-]+"), MASK),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"), MASK),
    # scheme://user:password@host
    (re.compile(r"(://)[^\s/@:\"']{0,128}:[^\s/@\"']{1,512}@"), rf"\1{MASK}@"),
    # token: …, password=…, "client-key-data": "…"
    (
        re.compile(
            rf"""(?i)((?:{_SENSITIVE})\\{{0,3}}["']?\s{{0,8}}[:=]\s{{0,8}}(?:[|>][+-]?\s{{1,40}})?){_VALUE}""",
            re.DOTALL,
        ),
        rf"\1{MASK}",
    ),
)
_SENSITIVE_NAME: Final = re.compile(rf"(?i).*(?:{_SENSITIVE}|authorization|kubeconfig)")


def unsaid(text: str) -> str:
    """The text without any value that a `Secret` ever held: for what a server says, which may be cut after this."""
    return _known.hide(text)


def redact(text: str) -> str:
    """The text without any value that a `Secret` ever held, and without what looks like a credential.

    The known values are taken out first and from the whole text, so that no cut leaves half of one; what is longer
    than 65,536 characters is cut before the patterns are looked for.
    """
    text = _known.hide(text)[:_MOST_TEXT]
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def is_sensitive(name: str) -> bool:
    """Whether a field of this name holds a credential, so that its value is masked whatever it looks like."""
    return len(name) <= 256 and _SENSITIVE_NAME.fullmatch(name) is not None
