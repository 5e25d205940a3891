"""sendmail -bv and -v: the report that comes back by mail, beside what Debian's Postfix sends."""

import email
import os
import re
import subprocess

import pytest

from harness import places
from harness.names import Names
from harness.places import await_true
from harness.postfix import Postfix
from harness.server import Server

OK, TEMPFAIL = 0, 75
TEXT = 'Subject: hello\nTo: you\n\nbody\n'


def blocks(message):
    """Of the part for programs: the fields of each recipient."""
    part = next(p for p in message.walk() if p.get_content_type() == 'message/delivery-status')
    return [dict((k, re.sub(r'\s+', ' ', v)) for k, v in block.items()) for block in part.get_payload()[1:]]


def words(message):
    """Of the part for people: what stands behind each recipient."""
    text = next(p for p in message.walk() if p.get_content_type() == 'text/plain').get_payload()
    found = re.findall(r'^(<.*?)(?=^$)', text.replace('\r', ''), re.M | re.S)
    return sorted(re.sub(r'\s+', ' ', f).strip() for f in found)


def is_report(message):
    return message['subject'] == 'Mail Delivery Status Report'


@pytest.fixture
def core(network):
    return network.core(main={'core_relays': '192.0.2.1', 'myorigin': 'relay.test'}).start()


@pytest.fixture
def names(core):
    return Names(core.etc, user=None if core.as_root else places.user())


def reports(server, box, count=1):
    def found():
        mails = [email.message_from_bytes(m.read_bytes()) for m in server.maildir(box)]
        mails = [m for m in mails if is_report(m)]
        return mails if len(mails) >= count else None
    return await_true(found, 10, 'a report')


def test_nothing_is_delivered_with_bv(core, names):
    done = names('sendmail', '-bv', '-f', 'editor@relay.test', '1user', 'nobody', input=TEXT)
    assert (done.returncode, done.stderr) == (OK, '')
    assert done.stdout == 'Mail Delivery Status Report will be mailed to <editor@relay.test>.\n'
    report, = reports(core, 'relay.test/editor')
    assert {b['Final-Recipient']: (b['Action'], b['Status']) for b in blocks(report)} == {
        'rfc822; 1user@relay.test': ('deliverable', '2.0.0'),
        'rfc822; nobody@relay.test': ('undeliverable', '5.1.1')}
    assert words(report)[0] == '<1user@relay.test>: delivery via virtual: delivers to maildir'
    core.await_log(r'to=<1user@relay\.test>, .*status=deliverable \(delivers to maildir\)')
    core.await_log(r'to=<nobody@relay\.test>, .*status=undeliverable')
    core.await_queue_count(0)
    assert core.maildir('relay.test/box1') == [] and len(core.maildir('relay.test/editor')) == 1
    done = names('sendmail', '-bv', '-t', input=TEXT)
    assert done.returncode == TEMPFAIL and '-t option cannot be used with -bv' in done.stderr


def test_v_tells_of_the_delivery(core, names):
    done = names('sendmail', '-v', '-f', 'editor@relay.test', '1user', input=TEXT)
    assert done.returncode == OK and 'will be mailed to <editor@relay.test>' in done.stdout
    report, = reports(core, 'relay.test/editor')
    assert [(b['Action'], b['Status']) for b in blocks(report)] == [('delivered', '2.0.0')]
    assert 'Subject: hello' in report.as_string() and '\nbody' not in report.as_string()
    assert len(core.maildir('relay.test/box1')) == 1
    # several ask Postfix for its debugging log, and no report is made
    done = names('sendmail', '-v', '-v', '-f', 'editor@relay.test', '2user', input=TEXT)
    assert (done.returncode, done.stdout) == (OK, '')
    core.await_maildir('relay.test/box2', 1)
    core.await_queue_count(0)
    assert len(core.maildir('relay.test/editor')) == 1


def test_one_report_of_the_first_attempt(network):
    """Attempts that follow, and a restart, bring no other; the server's name stays hidden, as in bounces."""
    sink = network.sink().start()
    sink.reply('RCPT', '450 4.2.0 core.inside.test is busy')
    relay = network.relay(sink.port, main={
        'virtual_mailbox_domains': 'box.test', 'virtual_mailbox_base': '@DIR@/mail', 'myorigin': 'relay.test',
        'virtual_mailbox_maps': 'inline:{me@box.test=me/}', 'virtual_uid_maps': f'static:{os.getuid()}',
        'virtual_gid_maps': f'static:{os.getgid()}', 'virtual_minimum_uid': '1', 'core_relays': '192.0.2.1'})
    owner = places.user()
    if owner:
        relay.write_configuration(virtual_uid_maps=f'static:{owner.pw_uid}', virtual_gid_maps=f'static:{owner.pw_gid}')
    (relay.directory / 'mail').mkdir()
    places.give(relay.directory / 'mail')
    relay.start()
    names = Names(relay.etc, user=None if relay.as_root else owner)
    assert names('sendmail', '-v', '-f', 'me@box.test', 'editor@relay.test', input=TEXT).returncode == OK
    report, = reports(relay, 'me')
    assert [(b['Action'], b['Status']) for b in blocks(report)] == [('delayed', '4.2.0')]
    assert 'core.inside.test' not in report.as_string() and '127.0.0.1' not in report.as_string()
    tried = len(re.findall('status=deferred', relay.log()))
    await_true(lambda: len(re.findall('status=deferred', relay.log())) > tried, 20, 'a second attempt')
    relay.stop()
    relay.start()
    sink.reply('RCPT', None)
    await_true(lambda: 'status=sent (250 2.0.0 taken' in relay.log(), 20, 'it arrives')
    relay.await_queue_count(0)
    assert len(relay.maildir('me')) == 1
    # a probe that has to wait is not tried again: that is its result
    sink.reply('RCPT', '450 4.2.0 busy')
    assert names('sendmail', '-bv', '-f', 'me@box.test', 'a@relay.test', 'b@relay.test', input=TEXT).returncode == OK
    probe = reports(relay, 'me', 2)
    found = [sorted((b['Final-Recipient'], b['Action'], b['Status']) for b in blocks(m)) for m in probe]
    assert [('rfc822; a@relay.test', 'undeliverable', '4.2.0'), ('rfc822; b@relay.test', 'undeliverable', '4.2.0')] in found
    relay.await_queue_count(0)
    assert len(sink.messages) == 1


# ---- beside the real one ----

MAIN = {'myhostname': 'mx1.relay.test', 'mydomain': 'relay.test', 'myorigin': 'relay.test', 'mydestination': '',
        'inet_interfaces': '127.0.0.1', 'inet_protocols': 'ipv4', 'compatibility_level': '3.6', 'mynetworks': '192.0.2.0/24',
        'enable_long_queue_ids': 'yes', 'virtual_mailbox_domains': 'box.test', 'virtual_mailbox_base': '@DIR@/mail',
        'virtual_mailbox_maps': 'inline:{me@box.test=me/,friend@box.test=friend/}', 'virtual_minimum_uid': '1',
        'virtual_alias_domains': '', 'virtual_alias_maps': 'inline:{alias@box.test=one@far.test}',
        'transport_maps': 'inline:{{nowhere.test=error:5.1.2 no way out}}'}
RECIPIENTS = ['one@far.test', 'two@nowhere.test', 'friend@box.test', 'none@box.test', 'alias@box.test', 'bad@far.test']


@pytest.mark.skipif(os.geteuid() != 0, reason='chroot needs root')
def test_reports_as_postfix(network):
    owner = places.user()
    uid, gid = (owner.pw_uid, owner.pw_gid) if owner else (os.getuid(), os.getgid())
    said = []
    for own in (True, False):
        sink = network.sink().start()
        sink.reply('RCPT=bad@far.test', '550 5.1.1 unknown')
        main = {**MAIN, 'default_transport': f'smtp:[127.0.0.1]:{sink.port}', 'virtual_uid_maps': f'static:{uid}',
                'virtual_gid_maps': f'static:{gid}'}
        if own:
            server = Server('reports', {**main, 'core_relays': '192.0.2.1'})
            network.servers.append(server)
        else:
            server = Postfix('reports', main, {}, '127.0.0.1:@PORT@ inet n - n - - smtpd\n'
                                                  'pickup unix n - n 60 1 pickup\n', {})
        mail = server.directory / 'mail'
        mail.mkdir()
        os.chown(mail, uid, gid)
        try:
            server.start()
            said.append(talk(server, own, mail, sink))
        finally:
            if not own:
                server.stop()
    for ours, theirs in zip(said[0], said[1]):
        for mine, its in zip(ours, theirs):
            assert mine == its


def talk(server, own, mail, sink):
    """What came of the commands, without what no two servers have in common."""
    names = Names(server.etc, user=None if server.as_root else places.user()) if own else None
    out = []
    for option in ('-bv', '-v'):
        arguments = [option, '-f', 'me@box.test', *RECIPIENTS]
        if own:
            done = names('sendmail', *arguments, input=TEXT)
        else:
            done = subprocess.run(['chroot', server.root, '/usr/sbin/sendmail', '-C', server.inside / 'etc', *arguments],
                                  input=TEXT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=places.patient(20))

        def found():
            mails = [email.message_from_bytes(f.read_bytes()) for f in mail.glob('me/new/*')]
            mails = [m for m in mails if is_report(m)]
            return mails[0] if mails else None

        report = await_true(found, 20, f'the report of {option}')
        fields = sorted((b['Final-Recipient'], b['Action'], b['Status'], b.get('Remote-MTA', ''),
                         b['Diagnostic-Code'].partition(';')[0].replace('X-Postfix', 'X-Forepost')) for b in blocks(report))
        texts = [w.replace(str(sink.port), 'PORT').replace('(in reply to RCPT TO command)', '') for w in words(report)]
        headers = [(k, re.sub('["<>]', '', v)) for k, v in report.items() if k in ('From', 'To', 'Subject', 'Auto-Submitted')]
        out.append((done.returncode, done.stdout, done.stderr, fields, sorted(t.strip() for t in texts), headers,
                    len(sink.messages)))
        for file in mail.glob('me/new/*'):
            file.unlink()
    return out
