"""Debian's pflogsumm and fail2ban read a log of ours, of all that a relay meets, and find what happened."""

import os
import re
import smtplib
import socket
import ssl
import subprocess
import sys

import pytest

from harness import places
from harness.peer import Peer
from harness.places import await_true


def client(port, name='client.test'):
    return smtplib.SMTP('127.0.0.1', port, timeout=places.patient(10), local_hostname=name)


def try_to_send(port, sender='a@client.test', recipients=('editor@relay.test',), text='Subject: x\n\nhi\n', name='client.test'):
    """The codes that each command got; the conversation goes on as far as it may."""
    with client(port, name) as c:
        c.ehlo_or_helo_if_needed()
        codes = [c.mail(sender)[0]]
        codes += [c.rcpt(r)[0] for r in recipients]
        codes += [c.data(text)[0]] if 250 in codes[1:] else []
        return codes


@pytest.fixture
def relay(network):
    """A log with one of each: what pflogsumm counts, and what fail2ban bans for."""
    sink = network.sink()
    sink.start()
    certificate, key = places.certificate()
    relay = network.relay(sink.port, main={
        'smtpd_helo_restrictions': 'reject_invalid_helo_hostname',
        'smtpd_sender_restrictions': 'reject_non_fqdn_sender, check_sender_access inline:{bad@client.test=REJECT}',
        'smtpd_tls_security_level': 'may', 'smtpd_tls_cert_file': str(certificate), 'smtpd_tls_key_file': str(key),
        'smtpd_tls_loglevel': '1', 'smtpd_hard_error_limit': '4', 'smtpd_error_sleep_time': '0',
        'smtpd_peername_lookup': 'no',
        'header_checks': 'regexp:@DIR@/etc/header_checks', 'maximal_queue_lifetime': '1d', 'minimal_backoff_time': '900s',
        'relay_recipient_maps': 'hash:@DIR@/etc/users'})
    relay.write('header_checks', '/^Subject: casino/ REJECT No advertising here.\n/^Subject: look/ WARN seen\n'
                                 '/^Subject: drop/ DISCARD\n/^Subject: hold/ HOLD\n')
    relay.write('users', 'editor@relay.test OK\nslow@relay.test OK\ngone@relay.test OK\n')
    relay.start()
    relay.sink = sink
    return relay


def make_the_log(relay):
    port, sink = relay.port, relay.sink
    for _ in range(3):
        assert try_to_send(port) == [250, 250, 250]                                        # delivered
    sink.reply('RCPT=slow@relay.test', '451 4.7.1 later')
    sink.reply('RCPT=gone@relay.test', '550 5.1.1 no such user')
    assert try_to_send(port, recipients=['slow@relay.test']) == [250, 250, 250]            # deferred
    assert try_to_send(port, sender='b@other.test', recipients=['gone@relay.test']) == [250, 250, 250]      # bounced
    assert try_to_send(port, recipients=['nobody@relay.test']) == [250, 550]               # user unknown
    assert try_to_send(port, recipients=['x@elsewhere.test']) == [250, 554]                # relay access denied
    assert try_to_send(port, sender='bad@client.test') == [250, 554]                       # sender refused
    assert try_to_send(port, sender='noone@localname') == [250, 504]                       # need full name
    assert try_to_send(port, name='-bad-') == [250, 501]                                   # HELO refused
    assert try_to_send(port, text='Subject: casino\n\n') == [250, 250, 550]                # header refused
    for subject in ('look', 'drop', 'hold'):
        assert try_to_send(port, text=f'Subject: {subject}\n\n') == [250, 250, 250]
    with client(port) as c:                                                                # TLS
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        c.starttls(context=context)
        c.sendmail('a@client.test', ['editor@relay.test'], 'Subject: tls\n\n')
    with client(port) as c:                                                                # too many errors
        c.ehlo()
        for _ in range(5):
            try:
                c.docmd('NONSENSE')
            except smtplib.SMTPServerDisconnected:
                break
    with socket.create_connection(('127.0.0.1', port), timeout=places.patient(10)) as s:                   # lost connections
        s.recv(1000)
    with socket.create_connection(('127.0.0.1', port), timeout=places.patient(10)) as s:
        s.recv(1000)
        for line in (b'EHLO c.test', b'MAIL FROM:<a@client.test>', b'RCPT TO:<editor@relay.test>', b'DATA'):
            s.sendall(line + b'\r\n')
            s.recv(4000)
        s.sendall(b'Subject: cut')
    relay.await_log(r'status=deferred')
    relay.await_log(r'status=bounced')
    relay.await_log(r'lost connection after CONNECT')
    relay.await_log(r'lost connection after DATA')
    await_true(lambda: len(re.findall(r'status=sent', relay.log())) >= 6, 10, 'five are delivered, and the bounce')
    relay.stop()
    # a log as a system has it, without what main.cf's findings say on standard error
    path = relay.directory / 'log-to-read'
    path.write_text((relay.directory / 'maillog').read_text())
    return path


def test_pflogsumm(relay):
    log = make_the_log(relay)
    root = Peer('pflogsumm').root
    libraries = [root / p for p in ('usr/share/perl5', *map(str, (d.relative_to(root) for d in
                                    root.glob('usr/lib/*-linux-gnu*/perl5/5.*'))))]
    done = subprocess.run(['/usr/bin/perl', root / 'usr/sbin/pflogsumm', '--detail', '20', log], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60,
                          env={**os.environ, 'PERL5LIB': ':'.join(map(str, libraries)), 'LC_ALL': 'C'})
    assert done.returncode == 0, done.stderr
    report = done.stdout
    totals = {m[1]: int(m[0]) for m in re.findall(r'^ +(\d+)k?  +([a-z]+(?: [a-z]+)*)', report.split('Per-Hour')[0], re.M)}
    assert totals['delivered'] == 6, report     # five, and the bounce
    assert totals['received'] >= 9
    assert totals['deferred'] == 1
    assert totals['bounced'] == 1
    assert totals['rejected'] == 6      # user unknown, relaying, two senders, HELO, header
    assert totals['held'] == 1
    assert totals['discarded'] == 1
    assert totals['reject warnings'] == 1
    for word in ('User unknown in relay recipient table', 'Relay access denied', 'need fully-qualified',
                 'editor@relay.test', 'a@client.test', 'later', 'no such user'):
        assert word in report, (word, report)
    for title in ('smtp delivery failures', 'Warnings', 'Fatal Errors', 'Panics'):
        assert re.search(rf'^{title}: none$', report, re.M), report


# Of normal mode: a user who is not there, relaying, too many errors. Of ddos: a connection that was lost at once.
FAIL2BAN = {'normal': 3, 'ddos': 1, 'errors': 1, 'aggressive': 4}


def test_fail2ban(relay):
    log = make_the_log(relay)
    root = Peer('fail2ban').root
    for mode, expected in FAIL2BAN.items():
        done = subprocess.run([sys.executable, root / 'usr/bin/fail2ban-regex', '-c', root / 'etc/fail2ban', '--print-all-matched',
                               '-v', log, f'postfix[mode={mode}]'],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                              env={**os.environ, 'PYTHONPATH': str(root / 'usr/lib/python3/dist-packages')})
        matched = re.search(r'Lines: (\d+) lines, (\d+) ignored, (\d+) matched', done.stdout)
        assert matched, done.stdout + done.stderr
        assert int(matched[3]) == expected, (mode, done.stdout)
        assert '127.0.0.1' in done.stdout
