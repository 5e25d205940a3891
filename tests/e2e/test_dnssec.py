"""Signed zones on a real NSD, validated by a real relay: secure, insecure, and forged in two ways.

A wrong signature is a failed look-up: 450 for a sender, deferral for a next hop; never 5xx, never a pass.
"""

import subprocess
import time

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.peer import Peer
from harness.server import Server

pytestmark = pytest.mark.xdist_group('dnssec')     # one NSD

RECORDS = """$ORIGIN {zone}.
$TTL 60
@ IN SOA ns.{zone}. root.{zone}. 1 3600 600 86400 60
@ IN NS ns
@ IN MX 10 mx
ns IN A 127.0.0.1
mx IN A 127.0.0.88
www IN CNAME mx
text IN TXT "as it was signed"
_25._tcp.mx IN TLSA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
"""
SIGNED = ('signed.test', 'forged.test', 'expired.test')
NSD = """
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    database: ""
    zonesdir: "{directory}"
    zonelistfile: "{directory}/zone.list"
    xfrdfile: ""
    xfrdir: "{directory}"
    pidfile: ""
    do-ip6: no
    server-count: 1
    cookie-secret-file: "{directory}/cookie"
remote-control:
    control-enable: no
"""


def sign(peer, directory, zone):
    """Makes a key and signs the zone's file in place; gives the DS record that is its trust anchor."""
    def run(*command):
        return subprocess.run(peer.command(*command), cwd=directory, check=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout.strip()

    key = run('usr/bin/ldns-keygen', '-a', 'ECDSAP256SHA256', '-k', zone)
    now = int(time.time())
    # validators forgive up to a day
    days = (-9, -2) if zone.startswith('expired') else (-1, 1)
    dates = [time.strftime('%Y%m%d%H%M%S', time.gmtime(t)) for t in (now + day * 86400 for day in days)]
    run('usr/bin/ldns-signzone', '-i', dates[0], '-e', dates[1], '-f', f'{zone}.zone', f'{zone}.plain', key)
    return (directory / f'{key}.ds').read_text()


@pytest.fixture(scope='module')
def zones():
    """NSD with all zones; main.cf lines that make a server validate what it says."""
    peer = Peer('nsd')
    directory = places.new_directory('nsd')
    directory.chmod(0o755)
    anchors, configuration = [], NSD.format(port=(port := places.free_port()), directory=directory)
    for zone in (*SIGNED, 'plain.test'):
        text = RECORDS.format(zone=zone)
        (directory / f'{zone}.plain').write_text(text)
        if zone in SIGNED:
            anchors.append(sign(peer, directory, zone))
        else:
            (directory / f'{zone}.zone').write_text(text)
        configuration += f'zone:\n    name: {zone}\n    zonefile: {zone}.zone\n'
    forged = directory / 'forged.test.zone'
    text = forged.read_text()
    assert 'as it was signed' in text and '127.0.0.88' in text and '10 mx.forged.test.' in text
    forged.write_text(text.replace('as it was signed', 'as the forger wants').replace('127.0.0.88', '127.0.0.89')
                      .replace('10 mx.forged.test.', '11 mx.forged.test.'))
    (directory / 'nsd.conf').write_text(configuration)
    (directory / 'anchors').write_text(''.join(anchors))
    with open(directory / 'log', 'wb') as log:
        nsd = subprocess.Popen(peer.command('usr/sbin/nsd', '-d', '-c', directory / 'nsd.conf'),
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        places.await_true(lambda: places.is_listening(port), 20, 'NSD does not listen: ' +
                          (directory / 'log').read_text())
        yield {
            'dns_stub': ', '.join(f'{zone} 127.0.0.1@{port}' for zone in (*SIGNED, 'plain.test')),
            'dns_validation': 'yes',
            'dns_trust_anchor_file': str(directory / 'anchors'),
        }
    finally:
        nsd.terminate()
        nsd.wait(timeout=places.patient(20))


@pytest.fixture
def relay(zones):
    server = Server('relay', main={
        **zones,
        'relay_domains': 'relay.test, out-secure.test, out-forged.test',
        'relay_recipient_maps': '',
        'smtpd_relay_restrictions': 'reject_unauth_destination',
        'smtpd_sender_restrictions': 'reject_unknown_sender_domain',
        'unknown_address_reject_code': '550',
        'transport_maps': 'inline:{out-secure.test=smtp:signed.test, out-forged.test=smtp:forged.test}',
        'smtp_tcp_port': str(places.free_port()),     # where nobody listens
    })
    yield server
    server.kill()


def ask(server, *words):
    result = server.command('dns', *words)
    return result.returncode, result.stdout


def test_what_is_proved_and_what_is_not(relay):
    code, out = ask(relay, 'mx', 'signed.test')
    assert code == 0 and 'mail is handled by 10 mx.signed.test.' in out and 'secure: DNSSEC' in out
    assert ask(relay, 'a', 'www.signed.test') == (
        0, 'www.signed.test is an alias for mx.signed.test.\nmx.signed.test has address 127.0.0.88\n'
           'secure: DNSSEC proves it\n')
    assert 'secure: DNSSEC' in ask(relay, 'tlsa', '_25._tcp.mx.signed.test')[1]
    # that there is nothing is proved too
    code, out = ask(relay, 'a', 'none.signed.test')
    assert code == 1 and 'does not exist' in out and 'secure: DNSSEC' in out
    code, out = ask(relay, 'aaaa', 'mx.signed.test')
    assert code == 1 and 'has no AAAA record' in out and 'secure: DNSSEC' in out
    code, out = ask(relay, 'mx', 'plain.test')
    assert code == 0 and '10 mx.plain.test.' in out and 'insecure:' in out


@pytest.mark.parametrize('name', ['forged.test', 'expired.test'])
def test_a_wrong_signature_is_a_failed_lookup(relay, name):
    for kind, what in (('txt', f'text.{name}'), ('a', f'mx.{name}'), ('mx', name)):
        code, out = ask(relay, kind, what)
        assert code == 1 and 'bogus' in out, out
        assert 'forger' not in out and '127.0.0.8' not in out and 'handled by' not in out
    code, out = ask(relay, 'txt', f'text.{name}', '--json')
    assert code == 1 and '"result": "failed", "security": "bogus"' in out and '"records": []' in out


def test_senders(relay):
    relay.start()
    client = Dialogue(relay.port)
    assert client.reply()[0].startswith('220')
    client.ask('EHLO client.test', '250')
    for sender, code in (('x@signed.test', '250'), ('x@plain.test', '250'), ('x@none.signed.test', '550 5.1.8'),
                         ('x@none.plain.test', '550 5.1.8'), ('x@forged.test', '450 4.1.8'),
                         ('x@expired.test', '450 4.1.8')):
        client.ask(f'MAIL FROM:<{sender}>', '250')
        client.ask('RCPT TO:<bob@relay.test>', code)
        client.ask('RSET', '250')
    client.close()
    relay.stop()


def test_next_hops(relay):
    relay.start()
    client = Dialogue(relay.port)
    assert client.reply()[0].startswith('220')
    client.ask('EHLO client.test', '250')
    client.ask('MAIL FROM:<x@signed.test>', '250')
    client.ask('RCPT TO:<a@out-secure.test>', '250')
    client.ask('RCPT TO:<b@out-forged.test>', '250')
    client.ask('DATA', '354')
    client.ask('Subject: x\r\n\r\n.', '250')
    client.close()
    relay.await_log(r'to=<a@out-secure\.test>.*connect to mx\.signed\.test\[127\.0\.0\.88\]')
    relay.await_log(r'to=<b@out-forged\.test>.*status=deferred .*the signature is wrong')
    assert '127.0.0.89' not in relay.log()
    relay.stop()
