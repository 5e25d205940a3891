"""forepost explain and replay: why something was refused, would be, or would be no more."""

import json

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.milter import Milter, texts

ZONE = """
example.org MX 10 mx.example.org
mx.example.org A 198.51.100.7
7.100.51.198.in-addr.arpa PTR mx.example.org
2.0.0.127.zen.example A 127.0.0.2
8.100.51.198.zen.example A 127.0.0.4
8.100.51.198.in-addr.arpa PTR bad.example.org
bad.example.org A 198.51.100.8
slow.example.org SERVFAIL
"""
LISTS = {
    'smtpd_sender_restrictions': 'check_sender_access inline:{{bad.test = REJECT we know you}},'
                                 ' reject_unknown_sender_domain',
    'smtpd_relay_restrictions': 'permit_mynetworks, reject_unauth_destination',
    'smtpd_recipient_restrictions': 'reject_rbl_client zen.example=127.0.0.[2..11]',
    'header_checks': 'regexp:{{/^Subject: spam/ REJECT no spam here}}',
    'unknown_address_reject_code': '550',
}


def refuse(server, recipient):
    talk = Dialogue(server.port)
    talk.reply()
    talk.ask('EHLO client.test', '250 ')
    talk.ask('MAIL FROM:<a@client.test>', '250 ')
    talk.ask(f'RCPT TO:<{recipient}>', '5')
    code = talk.code
    talk.close()
    return code


def test_a_code_finds_its_refusal(network):
    """Behind the text of each refusal stands a code; explain tells rule, line and what was looked up. Also after a restart."""
    relay = network.relay(places.free_port(), main={'refusal_trace_file': '@DIR@/refusals'}).start()
    denied, unknown = refuse(relay, 'x@elsewhere.test'), refuse(relay, 'nobody@unknown.relay.test')
    assert denied and unknown and denied != unknown
    relay.await_log(f'Relay access denied.* code={denied}')

    shown = relay.command('explain', denied)
    assert shown.returncode == 0, shown.stderr
    assert 'RCPT: 554 5.7.1 <x@elsewhere.test>: Relay access denied' in shown.stdout
    assert 'refuse  ' in shown.stdout and 'reject_unauth_destination' in shown.stdout
    assert 'recipient: x@elsewhere.test' in shown.stdout

    told = json.loads(relay.command('explain', denied.lower(), '--json').stdout)
    assert (told['code'], told['enhanced'], told['id']) == (554, '5.7.1', denied)
    assert told['client'] == '127.0.0.1' and told['helo'] == 'client.test'
    line = next(s for s in told['steps'] if s['outcome'] == 'refuse')
    assert line['rule'].startswith('main.cf:') and line['rule'].endswith('reject_unauth_destination')

    relay.stop()
    relay.start()
    assert 'Relay access denied' in relay.command('explain', denied).stdout
    missing = relay.command('explain', '0000000')
    assert missing.returncode == 1 and 'no refusal with this code' in missing.stderr


def test_no_code_when_it_is_switched_off(network):
    relay = network.relay(places.free_port(), main={'refusal_code': 'no'}).start()
    assert refuse(relay, 'x@elsewhere.test') is None


def send(server, text):
    """The code behind the refusal of this text, and the reply."""
    talk = Dialogue(server.port)
    talk.reply()
    for command, reply in (('EHLO client.test', '250 '), ('MAIL FROM:<a@client.test>', '250 '),
                           ('RCPT TO:<editor@relay.test>', '250 '), ('DATA', '354 ')):
        talk.ask(command, reply)
    talk.ask(text.replace('\n', '\r\n') + '\r\n.', '5')
    talk.close()
    return talk.code


def test_a_code_tells_the_rule_of_a_content_check(network):
    """The log line and the ring name table, line and pattern, and whose message it was."""
    relay = network.relay(places.free_port(), main={'header_checks': 'pcre:@DIR@/etc/head'},
                          files={'head': '# one\n/^Subject: spam/ REJECT no spam here\n'}).start()
    code = send(relay, 'Subject: spam\n\nbuy')
    relay.await_log(f'reject: header Subject: spam .* code={code} rule=<pcre:.*/head:2>: 5.7.1 no spam here')
    told = json.loads(relay.command('explain', code, '--json').stdout)
    assert told['rule'].startswith('main.cf:') and told['rule'].endswith('/head:2 /^Subject: spam/)'), told['rule']
    assert (told['sender'], told['recipient'], told['code']) == ('a@client.test', 'editor@relay.test', 550)
    assert told['queue_id']
    step = next(s for s in told['steps'] if s['list'] == 'header_checks')
    assert step['outcome'] == 'refuse'
    *before, last = step['looked_up']       # our own Received line comes first
    assert all(look['result'] == 'not found' for look in before)
    assert last == {**last, 'asked': 'Subject: spam', 'result': 'found', 'line': 2,
                    'pattern': '/^Subject: spam/', 'said': 'REJECT no spam here'}


@pytest.fixture
def milter():
    started = []

    def start(script):
        started.append(Milter(script))
        return started[-1]

    yield start
    for filter in started:
        filter.stop()


def test_filters_are_steps(network, milter):
    """Which filter was asked, at which stage, what it said: of a refusal, and of a made-up session."""
    first = milter(lambda what, it: {'E': [b'h' + texts('X-Seen', 'yes'), b'c']}.get(what, [b'c']))
    second = milter(lambda what, it: {'E': [b'y' + texts('554 5.7.9 not like this')]}.get(what, [b'c']))
    relay = network.relay(places.free_port(), main={
        'smtpd_milters': f'inet:127.0.0.1:{first.port}, inet:127.0.0.1:{second.port}',
        'smtpd_relay_restrictions': 'permit_mynetworks, reject_unauth_destination',
        'smtpd_recipient_restrictions': 'check_policy_service { inet:127.0.0.1:1, default_action=DUNNO,'
                                        ' try_limit=1 }'}, files={'zone': ZONE}).start()
    code = send(relay, 'Subject: x\n\nhello')
    relay.await_log(f'milter-reject: END-OF-MESSAGE .* 5.7.9 not like this; .* code={code}')
    told = json.loads(relay.command('explain', code, '--json').stdout)
    assert told['rule'].endswith(f'smtpd_milters inet:127.0.0.1:{second.port}'), told['rule']
    looks = [look for s in told['steps'] for look in s['looked_up'] if look['kind'] == 'milter']
    assert [(l['asked'], l['result'], l['said']) for l in looks if l['asked'] == 'end of message'] == [
        ('end of message', 'continue', '1 change'), ('end of message', 'reply code', 'not like this')]

    relay.write('message', 'Subject: x\n\nhello\n')
    session = ['--client', '198.51.100.7', '--from', 'a@example.org', '--to', 'editor@relay.test',
               '--message', relay.etc / 'message']
    places.await_true(lambda: first.stages().endswith('Q'), 5, 'the filter heard that the session is over')
    first.told.clear()
    alone = explain(relay, *session)
    results = {(l['kind'], l['result']) for s in alone['steps'] for l in s['looked_up'] if l['kind'] in ('milter', 'policy')}
    assert alone['code'] == 250 and results == {('milter', 'not asked'), ('policy', 'not asked')}, results
    assert not first.told
    asked = explain(relay, *session, '--ask-filters')
    assert asked['code'] == 554 and first.told
    looks = [l for s in asked['steps'] for l in s['looked_up']]
    assert {l['asked'] for l in looks if l['kind'] == 'milter'} == {
        'CONNECT', 'HELO', 'MAIL', 'RCPT', 'DATA', 'end of message'}
    assert next(l for l in looks if l['kind'] == 'policy')['result'] == 'failed'
    # nothing stands twice in the list of all steps
    assert sum(l['asked'] == 'CONNECT' for l in looks if l['kind'] == 'milter') == 2


def explain(relay, *arguments):
    shown = relay.command('explain', '--json', '--dns', relay.etc / 'zone', *arguments)
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


def test_made_up_sessions(network):
    """Each way in which the lists can end, with answers from a file; the server need not run."""
    relay = network.relay(places.free_port(), main=LISTS, files={'zone': ZONE})
    relay.write('spam', 'Subject: spam\n\nbuy\n')
    relay.write('ham', 'Subject: ham\n\nhello\n')
    good = ['--client', '198.51.100.7', '--helo', 'mx.example.org', '--from', 'a@example.org']
    cases = [
        ([*good, '--to', 'editor@relay.test'], 250, '2.1.5', None),
        ([*good, '--to', 'x@elsewhere.test'], 554, '5.7.1', 'reject_unauth_destination'),
        ([*good, '--to', 'editor@relay.test', '--to', 'x@elsewhere.test'], 554, '5.7.1', 'reject_unauth_destination'),
        (['--client', '192.0.2.9', '--to', 'x@elsewhere.test'], 250, '2.1.5', None),
        ([*good[:-1], 'a@bad.test', '--to', 'editor@relay.test'], 554, '5.7.1', 'check_sender_access'),
        ([*good[:-1], 'a@none.example', '--to', 'editor@relay.test'], 550, '5.1.8', 'reject_unknown_sender_domain'),
        ([*good[:-1], 'a@slow.example.org', '--to', 'editor@relay.test'], 450, '4.1.8', 'reject_unknown_sender_domain'),
        (['--client', '198.51.100.8', '--from', '<>', '--to', 'editor@relay.test'], 554, '5.7.1', 'reject_rbl_client'),
        ([*good, '--to', 'editor@relay.test', '--message', relay.etc / 'spam'], 550, '5.7.1', None),
        ([*good, '--to', 'editor@relay.test', '--message', relay.etc / 'ham'], 250, '2.0.0', None),
        (['--client', '2001:db8::7', '--helo', 'x', '--from', '<>', '--to', 'editor@relay.test'], 250, '2.1.5', None),
    ]
    for arguments, code, enhanced, rule in cases:
        told = explain(relay, *arguments)
        last = [r for r in told['replies'] if r['verb'] != 'QUIT'][-1] if code < 400 else told
        assert (last['code'], last['enhanced']) == (code, enhanced), (arguments, told)
        assert not rule or rule in told['rule'], (arguments, told['rule'])
        assert all(step['rule'] for step in told['steps'])
    listed = explain(relay, '--client', '198.51.100.8', '--to', 'editor@relay.test')
    looks = [look for step in listed['steps'] for look in step['looked_up'] if look['kind'] == 'list']
    assert looks[-1]['said'] == '127.0.0.4' and looks[-1]['result'] == 'listed'
    # nothing is left behind, and mistakes are told
    assert not (relay.directory / 'queue').exists() or relay.queue_count() == 0
    for arguments in ([], ['--client', 'nonsense'], ['--client', '192.0.2.1', '--port', '0'],
                      ['CODE', '--client', '192.0.2.1']):
        assert relay.command('explain', *arguments).returncode == 2, arguments
    assert relay.command('explain', '--client', '192.0.2.1', '--dns', '/nonexistent').returncode == 1


def test_tls_in_a_made_up_session(network):
    certificate, key = places.certificate()
    relay = network.relay(places.free_port(), main={
        'smtpd_tls_security_level': 'encrypt', 'smtpd_tls_cert_file': str(certificate),
        'smtpd_tls_key_file': str(key)}, files={'zone': ZONE})
    to = ['--client', '198.51.100.7', '--to', 'editor@relay.test']
    assert explain(relay, *to)['code'] == 530
    assert explain(relay, *to, '--tls')['code'] < 400


def test_recorded_sessions_are_decided_again(network):
    """What a stricter, and a laxer, configuration would have done with yesterday's sessions."""
    relay = network.relay(places.free_port(), main={'session_record_file': '@DIR@/sessions'}).start()
    for recipient, code in (('editor@relay.test', '250'), ('x@elsewhere.test', '554'), ('bob@other.test', '250')):
        for sender in ('a@client.test', ''):
            talk = Dialogue(relay.port)
            talk.reply()
            talk.ask('EHLO client.test', '250 ')
            talk.ask(f'MAIL FROM:<{sender}>', '250 ')
            talk.ask(f'RCPT TO:<{recipient}>', code)
            talk.ask('QUIT', '221 ')
            talk.close()
    places.await_true(lambda: (relay.directory / 'sessions').exists()
                      and (relay.directory / 'sessions').read_text().count('\n.\n') == 6, 10, 'six records')

    same = relay.command('replay', relay.directory / 'sessions')
    assert '6 sessions decided again: 6 outcomes the same, 0 would be refused now, 0 accepted now' in same.stdout

    other = network.relay(places.free_port(), name='other', main={
        'smtpd_sender_restrictions': 'check_sender_access inline:{{client.test = REJECT}}',
        'relay_domains': 'relay.test, other.test, elsewhere.test',
        'relay_recipient_maps': ''})
    shown = relay.command('replay', relay.directory / 'sessions', '--policy', other.etc)
    assert '6 sessions decided again: 3 outcomes the same, 2 would be refused now, 1 accepted now' in shown.stdout, \
        shown.stdout
    assert '554 -> 250  client=127.0.0.1 helo=<client.test> from=<> to=<x@elsewhere.test>' in shown.stdout
    lines = [json.loads(line) for line in relay.command(
        'replay', '--json', relay.directory / 'sessions', '--policy', other.etc).stdout.splitlines()]
    assert sorted((l['then'], l['now']) for l in lines) == [(250, 554), (250, 554), (554, 250)]
    # what is no record is no crash
    relay.write('rubbish', 'S\t\nR\tx\nM\n.\n\x01\n.\nS\t1\t192.0.2.1\t99999999\n.\n')
    assert 'could not be held' in relay.command('replay', relay.etc / 'rubbish').stdout
