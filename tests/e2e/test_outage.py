"""The core stopped, the disk full: mail is accepted or refused, never lost."""

import json
import os
import re
import socket
import subprocess

import pytest

from harness import places
from harness.dialogue import Dialogue


def send(port, recipient='editor@relay.test', body='Hello.', count=1):
    """Sends messages over one connection; the replies to their final dots."""
    talk = Dialogue(port)
    assert talk.reply()[-1].startswith('220 ')
    talk.ask('EHLO client.test', '250 ')
    replies = []
    for n in range(count):
        talk.ask('MAIL FROM:<sender@client.test>', '250 ')
        talk.ask(f'RCPT TO:<{recipient}>', '250 ')
        talk.ask('DATA', '354 ')
        talk.send(f'Subject: message {n}\r\n\r\n{body}\r\n.\r\n'.encode())
        replies.append(talk.reply()[-1])
    talk.ask('QUIT', '221 ')
    talk.close()
    return replies


def queue(server):
    """queue list --json: one object a line."""
    result = server.command('queue', 'list', '--json')
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_core_is_stopped(network):
    relay, core = network.pair()
    core.stop()
    assert all(r.startswith('250 2.0.0 ') for r in send(relay.port, count=20))
    relay.await_log(r'status=deferred .*onnection refused')
    assert relay.queue_count() == 20

    listed = places.await_true(lambda: [m for m in queue(relay) if 'onnection refused' in json.dumps(m)], 10, 'the reason')
    text = json.dumps(listed[0])
    assert 'editor@relay.test' in text and 'sender@client.test' in text
    assert re.search(r'next|retry|due', text), 'the next attempt'

    # It survives the relay's own restart.
    relay.stop()
    relay.start()
    assert relay.queue_count() == 20

    core.start()
    assert relay.command('queue', 'flush').returncode == 0
    core.await_maildir('relay.test/editor', 20, 20)
    relay.await_queue_count(0)
    subjects = {re.search(rb'^Subject: (.*)$', f.read_bytes(), re.M).group(1)
                for f in core.maildir('relay.test/editor')}
    assert len(subjects) == 20


def test_mail_arrives_by_itself_when_the_core_is_back(network):
    relay, core = network.pair()
    core.stop()
    send(relay.port, count=3)
    relay.await_log(r'status=deferred')
    core.start()
    # minimal_backoff_time is a second here.
    core.await_maildir('relay.test/editor', 3, 20)


def test_one_dead_core_holds_up_no_other(network):
    """Mail for a next hop that is down does not keep mail for another one waiting."""
    sink = network.sink().start()
    core = network.core().start()
    core.stop()
    relay = network.relay(core.port)
    relay.write('transport', f'relay.test relay:[127.0.0.1]:{core.port}\n'
                             f'other.test relay:[127.0.0.1]:{sink.port}\n')
    relay.start()
    send(relay.port, count=50)
    send(relay.port, 'anyone@other.test')
    places.await_true(lambda: sink.messages, 5, 'delivered')
    relay.await_queue_count(50)


class Deaf:
    """A listener whose backlog is full: the kernel answers no SYN to it, as a firewall that drops them."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', places.free_port()))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.callers = []
        for _ in range(16):
            self.callers.append(socket.socket())
            self.callers[-1].settimeout(0.3)
            try:
                self.callers[-1].connect(('127.0.0.1', self.port))
            except TimeoutError:
                return
        raise AssertionError('each SYN was answered')

    def close(self):
        for one in [*self.callers, self.listener]:
            one.close()


def test_a_core_that_does_not_answer_a_connect(network):
    """Its mail waits with the reason, others' mail does not; it comes when the core can be reached."""
    deaf, other = Deaf(), network.sink().start()
    relay = network.relay(deaf.port, main={'smtp_connect_timeout': '1s'})
    relay.write('transport', f'relay.test relay:[127.0.0.1]:{deaf.port}\n'
                             f'other.test relay:[127.0.0.1]:{other.port}\n')
    relay.start()
    try:
        send(relay.port, count=30)
        send(relay.port, 'anyone@other.test')
        places.await_true(lambda: other.messages, 10, 'delivered past the one that is deaf')
        relay.await_log(r'status=deferred \(connect to 127.0.0.1\[127.0.0.1\]:\d+: Connection timed out\)', 30)
        relay.await_queue_count(30)
    finally:
        deaf.close()
    core = network.sink(port=deaf.port).start()
    places.await_true(lambda: len(core.messages) == 30, 30, 'the core can be reached')
    relay.await_queue_count(0)
    assert len(core.messages) == 30 and len(other.messages) == 1


class SmallDisk:
    """A tmpfs of a few MiB over the queue directory, in a mount namespace that only the server shares.

    A shell holds the namespace and does in it what it is told. Without root it is one of a user
    namespace, in which we may mount.
    """

    def __init__(self, server, size):
        self.queue = server.directory / 'queue'
        self.queue.mkdir(exist_ok=True)
        places.give(self.queue)
        is_root = os.getuid() == 0
        user = [] if is_root else ['-U', '--map-current-user', '--keep-caps']
        self.shell = subprocess.Popen(['unshare', *user, '-m', 'sh'], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self.inside(f'mount -t tmpfs -o size={size},mode=777 tmpfs {self.queue}') != 0:
            self.done()
            pytest.skip('this machine lets nobody mount a tmpfs')
        user = [] if is_root else ['-U', '--preserve-credentials']
        server.prefix = ['nsenter', '-t', str(self.shell.pid), *user, '-m', '--']

    def inside(self, command):
        """Runs a command there; its exit code."""
        try:
            self.shell.stdin.write(f'{command} >/dev/null 2>&1; echo $?\n')
            self.shell.stdin.flush()
        except BrokenPipeError:         # unshare was not allowed
            return 1
        return int(self.shell.stdout.readline() or 1)

    def done(self):
        self.shell.kill()
        self.shell.wait()


def relay_on_small_disk(network, core):
    """Started by root, as nsenter wants it, the server drops to its mail_owner by itself."""
    # Below one and a half times the largest message Postfix's rule refuses at MAIL already.
    # What is refused for want of room is told to the postmaster, when there is some: here each message is counted.
    main = {'message_size_limit': '200000', 'notify_classes': ''}
    if os.getuid() == 0:
        main['mail_owner'] = 'nobody'
    relay = network.relay(core.port, as_root=True, main=main)
    return relay, SmallDisk(relay, '6m')


BODY = '\r\n'.join(['0123456789' * 7] * 900)        # about 64 KiB


def try_to_send(port):
    """One message of 64 KiB: the reply to it, or the first refusal on the way."""
    talk = Dialogue(port)
    assert talk.reply()[-1].startswith('220 ')
    steps = (b'EHLO client.test', b'MAIL FROM:<sender@client.test>', b'RCPT TO:<editor@relay.test>',
             b'DATA', f'Subject: large\r\n\r\n{BODY}\r\n.'.encode())
    for step in steps:
        talk.send(step + b'\r\n')
        reply = talk.reply()[-1]
        if reply[0] not in '23':
            break
    talk.close()
    return reply


def test_disk_full(network):
    """452 while the disk is full, the process lives, nothing accepted is lost, and service resumes."""
    core = network.core().start()
    core.stop()
    relay, disk = relay_on_small_disk(network, core)
    try:
        relay.start()
        accepted = 0
        while (reply := try_to_send(relay.port)).startswith('250 '):
            accepted += 1
            assert accepted < 400, 'six MiB do not end'
        assert reply.startswith('452 4.3.1 '), reply
        assert accepted > 10
        worker = relay.children()

        # It goes on refusing politely, and says what there is.
        assert all(try_to_send(relay.port).startswith('452 ') for _ in range(5))
        assert relay.process.poll() is None and relay.children() == worker
        assert relay.queue_count() == accepted

        # There is room again: service resumes, by itself.
        assert disk.inside(f'mount -o remount,size=40m {disk.queue}') == 0
        places.await_true(lambda: try_to_send(relay.port).startswith('250 '), 20, 'mail is taken again')
        accepted = relay.queue_count()

        core.start()
        relay.command('queue', 'flush')
        core.await_maildir('relay.test/editor', accepted, 60)
        relay.await_queue_count(0)
        expected = BODY.replace('\r\n', '\n').encode() + b'\n'
        for file in core.maildir('relay.test/editor'):
            assert file.read_bytes().partition(b'\n\n')[2] == expected
        relay.stop()
    finally:
        relay.kill()
        disk.done()


def test_the_disk_fills_in_the_middle_of_messages(network):
    """Thirty messages are under way when the last byte is taken: each gets 250 and is kept, or 45x."""
    core = network.core().start()
    core.stop()
    relay, disk = relay_on_small_disk(network, core)
    try:
        relay.start()
        talks = [Dialogue(relay.port) for _ in range(30)]
        for talk in talks:
            talk.reply()
            talk.ask('EHLO client.test', '250 ')
            talk.ask('MAIL FROM:<sender@client.test>', '250 ')
            talk.ask('RCPT TO:<editor@relay.test>', '250 ')
            talk.ask('DATA', '354 ')
            talk.send(b'Subject: large\r\n\r\n' + BODY[:30000].encode())
        disk.inside(f'dd if=/dev/zero of={disk.queue}/ballast bs=4096')
        for talk in talks:
            talk.send(BODY[30000:].encode() + b'\r\n.\r\n')
        replies = [talk.reply()[-1] for talk in talks]
        for talk in talks:
            talk.close()
        accepted = sum(reply.startswith('250 ') for reply in replies)
        assert accepted < 30
        assert all(re.match('250 |45[12] 4', reply) for reply in replies), replies
        assert len(relay.children()) == 1 and relay.queue_count() == accepted

        disk.inside(f'rm {disk.queue}/ballast')
        places.await_true(lambda: try_to_send(relay.port).startswith('250 '), 20, 'mail is taken again')
        core.start()
        relay.command('queue', 'flush')
        core.await_maildir('relay.test/editor', accepted + 1, 60)
        relay.stop()
    finally:
        relay.kill()
        disk.done()


def test_restart_on_a_full_disk(network):
    """A server that starts on a full disk still has, and delivers, what it had accepted."""
    core = network.core().start()
    core.stop()
    relay, disk = relay_on_small_disk(network, core)
    try:
        relay.start()
        accepted = sum(reply.startswith('250 ') for reply in send(relay.port, count=50))
        assert accepted == 50
        relay.stop()
        disk.inside(f'dd if=/dev/zero of={disk.queue}/ballast bs=4096')
        relay.start()
        assert relay.queue_count() == 50
        assert re.match('45[12] 4', try_to_send(relay.port))
        assert len(relay.children()) == 1

        # Results are written too: what is delivered now may be delivered again, never lost.
        core.start()
        relay.command('queue', 'flush')
        places.await_true(lambda: len(core.maildir('relay.test/editor')) >= 50, 30, 'delivered')
        disk.inside(f'rm {disk.queue}/ballast')
        places.await_true(lambda: try_to_send(relay.port).startswith('250 '), 20, 'mail is taken again')
        relay.await_queue_count(0, 30)
        core.await_queue_count(0)
        subjects = {re.search(rb'^Subject: (.*)$', f.read_bytes(), re.M).group(1)
                    for f in core.maildir('relay.test/editor')}
        assert len(subjects) == 51
        relay.stop()
    finally:
        relay.kill()
        disk.done()
