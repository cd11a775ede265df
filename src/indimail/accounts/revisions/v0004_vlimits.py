"""The limits of domains and users (spec/delivery.md 1.3, spec/cluster-users.md 1.4).

`perm_maillist` takes nine bits, which IndiMail's own TINYINT does not.
"""

from sqlalchemy import BigInteger, Column, Integer, SmallInteger, String

from indimail.accounts.revisions import make_table

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    make_table(
        "vlimits",
        Column("domain", String(67), primary_key=True),
        Column("domain_expiry", BigInteger, nullable=False),
        Column("passwd_expiry", BigInteger, nullable=False),
        Column("maxpopaccounts", Integer, nullable=False),
        Column("maxaliases", Integer, nullable=False),
        Column("maxforwards", Integer, nullable=False),
        Column("maxautoresponders", Integer, nullable=False),
        Column("maxmailinglists", Integer, nullable=False),
        Column("diskquota", BigInteger, nullable=False),
        Column("maxmsgcount", BigInteger, nullable=False),
        Column("defaultquota", BigInteger, nullable=False),
        Column("defaultmaxmsgcount", BigInteger, nullable=False),
        Column("disable_pop", SmallInteger, nullable=False),
        Column("disable_imap", SmallInteger, nullable=False),
        Column("disable_dialup", SmallInteger, nullable=False),
        Column("disable_passwordchanging", SmallInteger, nullable=False),
        Column("disable_webmail", SmallInteger, nullable=False),
        Column("disable_relay", SmallInteger, nullable=False),
        Column("disable_smtp", SmallInteger, nullable=False),
        Column("perm_account", SmallInteger, nullable=False),
        Column("perm_alias", SmallInteger, nullable=False),
        Column("perm_forward", SmallInteger, nullable=False),
        Column("perm_autoresponder", SmallInteger, nullable=False),
        Column("perm_maillist", SmallInteger, nullable=False),
        Column("perm_quota", SmallInteger, nullable=False),
        Column("perm_defaultquota", SmallInteger, nullable=False),
    )
