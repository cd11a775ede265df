"""An index of alias lines: who forwards to a user is asked when the user goes."""

from indimail.accounts.revisions import make_index

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make it."""
    make_index("valias_lines", "valias", "valias_line")
