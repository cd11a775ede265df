"""Statements that make tables as IndiMail does in MariaDB: with a user, an alias line and limits.

    Database("mariadb", url).ask(*INDIMAILS)

Fixed lengths, characters of latin1, compared without case.  Source: spec/delivery.md 1.3.
"""

from typing import Final

from indimail.accounts.port import LIMITS

CHANGED: Final = (
    "timestamp timestamp not null default current_timestamp on update current_timestamp"
)
USERS: Final = (
    "(pw_name char(40) not null, pw_domain char(67) not null, pw_passwd char(128) not null,"
    " pw_uid int not null, pw_gid int not null, pw_gecos char(48) not null,"
    " pw_dir char(156) not null, pw_shell char(30) not null, scram char(255),"
    f" {CHANGED}, primary key (pw_name, pw_domain), index pw_gecos (pw_gecos(25)),"
    " index pw_uid (pw_uid)) default charset=latin1"
)
_OTHER_LIMITS: Final = [name for name in LIMITS if name not in ("defaultquota", "perm_maillist")]
INDIMAILS: Final = [
    f"create table indimail {USERS}",
    f"create table indibak {USERS}",
    "create table valias (alias char(40) not null, domain char(67) not null,"
    f" valias_line char(190) not null, {CHANGED}, unique index (alias, domain, valias_line),"
    " index (alias, domain)) default charset=latin1",
    "create table lastauth (user char(40) not null, domain char(67) not null,"
    " service char(10) not null, remote_ip char(46) not null, quota int not null,"
    f" gecos char(48) not null, {CHANGED}, primary key (user, domain, service))"
    " default charset=latin1",
    "create table userquota (user char(40) not null, domain char(67) not null,"
    f" quota bigint unsigned not null, {CHANGED}, primary key (user, domain))"
    " default charset=latin1",
    "create table vlimits (domain char(67) primary key, defaultquota bigint unsigned not null,"
    " perm_maillist tinyint(2) default 0 not null,"
    f" {', '.join(f'{name} bigint default 0 not null' for name in _OTHER_LIMITS)}, {CHANGED})"
    " default charset=latin1",
    "insert into vlimits (domain, defaultquota) values ('example.com', 18446744073709551615)",
    "insert into indimail (pw_name, pw_domain, pw_passwd, pw_uid, pw_gid, pw_gecos, pw_dir,"
    " pw_shell, scram) values ('alice', 'example.com', '$5$salt$hash', 0, 2, 'Alice',"
    " '/mail/A2E/example.com/alice', '50000000S,1000C', null)",
    "insert into valias (alias, domain, valias_line) values"
    " ('abuse', 'example.com', '&postmaster@example.com')",
]
