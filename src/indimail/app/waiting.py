"""The settings of IndiMail that are known and shown, and have no effect yet.

    WAITING[0].waits_for       -> 'the other five relay methods'

A file or variable of these that is there is told to the operator as a notice.

Sources: spec/smtp.md 14, 15; spec/queue.md 1.8, 1.9; spec/delivery.md 0.
Not here: what works (`app.settings`).
"""

from collections.abc import Iterator
from typing import Final

from indimail.app.resolve import (
    COUNT,
    HOST,
    OCTETS,
    RULES,
    SECONDS,
    SECRET,
    SWITCH,
    TEXT,
    Scope,
    Setting,
    number,
    signed,
)

# What the rows wait for: features that are not there yet.
ARRIVAL = "early-talker test and tarpit"
AUTH = "the rest of SMTP AUTH"
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
SPF = "SPF"
SYNC = "switching syncs off"
TLS = "TLS details"

_CLIENT, _QUEUE, _DELIVERY, _PROCESS = Scope.CLIENT, Scope.QUEUE, Scope.DELIVERY, Scope.PROCESS


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
    "host": HOST, "secret": SECRET,
    "wait": signed(-86_400, 86_400, "seconds"),
    "days": number(0, 36_500, "days"),
}  # fmt: skip
_UNITS: Final = {"secs": "seconds", "octets": "octets", "wait": "seconds", "days": "days"}

WAITING: Final = (
    *_off(AUTH, """
-                   DISABLE_CRAM_RIPEMD set    -     without CRAM-RIPEMD
-                   DISABLE_DIGEST_MD5  set    -     without DIGEST-MD5
-                   QUERY_CACHE         set    -     cache of account look-ups
-                   PASSWD_CACHE        set    -     cache of passwords
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
