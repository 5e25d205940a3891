"""Supervisor and worker: one that hangs does not hold the other; what they hand over is what is served."""

import os
import signal
import time

import pytest

from harness import places
from harness.dialogue import Dialogue
from test_tls import tls_in


def test_a_worker_that_hangs_does_not_hold_the_supervisor(network):
    relay = network.relay(places.free_port()).start()
    worker = relay.children()[0]
    os.kill(worker, signal.SIGSTOP)
    for _ in range(800):            # more than the channel holds
        relay.signal(signal.SIGHUP)
        time.sleep(0.002)
    relay.signal(signal.SIGTERM)
    relay.await_log('terminating on signal 15')
    os.kill(worker, signal.SIGCONT)
    process, relay.process = relay.process, None
    assert process.wait(places.patient(25)) == 0
    relay.check_health()


def serves(port):
    try:
        talk = Dialogue(port, timeout=5)
    except ConnectionRefusedError:
        return False
    talk.ask('EHLO client.test', '220')     # the greeting comes first
    talk.close()
    return True


def replace_worker(relay):
    """Until another is there: what the killed one had accepted ends with it, without a greeting."""
    worker = relay.children()[0]
    os.kill(worker, signal.SIGKILL)
    places.await_true(lambda: relay.children() and worker not in relay.children(), 20, 'a new worker')


def test_addresses_come_and_go(network):
    relay = network.relay(places.free_port(), main={'worker_threads': '2'}).start()
    first, second = relay.port, places.free_port()

    def move_to(*ports):
        relay.master = ''.join(f'127.0.0.1:{port} inet n - n - - smtpd\n' for port in ports)
        relay.write_configuration()
        done = relay.command('reload')
        assert done.returncode == 0, done.stderr
        for port in (first, second):
            for _ in range(4):              # each loop has its own socket
                assert serves(port) == (port in ports), (port, ports)

    for ports in ([first, second], [second], [first], [first, second], [first]):
        move_to(*ports)
    replace_worker(relay)
    places.await_true(lambda: serves(first) and not serves(second), 10, 'a new worker serves the same')
    move_to(second)
    relay.stop()


def test_keys_and_sockets_by_root(network):
    """Only the supervisor may read the key: a reload asks it twice, and both answers are taken."""
    main = {'mail_owner': 'nobody'} if os.getuid() == 0 else {}
    relay = network.relay(places.free_port(), as_root=True, main={**main, **tls_in('mx1.relay.test')}).start()
    second = places.free_port()
    for ports in ([relay.port, second], [relay.port], [second]):
        relay.master = ''.join(f'127.0.0.1:{port} inet n - n - - smtpd\n' for port in ports)
        relay.write_configuration()
        done = relay.command('reload')
        assert done.returncode == 0, done.stderr
        assert [port for port in (relay.port, second) if serves(port)] == ports
    talk = Dialogue(second)
    talk.reply()
    talk.ask('EHLO client.test', '250')
    talk.ask('STARTTLS', '220')
    talk.starttls()
    talk.close()
    relay.stop()


@pytest.mark.long
def test_a_worker_that_hangs_is_killed(network):
    """The supervisor asks whether it lives (worker_watchdog_timeout); another takes its place, on the same sockets."""
    relay = network.relay(places.free_port(), main={'worker_watchdog_timeout': '6s'}).start()
    worker = relay.children()[0]
    time.sleep(8)                   # longer than the limit: one that answers lives on
    assert relay.children() == [worker]
    os.kill(worker, signal.SIGSTOP)
    relay.await_log(f'worker process {worker} has not answered for 6 seconds: it is killed', 20)
    relay.await_log(f'worker process {worker} died: signal', 20)
    relay.await_log('worker process .* serves', 20)
    assert serves(relay.port) and relay.children() != [worker]
    relay.stop()


def test_a_reload_that_was_given_up_leaves_both_as_they_were(network):
    """The supervisor was held while the worker waited: neither takes the new addresses, nor does the next worker."""
    relay = network.relay(places.free_port()).start()
    first, second = relay.port, places.free_port()
    relay.master = ''.join(f'127.0.0.1:{port} inet n - n - - smtpd\n' for port in (first, second))
    relay.write_configuration()
    os.kill(relay.process.pid, signal.SIGSTOP)
    try:
        done = relay.command('reload', timeout=60)
    finally:
        os.kill(relay.process.pid, signal.SIGCONT)
    assert done.returncode != 0 and 'the supervisor does not answer' in done.stderr, done.stderr
    assert serves(first) and not serves(second)
    replace_worker(relay)
    assert serves(first) and not serves(second)
    done = relay.command('reload')
    assert done.returncode == 0, done.stderr
    assert serves(first) and serves(second)
    relay.stop()
