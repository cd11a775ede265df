"""Every setting of an instance, one row each; `indimail config` and the documents are made of it.

    BY_NAME["databytes"].kind.expected       -> 'a whole number from 0 to 9007199254740992 (octets)'
    VARIABLES["DATABYTES"].name              -> 'databytes'

A row has a control file, a variable, both, or a key of indimail.toml; its name is the first of
control file, variable and key.

Limits that IndiMail does not have, or has off, and that are on here (RFC 5321 4.5.3 gives room):
commands, errors, recipients, connections, time.  Where it says 0 for "none", so do we.

Sources: spec/smtp.md 2.4, 10, 14, 15; spec/queue.md 1.4 to 1.9, 4; spec/delivery.md 0.
Not here: what has no effect yet (`app.waiting`), how a value is found (`app.resolve`).
"""

from typing import Final

from indimail.app.resolve import (
    ADDRESSES,
    CHECK,
    CHECK_RELAY,
    COUNT,
    DATABASE,
    HOST,
    HOSTS,
    LINES,
    ME,
    OCTETS,
    ON_OFF,
    RULES,
    SECONDS,
    SECRET,
    SECRETS,
    SEPARATOR,
    SERVERS,
    SWITCH,
    SYNC_MODE,
    TEXT,
    TEXTS,
    WORDS,
    Kind,
    Scope,
    Setting,
    number,
    signed,
)
from indimail.app.waiting import WAITING
from indimail.delivery.daily import MAILCOUNT_LIMIT, MAILSIZE_LIMIT
from indimail.delivery.duplicate import INTERVAL
from indimail.delivery.overquota import MAILSIZE, WARNINGS
from indimail.mail.srs import LONGEST_HASH, SEPARATORS
from indimail.mailbox.maildirsize import MAX_AGE, MAX_SIZE

MIN_FREE: Final = 52_428_800  # 50 MiB, what IndiMail's installer sets
DEFAULT_LINE: Final = 2048  # RFC 5321 4.5.3.1 needs 512 for a command; extensions add to it
WEEK: Final = 604_800

_PROCESS, _CLIENT, _QUEUE, _DELIVERY = Scope.PROCESS, Scope.CLIENT, Scope.QUEUE, Scope.DELIVERY


def _file(
    name: str, kind: Kind, default: str | None, meaning: str, reader: str, scope: Scope,
    *, unit: str = "",
) -> Setting:  # fmt: skip
    """Return the row of a control file."""
    return Setting(name, kind, default, meaning, reader, scope, name, "", "", unit)


def _var(
    name: str, kind: Kind, default: str | None, meaning: str, reader: str, scope: Scope,
    *, unit: str = "",
) -> Setting:  # fmt: skip
    """Return the row of a variable."""
    return Setting(name, kind, default, meaning, reader, scope, "", name, "", unit)


def _both(
    name: str, variable: str, kind: Kind, default: str | None, meaning: str, reader: str,
    scope: Scope, *, unit: str = "",
) -> Setting:  # fmt: skip
    """Return the row of a control file that a variable overrides."""
    return Setting(name, kind, default, meaning, reader, scope, name, variable, "", unit)


def _named(
    name: str, variable: str, kind: Kind, default: str | None, meaning: str, reader: str,
    unit: str = "",
) -> Setting:  # fmt: skip
    """Return the row of a control file of queues, in whose place a variable names another."""
    return Setting(
        name, kind, default, meaning, reader, _QUEUE, name, variable, "", unit, names_file=True
    )


def _toml(
    name: str, kind: Kind, default: str | None, meaning: str, reader: str,
    *, unit: str = "",
) -> Setting:  # fmt: skip
    """Return the row of a key of indimail.toml."""
    return Setting(name, kind, default, meaning, reader, _PROCESS, "", "", name, unit)


_SESSION = "smtp/session.py"
_SMTPD = "serve/smtpd.py"
_AUTH = "smtp/auth.py"
_RELAY = "policy/relay.py"
_SENDER = "policy/sender.py"
_VERIFYING = "serve/verifying.py"
_LIMITS = "serve/loginlimits.py"
_PEER = "serve/client.py"
_RELAYLISTS = "policy/relaylists.py"
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
_REMOTE = "serve/remote.py"
_REMOTE_PEER = "serve/peer.py"
_PEERS = "serve/peers.py"
_ROUTES = "schedule/smtproutes.py"
_OUTGOING = "schedule/outgoing.py"
_DEAD = "schedule/deadhosts.py"
_SRS = "mail/srs.py"
_BATV = "mail/batv.py"
_READING = "app/reading.py"
_ROUTE = "schedule/route.py"
_INSTANCE = "app/instance.py"
_SERVE = "app/supervise.py"
_INJECT = "cli/injection.py"

NAMES: Final = (
    _file("me", HOST, None, "full name of this host; default of many others (required)",
          _READING, _PROCESS),
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
    _file("relayclients", RULES, None, "address:suffix of clients that may relay",
          _RELAYLISTS, _CLIENT),
    _var("RELAYCLIENTS", TEXT, "relayclients", "its name for this client", _RELAYLISTS, _CLIENT),
    _file("relaydomains", RULES, None,
          "name:suffix of clients that may relay, by their name in DNS; @domain: to whom all may send",
          _RELAYLISTS, _CLIENT),
    _file("relaymailfrom", RULES, None,
          "senders that may relay, whoever claims to be one; relaymailfrom.cdb is asked first",
          _RELAYLISTS, _CLIENT),
    _file("tlsclients", RULES, None,
          "mail addresses of client certificates that let a client relay; there, all are asked for one",
          _RELAYLISTS, _CLIENT),
    _var("CHECKRELAY", CHECK_RELAY, None,
         "set: may relay after a login by POP3 or IMAP of the sender from there; ip: of anybody",
         "serve/logins.py", _CLIENT),
    _var("RELAY_CLEAR_MINUTES", number(0, 525_600, "minutes"), "60", "for so long after the login",
         "serve/logins.py", _CLIENT, unit="minutes"),
    _var("NORELAY", SWITCH, None, "logins by POP3 and IMAP are not kept for that",
         "serve/logins.py", _CLIENT),
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
    _var("DISABLE_DSN", SWITCH, None,
         "DSN (RFC 3461) is not offered, and its parameters are refused", _SESSION, _CLIENT),
    _var("SMTPUTF8", SWITCH, None, "addresses in UTF-8 (RFC 6531) are offered",
         _SESSION, _CLIENT),
    _var("STARTTLS", ON_OFF, None,
         "STARTTLS is offered, where there is a certificate; on for the listener role submission,"
         " unless 0",
         _SESSION, _CLIENT),
    _var("SMTPS", SWITCH, None,
         "TLS from the first octet; always on for the listener role submissions",
         _SMTPD, _CLIENT),
    _var("FORCE_TLS", SWITCH, None, "MAIL is refused before TLS", "policy/sender.py", _CLIENT),
)  # fmt: skip

_DISABLED: Final = {
    "AUTH_LOGIN": "LOGIN", "AUTH_PLAIN": "PLAIN", "AUTH_OAUTH2": "XOAUTH2 and OAUTHBEARER",
    "CRAM_MD5": "CRAM-MD5", "CRAM_SHA1": "CRAM-SHA1", "CRAM_SHA224": "CRAM-SHA224",
    "CRAM_SHA256": "CRAM-SHA256", "CRAM_SHA384": "CRAM-SHA384", "CRAM_SHA512": "CRAM-SHA512",
    "SCRAM_SHA1": "SCRAM-SHA-1", "SCRAM_SHA1_PLUS": "SCRAM-SHA-1-PLUS",
    "SCRAM_SHA256": "SCRAM-SHA-256", "SCRAM_SHA256_PLUS": "SCRAM-SHA-256-PLUS",
}  # fmt: skip

LOGIN: Final = (
    _var("AUTH", ON_OFF, None,
         "AUTH is offered; always on for the listener roles submission and submissions",
         _SESSION, _CLIENT),
    _var("REQUIREAUTH", ON_OFF, None,
         "MAIL needs AUTH; on for the listener roles submission and submissions, unless 0",
         _SENDER, _CLIENT),
    _var("AUTH_ALL", SWITCH, None,
         "every recipient needs a permission, also in domains of ours", _RELAY, _CLIENT),
    _file("authdomains", RULES, None,
          "senders (user@host, @host, patterns) for whom that holds; also as authdomains.cdb",
          _RELAY, _CLIENT),
    _var("SECURE_AUTH", ON_OFF, "1",
         "mechanisms that show the password or token are for TLS alone", _AUTH, _CLIENT),
    _var("OLD_CLIENT", SWITCH, None, "AUTH= is offered as well", "smtp/extension.py", _CLIENT),
    *(
        _var(f"DISABLE_{name}", SWITCH, None, f"without {mechanism}", _AUTH, _CLIENT)
        for name, mechanism in _DISABLED.items()
    ),
    _var("ENABLE_CRAM", SWITCH, None,
         "what pw_passwd holds is a CRAM secret too: who has the hash can log in", _VERIFYING,
         _CLIENT),
    _var("AUTHMODULES", WORDS, "vchkpass",
         "who is asked for passwords, in this order: vchkpass (our accounts) and programs",
         "serve/checkpassword.py", _CLIENT),
    _var("OAUTHMODULES", WORDS, None,
         "programs that know tokens; XOAUTH2 and OAUTHBEARER are offered where there are some",
         "serve/checkpassword.py", _CLIENT),
    _var("STRIP_DOMAIN", SWITCH, None, "those programs get the name without its domain",
         "serve/checkpassword.py", _CLIENT),
    _var("POSTAUTH", TEXT, None,
         "program that has the last word about a login: 0 in, 3 without relaying, 111 later, else not",
         "serve/checkpassword.py", _CLIENT),
    _var("DEFAULT_DOMAIN", HOST, None, "domain of a login without one", "serve/login.py", _CLIENT),
    _var("DOMAIN_LIMITS", SWITCH, None,
         "limits of domains (.domain_limits) close services too", _VERIFYING, _CLIENT),
    _var("AUTH_FAILURES_PERIP", COUNT, None,
         "after so many wrong passwords of a client in 15 minutes its logins get 454 (0: never);"
         " not set: 20, and never for loopback", _LIMITS, _CLIENT),
    _var("AUTH_FAILURES_PERUSER", COUNT, "100",
         "the same for a user, but for clients that the user logged in from (0: never)",
         _LIMITS, _CLIENT),
    _var("CHECKSENDER", SWITCH, None,
         "senders of ours must be there, and be who is logged in or what MASQUERADE says",
         _SENDER, _CLIENT),
    _var("ANTISPOOFING", SWITCH, None, "older name of CHECKSENDER", _SENDER, _CLIENT),
    _var("MASQUERADE", TEXT, None,
         "CHECKSENDER: set empty, a user may send as anybody of ours; else as this address too",
         _SENDER, _CLIENT),
    _file("chksenderdomains", RULES, None,
          "senders with CHECKSENDER (as authdomains); all, if absent", _SENDER, _CLIENT),
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
    _file("concurrencyremote", number(0, 10_000), "500",
          "remote deliveries at once in a queue (one is a turn of a connection, not a process);"
          " 0 = hold", _SEND, _QUEUE),
    _var("FILE_SYNC", SYNC_MODE, "auto",
         "how copies are made durable: each file, the whole filesystem at once, or auto by number",
         "durable/batch.py", _DELIVERY),
    _file("holdlocal", COUNT, "0", "not 0: local deliveries wait", _SEND, _QUEUE),
    _file("holdremote", COUNT, "0", "not 0: remote deliveries wait", _SEND, _QUEUE),
    _file("queuelifetime", SECONDS, str(WEEK),
          "after this age the next temporary failure is a permanent one", _SEND, _QUEUE,
          unit="seconds"),
    _file("bouncelifetime", SECONDS, str(WEEK),
          "the same for mail with a null sender; never above queuelifetime", _SEND, _QUEUE,
          unit="seconds"),
)  # fmt: skip

REMOTE: Final = (
    _toml("dns.servers", SERVERS, None,
          "recursive name servers; default: those of /etc/resolv.conf", "net/dns.py"),
    _toml("remote.per_host", number(1, 10_000), "20",
          "connections at once to one host, and for one domain or relay, of all workers together",
          _PEERS),
    _file("timeoutconnect", number(1, 86_400, "seconds"), "60",
          "longest wait for a connection to another host", _REMOTE, _DELIVERY, unit="seconds"),
    _file("timeoutremote", number(1, 86_400, "seconds"), "1200",
          "longest silence of another host; no longer than RFC 5321 4.5.3.2 has it", _REMOTE_PEER,
          _DELIVERY, unit="seconds"),
    _file("smtproutes", SECRETS, None, "relays by domain: domain:relay:port user password",
          _ROUTES, _DELIVERY),
    _var("SMTPROUTESFILE", TEXT, "smtproutes", "its name", _ROUTES, _DELIVERY),
    _file("moresmtproutes", SECRETS, None,
          "more of them; also moresmtproutes.cdb, smtproutes.cdb", _ROUTES, _DELIVERY),
    _var("MORESMTPROUTESCDB", TEXT, "moresmtproutes.cdb", "name of its data base",
         _ROUTES, _DELIVERY),
    _var("SMTPROUTE", SECRET, None, "a line of smtproutes in place of the files",
         _ROUTES, _DELIVERY),
    _file("remote_auth", SECRETS, None, "credentials for relays; also remote_auth.cdb",
          "schedule/logins.py", _DELIVERY),
    _var("AUTH_SMTP", TEXT, None, "mechanism for those credentials", _REMOTE, _DELIVERY),
    _var("TRY_NEXT_MX_HELO_FAIL", SWITCH, None, "a 4xx answer to EHLO leads to the next host",
         "smtp/client_hello.py", _DELIVERY),
    _file("notlshosts", HOSTS, None, "hosts with which there is no TLS", "serve/peertls.py",
          _DELIVERY),
    _var("MIN_PENALTY", SECONDS, "3600", "how long a silent host is left alone, at least; 0: never",
         _DEAD, _DELIVERY, unit="seconds"),
    _var("MAX_TOLERANCE", SECONDS, "120", "what fails again within it is one failure",
         _DEAD, _DELIVERY, unit="seconds"),
    _file("outgoingip", RULES, None, "our addresses towards others; also outgoingip.DOMAIN",
          _OUTGOING, _DELIVERY),
    _var("OUTGOINGIP", TEXT, None, "the address that comes before these", _OUTGOING, _DELIVERY),
    _file("domainbindings", RULES, None, "our address by sender", _OUTGOING, _DELIVERY),
    _file("bindroutes", RULES, None, "our address by the remote one", _OUTGOING, _DELIVERY),
    _file("helohost", HOST, ME, "our name in EHLO", _OUTGOING, _DELIVERY),
    _file("helohostbyip", RULES, None, "our name by our address", _OUTGOING, _DELIVERY),
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
    _file("delaywarn", SECONDS, "14400",
          "after so long a sender who asked for it (NOTIFY=DELAY) is told, once, that a mail waits;"
          " 0 = never", _BOUNCE, _QUEUE, unit="seconds"),
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

SIGNING: Final = (
    _named("srs_domain", "SRS_DOMAIN", HOST, None,
          "domain that senders of forwards to other hosts are rewritten to; not set: they stay",
          _SRS),
    _named("srs_secrets", "SRS_SECRETS", SECRETS, None,
          "keys of rewritten senders, one a line: the first signs, all verify", _SRS),
    _named("srs_maxage", "SRS_MAXAGE", number(0, 1_000, "days"), "7",
          "days that mail for a rewritten sender is taken", _SRS, unit="days"),
    _named("srs_hashlength", "SRS_HASHLENGTH", number(4, LONGEST_HASH, "characters"), "4",
          "length of the hash in a rewritten sender", _SRS, unit="characters"),
    _named("srs_hashmin", "SRS_HASHMIN", number(4, LONGEST_HASH, "characters"), "4",
          "shortest hash that is taken", _SRS, unit="characters"),
    _named("srs_alwaysrewrite", "SRS_ALWAYSREWRITE", COUNT, "0",
          "not 0: senders of domains of ours too, and forwards to addresses here",
          "serve/rewriting.py"),
    _named("srs_separator", "SRS_SEPARATOR", SEPARATOR, SEPARATORS[0],
          "what stands behind SRS0: = + or -", _SRS),
    _named("batvkey", "BATVKEY", SECRET, None,
          "key that signs our senders; bounces must bring the signature; not set: BATV is off",
          _BATV),
    _both("batvkeystale", "BATVKEYSTALE", number(0, 999, "days"), "7",
          "days that a signature counts", _BATV, _QUEUE, unit="days"),
    _named("batvnosignlocals", "BATVNOSIGNLOCALS", RULES, None,
          "domains of ours whose senders are not signed", _BATV),
    _named("batvnosignremote", "BATVNOSIGNREMOTE", RULES, None,
          "domains of others to which nothing is signed", _BATV),
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
    _var("CLIENTCA", TEXT, "clientca.pem", "who vouches for client certificates; in certs/",
         "net/clientcerts.py", _PROCESS),
    _var("CLIENTCRL", TEXT, "clientcrl.pem", "which of them are withdrawn; in certs/",
         "net/clientcerts.py", _PROCESS),
    _toml("relay.accept_open", TEXTS, None,
          "rules that let everybody relay and are meant to, each as `indimail relaycheck` prints it",
          "app/relaycheck.py"),
    _toml("database.url", DATABASE, "",
          "accounts: sqlite:, mysql: or postgresql: URL; default: SQLite in db/", "accounts/sql.py"),
)  # fmt: skip

SETTINGS: Final = (
    *NAMES, *RECEPTION, *LOGIN, *QUEUE, *REMOTE, *PROGRAM, *BOUNCE, *QUOTAS, *SIGNING, *LOCATIONS,
    *WAITING,
)  # fmt: skip
BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
VARIABLES: Final = {setting.variable: setting for setting in SETTINGS if setting.variable}
CONTROLS: Final = {setting.control: setting for setting in SETTINGS if setting.control}
