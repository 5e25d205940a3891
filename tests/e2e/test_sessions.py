"""forepost sessions: who is connected, and what each session waits for."""

import json
import re
import socket
import time

from harness import places
from harness.dialogue import Dialogue
from test_outage import send
from test_tls import tls_in


def listed(server):
    done = server.command('sessions', '--json')
    assert done.returncode == 0, done.stderr
    return {s['client_port']: s for s in map(json.loads, done.stdout.splitlines())}


def port(talk):
    return str(talk.socket.getsockname()[1])


def begin(server, *commands):
    talk = Dialogue(server.port)
    talk.reply()
    for command, expected in commands:
        talk.ask(command, expected)
    return talk


def test_each_in_its_state(network):
    relay = network.relay(places.free_port(),
                          main={'worker_threads': '2', **tls_in('mx1.relay.test')}).start()
    assert relay.command('sessions').stdout == 'no session is open\n'
    assert relay.command('sessions', '--json').stdout == ''

    mail = [('EHLO mail.client.test', '250'), ('MAIL FROM:<someone@client.test>', '250')]
    rcpt = [*mail, ('RCPT TO:<editor@relay.test>', '250')]
    silent = begin(relay)
    greeted = begin(relay, *mail[:1])
    sending = begin(relay, *rcpt)
    null = begin(relay, ('HELO other.test', '250'), ('MAIL FROM:<>', '250'))
    in_text = begin(relay, *rcpt, ('DATA', '354'))
    in_text.send(b'Subject: half')
    again = begin(relay, *rcpt, ('DATA', '354'), ('Subject: whole\r\n\r\n.', '250'))
    private = begin(relay, *mail[:1], ('STARTTLS', '220'))
    private.starttls()
    private.ask(*mail[0])

    seen = listed(relay)
    assert len(seen) == 7
    for s in seen.values():
        assert s['client_address'] == s['server_address'] == '127.0.0.1'
        assert s['client_name'] == 'unknown' and s['service'] == 'smtpd'
        assert s['server_port'] == str(relay.port) and s['loop'] in (0, 1)
        assert (s['tls'] != '') == (s['client_port'] == port(private))

    def shows(talk, **expected):
        shown = seen[port(talk)]
        assert {name: shown[name] for name in expected} == expected

    command = 'waiting for a line'
    shows(silent, command='CONNECT', helo='', in_transaction=False, waits_for=command)
    shows(greeted, command='EHLO', helo='mail.client.test', in_transaction=False, messages=0)
    shows(sending, command='RCPT', sender='someone@client.test', recipients=1, in_transaction=True,
          waits_for=command)
    shows(null, command='MAIL', helo='other.test', sender='', in_transaction=True, recipients=0)
    shows(in_text, command='DATA', recipients=1, in_transaction=True,
          waits_for='waiting for message text')
    shows(again, messages=1, in_transaction=False, sender='', recipients=0, waits_for=command)
    assert 'TLSv1.3' in seen[port(private)]['tls']

    assert all(s['since'] - 5 <= s['waits_since'] <= time.time() + 5 for s in seen.values())
    assert re.search(rf'\[127\.0\.0\.1\]:{port(silent)} since .*, after CONNECT: waiting for a line \(for \d+ s\)\n',
                     relay.command('sessions').stdout)
    text = relay.command('sessions').stdout
    assert text.endswith('-- 7 sessions.\n') and len(text.splitlines()) == 15
    assert f'unknown[127.0.0.1]:{port(silent)} since ' in text
    assert 'from=<someone@client.test>, 1 recipient, ' in text

    for talk in (silent, greeted, null, in_text, private):
        talk.close()
    places.await_true(lambda: set(listed(relay)) == {port(sending), port(again)}, 10, 'they are gone')
    sending.close()
    again.close()
    relay.stop()


def test_more_than_a_page_and_who_is_retired(network):
    """A reload has removed the address: its sessions are still there, and are shown."""
    relay = network.relay(places.free_port(), main={
        'worker_threads': '2', 'smtpd_client_connection_count_limit': '0',
        'default_process_limit': '1000'}).start()
    talks = [begin(relay, (f'EHLO c{i}.test', '250')) for i in range(310)]
    busy = begin(relay, ('EHLO last.test', '250'), ('MAIL FROM:<>', '250'))
    seen = listed(relay)
    assert {s['helo'] for s in seen.values()} == {f'c{i}.test' for i in range(310)} | {'last.test'}
    assert relay.command('sessions').stdout.endswith('-- 311 sessions.\n')

    for talk in talks:
        talk.close()
    relay.master = relay.master.replace('@PORT@', str(places.free_port()))
    relay.write_configuration()
    assert relay.command('reload').returncode == 0
    places.await_true(lambda: [s['helo'] for s in listed(relay).values()] == ['last.test'], 10,
                      'one is left')
    busy.close()
    relay.stop()


def test_deliveries(network):
    """A next hop that says nothing: what waits for it, and for what."""
    with socket.create_server(('127.0.0.1', 0)) as silent:
        next_hop = silent.getsockname()[1]
        relay = network.relay(next_hop, main={'worker_threads': '2'}).start()
        assert relay.command('sessions', '--deliveries').stdout == 'nothing is being delivered\n'
        assert relay.command('sessions', '--deliveries', '--json').stdout == ''
        send(relay.port)
        queue_id, = places.await_true(lambda: re.findall(r'qmgr\[\d+\]: (\w+): .*queue active', relay.log()), 10, 'it is queued')

        def seen():
            lines = relay.command('sessions', '--deliveries', '--json').stdout.splitlines()
            found = [json.loads(line) for line in lines]
            return found if found and found[0]['waits_for'].startswith('waiting for a line') else None

        one, = places.await_true(seen, 10, 'it waits for the greeting')
        assert one['queue_id'] == queue_id and one['recipients'] == 1 and not one['is_probe']
        assert one['nexthop'].endswith(f':{next_hop}') and one['loop'] in (0, 1)
        assert one['since'] - 5 <= one['waits_since'] <= time.time() + 5
        text = relay.command('sessions', '--deliveries').stdout
        assert re.fullmatch(rf'{one["transport"]}:{re.escape(one["nexthop"])} {queue_id} for \d+ s, 1 recipient: '
                            r'waiting for a line \(for \d+ s\)\n-- 1 delivery\.\n', text)
        relay.stop()


def test_nobody_to_ask(network):
    relay = network.relay(places.free_port())
    done = relay.command('sessions')
    assert done.returncode == 3 and done.stdout == '' and done.stderr
