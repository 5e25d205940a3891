"""LMTP to a real Dovecot: over a unix socket and over TCP, a reply for each recipient (RFC 2033)."""

import os
import shutil
import signal
import subprocess

import pytest

from harness import places
from harness.peer import Peer
from harness.places import await_true

if os.geteuid() != 0:
    pytest.skip('Dovecot runs by chroot, which needs root', allow_module_level=True)

pytestmark = pytest.mark.xdist_group('dovecot')    # one Dovecot


class Dovecot:
    """LMTP alone, in the unpacked root; knows the users editor and full, of whom the second has no room."""

    def __init__(self):
        self.peer = Peer('dovecot')
        self.port = places.free_port()
        self.inside = f'/tmp/{os.getpid()}-dovecot'
        self.directory = self.peer.root / self.inside.lstrip('/')
        shutil.rmtree(self.directory, ignore_errors=True)
        (self.directory / 'run').mkdir(parents=True)
        (self.directory / 'mail').mkdir()
        os.chmod(self.directory / 'mail', 0o777)
        etc = self.peer.root / 'etc'
        (etc / 'passwd').write_text('root:x:0:0::/:/bin/false\ndovecot:x:64911:64911::/:/bin/false\n'
                                    'dovenull:x:64912:64911::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n')
        (etc / 'group').write_text('root:x:0:\nmail:x:8:\ndovecot:x:64911:\nnogroup:x:65534:\n')
        (self.directory / 'users').write_text(
            'editor@relay.test:{PLAIN}x:65534:65534::/tmp::userdb_quota_rule=*:storage=10M\n'
            'full@relay.test:{PLAIN}x:65534:65534::/tmp::userdb_quota_rule=*:storage=1B\n')
        (self.directory / 'dovecot.conf').write_text(f"""
protocols = lmtp
base_dir = {self.inside}/run
state_dir = {self.inside}/run
log_path = {self.inside}/log
ssl = no
mail_location = maildir:{self.inside}/mail/%u
mail_plugins = quota
first_valid_uid = 1000
postmaster_address = postmaster@relay.test
hostname = imap.inside.test
plugin {{
  quota = maildir:Mailbox
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {self.inside}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {self.inside}/users
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.port}
  }}
}}
service anvil {{
  chroot =
}}
""")
        self.socket = self.directory / 'run' / 'lmtp'

    def start(self):
        self.process = subprocess.Popen(
            self.peer.inside('/usr/sbin/dovecot', '-F', '-c', f'{self.inside}/dovecot.conf'),
            stdin=subprocess.DEVNULL, start_new_session=True)
        await_true(lambda: self.process.poll() is not None or places.is_listening(self.port) and self.socket.exists(), 20, 'Dovecot listens')
        assert self.process.poll() is None, (self.directory / 'log').read_text()
        os.chmod(self.directory / 'run', 0o755)
        return self

    def messages(self, user):
        return [p.read_text('utf-8', 'replace') for p in (self.directory / 'mail' / user / 'new').glob('*')]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(places.patient(10))
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture(scope='module')
def dovecot():
    it = Dovecot().start()
    yield it
    it.stop()


@pytest.mark.parametrize('kind', ['unix', 'inet'])
def test_each_recipient_has_its_own_end(network, swaks, dovecot, kind):
    """One mailbox takes it, one is full, one is not there: each gets its own result, in one transaction."""
    where = f'unix:{dovecot.socket}' if kind == 'unix' else f'inet:127.0.0.1:{dovecot.port}'
    before = len(dovecot.messages('editor@relay.test'))
    relay = network.relay(places.free_port(), main={
        'transport_maps': f'inline:{{{{relay.test = lmtp:{where}}}}}', 'relay_recipient_maps': 'static:OK'}).start()
    sent = swaks(relay.port, '--to', 'editor@relay.test,full@relay.test,nobody@relay.test', '--from', '<>',
                 '--header', f'Subject: by {kind}')
    assert sent.returncode == 0, sent.stdout
    await_true(lambda: len(dovecot.messages('editor@relay.test')) == before + 1, 15, 'the message in its mailbox')
    assert any(f'Subject: by {kind}' in text for text in dovecot.messages('editor@relay.test'))
    relay.await_log(r'lmtp\[\d+\]: \w+: to=<editor@relay\.test>, relay=.*dsn=2\.0\.0, status=sent \(250 2\.0\.0 ')
    relay.await_log(r'to=<full@relay\.test>, .*dsn=[45]\.2\.2, status=(deferred|bounced)')
    relay.await_log(r'to=<nobody@relay\.test>, .*dsn=5\.1\.1, status=bounced')
    if kind == 'unix':
        relay.await_log(r'relay=mx1\.relay\.test\[/.*run/lmtp\]')


def test_a_socket_that_is_not_there_is_waited_for(network, swaks, dovecot):
    relay = network.relay(places.free_port(), main={
        'transport_maps': 'inline:{{relay.test = lmtp:unix:private/lmtp}}', 'relay_recipient_maps': 'static:OK'}).start()
    assert swaks(relay.port, '--to', 'editor@relay.test').returncode == 0
    relay.await_log(r'status=deferred \(connect to mx1\.relay\.test\[private/lmtp\]: No such file or directory\)')
    assert relay.queue_count() == 1
