"""What an administrator does with the queue: choosing, flushing, holding, requeuing, draining it."""

import json
import time

from harness import places
from harness.dialogue import Dialogue


def send(port, sender='sender@client.test', recipient='editor@relay.test', body='Hello.'):
    talk = Dialogue(port)
    talk.reply()
    talk.ask('EHLO client.test', '250 ')
    talk.ask(f'MAIL FROM:<{sender}>', '250 ')
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

    sink = network.sink(port=port).start()
    result = relay.command('queue', 'drain', '--wait', '20')
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith('empty')
    assert len(sink.messages) == 5 and relay.queue_count() == 0
    assert relay.command('queue', 'accept').returncode == 0
    send(relay.port)
    places.await_true(lambda: len(sink.messages) == 6, 5, 'it serves again')
