r"""vpopmail's file of a domain's users, and what its flags are called here.

    parse_vpasswd(b"alice:$1$x$...:0:0:Alice:/home/vpopmail/domains/example.com/alice:NOQUOTA\n",
                  "domains/example.com/vpasswd", report)      -> [FoundUser(...)]
    translate_flags(0x800)                                    -> (Flag.NO_SMTP, [])
    translate_flags(0x4000)                                   -> (Flag(0), ["NO_SPAMASSASSIN"])

A line is ``name:hash:uid:gid:gecos:dir:quota``; where vpopmail was built to keep passwords as they
are, that is the eighth field.  The gid holds flags: the first seven are IndiMail's, those above have
other bits.

Sources: vpopmail's list of gid flags (its mailing list, 5 September 2002), and vmoduser of 5.4 for
those above 0x1000.  Not here: its tables in SQL (`manage.importing.rows`).
"""

from typing import Final

from indimail.accounts.port import Flag
from indimail.mail.secret import Secret
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundUser

_FIELDS: Final = 7
_SAME: Final = 0x7F
_OTHER_BITS: Final = {
    0x80: Flag.V_USER0,
    0x100: Flag.V_USER1,
    0x200: Flag.V_USER2,
    0x400: Flag.V_USER3,
    0x800: Flag.NO_SMTP,
    0x1000: Flag.QA_ADMIN,
    0x2000: Flag.V_OVERRIDE,
}
_WITHOUT_EQUIVALENT: Final = {
    0x4000: "NO_SPAMASSASSIN",
    0x8000: "DELETE_SPAM",
    0x10000: "SA_ADMIN",
    0x20000: "SA_EXPERT",
    0x40000: "NO_MAILDROP",
}


def translate_flags(bits: int) -> tuple[Flag, list[str]]:
    """Return our flags, and what those are called that have none here."""
    flags, unknown = Flag(bits & _SAME), []
    for bit in (1 << place for place in range(7, bits.bit_length())):
        if not bits & bit:
            continue
        if bit in _OTHER_BITS:
            flags |= _OTHER_BITS[bit]
        else:
            unknown.append(_WITHOUT_EQUIVALENT.get(bit, f"{bit:#x}"))
    return flags, unknown


def parse_vpasswd(octets: bytes, where: str, report: Report) -> list[FoundUser]:
    """Read the file; a line that is none is told, without its hash."""
    found: list[FoundUser] = []
    for number, line in enumerate(octets.split(b"\n"), 1):
        user = _parse_line(line.rstrip(b"\r"), f"{where}:{number}", report)
        if user is not None:
            found.append(user)
    return found


def _parse_line(octets: bytes, where: str, report: Report) -> FoundUser | None:
    if not octets.strip():
        return None
    text = decoded(octets, where, report)
    fields = text.split(":")
    if len(fields) not in (_FIELDS, _FIELDS + 1):
        why = f"{len(fields)} fields, expected {_FIELDS} or {_FIELDS + 1}"
        report.note(State.LEFT, where, fields[0], why)
        return None
    name, password, _, gid, gecos, directory, quota, *clear = fields
    return FoundUser(
        where=where,
        name=name,
        password=Secret(password),
        flags=flags_of(gid, where, name, report),
        gecos=gecos,
        directory=directory,
        quota=quota,
        clear=Secret(clear[0] if clear else ""),
    )


def decoded(octets: bytes, where: str, report: Report) -> str:
    """Return the text of octets that are UTF-8, or were Latin-1 before that was usual."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("latin-1")
        report.note(State.CHANGED, where, text.partition(":")[0], "Latin-1, is UTF-8 now")
        return text


def flags_of(gid: str | int | None, where: str, name: str, report: Report) -> Flag:
    """Return the flags of a user; tell of those that have no equivalent."""
    text = str(gid or 0)
    if not text.isdecimal() or not text.isascii() or len(text) > 10:
        report.note(State.MEND, where, name, f"flags [{text}]: no number, none are set")
        return Flag(0)
    flags, unknown = translate_flags(int(text))
    if unknown:
        report.note(State.LEFT, where, f"{name}: {' '.join(unknown)}", "no such flag here")
    return flags
