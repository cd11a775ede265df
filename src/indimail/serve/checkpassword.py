r"""Programs that know passwords: a chain in the manner of checkpassword.

    ask_modules(("/usr/lib/sys-checkpwd", "/usr/lib/other"), attempt)      -> LoggedIn or Denied
    ask_postauth("/usr/lib/after", attempt, LoggedIn("ana@example.com"))    -> LoggedIn or Denied

The first module is started with the others as its arguments and ``/bin/false`` behind them; one that
does not know the user executes the next.  Descriptor 3 has (at most 512 octets, but for a token)

    user \0 password-or-challenge \0 response \0 method \0

| exit  | means                                                                                    |
|-------|------------------------------------------------------------------------------------------|
| 0     | that is the user                                                                         |
| 3     | that is the user, who may not relay                                                      |
| 111   | temporary trouble; so is a signal, a time-out, a program that cannot be started          |
| other | it is not                                                                                |

The method is an octet: 1 LOGIN, 2 PLAIN, 3 CRAM-MD5, 4 CRAM-SHA1, 5 CRAM-SHA224, 6 CRAM-SHA256,
7 CRAM-SHA384, 8 CRAM-SHA512, 20 XOAUTH2, 21 OAUTHBEARER.  A token stands where a password would.
The environment is PATH, and TCPREMOTEIP of the client; there is nothing on descriptor 0, and what the
program prints is thrown away.  It has `SECONDS` for itself and `CPU` of the processor.

POSTAUTH is a program that is started with the user as its argument once everything else let him in; its
exit code means the same, and what refuses there is no wrong password.

Sources: spec/smtp.md 3.4, spec/cluster-users.md 3.1; https://cr.yp.to/checkpwd/interface.html.
Not here: when it is asked (`serve.verifying`).
"""

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import replace
from typing import Final

from indimail.mail.verdict import Rule
from indimail.serve.login import Attempt, Denied, LoggedIn, Outcome, Why
from indimail.wire.sasl_server import CramAnswer, Password, Token

MOST: Final = 512  # octets on descriptor 3
MOST_TOKEN: Final = 12_288  # an AUTH line has no more
SECONDS: Final = 30.0
CPU: Final = 10  # seconds
LAST: Final = "/bin/false"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
METHODS: Final = {
    "LOGIN": 1, "PLAIN": 2, "CRAM-MD5": 3, "CRAM-SHA1": 4, "CRAM-SHA224": 5, "CRAM-SHA256": 6,
    "CRAM-SHA384": 7, "CRAM-SHA512": 8, "XOAUTH2": 20, "OAUTHBEARER": 21,
}  # fmt: skip
# sh moves its input to descriptor 3 and limits itself, then is the program.
_START: Final = f'ulimit -t {CPU}; ulimit -c 0; exec 3<&0 </dev/null; exec "$@"'


def ask_modules(modules: tuple[str, ...], attempt: Attempt, patience: float = SECONDS) -> Outcome:
    """Ask the programs; waits for them, so it is called on a thread."""
    rule = Rule("AUTHMODULES", key=modules[0] if modules else "")
    said = _said(attempt)
    most = MOST_TOKEN if isinstance(attempt.credentials, Token) else MOST
    if not modules or said is None or len(said) > most:
        return Denied(Why.WRONG, Why.WRONG.value, rule)
    code = _run([*modules, LAST], said, attempt.client_ip, patience)
    if code in (0, 3):
        return LoggedIn(attempt.credentials.user, relays=code == 0, rule=rule)
    return _trouble(modules[0], code, patience, rule) or Denied(Why.WRONG, Why.WRONG.value, rule)


def ask_postauth(
    program: str, attempt: Attempt, who: LoggedIn, patience: float = SECONDS
) -> Outcome:
    """Ask the program that has the last word."""
    rule = Rule("POSTAUTH", key=program)
    code = _run([program, who.user], b"", attempt.client_ip, patience)
    match code:
        case 0:
            return who
        case 3:
            return replace(who, relays=False, rule=rule)
        case _:
            refused = Denied(Why.CLOSED, "this login is refused", rule)
            return _trouble(program, code, patience, rule) or refused


def _trouble(program: str, code: int | None, patience: float, rule: Rule) -> Denied | None:
    """Return what keeps a program from an answer; None: it gave one."""
    if code is None:
        return Denied(Why.LATER, f"{program} did not end within {patience:.0f} s", rule)
    if code == 111 or code < 0 or code > 125:
        return Denied(Why.LATER, f"{program}: exit {code}", rule)
    return None


def _said(attempt: Attempt) -> bytes | None:
    """Return what the programs read; None for what they have no form for."""
    match attempt.credentials:
        case Password(_, password):
            parts = [password.reveal(), ""]
        case CramAnswer(_, challenge, response, _):
            parts = [challenge.decode(), response]
        case Token(_, token):
            parts = [token.reveal(), ""]
        case _:
            return None
    if any("\0" in part for part in parts):
        return None
    user = attempt.credentials.user
    if attempt.settings.strip_domain:
        user = user.rpartition("@")[0] or user
    octets = [part.encode("utf-8", "surrogateescape") for part in [user, *parts]]
    return b"\0".join([*octets, bytes([METHODS[attempt.mechanism]]), b""])


def _run(command: list[str], said: bytes, client_ip: str, patience: float) -> int | None:
    """Return the exit code, below 0 for a signal; None: it took too long and was killed."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", _START, "auth", *command],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={"PATH": PATH, "TCPREMOTEIP": client_ip}, start_new_session=True,
    )  # fmt: skip
    try:
        process.communicate(said, patience)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # of a session of its own, with its children
        process.communicate()
        return None
    return process.returncode
