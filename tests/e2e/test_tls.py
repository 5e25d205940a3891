"""STARTTLS in and out, with certificates made for the test."""

import re
import subprocess

import pytest

from harness import places
from harness.dialogue import Dialogue


def tls_in(name, level='may'):
    certificate, key = places.certificate(name)
    return {'smtpd_tls_security_level': level, 'smtpd_tls_cert_file': str(certificate),
            'smtpd_tls_key_file': str(key)}


def test_encrypted_all_the_way(network, swaks):
    relay, core = network.pair(
        relay_main={**tls_in('mx1.relay.test', 'encrypt'), 'smtp_tls_security_level': 'encrypt'},
        core_main=tls_in('hidden-core.inside.test', 'encrypt'))

    assert 'Must issue a STARTTLS' in swaks(relay.port, '--to', 'editor@relay.test').stdout
    sent = swaks(relay.port, '--to', 'editor@relay.test', '--tls')
    assert sent.returncode == 0, sent.stdout

    text = core.await_maildir('relay.test/editor', 1)[0].decode()
    received = re.findall(r'^Received: .*(?:\n[ \t].*)*', text, re.M)
    assert len(received) == 2
    assert all('with ESMTPS' in line for line in received), received


def test_the_certificate_is_the_configured_one(network):
    relay = network.relay(places.free_port(), main=tls_in('mx1.relay.test')).start()
    shown = subprocess.run(
        ['openssl', 's_client', '-starttls', 'smtp', '-connect', f'127.0.0.1:{relay.port}',
         '-CAfile', places.certificate('mx1.relay.test')[0], '-verify_return_error',
         '-verify_hostname', 'mx1.relay.test'],
        input='QUIT\r\n', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20).stdout
    assert 'Verify return code: 0 (ok)' in shown, shown
    assert re.search(r'TLSv1\.3', shown)


@pytest.mark.parametrize('version, works', [('-tls1_3', True), ('-tls1_2', True), ('-tls1_1', False)])
def test_versions(network, version, works):
    relay = network.relay(places.free_port(), main=tls_in('mx1.relay.test')).start()
    shown = subprocess.run(
        ['openssl', 's_client', version, '-starttls', 'smtp', '-connect', f'127.0.0.1:{relay.port}'],
        input='QUIT\r\n', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20).stdout
    assert ('BEGIN CERTIFICATE' in shown) == works, shown


def test_a_broken_handshake_ends_only_that_connection(network):
    relay = network.relay(places.free_port(), main=tls_in('mx1.relay.test')).start()
    for garbage in (b'', b'NOOP\r\n', b'\x16\x03\x01\x02\x00' + b'\xff' * 600, b'\x00' * 5000):
        talk = Dialogue(relay.port)
        talk.reply()
        talk.ask('EHLO client.test', '250 ')
        talk.ask('STARTTLS', '220 ')
        if garbage:
            talk.send(garbage)
        talk.close()
    good = Dialogue(relay.port)
    good.reply()
    good.ask('EHLO client.test', '250 ')
    good.ask('STARTTLS', '220 ')
    good.starttls()
    good.ask('EHLO client.test', '250 ')
    good.ask('QUIT', '221 ')
    good.close()
    assert len(relay.children()) == 1


def test_a_large_message_over_tls(network, swaks, tmp_path):
    """Five MiB, in and out, byte for byte."""
    relay, core = network.pair(
        relay_main={**tls_in('mx1.relay.test'), 'smtp_tls_security_level': 'encrypt'},
        core_main=tls_in('hidden-core.inside.test'))
    body = tmp_path / 'body'
    lines = [f'{n:070d}' for n in range(75000)]
    body.write_text('Subject: large\n\n' + '\n'.join(lines) + '\n')
    assert swaks(relay.port, '--to', 'editor@relay.test', '--tls', '--data', f'@{body}').returncode == 0
    text = core.await_maildir('relay.test/editor', 1)[0].decode()
    assert text.partition('\n\n')[2].rstrip('\n').split('\n') == lines


def test_no_certificate_no_start(network):
    relay = network.relay(places.free_port(), main={
        'smtpd_tls_security_level': 'may', 'smtpd_tls_cert_file': '/nonexistent/mx.crt',
        'smtpd_tls_key_file': '/nonexistent/mx.key'})
    result = relay.command('serve')
    assert result.returncode == 1 and '/nonexistent/mx.crt' in result.stderr + result.stdout
