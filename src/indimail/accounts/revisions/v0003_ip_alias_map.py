"""The table of default domains for local IP addresses (spec/cluster-users.md 1.4)."""

from sqlalchemy import Column, String

from indimail.accounts.revisions import make_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make it."""
    make_table(
        "ip_alias_map",
        Column("ipaddr", String(46), primary_key=True),
        Column("domain", String(67), nullable=False),
    )
