"""Bring the homes of a domain to the places that the layout of directories has for them.

    plan_reorganization(site, accounts, disk, "example.com", anew=True)
        -> [MoveTree(...), MoveUser(...), TellAccount(...), SettleTree(...), ..., SetCount(...)]

Counted anew, the homes of each group get their buckets by name, from the first one on, as if the
domain were filled today: after `.users_per_level` changed, or after many users went.  Without it the
counters go on.  A home that lies elsewhere (vmoveuserdir) stays there unless it is named; each of
the others keeps its base, and with that its file system.

A server goes on meanwhile, as when one home moves (`manage.rename`).

Sources: spec/delivery.md 1.2, 2 (vreorg); spec/cluster-users.md 6.2.
"""

from collections.abc import Iterable, Sequence

from indimail.accounts.port import Account, Accounts, above
from indimail.durable.disk import Disk
from indimail.manage.homes import (
    NewHomes,
    check_trees,
    counted_homes,
    domain_folders,
    place_of,
)
from indimail.manage.rename import check_new_place, home_moved
from indimail.manage.routing import check_domain_exists
from indimail.manage.row_writes import MoveUser
from indimail.manage.site import Refused, Site
from indimail.manage.writes import TellAccount, Write


def plan_reorganization(
    site: Site,
    accounts: Accounts,
    disk: Disk,
    domain: str,
    named: Sequence[str] = (),
    *,
    anew: bool,
) -> list[Write] | Refused:
    """Return what brings homes to their places; the users of `named` come first, in their order."""
    refused = check_domain_exists(site, disk, domain)
    if refused is not None:
        return refused
    users = {account.name: account for account in accounts.users(domain) if account.directory}
    for name in named:
        if name not in users:
            return Refused(f"{name}@{domain}: No such user", 1)
    homes = NewHomes(site, accounts, disk, domain, anew=anew)
    placed = [(users[name], place_of(users[name])[0]) for name in dict.fromkeys(named)]
    if anew:
        rest = (users[name] for name in users.keys() - set(named))
        others = sorted(rest, key=lambda account: account.name)
        placed += [(user, place_of(user)[0]) for user in others if place_of(user)[0]]
    else:
        placed = [(user, base) for user, base in placed if not base]
    moves = [
        (user, place)
        for user, base in placed
        if (place := homes.next(user.name, base)) != user.directory
    ]
    if anew:
        for row in counted_homes(site, accounts, disk, domain):
            homes.forget(row.filesystem, row.group)
    refused = _check(site, accounts, disk, domain, users.values(), moves)
    if refused is not None:
        return refused
    writes: list[Write] = []
    for user, place in moves:
        before, after = home_moved(site, disk, user, place)
        rows = MoveUser(user.name, domain, user.name, place)
        writes += [*before, rows, TellAccount(user.name, domain), *after]
    return [*writes, *homes.writes()]


def _check(
    site: Site,
    accounts: Accounts,
    disk: Disk,
    domain: str,
    users: Iterable[Account],
    moves: Sequence[tuple[Account, str]],
) -> Refused | None:
    """Refuse a home that holds what is not of its user, and a place that is not free."""
    folders = domain_folders(site, accounts, disk, domain)
    outside = [
        user.directory
        for user, _ in moves
        if not any(user.directory.startswith(f"{folder}/") for folder in folders)
    ]
    refused = check_trees(site, accounts, disk, [*folders, *outside], domain)
    places = {user.directory: user for user in users}
    for user, place in moves:
        for path in (user.directory, place):
            holder = next((places[path] for path in above(path)[1:] if path in places), None)
            if refused is None and holder is not None:
                what = f"is also of {holder.address} ({holder.directory}); nothing was changed"
                refused = Refused(f"{path}: {what}", 1)
        refused = refused or check_new_place(user, place)
    return refused
