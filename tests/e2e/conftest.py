"""Fixtures of the end-to-end tests: real servers, real clients, one machine."""

import json
import os
import pathlib
import subprocess

import pytest

from harness import places
from harness.server import Server
from harness.sink import Sink

RELAY = {
    'smtpd_helo_required': 'yes',
    'relay_domains': 'hash:@DIR@/etc/relay_domains',
    'relay_recipient_maps': 'hash:@DIR@/etc/relay_recipients',
    'transport_maps': 'hash:@DIR@/etc/transport',
    'local_recipient_maps': '',
    'local_transport': 'error:no local delivery on this relay',
    'smtpd_relay_restrictions': 'permit_mynetworks, reject_unauth_destination',
    'smtpd_client_connection_count_limit': '0',
    # A test does not wait for minutes.
    'minimal_backoff_time': '1s',
    'maximal_backoff_time': '3s',
    'queue_run_delay': '1s',
}
CORE = {
    'myhostname': 'hidden-core.inside.test',
    'virtual_mailbox_domains': 'relay.test',
    'virtual_mailbox_base': '@DIR@/mail',
    'virtual_mailbox_maps': 'regexp:@DIR@/etc/mailboxes',
    'virtual_uid_maps': 'static:@UID@',
    'virtual_gid_maps': 'static:@GID@',
    'core_relays': '127.0.0.1',
    'smtpd_relay_restrictions': 'reject_unauth_destination',
    'smtpd_client_connection_count_limit': '0',
}
# Ten mailboxes for any number of users, by the last digit of their number.
NUMBERED = ''.join(f'/^([0-9]*{n}user|user[0-9]*{n})@relay\\.test$/ relay.test/box{n}/\n'
                   for n in range(10))


class Network:
    """A relay in front of a core. Both are stopped, and must end well, when the test is over."""

    def __init__(self):
        self.servers, self.sinks = [], []

    def core(self, name='core', main=None, **options):
        owner = places.user()
        server = Server(name, main=CORE, **options)
        server.words['@UID@'] = str(owner.pw_uid if owner else os.getuid())
        server.words['@GID@'] = str(owner.pw_gid if owner else os.getgid())
        server.write('mailboxes', '/^editor@relay\\.test$/ relay.test/editor/\n' + NUMBERED)
        mail = server.directory / 'mail'
        mail.mkdir()
        places.give(mail)
        server.write_configuration(**(main or {}))
        self.servers.append(server)
        return server

    def relay(self, next_hop, name='relay', main=None, **options):
        server = Server(name, main=RELAY, **options)
        server.write('relay_domains', 'relay.test OK\nother.test OK\n')
        server.write('relay_recipients', 'editor@relay.test OK\n@relay.test OK\n@other.test OK\n')
        server.write('transport', f'relay.test relay:[127.0.0.1]:{next_hop}\n'
                                  f'other.test relay:[127.0.0.1]:{next_hop}\n')
        server.write_configuration(**(main or {}))
        self.servers.append(server)
        return server

    def sink(self, **options):
        sink = Sink(**options)
        self.sinks.append(sink)
        return sink

    def pair(self, relay_main=None, core_main=None):
        core = self.core(main=core_main).start()
        return self.relay(core.port, main=relay_main).start(), core

    def done(self):
        failures = []
        for server in self.servers:
            try:
                server.stop()
            except AssertionError as error:
                failures.append(str(error))
            server.kill()
        for sink in self.sinks:
            sink.stop()
        assert not failures, '\n'.join(failures)


@pytest.fixture
def network(request):
    it = Network()
    try:
        yield it
        it.done()
    finally:
        for server in it.servers:
            server.kill()
            # What a failed test leaves for its reader.
            print(f'--- log of {server.name} ({server.directory})\n{server.log()[-5000:]}')


@pytest.fixture(scope='session')
def peers():
    """The directory of smtp-source and smtp-sink."""
    made = subprocess.run([places.SOURCE / 'tests' / 'peers'], check=True, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True)
    return pathlib.Path(made.stdout.strip()) / 'bin'


@pytest.fixture(scope='session')
def load():
    """load(port, arguments...): the benchmark's generator; gives what it printed."""
    binary = pathlib.Path(os.environ.get('FOREPOST', places.SOURCE / 'build' / 'forepost')).parent
    generator = binary / 'bench' / 'forepost-load'
    if not generator.exists():
        subprocess.run(['ninja', '-C', binary, 'bench/forepost-load'], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def start(port, *arguments):
        return subprocess.Popen([generator, *map(str, arguments), '127.0.0.1', str(port)],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def run(port, *arguments):
        process = start(port, *arguments)
        return json.loads(process.communicate(timeout=places.patient(300))[0])

    run.start = start
    run.generator = generator
    return run


@pytest.fixture
def swaks():
    """swaks(port, arguments...): its exit code and what it showed of the conversation."""

    def run(port, *arguments):
        # Its own greeting name: the machine's may be no full one.
        return subprocess.run(
            ['swaks', '--server', f'127.0.0.1:{port}', '--helo', 'client.test',
             '--from', 'sender@client.test', *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=places.patient(60))

    return run
