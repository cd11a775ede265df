"""Bulletins that users get at their next login (spec/delivery.md 1.3, spec/cluster-users.md 1.4)."""

from sqlalchemy import Column, String

from indimail.accounts.revisions import make_table

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table."""
    make_table(
        "bulkmail",
        Column("emailid", String(107), primary_key=True),
        Column("filename", String(64), primary_key=True),
    )
