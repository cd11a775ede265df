"""What the mail path asks, of each database: in words made once, and again where that failed."""

from dataclasses import replace
from typing import Any

import pytest

from databases import Database, database
from indimail.accounts.lookups import MANY
from indimail.accounts.port import Account, Known
from indimail.accounts.sql import SqlAccounts
from indimail.mail.secret import Secret

ALICE = Account("alice", "example.com", Secret("$5$salt$hash"))


@pytest.mark.parametrize("number", [1, 2, 3, MANY + 5])
def test_of_many_users_is_known_what_is_known_of_each(db: Database, number: int) -> None:
    accounts = SqlAccounts(db.url)
    users = [replace(ALICE, name=f"user{place}") for place in range(number)]
    accounts.add_users(users, 1_800_000_000)
    accounts.add_alias("user0", "example.com", "&zoe@example.net")
    known = {(user.name, user.domain): Known(user, ()) for user in users}
    known["user0", "example.com"] = Known(users[0], ("&zoe@example.net",))
    known["nobody", "example.com"] = Known(None, ())
    assert accounts.known_all([*known]) == known
    accounts.close()


@pytest.mark.interop
def test_a_pooler_that_gives_another_connection_is_not_noticed() -> None:
    with database("postgresql") as url:
        accounts = SqlAccounts(url)
        accounts.add(ALICE)
        for _ in range(3):
            assert accounts.find("alice", "example.com") == ALICE
            _forget_what_was_prepared(accounts)
        accounts.close()


def _forget_what_was_prepared(accounts: SqlAccounts) -> None:
    """Let the server forget it, and the driver know nothing of that."""
    with accounts.database.engines().asking.connect() as db:
        connection: Any = db.connection.dbapi_connection
        connection.pgconn.exec_(b"DEALLOCATE ALL")
