"""STARTTLS and implicit TLS, with clients that check our certificate."""

import smtplib
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from interop.conftest import certify
from interop.mails import arrived, arrived_as_sent, new_mail, on_the_wire
from live import BOB, HOST, PATIENCE, STRANGER, Instance, Server, Talk, until
from support import needs, needs_perl

pytestmark = pytest.mark.interop


@pytest.fixture
def roots(authority: trustme.CA, tmp_path: Path) -> Path:
    """A file with the authority that issued our certificate."""
    path = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_smtplib_over_starttls(server: Server, trusting: ssl.SSLContext, host: str) -> None:
    mail = new_mail("starttls")
    with smtplib.SMTP(host, server.address[1], "smtplib.example", PATIENCE) as client:
        client.ehlo()
        client.starttls(context=trusting)
        assert not client.has_extn("starttls") or client.ehlo()
        client.ehlo()
        assert not client.has_extn("starttls")
        client.sendmail(STRANGER, [BOB], on_the_wire(mail))
    arrived_as_sent(server, mail)
    assert b" with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384 bits=256); " in arrived(server, mail)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_smtplib_over_implicit_tls(server: Server, trusting: ssl.SSLContext, host: str) -> None:
    mail = new_mail("implicit")
    port = server.listeners["submissions"][1]
    with smtplib.SMTP_SSL(host, port, context=trusting, timeout=PATIENCE) as client:
        client.sendmail(STRANGER, [BOB], on_the_wire(mail))
    arrived_as_sent(server, mail)
    assert b" with ESMTPS (TLSv1.3 " in arrived(server, mail)


@pytest.mark.parametrize("options", [["-tls"], ["--tls-on-connect"]], ids=" ".join)
def test_swaks(server: Server, tmp_path: Path, roots: Path, options: list[str]) -> None:
    needs_perl("Net::SSLeay")
    mail, path = new_mail("swaks"), tmp_path / "mail"
    path.write_bytes(mail.removesuffix(b"\n"))
    listener = "smtp" if options == ["-tls"] else "submissions"
    command = [needs("swaks"), "--server", "127.0.0.1", "--port", str(server.listeners[listener][1]),
               *options, "--tls-verify", "--tls-ca-path", str(roots), "--tls-sni", HOST,
               "--from", STRANGER, "--to", BOB, "--data", f"@{path}"]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TLS started with cipher TLSv1.3:" in done.stdout
    arrived_as_sent(server, mail)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_curl(server: Server, tmp_path: Path, roots: Path, scheme: str) -> None:
    mail, path = new_mail("curl"), tmp_path / "mail"
    path.write_bytes(mail)
    port = server.listeners["smtp" if scheme == "smtp" else "submissions"][1]
    command = [needs("curl"), "-sS", "--ssl-reqd", "--cacert", str(roots), "--crlf",
               f"{scheme}://localhost:{port}/curl.example", "--ipv4",
               "--mail-from", STRANGER, "--mail-rcpt", BOB, "-T", str(path)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    arrived_as_sent(server, mail)


def test_msmtp(server: Server, tmp_path: Path, roots: Path) -> None:
    mail, path = new_mail("msmtp"), tmp_path / "mail"
    path.write_bytes(mail)
    with path.open("rb") as file:
        done = subprocess.run(
            [needs("msmtp"), "--host=localhost", f"--port={server.address[1]}", "--tls=on",
             "--tls-starttls=on", f"--tls-trust-file={roots}", f"--from={STRANGER}",
             "--set-from-header=off", "--set-date-header=off", "--set-msgid-header=off", "--", BOB],
            stdin=file, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    arrived_as_sent(server, mail)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl(server: Server, roots: Path, version: str) -> None:
    host, port = "127.0.0.1", server.address[1]
    command = [needs("openssl"), "s_client", "-starttls", "smtp", "-connect", f"{host}:{port}",
               version, "-CAfile", str(roots), "-verify_return_error", "-verify_hostname", HOST,
               "-quiet", "-name", "openssl.example"]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as client:
        said, told = client.communicate(b"EHLO openssl.example\r\nQUIT\r\n", PATIENCE)
    assert client.returncode == 0, told
    assert said.endswith(b"closing connection\r\n")
    assert b"250-STARTTLS" not in said.rpartition(b"250-PIPELINING")[2]


def test_openssl_finds_older_tls_refused(server: Server) -> None:
    done = subprocess.run(
        [needs("openssl"), "s_client", "-starttls", "smtp", "-connect",
         f"127.0.0.1:{server.address[1]}", "-tls1_1", "-cipher", "ALL@SECLEVEL=0"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    with server.connect() as talk:
        assert talk.say("NOOP").startswith("250 ")


def test_what_is_said_before_the_handshake_is_dropped(
    server: Server, trusting: ssl.SSLContext
) -> None:
    """The injection attack on STARTTLS (CVE-2011-0411): commands in the packet of STARTTLS."""
    with server.connect() as talk:
        talk.say("EHLO evil.example")
        talk.send(
            f"STARTTLS\r\nMAIL FROM:<injected@evil.example>\r\nRCPT TO:<{BOB}>\r\nNOOP\r\n".encode()
        )
        assert talk.reply() == "220 2.0.0 ready for tls"
        talk.start_tls(trusting)
        assert talk.say(f"RCPT TO:<{BOB}>").startswith("503 ")  # of ours, and no MAIL came before
        assert talk.say("EHLO good.example").startswith("250-")
        assert talk.say("STARTTLS").startswith("502 ")
        number = talk.mail(BOB, "Subject: in TLS\r\n\r\n")
    story = server.instance.ended(number)
    assert "injected" not in str(story)


def test_a_transaction_begun_in_clear_does_not_reach_into_tls(
    server: Server, trusting: ssl.SSLContext
) -> None:
    with server.connect() as talk:
        talk.say("EHLO client.example")
        talk.offer(BOB)
        assert talk.say("STARTTLS").startswith("220 ")
        talk.start_tls(trusting)
        assert talk.say("DATA").startswith("503 ")


def test_clear_text_instead_of_a_handshake_ends_the_connection(server: Server) -> None:
    for name in ("smtp", "submissions"):
        with socket.create_connection(server.listeners[name][:2], PATIENCE) as sock:
            file = sock.makefile("rb")
            if name == "smtp":
                file.readline()
                sock.sendall(b"STARTTLS\r\n")
                assert file.readline().startswith(b"220 ")
            sock.sendall(f"MAIL FROM:<{STRANGER}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode())
            try:
                rest = file.read()
            except ConnectionResetError:
                rest = b""
            assert b"250" not in rest
            file.close()


def test_a_large_mail_over_tls_in_both_ways(server: Server, trusting: ssl.SSLContext) -> None:
    mail = new_mail("large") + b"y" * 70 + b"\n" + (b"x" * 70 + b"\n") * 40_000
    with smtplib.SMTP("127.0.0.1", server.address[1], "smtplib.example", PATIENCE) as client:
        client.starttls(context=trusting)
        client.sendmail(STRANGER, [BOB], on_the_wire(mail))
        octets = on_the_wire(mail)
        client.mail(STRANGER)
        client.rcpt(BOB)
        client.send(b"BDAT %d LAST\r\n%b" % (len(octets), octets))
        assert client.getreply()[0] == 250
    until(lambda: sum(stored.endswith(mail) for stored in server.instance.mails("bob")) == 2)


def test_pipelined_commands_in_one_tls_record(server: Server, trusting: ssl.SSLContext) -> None:
    with server.connect() as talk:
        assert talk.say("STARTTLS").startswith("220 ")
        talk.start_tls(trusting)
        talk.send(f"MAIL FROM:<{STRANGER}>\r\nRCPT TO:<{BOB}>\r\nRSET\r\nQUIT\r\n".encode())
        assert [talk.reply()[:3] for _ in range(4)] == ["250", "250", "250", "221"]
        assert talk.reply() == ""


def test_a_new_certificate_counts_from_the_next_handshake_on(instance: Instance) -> None:
    """A renewed file needs no signal; a broken one leaves the old one in force."""
    old, new = trustme.CA(), trustme.CA()
    certify(instance, old)
    with instance.serve(workers=1) as server:
        assert _handshake(server, old)
        certify(instance, new)
        assert _handshake(server, new)
        instance.write("certs/servercert.pem", "no certificate\n")
        assert _handshake(server, new)
        server.says("not changed: certs/servercert.pem: found no certificate in it, ")


def test_the_key_may_have_a_file_of_its_own(instance: Instance, authority: trustme.CA) -> None:
    issued = authority.issue_cert(HOST)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems).decode()
    instance.write("certs/chain.pem", chain)
    instance.write("certs/key.pem", issued.private_key_pem.bytes().decode())
    toml = instance.read("indimail.toml")
    names = '[tls]\ncertificate = "chain.pem"\nkey = "key.pem"'
    instance.write("indimail.toml", toml.replace("[tls]", names))
    with instance.serve(workers=1) as server:
        assert _handshake(server, authority)


def test_without_a_certificate_starttls_is_not_offered(instance: Instance) -> None:
    with instance.serve(workers=1) as server, server.connect() as talk:
        assert "STARTTLS" not in talk.say("EHLO client.example")
        assert talk.say("STARTTLS").startswith("502 ")


def test_mail_may_be_refused_before_tls(
    instance: Instance, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    certify(instance, authority)
    instance.write("tcp/tcp.smtp", '127.:allow,FORCE_TLS=""\n')
    with instance.serve(workers=1) as server, server.connect() as talk:
        talk.say("EHLO client.example")
        assert talk.say(f"MAIL FROM:<{STRANGER}>").startswith("530 5.7.0 ")
        assert talk.say("STARTTLS").startswith("220 ")
        talk.start_tls(trusting)
        assert talk.say(f"MAIL FROM:<{STRANGER}>").startswith("250 ")


def _handshake(server: Server, authority: trustme.CA) -> bool:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with server.connect() as talk:
        assert talk.say("STARTTLS").startswith("220 ")
        talk.start_tls(context)
        return talk.say("NOOP").startswith("250 ")


def test_talk_is_a_client_that_checks(server: Server) -> None:
    """The helper these tests trust refuses a certificate of somebody else."""
    with server.connect() as talk:
        assert isinstance(talk, Talk)
        assert talk.say("STARTTLS").startswith("220 ")
        with pytest.raises(ssl.SSLCertVerificationError):
            talk.start_tls(ssl.create_default_context())
