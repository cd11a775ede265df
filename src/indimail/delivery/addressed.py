"""Whether some fields of a header have one of some addresses.

    addressed(fields, {"to", "cc"}, ["alice@example.com", "@example.org"])

An address is compared whole and without regard to case, quotes of its local part taken off; one that
begins with ``@`` stands for all of its domain.

Sources: ifaddr(1) of the qtools, iftocc(1) of mess822.
"""

from collections.abc import Collection, Iterable

from indimail.mail.addresses import parse_addresses
from indimail.mail.header import field_name


def addressed(
    fields: Iterable[bytes], names: Collection[str], addresses: Iterable[str]
) -> bool:  # fmt: skip
    """Tell whether a field of these (lower-case) names has one of the addresses."""
    wanted = {address.lower() for address in addresses} - {"@"}
    return any(
        str(mailbox).lower() in wanted or f"@{mailbox.domain}".lower() in wanted
        for field in fields
        if field_name(field) in names
        for mailbox in parse_addresses(_value(field)).mailboxes
    )


def _value(field: bytes) -> str:
    return field.partition(b":")[2].decode("utf-8", "surrogateescape")
