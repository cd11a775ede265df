"""Programs that log in before they send: each with every mechanism that it has."""

import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from interop.conftest import certify
from interop.mails import arrived, new_mail, on_the_wire
from interop.peer import Postfix
from live import ALICE, BOB, DOMAIN, HOST, PASSWORD, PATIENCE, Instance, Server, place
from support import needs, needs_perl, needs_root

pytestmark = pytest.mark.interop

CAROL = f"carol@{DOMAIN}"  # her clear text is stored: CRAM, and SCRAM of every kind


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[Server]:
    with place() as folder:
        made = Instance.make(f"{folder}/i")
        made.run("vadduser", "-C", CAROL, given=PASSWORD)
        certify(made, authority)
        with made.serve("submission=127.0.0.1:0", "submissions=127.0.0.1:0") as running:
            yield running


@pytest.fixture
def roots(authority: trustme.CA, tmp_path: Path) -> str:
    """A file with the authority that issued our certificate."""
    path = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def run(command: list[str], code: int = 0, given: bytes = b"") -> str:
    done = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == code, said
    return said


def port(server: Server, listener: str = "submission") -> str:
    return str(server.listeners[listener][1])


def came_from(server: Server, mail: bytes, user: str) -> None:
    """Make sure that a mail came, and that its Received line has who sent it."""
    front = arrived(server, mail)
    assert f"({user}@127.0.0.1)\n  by {HOST} with ESMTPSA (TLSv1.".encode() in front


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "CRAM-SHA1"])
def test_swaks(server: Server, tmp_path: Path, mechanism: str) -> None:
    needs_perl("Net::SSLeay")
    mail, path = new_mail(f"swaks {mechanism}"), tmp_path / "mail"
    path.write_bytes(mail.removesuffix(b"\n"))
    command = [needs("swaks"), "--server", "127.0.0.1", "--port", port(server), "-tls",
               "--auth", mechanism, "--auth-user", CAROL, "--from", CAROL, "--to", BOB,
               "--data", f"@{path}", "--auth-password"]  # fmt: skip
    assert "235 2.0.0 ok, go ahead" in run([*command, PASSWORD])
    came_from(server, mail, CAROL)
    assert "535 5.7.8 authorization failure" in run([*command, "wrong"], code=28)


@pytest.mark.parametrize(
    ("options", "scheme", "user"),
    [([], "smtp", CAROL), (["--login-options", "AUTH=PLAIN"], "smtp", ALICE),
     (["--login-options", "AUTH=LOGIN"], "smtps", ALICE)],
)  # fmt: skip
def test_curl(
    server: Server, tmp_path: Path, roots: str, options: list[str], scheme: str, user: str
) -> None:
    mail, path = new_mail("curl"), tmp_path / "mail"
    path.write_bytes(mail)
    listener = "submission" if scheme == "smtp" else "submissions"
    url = f"{scheme}://localhost:{port(server, listener)}/curl.example"
    command = [needs("curl"), "-sS", "--ssl-reqd", "--cacert", roots, "--crlf", url, "--ipv4",
               *options, "--mail-from", user, "--mail-rcpt", BOB, "-T", str(path), "--user"]  # fmt: skip
    run([*command, f"{user}:{PASSWORD}"])
    came_from(server, mail, user)
    run([*command, f"{user}:wrong"], code=67)


@pytest.mark.parametrize(
    ("mechanism", "user"),
    [("on", ALICE), ("plain", ALICE), ("login", ALICE), ("scram-sha-256", ALICE),
     ("scram-sha-1", CAROL), ("scram-sha-256", CAROL), ("cram-md5", CAROL)],
)  # fmt: skip
def test_msmtp(server: Server, roots: str, mechanism: str, user: str) -> None:
    mail = new_mail(f"msmtp {mechanism}")
    command = [needs("msmtp"), "--host", "127.0.0.1", "--port", port(server), "--tls=on",
               f"--tls-trust-file={roots}", f"--auth={mechanism}", f"--user={user}",
               f"--from={user}", "--set-from-header=off", "--set-date-header=off",
               "--set-msgid-header=off", f"--tls-host-override={HOST}"]  # fmt: skip
    run([*command, f"--passwordeval=echo {PASSWORD}", BOB], given=mail)
    came_from(server, mail, user)
    said = run([*command, "--passwordeval=echo wrong", BOB], code=77, given=mail)
    assert "535 5.7.8 authorization failure" in said


@pytest.mark.parametrize(
    ("mechanism", "priority"),
    [("PLAIN", "NORMAL"), ("LOGIN", "NORMAL"), ("CRAM-MD5", "NORMAL"), ("SCRAM-SHA-1", "NORMAL"),
     ("SCRAM-SHA-256", "NORMAL"), ("SCRAM-SHA-256", "NORMAL:-VERS-TLS1.3"),
     ("SCRAM-SHA-1-PLUS", "NORMAL:-VERS-TLS1.3"), ("SCRAM-SHA-256-PLUS", "NORMAL:-VERS-TLS1.3")],
)  # fmt: skip
def test_gsasl(server: Server, mechanism: str, priority: str) -> None:
    """The channel binding of -PLUS is tls-unique, and libgsasl's."""
    command = [needs("gsasl"), "--smtp", "--starttls", "--x509-ca-file=", f"--priority={priority}",
               f"--mechanism={mechanism}", f"--authentication-id={CAROL}",
               "--verbose", f"--connect=127.0.0.1:{port(server)}"]  # fmt: skip
    if not mechanism.endswith("-PLUS"):
        command.append("--no-cb")
    assert "235 2.0.0 ok" in run([*command, f"--password={PASSWORD}"])
    assert "535 5.7.8" in run([*command, "--password=wrong"], code=1)


@pytest.mark.parametrize(
    ("options", "best"),
    [(["--priority=NORMAL:-VERS-TLS1.3"], "SCRAM-SHA-256-PLUS"), (["--no-cb"], "SCRAM-SHA-256")],
)
def test_gsasl_takes_the_best_that_is_offered(
    server: Server, options: list[str], best: str
) -> None:
    """In TLS 1.3 no -PLUS is offered; there libgsasl itself refuses SCRAM unless it is told --no-cb."""
    said = run([
        needs("gsasl"), "--smtp", "--starttls", "--x509-ca-file=", *options, "--verbose",
        f"--authentication-id={ALICE}", f"--password={PASSWORD}",
        f"--connect=127.0.0.1:{port(server)}",
    ])  # fmt: skip
    assert "235 2.0.0 ok" in said
    assert f"AUTH {best}" in said.replace("\r", "").splitlines()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_smtplib(server: Server, trusting: ssl.SSLContext, mechanism: str) -> None:
    mail = new_mail(f"smtplib {mechanism}")
    with smtplib.SMTP_SSL(
        "127.0.0.1", int(port(server, "submissions")), context=trusting, timeout=PATIENCE
    ) as client:
        client.ehlo()
        client.esmtp_features["auth"] = mechanism
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(CAROL, "wrong")
        client.login(CAROL, PASSWORD)
        client.sendmail(CAROL, [BOB], on_the_wire(mail))
    came_from(server, mail, CAROL)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_postfix_with_a_relay_host(server: Server, mechanism: str) -> None:
    needs_root()
    needs("postfix")
    mail = new_mail(f"postfix {mechanism}")
    settings = {
        "smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": f"static:{CAROL}:{PASSWORD}",
        "smtp_sasl_security_options": "noanonymous", "smtp_sasl_mechanism_filter": mechanism,
        "smtp_tls_security_level": "encrypt",
    }  # fmt: skip
    with place() as folder, Postfix(folder, f"[127.0.0.1]:{port(server)}", **settings) as peer:
        peer.send(on_the_wire(mail), CAROL, [BOB])
        came_from(server, mail, CAROL)
