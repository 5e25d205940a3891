"""Tables that real servers keep: what they say, and that nobody is refused or let in wrongly while they are down."""

import os
import random
import re
import signal
import socket
import threading
import time

import pytest

from harness.database import MariaDB, Postgres, Slapd
from harness import places
from harness.places import await_true

USERS = 200
TABLES = {
    'users': {'editor@relay.test': 'OK', "o'neil@relay.test": 'OK',
              **{f'user{n}@relay.test': 'OK' for n in range(USERS)}},
    'domains': {'relay.test': 'OK'},
}
LIMITS = {
    'smtpd_hard_error_limit': '1000000',
    'smtpd_soft_error_limit': '1000000',
    'smtpd_junk_command_limit': '1000000',
    'smtpd_error_sleep_time': '0',
    'table_timeout': '30s',     # a busy machine is no dead server
    'table_cache_ttl': '1s',
    'table_cache_negative_ttl': '1s',
}


@pytest.fixture(params=[Postgres, MariaDB, Slapd], ids=lambda kind: kind.name)
def database(request):
    it = request.param(TABLES)
    try:
        yield it.start()
    finally:
        it.done()


def relay_of(network, database, **main):
    """A relay whose domains and recipients the database knows."""
    relay = network.relay(1, name='relay-' + database.name)
    for table in TABLES:
        relay.write(table + '.cf', database.settings(table))
    path = f'{database.type}:{relay.etc}'
    relay.write_configuration(**{**LIMITS, 'relay_domains': f'proxy:{path}/domains.cf',
                                 'relay_recipient_maps': f'{path}/users.cf', **main})
    return relay.start()


class Client:
    """One session that only asks who may get mail."""

    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port), places.patient(30))
        self.file = self.socket.makefile('rwb')
        self.reply()
        self.ask('EHLO client.test')

    def reply(self):
        while True:
            line = self.file.readline().decode()
            assert line, 'the connection is lost'
            if line[3] == ' ':
                return line.rstrip()

    def ask(self, command):
        self.file.write(command.encode() + b'\r\n')
        self.file.flush()
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()

    def recipient(self, address):
        self.ask('RSET')
        assert self.ask('MAIL FROM:<sender@client.test>').startswith('250')
        return self.ask(f'RCPT TO:<{address}>')


def test_look_ups(network, database):
    relay = relay_of(network, database)
    client = Client(relay.port)
    try:
        look_ups(client)
    finally:
        client.close()
    table = f'{database.type}:{relay.etc}/users.cf'
    assert relay.command('map', 'query', table, 'editor@relay.test').stdout == 'OK\n'
    assert relay.command('map', 'query', table, 'x@relay.test').returncode == 1
    # a wrong password says so, without it
    relay.write('wrong.cf', database.settings('users').replace('4 me', '5 me'))
    wrong = relay.command('map', 'query', f'{database.type}:{relay.etc}/wrong.cf', 'x')
    assert wrong.returncode == 1 and wrong.stderr and '5 me' not in wrong.stderr
    assert '4 me' not in relay.log()


def look_ups(client):
    for known in ('editor@relay.test', 'EDITOR@Relay.Test', "o'neil@relay.test", 'user7@relay.test'):
        assert client.recipient(known).startswith('250'), known
    for unknown in ('nobody@relay.test', "x'or'1'='1@relay.test", '*@relay.test', 'user*@relay.test',
                    '"a)(mail=*"@relay.test', '"\\\\"@relay.test'):
        assert client.recipient(unknown).startswith('550 5.1.1'), unknown
    assert client.recipient('editor@elsewhere.test').startswith('554')


class Groups(Slapd):
    """A group with members, one of which is a group, an address of its own, and a URL."""
    extra = (
        'dn: cn=all,dc=test\nobjectClass: groupOfNames\nobjectClass: extensibleObject\ncn: all\n'
        'mail: all@relay.test\nemployeeType: list@else.test\nmember: uid=0,ou=users,dc=test\n'
        'member: cn=some,dc=test\nmember: cn=gone,dc=test\n',
        'dn: cn=some,dc=test\nobjectClass: groupOfNames\nobjectClass: extensibleObject\ncn: some\n'
        'mail: some@relay.test\nmember: uid=1,ou=users,dc=test\n'
        'labeledURI: ldap:///ou=users,dc=test?mail?one?(mail=user2@relay.test)\n',
        'dn: cn=circle,dc=test\nobjectClass: groupOfNames\nobjectClass: extensibleObject\ncn: circle\n'
        'mail: circle@relay.test\nmember: cn=circle,dc=test\n')


@pytest.fixture(params=[Postgres, MariaDB, Slapd], ids=lambda kind: kind.name)
def secure_database(request):
    it = request.param({'users': {'editor@relay.test': 'OK'}}, has_tls=True)
    try:
        yield it.start()
    finally:
        it.done()


def test_tls_to_the_server(network, secure_database):
    """By TLS with its authority; not in the clear, nor when nobody vouches for it: then the reason is told."""
    database = secure_database
    relay = network.relay(1, name='relay-tls-' + database.name)

    def ask(settings):
        relay.write('users.cf', settings)
        return relay.command('map', 'query', f'{database.type}:{relay.etc}/users.cf', 'editor@relay.test')

    good = ask(database.tls_settings('users', database.certificate))
    assert good.stdout == 'OK\n', good.stderr
    clear = ask(database.settings('users'))
    assert clear.returncode == 1 and clear.stderr and 'OK' not in clear.stdout
    wrong = ask(database.tls_settings('users', database.make_certificate('other')))
    assert wrong.returncode == 1 and 'OK' not in wrong.stdout
    assert re.search('certificate|TLS|SSL', wrong.stderr), wrong.stderr
    missing = ask(database.tls_settings('users', '/nowhere.pem'))
    assert missing.returncode == 1 and missing.stderr
    assert '4 me' not in good.stderr + clear.stderr + wrong.stderr + missing.stderr


def test_the_second_host_answers(network, database):
    """The first of two hosts is dead from the start, or dies: the other one answers, and nobody is refused."""
    port = places.free_port()
    relay = network.relay(1, name='relay-two-' + database.name)
    live = f'127.0.0.1:{database.port}'
    prefix = 'ldap://' if database.type == 'ldap' else ''

    def settings(table, *ports):
        hosts = ' '.join(f'{prefix}127.0.0.1:{port}' for port in ports)
        return database.settings(table).replace(prefix + live, hosts, 1)

    for name, ports in (('first', (port, database.port)), ('last', (database.port, port)), ('none', (port, port))):
        relay.write(name + '.cf', settings('users', *ports))
        found = relay.command('map', 'query', f'{database.type}:{relay.etc}/{name}.cf', 'user1@relay.test')
        assert found.stdout == ('' if name == 'none' else 'OK\n'), found.stderr
        assert found.returncode == (name == 'none')
    assert 'none.cf' in found.stderr

    second = type(database)(TABLES)
    try:
        second.start()
        for table in TABLES:
            relay.write(table + '.cf', settings(table, database.port, second.port))
        path = f'{database.type}:{relay.etc}'
        relay.write_configuration(**LIMITS, relay_domains=f'{path}/domains.cf',
                                  relay_recipient_maps=f'{path}/users.cf')
        relay.start()
        client = Client(relay.port)
        assert client.recipient('user1@relay.test').startswith('250')
        database.stop(signal.SIGKILL)
        for n in range(20, 60):
            assert client.recipient(f'user{n}@relay.test').startswith('250')
            assert client.recipient(f'nobody{n}@relay.test').startswith('550 5.1.1')
        client.close()
    finally:
        second.done()


def test_a_reload_forgets_nothing_of_a_server_that_is_down(network, database):
    relay = relay_of(network, database)
    client = Client(relay.port)
    assert client.recipient('user1@relay.test').startswith('250')
    client.close()
    database.stop(signal.SIGKILL)
    assert relay.command('reload').returncode == 0
    client = Client(relay.port)
    # table_cache_ttl may be over or not: who was found is welcome, of all others nobody knows
    for _ in range(3):
        assert client.recipient('user1@relay.test').startswith('250')
        assert client.recipient('user2@relay.test').startswith('451')
    client.close()
    # with other settings it is another table
    relay.write('users.cf', database.settings('users') + '# another\n' +
                ('expansion_limit = 77\n' if database.type != 'ldap' else 'size_limit = 77\n'))
    assert relay.command('reload').returncode == 0
    client = Client(relay.port)
    assert client.recipient('user1@relay.test').startswith('451')
    client.close()


def test_groups_in_ldap(network):
    users = {f'user{n}@relay.test': f'box{n}@core.test' for n in range(3)}
    database = Groups({'users': users})
    try:
        database.start()
        relay = network.relay(1)
        base = database.settings('users').replace('ou=users,dc=test', 'dc=test')

        def ask(key, settings):
            relay.write('groups.cf', base.replace('result_attribute = employeeType\n', '') + settings)
            return relay.command('map', 'query', f'ldap:{relay.etc}/groups.cf', key)

        special = 'special_result_attribute = member, labeledURI\n'
        both = 'result_attribute = employeeType\n' + special
        leaves = 'result_attribute =\nleaf_result_attribute = employeeType\n' + special
        assert ask('user1@relay.test', both).stdout == 'box1@core.test\n'
        assert ask('all@relay.test', both).stdout == \
            'list@else.test,box0@core.test,box1@core.test,box2@core.test\n'
        assert ask('all@relay.test', leaves).stdout == 'box0@core.test,box1@core.test,box2@core.test\n'
        terminal = leaves + 'terminal_result_attribute = employeeType\n'
        assert ask('all@relay.test', terminal).stdout == 'list@else.test\n'
        assert ask('some@relay.test', terminal).stdout == 'box1@core.test,box2@core.test\n'
        assert ask('some@relay.test', leaves + 'result_format = <%u>\n').stdout == '<box1>,<box2>\n'
        for limit in ('expansion_limit = 2\n', 'recursion_limit = 1\n'):
            refused = ask('all@relay.test', leaves + limit)
            assert refused.returncode == 1 and 'limit' in refused.stderr
        assert 'recursion_limit' in ask('circle@relay.test', leaves).stderr
        assert ask('gone@relay.test', leaves).returncode == 1
    finally:
        database.done()


class Load:
    """Sessions that ask for known and unknown users all the time, and what they were told."""

    def __init__(self, port, threads=6):
        self.replies = {True: [], False: []}    # known: (time, reply)
        self.errors, self.is_over = [], False
        self.threads = [threading.Thread(target=self.run, args=(port, n)) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, port, seed):
        chance = random.Random(seed)
        try:
            client = Client(port)
            while not self.is_over:
                known = chance.random() < 0.5
                name = f'user{chance.randrange(USERS)}' if known else f'x{chance.randrange(10**9)}'
                reply = client.recipient(name + '@relay.test')
                self.replies[known].append((time.monotonic(), reply))
            client.close()
        except Exception as error:      # a thread has no other way to fail
            self.errors.append(error)

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join(places.patient(60))
        assert not self.errors, self.errors

    def since(self, start, known):
        return [reply for when, reply in self.replies[known] if when >= start]


@pytest.mark.long
@pytest.mark.parametrize('how', ['stopped', 'hanging'])
def test_server_goes_away_under_load(network, database, how):
    relay = relay_of(network, database, table_timeout='2s')
    load = Load(relay.port)
    try:
        await_true(lambda: len(load.replies[True]) > 100 and len(load.replies[False]) > 100, 10,
                   'replies while all is well')
        down = time.monotonic()
        if how == 'stopped':
            database.stop(signal.SIGKILL)
        else:
            database.hang()
        await_true(lambda: any(r.startswith('4') for r in load.since(down, False)), 10,
                   'a temporary refusal while it is down')
        # Who was found lately is still welcome.
        await_true(lambda: any(r.startswith('250') for r in load.since(time.monotonic() - 0.3, True)), 10,
                   'a known user while it is down')
        time.sleep(0.5)
        if how == 'hanging':
            database.stop(signal.SIGKILL)
        database.start()
        up = time.monotonic()
        await_true(lambda: any(r.startswith('550') for r in load.since(up, False)), 15,
                   'an unknown user refused for good when it is back')
    finally:
        load.stop()
    known = [reply for _, reply in load.replies[True]]
    unknown = [reply for _, reply in load.replies[False]]
    assert not [r for r in known if not r.startswith(('250', '4'))][:3], 'a wrong 5xx'
    assert not [r for r in unknown if not r.startswith(('550', '4'))][:3], 'a stranger was accepted'
    relay.await_log('cannot be asked')
    relay.await_log('answers again')
    log = relay.log()
    assert database.settings('users').split('password = ')[-1].split('\n')[0] not in log
    print(f'{database.name} {how}: {len(known)} known, {len(unknown)} unknown, '
          f'{sum(r.startswith("4") for r in known + unknown)} temporary')


@pytest.mark.parametrize('kind', ['cdb', 'lmdb'])
def test_a_mapped_file_is_cut_short_under_load(network, kind):
    """In place, again and again: who exists is never refused for good, and the worker lives on."""
    relay = network.relay(1)
    relay.write('users', ''.join(f'user{n}@relay.test OK\n' for n in range(5000)))
    places.give(relay.etc)     # who builds the table is the same user
    table = f'{kind}:{relay.etc}/users'
    built = relay.command('map', 'build', table)
    if 'not built in' in built.stderr:
        pytest.skip(f'built without {kind}')
    assert built.returncode == 0, built.stderr
    path = relay.etc / f'users.{kind}'
    relay.write_configuration(**LIMITS, relay_domains='relay.test', relay_recipient_maps=table)
    relay.start()
    worker = relay.children()[0]
    load = Load(relay.port, threads=3)

    def await_replies(code, unknown_code):
        start = time.monotonic()
        await_true(lambda: any(r.startswith(code) for r in load.since(start, True)) and
                   any(r.startswith(unknown_code) for r in load.since(start, False)), 20, f'replies {code}')

    try:
        for cut in (0, 0.01, 0.5, 0.9):
            await_replies('250', '550')
            os.truncate(path, int(path.stat().st_size * cut))
            await_replies('451', '451')
            assert relay.command('map', 'build', table).returncode == 0
        await_replies('250', '550')
    finally:
        load.stop()
    assert relay.children()[0] == worker
    known = {reply[:3] for _, reply in load.replies[True]}
    unknown = {reply[:3] for _, reply in load.replies[False]}
    assert known == {'250', '451'} and unknown == {'550', '451'}, (known, unknown)
    assert 'cut short while it was in use' in relay.log()
