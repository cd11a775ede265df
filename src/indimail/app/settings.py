"""Every setting of an instance, one row each; `indimail config` and the documents are made of it.

    BY_NAME["databytes"].kind.expected       -> 'a whole number from 0 to 9007199254740992 (octets)'
    VARIABLES["DATABYTES"].name              -> 'databytes'
    settings_table_markdown()                -> the table of docs/

A row has a control file, a variable, both, or a key of indimail.toml; its name is the first of
control file, variable and key.  A row that *waits* is known and shown, and has no effect: a file
or variable of it that is there is told to the operator as a notice.

Limits that IndiMail does not have, or has off, and that are on here (RFC 5321 4.5.3 gives room):
commands, errors, recipients, connections, time.  Where it says 0 for "none", so do we.

Sources: spec/smtp.md 2.4, 10, 14, 15; spec/queue.md 1.4 to 1.9, 4; spec/delivery.md 0.
Not here: how a value is found (`app.resolve`).
"""

from collections.abc import Iterator
from typing import Final

from indimail.app.resolve import (
    ADDRESSES,
    CHECK,
    COUNT,
    DATABASE,
    HOST,
    HOSTS,
    LINES,
    ME,
    OCTETS,
    RULES,
    SECONDS,
    SECRET,
    SWITCH,
    SYNC_MODE,
    TEXT,
    Kind,
    Scope,
    Setting,
    number,
    signed,
)
from indimail.delivery.daily import MAILCOUNT_LIMIT, MAILSIZE_LIMIT
from indimail.delivery.duplicate import INTERVAL
from indimail.delivery.overquota import MAILSIZE, WARNINGS
from indimail.mailbox.maildirsize import MAX_AGE, MAX_SIZE

MIN_FREE: Final = 52_428_800  # 50 MiB, what IndiMail's installer sets
DEFAULT_LINE: Final = 2048  # RFC 5321 4.5.3.1 needs 512 for a command; extensions add to it
WEEK: Final = 604_800

# What the rows wait for: features that are not there yet.
ARRIVAL = "early-talker test and tarpit"
AUTH = "SMTP AUTH"
BOUNCES = "bounce programs"
CONTENT = "content filters"
CLIENTS = "client lists (badip, badhost, hostaccess, accesslist)"
DKIM = "DKIM"
DNS = "DNS checks"
DYNAMIC = "queues that come and go with the load"
ENVRULES = "envrules"
ETRN = "ETRN and ATRN"
GATE = "refusal greetings"
GREY = "greylisting"
HEADERS = "header rules of the queue"
HELO = "HELO checks"
LISTS = "sender and recipient lists"
PLUGINS = "plugins"
PROGRAMS = "queue programs"
QUOTA = "quota and limits"
RATE = "delivery rate limits"
RELAY = "the other five relay methods"
REMOTE = "remote delivery"
SPF = "SPF"
SRS = "BATV and SRS"
SYNC = "switching syncs off"
TLS = "TLS details"

_PROCESS, _CLIENT, _QUEUE, _DELIVERY = Scope.PROCESS, Scope.CLIENT, Scope.QUEUE, Scope.DELIVERY


def _file(
    name: str, kind: Kind, default: str | None, meaning: str, reader: str, scope: Scope,
    *, waits: str = "", unit: str = "",
) -> Setting:  # fmt: skip
    """Return the row of a control file."""
    return Setting(name, kind, default, meaning, reader, scope, name, "", "", unit, waits)


def _var(
    name: str, kind: Kind, default: str | None, meaning: str, reader: str, scope: Scope,
    *, waits: str = "", unit: str = "",
) -> Setting:  # fmt: skip
    """Return the row of a variable."""
    return Setting(name, kind, default, meaning, reader, scope, "", name, "", unit, waits)


def _both(
    name: str, variable: str, kind: Kind, default: str | None, meaning: str, reader: str,
    scope: Scope, *, waits: str = "", unit: str = "",
) -> Setting:  # fmt: skip
    """Return the row of a control file that a variable overrides."""
    return Setting(name, kind, default, meaning, reader, scope, name, variable, "", unit, waits)


def _toml(
    name: str, kind: Kind, default: str | None, meaning: str, reader: str, *, unit: str = ""
) -> Setting:
    """Return the row of a key of indimail.toml."""
    return Setting(name, kind, default, meaning, reader, _PROCESS, "", "", name, unit)


def _off(waits: str, rows: str, scope: Scope = _CLIENT) -> Iterator[Setting]:
    """Yield rows that wait, from lines ``file VARIABLE kind default meaning``; ``-`` is none."""
    for row in rows.strip().splitlines():
        name, variable, kind, default, meaning = row.split(maxsplit=4)
        file, variable = name.strip("-"), variable.strip("-")
        yield Setting(
            file or variable, _KINDS[kind], None if default == "-" else default, meaning,
            "", scope, file, variable, "", _UNITS.get(kind, ""), waits,
        )  # fmt: skip


_KINDS: Final = {
    "list": RULES, "set": SWITCH, "text": TEXT, "count": COUNT, "secs": SECONDS, "octets": OCTETS,
    "host": HOST, "secret": SECRET, "wait": signed(-86_400, 86_400, "seconds"),
    "days": number(0, 36_500, "days"),
}  # fmt: skip
_UNITS: Final = {"secs": "seconds", "octets": "octets", "wait": "seconds", "days": "days"}

_SESSION = "smtp/session.py"
_SMTPD = "serve/smtpd.py"
_PEER = "serve/client.py"
_TRANSACTION = "serve/transaction.py"
_SEND = "serve/send.py"
_QUEUES = "app/queues.py"
_BOUNCE = "delivery/bounce.py"
_OVERQUOTA = "delivery/overquota.py"
_DAILY = "delivery/daily.py"
_DUPLICATE = "delivery/duplicate.py"
_BLACKHOLE = "delivery/blackhole.py"
_LOCALDOMAINS = "delivery/localdomains.py"
_MAILDIRSIZE = "mailbox/maildirsize.py"
_QUOTA = "serve/quota.py"
_GUARD = "serve/guard.py"
_CONF = "app/configuration.py"
_ROUTE = "schedule/route.py"
_INSTANCE = "app/instance.py"
_SERVE = "app/supervise.py"
_INJECT = "cli/injection.py"

NAMES: Final = (
    _file("me", HOST, None, "full name of this host; default of many others (required)",
          _CONF, _PROCESS),
    _both("defaulthost", "QMAILDEFAULTHOST", HOST, ME,
          "qmail-inject: host of an address without one", _INJECT, _PROCESS),
    _both("defaultdomain", "QMAILDEFAULTDOMAIN", HOST, ME,
          "qmail-inject: domain of a host without a dot", _INJECT, _PROCESS),
    _both("plusdomain", "QMAILPLUSDOMAIN", HOST, ME,
          "qmail-inject: domain of a host that ends in +", _INJECT, _PROCESS),
    _both("idhost", "QMAILIDHOST", HOST, ME,
          "qmail-inject: host in a Message-ID", _INJECT, _PROCESS),
    _file("smtpgreeting", LINES, ME, "text of the greeting; may have several lines",
          _SESSION, _CLIENT),
    _file("localiphost", HOST, ME, "what takes the place of our own [ip] in an address",
          _PEER, _CLIENT),
    _file("moreipme", ADDRESSES, None,
          "addresses that are ours, besides the one that the client connected to",
          _PEER, _CLIENT),
    _file("notipme", ADDRESSES, None, "addresses that are not ours", _PEER, _CLIENT),
    _var("TCPLOCALHOST", HOST, ME, "our name in the Received line", _TRANSACTION, _CLIENT),
    _file("locals", HOSTS, ME, "domains delivered to the accounts of this system",
          _ROUTE, _DELIVERY),
    _file("virtualdomains", RULES, None, "domain:prefix of virtual domains", _ROUTE, _DELIVERY),
    _file("percenthack", HOSTS, None, "domains for which user%host@domain means user@host",
          _ROUTE, _DELIVERY),
    _file("defaultdelivery", LINES, "./Maildir/",
          "lines of a .qmail for who has none, or an empty one", "serve/foresight.py", _QUEUE),
    _file("envnoathost", HOST, ME, "domain added to an address without one", _ROUTE, _DELIVERY),
    _file("maxdeliveredto", signed(-1, 10_000), "0",
          "more equal Delivered-To lines of ours are a loop; -1: none is", "delivery/loop.py",
          _QUEUE),
    _file("localdomains", RULES, None,
          "domains from which homes with a file .localdomains take mail", _LOCALDOMAINS, _QUEUE),
    _var("QMAIL_EXT", SWITCH, None,
         "mail for an absent user-ext of a virtual domain goes to the user", "delivery/virtual.py",
         _QUEUE),
    _var("DISCARD_BOUNCE", SWITCH, None,
         "what would bounce for its user or quota is discarded in virtual domains", "delivery/plan.py",
         _QUEUE),
    _var("ALLOW_INACTIVE", SWITCH, None, "inactive users of virtual domains get their mail",
         "delivery/virtual.py", _QUEUE),
    _var("NOALIAS", TEXT, "",
         "1: users get their mail in their mailboxes, whatever valias and their .qmail say",
         "delivery/virtual.py", _QUEUE),
    _var("ELIMINATE_DUPS", SWITCH, None,
         "a mail that is in a mailbox of a virtual domain is not delivered there again", _DUPLICATE,
         _QUEUE),
    _var("ELIMINATE_DUPS_INT", SECONDS, str(INTERVAL), "for how long", _DUPLICATE, _QUEUE,
         unit="seconds"),
    _var("LOCALDOMAINS", SWITCH, None, "every home takes mail from localdomains alone",
         _LOCALDOMAINS, _QUEUE),
)  # fmt: skip

RECEPTION: Final = (
    _file("rcpthosts", RULES, None,
          "domains whose mail is taken from everybody; without it nothing is ours",
          "policy/relay.py", _CLIENT),
    _file("morercpthosts", RULES, None, "more of the same; also as morercpthosts.cdb",
          "policy/relay.py", _CLIENT),
    _var("RELAYCLIENT", TEXT, None,
         "set: may relay; the text is appended to each recipient (normally empty)",
         "policy/relay.py", _CLIENT),
    _var("CHECKRECIPIENT", CHECK, None, "1: absent and inactive users are refused at RCPT",
         "policy/recipient.py", _CLIENT),
    _both("databytes", "DATABYTES", OCTETS, "0", "largest message; 0 = no limit",
          _SESSION, _CLIENT, unit="octets"),
    _both("maxrecipients", "MAXRECIPIENTS", COUNT, "1000",
          "most recipients of a message; 0 = no limit", _SESSION, _CLIENT),
    _file("maxhops", number(1, 10_000), "100", "most Received and Delivered lines of a message",
          _SESSION, _CLIENT),
    _file("maxcmdlen", number(0, 65_536, "octets"), str(DEFAULT_LINE),
          f"longest command; 0 = {DEFAULT_LINE}", _SESSION, _CLIENT, unit="octets"),
    _file("timeoutsmtpd", number(1, 86_400, "seconds"), "1200",
          "longest silence of a client", _SMTPD, _CLIENT, unit="seconds"),
    _var("MAXSESSIONTIME", SECONDS, "7200", "longest conversation; 0 = no limit",
         _SMTPD, _CLIENT, unit="seconds"),
    _var("MAXCOMMANDS", COUNT, "1000", "most commands since the last accepted message; 0 = no limit",
         _SESSION, _CLIENT),
    _var("MAXERRORS", COUNT, "100", "most errors since the last accepted message; 0 = no limit",
         _SESSION, _CLIENT),
    _var("MAXDAEMONS", number(1, 1_000_000), "10000", "most connections of the whole server",
         _PEER, _PROCESS),
    _var("MAXPERIP", COUNT, None,
         "most connections of one client (0 = no limit); not set: 200, and no limit for loopback",
         _PEER, _CLIENT),
    _var("MAX_RCPT_ERRCOUNT", COUNT, None,
         "after so many invalid recipients of a message, the others get 421 (0, not set: never)",
         "policy/recipient.py", _CLIENT),
    _var("PENALTY", number(0, 3600, "seconds"), "5", "pause before some refusals",
         _TRANSACTION, _CLIENT, unit="seconds"),
    _var("ALLOW_BARELF", SWITCH, None, "bare LF in a message is made CRLF, instead of refused",
         _SESSION, _CLIENT),
    _var("HIDE_HOST", SWITCH, None, "names and addresses are left out of the Received line",
         "smtp/received.py", _CLIENT),
    _var("DISABLE_EXTRA_GREET", SWITCH, None, "the greeting has smtpgreeting alone",
         _SESSION, _CLIENT),
    _var("DISABLE_HELP", SWITCH, None, "HELP is refused", _SESSION, _CLIENT),
    _var("DISABLE_VRFY", SWITCH, None, "VRFY is refused", _SESSION, _CLIENT),
    _var("SMTPUTF8", SWITCH, None, "addresses in UTF-8 (RFC 6531) are offered",
         _SESSION, _CLIENT),
    _var("STARTTLS", SWITCH, None, "STARTTLS is offered, where there is a certificate",
         _SESSION, _CLIENT),
    _var("SMTPS", SWITCH, None,
         "TLS from the first octet; always on for the listener role submissions",
         _SMTPD, _CLIENT),
    _var("FORCE_TLS", SWITCH, None, "MAIL is refused before TLS", "policy/sender.py", _CLIENT),
)  # fmt: skip

QUEUE: Final = (
    Setting("QUEUE_BASE", TEXT, "queue", "directory of the queues; a relative one is in the root",
            _INSTANCE, _PROCESS, "queue_base", "QUEUE_BASE"),
    _var("QUEUE_START", number(0, 100_000), "1", "number of the first queue", _SERVE, _PROCESS),
    _var("QUEUE_COUNT", number(1, 1024), None,
         "how many queues take new mail; not set: as many as workers", _SERVE, _PROCESS),
    _var("QUEUEDIR", TEXT, None, "the one queue for this client's mail", _QUEUES, _CLIENT),
    _var("MIN_FREE", OCTETS, str(MIN_FREE), "with less free space new mail gets 452",
         _QUEUES, _QUEUE, unit="octets"),
    _file("concurrencylocal", number(0, 10_000), "200",
          "local deliveries at once in a queue (here a delivery is a file, not a process);"
          " 0 = hold", _SEND, _QUEUE),
    _file("concurrencyremote", number(0, 10_000), "20",
          "remote deliveries at once in a queue; 0 = hold", _SEND, _QUEUE, waits=REMOTE),
    _var("FILE_SYNC", SYNC_MODE, "auto",
         "how copies are made durable: each file, the whole filesystem at once, or auto by number",
         "durable/batch.py", _DELIVERY),
    _file("holdlocal", COUNT, "0", "not 0: local deliveries wait", _SEND, _QUEUE),
    _file("holdremote", COUNT, "0", "not 0: remote deliveries wait", _SEND, _QUEUE, waits=REMOTE),
    _file("queuelifetime", SECONDS, str(WEEK),
          "after this age the next temporary failure is a permanent one", _SEND, _QUEUE,
          unit="seconds"),
    _file("bouncelifetime", SECONDS, str(WEEK),
          "the same for mail with a null sender; never above queuelifetime", _SEND, _QUEUE,
          unit="seconds"),
)  # fmt: skip

PROGRAM: Final = (
    _var("PROGRAM_SECONDS", SECONDS, "1000", "how long a program of a .qmail line may run;"
         " 0 = no limit, as with the others", _GUARD, _QUEUE, unit="seconds"),
    _var("PROGRAM_CPU", SECONDS, "300", "processor time of each of its processes",
         _GUARD, _QUEUE, unit="seconds"),
    _var("PROGRAM_MEMORY", OCTETS, "1073741824",
         "address space of each of its processes, and memory of all of them",
         _GUARD, _QUEUE, unit="octets"),
    _var("PROGRAM_PROCESSES", COUNT, "100", "how many processes it may have", _GUARD, _QUEUE),
    _var("PROGRAM_FILE", OCTETS, "1073741824", "largest file that it may write",
         _GUARD, _QUEUE, unit="octets"),
    _var("PROGRAM_OUTPUT", OCTETS, "1048576",
         "most that it may say (the first 3000 octets are kept)", _GUARD, _QUEUE, unit="octets"),
    _var("PROGRAMS", number(1, 10_000), "40",
         "how many run at once for one user; of one home, a quarter of them",
         "serve/programs.py", _QUEUE),
    _var("LSPAWN_IDLE", SECONDS, "60",
         "how long the delivering process of another user is kept with nothing to do",
         "serve/spawned.py", _QUEUE, unit="seconds"),
)  # fmt: skip

BOUNCE: Final = (
    _file("bouncemaxbytes", OCTETS, "50000", "most of the message that a bounce encloses; 0 = all",
          _BOUNCE, _QUEUE, unit="octets"),
    _file("bouncefrom", TEXT, "MAILER-DAEMON", "local part of who a bounce is from",
          _BOUNCE, _QUEUE),
    _file("bouncehost", HOST, ME, "its host", _BOUNCE, _QUEUE),
    _file("bouncesubject", TEXT, "failure notice", "subject of a bounce",
          _BOUNCE, _QUEUE),
    _file("bouncemessage", LINES, None, "lines that take the place of a bounce's apology",
          _BOUNCE, _QUEUE),
    _file("doublebounceto", LINES, "postmaster",
          "local part of who gets bounces that bounced; empty or beginning with @: nobody",
          _BOUNCE, _QUEUE),
    _file("doublebouncehost", HOST, ME, "its host", _BOUNCE, _QUEUE),
    _file("doublebouncesubject", TEXT, "failure notice", "subject of a bounce that bounced",
          _BOUNCE, _QUEUE),
    _file("doublebouncemessage", LINES, None, "as bouncemessage, in a bounce that bounced",
          _BOUNCE, _QUEUE),
)  # fmt: skip

QUOTAS: Final = (
    _var("OVERQUOTA_CMD", TEXT, None,
         "program that is told of what a quota led to; default: overquota.sh in LIBEXECDIR;"
         " run only if it is executable", _QUOTA, _QUEUE),
    _var("LIBEXECDIR", TEXT, "libexec", "directory of overquota.sh", _QUOTA, _QUEUE),
    _var("OVERQUOTA_MAILSIZE", OCTETS, str(MAILSIZE),
         "a mail that is no larger is delivered to a full mailbox all the same",
         _OVERQUOTA, _QUEUE, unit="octets"),
    _var("HOLDOVERQUOTA", TEXT, None,
         "file (absolute path) that makes what is over quota wait instead of bounce;"
         " else holdoverquota in the Maildir", _QUOTA, _QUEUE),
    _var("MAILDIRSIZE_MAX_AGE", SECONDS, str(MAX_AGE), "after this a mailbox is counted anew",
         _MAILDIRSIZE, _QUEUE, unit="seconds"),
    _var("MAILDIRSIZE_MAX_SIZE", OCTETS, str(MAX_SIZE),
         "the same for a maildirsize that is larger", _MAILDIRSIZE, _QUEUE, unit="octets"),
    _var("FAST_QUOTA", SWITCH, None, "what maildirsize says is never counted anew",
         _MAILDIRSIZE, _QUEUE),
    _var("INCLUDE_TRASH", SWITCH, None, "mails that are marked for removal count too",
         _MAILDIRSIZE, _QUEUE),
    _var("MAILCOUNT_LIMIT", number(0, 2**53), None,
         f"most mails of a mailbox in a day; not set: {MAILCOUNT_LIMIT}, if the other one is set",
         _DAILY, _QUEUE),
    _var("MAILSIZE_LIMIT", OCTETS, None,
         f"most octets of a mailbox in a day; not set: {MAILSIZE_LIMIT}, if the other one is set",
         _DAILY, _QUEUE, unit="octets"),
    *(
        _var(f"QUOTAWARN{number_}", number(0, 999, "per cent"), None,
             "a mailbox that is fuller is warned about by OVERQUOTA_CMD, once in 7 days",
             _OVERQUOTA, _QUEUE, unit="per cent")
        for number_ in range(1, WARNINGS + 1)
    ),
    _file("blackholedsender", RULES, None,
          "senders (user@host or @host) whose mail to virtual users is discarded", _BLACKHOLE,
          _QUEUE),
    _file("blackholedpatterns", RULES, None,
          "the same as shell patterns; ! takes back, the last that matches decides", _BLACKHOLE,
          _QUEUE),
)  # fmt: skip

LOCATIONS: Final = (
    _var("HARD_QUOTA", TEXT, "NOQUOTA", "quota of a new user: octets, or NOQUOTA",
         "manage/users.py", _DELIVERY),
    _both("hash_method", "PASSWORD_HASH", TEXT, None,
          "how new passwords are hashed (-h); default: ARGON2ID, on MySQL and MariaDB SHA-512",
          "manage/users.py", _DELIVERY),
    _both("scram_method", "PASSWORD_SCRAM", TEXT, "SCRAM-SHA-256",
          "whose keys are stored beside (-m): SCRAM-SHA-256, SCRAM-SHA-1 or none",
          "manage/users.py", _DELIVERY),
    _var("SYSCONFDIR", TEXT, "the root", "directory of control/ tcp/ users/ certs/",
         _INSTANCE, _PROCESS),
    _var("CONTROLDIR", TEXT, "control", "directory of the control files", _INSTANCE, _PROCESS),
    _var("ASSIGNDIR", TEXT, "users", "directory of the file assign", _INSTANCE, _PROCESS),
    _var("CERTDIR", TEXT, "certs", "directory of the certificates", _INSTANCE, _PROCESS),
    _var("DOMAINDIR", TEXT, "the root", "directory of domains/", _INSTANCE, _PROCESS),
    _var("BASE_PATH", TEXT, "mail", "directory of the users' homes", _INSTANCE, _PROCESS),
    _toml("process.workers", number(1, 512), None, "worker processes; default: one a processor",
          _SERVE),
    _toml("process.user", TEXT, "indimail", "whom workers run as, where root starts `serve`",
          _SERVE),
    _toml("process.log", TEXT, "stderr", "stderr, or files: log/", "app/logs.py"),
    _toml("process.drain_seconds", number(0, 3600, "seconds"), "30",
          "how long running conversations may go on after SIGTERM", _SERVE, unit="seconds"),
    _toml("process.affinity", TEXT, "auto",
          "auto: a processor for each worker, where there are as many; or none", "app/worker.py"),
    _toml("tls.certificate", TEXT, "servercert.pem", "chain, and key where it has one; in certs/",
          "net/tls.py"),
    _toml("tls.key", TEXT, "", "private key; default: in the certificate's file", "net/tls.py"),
    _toml("database.url", DATABASE, "",
          "accounts: sqlite:, mysql: or postgresql: URL; default: SQLite in db/", "accounts/sql.py"),
)  # fmt: skip

WAITING: Final = (
    *_off(RELAY, """
relayclients        RELAYCLIENTS        list   -     may relay, by address
relaydomains        -                   list   -     may relay, by the client's DNS name
relaymailfrom       -                   list   -     may relay, by sender; also .cdb and .sql
tlsclients          -                   list   -     may relay, by client certificate
-                   CHECKRELAY          set    -     POP3 or IMAP before SMTP
-                   RELAY_CLEAR_MINUTES count  60    minutes that a login by POP3 or IMAP counts
-                   RELAY_TABLE         text   relay table of those logins
-                   OPEN_SMTP           text   -     file of those logins
-                   NORELAY             set    -     logins do not permit relaying
-                   TCP_FILE            text   -     rules that the logins are added to
"""),
    *_off(AUTH, """
authdomains         -                   list   -     senders that must authenticate
-                   REQUIREAUTH         set    -     MAIL needs authentication
-                   AUTH_ALL            set    -     every recipient needs authentication
-                   SECURE_AUTH         set    -     clear passwords only inside TLS
-                   OLD_CLIENT          set    -     AUTH= line for old clients
-                   DISABLE_AUTH_LOGIN  set    -     without LOGIN
-                   DISABLE_AUTH_PLAIN  set    -     without PLAIN
-                   DISABLE_AUTH_OAUTH2 set    -     without XOAUTH2
-                   DISABLE_CRAM_MD5    set    -     without CRAM-MD5
-                   DISABLE_CRAM_SHA1   set    -     without CRAM-SHA1
-                   DISABLE_CRAM_SHA224 set    -     without CRAM-SHA224
-                   DISABLE_CRAM_SHA256 set    -     without CRAM-SHA256
-                   DISABLE_CRAM_SHA384 set    -     without CRAM-SHA384
-                   DISABLE_CRAM_SHA512 set    -     without CRAM-SHA512
-                   DISABLE_CRAM_RIPEMD set    -     without CRAM-RIPEMD
-                   DISABLE_DIGEST_MD5  set    -     without DIGEST-MD5
-                   DISABLE_SCRAM_SHA1  set    -     without SCRAM-SHA-1
-                   DISABLE_SCRAM_SHA1_PLUS   set - without SCRAM-SHA-1-PLUS
-                   DISABLE_SCRAM_SHA256      set - without SCRAM-SHA-256
-                   DISABLE_SCRAM_SHA256_PLUS set - without SCRAM-SHA-256-PLUS
-                   ENABLE_CRAM         set    -     CRAM methods need stored passwords
-                   QUERY_CACHE         set    -     cache of account look-ups
-                   PASSWD_CACHE        set    -     cache of passwords
--                   DOMAIN_LIMITS       set    -     limits of domains count
-                   POSTAUTH            text   -     program after a login
-                   STRIP_DOMAIN        set    -     user without domain for the modules
-                   VIRTUAL_PKG_LIB     text   -     library of virtual domains
-                   INFIFO              text   -     look-up service of virtual domains
-                   INFIFODIR           text   -     its directory
libindimail         -                   text   -     library of virtual domains
host.mysql          -                   secret -     address of the database
mcdinfo             -                   text   -     addresses of a cluster's databases
timeoutread         -                   secs   4     look-up service: longest read
timeoutwrite        -                   secs   4     look-up service: longest write
"""),
    *_off(LISTS, """
recipients          -                   list   -     recipients kept elsewhere
chkrcptdomains      -                   list   -     domains with recipient check; all, if absent
chksenderdomains    -                   list   -     domains with sender check; all, if absent
badmailfrom         BADMAILFROM         list   -     refused senders
badmailpatterns     BADMAILPATTERNS     list   -     the same as patterns
badrcptto           BADRCPTTO           list   -     refused recipients
badrcptpatterns     BADRCPTPATTERNS     list   -     the same as patterns
goodrcptto          GOODRCPTTO          list   -     recipients without checks
goodrcptpatterns    GOODRCPTPATTERNS    list   -     the same as patterns
-                   BLACKHOLEDSENDER    text   -     name of another blackholedsender
blackholedrcpt      BLACKHOLEDRCPT      list   -     recipients whose mail is taken and discarded
qregex              QREGEX              count  0     1: lists hold regular expressions
-                   USE_FNMATCH         set    -     rules hold shell wildcards
-                   CHECKSENDER         set    -     senders of ours must exist and be logged in
-                   MASQUERADE          set    -     a logged-in user may use another sender
-                   ANTISPOOFING        set    -     older name of CHECKSENDER
-                   DEFAULT_DOMAIN      host   -     domain of a login without one
-                   CUGMAIL             set    -     closed user group
-                   BOUNCEMAIL          text   -     refuse every message with this text
"""),
    *_off(CLIENTS, """
badip               BADIP               list   -     refused addresses
badhost             BADHOST             list   -     refused client names
-                   BADIPCHECK          set    -     badip counts
-                   BADHOSTCHECK        set    -     badhost counts
accesslist          ACCESSLIST          list   -     who may write to whom
hostaccess          HOSTACCESS          list   -     sender domains and their addresses
-                   PARANOID            set    -     hostaccess: strict about domains
-                   DOMAIN_MASQUERADE   set    -     hostaccess: lenient about addresses
"""),
    *_off(HELO, """
badhelo             BADHELO             list   -     refused HELO names
-                   BADHELOCHECK        set    -     badhelo counts
-                   ENFORCE_FQDN_HELO   set    -     a HELO name needs a dot
"""),
    *_off(DNS, """
nodnscheck          -                   list   -     senders without DNS check
-                   NODNSCHECK          set    -     no sender gets a DNS check (none does yet)
-                   REQPTR              text   -     clients need a name in DNS
dnsbllist           DNSBLLIST           list   -     lists of refused addresses in DNS
-                   SKIPDNSBL           set    -     this client is not looked up there
-                   RBLSMTPD            text   -     text for a blocked client
-                   RBLGREETING         text   -     greeting of the blocker
-                   RBLEHLO             text   -     answer of the blocker to EHLO
"""),
    *_off(GATE, """
-                   SHUTDOWN            text   -     turn clients away with this text
-                   OPENRELAY           set    -     turn this client away as an open relay
-                   TCPPARANOID         text   -     turn clients away whose name does not fit
"""),
    *_off(ARRIVAL, """
tarpitcount         TARPITCOUNT         count  0     from this recipient on each one waits; 0 = never
tarpitdelay         TARPITDELAY         secs   5     how long
greetdelay          GREETDELAY          wait   0     wait before the greeting; below 0: test talkers
earlytalkerdroptime -                   wait   0     older name of greetdelay
"""),
    *_off(ENVRULES, """
from.envrules       FROMRULES           list   -     variables by sender
auth.envrules       AUTHRULES           list   -     variables for relaying clients
rcpt.envrules       RCPTRULES           list   -     variables by recipient, at delivery
fromd.envrules      -                   list   -     variables by sender, at delivery
bounce.envrules     BOUNCERULES         list   -     variables for bounces
domainqueue         DOMAINQUEUE         list   -     queue by recipient domain
"""),
    *_off(SPF, """
spfbehavior         SPFBEHAVIOR         count  0     0 off, 1 note, 2 to 6 refuse ever more
spfrules            SPFRULES            text   -     local rules
spfguess            SPFGUESS            text   -     rules where a domain has none
spfexp              SPFEXP              text   -     explanation
spfipv6             SPFIPV6             count  0     IPv6
"""),
    *_off(SRS, """
batvkey             BATVKEY             secret -     key of the signature
batvkeystale        BATVKEYSTALE        days   7     days that a signature counts
batvnosignlocals    BATVNOSIGNLOCALS    list   -     local senders without
batvnosignremote    BATVNOSIGNREMOTE    list   -     remote recipients without
srs_domain          SRS_DOMAIN          host   -     domain of rewritten senders
srs_secrets         SRS_SECRETS         secret -     keys
srs_maxage          SRS_MAXAGE          days   -     days that a rewritten sender counts
srs_hashlength      SRS_HASHLENGTH      count  -     length of the hash
srs_hashmin         SRS_HASHMIN         count  -     shortest hash that is taken
srs_alwaysrewrite   SRS_ALWAYSREWRITE   count  -     rewrite every sender
srs_separator       SRS_SEPARATOR       text   -     separator
"""),
    *_off(GREY, """
-                   GREYIP              text   -     address of the greylist service
greylist.white      -                   list   -     clients that are not greylisted
"""),
    *_off(DKIM, """
signaturedomains    -                   list   -     domains whose mail must be signed
nosignaturedomains  -                   list   -     domains without
dkimkeys            -                   list   -     keys by domain
domainkeys          -                   text   -     directory of the keys
-                   DKIMVERIFY          text   -     what a bad signature leads to
-                   DKIMSIGN            text   -     key to sign with
"""),
    *_off(CONTENT, """
signatures          SIGNATURES          list   -     refused beginnings of attachments
bodycheck           BODYCHECK           list   -     refused patterns of lines
badext              BADEXT              list   -     refused names of attachments
badextpatterns      BADEXTPATTERNS      list   -     the same as patterns
spamignore          SPAMIGNORE          list   -     senders without spam filter
-                   VIRUSCHECK          count  -     which scanners
-                   SPAMFILTER          text   -     spam filter
-                   SPAMEXITCODE        text   -     its exit code for spam
-                   HAMEXITCODE         text   -     its exit code for ham
-                   UNSUREEXITCODE      text   -     its exit code for neither
-                   REJECTSPAM          count  0     1 refuse, 2 discard
globalspamredirect  -                   text   -     where spam goes
-                   RELAYCLIENT_NOSPAMFILTER set - no spam filter for relaying clients
-                   QHPSI               text   -     virus scanner
-                   QHPSIRC             count  -     its exit code for a virus
-                   QHPSIRN             count  -     its exit code for none
-                   REJECTVIRUS         count  -     what happens to a virus
-                   VIRUSFORWARD        text   -     who gets it
-                   SCANCMD             text   -     scanner
-                   FILTERARGS          text   -     filter
-                   DATABYTES_NOTIFY    set    -     tell recipients of a message that was too large
-                   LOGFILTER           text   -     FIFO that gets a line per message
-                   LOGFD               count  255   descriptor for the filter's line
surbldomain         SURBL               list   multi.surbl.org   lists of refused links
surbldomainwhite    -                   list   -     domains that are not looked up
surblrcpt           -                   list   -     recipients without
level2-tlds         -                   list   -     domains with two labels
level3-tlds         -                   list   -     domains with three labels
"""),
    *_off(TLS, """
servercipherlist    TLS_CIPHER_LIST     text   -     ciphers up to TLS 1.2
serverciphersuite   TLS_CIPHER_SUITE    text   -     suites of TLS 1.3
tlsservermethod     -                   text   -     versions: TLSv1_2, TLSv1_3 or min:max
-                   SERVERCERT          text   -     file of the certificate (now: [tls] certificate)
-                   CLIENTCA            text   -     authorities of client certificates
-                   CLIENTCRL           text   -     withdrawn client certificates
-                   SSL_BITS            count  -     length of temporary keys
-                   CLIENT_RENEGOTIATION set   -     clients may renegotiate
-                   TLS_PROVIDER        text   -     who did TLS in front of us
"""),
    *_off(ETRN, """
etrnhosts           -                   list   -     who may ask for a domain's mail
atrnaccess          -                   list   -     who may take it
-                   ODMR                set    -     mail on demand
"""),
    *_off(PLUGINS, """
-                   PLUGINDIR           text   -     directory of plugins
-                   SMTP_PLUGIN         text   -     names of plugins
-                   SMTP_PLUGIN_SYMB    text   -     entry point of plugins
-                   DISABLE_PLUGIN      set    -     without plugins
"""),
    *_off(PROGRAMS, """
-                   QMAILQUEUE          text   -     program in front of the queue
-                   QUEUEPROG           text   -     program of the queue
-                   NULLQUEUE           set    -     take and discard
-                   ERROR_FD            count  2     descriptor for the program's text
-                   FASTQUEUE           set    -     without header rules
extraqueue          EXTRAQUEUE          text   -     who gets a copy of every message
quarantine          QUARANTINE          text   -     who gets what was found bad
mailarchive         MAILARCHIVE         list   -     who gets copies, by rule
"""),
    *_off(HEADERS, """
removeheaders       REMOVEHEADERS       list   -     header fields that are taken away
envheaders          ENVHEADERS          list   -     header fields kept as variables
logheaders          LOGHEADERS          list   -     header fields that are logged
originipfield       ORIGINIPFIELD       text   -     header field with the client's address
"""),
    *_off(SYNC, """
conf-fsync          USE_FSYNC           count  1     sync messages (always done)
conf-fdatasync      USE_FDATASYNC       count  0     sync without times (always done where it is enough)
conf-syncdir        USE_SYNCDIR         count  1     sync names (always done)
""", _QUEUE),
    *_off(DYNAMIC, """
-                   DYNAMIC_QUEUE       set    -     take the queue with the least load
-                   DYNAMIC_QUEUE_TIME  secs   -     how old its figures may be
-                   QUEUE_MAX           count  20    most queues
-                   QUEUE_LOAD          count  90    per cent of load for one more queue
qcount              -                   count  -     queues that run
msgqueuelen         -                   count  -     length of the message queue
msgqueuesize        -                   octets -     size of a message in it
todointerval        TODO_INTERVAL       secs   -     time between two looks for new mail (none needed)
-                   TODO_CHUNK_SIZE     count  1     messages handed on at once
""", _QUEUE),
    *_off(RATE, """
ratecontrol         -                   list   -     rates by domain
-                   RATELIMIT_DIR       text   -     directory of rates
-                   RATELIMIT_INTERVAL  secs   86400 after this silence a rate begins anew
""", _QUEUE),
    *_off(BOUNCES, """
-                   BOUNCEQUEUE         text   -     queue program for bounces
-                   BOUNCEPROCESSOR     text   -     program that looks at each bounce
""", _QUEUE),
    *_off(QUOTA, """
mailalert.cfg       -                   list   -     who is told of deliveries
""", _DELIVERY),
)  # fmt: skip

SETTINGS: Final = (*NAMES, *RECEPTION, *QUEUE, *PROGRAM, *BOUNCE, *QUOTAS, *LOCATIONS, *WAITING)
BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
VARIABLES: Final = {setting.variable: setting for setting in SETTINGS if setting.variable}
CONTROLS: Final = {setting.control: setting for setting in SETTINGS if setting.control}


def settings_table_markdown() -> str:
    """Return the table for the documents: what works first, then what waits and for what."""
    works = [setting for setting in SETTINGS if not setting.waits_for]
    waits = [setting for setting in SETTINGS if setting.waits_for]
    head = ["Control file", "Variable", "Key", "Default", "Unit", "Scope", "Meaning"]
    parts = [_markdown([*head, "Read in"], [[*_cells(row), f"`{row.reader}`"] for row in works])]
    parts.append("Known, and without effect yet:\n")
    parts.append(_markdown([*head, "Waits for"], [[*_cells(row), row.waits_for] for row in waits]))
    return "\n".join(parts)


def _cells(setting: Setting) -> list[str]:
    names = (setting.control, setting.variable, setting.toml)
    default = "me" if setting.default == ME else setting.default
    shown = "" if default is None else default or '""'
    return [
        *(f"`{name}`" if name else "" for name in names),
        shown, setting.unit, setting.scope.value, setting.meaning,
    ]  # fmt: skip


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
