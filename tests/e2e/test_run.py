"""./run as a newcomer uses it: from a copy of the tree, with no terminal and no standard input."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.server import wait_gone


def descendants(pid):
    try:
        with open(f'/proc/{pid}/task/{pid}/children') as children:
            found = [int(p) for p in children.read().split()]
    except (FileNotFoundError, ProcessLookupError):     # run's own "sleep" comes and goes
        found = []
    return found + [p for child in found for p in descendants(child)]


def three_free_ports():
    """A port N such that N, N + 1 and N + 75 are free."""
    return places.free_port(beside=(1, 75))


class Demo:
    def __init__(self, tree, *arguments):
        self.tree = tree
        environment = {**os.environ, 'FOREPOST': str(places.program())}
        self.output = open(tree / 'output', 'w+')
        self.process = subprocess.Popen(
            [tree / 'run', *arguments], stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=subprocess.STDOUT, env=environment, start_new_session=True,
            # As from a terminal: who runs these tests in the background made us ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def said(self):
        return (self.tree / 'output').read_text()

    def await_ready(self):
        places.await_true(lambda: 'Ctrl-C ends everything' in self.said() or self.process.poll() is not None,
                          30, 'run is ready')
        assert self.process.poll() is None, self.said()

    def end(self, number):
        """Ends it by a signal; every process that it started must go."""
        started = descendants(self.process.pid)
        assert len(started) >= 3
        self.process.send_signal(number)
        code = self.process.wait(places.patient(30))
        assert wait_gone(started, 5), f'left behind: {started}'
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(places.patient(20))
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.output.close()


@pytest.fixture
def tree():
    """A copy of what ./run needs of the source tree."""
    path = places.new_directory('tree')
    shutil.copy(places.SOURCE / 'run', path / 'run')
    shutil.copytree(places.SOURCE / 'tools', path / 'tools')
    return path


@pytest.fixture
def demo(tree):
    started = []

    def start(*arguments):
        started.append(Demo(tree, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        print(one.said())


def command_from(text, word):
    """The command that run printed: the first indented line with this word in it."""
    return next(line for line in text.splitlines() if line.startswith('  ') and word in line)


def mailbox(tree, port):
    return tree / 'build' / f'demo-{port}' / 'mail' / 'o3magazine.com' / 'editor' / 'new'


def await_mail(directory, count):
    places.await_true(lambda: directory.is_dir() and len(list(directory.iterdir())) >= count, 10,
                      f'{count} messages in {directory}')
    found = sorted(directory.iterdir(), key=lambda f: f.stat().st_mtime_ns)
    assert len(found) == count
    return found[-1].read_bytes().decode()


@pytest.mark.long
def test_the_first_message(demo, tree):
    port = three_free_ports()
    network = demo('--port', str(port))
    network.await_ready()

    # As it was printed, but for the name in HELO, which is this machine's.
    command = command_from(network.said(), 'swaks')
    result = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=places.patient(60))
    assert result.returncode == 0, result.stdout

    text = await_mail(mailbox(tree, port), 1)
    header = text.partition('\n\n')[0] + '\n'
    assert header.startswith('Return-Path: <you@example.com>\n')
    assert re.search('^Delivered-To: editor@o3magazine.com$', header, re.M)
    received = re.findall(r'^Received: .*(?:\n[ \t].*)*', header, re.M)
    assert len(received) == 2, header
    assert 'by o3magazine.com ' in received[0]      # the core shows the domain, not itself
    assert 'by mx1.o3magazine.com' in received[1]
    # Whoever answers or forwards it shows its header: the core is not in there.
    assert 'hidden' not in text and f':{port + 75}' not in text

    # The same by nothing but a shell, through the other relay.
    lines = network.said().splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith('  { sleep'))
    # (A reader's machine is not as busy as this one may be: a second between the steps is enough there.)
    command = '\n'.join(lines[begin:begin + 4]).replace(f'127.0.0.1 {port}', f'127.0.0.1 {port + 1}')
    command = command.replace('sleep 1;', 'sleep 4;')
    result = subprocess.run(['bash', '-c', command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            text=True, timeout=places.patient(60))
    assert '250 2.0.0 Ok: queued as' in result.stdout, result.stdout
    assert 'by mx2.o3magazine.com' in await_mail(mailbox(tree, port), 2)

    # An alias on the core.
    assert subprocess.run(
        ['swaks', '--server', f'127.0.0.1:{port}', '--helo', 'client.test', '--from', 'a@client.test',
         '--to', 'support@o3magazine.com'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 0
    await_mail(mailbox(tree, port).parents[1] / 'helpdesk' / 'new', 1)

    assert network.end(signal.SIGTERM) == 0


def test_what_is_refused(demo, swaks):
    port = three_free_ports()
    network = demo('--port', str(port))
    network.await_ready()

    refused = swaks(port, '--to', 'nobody@o3magazine.com')
    assert refused.returncode != 0
    assert '<** 550 5.1.1 <nobody@o3magazine.com>: Recipient address rejected' in refused.stdout

    refused = swaks(port, '--to', 'someone@elsewhere.example')
    assert '<** 554 5.7.1 <someone@elsewhere.example>: Relay access denied' in refused.stdout

    for subject in ('win at the casino', '=?big5?B?pOWkpA==?='):
        refused = swaks(port, '--to', 'editor@o3magazine.com', '--header', f'Subject: {subject}')
        assert refused.returncode != 0
        # The refusal answers the final dot.
        assert re.search(r'^ -> \.\n<\*\* 550 5\.7\.1 ', refused.stdout, re.M), refused.stdout

    # No reply of a relay shows the core.
    talk = Dialogue(port)
    talk.reply()
    for command in ('EHLO client.test', 'HELP', 'VRFY editor@o3magazine.com', 'MAIL FROM:<a@client.test>',
                    'RCPT TO:<editor@o3magazine.com>', 'RCPT TO:<nobody@o3magazine.com>', 'QUIT'):
        talk.send(command.encode() + b'\r\n')
        talk.reply()
    talk.close()
    everything = '\n'.join(talk.transcript)
    assert 'hidden' not in everything and str(port + 75) not in everything

    assert network.end(signal.SIGINT) == 0


def test_it_can_be_run_again(demo, tree):
    port = three_free_ports()
    first = demo('--port', str(port))
    first.await_ready()

    second = demo('--port', str(port))
    assert second.process.wait(places.patient(20)) != 0
    assert f'port {port} is in use' in second.said()
    assert first.process.poll() is None

    # What a person changed stays.
    config = tree / 'build' / f'demo-{port}' / 'relay1' / 'main.cf'
    config.write_text(config.read_text().replace('ESMTP $mail_name', 'ESMTP mine'))
    assert first.end(signal.SIGTERM) == 0
    again = demo('--port', str(port))
    again.await_ready()
    talk = Dialogue(port)
    assert talk.reply() == ['220 mx1.o3magazine.com ESMTP mine']
    talk.close()
    assert again.end(signal.SIGTERM) == 0

    fresh = demo('--port', str(port), '--fresh')
    fresh.await_ready()
    assert 'mine' not in config.read_text()
    assert fresh.end(signal.SIGTERM) == 0


def test_a_server_that_dies_ends_it_all(demo):
    port = three_free_ports()
    network = demo('--port', str(port))
    network.await_ready()
    with open(f'/proc/{network.process.pid}/task/{network.process.pid}/children') as children:
        servers = [int(pid) for pid in children.read().split()]
    everything = descendants(network.process.pid)
    os.kill(servers[0], signal.SIGKILL)
    assert network.process.wait(places.patient(30)) != 0
    assert 'ended by itself' in network.said()
    assert wait_gone(everything, 5), 'something was left behind'


def test_it_names_what_it_does_not_understand(tree):
    for arguments, said in ((['--port'], '--port wants a number'), (['--port', 'x'], 'not \'x\''),
                            (['--prot', '1'], 'unknown option'), (['--port', '70000'], '1 to 65460')):
        result = subprocess.run([tree / 'run', *arguments], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert result.returncode != 0 and said in result.stdout


def test_who_runs_it(demo, tree):
    """Started by root, the part that speaks with the world is an ordinary user; else it is who we are."""
    port = three_free_ports()
    network = demo('--port', str(port))
    network.await_ready()
    owners = []
    for pid in descendants(network.process.pid):
        try:
            with open(f'/proc/{pid}/status') as file:
                status = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if status.startswith('Name:\tforepost\n'):
            owners.append(int(re.search(r'^Uid:\s+(\d+)', status, re.M).group(1)))
    if os.getuid() == 0:
        # Three supervisors stay root; their workers do not.
        assert owners.count(0) <= 3 and len(owners) - owners.count(0) >= 3, owners
    else:
        assert set(owners) == {os.getuid()}
    assert network.end(signal.SIGTERM) == 0
