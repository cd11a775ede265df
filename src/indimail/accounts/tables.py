"""IndiMail's tables, with its names, lengths and keys, as SQLAlchemy sees them.

An existing IndiMail database is read and written as it is.  What a later feature needs (vfilter,
the cluster's tables) comes with it, and with a revision of its own
(`accounts.revisions`).

Source: spec/delivery.md 1.3, spec/cluster-users.md 1.2-1.4.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    func,
)

from indimail.accounts.dialect import TABLE_OPTIONS, TIMESTAMP, TimeOfChange

METADATA: Final = MetaData()
COUNTERS: Final = MetaData()  # made when a home is counted

LEVELS: Final = 3  # of buckets


def _timestamp() -> Column[object]:
    """Every table has one; it is the time of the last change."""
    now = func.current_timestamp()
    return Column(
        "timestamp", TIMESTAMP, nullable=False, server_default=TimeOfChange(), onupdate=now
    )


def _accounts(name: str) -> Table:
    return Table(
        name,
        METADATA,
        Column("pw_name", String(40), primary_key=True),
        Column("pw_domain", String(67), primary_key=True),
        Column("pw_passwd", String(128), nullable=False),
        Column("pw_uid", Integer, nullable=False, default=0),
        Column("pw_gid", Integer, nullable=False, default=0),
        Column("pw_gecos", String(48), nullable=False, default=""),
        Column("pw_dir", String(156), nullable=False, default=""),
        Column("pw_shell", String(30), nullable=False, default=""),
        Column("scram", String(255), nullable=True),
        _timestamp(),
        Index(f"{name}_gecos", "pw_gecos"),
        Index(f"{name}_uid", "pw_uid"),
        **TABLE_OPTIONS,
    )


INDIMAIL: Final = _accounts("indimail")
INDIBAK: Final = _accounts("indibak")

VALIAS: Final = Table(
    "valias",
    METADATA,
    Column("alias", String(40), nullable=False),
    Column("domain", String(67), nullable=False),
    Column("valias_line", String(190), nullable=False),
    _timestamp(),
    UniqueConstraint("alias", "domain", "valias_line"),
    **TABLE_OPTIONS,
)
Index("valias_lines", VALIAS.c.valias_line)

ALIASDOMAIN: Final = Table(
    "aliasdomain",
    METADATA,
    Column("alias", String(64), primary_key=True),
    Column("domain", String(67), nullable=False),
    _timestamp(),
    **TABLE_OPTIONS,
)

LASTAUTH: Final = Table(
    "lastauth",
    METADATA,
    Column("user", String(40), primary_key=True),
    Column("domain", String(67), primary_key=True),
    Column("service", String(10), primary_key=True),
    Column("remote_ip", String(46), nullable=False, default=""),
    Column("quota", BigInteger, nullable=False, default=0),
    Column("gecos", String(48), nullable=False, default=""),
    _timestamp(),
    **TABLE_OPTIONS,
)

USERQUOTA: Final = Table(
    "userquota",
    METADATA,
    Column("user", String(40), primary_key=True),
    Column("domain", String(67), primary_key=True),
    Column("quota", BigInteger, nullable=False, default=0),
    _timestamp(),
    **TABLE_OPTIONS,
)

IP_ALIAS_MAP: Final = Table(
    "ip_alias_map",
    METADATA,
    Column("ipaddr", String(46), primary_key=True),
    Column("domain", String(67), nullable=False),
    _timestamp(),
    **TABLE_OPTIONS,
)


def _limit(name: str, kind: type[Integer], default: int = 0) -> Column[int]:
    return Column(name, kind, nullable=False, default=default)


VLIMITS: Final = Table(
    "vlimits",
    METADATA,
    Column("domain", String(67), primary_key=True),
    *(_limit(f"{what}_expiry", BigInteger, -1) for what in ("domain", "passwd")),
    *(
        _limit(f"max{what}", Integer, -1)
        for what in ("popaccounts", "aliases", "forwards", "autoresponders", "mailinglists")
    ),
    *(
        _limit(name, BigInteger)
        for name in ("diskquota", "maxmsgcount", "defaultquota", "defaultmaxmsgcount")
    ),
    *(
        _limit(f"disable_{what}", SmallInteger)
        for what in ("pop", "imap", "dialup", "passwordchanging", "webmail", "relay", "smtp")
    ),
    *(  # no TINYINT, as IndiMail has: perm_maillist takes nine bits
        _limit(f"perm_{what}", SmallInteger)
        for what in (
            "account", "alias", "forward", "autoresponder", "maillist", "quota", "defaultquota",
        )
    ),
    _timestamp(),
    **TABLE_OPTIONS,
)  # fmt: skip

BULKMAIL: Final = Table(
    "bulkmail",
    METADATA,
    Column("emailid", String(107), primary_key=True),
    Column("filename", String(64), primary_key=True),
    _timestamp(),
    **TABLE_OPTIONS,
)

FSTAB: Final = Table(
    "fstab",
    METADATA,
    Column("filesystem", String(64), primary_key=True),
    Column("host", String(64), primary_key=True),
    Column("status", Integer, nullable=False, default=1),
    Column("max_users", BigInteger, nullable=False, default=0),
    Column("cur_users", BigInteger, nullable=False, default=0),
    Column("max_size", BigInteger, nullable=False, default=0),
    Column("cur_size", BigInteger, nullable=False, default=0),
    _timestamp(),
    **TABLE_OPTIONS,
)

# Its time is a number, other than that of the rest: seconds since the epoch of the login.
RELAY: Final = Table(
    "relay",
    METADATA,
    Column("email", String(96), primary_key=True),
    Column("ipaddr", String(46), primary_key=True),
    Column("timestamp", BigInteger, nullable=False),
    Index("relay_ipaddr", "ipaddr"),
    Index("relay_timestamp", "timestamp"),
    **TABLE_OPTIONS,
)

# Tables with an address or a domain in one column: their rows go and are renamed with the user or
# the domain.  Those that we neither make nor read yet count where a database has them.
ADDRESSED: Final = {
    "bulkmail": "emailid",
    "relay": "email",
    "vfilter": "emailid",
    "vlimits": "domain",
}


def counter_of(name: str) -> Table:
    """Return one of the tables that count homes, one for each file system and group.

    `cur_users` and `the_dir` are what we read; the `level_` columns say the same as numbers.
    """
    places = [
        Column(f"level_{part}{level}", Integer, nullable=False, default=default)
        for part, default in (("start", 0), ("end", 61), ("mod", 0), ("index", 0))
        for level in range(LEVELS)
    ]
    return Table(
        name,
        COUNTERS,
        Column("domain", String(67), primary_key=True),
        Column("cur_users", Integer, nullable=False),
        Column("level_cur", Integer, nullable=False, default=0),
        Column("level_max", Integer, nullable=False, default=LEVELS),
        *places,
        _timestamp(),
        Column("the_dir", String(156), nullable=False),
        keep_existing=True,
        **TABLE_OPTIONS,
    )
