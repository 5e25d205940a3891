"""What an administrator does with the queue: choosing, flushing, holding, requeuing, draining it."""

import json
import subprocess
import time

from harness import places
from harness.dialogue import Dialogue


def send(port, sender='sender@client.test', recipient='editor@relay.test', body='Hello.', options=''):
    talk = Dialogue(port)
    talk.reply()
    talk.ask('EHLO client.test', '250 ')
    talk.ask(f'MAIL FROM:<{sender}>{options}', '250 ')
    talk.ask(f'RCPT TO:<{recipient}>', '250 ')
    talk.ask('DATA', '354 ')
    talk.send(f'Subject: {sender} {recipient}\r\n\r\n{body}\r\n.\r\n'.encode())
    reply = talk.reply()[-1]
    talk.ask('QUIT', '221 ')
    talk.close()
    assert reply.startswith('250 '), reply


def listed(server, *options):
    result = server.command('queue', 'list', '--json', *options)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def changed(server, *words):
    """How many messages the command says it was about."""
    result = server.command('queue', *words)
    assert result.returncode == 0, result.stderr
    return int(result.stderr.split()[0])


def await_lines(server, text, count):
    places.await_true(lambda: server.log().count(text) >= count, 10, f'{count} times {text}')
    server.await_no_attempt()


LONG = {'minimal_backoff_time': '1000s', 'maximal_backoff_time': '4000s', 'queue_run_delay': '1000s'}


def test_choosing(network):
    """Lists, holds, releases and deletes by sender, recipient, destination, reason, age and queue."""
    dead = places.free_port()
    relay = network.relay(dead, main=LONG).start()
    for n in range(3):
        send(relay.port, 'bulk@shop.test', f'u{n}@relay.test')
    send(relay.port, 'friend@home.test', 'u1@other.test')
    send(relay.port, '', 'u2@other.test')
    await_lines(relay, 'status=deferred', 5)
    places.await_true(lambda: all(m['queue_name'] == 'deferred' for m in listed(relay)), 5, 'all deferred')

    # Every message says why it waits, and until when.
    for message in listed(relay):
        assert 'onnection refused' in message['recipients'][0]['delay_reason']
        assert message['next_attempt'] > time.time() + 100
    text = relay.command('queue', 'list').stdout
    assert text.count('(next attempt: ') == 5

    assert len(listed(relay, '--sender', 'BULK@shop.test')) == 3
    assert len(listed(relay, '--sender', '<>')) == 1
    assert len(listed(relay, '--recipient', 'u1@relay.test')) == 1
    assert len(listed(relay, '--recipient', '@other.test')) == 2
    assert len(listed(relay, '--destination', 'relay.test')) == 3
    assert len(listed(relay, '--destination', f'[127.0.0.1]:{dead}')) == 5
    assert len(listed(relay, '--destination', '[127.0.0.1]:1')) == 0
    assert len(listed(relay, '--reason', 'connection REFUSED')) == 5
    assert len(listed(relay, '--older', '1h')) == 0
    assert len(listed(relay, '--sender', '@shop.test', '--recipient', 'u2@relay.test')) == 1

    assert changed(relay, 'hold', '--sender', '@shop.test') == 3
    assert {m['sender'] for m in listed(relay, '--queue', 'hold')} == {'bulk@shop.test'}
    assert all('refused' in m['recipients'][0]['delay_reason'] for m in listed(relay, '--queue', 'hold'))
    assert changed(relay, 'release', '--recipient', 'u0@relay.test') == 1
    assert changed(relay, 'delete', '--queue', 'hold', '--recipient', 'u1@relay.test') == 1
    assert changed(relay, 'delete', '--sender', '<>') == 1
    assert relay.queue_count() == 3
    # What selects nothing, or is nonsense, deletes nothing.
    assert changed(relay, 'delete', '--sender', 'nobody@nowhere.test') == 0
    for words in (['delete'], ['delete', '--sender', ''], ['delete', '--older', 'soon'],
                  ['hold', '--queue', 'lost'], ['delete', '--size', '3']):
        assert relay.command('queue', *words).returncode == 2, words
    assert relay.queue_count() == 3

    # Without a server too.
    relay.stop()
    assert len(listed(relay, '--sender', '@shop.test')) == 2
    assert relay.command('queue', 'list', '--destination', f'[127.0.0.1]:{dead}').returncode == 3


def test_flush_of_one_destination(network):
    """A flush is really tried, although the destination rests; the other destination's mail stays."""
    sink = network.sink().start()
    dead = places.free_port()
    relay = network.relay(dead, main=LONG)
    relay.write('transport', f'relay.test relay:[127.0.0.1]:{sink.port}\n'
                             f'other.test relay:[127.0.0.1]:{dead}\n')
    port = sink.port
    sink.stop()
    relay.start()
    for n in range(4):
        send(relay.port, recipient=f'u{n}@relay.test')
        send(relay.port, recipient=f'u{n}@other.test')
    await_lines(relay, 'status=deferred', 8)
    sink = network.sink(port=port).start()
    assert changed(relay, 'flush', '--destination', f'[127.0.0.1]:{port}') == 4
    places.await_true(lambda: len(sink.messages) == 4, 5, 'the flushed ones are delivered')
    relay.await_queue_count(4)
    assert {m['recipients'][0]['address'] for m in listed(relay)} == {f'u{n}@other.test' for n in range(4)}
    assert changed(relay, 'flush', '--destination', 'other.test') == 4
    await_lines(relay, 'status=deferred', 9)


def test_requeue_looks_routes_up_anew(network):
    """A held message, and one that waits for a next hop that is gone, go where the map says now."""
    sink = network.sink().start()
    relay = network.relay(places.free_port(), main=LONG).start()
    send(relay.port, recipient='u1@relay.test')
    send(relay.port, recipient='u2@relay.test')
    await_lines(relay, 'status=deferred', 2)
    assert changed(relay, 'hold', '--recipient', 'u2@relay.test') == 1
    relay.write('transport', f'relay.test relay:[127.0.0.1]:{sink.port}\n')
    assert relay.command('reload').returncode == 0
    assert changed(relay, 'requeue', 'ALL') == 2
    places.await_true(lambda: len(sink.messages) == 2, 5, 'both are delivered')
    relay.await_queue_count(0)
    await_lines(relay, 'requeued', 2)


def test_drain(network):
    """Clients are sent elsewhere, what is queued is tried, what cannot go is told of."""
    sink = network.sink().start()
    port = sink.port
    sink.stop()
    relay = network.relay(port, main=LONG).start()
    for n in range(5):
        send(relay.port, recipient=f'u{n}@relay.test')
    await_lines(relay, 'status=deferred', 5)
    open_talk = Dialogue(relay.port)
    open_talk.reply()
    open_talk.ask('EHLO client.test', '250 ')

    result = relay.command('queue', 'drain', '--wait', '1')
    assert result.returncode == 1 and '5 messages are still there' in result.stderr
    assert Dialogue(relay.port).reply()[-1].startswith('421 4.3.2 ')
    open_talk.ask('MAIL FROM:<a@client.test>', '421 4.3.2 ')
    open_talk.close()

    # It is not forgotten when the server is started again.
    relay.stop()
    relay.start()
    assert Dialogue(relay.port).reply()[-1].startswith('421 4.3.2 ')
    assert json.loads(relay.command('status', '--json').stdout)['queue']['draining'] is True

    sink = network.sink(port=port).start()
    result = relay.command('queue', 'drain', '--wait', '100')
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith('empty')
    assert len(sink.messages) == 5 and relay.queue_count() == 0
    assert relay.command('queue', 'accept').returncode == 0
    assert json.loads(relay.command('status', '--json').stdout)['queue']['draining'] is False
    relay.stop()
    relay.start()
    send(relay.port)
    places.await_true(lambda: len(sink.messages) == 6, 5, 'it serves again')


def offline(server, *words, **options):
    """A queue command as the server's user, with bytes for its input and output."""
    process = server.spawn('queue', *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    out, errors = process.communicate(timeout=places.patient(20))
    return process.returncode, out, errors.decode()


def test_moving_to_another_host(network):
    """Drained as far as it goes, stopped, exported, imported elsewhere, and delivered there, once."""
    sink = network.sink().start()
    port = sink.port
    sink.stop()
    old = network.relay(port, name='old', main={**LONG, 'smtpd_authorized_verp_clients': '127.0.0.0/8'}).start()
    new = network.relay(port, name='new', main=LONG)
    for n in range(6):
        send(old.port, recipient=f'u{n}@relay.test', body='x' * (400 + n) if n else 'large ' * 100000,
             options=' XVERP=-+' if n == 5 else '')
    await_lines(old, 'status=deferred', 6)
    assert changed(old, 'hold', '--recipient', 'u5@relay.test') == 1

    # Not while it is served.
    for words in (['verify'], ['export']):
        code, _, errors = offline(old, *words)
        assert code == 1 and 'in use by process' in errors
    old.stop()
    code, out, _ = offline(old, 'verify')
    assert code == 0 and out.startswith(b'6 messages of '), out
    code, stream, errors = offline(old, 'export')
    assert code == 0 and '6 messages, receipt ' in errors, errors
    receipt = errors.split()[-1]

    # From now on it is not served here.
    code = old.spawn('serve', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait(places.patient(20))
    assert code != 0 and 'was exported' in old.log()

    # The way breaks: nothing is taken in. Then all of it, and once more.
    half, whole = new.directory / 'half', new.directory / 'whole'
    half.write_bytes(stream[:len(stream) // 2])
    whole.write_bytes(stream)
    with open(half, 'rb') as source:
        code, _, errors = import_from(new, source)
    assert code == 1 and 'broke off' in errors
    for known in (0, 6):
        with open(whole, 'rb') as source:
            code, out, errors = import_from(new, source)
        assert code == 0, errors
        assert receipt in out.decode()
    sink = network.sink(port=port).start()
    new.start()
    places.await_true(lambda: len(sink.messages) == 5, 10, 'what was not held is delivered')
    new.await_queue_count(1)
    held, = listed(new, '--queue', 'hold')
    assert held['verp_delimiters'] == '-+'
    assert 'verp_delimiters: -+\n' in new.command('queue', 'show', held['queue_id']).stdout
    assert changed(new, 'release', 'ALL') == 1
    places.await_true(lambda: len(sink.messages) == 6, 10, 'and the held one')
    assert sink.messages[-1].sender.startswith('<sender-u5+relay.test@client.test>'), sink.messages[-1].sender
    assert sorted(len(m.data) for m in sink.messages)[-1] > 600000
    new.stop()
    with open(whole, 'rb') as source:
        code, out, _ = import_from(new, source)
    assert code == 0 and b'6 of them were here before' in out

    code, _, errors = offline(old, 'export', '--finish', '1-0000000000000000')
    assert code == 1 and 'is not of what is in' in errors
    assert offline(old, 'export', '--finish', receipt)[0] == 0
    old.start()
    assert old.queue_count() == 0


def import_from(server, source):
    command = [str(places.program()), 'queue', 'import', '-c', str(server.etc)]
    done = subprocess.run(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=places.patient(20), cwd=server.directory, **server._identity())
    return done.returncode, done.stdout, done.stderr.decode()


def test_flipped_bits(network):
    """Damaged messages are set aside and told of; all others are delivered."""
    sink = network.sink().start()
    port = sink.port
    sink.stop()
    relay = network.relay(port, main=LONG).start()
    for n in range(20):
        send(relay.port, recipient=f'u{n}@relay.test', body=f'This is number {n}.')
    await_lines(relay, 'status=deferred', 20)
    relay.stop()

    segments = sorted((relay.directory / 'queue' / 'journal').iterdir())
    hurt = {3: b'This is number 3.', 8: b'u8@relay.test', 14: b'This is number 14.'}
    for text in hurt.values():
        for segment in segments:
            data = bytearray(segment.read_bytes())
            at = data.find(text)
            if at >= 0:
                data[at + 5] ^= 0x10
                segment.write_bytes(data)
                break
        else:
            raise AssertionError(f'{text} is in no segment')
    code, out, errors = offline(relay, 'verify')
    assert code == 1 and b'3 places are damaged' in out, out
    assert errors.count('are damaged') == 3

    relay.start()
    assert relay.queue_count() == 17
    places.await_true(lambda: relay.log().count('a copy is in corrupt/') == 3, 10, 'three damaged records are logged')
    kept = b''.join(f.read_bytes() for f in (relay.directory / 'queue' / 'corrupt').iterdir())
    assert b'Subject: sender@client.test u3@relay.test' in kept
    sink = network.sink(port=port).start()
    relay.command('queue', 'flush')
    relay.await_queue_count(0)
    got = {m.recipients[0].partition('>')[0][1:] for m in sink.messages}
    assert got == {f'u{n}@relay.test' for n in range(20) if n not in hurt} and len(sink.messages) == 17
