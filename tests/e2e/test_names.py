"""The names that scripts call, on a server that runs: mailq, postqueue, postsuper, postmap, postcat, postlog."""

import json
import os
import re
import smtplib
import socket
import subprocess

import pytest

from harness import places
from harness.names import Names, real
from harness.places import await_true
from harness.postfix import Postfix
from test_outage import send

MAILQ = re.compile(r'^(?P<id>[0-9A-Za-z]{8,20})(?P<mark>[*!#]?) +(?P<size>\d+) (?P<time>\w{3} \w{3} [ \d]\d [\d:]{8}) +(?P<sender>\S+)$')


@pytest.fixture
def relay(network):
    """Its next hop is down, so that mail stays in the queue."""
    relay = network.relay(places.free_port(), main={'minimal_backoff_time': '1000s', 'maximal_backoff_time': '1000s'})
    return relay.start()


@pytest.fixture
def names(relay):
    return Names(relay.etc, user=None if relay.as_root else places.user())


def ids_of(relay, count):
    send(relay.port, count=count)
    await_true(lambda: len(re.findall('status=deferred', relay.log())) >= count, 10, 'deferred')
    relay.await_no_attempt()
    return [m['queue_id'] for m in listing(relay)]


def listing(relay):
    return [json.loads(line) for line in relay.command('queue', 'list', '--json').stdout.splitlines()]


def test_mailq(relay, names):
    assert names('mailq').stdout == 'Mail queue is empty\n'
    assert names('postqueue', '-p').stdout == 'Mail queue is empty\n'
    assert names('postqueue', '-j').stdout == ''
    ids = ids_of(relay, 2)
    lines = names('mailq').stdout.splitlines()
    assert lines[0] == '----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------'
    heads = [m for m in map(MAILQ.match, lines) if m]
    assert sorted(m['id'] for m in heads) == sorted(ids)
    assert re.fullmatch(r'-- \d+ Kbytes in 2 Requests\.', lines[-1])
    # what scripts rely on: reasons in parentheses, recipients indented, an empty line behind each message
    assert not [l for l in lines[1:-1] if l and not MAILQ.match(l) and not re.match(r' +\(.*\)$| +\S+@\S+$', l)]
    assert 'next attempt' not in '\n'.join(lines)
    found = [json.loads(line) for line in names('postqueue', '-j').stdout.splitlines()]
    assert {m['queue_id'] for m in found} == set(ids)
    for m in found:
        assert {'queue_name', 'arrival_time', 'message_size', 'forced_expire', 'sender', 'recipients'} <= set(m)
    # the well-known one-liner of postsuper(1)
    text = '\n'.join(lines[1:])
    assert sorted(re.sub('[*!]', '', block.split()[0]) for block in text.split('\n\n')[:-1]) == sorted(ids)
    relay.stop()
    assert sorted(m['id'] for m in map(MAILQ.match, names('mailq').stdout.splitlines()) if m) == sorted(ids)


def test_postsuper(relay, names):
    ids = ids_of(relay, 4)
    done = names('postsuper', '-h', ids[0])
    assert done.stderr == f'postsuper: {ids[0]}: placed on hold\npostsuper: Placed on hold: 1 message\n'
    assert next(m for m in listing(relay) if m['queue_id'] == ids[0])['queue_name'] == 'hold'
    assert f'{ids[0]}!' in names('mailq').stdout
    done = names('postsuper', '-H', ids[0])
    assert done.stderr.endswith('postsuper: Released from hold: 1 message\n')
    done = names('postsuper', '-h', '-', input=f'{ids[1]}\n  {ids[2]}  \n\nnot an id\n')
    assert 'Placed on hold: 2 messages' in done.stderr and 'invalid mail queue id' in done.stderr
    done = names('postsuper', '-d', 'ALL', 'hold')
    assert done.stderr == 'postsuper: Deleted: 2 messages\n' and done.returncode == 0
    assert {m['queue_id'] for m in listing(relay)} == {ids[0], ids[3]}
    assert names('postsuper', '-d', '4nothing0here').stderr == 'postsuper: Deleted: 0 messages\n'
    done = names('postsuper', '-r', ids[3])
    assert done.stderr.endswith('postsuper: Requeued: 1 message\n')
    relay.await_no_attempt()
    assert names('postsuper', '-d', 'ALL', 'nowhere').returncode == 1
    assert names('postsuper', '-p', '-s').returncode == 0
    assert names('postsuper', '-e', ids[3], 'hold').stderr == 'postsuper: Force-expired: 0 messages\n'
    assert 'Deleted: 2 messages' in names('postsuper', '-d', 'ALL').stderr
    assert listing(relay) == []
    relay.stop()
    assert names('postsuper', '-d', 'ALL').returncode == 1


def test_expired_by_hand(relay, names):
    """It survives a restart; one on hold waits for its release; the bounce shows nothing that a core may have said."""
    for name in ('editor', 'boss'):     # their bounces wait for the same next hop
        with smtplib.SMTP('127.0.0.1', relay.port, timeout=places.patient(10), local_hostname='client.test') as client:
            client.sendmail(f'{name}@relay.test', [f'{name}@relay.test'], 'Subject: x\n\nhi\n')
    await_true(lambda: len(re.findall('status=deferred', relay.log())) >= 2, 10, 'deferred')
    relay.await_no_attempt()
    first, second = [m['queue_id'] for m in listing(relay)]
    assert names('postsuper', '-h', second).returncode == 0
    done = names('postsuper', '-e', first, '-e', second)
    assert done.stderr == (f'postsuper: {first}: expired\npostsuper: {second}: expired\n'
                           'postsuper: Force-expired: 2 messages\n')
    assert names('postsuper', '-e', '-', input=f'{first}\nxx yy\n').stderr == (
        'postsuper: warning: invalid mail queue id: xx yy\npostsuper: Force-expired: 0 messages\n')
    relay.stop()
    assert f'{first}#' in names('mailq').stdout and f'{second}!#' in names('mailq').stdout
    relay.start()
    assert {m['queue_id']: m['forced_expire'] for m in listing(relay)} == {first: True, second: True}
    assert 'forced_expire: yes' in relay.command('queue', 'show', first).stdout
    assert names('postqueue', '-f').returncode == 0
    relay.await_log(rf'{first}: from=<.*>, status=force-expired, returned to sender')
    bounce = relay.await_log(rf'{first}: sender non-delivery notification: (\w+)').group(1)
    relay.await_log(rf'{first}: removed')
    shown = relay.command('queue', 'show', bounce).stdout.partition('Subject: Undelivered')[2]
    assert 'message is administratively expired' in shown and 'Status: 4.4.7' in shown and 'refused' not in shown.lower()
    assert second in {m['queue_id'] for m in listing(relay)}
    done = names('postsuper', '-f', second)
    assert done.stderr == (f'postsuper: {second}: released from hold\npostsuper: Force-expired: 0 messages\n'
                           'postsuper: Released from hold: 1 message\n')
    relay.await_log(rf'{second}: removed')


def test_expired_while_it_is_delivered(network):
    """Its attempt fails: there is no other."""
    with socket.create_server(('127.0.0.1', 0)) as silent:
        relay = network.relay(silent.getsockname()[1]).start()
        send(relay.port)
        queue_id, = await_true(lambda: re.findall(r'qmgr\[\d+\]: (\w+): .*queue active', relay.log()), 10, 'it is tried')
        hung, _ = silent.accept()
        assert '1 message given up' in relay.command('queue', 'expire', queue_id).stderr
        assert f'{queue_id}*#' in relay.command('queue', 'list', '--mailq').stdout
        hung.close()
    relay.await_log(rf'{queue_id}: to=<.*status=deferred')
    relay.await_log(rf'{queue_id}: from=<.*>, status=force-expired, returned to sender')
    relay.await_log(rf'{queue_id}: removed')
    relay.stop()


def test_flush(relay, names):
    ids = ids_of(relay, 2)

    def attempts():
        return {m['queue_id']: m['attempts'] for m in listing(relay)}

    before = attempts()
    assert names('postqueue', '-i', ids[0]).returncode == 0
    await_true(lambda: attempts()[ids[0]] > before[ids[0]], 10, 'one was tried')
    relay.await_no_attempt()
    assert attempts()[ids[1]] == before[ids[1]]
    before = attempts()
    done = names('postqueue', '-f')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    await_true(lambda: all(attempts()[i] > before[i] for i in ids), 10, 'all were tried')
    relay.await_no_attempt()
    before = attempts()
    assert names('postqueue', '-s', 'relay.test').returncode == 0
    await_true(lambda: all(attempts()[i] > before[i] for i in ids), 10, 'those for the site were tried')
    assert names('postqueue', '-s', 'elsewhere.test').returncode == 0
    for wrong in (['-i', 'no id'], ['-s', 'no site'], ['-p', '-f'], [], ['-x'], ['-p', 'word']):
        assert names('postqueue', *wrong).returncode in (64, 65), wrong
    relay.stop()
    assert names('postqueue', '-f').returncode == 69


def test_postcat_and_postlog(relay, names):
    queue_id = ids_of(relay, 1)[0]
    shown = names('postcat', '-q', queue_id)
    assert shown.returncode == 0 and 'Received:' in shown.stdout
    assert names('postcat', '/var/spool/postfix/deferred/x').returncode == 1
    assert names('postlog', '-t', 'backup', '-p', 'warn', 'the disk is', 'full').returncode == 0
    relay.await_log(r'postfix/backup\[\d+\]: warning: the disk is full$')
    names('postlog', input='one\ntwo\n')
    relay.await_log(r'postfix/postlog\[\d+\]: two$')


# ---- postmap: what Debian's says beside ours ----

TABLE = 'user@relay.test OK\nUPPER@Relay.test  two  words \n# comment\n\n  continued\n"quoted key" value\nlast x\n'


@pytest.mark.parametrize('kind', ['hash', 'btree', 'texthash'])
def test_postmap_answers_as_debians(tmp_path, kind):
    names = Names(tmp_path)
    (tmp_path / 'main.cf').write_text('')
    table = tmp_path / 'table'
    table.write_text(TABLE)
    if kind != 'texthash':
        assert real('postmap', '-c', tmp_path, f'{kind}:{table}').returncode == 0
        made = names('postmap', f'{kind}:{table}')
        assert (made.returncode, made.stdout) == (0, '')
    for arguments in (['-q', 'user@relay.test'], ['-q', 'upper@relay.test'], ['-q', 'LAST'], ['-q', 'none'],
                      ['-q', '-']):
        both = [program('postmap', '-c', tmp_path, *arguments, f'{kind}:{table}', input='last\nnone\nUser@relay.test\n')
                for program in (names, real)]
        assert both[0].stdout == both[1].stdout and both[0].returncode == both[1].returncode, arguments
    both = [program('postmap', '-c', tmp_path, '-s', f'{kind}:{table}').stdout for program in (names, real)]
    assert sorted(both[0].splitlines()) == sorted(both[1].splitlines())


@pytest.mark.long
def test_postmap_patterns_and_mistakes(tmp_path):
    names = Names(tmp_path)
    (tmp_path / 'main.cf').write_text('')
    (tmp_path / 'checks').write_text('/^Subject: .*a.*b/ REJECT folded\n/^x-spam: / IGNORE\n/^body line/ WARN seen\n')
    (tmp_path / 'nets').write_text('192.0.2.0/24 inside\n')
    message = 'From: x\nSubject: an a\n b\nX-Spam: yes\n\nbody line\nX-Spam: no header\n'
    for arguments in (['-hq', '-'], ['-bq', '-'], ['-q', '-']):
        both = [program('postmap', '-c', tmp_path, *arguments, f'regexp:{tmp_path}/checks', input=message).stdout
                for program in (names, real)]
        assert both[0] == both[1], arguments
    for spec, key in ((f'cidr:{tmp_path}/nets', '192.0.2.7'), ('static:any', 'x'), ('inline:{a=b}', 'a')):
        both = [program('postmap', '-c', tmp_path, '-q', key, spec) for program in (names, real)]
        assert both[0].stdout == both[1].stdout != '', spec
    for arguments in ([f'cidr:{tmp_path}/nets'], [f'hash:{tmp_path}/none'], [], ['-q', 'x', 'bogus:x'],
                      ['-s', f'cidr:{tmp_path}/nets']):
        both = [program('postmap', '-c', tmp_path, *arguments) for program in (names, real)]
        assert both[0].returncode == both[1].returncode == 1, arguments
        assert both[0].stderr.startswith('postmap: fatal: '), both[0].stderr


def test_aliases(tmp_path):
    names = Names(tmp_path)
    (tmp_path / 'aliases').write_text('root: admin, other\npostmaster: root\n')
    (tmp_path / 'main.cf').write_text(f'alias_database = hash:{tmp_path}/aliases\n')
    done = names('newaliases')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    assert names('postalias', f'{tmp_path}/aliases').returncode == 0
    assert names('postalias', '-q', 'ROOT', f'{tmp_path}/aliases').stdout == 'admin, other\n'
    assert names('postalias', '-q', 'none', f'{tmp_path}/aliases').returncode == 1
    (tmp_path / 'main.cf').write_text(f'alias_database = hash:{tmp_path}/nowhere\n')
    assert names('newaliases').returncode != 0


# ---- the real mailq and postsuper on a real queue ----

TIMES = re.compile(r'\w{3} \w{3} [ \d]\d [\d:]{8}')


def fill(port):
    """Two messages that stay: one with two recipients, one from nobody."""
    with smtplib.SMTP('127.0.0.1', port, timeout=places.patient(10), local_hostname='client.test') as client:
        client.sendmail('a@client.test', ['x@relay.test', 'y@relay.test'], 'Subject: x\n\nhi\n')
        client.sendmail('', ['x@relay.test'], 'Subject: y\n\nhi\n')


def normal(text, ids):
    """Without what no two servers have in common: ids, times and sizes."""
    for number, queue_id in enumerate(ids):
        text = text.replace(queue_id, f'<{number}>')
    text = re.sub(r'^(<\d>[*!]?) +\d+ ', r'\1 SIZE ', text, flags=re.M)
    return TIMES.sub('TIME', text)


@pytest.mark.skipif(os.geteuid() != 0, reason='chroot needs root')
def test_listing_and_postsuper_as_debians(network):
    dead = places.free_port()
    main = {'myhostname': 'mx1.relay.test', 'mydestination': '', 'relay_domains': 'relay.test',
            'transport_maps': f'inline:{{relay.test=relay:[127.0.0.1]:{dead}}}', 'mynetworks': '127.0.0.0/8',
            'inet_interfaces': '127.0.0.1', 'inet_protocols': 'ipv4', 'compatibility_level': '3.6',
            'enable_long_queue_ids': 'yes', 'smtpd_peername_lookup': 'no', 'minimal_backoff_time': '1000s'}
    theirs = Postfix('names', main, {}, '127.0.0.1:@PORT@ inet n - n - - smtpd\n', {})
    try:
        theirs.start()
        relay = network.relay(dead, main={**main, 'relay_recipient_maps': ''}).start()
        ours = Names(relay.etc, user=None if relay.as_root else places.user())

        def run(program, *arguments):
            done = subprocess.run(['chroot', theirs.root, f'/usr/sbin/{program}', '-c', theirs.inside / 'etc', *arguments],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=places.patient(20))
            return done

        listings, ids = [], []
        for port, program in ((theirs.port, run), (relay.port, ours)):
            fill(port)

            def found():
                lines = [json.loads(l) for l in program('postqueue', '-j').stdout.splitlines()]
                return sorted(lines, key=lambda m: m['sender'] == 'MAILER-DAEMON') \
                    if len(lines) == 2 and all(m['queue_name'] == 'deferred' for m in lines) else None

            messages = await_true(found, 20, 'two messages wait')
            ids.append([m['queue_id'] for m in messages])
            text = normal(program('postqueue', '-p').stdout, ids[-1])
            blocks = text.splitlines()[0], sorted(text.partition('\n')[2].split('\n\n'))
            listings.append(json.loads(json.dumps(blocks).replace(str(dead), 'PORT')))
            for m in messages:
                assert [r['address'] for r in m['recipients']] == \
                    (['x@relay.test'] if m['sender'] == 'MAILER-DAEMON' else ['x@relay.test', 'y@relay.test'])
        assert listings[0] == listings[1]
        for arguments in (['-h', 'ID'], ['-h', 'ID'], ['-H', 'ID'], ['-h', 'ALL'], ['-H', 'ALL'], ['-d', 'ID'],
                          ['-h', 'ID'], ['-e', 'ID'], ['-e', 'ID'], ['-H', 'ID', '-e', 'no1', '-h', 'ID'], ['-e', 'x y'],
                          ['-e', 'ID', 'maildrop'], ['-d', '-', '-h', '-'], ['-p'], ['-s', 'hold'], ['-d', 'no1', 'trace', 'defer'],
                          ['-d', 'no/such'], ['-d', 'ALL'], ['-d', 'ALL', 'hold'], ['-h', 'ALL', 'nowhere']):
            said = []
            for program, mine in ((run, ids[0]), (ours, ids[1])):
                done = program('postsuper', *[mine[0] if a == 'ID' else a for a in arguments])
                said.append((done.returncode, normal(done.stderr, mine)))
            assert said[0] == said[1], arguments
    finally:
        theirs.stop()


@pytest.mark.parametrize('kind', ['cdb', 'lmdb'])
def test_postmap_makes_what_debians_reads(tmp_path, kind):
    names = Names(tmp_path)
    if kind not in names('postconf', '-m').stdout.split():
        pytest.skip(f'built without {kind}')
    (tmp_path / 'main.cf').write_text('')
    table = tmp_path / 'table'
    table.write_text(TABLE)
    made = names('postmap', f'{kind}:{table}')
    assert (made.returncode, made.stdout) == (0, '')
    for key in ('user@relay.test', 'UPPER@relay.test', 'none'):
        both = [program('postmap', '-q', key, f'{kind}:{table}') for program in (names, real)]
        assert both[0].stdout == both[1].stdout and both[0].returncode == both[1].returncode, (key, both[1].stderr)
