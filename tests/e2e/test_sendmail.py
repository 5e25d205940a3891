"""sendmail: what local users submit, through the public socket, under the name of whoever asks."""

import email
import email.policy
import os
import pwd
import re
import stat

import pytest

from harness import places
from harness.names import Names
from harness.places import await_true

OK, USAGE, UNAVAILABLE, TEMPFAIL, NOPERM = 0, 64, 69, 75, 77


@pytest.fixture
def core(network):
    return network.core(main={'core_relays': '192.0.2.1', 'myorigin': 'relay.test'}).start()


@pytest.fixture
def names(core):
    return Names(core.etc, user=None if core.as_root else places.user())


def received(core, count=1, box='relay.test/editor'):
    return [email.message_from_bytes(m, policy=email.policy.default) for m in core.await_maildir(box, count)]


def test_a_message(core, names):
    done = names('sendmail', '-f', 'boss@relay.test', '-F', 'The "Boss"', 'editor@relay.test',
                 input='Subject: hello\nTo: you\n\nFirst.\n..two dots\n.one\n')
    assert (done.returncode, done.stdout, done.stderr) == (OK, '', '')
    message, = received(core)
    assert message['subject'] == 'hello' and message['return-path'] == '<boss@relay.test>'
    assert str(message['from']) == '"The \\"Boss\\"" <boss@relay.test>'
    assert message['date'] and re.fullmatch(r'<\S+@\S+>', message['message-id'])
    assert message.get_content() == 'First.\n..two dots\n.one\n'
    uid = (places.user() or pwd.getpwuid(os.getuid())).pw_uid
    assert re.search(rf'^by \S+ \(Forepost, from userid {uid}\)', message.get_all('received')[0])
    core.await_log(rf'postfix/pickup\[\d+\]: \w+: uid={uid} from=<boss@relay\.test>')
    core.await_log(r'postfix/qmgr\[\d+\]: \w+: from=<boss@relay\.test>, size=\d+, nrcpt=1')


def test_recipients_from_the_header(core, names):
    text = ('To: "Ed, the editor" <editor@relay.test>,\n editor (again)\nCc: group: 1user@relay.test, 11user@relay.test;\n'
            'Bcc: 2user@relay.test\nSubject: many\n\nbody\n')
    assert names('sendmail', '-t', '3user', input=text).returncode == OK
    message, = received(core)
    assert message['bcc'] is None and 'editor' in str(message['to'])
    assert len(core.await_maildir('relay.test/box1', 2)) == 2
    for box in ('box2', 'box3'):
        received(core, 1, f'relay.test/{box}')
    assert names('sendmail', '-t', input='Subject: nobody\n\nbody\n').returncode == USAGE
    text = 'To: 4user@relay.test\nResent-From: x@relay.test\nResent-To: 5user@relay.test\n\nbody\n'
    assert names('sendmail', '-t', input=text).returncode == OK
    received(core, 1, 'relay.test/box5')
    assert core.maildir('relay.test/box4') == []


def test_where_a_message_ends(core, names):
    names('sendmail', 'editor', input='Subject: a\n\none\n.\ntwo\n')
    assert received(core, 1)[0].get_content() == 'one\n'
    for option in ('-i', '-oi'):
        names('sendmail', option, '1user', input='From someone Thu Jan  1\nSubject: b\n\none\n.\ntwo')
    for message in received(core, 2, 'relay.test/box1'):
        assert message.get_content() == 'one\n.\ntwo\n' and message['subject'] == 'b'
    names('sendmail', '2user', input='no header\nat all\n')
    assert received(core, 1, 'relay.test/box2')[0].get_content() == 'no header\nat all\n'
    names('sendmail', '3user', input=b'Subject: nul\n\na\x00b\r\nc\n')
    assert b'c' in core.await_maildir('relay.test/box3', 1)[0]


def test_options_of_sendmail(core, names):
    done = names('sendmail', '-Am', '-oem', '-o7', '-odb', '-n', '-U', '-G', '-L', 'x', '-O', 'DeliveryMode=b', '-B',
                 '8BITMIME', '-N', 'failure,delay', '-R', 'hdrs', '-V', 'id with blank', '-f', '<>', '--', 'editor',
                 input='Subject: x\n\nx\n')
    assert done.returncode == OK, done.stderr
    assert received(core, 1)[0]['return-path'] == '<>'
    for wrong in (['-N', 'sometimes', 'editor'], ['-R', 'none', 'editor'], ['-bd'], ['-Xlog', 'editor'], ['-XVab', 'editor'],
                  ['-XV+', 'editor'], ['-V+*', 'editor'], ['-XV', '-f', '<>', 'editor'], ['-qSx'], [], ['-\x7f'], ['a\nb@relay.test'], ['-f', 'a\r\nDATA', 'editor']):
        done = names('sendmail', *wrong, input='Subject: x\n\nx\n')
        assert done.returncode == USAGE and 'sendmail: fatal: ' in done.stderr, (wrong, done.stderr)
    core.await_queue_count(0)
    assert names('sendmail', '-bp').stdout == 'Mail queue is empty\n' == names('mailq').stdout
    assert names('sendmail', '-q').returncode == OK
    assert names('sendmail', '-qI4nothing0here').returncode == OK
    assert names('sendmail', '-qRrelay.test').returncode == OK
    assert names('sendmail', '-q15m', 'editor', input='Subject: y\n\n').returncode == OK


def test_a_sender_for_each_recipient(core, names):
    for n, (options, senders) in enumerate([
            (['-XV'], 'boss+{}=relay.test'), (['-XV-='], 'boss-{}=relay.test'), (['-V+-'], 'boss+{}-relay.test'),
            (['-V', '-i'], 'boss+{}=relay.test'), (['-Vids'], 'boss'), (['-V', 'a bc'], 'boss')], 1):
        done = names('sendmail', '-f', 'boss@relay.test', *options, f'{n}user', 'editor', input='Subject: x\n\nx\n')
        assert done.returncode == OK, done.stderr
        assert ('is deprecated' in done.stderr) == (options[0][:2] == '-V' and '{' in senders)
        message, = received(core, 1, f'relay.test/box{n}')
        assert message['return-path'] == f"<{senders.format(f'{n}user')}@relay.test>"
        assert f"<{senders.format('editor')}@relay.test>" in [m['return-path'] for m in received(core, n)]


def test_smtp_on_standard_input(core, names):
    talk = ('EHLO here\r\nMAIL FROM:<a@relay.test>\r\nRCPT TO:<editor@relay.test>\r\nDATA\r\nSubject: bs\r\n\r\nx\r\n.\r\n'
            'QUIT\r\n')
    done = names('sendmail', '-bs', input=talk)
    assert done.returncode == OK
    codes = [l[:3] for l in done.stdout.splitlines() if l[3:4] == ' ']
    assert codes == ['220', '250', '250', '250', '354', '250', '221']
    assert received(core)[0]['subject'] == 'bs'


def test_more_recipients_than_strangers_may_have(core, names):
    core.write_configuration(smtpd_recipient_limit='2')
    assert core.command('reload').returncode == 0
    users = [f'{n}user@relay.test' for n in range(1, 7)]
    assert names('sendmail', '-f', 'boss@relay.test', *users, input='Subject: to many\n\nx\n').returncode == OK
    for n in range(1, 7):
        assert received(core, 1, f'relay.test/box{n}')[0]['subject'] == 'to many'


def test_more_recipients_than_there_is_room_for(core, names):
    """The memory of a transaction is bounded, whoever fills it, and the session goes on."""
    recipients = ''.join(f'RCPT TO:<{"x" * 60}.{n}@{".".join(["y" * 60] * 3)}.test>\r\n' for n in range(40000))
    done = names('sendmail', '-bs', input=f'EHLO here\r\nMAIL FROM:<a@relay.test>\r\n{recipients}RSET\r\nNOOP\r\nQUIT\r\n')
    codes = [l[:9] for l in done.stdout.splitlines() if l[3:4] == ' ']
    assert codes[3] == '250 2.1.5' and codes[-4] == '452 4.3.1' and len(codes) == 40006
    assert [c[:3] for c in codes[-3:]] == ['250', '250', '221']


def test_a_wrong_recipient_bounces_and_a_route_is_no_matter(core, names):
    """As with Postfix: what is wrong with a recipient is told by mail, not to the script."""
    assert names('sendmail', '-f', 'editor@relay.test', 'nobody@relay.test', input='Subject: x\n\n').returncode == OK
    assert 'Undelivered' in str(received(core)[0]['subject'])


def test_who_may(core, names):
    user = places.user()
    me = user.pw_name if user else pwd.getpwuid(os.getuid()).pw_name
    core.write_configuration(authorized_submit_users=f'!{me}, static:anyone', authorized_mailq_users='root')
    assert core.command('reload').returncode == 0
    done = names('sendmail', 'editor', input='Subject: x\n\n')
    assert done.returncode == NOPERM and f'User {me}(' in done.stderr and 'not allowed to submit mail' in done.stderr
    core.await_log(r'not allowed to submit mail')
    core.write_configuration(authorized_submit_users=me)
    core.command('reload')
    assert names('sendmail', 'editor', input='Subject: x\n\n').returncode == OK


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be several users')
def test_another_user(core):
    """One who is neither root nor the server's user: submits, sees the queue, has it tried, and no more."""
    other = pwd.getpwnam('daemon')
    names = Names(core.etc, user=other)
    os.chmod(core.etc / 'main.cf', 0o644)
    assert names('sendmail', 'editor', input='Subject: x\n\n').returncode == OK
    message, = received(core)
    assert f'from userid {other.pw_uid})' in message.get_all('received')[0]
    assert f'<{other.pw_name}@relay.test>' in str(message['from'])
    core.await_queue_count(0)           # it is in the mailbox a moment before
    assert names('mailq').stdout == 'Mail queue is empty\n'
    assert names('postqueue', '-f').returncode == OK
    done = names('postsuper', '-d', 'ALL')
    assert done.returncode != 0 and 'be root' in done.stderr
    queue = core.directory / 'queue'
    assert stat.S_IMODE(queue.stat().st_mode) == 0o711
    for part in queue.iterdir():
        assert part.name in ('public.socket', 'pid', 'maildrop') or not part.stat().st_mode & 0o077, part
    core.write_configuration(authorized_mailq_users='root', authorized_flush_users='nobody')
    core.command('reload')
    assert 'not allowed to view the mail queue' in names('mailq').stderr
    assert names('postqueue', '-f').returncode != OK


def test_no_server(core, names):
    """Without a place to leave it, the message is not taken; test_maildrop.py has the rest."""
    core.stop()
    maildrop = core.directory / 'queue' / 'maildrop'
    maildrop.rename(core.directory / 'away')
    done = names('sendmail', 'editor', input='Subject: x\n\n')
    assert done.returncode == TEMPFAIL and 'not running' in done.stderr and 'not queued' in done.stderr
    core.start()
    assert maildrop.is_dir()
    assert names('sendmail', 'editor', input='Subject: x\n\n').returncode == OK
    received(core)


def test_reload_and_large(core, names):
    core.write_configuration(message_size_limit='20000')
    assert core.command('reload').returncode == 0
    done = names('sendmail', 'editor', input='Subject: x\n\n' + 'x' * 70 * 500)
    assert done.returncode == 65 and '552' in done.stderr
    assert names('sendmail', 'editor', input='Subject: long line\n\n' + 'x' * 19000).returncode == OK
    received(core)


def test_who_may_name_which_sender(network):
    """local_login_sender_maps: by the login name that belongs to the uid that the kernel tells, whatever the program says."""
    user = places.user() or pwd.getpwuid(os.getuid())
    core = network.core(main={
        'core_relays': '192.0.2.1', 'myorigin': 'relay.test', 'recipient_delimiter': '+',
        'local_login_sender_maps': f'inline:{{ {{ {user.pw_name} = {user.pw_name}, own@relay.test @team.test }} {{ other = * }} }}'}).start()
    names = Names(core.etc, user=None if core.as_root else places.user())
    text = 'Subject: x\n\nbody\n'
    for sender in ('own@relay.test', 'OWN+list@relay.test', 'anybody@team.test', user.pw_name):
        assert names('sendmail', '-f', sender, '1user@relay.test', input=text).returncode == OK, sender
    for sender in ('boss@relay.test', 'x@own.team.test', '<>', 'x@notteam.test'):
        done = names('sendmail', '-f', sender, '1user@relay.test', input=text)
        assert done.returncode not in (OK, TEMPFAIL) and 'not owned by user' in done.stderr, (sender, done)
    assert len(core.await_maildir('relay.test/box1', 4)) == 4
    core.await_log(r'postfix/pickup\[\d+\]: warning: uid=\d+: sender <boss@relay\.test> is not one of local_login_sender_maps')


def test_how_a_name_is_written(network):
    core = network.core(main={'core_relays': '192.0.2.1', 'myorigin': 'relay.test', 'header_from_format': 'obsolete'}).start()
    names = Names(core.etc, user=None if core.as_root else places.user())
    assert names('sendmail', '-f', 'boss@relay.test', '-F', 'The Böss', 'editor@relay.test', input='\nbody\n').returncode == OK
    message, = core.await_maildir('relay.test/editor', 1)
    assert b'\nFrom: boss@relay.test (=?utf-8?Q?The_B=C3=B6ss?=)\n' in message.replace(b'\r\n', b'\n')
