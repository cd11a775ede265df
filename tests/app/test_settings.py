from collections import Counter

import pytest

from indimail.app.resolve import Scope, default, shown
from indimail.app.settings import BY_NAME, CONTROLS, SETTINGS, VARIABLES
from indimail.app.settings_table import settings_table_markdown
from indimail.control.toml import SECTIONS


def words(text):
    return text.split()


# What issue "the spine" asks for: these have an effect.
WORKS = words("""
me smtpgreeting localiphost moreipme locals virtualdomains percenthack envnoathost rcpthosts
morercpthosts databytes maxrecipients maxhops maxcmdlen timeoutsmtpd concurrencylocal holdlocal
queuelifetime bouncelifetime RELAYCLIENT CHECKRECIPIENT MAX_RCPT_ERRCOUNT PENALTY MAXPERIP
ALLOW_BARELF HIDE_HOST DISABLE_EXTRA_GREET DISABLE_HELP DISABLE_VRFY DISABLE_DSN SMTPUTF8 STARTTLS SMTPS
FORCE_TLS QUEUE_BASE QUEUE_START QUEUE_COUNT QUEUEDIR MIN_FREE DATABYTES MAXRECIPIENTS
SYSCONFDIR CONTROLDIR ASSIGNDIR CERTDIR DOMAINDIR BASE_PATH
blackholedsender blackholedpatterns OVERQUOTA_CMD OVERQUOTA_MAILSIZE HOLDOVERQUOTA FAST_QUOTA
MAILDIRSIZE_MAX_AGE MAILDIRSIZE_MAX_SIZE INCLUDE_TRASH MAILCOUNT_LIMIT MAILSIZE_LIMIT QUOTAWARN1
QUOTAWARN10 ALLOW_INACTIVE NOALIAS ELIMINATE_DUPS ELIMINATE_DUPS_INT
holdremote concurrencyremote timeoutconnect timeoutremote dns.servers remote.per_host notlshosts
smtproutes SMTPROUTESFILE moresmtproutes MORESMTPROUTESCDB SMTPROUTE remote_auth AUTH_SMTP MIN_PENALTY
MAX_TOLERANCE outgoingip OUTGOINGIP domainbindings bindroutes helohost helohostbyip
TRY_NEXT_MX_HELO_FAIL
relayclients RELAYCLIENTS relaydomains relaymailfrom CHECKRELAY RELAY_CLEAR_MINUTES NORELAY
AUTH REQUIREAUTH AUTH_ALL authdomains SECURE_AUTH OLD_CLIENT ENABLE_CRAM DOMAIN_LIMITS AUTHMODULES
DISABLE_AUTH_LOGIN DISABLE_AUTH_PLAIN DISABLE_AUTH_OAUTH2 DISABLE_CRAM_MD5 DISABLE_CRAM_SHA1
DISABLE_CRAM_SHA224 DISABLE_CRAM_SHA256 DISABLE_CRAM_SHA384 DISABLE_CRAM_SHA512 DISABLE_SCRAM_SHA1
DISABLE_SCRAM_SHA1_PLUS DISABLE_SCRAM_SHA256 DISABLE_SCRAM_SHA256_PLUS CHECKSENDER ANTISPOOFING
MASQUERADE DEFAULT_DOMAIN chksenderdomains POSTAUTH STRIP_DOMAIN
relay.accept_open tlsclients CLIENTCA CLIENTCRL
srs_domain srs_secrets srs_maxage srs_hashlength srs_hashmin srs_alwaysrewrite srs_separator
batvkey batvkeystale batvnosignlocals batvnosignremote SRS_DOMAIN BATVKEY BATVKEYSTALE
""")

# The rest of spec/smtp.md 14, 15 and spec/queue.md 1.4, 1.6, 1.8: known, and said to wait.
WAITS = words("""
recipients chkrcptdomains
badmailfrom badmailpatterns badrcptto badrcptpatterns goodrcptto goodrcptpatterns
BLACKHOLEDSENDER blackholedrcpt badhelo badip badhost accesslist hostaccess nodnscheck spamignore
from.envrules auth.envrules rcpt.envrules fromd.envrules domainqueue tarpitcount tarpitdelay
greetdelay earlytalkerdroptime timeoutread timeoutwrite qregex signatures bodycheck badext
badextpatterns spfbehavior spfrules spfguess spfexp spfipv6 dnsbllist greylist.white etrnhosts atrnaccess
signaturedomains nosignaturedomains dkimkeys domainkeys servercipherlist serverciphersuite
tlsservermethod surbldomain surbldomainwhite surblrcpt level2-tlds level3-tlds libindimail
host.mysql mcdinfo extraqueue quarantine mailarchive removeheaders envheaders logheaders
originipfield todointerval conf-fsync conf-fdatasync
conf-syncdir
CUGMAIL
DISABLE_CRAM_RIPEMD DISABLE_DIGEST_MD5
QUERY_CACHE PASSWD_CACHE
BADMAILFROM DOMAINQUEUE FROMRULES AUTHRULES
BADHELOCHECK BADIPCHECK BADHOSTCHECK ENFORCE_FQDN_HELO REQPTR NODNSCHECK TCPPARANOID OPENRELAY
SHUTDOWN PARANOID DOMAIN_MASQUERADE DATABYTES_NOTIFY TARPITCOUNT TARPITDELAY GREETDELAY QREGEX
USE_FNMATCH SPFBEHAVIOR SPFIPV6 GREYIP RBLSMTPD RBLGREETING RBLEHLO SKIPDNSBL
BOUNCEMAIL ODMR VIRUSCHECK SPAMFILTER SPAMEXITCODE REJECTSPAM QHPSI SCANCMD FILTERARGS DKIMVERIFY
DKIMSIGN QMAILQUEUE QUEUEPROG ERROR_FD LOGFILTER LOGFD PLUGINDIR SMTP_PLUGIN SMTP_PLUGIN_SYMB
DISABLE_PLUGIN SERVERCERT TLS_CIPHER_LIST TLS_CIPHER_SUITE SSL_BITS
CLIENT_RENEGOTIATION VIRTUAL_PKG_LIB INFIFO INFIFODIR USE_FSYNC USE_FDATASYNC USE_SYNCDIR
DYNAMIC_QUEUE QUEUE_MAX QUEUE_LOAD FASTQUEUE
""")


def row(name):
    return BY_NAME.get(name) or VARIABLES.get(name) or CONTROLS[name]


@pytest.mark.parametrize("name", WORKS)
def test_what_is_built_works_and_says_where_it_is_read(name):
    assert row(name).status == "works"
    assert row(name).reader.endswith(".py")


@pytest.mark.parametrize("name", WAITS)
def test_what_is_not_built_names_what_it_waits_for(name):
    assert row(name).status.startswith("not yet: ")


def test_no_name_stands_twice():
    for names in (
        [setting.name for setting in SETTINGS],
        [setting.control for setting in SETTINGS if setting.control],
        [setting.variable for setting in SETTINGS if setting.variable],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_default_is_a_value_of_its_kind_and_can_be_shown(setting):
    assert shown(setting, default(setting, "mx.example.com").value)
    assert setting.meaning[:1] + setting.meaning[-1:] != "" and setting.scope in Scope


def test_every_key_of_the_toml_is_a_setting():
    keys = {f"{section}.{key}" for section, names in SECTIONS.items() for key in names}
    assert keys == {setting.toml for setting in SETTINGS if setting.toml}


DEFAULTS = {
    "maxcmdlen": 2048, "MAXCOMMANDS": 1000, "MAXERRORS": 100, "maxrecipients": 1000,
    "MAXDAEMONS": 10_000, "timeoutsmtpd": 1200, "MAXSESSIONTIME": 7200, "databytes": 0,
    "maxhops": 100, "PENALTY": 5, "concurrencylocal": 200, "concurrencyremote": 500,
    "queuelifetime": 604_800, "bouncelifetime": 604_800, "MIN_FREE": 52_428_800, "QUEUE_START": 1,
    "QUEUE_COUNT": None, "MAXPERIP": None, "CHECKRECIPIENT": False, "RELAYCLIENT": None,
    "locals": ("mx",), "rcpthosts": (),
}  # fmt: skip


def test_the_defaults():
    found = {name: default(BY_NAME[name], "mx").value for name in DEFAULTS}
    assert found == DEFAULTS


def test_the_document_has_every_setting_once():
    table = settings_table_markdown()
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) == len(SETTINGS) + 2  # two heads
    for setting in SETTINGS:
        names = (setting.control, setting.variable, setting.toml)
        start = "| " + " | ".join(f"`{name}`" if name else "" for name in names) + " |"
        matching = [line for line in rows if line.startswith(start)]
        assert len(matching) == 1, setting.name
        assert setting.meaning in matching[0]
        assert (setting.waits_for or setting.reader) in matching[0]
    works, waits = table.split("Known, and without effect yet:")
    assert "`badip`" in waits
    assert "`badip`" not in works
