"""STARTTLS in and out, with certificates made for the test."""

import base64
import re
import ssl
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
        input='QUIT\r\n', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=places.patient(20)).stdout
    assert 'Verify return code: 0 (ok)' in shown, shown
    assert re.search(r'TLSv1\.3', shown)


@pytest.mark.parametrize('version, works', [('-tls1_3', True), ('-tls1_2', True), ('-tls1_1', False)])
def test_versions(network, version, works):
    relay = network.relay(places.free_port(), main=tls_in('mx1.relay.test')).start()
    shown = subprocess.run(
        ['openssl', 's_client', version, '-starttls', 'smtp', '-connect', f'127.0.0.1:{relay.port}'],
        input='QUIT\r\n', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=places.patient(20)).stdout
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


def test_a_dsa_certificate(network):
    """smtpd_tls_dcert_file: who takes ciphers of aDSS alone gets it; all others the other certificate."""
    certificate, key = places.base() / 'dsa.crt', places.base() / 'dsa.key'
    subprocess.run(['openssl', 'req', '-x509', '-nodes', '-newkey', f'dsa:{places.SOURCE}/tests/data/dsa-parameters.pem',
                    '-days', '30', '-subj', '/CN=dsa.relay.test', '-out', certificate, '-keyout', key],
                   check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=places.patient(60))
    places.give(key)
    relay = network.relay(places.free_port(), main={
        **tls_in('mx1.relay.test'), 'smtpd_tls_dcert_file': str(certificate), 'smtpd_tls_dkey_file': str(key)}).start()
    for options, subject in ((['-tls1_2', '-cipher', 'aDSS'], 'dsa.relay.test'), (['-tls1_2'], 'mx1.relay.test'),
                             ([], 'mx1.relay.test')):
        shown = subprocess.run(
            ['openssl', 's_client', *options, '-starttls', 'smtp', '-connect', f'127.0.0.1:{relay.port}'],
            input='QUIT\r\n', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=places.patient(20)).stdout
        assert re.search(f'subject=CN = {re.escape(subject)}$', shown, re.M), shown


# ---- who the other side is ----

def fingerprint(certificate, kind='-fingerprint'):
    shown = subprocess.run(['openssl', 'x509', '-in', certificate, '-noout', kind, '-sha256'], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    return shown.partition('=')[2].strip()


def encrypted(relay, client=None, server_name=None):
    """A connection after STARTTLS and EHLO; its server's certificate in PEM with it."""
    talk = Dialogue(relay.port)
    talk.reply()
    talk.ask('EHLO client.test', '250 ')
    talk.ask('STARTTLS', '220 ')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client:
        context.load_cert_chain(*client)
    talk.socket = context.wrap_socket(talk.socket, server_hostname=server_name)
    return talk


def test_client_certificates(network):
    """permit_tls_clientcerts lets a named certificate relay, and no other; check_ccert_access judges; Received tells."""
    friend, stranger = places.certificate('friend.test'), places.certificate('stranger.test')
    core = network.core().start()
    relay = network.relay(core.port, main={
        **tls_in('mx1.relay.test'), 'smtpd_tls_ask_ccert': 'yes', 'smtpd_tls_loglevel': '1',
        'smtpd_tls_received_header': 'yes', 'smtpd_tls_CAfile': str(friend[0]),
        'relay_clientcerts': 'hash:@DIR@/etc/friends',
        'smtpd_sender_restrictions': 'check_ccert_access hash:@DIR@/etc/certificates',
        'smtpd_relay_restrictions': 'permit_tls_clientcerts, reject_unauth_destination'},
        files={'friends': f'{fingerprint(friend[0])} friend\n',
               'certificates': f'{fingerprint(stranger[0])} REJECT not this one\n'}).start()

    for who, answer in ((friend, '250 '), (stranger, '554 5.7.1'), (None, '554 5.7.1')):
        talk = encrypted(relay, who)
        talk.ask('EHLO client.test', '250 ')
        talk.ask('MAIL FROM:<a@client.test>', '250 ')
        talk.ask('RCPT TO:<somebody@elsewhere.test>', answer)
        talk.close()
    relay.await_log(r'reject: RCPT .*not this one')

    talk = encrypted(relay, friend)
    for line, answer in (('EHLO client.test', '250 '), ('MAIL FROM:<a@client.test>', '250 '),
                         ('RCPT TO:<editor@relay.test>', '250 '), ('DATA', '354 '), ('.', '250 ')):
        talk.ask(line, answer)
    talk.close()
    text = core.await_maildir('relay.test/editor', 1)[0].decode()
    assert '(Client CN "friend.test", Issuer "friend.test" (verified OK))' in text
    relay.await_log('Trusted TLS connection established from .*127.0.0.1')


def test_the_order_of_fingerprints(network):
    """check_ccert_access with a search_order: the key's fingerprint alone, before the certificate's."""
    friend = places.certificate('friend.test')
    public = subprocess.run(f'openssl x509 -in {friend[0]} -pubkey -noout | openssl pkey -pubin -outform DER | '
                            'openssl dgst -sha256 -c', shell=True, check=True, capture_output=True, text=True)
    key_print = public.stdout.rpartition(' ')[2].strip().upper()
    table = f'{fingerprint(friend[0])} REJECT by certificate\n{key_print} REJECT by key\n'
    for order, refusal in (('pubkey_fingerprint, cert_fingerprint', 'by key'),
                           ('cert_fingerprint', 'by certificate')):
        relay = network.relay(places.free_port(), main={
            **tls_in('mx1.relay.test'), 'smtpd_tls_ask_ccert': 'yes', 'compatibility_level': '3.6',
            'smtpd_client_restrictions':
                'check_ccert_access { hash:@DIR@/etc/certificates, { search_order = %s } }' % order},
            files={'certificates': table}).start()
        talk = encrypted(relay, friend)
        talk.ask('EHLO client.test', '250 ')
        talk.ask('MAIL FROM:<a@client.test>', '250 ')
        talk.ask('RCPT TO:<editor@relay.test>', '554 5.7.1')
        talk.close()
        relay.await_log(refusal)
        relay.stop()


def test_a_certificate_is_required(network):
    """smtpd_tls_req_ccert: without one that is trusted, 421 after the handshake."""
    friend = places.certificate('friend.test')
    relay = network.relay(places.free_port(), main={
        **tls_in('mx1.relay.test', 'encrypt'), 'smtpd_tls_req_ccert': 'yes',
        'smtpd_tls_CAfile': str(friend[0])}).start()
    for who in (None, places.certificate('stranger.test')):
        talk = encrypted(relay, who)
        assert talk.reply()[0].startswith('421 4.7.1')
        talk.close()
    talk = encrypted(relay, friend)
    talk.ask('EHLO client.test', '250 ')
    talk.close()


def test_names_have_their_own_certificates(network):
    """tls_server_sni_maps, from a text and from what postmap -F makes of it."""
    one, two = places.certificate('one.test'), places.certificate('two.test')
    both = base64.b64encode(two[1].read_bytes() + two[0].read_bytes()).decode()
    relay = network.relay(places.free_port(), main={
        **tls_in('mx1.relay.test'), 'tls_server_sni_maps': 'hash:@DIR@/etc/sni'},
        files={'sni': f'one.test {one[1]}, {one[0]}\n.two.test {both}\n'}).start()
    for name, shown in (('one.test', 'one.test'), ('mail.two.test', 'two.test'), ('other.test', 'mx1.relay.test'),
                        (None, 'mx1.relay.test')):
        talk = encrypted(relay, server_name=name)
        pem = ssl.DER_cert_to_PEM_cert(talk.socket.getpeercert(True))
        expected = places.certificate(shown)[0].read_text()
        assert ''.join(pem.split()) == ''.join(expected.split()), name
        talk.close()


def test_a_renewed_certificate_is_taken_by_itself(network, tmp_path):
    """Files that changed are read anew, without a signal; a pair that does not fit leaves the old one."""
    old, new = places.certificate('old.test'), places.certificate('new.test')
    relay = network.relay(places.free_port(), main={
        'smtpd_tls_security_level': 'may', 'smtpd_tls_cert_file': '@DIR@/etc/tls.crt',
        'smtpd_tls_key_file': '@DIR@/etc/tls.key', 'tls_watch_interval': '1s'},
        files={'tls.crt': old[0].read_text(), 'tls.key': old[1].read_text()}).start()

    def shown():
        talk = encrypted(relay)
        talk.ask('EHLO client.test', '250 ')
        try:
            return talk.socket.getpeercert(True)
        finally:
            talk.close()

    before = shown()
    stays = encrypted(relay)
    relay.write('tls.crt', new[0].read_text())
    relay.await_log('certificate files have changed: reloading')
    relay.await_log('does not belong|key values mismatch')
    assert shown() == before
    relay.write('tls.key', new[1].read_text())
    places.await_true(lambda: shown() != before, 10, 'the new certificate is shown')
    stays.ask('EHLO client.test', '250 ')       # who was connected goes on
    stays.close()


def make_expired(directory, key, path):
    """A certificate of last year; only `openssl ca` takes both dates."""
    (directory / 'index').write_text('')
    (directory / 'serial').write_text('01\n')
    (directory / 'ca.cnf').write_text(
        f'[ca]\ndefault_ca = x\n[x]\ndatabase = {directory}/index\nserial = {directory}/serial\n'
        f'new_certs_dir = {directory}\ndefault_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n')
    for command in (['req', '-new', '-key', key, '-subj', '/CN=x', '-out', directory / 'csr'],
                    ['ca', '-batch', '-selfsign', '-config', directory / 'ca.cnf', '-keyfile', key, '-in',
                     directory / 'csr', '-startdate', '20240101000000Z', '-enddate', '20250101000000Z', '-out', path]):
        subprocess.run(['openssl', *map(str, command)], check=True, stdin=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    path.chmod(0o644)


def test_check_tells_of_expired_and_mismatched_certificates(network, tmp_path):
    relay = network.relay(places.free_port(), main=tls_in('mx1.relay.test'))
    key = places.certificate('old.test')[1]
    expired = relay.etc / 'expired.crt'
    make_expired(tmp_path, key, expired)
    relay.write_configuration(smtpd_tls_cert_file=str(expired), smtpd_tls_key_file=str(key))
    shown = relay.command('check')
    assert shown.returncode != 0 and 'has expired' in shown.stdout + shown.stderr
    relay.write_configuration(smtpd_tls_key_file=str(places.certificate('new.test')[1]))
    shown = relay.command('check')
    assert shown.returncode != 0 and 'belong' in shown.stdout + shown.stderr


def test_sessions_are_resumed_over_all_loops(network):
    """Twenty connections with the first one's session, wherever the kernel sends them."""
    relay = network.relay(places.free_port(), main={**tls_in('mx1.relay.test'), 'worker_threads': '4'}).start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session, resumed = None, 0
    for _ in range(20):
        talk = Dialogue(relay.port)
        talk.reply()
        talk.ask('EHLO client.test', '250 ')
        talk.ask('STARTTLS', '220 ')
        talk.socket = context.wrap_socket(talk.socket, session=session)
        resumed += talk.socket.session_reused
        session = session or talk.socket.session
        talk.ask('EHLO client.test', '250 ')
        talk.close()
    assert resumed == 19


@pytest.mark.parametrize('match, works', [('hidden-core.inside.test', True), ('other.test', False)])
def test_only_to_the_core_with_the_right_certificate(network, swaks, match, works):
    """A relay sends to the core that proves its name, and keeps the mail from one that does not."""
    relay, core = network.pair(
        relay_main={'smtp_tls_security_level': 'verify', 'smtp_tls_verify_cert_match': match,
                    'smtp_tls_CAfile': str(places.certificate('hidden-core.inside.test')[0])},
        core_main=tls_in('hidden-core.inside.test'))
    sent = swaks(relay.port, '--to', 'editor@relay.test')
    assert sent.returncode == 0, sent.stdout
    if works:
        core.await_maildir('relay.test/editor', 1)
    else:
        relay.await_log('dsn=4.7.5, status=deferred \\(Server certificate not verified\\)')
        assert relay.queue_count() == 1
