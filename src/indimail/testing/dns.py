'''The DNS of a simulated world: zones in memory, and what can go wrong with them.

    zones = Zones("""
        example.com      MX     10 mx1.example.com
        example.com      MX     20 mx2.example.com
        mx1.example.com  A      192.0.2.1
        mx2.example.com  AAAA   2001:db8::2
        www.example.com  CNAME  example.com
        1.2.0.192.in-addr.arpa  PTR  mx1.example.com
        nomail.example   MX     0 .
        broken.example   FAIL   SERVFAIL
    """)
    await zones.look_up("example.com", Type.MX)

Satisfies `net.dns.Dns`.  What no line names does not exist; what one does, exists with all its
parents.  ``FAIL`` is a name for which there is no answer, with the reason; ``zones.down`` is that
for all names.  A number before the type is a TTL (default 300).  ``zones.asked`` has the questions.
'''

from collections import defaultdict
from typing import Final

from indimail.mail.address import parents
from indimail.mail.dns import Answer, Exchanger, Found, Type
from indimail.mail.ip import plain_ip

TTL: Final = 300
LINKS: Final = 8


class Zones:
    """All that is known of DNS."""

    def __init__(self, text: str = "") -> None:
        self.down = ""  # why nobody answers; empty: somebody does
        self.asked: list[tuple[str, Type]] = []
        self._records: defaultdict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for line in text.splitlines():
            if line.strip():
                self.add(line)

    def add(self, line: str) -> None:
        """Add a record: ``name [ttl] type data``."""
        name, word, rest = line.split(maxsplit=2)
        ttl = TTL
        if word.isdecimal():
            ttl = int(word)
            word, rest = rest.split(maxsplit=1)
        self._records[_name(name)].append((word.upper(), rest.strip(), ttl))

    def remove(self, name: str) -> None:
        """Remove a name with all its records."""
        self._records.pop(_name(name), None)

    async def look_up(self, name: str, kind: Type) -> Answer:
        """Answer as a recursive server does."""
        self.asked.append((_name(name), kind))
        if self.down:
            return Answer(Found.FAILED, reason=self.down)
        name, ttl = _name(name), TTL
        for _ in range(LINKS):
            records = self._records.get(name, [])
            of = {word: (data, seconds) for word, data, seconds in records}
            if "FAIL" in of:
                return Answer(Found.FAILED, name=name, reason=of["FAIL"][0])
            if "CNAME" not in of:
                return self._answer(name, kind, ttl)
            target, seconds = of["CNAME"]
            name, ttl = _name(target), min(ttl, seconds)
        return Answer(Found.FAILED, name=name, reason="a chain of CNAMEs without an end")

    def _answer(self, name: str, kind: Type, ttl: int) -> Answer:
        found = [record for record in self._records.get(name, []) if record[0] == kind]
        if found:
            ttl = min(ttl, *(seconds for _, _, seconds in found))
            records = tuple(_record(kind, data) for _, data, _ in found)
            return Answer(Found.RECORDS, records, ttl, name)
        below = any(f".{name}" in parents(other) for other in self._records)
        exists = name in self._records or below
        return Answer(Found.NONE if exists else Found.NO_NAME, ttl=ttl, name=name)


def _name(text: str) -> str:
    return text.lower().removesuffix(".")


def _record(kind: Type, data: str) -> Exchanger | str:
    if kind is Type.MX:
        preference, host = data.split()
        return Exchanger(int(preference), _name(host))
    if kind is Type.PTR:
        return _name(data)
    return plain_ip(data)
