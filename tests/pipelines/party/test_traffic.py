import socket
import threading
import time

from veilflow.pipelines.party.traffic import TrafficMeter


def _send(count: int) -> None:
    """Send ``count`` bytes over a real TCP connection and close it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        received = threading.Thread(target=_drain, args=(server, count))
        received.start()
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(b"x" * count)
            received.join()
            time.sleep(0.1)


def _drain(server: socket.socket, count: int) -> None:
    connection, _ = server.accept()
    with connection:
        while count:
            count -= len(connection.recv(1 << 16))


def test_bytes_sent_are_counted_and_stay_counted_after_the_socket_is_closed():
    meter = TrafficMeter(interval_seconds=0.02)
    before = meter.total()
    _send(300_000)
    sent = meter.total() - before
    meter.close()
    assert 300_000 <= sent < 301_000
