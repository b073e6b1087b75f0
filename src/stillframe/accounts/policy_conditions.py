"""The element Condition of a RAM policy: its operators, its keys, and whether it holds.

The values of a key are alternatives; keys, and operators, must all hold. A negated operator holds when none of its
values does, and so when the request has no such key; any other holds only where there is the key.

The rule: https://www.alibabacloud.com/help/en/ram/conditional-operator
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from stillframe.accounts.wildcards import matches
from stillframe.errors import ConfigError

_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_IPV4_IN_IPV6 = IPv6Network("::ffff:0:0/96")
_KEY = re.compile(r"[A-Za-z0-9]+:[^\s]+")

#: the keys that requests have, and the kinds of operators that make sense with each
GLOBAL_KEYS = {
    "acs:CurrentTime": ("String", "Date"),
    "acs:MFAPresent": ("String", "Bool"),
    "acs:SecureTransport": ("String", "Bool"),
    "acs:SourceIp": ("String", "IpAddress"),
}
#: of these services there are no other keys; those of others are not ours to know, and no request has them
_OUR_SERVICES = ("acs", "ice")


@dataclass(frozen=True, slots=True)
class Operator:
    """How a request's value is compared with one of the policy's; both are read first, and ValueError is a no."""

    kind: str
    read_wanted: Callable[[str], Any]
    read_actual: Callable[[str], Any]
    compare: Callable[[Any, Any], bool]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key."""

    operator: Operator
    key: str
    wanted: tuple[Any, ...]

    def holds(self, context: Mapping[str, str]) -> bool:
        """Whether a request is such."""
        return self._is_met(context.get(self.key)) is not self.operator.negated

    def _is_met(self, value: str | None) -> bool:
        if value is None:
            return False
        try:
            actual = self.operator.read_actual(value)
        except ValueError:
            return False
        return any(self.operator.compare(actual, one) for one in self.wanted)


def parse_conditions(read: Any, path: str) -> tuple[Condition, ...]:
    """The conditions of a statement, which must all hold. Raises ConfigError."""
    return tuple(_conditions(read, path))


def _conditions(read: Any, path: str) -> Iterator[Condition]:
    for name, keys in _pairs(read, path, "an object of operators, such as IpAddress"):
        kind = OPERATORS.get(name)
        if kind is None:
            close = difflib.get_close_matches(name[:64], OPERATORS, n=1)
            hint = f"{close[0]}, or another of: " if close else "one of: "
            raise ConfigError(f"{path}.{name[:64]}", name, f"{hint}{', '.join(OPERATORS)}")
        for key, values in _pairs(keys, f"{path}.{name}", "an object of keys, such as acs:SourceIp"):
            where = f"{path}.{name}.{key[:64]}"
            _check_key(key, name, kind, where)
            given = values if isinstance(values, list) else [values]
            if not given:
                raise ConfigError(where, values, f"{_FORMS[kind.kind]}, or a list of such")
            yield Condition(kind, key, tuple(_wanted(one, kind, where) for one in given))


def _pairs(read: Any, path: str, allowed: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(read, dict) or not read:
        raise ConfigError(path, read, allowed)
    yield from read.items()


def _check_key(key: str, name: str, kind: Operator, path: str) -> None:
    if key in GLOBAL_KEYS:
        if kind.kind not in GLOBAL_KEYS[key]:
            fitting = [one for one, other in OPERATORS.items() if other.kind in GLOBAL_KEYS[key]]
            raise ConfigError(path, name, f"an operator for {key}: {', '.join(fitting)}")
    elif not _KEY.fullmatch(key) or key.partition(":")[0].lower() in _OUR_SERVICES:
        raise ConfigError(path, key, f"one of: {', '.join(GLOBAL_KEYS)}")


def _wanted(value: Any, kind: Operator, path: str) -> Any:
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, int | float):
        value = str(value)
    try:
        if isinstance(value, str):
            return kind.read_wanted(value)
    except ValueError:
        pass
    raise ConfigError(path, value, _FORMS[kind.kind])


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _address(text: str) -> Any:
    """An address; an IPv4 one in IPv6's clothes as itself."""
    address = ip_address(text)
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _network(text: str) -> Any:
    """A block of addresses; one of IPv4 in IPv6's clothes as itself, since addresses are read so, too."""
    network = ip_network(text, strict=False)
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_IN_IPV6):
        inner = network.network_address.packed[-4:]
        return ip_network((inner, network.prefixlen - _IPV4_IN_IPV6.prefixlen))
    return network


_FORMS = {
    "String": "a text",
    "Numeric": "a number",
    "Date": "a time with its zone, such as 2026-11-22T17:30:42Z",
    "Bool": "true or false",
    "IpAddress": "an address or a block of them, such as 203.0.113.0/24",
}
_ORDER: tuple[tuple[str, Callable[[Any, Any], bool], bool], ...] = (
    ("Equals", operator.eq, False),
    ("NotEquals", operator.eq, True),
    ("LessThan", operator.lt, False),
    ("LessThanEquals", operator.le, False),
    ("GreaterThan", operator.gt, False),
    ("GreaterThanEquals", operator.ge, False),
)


def _is_like(text: str, pattern: str) -> bool:
    return matches(pattern, text)


def _is_within(address: Any, network: Any) -> bool:
    return address in network


OPERATORS: Mapping[str, Operator] = {
    "StringEquals": Operator("String", str, str, operator.eq),
    "StringNotEquals": Operator("String", str, str, operator.eq, negated=True),
    "StringEqualsIgnoreCase": Operator("String", str.casefold, str.casefold, operator.eq),
    "StringNotEqualsIgnoreCase": Operator("String", str.casefold, str.casefold, operator.eq, negated=True),
    "StringLike": Operator("String", str, str, _is_like),
    "StringNotLike": Operator("String", str, str, _is_like, negated=True),
    **{
        f"Numeric{name}": Operator("Numeric", _number, _number, compare, negated)
        for name, compare, negated in _ORDER
    },
    **{f"Date{name}": Operator("Date", _time, _time, compare, negated) for name, compare, negated in _ORDER},
    "Bool": Operator("Bool", _truth, _truth, operator.eq),
    "IpAddress": Operator("IpAddress", _network, _address, _is_within),
    "NotIpAddress": Operator("IpAddress", _network, _address, _is_within, negated=True),
}
