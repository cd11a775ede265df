import pytest

from indimail.app.instance import Instance, find_root


@pytest.mark.parametrize(
    ("given", "environ", "root"),
    [
        (None, {}, "/var/indimail"),
        (None, {"INDIMAIL_ROOT": "/srv/mail/"}, "/srv/mail"),
        ("/tmp/a", {"INDIMAIL_ROOT": "/srv/mail"}, "/tmp/a"),
        ("", {"INDIMAIL_ROOT": ""}, "/var/indimail"),
    ],
)
def test_the_root_is_the_argument_the_variable_or_the_default(given, environ, root):
    assert find_root(given, environ) == root


def test_everything_is_in_one_directory():
    instance = Instance("/i")
    assert (instance.control_dir, instance.tcp_smtp) == ("/i/control", "/i/tcp/tcp.smtp")
    assert (instance.assign, instance.domains_dir) == ("/i/users/assign", "/i/domains")
    assert (instance.mail, instance.certs, instance.alias) == ("/i/mail", "/i/certs", "/i/alias")
    assert (instance.queue_base, instance.spool) == ("/i/queue", "/i/queue/spool")
    assert (instance.db, instance.trace, instance.log) == ("/i/db", "/i/trace", "/i/log")
    assert (instance.run, instance.toml) == ("/i/run", "/i/indimail.toml")
    assert instance.queuedir == ""


def test_indimails_variables_put_parts_elsewhere():
    instance = Instance("/i", {
        "SYSCONFDIR": "/etc/indimail", "CONTROLDIR": "ctl", "DOMAINDIR": "/d", "BASE_PATH": "/home/mail",
        "QUEUE_BASE": "/var/spool/q", "QUEUEDIR": "queue/slowq", "CERTDIR": "/etc/ssl",
    })  # fmt: skip
    assert (instance.control_dir, instance.tcp_dir) == ("/etc/indimail/ctl", "/etc/indimail/tcp")
    assert (instance.users_dir, instance.certs) == ("/etc/indimail/users", "/etc/ssl")
    assert (instance.domains_dir, instance.mail) == ("/d/domains", "/home/mail")
    assert (instance.queue_base, instance.queuedir) == ("/var/spool/q", "/i/queue/slowq")
    assert Instance("/i", {"ASSIGNDIR": "/u", "CONTROLDIR": "/c"}).watched == (
        "/c", "/i/tcp", "/u", "/i/certs",
    )  # fmt: skip


def test_operators_are_told_names_below_the_root():
    instance = Instance("/i", {"CONTROLDIR": "/etc/indimail/control"})
    assert instance.display("/i/tcp/tcp.smtp") == "tcp/tcp.smtp"
    assert instance.display("/etc/indimail/control") == "/etc/indimail/control"
