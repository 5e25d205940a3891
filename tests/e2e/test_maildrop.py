"""sendmail while no server runs: mail waits in maildrop/, and nothing there is believed."""

import email
import grp
import os
import pwd
import random
import shutil
import signal
import stat
import subprocess
import time

import pytest

from harness import places
from harness.names import Names
from harness.places import await_true

OK, DATAERR, TEMPFAIL, NOPERM = 0, 65, 75, 77
TEXT = 'Subject: hello\n\nFirst.\n.dot\n'


@pytest.fixture
def core(network):
    """Has run once, as the directory is the server's to make."""
    core = network.core(main={'core_relays': '192.0.2.1', 'myorigin': 'relay.test'}).start()
    core.stop()
    return core


@pytest.fixture
def names(core):
    return Names(core.etc, user=None if core.as_root else places.user())


def drop(core):
    return core.directory / 'queue' / 'maildrop'


def left(core):
    return sorted(f.name for f in drop(core).iterdir())


def aside(core):
    return sorted(f.name for f in (core.directory / 'queue' / 'corrupt').iterdir())


def box(core, name, count):
    return [email.message_from_bytes(m) for m in core.await_maildir(f'relay.test/{name}', count)]


def dialogue(content='Subject: x\r\n\r\nx\r\n.\r\n', recipients=('editor@relay.test',), sender='boss@relay.test'):
    return (f'MAIL FROM:<{sender}>\r\n' + ''.join(f'RCPT TO:<{r}>\r\n' for r in recipients) + 'DATA\r\n' + content).encode()


def whole(text, size=None):
    return b'forepost-maildrop 1 %010d\n' % (size or len(text) + 31) + text


LETTERS = 'BCDFGHJKLM'
IDS = iter(range(100))


def put(core, content, owner=None):
    """A file that somebody else than sendmail has made."""
    number = next(IDS)
    path = drop(core) / f'4jXQs90sf8z{LETTERS[number // 10]}{LETTERS[number % 10]}'
    fresh = core.directory / 'fresh'
    fresh.write_bytes(content)
    owner = owner or places.user()
    if owner:
        os.chown(fresh, owner.pw_uid, owner.pw_gid)
    fresh.rename(path)
    return path


def test_mail_waits_for_the_server(core, names):
    assert stat.S_IMODE(drop(core).stat().st_mode) == 0o1730
    done = names('sendmail', '-f', 'boss@relay.test', 'editor', '1user@relay.test', input=TEXT)
    assert (done.returncode, done.stdout, done.stderr) == (OK, '', '')
    assert names('sendmail', '-v', '-f', '2user@relay.test', 'editor', input='Subject: second\n\nx\n').returncode == OK
    ids = left(core)
    assert len(ids) == 2
    shown = names('mailq').stdout
    assert ids[0] + ' ' in shown and 'boss@relay.test' in shown and '1user@relay.test' in shown
    assert 'in 2 Requests.' in shown
    assert '"queue_name": "maildrop"' in names('postqueue', '-j').stdout
    core.start()
    first, second = sorted(box(core, 'editor', 2), key=lambda m: m['subject'])
    assert first.get_payload() == 'First.\n.dot\n' and first['return-path'] == '<boss@relay.test>'
    assert second['subject'] == 'second'
    uid = (places.user() or pwd.getpwuid(os.getuid())).pw_uid
    assert f'from userid {uid})' in first.get_all('received')[0]
    box(core, 'box1', 1)
    assert box(core, 'box2', 1)[0]['subject'] == 'Mail Delivery Status Report'
    await_true(lambda: left(core) == [], 10, 'nothing is left')


def test_a_sender_for_each_recipient(core, names):
    assert names('sendmail', '-XV-+', '-f', 'boss@relay.test', 'editor', '1user@relay.test', input=TEXT).returncode == OK
    assert b'MAIL FROM:<boss@relay.test> XVERP=-+\r\n' in (drop(core) / left(core)[0]).read_bytes()
    core.start()
    assert box(core, 'editor', 1)[0]['return-path'] == '<boss-editor+relay.test@relay.test>'
    assert box(core, 'box1', 1)[0]['return-path'] == '<boss-1user+relay.test@relay.test>'


def test_while_the_server_runs(core, names):
    names('sendmail', '-f', 'boss@relay.test', 'editor', input=TEXT)
    name, = left(core)
    content = (drop(core) / name).read_bytes()
    core.start()
    box(core, 'editor', 1)
    put(core, content)
    box(core, 'editor', 2)
    await_true(lambda: left(core) == [], 10, 'nothing is left')


def test_more_recipients_than_strangers_may_have(core, names):
    core.write_configuration(smtpd_recipient_limit='2')
    users = [f'{n}user@relay.test' for n in range(1, 7)]
    assert names('sendmail', '-f', 'boss@relay.test', *users, input=TEXT).returncode == OK
    core.start()
    for n in range(1, 7):
        box(core, f'box{n}', 1)
    await_true(lambda: left(core) == [], 10, 'nothing is left')


def test_who_may_and_how_much(core, names):
    me = (places.user() or pwd.getpwuid(os.getuid())).pw_name
    core.write_configuration(authorized_submit_users=f'!{me}, static:anyone', message_size_limit='20000')
    done = names('sendmail', 'editor', input=TEXT)
    assert done.returncode == NOPERM and 'not allowed to submit mail' in done.stderr
    core.write_configuration(authorized_submit_users='static:anyone')
    assert names('sendmail', 'editor', input='Subject: x\n\n' + 'x' * 70 * 500).returncode == DATAERR
    assert left(core) == []
    # the server looks for itself, and who has got an exit code of 0 hears of a refusal
    put(core, whole(dialogue('Subject: large\r\n\r\n' + ('x' * 70 + '\r\n') * 500 + '.\r\n', sender='editor@relay.test')))
    core.start()
    bounce, = box(core, 'editor', 1)
    assert bounce['subject'] == 'Undelivered Mail Returned to Sender' and 'Subject: large' in bounce.as_string()
    assert left(core) == [] and aside(core) == []
    core.write_configuration(authorized_submit_users=f'!{me}, static:anyone')
    assert core.command('reload').returncode == 0
    path = put(core, whole(dialogue()))
    core.await_log(rf'{path.name}: User {me}\(\d+\) is not allowed to submit mail; it is kept in corrupt/maildrop-{path.name}')
    await_true(lambda: aside(core) == [f'maildrop-{path.name}'], 10, 'it is set aside')


def test_postsuper(core, names):
    for _ in range(3):
        names('sendmail', 'editor', input=TEXT)
    ids = left(core)
    done = names('postsuper', '-d', ids[0])
    assert (done.returncode, done.stderr) == (0, f'postsuper: {ids[0]}: removed\npostsuper: Deleted: 1 message\n')
    assert left(core) == ids[1:]
    done = names('postsuper', '-d', 'ALL', 'maildrop')
    assert (done.returncode, done.stderr) == (0, 'postsuper: Deleted: 2 messages\n')
    assert left(core) == []


def test_refused_for_now(core, names):
    """It waits, and listings show it; once it is as old as mail may become, the sender is told."""
    recipients = ('1user@relay.test',)
    core.master += ('pickup unix n - - 60 1 pickup -o { smtpd_recipient_restrictions = '
                    'check_recipient_access inline:{ { 1user@relay.test = 450 4.2.0 come again } } }\n')
    core.write_configuration()
    young = put(core, whole(dialogue(recipients=recipients)))
    old = put(core, whole(dialogue('Subject: old\r\n\r\nx\r\n.\r\n', recipients=recipients, sender='editor@relay.test')))
    nobodys = put(core, whole(dialogue('Subject: nobody\r\n\r\nx\r\n.\r\n', recipients=recipients, sender='')))
    six_days_ago = time.time() - 6 * 86400
    for path in (old, nobodys):
        os.utime(path, (six_days_ago, six_days_ago))
    core.start()
    bounce, = box(core, 'editor', 1)
    assert bounce['subject'] == 'Undelivered Mail Returned to Sender' and 'Subject: old' in bounce.as_string()
    assert '450 4.2.0' in bounce.as_string() and 'Status: 4.2.0' in bounce.as_string() and 'Action: failed' in bounce.as_string()
    await_true(lambda: left(core) == [young.name] and aside(core) == [f'maildrop-{nobodys.name}'], 10, 'the old ones have gone')
    core.await_log(rf'{young.name}: has to wait: 450 4.2.0')
    await_true(lambda: young.name in names('mailq').stdout, 10, 'it is listed')
    shown = names('mailq').stdout
    assert '1user@relay.test' in shown and shown.endswith('in 1 Request.\n')
    line, = names('postqueue', '-j').stdout.splitlines()
    assert f'"queue_id": "{young.name}"' in line and '"queue_name": "maildrop"' in line
    assert core.command('queue', 'count').stdout == '1\n'
    assert names('postsuper', '-d', young.name).returncode == 0
    assert names('mailq').stdout == 'Mail queue is empty\n'


def test_what_no_sendmail_wrote(core, names):
    good = dialogue()
    bad = {
        'no head': good,
        'cut short': whole(good)[:-7],
        'wrong length': whole(good, 12345),
        'empty': b'',
        'no sender': whole(good.replace(b'MAIL FROM', b'HELO FROM')),
        'no recipient': whole(dialogue(recipients=())),
        'another command': whole(good.replace(b'DATA', b'XCLIENT ADDR=192.0.2.1\r\nDATA')),
        'two messages': whole(good + good),
        'no end': whole(good[:-3]),
        'a bare line end': whole(good.replace(b'<editor', b'<\neditor')),
        'a line too long': whole(dialogue(recipients=('x' * 9000,))),
        'bytes': whole(bytes(range(256)) * 20),
    }
    kept = {put(core, content).name: what for what, content in bad.items()}
    for what in ('link', 'fifo', 'directory', 'second name', 'shut'):
        path = put(core, whole(good))
        kept[path.name] = what
        if what == 'link':
            path.rename(core.directory / 'elsewhere')
            path.symlink_to(core.directory / 'elsewhere')
        elif what == 'fifo':
            path.unlink()
            os.mkfifo(path)
        elif what == 'directory':
            path.unlink()
            path.mkdir()
        elif what == 'second name':
            os.link(path, core.directory / 'second')
        elif os.geteuid() == 0:
            os.chown(path, 1, 1)
            path.chmod(0)
        else:
            path.write_bytes(b'')
    huge = put(core, b'')
    os.truncate(huge, 1 << 33)
    kept[huge.name] = 'huge'
    (drop(core) / 'new.1.2').write_bytes(b'being written')
    (drop(core) / 'new.1.3').write_bytes(b'left over')
    os.utime(drop(core) / 'new.1.3', (1, 1))
    (drop(core) / 'README').write_bytes(b'no id')
    core.start()
    put(core, whole(good))
    box(core, 'editor', 1)
    await_true(lambda: aside(core) == sorted(f'maildrop-{name}' for name in kept if kept[name] != 'directory'), 20, 'all are set aside')
    for name, what in kept.items():
        line = core.await_log(rf'pickup\[\d+\]: warning: {name}: .*; it is kept in (\S+)$')
        assert os.path.lexists(core.directory / 'queue' / line[1]), what
    directory = next(name for name in kept if kept[name] == 'directory')
    await_true(lambda: left(core) in (['README', 'new.1.2'], ['README', f'bad.{directory}', 'new.1.2']), 10, 'the rest is left alone')
    assert (core.directory / 'elsewhere').exists()
    shutil.rmtree(core.directory / 'queue' / 'corrupt')


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be several users')
def test_users_without_rights(core):
    """Who is not of the group needs a program that is; it lends its rights to nothing but the file."""
    other = pwd.getpwnam('daemon')
    group = grp.getgrnam('mail')
    os.chmod(core.etc / 'main.cf', 0o644)
    for path in (core.directory, core.etc, core.directory / 'queue'):
        path.chmod(path.stat().st_mode | 0o011)
    names = Names(core.etc, user=other)
    done = names('sendmail', 'editor', input=TEXT)
    assert done.returncode == TEMPFAIL and 'not running' in done.stderr and 'not queued' in done.stderr
    os.chown(drop(core), -1, group.gr_gid)
    program = core.directory / 'sendmail'
    shutil.copy(places.program(), program)
    os.chown(program, 0, group.gr_gid)
    program.chmod(0o2755)
    # a configuration of his own choice gets none of them
    for arguments, environment in ((['-C', core.etc], {}), ([], {'MAIL_CONFIG': str(core.etc)})):
        done = subprocess.run([program, *arguments, 'editor'], input=TEXT, text=True, env=environment, timeout=20,
                              stderr=subprocess.PIPE, user=other.pw_uid, group=other.pw_gid, extra_groups=[])
        assert done.returncode == TEMPFAIL, done.stderr
    # that of the machine, seen by this process alone
    done = subprocess.run(['unshare', '-m', 'sh', '-ec',
                           'd='+str(core.directory)+'/e; mkdir $d; cp -r "$1" $d/forepost; cp /etc/passwd /etc/group $d; chmod -R a+rX $d; '
                           'mount --bind $d /etc; '
                           'exec setpriv --reuid $2 --regid $3 --clear-groups "$4" editor', 'sh', core.etc,
                           str(other.pw_uid), str(other.pw_gid), program],
                          input=TEXT, text=True, stderr=subprocess.PIPE, timeout=20)
    assert done.returncode == OK, done.stderr
    name, = left(core)
    assert (drop(core) / name).stat().st_uid == other.pw_uid
    core.start()
    message, = box(core, 'editor', 1)
    assert f'from userid {other.pw_uid})' in message.get_all('received')[0]


def test_kill_9(core, names):
    """What sendmail has said 0 to arrives, whoever is killed when; what is left over does no harm."""
    random.seed(int(os.environ.get('FOREPOST_SEED', '7')))
    owner = places.user() if not core.as_root else None
    who = {'user': owner.pw_uid, 'group': owner.pw_gid, 'extra_groups': []} if owner else {}
    sent = []
    for number in range(40):
        process = subprocess.Popen([names.links / 'sendmail', '-f', 'boss@relay.test', 'editor@relay.test'],
                                   stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   env={**os.environ, 'MAIL_CONFIG': str(core.etc)}, **who)
        process.stdin.write(b'Subject: %d\n\n' % number + b'x' * 70 + b'\n' * 2000)
        process.stdin.close()
        time.sleep(random.random() * 0.012)
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            sent.append(number)
    names('sendmail', '-f', 'boss@relay.test', 'editor@relay.test', input='Subject: 40\n\nx\n')
    sent.append(40)
    for _ in range(4):
        core.start()
        time.sleep(random.random() * 0.05)
        core.kill()
    core.start()
    await_true(lambda: all(n.startswith('new.') for n in left(core)), 20, 'all are taken')
    core.await_queue_count(0)
    found = {int(email.message_from_bytes(f.read_bytes())['subject']) for f in core.maildir('relay.test/editor')}
    assert set(sent) <= found and found <= set(range(41))
    assert aside(core) == []
