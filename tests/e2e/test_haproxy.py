"""A real HAProxy in front of a relay: PROXY v1 and v2, its health checks, and the client behind it."""

import json
import re
import subprocess

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.peer import Peer

CONFIGURATION = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 30s
frontend mail
    bind 127.0.0.1:{front}
    default_backend relays
backend relays
    {check}
    server relay1 127.0.0.1:{back} {options}
"""


@pytest.fixture
def haproxy():
    """haproxy(back, options, check): starts one; gives its port."""
    peer, started = Peer('haproxy'), []

    def start(back, options, check=''):
        front = places.free_port()
        file = places.new_directory('haproxy') / 'haproxy.cfg'
        file.write_text(CONFIGURATION.format(front=front, back=back, options=options, check=check))
        process = subprocess.Popen(peer.command('usr/sbin/haproxy', '-db', '-f', file),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        started.append(process)
        places.await_true(lambda: is_open(front), 10, 'HAProxy does not listen')
        return front

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=places.patient(10))


def is_open(port):
    try:
        Dialogue(port, source='127.0.0.99').close()
    except ConnectionRefusedError:
        return False
    return True


def deliver(port, source):
    d = Dialogue(port, source=source)
    assert d.line().startswith('220')
    d.ask('EHLO client.test', '250')
    d.ask('MAIL FROM:<sender@client.test>', '250')
    d.ask('RCPT TO:<editor@relay.test>', '250')
    d.ask('DATA', '354')
    d.ask('Subject: behind a balancer\r\n\r\nHello.\r\n.', '250')
    d.ask('QUIT', '221')
    d.close()


@pytest.mark.parametrize('options', ['send-proxy', 'send-proxy-v2',
                                     'send-proxy-v2 proxy-v2-options crc32c,unique-id'])
def test_client_is_seen_through_haproxy(network, haproxy, options):
    sink = network.sink().start()
    relay = network.relay(sink.port, main={
        'smtpd_upstream_proxy_protocol': 'haproxy',
        'smtpd_upstream_proxy_networks': '127.0.0.1',
    }).start()
    front = haproxy(relay.port, options)
    deliver(front, '127.0.0.77')
    relay.await_log(r'connect from \S+\[127\.0\.0\.77\]')
    places.await_true(lambda: sink.messages, 10, 'nothing was delivered')
    assert re.search(rb'^Received: from client\.test \(\S+ \[127\.0\.0\.77\]\)', sink.messages[0].wire,
                     re.M), sink.messages[0].wire
    # past the balancer there is no way in
    d = Dialogue(relay.port, source='127.0.0.78')
    assert d.line() is None


@pytest.mark.parametrize('check', ['', 'option smtpchk EHLO balancer.test'])
def test_health_checks_leave_no_trace(network, haproxy, check):
    sink = network.sink().start()
    relay = network.relay(sink.port, main={
        'smtpd_upstream_proxy_protocol': 'haproxy',
        'smtpd_upstream_proxy_networks': '127.0.0.1',
        'smtpd_client_connection_rate_limit': '3',
    }).start()
    before = relay.log()
    # One late answer is nothing, on a busy machine; checks that never succeed are the end of the server.
    options = 'check inter 50ms fall 20 rise 1 ' + ('send-proxy-v2 check-send-proxy' if check else '')
    front = haproxy(relay.port, options + ('' if check else ' send-proxy-v2'), check)

    def connections():
        return json.loads(relay.command('status', '--json').stdout)['connections']

    first = connections()
    places.await_true(lambda: connections() >= first + 50, 20, 'fifty checks')
    # HAProxy finds the relay alive, and the log is still short
    deliver(front, '127.0.0.77')
    lines = [line for line in relay.log()[len(before):].splitlines() if 'unknown[127.0.0.1]' in line]
    assert not lines, lines
