"""The table of commands: each one's module, what it is for, one use.

    COMMANDS["vadduser"].module      -> 'vadduser', of indimail.cli

Not here: running them (`cli.main`).
"""

import os
from typing import Final, NamedTuple


class CommandRow(NamedTuple):
    """A command: its module below `indimail.cli`, a line of help, one use, if it has a script.

    `misused` is its exit code for wrong use; with `hides` its arguments, which may hold a password,
    leave the process list.  No dataclass: their import is a fifth of the time
    that a program of a .qmail file takes.
    """

    module: str
    help: str
    example: str
    is_script: bool = False
    misused: int = os.EX_USAGE
    hides: bool = False


def _program(module: str, help_: str, example: str) -> CommandRow:
    """Return the row of a program that speaks qmail's exit codes.

    An example that begins with ``|`` is a line of a .qmail file.
    """
    return CommandRow(module, help_, example, is_script=True, misused=100)


COMMANDS: Final[dict[str, CommandRow]] = {
    "init": CommandRow(
        "init", "make an instance, or complete one",
        "indimail init --me mx.example.com --postmaster alice@example.com",
    ),
    "serve": CommandRow(
        "serve", "run the server",
        "indimail serve --root ./var/demo --listen smtp=127.0.0.1:2525",
    ),
    "config": CommandRow(
        "config", "list every setting: value, default, source, meaning",
        "indimail config databytes CHECKRECIPIENT --listener submission",
    ),
    "check-config": CommandRow(
        "check_config", "tell every mistake in the configuration",
        "indimail check-config --root ./var/demo",
    ),
    "doctor": CommandRow(
        "doctor", "tell what is wrong with an instance, and mend what is safe",
        "indimail doctor --fix --dry-run",
    ),
    "backup": CommandRow(
        "backup", "copy a running instance",
        "indimail backup --mail /srv/backup/monday",
    ),
    "restore": CommandRow(
        "restore", "make an instance of a backup",
        "indimail restore /srv/backup/monday --root /srv/restored", hides=True,
    ),
    "explain": CommandRow(
        "explain", "tell what happened to a mail, and why",
        "indimail explain --to alice@example.com --since 1h",
    ),
    "deliver": CommandRow(
        "deliver", "tell what a delivery would do with a mail",
        "indimail deliver --dry-run alice@example.com <mail",
    ),
    "domain": CommandRow(
        "domain", "make, change, list, show and remove virtual domains",
        "indimail domain add example.com", hides=True,
    ),
    "user": CommandRow(
        "user", "make, change, list, show and remove users",
        "indimail user add --quota 50M alice@example.com", hides=True,
    ),
    "alias": CommandRow(
        "alias", "add, remove and list alias lines",
        "indimail alias add sales@example.com '&alice@example.com'",
    ),
    "relaycheck": CommandRow(
        "relaycheck", "prove that the relay is closed, or name what opens it",
        "indimail relaycheck --json",
    ),
    "relay": CommandRow(
        "relay", "list, add and expire the logins that let a client relay",
        "indimail relay add alice@example.com 192.0.2.7",
    ),
    "completion": CommandRow(
        "completion", "print the script that lets a shell complete commands and names",
        "indimail completion bash",
    ),
    "vadddomain": CommandRow(
        "vadddomain", "make a virtual domain",
        "vadddomain -E postmaster@example.com example.com", is_script=True, hides=True,
    ),
    "vadduser": CommandRow(
        "vadduser", "make a user",
        "vadduser -q 50M alice@example.com", is_script=True, hides=True,
    ),
    "vpasswd": CommandRow(
        "vpasswd", "change a user's password",
        "vpasswd alice@example.com", is_script=True, hides=True,
    ),
    "vuserinfo": CommandRow(
        "vuserinfo", "show a user",
        "vuserinfo -n -q alice@example.com", is_script=True,
    ),
    "vmoduser": CommandRow(
        "vmoduser", "change a user",
        "vmoduser -q 50M -p alice@example.com", is_script=True, hides=True,
    ),
    "vsetuserquota": CommandRow(
        "vsetuserquota", "set a user's quota",
        "vsetuserquota alice@example.com 50M,1000", is_script=True,
    ),
    "vmoddomain": CommandRow(
        "vmoddomain", "change a virtual domain",
        "vmoddomain -h delete example.com", is_script=True,
    ),
    "valias": CommandRow(
        "valias", "show and change aliases",
        "valias -i '&postmaster@example.com' sales@example.com", is_script=True,
    ),
    "vdeldomain": CommandRow(
        "vdeldomain", "remove a virtual domain with its users and mail",
        "vdeldomain --dry-run example.com", is_script=True,
    ),
    "vaddaliasdomain": CommandRow(
        "vaddaliasdomain", "let a domain stand for another",
        "vaddaliasdomain example.net example.com", is_script=True,
    ),
    "vrenamedomain": CommandRow(
        "vrenamedomain", "give a domain another name",
        "vrenamedomain example.com example.net", is_script=True,
    ),
    "vdominfo": CommandRow(
        "vdominfo", "show a domain",
        "vdominfo example.com", is_script=True,
    ),
    "vdeluser": CommandRow(
        "vdeluser", "remove a user with its mail",
        "vdeluser --dry-run alice@example.com", is_script=True,
    ),
    "vrenameuser": CommandRow(
        "vrenameuser", "give a user another name",
        "vrenameuser alice@example.com zoe@example.com", is_script=True,
    ),
    "vmoveuserdir": CommandRow(
        "vmoveuserdir", "move a user's home",
        "vmoveuserdir alice@example.com /srv/mail/alice", is_script=True,
    ),
    "vgroup": CommandRow(
        "vgroup", "make and change a distribution list",
        "vgroup -i '&alice@example.com' sales@example.com", is_script=True, hides=True,
    ),
    "vcalias": CommandRow(
        "vcalias", "make alias lines of a domain's .qmail files",
        "vcalias --dry-run example.com", is_script=True,
    ),
    "vcaliasrev": CommandRow(
        "vcaliasrev", "make .qmail files of a domain's alias lines",
        "vcaliasrev --dry-run example.com", is_script=True,
    ),
    "vbulletin": CommandRow(
        "vbulletin", "post a mail to all users of a domain",
        "vbulletin -n -f /root/news.eml example.com", is_script=True,
    ),
    "vdeloldusers": CommandRow(
        "vdeloldusers", "find, close or remove accounts that are not used",
        "vdeloldusers -r -a 90 -d example.com", is_script=True,
    ),
    "resetquota": CommandRow(
        "resetquota", "count a Maildir anew",
        "resetquota -q 50M /var/indimail/mail/A2E/example.com/alice", is_script=True,
    ),
    "printdir": CommandRow(
        "printdir", "show how homes are spread over directories",
        "printdir example.com", is_script=True,
    ),
    "vfstab": CommandRow(
        "vfstab", "show and set file systems where homes may lie",
        "vfstab -i /mail/a -q 1000G", is_script=True,
    ),
    "vpurge": CommandRow(
        "vpurge", "make room of what users have thrown away",
        "vpurge --dry-run example.com 30 100", is_script=True,
    ),
    "vreorg": CommandRow(
        "vreorg", "bring homes to the places of the layout",
        "vreorg -r -d example.com", is_script=True,
    ),
    "vlimit": CommandRow(
        "vlimit", "show and set the limits of a domain or a user",
        "vlimit -P 50 -q 100M example.com", is_script=True,
    ),
    "tcprules": _program(
        "tcprules", "compile rules of tcp.smtp",
        "printf '127.:allow\\n' | tcprules rules.cdb rules.tmp",
    ),
    "qmail-cdb": CommandRow(
        "qmail_cdb", "compile a control file", "qmail-cdb rcpthosts", is_script=True,
    ),
    "qmailctl": CommandRow(
        "qmailctl", "compile tcp.smtp, or ask the server: reload, flush, queue, stat, stop",
        "qmailctl cdb", is_script=True,
    ),
    "clearopensmtp": CommandRow(
        "clearopensmtp", "remove the logins that let nobody relay any more",
        "clearopensmtp -v", is_script=True,
    ),
    "vipmap": CommandRow(
        "vipmap", "show and set the default domain of local addresses",
        "vipmap -i 192.0.2.1 example.com", is_script=True,
    ),
    "import": CommandRow(
        "import_", "take over domains, users and mail of another system",
        "indimail import vpopmail --from /home/vpopmail --dry-run",
    ),
    "sendmail": CommandRow(
        "sendmail", "put a mail into the queue",
        "printf 'To: alice@example.com\\n\\nHello\\n' | sendmail -t", is_script=True,
    ),
    "rmail": CommandRow(
        "rmail", "put a mail that came by UUCP into the queue",
        "rmail alice@example.com <message", is_script=True,
    ),
    "qmail-inject": _program(
        "qmail_inject", "complete a mail and put it into the queue",
        "printf 'To: alice@example.com\\n\\nHello\\n' | qmail-inject",
    ),
    "qmail-queue": _program(
        "qmail_queue", "put a mail and its envelope into the queue",
        "qmail-queue <message 1<envelope; echo $?",
    ),
    "forward": _program(
        "forward", "send the mail on, from a .qmail file",
        "|forward bob@example.net",
    ),
    "condredirect": _program(
        "condredirect", "send the mail on, if a program says so",
        "|condredirect bob@example.net grep -q urgent",
    ),
    "condtomaildir": _program(
        "condtomaildir", "store the mail, if a program says so",
        "|condtomaildir ./Maildir/.Spam/ grep -q spam",
    ),
    "maildirdeliver": _program(
        "maildirdeliver", "store the mail in a Maildir",
        "|maildirdeliver ./Maildir/",
    ),
    "filterto": _program(
        "filterto", "send on what a program makes of the mail",
        "|filterto bob@example.net ./shorten",
    ),
    "replier": _program(
        "replier", "answer with what a program makes of the mail, from a .qmail file",
        '|replier ./robot "$SENDER" ./answer',
    ),
    "fastforward": _program(
        "fastforward", "send the mail on as a data base says, from a .qmail file",
        "|fastforward -p ./aliases.cdb",
    ),
    "dot-forward": _program(
        "dot_forward", "send the mail on as a .forward file says, from a .qmail file",
        "|dot-forward .forward",
    ),
    "rrforward": _program(
        "rrforward", "send the mail on to one address after the other, from a .qmail file",
        "|rrforward .qmailrr-sales bob@example.net carol@example.net",
    ),
    "autoresponder": CommandRow(
        "autoresponder", "answer the mail, from a .qmail file",
        "|autoresponder -q ./.vacation.msg ./.vacation.dir", is_script=True, misused=111,
    ),
    "vacation": _program(
        "vacation", "answer the mail with .vacation.msg, from a .qmail file, or set that up",
        "vacation alice@example.com away.txt",
    ),
    "qreceipt": _program(
        "qreceipt", "tell a sender who asks that the mail was delivered, from a .qmail file",
        "|qreceipt alice@example.com",
    ),
    "qnotify": _program(
        "qnotify", "send a disposition notification to a sender who asks, from a .qmail file",
        "|qnotify -h",
    ),
    "bouncesaying": _program(
        "bouncesaying", "bounce the mail with a text",
        "|bouncesaying 'This address is closed.'",
    ),
    "except": _program(
        "except_", "bounce the mail, if a program says so",
        "|except grep -q '^X-Spam: yes'",
    ),
    "tcprulescheck": _program(
        "tcprulescheck", "tell which rule decides about a client, and what it gives",
        "tcprulescheck /var/indimail/tcp/tcp.smtp 192.0.2.1",
    ),
    "ifaddr": _program(
        "ifaddr", "tell whether fields of the mail name an address",
        "ifaddr from : @example.com <mail; echo $?",
    ),
    "iftocc": _program(
        "iftocc", "tell whether To or Cc names the recipient, or an address",
        "iftocc alice@example.com <mail; echo $?",
    ),
    "iftoccfrom": _program(
        "iftoccfrom", "tell whether To, Cc or From names the recipient, or an address",
        "iftoccfrom alice@example.com bob@example.net <mail; echo $?",
    ),
    "preline": _program(
        "preline", "give a program the mail with its envelope in front",
        "|preline procmail -d alice",
    ),
    "qmail-qread": CommandRow(
        "qmail_qread", "list the mails in the queues", "qmail-qread -c --root ./var/demo",
        is_script=True,
    ),
    "qmail-qstat": CommandRow(
        "qmail_qstat", "count the mails in the queues", "qmail-qstat --root ./var/demo",
        is_script=True,
    ),
    "qmail-tcpto": CommandRow(
        "qmail_tcpto", "list the other hosts that did not answer",
        "qmail-tcpto --root ./var/demo", is_script=True,
    ),
    "qmail-tcpok": CommandRow(
        "qmail_tcpok", "forget which other hosts did not answer",
        "qmail-tcpok --root ./var/demo", is_script=True,
    ),
}  # fmt: skip
