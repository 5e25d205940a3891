"""A real rbldnsd behind a relay: what it lists, refuses to say, lists by mistake; and when it is gone."""

import itertools
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.peer import Peer

ZONES = {
    'bl.test:ip4trie': ':127.0.0.2:listed, see https://bl.test/?$\n127.0.0.2\n192.0.2.1 :127.0.0.4:\n'
                      '198.51.100.0/24\n',
    'six.test:ip6trie': ':127.0.0.2:listed\n2001:db8:bad::/48\n',
    'six.test:ip4set': ':127.0.0.2:\n127.0.0.2\n',
    'names.test:dnset': ':127.0.1.2:bad name $\ntest\nbad.example\n.worse.example\n',
    'refuses.test:ip4trie': ':127.255.255.254:error: open resolver\n0.0.0.0/0\n',
    'all.test:ip4trie': ':127.0.0.2:all of it\n0.0.0.0/0\n',
}


class Lists:
    """rbldnsd with ZONES; `write` changes one, which it reads again within a second."""

    def __init__(self):
        self.peer = Peer('rbldnsd')
        self.directory = places.new_directory('rbldnsd')
        self.directory.chmod(0o755)
        self.port = places.free_port()
        self.process = None
        for zone, text in ZONES.items():
            self.write(zone, text)

    def write(self, zone, text):
        path = self.directory / (zone.replace(':', '-') + '.new')
        path.write_text('$TTL 1\n$SOA 1 ns.test. root.test. 0 1 1 1 1\n' + text)
        path.chmod(0o644)
        path.rename(self.directory / zone.replace(':', '-'))

    def start(self):
        owner = places.user()
        who = {'user': owner.pw_uid, 'group': owner.pw_gid, 'extra_groups': []} if owner else {}
        zones = [f'{zone}:{zone.replace(":", "-")}' for zone in ZONES]
        self.process = subprocess.Popen(
            self.peer.command('usr/sbin/rbldnsd', '-n', '-c', '1s', '-b', f'127.0.0.1/{self.port}', '-w',
                              self.directory, *zones),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, **who)
        places.await_true(self.answers, 10, 'rbldnsd answers')
        return self

    def answers(self):
        """2.0.0.127.bl.test A: is there an answer at all?"""
        packet = b'\0\7\0\0\0\1\0\0\0\0\0\0' + b''.join(
            bytes([len(label)]) + label for label in b'2.0.0.127.bl.test'.split(b'.')) + b'\0\0\1\0\1'
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
            asks.settimeout(2)
            asks.sendto(packet, ('127.0.0.1', self.port))
            try:
                return asks.recv(512)[7] == 1
            except OSError:
                return False

    def stop(self):
        if self.process:
            os.kill(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=places.patient(10))
            self.process = None


@pytest.fixture
def lists():
    made = Lists().start()
    yield made
    made.stop()


def relay(network, lists, **main):
    zones = sorted({zone.split(':')[0] for zone in ZONES})
    stubs = ', '.join(f'{zone} 127.0.0.1@{lists.port}' for zone in zones)
    sink = network.sink()
    return network.relay(sink.port, main={
        'dns_stub': stubs, 'dns_validation': 'no', 'smtpd_authorized_xclient_hosts': '127.0.0.1',
        'dnsbl_retry_interval': '1s', 'dnsbl_deadline': '30s', **main}).start()


def rcpt(server, address, sender='a@client.test', helo='client.test'):
    """The last line of the reply to RCPT, for a client with this address."""
    talk = Dialogue(server.port)
    try:
        talk.reply()
        talk.ask('EHLO proxy.test', '250')
        talk.ask(f'XCLIENT ADDR={"IPV6:" if ":" in address else ""}{address} NAME=[UNAVAILABLE]', '220')
        talk.ask(f'EHLO {helo}', '250')
        talk.ask(f'MAIL FROM:<{sender}>', '250')
        talk.send(b'RCPT TO:<editor@relay.test>\r\n')
        return talk.reply()[-1]
    finally:
        talk.close()


def figures(server):
    done = server.command('dnsbl', '--json')
    assert done.returncode == 0, done.stderr
    return {(one['list'], one['of']): one for one in json.loads(done.stdout)['lists']}


def test_what_is_listed_is_refused(network, lists):
    server = relay(network, lists, smtpd_recipient_restrictions=(
        'reject_rbl_client bl.test=127.0.0.2, reject_rbl_client six.test, reject_rhsbl_sender names.test, '
        'reject_rhsbl_helo names.test'))
    assert rcpt(server, '203.0.113.1').startswith('250 ')
    assert rcpt(server, '2001:db8:900d::1').startswith('250 ')
    assert rcpt(server, '192.0.2.1').startswith('250 ')  # 127.0.0.4: not what the filter wants
    assert rcpt(server, '198.51.100.77') == (
        '554 5.7.1 Service unavailable; Client host [198.51.100.77] blocked using bl.test; listed, see '
        'https://bl.test/?198.51.100.77')
    assert rcpt(server, '2001:db8:bad::7') == (
        '554 5.7.1 Service unavailable; Client host [2001:db8:bad::7] blocked using six.test; listed')
    assert rcpt(server, '203.0.113.1', sender='a@bad.example') == (
        '554 5.7.1 Service unavailable; Sender address [a@bad.example] blocked using names.test; bad name '
        'bad.example')
    assert rcpt(server, '203.0.113.1', helo='mx.worse.example').startswith(
        '554 5.7.1 Service unavailable; Helo command [mx.worse.example] blocked using names.test')
    known = figures(server)
    assert {one['state'] for one in known.values()} == {'well'}
    assert known['bl.test', 'addresses']['would_refuse'] == known['bl.test', 'addresses']['refused_mail'] == 1
    assert known['bl.test', 'addresses']['filtered'] == 1
    assert known['six.test', 'addresses']['refused_mail'] == 1


def test_what_is_no_listing_refuses_nobody(network, lists):
    server = relay(network, lists, smtpd_recipient_restrictions=(
        'reject_rbl_client refuses.test, reject_rbl_client all.test, reject_rbl_client bl.test'))
    for last in range(1, 10):
        assert rcpt(server, f'203.0.113.{last}').startswith('250 ')
    assert rcpt(server, '198.51.100.1').startswith('554 ')
    known = figures(server)
    assert known['refuses.test', 'addresses']['state'] == 'refuses'
    assert known['all.test', 'addresses']['state'] == 'lists all'
    assert known['bl.test', 'addresses']['state'] == 'well'
    server.await_log('refuses.test is switched off')
    server.await_log('all.test is switched off')
    log = server.log()
    assert log.count('refuses.test is switched off') == 1
    assert log.count('all.test is switched off') == 1


@pytest.mark.long
def test_a_list_that_begins_to_list_everything(network, lists):
    server = relay(network, lists, dnsbl_test_interval='1s',
                   smtpd_recipient_restrictions='reject_rbl_client bl.test')
    assert rcpt(server, '198.51.100.1').startswith('554 ')
    assert rcpt(server, '203.0.113.1').startswith('250 ')
    lists.write('bl.test:ip4trie', ':127.0.0.2:all of it\n0.0.0.0/0\n')
    places.await_true(lambda: 'bl.test is switched off' in server.log(), 30, 'the list is switched off')
    assert rcpt(server, '203.0.113.2').startswith('250 ')
    lists.write('bl.test:ip4trie', ZONES['bl.test:ip4trie'])
    places.await_true(lambda: 'bl.test is well again' in server.log(), 30, 'the list is well again')
    assert rcpt(server, '198.51.100.2').startswith('554 ')


@pytest.mark.long
def test_a_list_that_is_gone(network, lists):
    server = relay(network, lists, smtpd_recipient_restrictions='reject_rbl_client bl.test',
                   dnsbl_deadline='2s', dns_timeout='500s')
    hosts = itertools.cycle(range(1, 250))
    places.await_true(lambda: rcpt(server, f'198.51.100.{next(hosts)}').startswith('554 '), 10, 'the list is used')
    lists.stop()
    for _ in range(6):                      # each waits for dnsbl_deadline, not for dns_timeout
        assert rcpt(server, f'198.51.100.{next(hosts)}').startswith('250 ')
    before = figures(server)['bl.test', 'addresses']
    assert before['state'] == 'unreachable'
    assert rcpt(server, f'198.51.100.{next(hosts)}').startswith('250 ')
    after = figures(server)['bl.test', 'addresses']
    assert after['asked'] == before['asked'] > 0    # nobody waits for it any more
    lists.start()
    places.await_true(lambda: 'bl.test is well again' in server.log(), 40, 'the list is well again')
    # each loop's resolver finds out for itself, within ten seconds
    def is_listed():
        time.sleep(0.1)
        return rcpt(server, f'198.51.100.{next(hosts)}').startswith('554 ')

    places.await_true(is_listed, 20, 'the list is used again')
