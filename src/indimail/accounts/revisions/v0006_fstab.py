"""Where homes may lie, and how much lies there (spec/cluster-users.md 1.4, 6.3)."""

from sqlalchemy import BigInteger, Column, Integer, String

from indimail.accounts.revisions import make_table

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    make_table(
        "fstab",
        Column("filesystem", String(64), primary_key=True),
        Column("host", String(64), primary_key=True),
        Column("status", Integer, nullable=False),
        Column("max_users", BigInteger, nullable=False),
        Column("cur_users", BigInteger, nullable=False),
        Column("max_size", BigInteger, nullable=False),
        Column("cur_size", BigInteger, nullable=False),
    )
