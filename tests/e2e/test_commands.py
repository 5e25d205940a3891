"""The commands of the one binary: what they print, and their exit codes."""

import json
import re
import subprocess

import pytest

from harness import places
from harness.dialogue import Dialogue
from test_outage import queue, send

COMMANDS = ['serve', 'check', 'config', 'map', 'queue', 'reload', 'stop', 'status', 'sessions']


def forepost(*arguments):
    return subprocess.run([places.program(), *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=places.patient(20))


def test_help_everywhere():
    overview = forepost('--help')
    assert overview.returncode == 0
    for command in COMMANDS:
        assert re.search(rf'\b{command}\b', overview.stdout), command
        own = forepost(command, '--help')
        assert own.returncode == 0 and command in own.stdout, command
    assert re.search(r'\d+\.\d+', forepost('--version').stdout)


@pytest.mark.parametrize('arguments', [
    [], ['frobnicate'], ['serve', '--frob'], ['queue'], ['queue', 'frob'], ['map', 'query'],
    ['queue', 'show'], ['queue', 'delete'], ['check', '-c'],
])
def test_wrong_usage_is_told_apart_from_failure(arguments):
    result = forepost(*arguments)
    assert result.returncode == 2, result.stderr
    assert result.stderr and not result.stdout


def test_no_configuration(tmp_path):
    for command in ('serve', 'check', 'config'):
        result = forepost(command, '-c', str(tmp_path))
        assert result.returncode == 1
        assert str(tmp_path / 'main.cf') in result.stderr + result.stdout


def test_check(network):
    relay = network.relay(places.free_port())
    result = relay.command('check')
    assert result.returncode == 0, result.stdout + result.stderr

    # A warning is no failure.
    relay.write_configuration(smtpd_recipient_restrictions='reject_invalid_hostname, permit')
    result = relay.command('check')
    assert result.returncode == 0
    assert re.search(r'main\.cf:\d+: .*reject_invalid_hostname', result.stdout + result.stderr)

    relay.write_configuration(smtpd_timeout='soon')
    result = relay.command('check')
    assert result.returncode == 1
    assert re.search(r'main\.cf:\d+: error: ', result.stdout + result.stderr)


def test_override(network):
    relay = network.relay(places.free_port())
    shown = relay.command('config', '-o', 'smtpd_timeout=17s', 'smtpd_timeout')
    assert shown.stdout == 'smtpd_timeout = 17s\n'
    assert relay.command('check', '-o', 'smtpd_timeout=soon').returncode == 1


def test_queue_commands(network):
    relay, core = network.pair()
    core.stop()
    send(relay.port, count=3)
    relay.await_log(r'status=deferred')
    places.await_true(lambda: len(queue(relay)) == 3, 5, 'three messages are listed')

    ids = re.findall(r'queued as (\S+)', '\n'.join(send(relay.port)))
    assert len(ids) == 1 and re.fullmatch(r'[0-9A-Za-z]{12,20}', ids[0])
    assert relay.queue_count() == 4
    listed = queue(relay)
    assert any(ids[0] in json.dumps(entry) for entry in listed)
    plain = relay.command('queue', 'list')
    assert ids[0] in plain.stdout and 'editor@relay.test' in plain.stdout

    shown = relay.command('queue', 'show', ids[0])
    assert shown.returncode == 0
    assert 'Subject: message 0' in shown.stdout and 'Hello.' in shown.stdout

    assert relay.command('queue', 'delete', ids[0]).returncode == 0
    relay.await_queue_count(3)
    assert ids[0] not in relay.command('queue', 'list').stdout
    for command in ('show', 'delete'):
        gone = relay.command('queue', command, ids[0])
        assert gone.returncode == 1 and ids[0] in gone.stderr, gone

    # A deleted message stays deleted.
    relay.stop()
    relay.start()
    assert relay.queue_count() == 3
    core.start()
    assert relay.command('queue', 'flush').returncode == 0
    core.await_maildir('relay.test/editor', 3, 20)


def test_status(network):
    relay, core = network.pair()
    send(relay.port)
    core.await_maildir('relay.test/editor', 1)
    result = relay.command('status', '--json')
    assert result.returncode == 0
    status = json.loads(result.stdout)
    assert isinstance(status, dict) and status
    assert relay.command('status').returncode == 0


def test_commands_without_a_server(network):
    relay = network.relay(places.free_port())
    for command in (['status', '--json'], ['reload'], ['stop'], ['queue', 'flush'], ['queue', 'list']):
        result = relay.command(*command)
        assert result.returncode == 3, command
        assert re.search(r'not running|no server|cannot reach|is it running', result.stderr), result.stderr


def test_reload(network):
    relay, core = network.pair()

    def banner():
        talk = Dialogue(relay.port)
        line = talk.reply()[-1]
        talk.close()
        return line

    # An open connection lives through it.
    talk = Dialogue(relay.port)
    talk.reply()
    talk.ask('EHLO client.test', '250 ')
    relay.write_configuration(smtpd_banner='$myhostname ESMTP second')
    assert relay.command('reload').returncode == 0
    places.await_true(lambda: banner() == '220 mx1.relay.test ESMTP second', 5, 'the new banner')
    talk.ask('MAIL FROM:<sender@client.test>', '250 ')

    # A wrong one is refused with the reason; the old one stays.
    relay.write_configuration(smtpd_banner='$myhostname ESMTP third', smtpd_timeout='soon')
    result = relay.command('reload')
    assert result.returncode == 1 and 'smtpd_timeout' in result.stdout + result.stderr
    relay.signal(1)
    relay.await_log('smtpd_timeout')
    assert banner() == '220 mx1.relay.test ESMTP second'
    talk.ask('RCPT TO:<editor@relay.test>', '250 ')
    talk.close()


def test_stop(network):
    relay, core = network.pair()
    process, relay.process = relay.process, None
    result = relay.command('stop')
    assert result.returncode == 0
    assert process.wait(places.patient(20)) == 0
    assert not places.is_listening(relay.port)
    relay.check_health()


@pytest.mark.long
def test_stop_with_open_connections(network):
    """SIGTERM while clients are connected, idle and in the middle: it ends in seconds, and cleanly."""
    relay, core = network.pair()
    idle, busy = Dialogue(relay.port), Dialogue(relay.port)
    for talk in (idle, busy):
        talk.reply()
        talk.ask('EHLO client.test', '250 ')
    busy.ask('MAIL FROM:<sender@client.test>', '250 ')
    busy.ask('RCPT TO:<editor@relay.test>', '250 ')
    busy.ask('DATA', '354 ')
    relay.stop()        # which does not wait for smtpd_timeout, five minutes
    idle.close()
    busy.close()


def test_two_servers_share_no_queue(network):
    """A second server on the same queue directory is refused, and says why."""
    relay = network.relay(places.free_port()).start()
    second = network.relay(places.free_port(), name='second',
                           main={'queue_directory': str(relay.directory / 'queue')})
    result = second.command('serve')
    assert result.returncode == 1
    assert 'queue' in result.stdout + result.stderr
    assert relay.queue_count() == 0


def test_port_in_use(network):
    relay = network.relay(places.free_port()).start()
    second = network.relay(places.free_port(), name='second', port=relay.port)
    result = second.command('serve')
    assert result.returncode == 1 and str(relay.port) in result.stdout + result.stderr


def test_what_strangers_see_of_a_core(network):
    """A client that is none of core_relays hears 554 before it can say MAIL; the relay is served."""
    core = network.core().start()
    stranger = Dialogue(core.port, source='127.0.0.2')
    stranger.send(b'EHLO stranger.test\r\nMAIL FROM:<a@stranger.test>\r\n')
    replies = []
    while True:
        reply = stranger.reply()
        if reply is None:
            break
        replies.append(reply[-1])
        if len(replies) == 3:
            break
    stranger.close()
    assert replies[0].startswith('554 '), replies
    assert 'hidden-core' not in replies[0]
    assert send(core.port)[0].startswith('250 ')
    core.await_maildir('relay.test/editor', 1)
