"""check_policy_service against a scripted policy server: what it is told at each stage, what its actions do."""

import socketserver
import threading

import pytest

from harness import places
from harness.dialogue import Dialogue


class PolicyServer:
    """Answers each request by `answer(attributes)`; keeps what it was told."""

    def __init__(self, answer):
        self.requests, self.connections = [], 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer.connections += 1
                attributes = {}
                for line in self.rfile:
                    line = line.decode().rstrip('\n')
                    if line:
                        name, _, value = line.partition('=')
                        attributes[name] = value
                        continue
                    outer.requests.append(attributes)
                    self.wfile.write(f'action={answer(attributes)}\n\n'.encode())
                    attributes = {}

        self.server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def policy_server():
    started = []

    def start(answer):
        started.append(PolicyServer(answer))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def rules(service, where='smtpd_recipient_restrictions', **more):
    return {where: f'check_policy_service {service}', **more}


def send(port, *commands):
    """One message's commands, from one client; the replies to them."""
    talk = Dialogue(port)
    talk.reply()
    replies = []
    for command in commands:
        talk.send(command.encode() + b'\r\n')
        replies.append(talk.reply()[-1])
    talk.close()
    return replies


MESSAGE = ('EHLO client.example', 'MAIL FROM:<joe@from.example> SIZE=1000', 'RCPT TO:<editor@relay.test>',
           'RCPT TO:<friend@relay.test>', 'DATA', 'Subject: x\r\n\r\nbody\r\n.')


def test_every_stage_is_asked_over_one_connection(network, policy_server):
    server = policy_server(lambda attributes: 'DUNNO')
    service = f'inet:127.0.0.1:{server.port}'
    main = {f'smtpd_{stage}_restrictions': f'check_policy_service {service}'
            for stage in ('client', 'helo', 'sender', 'recipient', 'data', 'end_of_data')}
    sink = network.sink()
    relay = network.relay(sink.port, main={**main, 'smtpd_delay_reject': 'no', 'worker_threads': '1'}).start()
    replies = send(relay.port, *MESSAGE)
    assert replies[-1].startswith('250 '), replies

    asked = server.requests
    assert [r['protocol_state'] for r in asked] == ['CONNECT', 'EHLO', 'MAIL', 'RCPT', 'RCPT', 'DATA', 'END-OF-MESSAGE']
    assert server.connections == 1
    assert {r['client_address'] for r in asked} == {'127.0.0.1'}
    assert {r['server_port'] for r in asked} == {str(relay.port)}
    assert len({r['instance'] for r in asked}) == 1
    assert [r['recipient'] for r in asked] == ['', '', '', 'editor@relay.test', 'friend@relay.test', '', '']
    assert [r['recipient_count'] for r in asked] == ['0', '0', '0', '0', '0', '2', '2']
    assert asked[3]['size'] == '1000' and asked[6]['size'] != '1000'
    assert asked[3]['sender'] == 'joe@from.example' and asked[3]['helo_name'] == 'client.example'
    assert asked[6]['queue_id']

    send(relay.port, *MESSAGE[:3], 'RSET', *MESSAGE[1:3])
    instances = [r['instance'] for r in server.requests if r['protocol_state'] == 'MAIL']
    assert len(set(instances)) == 3, instances


@pytest.mark.parametrize('action, expected', [
    ('DUNNO', '250 '),
    ('OK', '250 '),
    ('REJECT go away', '554 5.7.1 <editor@relay.test>: Recipient address rejected: go away'),
    ('DEFER later', '450 4.7.1 <editor@relay.test>: Recipient address rejected: later'),
    ('550 5.7.25 no', '550 5.7.25 <editor@relay.test>: Recipient address rejected: no'),
    ('DEFER_IF_PERMIT wait', '450 4.7.1 <editor@relay.test>: Recipient address rejected: wait'),
    ('reject_unauth_destination, reject', '554 5.7.1 <editor@relay.test>: Recipient address rejected: Access denied'),
    ('moo', '451 4.3.5 '),
])
def test_actions_of_access_tables(network, policy_server, action, expected):
    server = policy_server(lambda attributes: action)
    relay = network.relay(places.free_port(), main=rules(f'inet:127.0.0.1:{server.port}')).start()
    assert send(relay.port, *MESSAGE[:3])[-1].startswith(expected)


def test_prepend_and_hold(network, policy_server):
    server = policy_server(lambda attributes: {'RCPT': 'PREPEND X-Policy: seen', 'DATA': 'HOLD'}.get(
        attributes['protocol_state'], 'DUNNO'))
    service = f'inet:127.0.0.1:{server.port}'
    relay = network.relay(places.free_port(), main={
        **rules(service), 'smtpd_data_restrictions': f'check_policy_service {service}'}).start()
    assert send(relay.port, *MESSAGE)[-1].startswith('250 ')
    listed = relay.command('queue', 'list').stdout
    assert '!' in listed or 'hold' in listed.lower(), listed
    queue_id = listed.split()[0].rstrip('!*') if listed else ''
    assert queue_id


def test_a_server_that_is_down(network, policy_server):
    service = f'inet:127.0.0.1:{places.free_port()}'
    relay = network.relay(places.free_port(), main=rules(
        '{ %s, try_limit=1 }' % service)).start()
    assert send(relay.port, *MESSAGE[:3])[-1].startswith(
        '451 4.3.5 <editor@relay.test>: Recipient address rejected: Server configuration problem')
    relay.write_configuration(**rules('{ %s, try_limit=1, default_action=DUNNO }' % service))
    assert relay.command('reload').returncode == 0
    assert send(relay.port, *MESSAGE[:3])[-1].startswith('250 ')
