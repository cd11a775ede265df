import os
from collections import Counter
from random import Random

from indimail.net.connections import BUCKETS, ConnectionTable, _buckets


def test_every_worker_sees_the_connections_of_all() -> None:
    table = ConnectionTable(2)
    one, other = table.of_worker(0), table.of_worker(1)
    one.opened("192.0.2.1")
    one.opened("192.0.2.2")
    other.opened("192.0.2.1")
    for view in (one, other):
        assert (view.total(), view.of_client("192.0.2.1"), view.of_client("192.0.2.3")) == (3, 2, 0)
    assert (one.surplus(), other.surplus()) == (1, 0)
    one.closed("192.0.2.1")
    other.closed("192.0.2.1")
    assert (one.total(), one.of_client("192.0.2.1")) == (1, 0)


def test_counts_are_shared_over_a_fork() -> None:
    table = ConnectionTable(2)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            mine = table.of_worker(1)
            mine.opened("2001:db8::1")
            mine.opened("2001:db8::1")
            os.write(write, b"x")
        finally:
            os._exit(0)
    assert os.read(read, 1) == b"x"
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    assert table.of_client("2001:db8::1") == 2
    table.clear(1)  # it died with its connections
    assert (table.total(), table.of_client("2001:db8::1")) == (0, 0)


def test_a_dead_workers_connections_are_forgotten_and_the_others_are_kept() -> None:
    table = ConnectionTable(3)
    for worker in range(3):
        for _ in range(worker + 1):
            table.of_worker(worker).opened("192.0.2.1")
    table.clear(1)
    assert table.totals() == [1, 0, 3]
    assert table.of_client("192.0.2.1") == 4


def test_a_client_is_never_believed_to_have_fewer_than_it_has() -> None:
    random = Random(5)
    clients = [f"10.{random.randrange(9)}.{random.randrange(256)}.{n % 256}" for n in range(20_000)]
    table = ConnectionTable(2)
    workers = [table.of_worker(0), table.of_worker(1)]
    open_: Counter[str] = Counter()
    for client in clients:
        workers[random.randrange(2)].opened(client)
        open_[client] += 1
    assert table.total() == len(clients)
    assert all(table.of_client(client) >= count for client, count in open_.items())


def test_a_client_that_shares_one_bucket_is_counted_apart() -> None:
    first = _buckets("192.0.2.1")
    twin = next(
        ip for n in range(1_000_000)
        if (ip := f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") and _buckets(ip)[0] == first[0]
        and _buckets(ip)[1] != first[1]
    )  # fmt: skip
    table = ConnectionTable(1)
    for _ in range(300):
        table.of_worker(0).opened(twin)
    assert table.of_client(twin) == 300
    assert table.of_client("192.0.2.1") == 0
    assert 0 <= first[0] < BUCKETS <= first[1] < 2 * BUCKETS


def test_a_total_is_more_than_a_counter_holds() -> None:
    table = ConnectionTable(1)
    mine = table.of_worker(0)
    for n in range(70_000):
        mine.opened(f"10.0.{n >> 8 & 255}.{n & 255}")
    assert table.total() == 70_000
    for n in range(70_000):
        mine.closed(f"10.0.{n >> 8 & 255}.{n & 255}")
    assert table.total() == 0
