"""Clients that mean harm, or might as well."""

import json
import os
import signal
import socket

from harness import places
from harness.dialogue import Dialogue

PATIENT = {'smtpd_error_sleep_time': '0', 'smtpd_hard_error_limit': '1000000',
           'smtpd_junk_command_limit': '1000000'}


def test_what_is_read_ahead_does_not_become_the_command(network):
    """The look for early input fills the block that the command's line lies in."""
    relay = network.relay(1, main={**PATIENT, 'smtpd_forbid_unauth_pipelining': 'no'}).start()
    talk = Dialogue(relay.port)
    talk.reply()
    talk.ask('HELO client.test', '250')

    block = 64 * 1024
    mail = b'MAIL FROM:<anyone@client.test>\r\n'
    noop = b'NOOP ' + b'x' * 1017 + b'\r\n'
    ahead = noop * 63 + noop[:1022 - len(mail)] + b'\r\n' + mail
    assert len(ahead) == block
    behind = (b'RCPT TO:<' * block)[:block - 2] + b'\r\n'
    # All of it waits in the socket before the server reads the first byte.
    worker = relay.children()[0]
    os.kill(worker, signal.SIGSTOP)
    talk.send(ahead + behind)
    os.kill(worker, signal.SIGCONT)
    for _ in range(64):
        assert talk.reply() == ['250 2.0.0 Ok']
    assert talk.reply() == ['250 2.1.0 Ok']
    talk.close()


def test_silence_in_a_handshake_ends_with_its_time_limit(network):
    certificate, key = places.certificate()
    relay = network.relay(1, main={'smtpd_tls_security_level': 'may', 'smtpd_starttls_timeout': '1s',
                                   'smtpd_tls_cert_file': str(certificate),
                                   'smtpd_tls_key_file': str(key)}).start()
    talk = Dialogue(relay.port)
    talk.reply()
    talk.ask('EHLO client.test', '250')
    talk.ask('STARTTLS', '220')
    assert talk.reply() is None         # by default it would be five minutes
    talk.close()


def resident_kib(server):
    return places.resident_kib(server.children()[0])


def await_nobody(server):
    def is_so():
        return json.loads(server.command('status', '--json').stdout)['sessions'] == 0

    places.await_true(is_so, 20, 'no session is left')


def test_storms_of_connections_leave_no_memory_behind(network):
    """A session that waits holds no input block: after each storm the heap is as it was."""
    relay = network.relay(1, main={'smtpd_client_connection_rate_limit': '0'}).start()
    left = []
    for _ in range(4):
        crowd = [socket.create_connection(('127.0.0.1', relay.port)) for _ in range(900)]
        for one in crowd:
            assert one.recv(3) == b'220'
        for one in crowd:
            one.close()
        await_nobody(relay)
        left.append(resident_kib(relay))
    if not places.has_sanitizer():      # they keep what is freed
        assert left[-1] - left[0] < 2048, left


def test_descriptors_are_left_for_what_is_not_a_session(network):
    sink = network.sink().start()
    relay = network.relay(sink.port, prefix=['bash', '-c', 'ulimit -n 200; exec "$@"', '-'],
                          main={'smtpd_client_connection_rate_limit': '0'}).start()
    crowd = [Dialogue(relay.port) for _ in range(300)]
    relay.await_log('few descriptors are left')
    first = crowd[0]
    assert first.reply()[0].startswith('220')
    first.ask('EHLO client.test', '250')
    # A large message needs a file, its delivery a connection, the question after it another.
    first.ask('MAIL FROM:<anyone@client.test>', '250')
    first.ask('RCPT TO:<editor@relay.test>', '250')
    first.ask('DATA', '354')
    first.send(b'Subject: large\r\n\r\n' + (b'x' * 76 + b'\r\n') * 30000)
    first.ask('.', '250')
    places.await_true(lambda: sink.messages, 10, 'the message is delivered')
    assert json.loads(relay.command('status', '--json').stdout)['sessions'] < 200
    for one in crowd[:200]:
        one.close()
    assert crowd[-1].reply()[0].startswith('220')
    for one in crowd:
        one.close()


def test_memory_of_a_connection(network):
    """Thousands of greetings, and of transactions begun and forgotten, leave nothing in memory; others are served."""
    sink = network.sink().start()
    relay = network.relay(sink.port).start()
    worker = relay.children()
    greedy = Dialogue(relay.port)
    greedy.reply()
    greeting = f'EHLO {"a" * 60}.{"b" * 60}.{"c" * 60}.{"d" * 50}.test'
    before = resident_kib(relay)
    for _ in range(1500):
        greedy.ask(greeting, '250 ')
        greedy.ask('MAIL FROM:<sender@client.test>', '250 ')
        greedy.ask('RCPT TO:<editor@relay.test>', '250 ')
    assert resident_kib(relay) - before < 4096
    greedy.close()
    other = Dialogue(relay.port)
    other.reply()
    other.ask('EHLO client.test', '250 ')
    other.ask('MAIL FROM:<sender@client.test>', '250 ')
    other.ask('RCPT TO:<editor@relay.test>', '250 ')
    other.ask('DATA', '354 ')
    other.ask('Subject: ordinary\r\n\r\ntext\r\n.', '250 ')
    other.close()
    places.await_true(lambda: len(sink.messages) == 1, 10, 'delivered')
    assert relay.children() == worker
