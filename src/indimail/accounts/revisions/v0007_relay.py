"""Who logged in from where, for who may relay after that (spec/smtp.md 3.3)."""

from alembic import op
from sqlalchemy import BigInteger, Column, String

from indimail.accounts.dialect import TABLE_OPTIONS
from indimail.accounts.revisions import make_index

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table; its time is a number, that of the login."""
    op.create_table(
        "relay",
        Column("email", String(96), primary_key=True),
        Column("ipaddr", String(46), primary_key=True),
        Column("timestamp", BigInteger, nullable=False),
        if_not_exists=True,
        **TABLE_OPTIONS,
    )
    make_index("relay_ipaddr", "relay", "ipaddr")
    make_index("relay_timestamp", "relay", "timestamp")
