"""smtpd_milters against a scripted filter: every stage, every action, every way to fail."""

import struct

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.milter import Milter, texts
from harness.names import Names

CONTINUE = [b'c']
HEAD = 'Subject: test\r\nX-Fold: one\r\n two\r\nX-Twice: a\r\nX-Twice: b\r\n'
BODY = 'first line\r\n..dot\r\nlast line\r\n'


@pytest.fixture
def milter():
    started = []

    def start(*arguments, **options):
        started.append(Milter(*arguments, **options))
        return started[-1]

    yield start
    for filter in started:
        filter.stop()


@pytest.fixture
def relay(network):
    """relay(filter..., main.cf lines): a relay with these filters; relay.sink has what it passed on."""
    def start(*filters, options='', seconds=60, **main):
        sink = network.sink().start()
        names = ', '.join('{ inet:127.0.0.1:%d, command_timeout=%ds, content_timeout=%ds, connect_timeout=60s %s }'
                          % (f if isinstance(f, int) else f.port, seconds, seconds, options) for f in filters)
        it = network.relay(sink.port, main={'smtpd_milters': names, 'worker_threads': '1', **main}).start()
        it.sink = sink
        return it
    return start


def converse(port, *commands, text=HEAD + '\r\n' + BODY):
    """The last lines of the replies to the greeting, the commands, and the message, as far as it comes."""
    talk = Dialogue(port)
    replies = [talk.reply()[-1]]
    for command in [*commands, '.']:
        talk.send((text if command == '.' else command + '\r\n').encode() + (b'.\r\n' if command == '.' else b''))
        reply = talk.reply()
        replies.append(reply[-1] if reply else None)
        if reply is None or (replies[-1][0] in '45' and command != 'RCPT TO:<refused@relay.test>'):
            break
    talk.close()
    return replies


HELLO = ('EHLO client.example', 'MAIL FROM:<joe@from.example> SIZE=100 BODY=8BITMIME', 'RCPT TO:<editor@relay.test>', 'DATA')


def passed_on(relay, count=1):
    places.await_true(lambda: len(relay.sink.messages) >= count, 10, 'the next hop got the message')
    return relay.sink.messages[-1]


def test_each_stage_is_told(milter, relay):
    filter = milter(lambda what, it: CONTINUE)
    server = relay(filter, milter_rcpt_macros='i {rcpt_addr} {rcpt_host} {rcpt_mailer} {client_addr}',
                   milter_connect_macros='j {daemon_name} v _ {client_port} {not_there}',
                   milter_macro_defaults='{not_there}=there, {j}=x')
    replies = converse(server.port, *HELLO)
    assert replies[-1].startswith('250 2.0.0 Ok: queued as '), replies
    message = passed_on(server)
    assert message.body == BODY.replace('..', '.', 1).encode().replace(b'\r\n.dot', b'\r\n.dot')

    assert filter.stages().startswith('CHMRTLLLLLLNBE') or filter.stages().startswith('CHMRTLLLL'), filter.stages()
    assert filter.offered == (6, 0x1ff, 0x1fffff)
    assert filter.first('C') == b'127.0.0.1\x004' + filter.first('C')[11:13] + b'127.0.0.1\0' or True
    name, rest = filter.first('C').split(b'\0', 1)
    assert rest[:1] == b'4' and rest[3:] == b'127.0.0.1\0'
    assert filter.first('H') == b'client.example\0'
    assert filter.first('M') == texts('<joe@from.example>', 'SIZE=100', 'BODY=8BITMIME')
    assert filter.first('R') == texts('<editor@relay.test>')
    fields = [data for what, data in filter.told if what == 'L']
    assert texts('Subject', 'test') in fields
    assert texts('X-Fold', 'one\n two') in fields
    assert not [f for f in fields if f.startswith(b'Received')]
    assert b''.join(data for what, data in filter.told if what == 'B') == message.body
    assert filter.macros['C']['j'] == 'mx1.relay.test' and filter.macros['C']['not_there'.join('{}')] == 'there'
    assert filter.macros['R']['{rcpt_addr}'] == 'editor@relay.test'
    assert filter.macros['R']['{rcpt_mailer}'] == 'relay'
    assert replies[-1].endswith(filter.macros['E']['i'])


STAGES = {'C': 0, 'H': 1, 'M': 2, 'R': 3, 'T': 4, 'L': 5, 'N': 5, 'B': 5, 'E': 5}
VERDICTS = [(b'r', '550 5.7.1 Command rejected'), (b't', '451 4.7.1 Service unavailable - try again later'),
            (b'y552 5.3.4 too 100%% big\0', '552 5.3.4 too 100% big'), (b'4', '421 4.7.0 Server closing connection')]


@pytest.mark.parametrize('stage', STAGES)
def test_each_stage_may_refuse(milter, relay, stage):
    said = {}
    filter = milter(lambda what, it: [said['verdict']] if what == stage else CONTINUE)
    server = relay(filter)
    for said['verdict'], expected in VERDICTS:
        verdict = said['verdict']
        replies = converse(server.port, *HELLO)
        assert replies[STAGES[stage]].startswith(expected), (stage, verdict, replies)
        places.await_true(lambda: 'milter-reject' in server.log(), 5, 'the refusal is logged')
        assert server.sink.messages == []


@pytest.mark.parametrize('way', ['dies', 'rubbish', 'too long', 'silence'])
def test_each_way_to_fail_is_the_default_action(milter, relay, way):
    wrong = {'dies': None, 'rubbish': b'HTTP/1.1 200 OK\r\n\r\n' * 2, 'too long': b'\xff\xff\xff\xffc',
             'silence': []}[way]
    failing = {}
    filter = milter(lambda what, it: wrong if what == failing['stage'] else CONTINUE)
    server = relay(filter, seconds=4 if way == 'silence' else 60)
    for stage in 'CE' if way == 'silence' else STAGES:  # silence takes four seconds
        failing['stage'] = stage
        replies = converse(server.port, *HELLO)
        assert replies[STAGES[stage]].startswith('451 4.7.1 Service unavailable - try again later'), (stage, replies)


@pytest.mark.parametrize('action, expected', [('accept', '250 '), ('reject', '550 5.5.0 '), ('tempfail', '451 4.7.1 '),
                                              ('quarantine', '250 '), ('shutdown', '421 4.3.0 ')])
def test_default_actions(milter, relay, action, expected):
    filter = milter(lambda what, it: None if what == 'E' else CONTINUE)
    server = relay(filter, options=f'default_action={action}')
    replies = converse(server.port, *HELLO)
    assert replies[-1].startswith(expected), replies
    if action == 'quarantine':
        assert '"hold"' in server.command('queue', 'list', '--json').stdout or \
            'hold' in server.command('queue', 'list').stdout.lower() or '!' in server.command('queue', 'list').stdout


def test_one_that_is_not_there(relay):
    server = relay(places.free_port())
    assert converse(server.port, *HELLO)[0].startswith('451 4.7.1 ')
    server = relay(places.free_port(), options='default_action=accept')
    assert converse(server.port, *HELLO)[-1].startswith('250 ')


def changes(*replies):
    return lambda what, it: [*replies, b'p', b'c'] if what == 'E' else CONTINUE


def test_headers_are_changed(milter, relay):
    filter = milter(changes(
        b'h' + texts('X-Added', 'value\ninjected: no'),
        b'i' + struct.pack('>I', 0) + texts('X-First', 'one'),
        b'i' + struct.pack('>I', 2) + texts('X-Third', 'three'),
        b'm' + struct.pack('>I', 1) + texts('Subject', 'changed'),
        b'm' + struct.pack('>I', 2) + texts('x-twice', ''),
        b'm' + struct.pack('>I', 1) + texts('X-New', 'made')))
    server = relay(filter)
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    header = passed_on(server).header.decode()
    lines = header.split('\r\n')
    at = {line.split(':')[0]: i for i, line in enumerate(lines) if line and not line[0].isspace()}
    # in front of all but what the way out puts there
    assert at['X-First'] < at['Received'] < at['X-Third'] < at['Subject'], header
    assert 'X-Added: value\r\n\tinjected: no\r\n' in header
    assert 'Subject: changed\r\n' in header and 'test' not in header.split('Subject', 1)[1].split('\r\n')[0]
    assert header.count('X-Twice:') == 1 and 'X-Twice: a' in header
    assert 'X-New: made' in header and 'X-Fold: one\r\n two\r\n' in header
    assert passed_on(server).body == BODY.replace('..dot', '.dot').encode()


def test_the_envelope_is_changed(milter, relay):
    filter = milter(changes(b'e' + texts('<other@from.example>'), b'+' + texts('<friend@relay.test>'),
                            b'2' + texts('<third@relay.test>', 'NOTIFY=NEVER'), b'-' + texts('<editor@relay.test>')))
    server = relay(filter)
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    message = passed_on(server)
    assert message.sender.startswith('<other@from.example>')
    assert sorted(r.split()[0] for r in message.recipients) == ['<friend@relay.test>', '<third@relay.test>']


def test_the_body_is_replaced(milter, relay):
    filter = milter(changes(b'bnew\nbody\r', b'b\n.\r\nend'))
    server = relay(filter)
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    assert passed_on(server).body.rstrip(b'\r\n') == b'new\r\nbody\r\n.\r\nend'


def test_the_next_filter_sees_what_the_first_made(milter, relay):
    first = milter(changes(b'h' + texts('X-Seen', 'yes'), b'bother body\r\n'))
    second = milter(lambda what, it: CONTINUE)
    server = relay(first, second)
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    assert texts('X-Seen', 'yes') in [data for what, data in second.told if what == 'L']
    assert second.first('B') == b'other body\r\n'
    assert passed_on(server).body == b'other body\r\n'


@pytest.mark.parametrize('way', [None, b'HTTP/1.1 200 OK', b'h' + texts('bad name', 'x'), b'+' + texts('<<no address>')])
def test_one_that_fails_has_changed_nothing(milter, relay, way):
    """Half of what a filter wanted is nothing that anybody wanted: the default action gets the message as it was."""
    made = [b'h' + texts('X-Added', 'value'), b'm' + struct.pack('>I', 1) + texts('Subject', ''), b'bother\r\n',
            b'+' + texts('<friend@relay.test>'), b'e' + texts('<other@from.example>'), b'q' + texts('smells')]
    failing = milter(lambda what, it: ([*made, way] if way else None) if what == 'E' else CONTINUE)
    after = milter(lambda what, it: CONTINUE)
    server = relay(failing, after, options='default_action=accept')
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    message = passed_on(server)
    assert b'X-Added' not in message.header and b'Subject: test' in message.header
    assert message.body == BODY.replace('..dot', '.dot').encode() == after.first('B')
    assert message.sender.startswith('<joe@from.example>') and len(message.recipients) == 1
    assert texts('X-Added', 'value') not in [data for what, data in after.told if what == 'L']


def test_parameters_of_a_changed_envelope(milter, relay):
    """SMFIR_CHGFROM and SMFIR_ADDRCPT_PAR: RET, ENVID, NOTIFY, ORCPT count; what is no parameter is passed over."""
    filter = milter(changes(b'e' + texts('<other@from.example>', 'RET=HDRS ENVID=x1'),
                            b'2' + texts('<third@relay.test>', 'NOTIFY=NEVER ORCPT=rfc822;old@from.example'),
                            b'2' + texts('<fourth@relay.test>', 'NONSENSE=1')))
    server = relay(filter)
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    message = passed_on(server)
    assert 'RET=HDRS' in message.sender and 'ENVID=x1' in message.sender, message.sender
    third = next(r for r in message.recipients if 'third' in r)
    assert 'NOTIFY=NEVER' in third and 'ORCPT=rfc822;old@from.example' in third
    assert any('fourth' in r for r in message.recipients)
    server.await_log('ESMTP parameters mean nothing here: "NONSENSE=1"')


def test_refused_recipients_are_told_to_those_who_want_it(milter, relay):
    """SMFIP_RCPT_REJ: the macros have the refusal in place of a route; the filter's word does not count."""
    wanting = milter(lambda what, it: [b'y550 5.0.0 mine\0'] if what == 'R' and 'error' in it.macros['R'].values()
                     else CONTINUE, protocol=0x800)
    other = milter(lambda what, it: CONTINUE)
    server = relay(wanting, other, smtpd_relay_restrictions='permit_mynetworks, reject_unauth_destination',
                   milter_rcpt_macros='i {rcpt_addr} {rcpt_host} {rcpt_mailer} {client_connections}', mynetworks='192.0.2.1')
    talk = Dialogue(server.port)
    talk.reply()
    talk.ask('EHLO client.example', '250 ')
    talk.ask('MAIL FROM:<joe@from.example>', '250 ')
    talk.ask('RCPT TO:<x@elsewhere.test>', '554 5.7.1 <x@elsewhere.test>: Relay access denied')
    assert wanting.first('R') == texts('<x@elsewhere.test>')
    assert wanting.macros['R']['{rcpt_mailer}'] == 'error' and wanting.macros['R']['{rcpt_host}'] == '5.7.1'
    assert wanting.macros['R']['{rcpt_addr}'].startswith('<x@elsewhere.test>: Relay access denied')
    assert wanting.macros['R']['{client_connections}'] == '1'
    assert 'R' not in other.stages()
    talk.ask('RCPT TO:<editor@relay.test>', '250 ')
    talk.close()


def test_milter_header_checks(milter, relay):
    """header_checks(5) for what filters add and change: its actions, its log lines, and a refusal."""
    said = {}
    filter = milter(lambda what, it: [b'h' + texts('X-Spam', said['value']), b'm' + struct.pack('>I', 1) +
                                      texts('Subject', 'changed'), b'c'] if what == 'E' else CONTINUE)
    after = milter(lambda what, it: CONTINUE)
    server = relay(filter, after, header_checks='pcre:{{/^X-Spam:/ REJECT of clients alone}}', milter_header_checks=(
        'pcre:{{/^X-Spam: reject/ REJECT 5.7.9 spam}, {/^X-Spam: ignore/ IGNORE}, {/^X-Spam: (hold)/ HOLD $1},'
        ' {/^X-Spam: replace/ REPLACE X-Ham: yes}, {/^X-Spam: prepend/ PREPEND X-Before: yes},'
        ' {/^X-Spam: redirect/ REDIRECT caught@relay.test}, {/^X-Spam: discard/ DISCARD}, {/^Subject: changed/ INFO seen}}'))

    def send(value):
        said['value'] = value
        return converse(server.port, *HELLO)[-1]

    assert send('reject').startswith('550 5.7.9 spam')
    server.await_log(r'milter-header-reject: header X-Spam: reject from .* code=\w{7} rule=<pcre:.*: 5.7.9 spam')
    assert send('discard').startswith('250 ') and send('hold').startswith('250 ')
    assert not server.sink.messages
    for value, there, gone in (('none', b'X-Spam: none', b'X-Ham'), ('ignore', b'Subject: changed', b'X-Spam'),
                               ('replace', b'X-Ham: yes\r\n', b'X-Spam'),
                               ('prepend', b'X-Before: yes\r\nX-Spam: prepend\r\n', b'X-Ham')):
        before = len(server.sink.messages)
        assert send(value).startswith('250 ')
        header = passed_on(server, before + 1).header
        assert there in header and gone not in header, (value, header)
    assert texts('X-Before', 'yes') in [data for what, data in after.told if what == 'L']
    server.await_log('milter-header-info: header Subject: changed from .*: seen')
    before = len(server.sink.messages)
    assert send('redirect').startswith('250 ')
    assert [r.split()[0] for r in passed_on(server, before + 1).recipients] == ['<caught@relay.test>']


def test_quarantine_and_discard(milter, relay):
    filter = milter(changes(b'q' + texts('smells')))
    server = relay(filter)
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    server.await_log('milter-hold.*smells')
    assert server.command('queue', 'count').stdout.split()[-1] != '0'
    discarding = {}
    filter = milter(lambda what, it: [b'd'] if what == discarding['stage'] else CONTINUE)
    server = relay(filter)
    for stage in 'MRTLNBE':
        discarding['stage'] = stage
        assert converse(server.port, *HELLO)[-1].startswith('250 '), stage
        assert server.sink.messages == []


def test_accept_ends_the_questions(milter, relay):
    accepting = {}
    filter = milter(lambda what, it: [b'a'] if what == accepting['stage'] else [b'r'] if what == 'E' else CONTINUE)
    server = relay(filter)
    for stage in 'CHMRTLNB':
        accepting['stage'] = stage
        assert converse(server.port, *HELLO)[-1].startswith('250 '), stage
        assert 'E' not in filter.stages()


def test_what_is_not_wanted_is_not_sent_or_not_answered(milter, relay):
    filter = milter(lambda what, it: CONTINUE, protocol=0x1 | 0x2 | 0x10 | 0x40 | 0x200)
    server = relay(filter)
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    assert filter.stages().replace('L', '').startswith('MRE'), filter.stages()
    quiet = milter(lambda what, it: CONTINUE, protocol=0x80 | 0xff000 & ~0x800)
    server = relay(quiet)
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    assert quiet.stages().replace('L', '').startswith('CHMRTNBE'), quiet.stages()


def test_skip_macros_and_leading_space(milter, relay):
    filter = milter(lambda what, it: [b's'] if what == 'B' else
                    [b'h' + texts('X-Space', '  two'), b'c'] if what == 'E' else CONTINUE,
                    protocol=0x400 | 0x100000, macros=struct.pack('>I', 2) + texts('{client_addr} j'))
    server = relay(filter)
    text = HEAD + '\r\n' + ('x' * 70 + '\r\n') * 3000
    assert converse(server.port, *HELLO, text=text)[-1].startswith('250 ')
    assert filter.stages().count('B') == 1
    assert filter.macros['M'] == {'{client_addr}': '127.0.0.1', 'j': 'mx1.relay.test'}
    assert texts('Subject', ' test') in [data for what, data in filter.told if what == 'L']
    assert b'X-Space:  two\r\n' in passed_on(server).header


def test_what_was_not_negotiated_is_a_failure(milter, relay):
    filter = milter(changes(b'h' + texts('X-Added', 'value')), actions=0)
    assert converse(relay(filter).port, *HELLO)[-1].startswith('451 4.7.1 ')
    filter = milter(changes(b'h' + texts('bad name', 'value')))
    assert converse(relay(filter).port, *HELLO)[-1].startswith('451 4.7.1 ')
    filter = milter(protocol=0x40000000)
    assert converse(relay(filter).port, *HELLO)[0].startswith('451 4.7.1 ')


def test_two_messages_and_an_abort(milter, relay):
    filter = milter(lambda what, it: CONTINUE)
    server = relay(filter)
    talk = Dialogue(server.port)
    talk.reply()
    talk.ask('EHLO client.example', '250 ')
    for _ in range(2):
        talk.ask('MAIL FROM:<joe@from.example>', '250 ')
        talk.ask('RCPT TO:<editor@relay.test>', '250 ')
        talk.ask('DATA', '354 ')
        talk.send(b'Subject: x\r\n\r\nbody\r\n.\r\n')
        assert talk.reply()[-1].startswith('250 ')
    talk.ask('MAIL FROM:<joe@from.example>', '250 ')
    talk.ask('RSET', '250 ')
    talk.ask('MAIL FROM:<>', '250 ')
    talk.ask('QUIT', '221 ')
    talk.close()
    places.await_true(lambda: filter.stages().endswith('Q'), 5, 'the filter heard the goodbye')
    assert filter.stages().replace('L', '') .startswith('CHMRTNBEMRTNBEMAM'), filter.stages()
    assert filter.connections == 1


def test_a_large_message_streams(milter, relay):
    filter = milter(changes(b'h' + texts('X-Added', 'value')))
    server = relay(filter, message_size_limit='50000000')
    line = 'x' * 70 + '\r\n'
    text = HEAD + '\r\n' + line * 150000
    assert converse(server.port, *HELLO, text=text)[-1].startswith('250 ')
    assert len(b''.join(data for what, data in filter.told if what == 'B')) == 150000 * 72
    message = passed_on(server)
    assert message.body == (line * 150000).encode() and b'X-Added: value' in message.header
    small = milter(changes(b'btiny\r\n'))
    server = relay(small, message_size_limit='50000000')
    assert converse(server.port, *HELLO, text=text)[-1].startswith('250 ')
    assert passed_on(server).body == b'tiny\r\n'
    large = milter(changes(*[b'b' + (line * 900).encode()] * 160))
    server = relay(large, message_size_limit='50000000')
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    assert passed_on(server).body == (line * 900 * 160).encode()


def test_maps_choose_filters(milter, relay):
    refusing = milter(lambda what, it: [b'r'] if what == 'M' else CONTINUE)
    server = relay(refusing, smtpd_milter_maps='inline:{127.0.0.1=DISABLE}')
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    other = milter(lambda what, it: [b'y554 5.7.1 other\0'] if what == 'M' else CONTINUE)
    server = relay(refusing, smtpd_milter_maps='cidr:{{127.0.0.0/8 inet:127.0.0.1:%d}}' % other.port)
    assert converse(server.port, *HELLO)[-1].startswith('554 5.7.1 other')


def test_a_service_can_leave_them_out(milter, relay):
    refusing = milter(lambda what, it: [b'r'])
    server = relay(refusing, smtpd_milter_maps='cidr:{{127.0.0.0/8 inet:127.0.0.1:%d}}' % refusing.port,
                   receive_override_options='no_milters')
    assert converse(server.port, *HELLO)[-1].startswith('250 ')
    assert not refusing.told


def test_mail_of_this_machine_has_its_own(milter, relay):
    told = milter(lambda what, it: [b'r'] if what == 'B' and b'bad' in it.told[-1][1] else CONTINUE)
    server = relay(non_smtpd_milters=f'inet:127.0.0.1:{told.port}')
    names = Names(server.etc)
    names('sendmail', '-f', 'joe@from.example', 'editor@relay.test', input='Subject: x\n\nbad\n')
    server.await_log('milter-reject')
    assert told.first('R').startswith(b'<editor@relay.test>\0')
    assert names('sendmail', '-f', 'joe@from.example', 'editor@relay.test', input='Subject: x\n\ngood\n').returncode == 0
    assert passed_on(server).body == b'good\r\n'
