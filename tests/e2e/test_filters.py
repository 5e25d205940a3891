"""Real filters from Debian's packages: opendkim signs and verifies, clamav-milter and rspamd refuse, postgrey defers."""

import grp
import os
import pwd
import signal
import subprocess

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.peer import Peer

EICAR = 'X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'
GTUBE = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'


def send(port, text, sender='joe@from.example'):
    """The reply to the message, or the one that refused before it."""
    talk = Dialogue(port, timeout=30)
    talk.reply()
    for command in ('EHLO client.example', f'MAIL FROM:<{sender}>', 'RCPT TO:<editor@relay.test>', 'DATA'):
        talk.send(command.encode() + b'\r\n')
        reply = talk.reply()[-1]
        if reply[0] in '45':
            break
    else:
        talk.send(text.encode() + b'\r\n.\r\n')
        reply = talk.reply()[-1]
    talk.close()
    return reply


MESSAGE = ('From: joe@from.example\r\nTo: editor@relay.test\r\nSubject: hello\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n'
           'Message-ID: <1@from.example>\r\n\r\n{}\r\n')


@pytest.fixture
def daemon():
    """daemon(command...): started, and ended when the test is over; waits until `port` answers."""
    started = []

    def start(command, port, seconds=20, **options):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True, **options)
        started.append(process)
        try:
            places.await_true(lambda: process.poll() is not None or places.is_listening(port), seconds,
                              f'{command[-1]} listens')
        finally:
            if process.poll() is not None:
                pytest.fail(f'{command}: {process.stdout.read().decode(errors="replace")[-3000:]}')
        return process

    yield start
    for process in started:
        # Asked to end, a libmilter looks up only every five seconds; nothing that it keeps is needed any more.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def relay_with(network, *ports, **main):
    sink = network.sink().start()
    names = ', '.join(f'inet:127.0.0.1:{port}' for port in ports)
    relay = network.relay(sink.port, main={'smtpd_milters': names, **main}).start()
    relay.sink = sink
    return relay


def passed_on(relay):
    places.await_true(lambda: relay.sink.messages, 10, 'the next hop got the message')
    return relay.sink.messages[-1]


@pytest.mark.long
def test_opendkim_signs_and_verifies(network, daemon):
    peer = Peer('opendkim')
    here = places.new_directory('opendkim')
    key = here / 'key.pem'
    subprocess.run(['openssl', 'genrsa', '-out', key, '2048'], check=True, stderr=subprocess.DEVNULL)
    public = subprocess.run(['openssl', 'rsa', '-in', key, '-pubout'], check=True, capture_output=True, text=True).stdout
    public = ''.join(public.splitlines()[1:-1])
    (here / 'keys').write_text(f's1._domainkey.from.example v=DKIM1; k=rsa; p={public}\n')
    ports = {}
    for mode in 's', 'v':
        ports[mode] = places.free_port()
        (here / f'{mode}.conf').write_text(
            f'Mode {mode}\nSocket inet:{ports[mode]}@127.0.0.1\nDomain from.example\nSelector s1\nKeyFile {key}\n'
            f'RequireSafeKeys no\nPidFile {here}/{mode}.pid\nTestPublicKeys {here}/keys\nBackground no\n'
            f'AuthservID dkim.relay.test\nInternalHosts {"127.0.0.1" if mode == "s" else "192.0.2.99"}\n'
            'Canonicalization relaxed/relaxed\nSyslog no\n')
        daemon(peer.command('usr/sbin/opendkim', '-f', '-x', here / f'{mode}.conf', libraries=['usr/lib']), ports[mode])

    # one after the other: what the first signs the second verifies
    relay = relay_with(network, ports['s'], ports['v'])
    assert send(relay.port, MESSAGE.format('body')).startswith('250 ')
    header = passed_on(relay).header.decode()
    assert 'DKIM-Signature: v=1; a=rsa-sha256;' in header
    assert 'Authentication-Results: dkim.relay.test' in header and 'dkim=pass' in header, header


@pytest.mark.long
def test_clamav_refuses_a_virus(network, daemon):
    peer = Peer('clamav')
    here = places.new_directory('clamav')
    # a database of one signature
    (here / 'test.ndb').write_text(f'Eicar-Test:0:*:{EICAR.encode().hex()}\n')
    clamd, milter = places.free_port(), places.free_port()
    (here / 'clamd.conf').write_text(f'DatabaseDirectory {here}\nTCPSocket {clamd}\nTCPAddr 127.0.0.1\nForeground yes\n'
                                     f'TemporaryDirectory {here}\nLogFile {here}/log\nConcurrentDatabaseReload no\n')
    (here / 'milter.conf').write_text(f'MilterSocket inet:{milter}@127.0.0.1\nClamdSocket tcp:127.0.0.1:{clamd}\n'
                                      f'OnInfected Reject\nRejectMsg "virus %v"\nForeground yes\nAddHeader Replace\n'
                                      f'TemporaryDirectory {here}\n')
    daemon(peer.command('usr/sbin/clamd', '--config-file', here / 'clamd.conf'), clamd)
    daemon(peer.command('usr/sbin/clamav-milter', '--config-file', here / 'milter.conf'), milter)
    relay = relay_with(network, milter)
    reply = send(relay.port, MESSAGE.format(EICAR))
    assert reply.startswith('5') and 'virus' in reply and 'Eicar-Test' in reply, reply
    assert send(relay.port, MESSAGE.format('no virus')).startswith('250 ')
    assert b'X-Virus-Status: Clean' in passed_on(relay).header


def test_rspamd_refuses_gtube(network, daemon):
    peer = Peer('rspamd')
    here = places.new_directory('rspamd')
    port = places.free_port()
    share, etc = peer.root / 'usr/share/rspamd', peer.root / 'etc/rspamd'
    (here / 'rspamd.conf').write_text(f'''
        options {{
            pidfile = "{here}/pid"; tempdir = "{here}"; cache_file = "{here}/cache"; filters = "";
            dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
            url_tld = "{here}/tlds"; enable_test_patterns = true; gtube_patterns = "all";
            hs_cache_dir = "{here}"; control_socket = "{here}/control";
        }}
        logging {{ type = "console"; level = "warning"; }}
        metric "default" {{ actions {{ reject = 15; }} }}
        worker "rspamd_proxy" {{
            bind_socket = "127.0.0.1:{port}"; milter = yes; timeout = 10s; count = 1;
            upstream "local" {{ default = yes; self_scan = yes; }}
        }}
    ''')
    (here / 'dbdir').mkdir()
    (here / 'tlds').write_text('com\norg\n')  # the real list takes long to be compiled
    variables = {'CONFDIR': etc, 'LOCAL_CONFDIR': etc, 'RUNDIR': here, 'DBDIR': here / 'dbdir', 'LOGDIR': here,
                 'PLUGINSDIR': share / 'plugins', 'RULESDIR': share / 'rules', 'LUALIBDIR': share / 'lualib',
                 'SHAREDIR': share, 'WWWDIR': share / 'www'}
    daemon(peer.command('usr/bin/rspamd', '-f', '-i', '-c', here / 'rspamd.conf',
                        *[f'--var={name}={value}' for name, value in variables.items()], libraries=['usr/lib/rspamd']),
           port, seconds=40)
    relay = relay_with(network, port)
    reply = send(relay.port, MESSAGE.format(GTUBE))
    assert reply.startswith('554 5.7.1 ') and 'gtube' in reply.lower(), reply
    assert send(relay.port, MESSAGE.format('harmless')).startswith('250 ')
    passed_on(relay)


def test_postgrey_defers_the_first_time(network, daemon):
    peer = Peer('postgrey')
    here = places.new_directory('postgrey')
    port = places.free_port()
    (here / 'none').write_text('')
    libraries = [*peer.root.glob('usr/lib/*/perl5/*'), peer.root / 'usr/share/perl5', *peer.root.glob('usr/lib/*/perl/*'),
                 *peer.root.glob('usr/share/perl/*')]
    owner = pwd.getpwuid(os.getuid())
    daemon(peer.command('usr/bin/perl', '-T', *[f'-I{d}' for d in libraries], peer.root / 'usr/sbin/postgrey', f'--inet=127.0.0.1:{port}', f'--dbdir={here}',
                        f'--user={owner.pw_name}', f'--group={grp.getgrgid(os.getgid()).gr_name}', '--delay=1', '--greylist-text=wait',
                        f'--whitelist-clients={here}/none', f'--whitelist-recipients={here}/none'),
           port)
    sink = network.sink().start()
    relay = network.relay(sink.port, main={
        'smtpd_recipient_restrictions': f'check_policy_service inet:127.0.0.1:{port}'}).start()
    assert send(relay.port, MESSAGE.format('x')).startswith('450 4.2.0 <editor@relay.test>: Recipient address rejected: wait')
    places.await_true(lambda: send(relay.port, MESSAGE.format('x')).startswith('250 '), 10, 'it may pass')
    places.await_true(lambda: sink.messages, 10, 'the next hop got the message')
    assert b'X-Greylist: ' in sink.messages[-1].header
