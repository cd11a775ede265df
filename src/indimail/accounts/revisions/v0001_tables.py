"""The tables of users, aliases, quotas and last events, with IndiMail's names and lengths.

Source: spec/delivery.md 1.3, spec/cluster-users.md 1.4.
"""

from sqlalchemy import BigInteger, Column, Integer, String, UniqueConstraint

from indimail.accounts.revisions import make_index, make_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    for name in ("indimail", "indibak"):
        make_table(
            name,
            Column("pw_name", String(40), primary_key=True),
            Column("pw_domain", String(67), primary_key=True),
            Column("pw_passwd", String(128), nullable=False),
            Column("pw_uid", Integer, nullable=False),
            Column("pw_gid", Integer, nullable=False),
            Column("pw_gecos", String(48), nullable=False),
            Column("pw_dir", String(156), nullable=False),
            Column("pw_shell", String(30), nullable=False),
            Column("scram", String(255), nullable=True),
        )
        make_index(f"{name}_gecos", name, "pw_gecos")
        make_index(f"{name}_uid", name, "pw_uid")
    make_table(
        "valias",
        Column("alias", String(40), nullable=False),
        Column("domain", String(67), nullable=False),
        Column("valias_line", String(190), nullable=False),
        UniqueConstraint("alias", "domain", "valias_line"),
    )
    make_table(
        "aliasdomain",
        Column("alias", String(64), primary_key=True),
        Column("domain", String(67), nullable=False),
    )
    make_table(
        "lastauth",
        Column("user", String(40), primary_key=True),
        Column("domain", String(67), primary_key=True),
        Column("service", String(10), primary_key=True),
        Column("remote_ip", String(46), nullable=False),
        Column("quota", BigInteger, nullable=False),
        Column("gecos", String(48), nullable=False),
    )
    make_table(
        "userquota",
        Column("user", String(40), primary_key=True),
        Column("domain", String(67), primary_key=True),
        Column("quota", BigInteger, nullable=False),
    )
