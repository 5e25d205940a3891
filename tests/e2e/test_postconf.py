"""postconf, and with it how main.cf and master.cf are read: Debian's own beside ours, on written and made-up files."""

import concurrent.futures
import random
import re

import pytest

from harness import places
from harness.names import NAMES, Names, real

MASTER = '''\
# name     type  private unpriv  chroot  wakeup  maxproc command
smtp      inet  n       -       y       -       -       smtpd
  -o smtpd_client_restrictions=permit -o { smtpd_banner = hello   there }
# between

127.0.0.1:10025 inet n - n - 10 smtpd
    -v -o foo=bar
pickup    unix  n       -       y       60      1       pickup
relay     unix  -       -       y       -       -       smtp
        -o syslog_name=${multi_instance_name?{$multi_instance_name}:{postfix}}/$service_name
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
'''

NAMED = 'myhostname = mx.example.com\n'      # else the resolver is asked, and takes its time

WRITTEN = {
    # a first word that ends at column 80, and two that end behind it
    'long': '''
smtpd_banner = a-word-behind-which-there-is-no-room-for-any-more-and-none-in-its-line
smtpd_helo_restrictions = static:a-word-that-with-its-name-is-now-eighty-columns reject
smtpd_data_restrictions = static:one-that-with-its-name-is-more-than-eighty-columns reject
''',
    'continued': '''
# a comment
smtpd_recipient_restrictions = permit_mynetworks,
    reject_unauth_destination,   reject_non_fqdn_sender
# inside of it
\t , permit

  reject
myhostname =   mx.example.com\x20\x20
mydestination=
relay_domains = one,
#two,
 three
''',
    'names': '''
foo = $myhostname
bar = ${foo?{x y}:z}
myhostname = mx.example.com
smtp_tls_loglevel = $bar
relay_domains = $foo, $(bar), ${bar}
mynetworks = $unknown_name 192.0.2.1
unused_name = 1
''',
    'conditions': '''
empty =
full = yes
a = ${empty?no}${empty:none}${full?yes}${full:no}
b = ${full?{x}:{y}} ${empty?{x}:{y}} ${empty?x}
c = ${{$full} == {yes} ? {same} : {other}}
d = ${{1} < {2} ? {less} : {more}} ${{10} < {9} ? {less} : {more}} ${{b} > {a} ? {more}}
e = ${{$compatibility_level} >=level {3.6} ? {new} : {old}}
f = ${full?{${empty?{deep}:{deeper}}}} $$full $$${full}
g = ${{a} != {b} ? {${{c} == {c} ? {in} : {out}}} : {no}}
smtpd_banner = $a $b $c $d $e $f $g
compatibility_level = 3.6
''',
    'twice': '''
mydestination = one
mydestination = two
relay_domains = $mydestination
''',
    'braces': '''
relay_domains = { a  b } ,\tc
smtpd_recipient_restrictions = { check_client_access inline:{ { a = b } , c=d } , defer } permit
mynetworks = 127.0.0.0/8,[::1]/128  192.0.2.0/24
''',
    'crlf': 'mydestination = one\r\nrelay_domains = two,\r\n  three\r\n',
    'no end': 'mydestination = one\nrelay_domains = two',
    'equals': 'mydestination = a=b = c\nrelay_domains==x\n',
    'deep': 'a1 = $a2\na2 = ${a3?{$a4}}\na3 = x\na4 = end\nmydestination = $a1 ${a1?{<$a1>}}\n',
}


@pytest.fixture(scope='module')
def ours():
    return Names('/nowhere')


def compare(ours, directory, *arguments):
    mine, theirs = ours('postconf', '-c', directory, *arguments), real('postconf', '-c', directory, *arguments)
    assert mine.stdout == theirs.stdout, (arguments, mine.stderr, theirs.stderr)
    assert mine.returncode == theirs.returncode
    return mine


@pytest.mark.parametrize('name', WRITTEN)
def test_written_files(ours, tmp_path, name):
    text = WRITTEN[name]
    if 'myhostname =' not in text:
        text = NAMED + text
    (tmp_path / 'main.cf').write_text(text, newline='')
    (tmp_path / 'master.cf').write_text(MASTER)
    for options in ('-n', '-nx', '-nf'):
        compare(ours, tmp_path, options)


def test_master(ours, tmp_path):
    (tmp_path / 'main.cf').write_text('compatibility_level = 3.6\n')
    (tmp_path / 'master.cf').write_text(MASTER)
    for arguments in (['-M'], ['-Mf'], ['-P'], ['-F'], ['-M', 'smtp/inet', 'pickup'], ['-P', '*/inet/smtpd_banner'],
                      ['-F', 'maildrop/unix/command'], ['-F', '*/*/chroot'], ['-Ph', 'smtp/inet'],
                      ['-PH', 'smtp/inet']):
        compare(ours, tmp_path, *arguments)
    assert 'unmatched request' in ours('postconf', '-c', tmp_path, '-M', 'nothing/inet').stderr


def test_single_names(ours, tmp_path):
    (tmp_path / 'main.cf').write_text('myhostname = mx.example.com\nfoo = $myhostname\nmydestination = $foo\n')
    (tmp_path / 'master.cf').write_text(MASTER)
    for arguments in (['myhostname'], ['-h', 'myhostname', 'mydestination'], ['-hx', 'mydestination'],
                      ['-d', 'smtpd_recipient_limit'], ['-o', 'foo=zz', '-x', 'mydestination'], ['nothing_known'],
                      ['maildrop_destination_recipient_limit'], ['-n', 'foo'], ['-C', 'user'], ['-nC', 'user'],
                      ['-C', 'service']):
        compare(ours, tmp_path, *arguments)
    assert 'unknown parameter' in ours('postconf', '-c', tmp_path, 'nothing_known').stderr


def test_all_of_postfix_is_known(ours, tmp_path):
    """Each parameter that Debian's Postfix prints has a name here too."""
    (tmp_path / 'main.cf').write_text('')
    (tmp_path / 'master.cf').write_text('')
    mine = set(ours('postconf', '-c', tmp_path, '-dH').stdout.split())
    theirs = set(real('postconf', '-c', tmp_path, '-dH').stdout.split())
    assert not theirs - mine


EDITS = [['-e', 'foo = new value', 'zz=1', 'mynetworks='], ['-X', 'foo', 'multi'], ['-#', 'foo', 'multi'],
         ['myhostname=other.example']]


@pytest.mark.parametrize('edit', EDITS, ids=lambda e: e[0])
def test_edit(ours, tmp_path, edit):
    text = '# begin\nmyhostname = mx.example.com\nfoo = $myhostname\nmulti = a\n# in\n  b\nmynetworks = 1.2.3.4\n'
    results = []
    for program in (ours, real):
        directory = tmp_path / ('real' if program is real else 'ours')
        directory.mkdir()
        (directory / 'main.cf').write_text(text)
        (directory / 'master.cf').write_text('')
        done = program('postconf', '-c', directory, *edit)
        results.append((done.returncode, (directory / 'main.cf').read_text()))
        assert [p.name for p in directory.iterdir() if p.name not in ('main.cf', 'master.cf')] == []
    assert results[0] == results[1]


# ---- made-up files ----

WORDS = ['a', 'permit', 'x=y', '$myhostname', '${made_up}', '$(made_up)', '${made_up?yes}', '${made_up:no}',
         '${mail_spool_directory?{one}:{two}}', '{ b c }', '{d}', ',', ', ', '  ', '\t', '\n ', '\n\t', '\n# note\n  ',
         '\n\n  ', '"q"', '192.0.2.0/24', '[::1]', '$$x', '${{$made_up} == {m} ? {is} : {is not}}', 'hash:/etc/x',
         '!no', '#', 'a#b', '%', '\\']
PARAMETERS = ['mydestination', 'relay_domains', 'mynetworks', 'smtpd_client_restrictions', 'made_up', 'smtpd_banner',
              'relay_recipient_maps', 'myorigin', 'virtual_alias_domains', 'also_made_up']


def make_up(chance):
    lines = [NAMED.strip(), 'also_made_up = z', 'smtpd_helo_restrictions = $also_made_up $made_up', 'made_up = m']
    for _ in range(chance.randrange(1, 12)):
        name = chance.choice(PARAMETERS)
        words = [chance.choice(WORDS) for _ in range(chance.randrange(0, 9))]
        if name in ('made_up', 'also_made_up'):     # no name that stands for itself
            words = [w for w in words if 'made_up' not in w]
        value = ''.join(w + chance.choice(['', ' ', '  ']) for w in words)
        lines.append(name + chance.choice(['=', ' = ', ' =', '\t=\t']) + value)
        if chance.random() < 0.3:
            lines.append(chance.choice(['# comment', '', '   ', '  # indented comment', '#']))
    return '\n'.join(lines) + '\n'


@pytest.mark.parametrize('seed', range(40))
def test_made_up_files(ours, tmp_path, seed):
    text = make_up(random.Random(seed))
    (tmp_path / 'main.cf').write_text(text)
    (tmp_path / 'master.cf').write_text(MASTER)
    if real('postconf', '-c', tmp_path, '-n').returncode:
        return      # Postfix stops at a line that we only complain of
    for options in ('-nf', '-nx'):
        compare(ours, tmp_path, options)


def test_types(ours):
    """What is listed can be opened."""
    types = ours('postconf', '-m').stdout.split()
    assert types == sorted(types) and {'hash', 'texthash', 'cidr', 'static', 'inline', 'regexp'} <= set(types)


# ---- changes of master.cf ----

EDITED_MASTER = MASTER + '''\
#  -o not=here
  -o other=x user=y
smtp      unix  -       -       y       -       -       smtp
many      unix  -       -       y       -       -       smtp -vo a=b -D -oc=d -o { e = f  g } -v -o h={i}
words     unix  n       n       n       -       -       pipe -v flags=Rq -o y=z argv=/bin/x -- -o { y = z } a-word-that-is-long and-more
options   unix  n       n       n       -       -       pipe -- -o y=z
   # at the end
'''

ALL_MASTER_EDITS = [
    ['-Me', 'smtp/inet=smtp inet n - n - - smtpd -o a=b'], ['-M', 'smtp/inet=smtp inet n - n - - smtpd -o a=b'],
    ['-Me', 'new/inet=new inet n - n - - smtpd -v -ox=y -o {z=a  b}', 'pickup/unix = pickup unix n - n 60 1 pickup'],
    ['-Me', 'smtp/inet=smtp inet n - n - - smtpd', 'smtp/inet=smtp inet n - n - - smtpd -v'],
    ['-Me', '*/inet=x inet n - n - - smtpd'], ['-Me', 'smtp/*=x inet n - n - - smtpd'], ['-Me', 'new/*=x inet n - n - - smtpd'],
    ['-MX', 'smtp/inet'], ['-MX', 'smtp/*'], ['-MX', 'nothing/inet'], ['-M#', '127.0.0.1:10025/inet'], ['-M#', '*/unix'],
    ['-M#', 'smtp/inet', 'pickup/unix'],
    ['-Fe', 'smtp/inet/chroot=n'], ['-F', '127.0.0.1:10025/inet/command=smtpd -o x=y'], ['-F', '*/*/chroot=n'],
    ['-F', 'smtp/inet/service=newname'], ['-F', 'smtp/inet/type=unix'], ['-F', 'smtp/inet/wakeup=10?'],
    ['-F', 'smtp/inet/command=smtpd -o {a = b c} -o{d=e} -v foo'], ['-F', 'smtp/inet/command = smtpd a  b   c'],
    ['-F', 'smtp/inet/private=y', 'smtp/inet/chroot=n', 'smtp/inet/private=n'], ['-F', 'nothing/inet/private=n'],
    ['-P', 'smtp/inet/smtpd_banner=foo'], ['-P', 'smtp/*/new_param=foo'], ['-P', 'words/unix/foo=1'],
    ['-P', '127.0.0.1:10025/inet/foo=', '127.0.0.1:10025/inet/z=2'], ['-P', '*/*/z=9'], ['-P', 'nothing/unix/foo=1'],
    ['-P', 'smtp/inet/x=1', 'smtp/inet/x=2'], ['-Pe', 'smtp/inet/x={y}'], ['-Pe', 'smtp/inet/x=$y'],
    ['-PX', 'smtp/inet/smtpd_banner'], ['-PX', '*/*/smtpd_banner', '127.0.0.1:10025/inet/foo'],
    ['-PX', 'smtp/inet/nothing'], ['-PX', 'nothing/inet/x'], ['-PX', '*/unix/y'], ['-P', '*/unix/y=5'],
]
WRONG_MASTER_EDITS = [
    ['-Me', 'smtp/inet=smtp inet n - n - -'], ['-Me', 'smtp/inet'], ['-Me', 'smtp=smtp inet n - n - - smtpd'],
    ['-Me', 'smtp/inet/x=smtp inet n - n - - smtpd'], ['-Me', 'smtp/inet='],
    ['-Me', 'smtp/inet=smtp bogus n - n - - smtpd'], ['-Me', 'smtp/inet=smtp inet n z n - - smtpd'],
    ['-Me', 'smtp/inet=smtp inet n - n x - smtpd'], ['-Me', 'smtp/inet=smtp inet n - n - -1 smtpd'],
    ['-MX', 'smtp/inet=x'], ['-MX', 'smtp'], ['-MX', ''], ['-MX'], ['-Me'], ['-X'], ['-e'],
    ['-F', 'smtp/inet/bogus=n'], ['-F', 'smtp/inet/private=q'], ['-FX', 'smtp/inet/private'], ['-F#', 'smtp/inet/private'],
    ['-F', 'smtp/inet/private=a b'], ['-Fe', 'smtp/inet/*=n'], ['-Fe', 'smtp/inet/private'], ['-F', 'smtp/inet/wakeup=x'],
    ['-P', 'smtp/inet/new_param=foo bar  baz'], ['-P', 'pickup/unix=1'], ['-P#', 'smtp/inet/smtpd_banner'],
    ['-Pe', '*/inet/*=n'], ['-PX', '*/inet/*'], ['-PX', 'smtp/inet/a', 'smtp/inet'], ['-P', 'smtp/inet/x=1', 'smtp/inet/y'],
    ['-P', 'smtp / inet / x = y'], ['-e', 'a b=c'], ['-e', '=c'], ['-e', 'x'],
]


@pytest.mark.parametrize('edit', ALL_MASTER_EDITS + WRONG_MASTER_EDITS, ids=' '.join)
def test_edit_of_master(ours, tmp_path, edit):
    results = []
    for program in (ours, real):
        directory = tmp_path / ('real' if program is real else 'ours')
        directory.mkdir()
        (directory / 'main.cf').write_text(NAMED)
        (directory / 'master.cf').write_text(EDITED_MASTER)
        (directory / 'master.cf').chmod(0o640)
        done = program('postconf', '-c', directory, *edit)
        results.append((done.returncode, done.stdout, done.stderr, (directory / 'master.cf').read_text()))
    assert (tmp_path / 'ours' / 'master.cf').stat().st_mode & 0o777 == 0o640     # Debian's makes it 0644
    assert results[0] == results[1]
    if edit in WRONG_MASTER_EDITS:
        assert results[0][0] == 1 and results[0][3] == EDITED_MASTER
    assert sorted(p.name for p in (tmp_path / 'ours').iterdir()) == ['main.cf', 'master.cf']


BROKEN_MASTERS = {'crlf': 'smtp inet n - y - - smtpd\r\n  -o x=y\r\n', 'no end': 'smtp inet n - y - - smtpd\n  -o x=y',
                  'goes on from nothing': '  -o x=y\nsmtp inet n - n - - smtpd\n',
                  'too short': 'a inet n - n - - smtpd\nsmtp inet\n', 'twice': 'smtp inet n - n - - smtpd\n' * 2, 'empty': ''}


@pytest.mark.parametrize('name', BROKEN_MASTERS)
@pytest.mark.parametrize('edit', [['-P', 'smtp/inet/x=1'], ['-MX', 'smtp/inet'], ['-M#', 'smtp/inet'],
                                  ['-M', 'smtp/inet=new inet n - n - - smtpd']], ids=lambda e: e[0])
def test_edit_of_a_master_that_is_odd(ours, tmp_path, name, edit):
    results = []
    for program in (ours, real):
        directory = tmp_path / ('real' if program is real else 'ours')
        directory.mkdir()
        (directory / 'main.cf').write_text(NAMED)
        (directory / 'master.cf').write_text(BROKEN_MASTERS[name], newline='')
        done = program('postconf', '-c', directory, *edit)
        results.append((done.returncode, (directory / 'master.cf').read_bytes()))
    if edit[0] == '-M#' and name == 'no end':
        assert results[0][1] == results[1][1] and results[0][0] == 0
    assert results[0] == results[1]


def test_what_debians_breaks(ours, tmp_path):
    """It writes an empty column, which is none, loses the braces of a word with blanks, and crashes without a command."""
    (tmp_path / 'main.cf').write_text('')
    (tmp_path / 'master.cf').write_text('a unix n n n - - pipe flags=x argv=/bin/x { two  words }\n')
    for wrong in ('a/unix/private=', 'a/unix/service=', 'a/unix/command=', 'a/unix/command= '):
        done = ours('postconf', '-c', tmp_path, '-F', wrong)
        assert done.returncode == 1 and 'invalid' in done.stderr, wrong
    assert ours('postconf', '-c', tmp_path, '-F', 'a/unix/private=y').returncode == 0
    assert '{two  words}' in (tmp_path / 'master.cf').read_text()


def test_limits_of_an_edit(ours, tmp_path):
    (tmp_path / 'main.cf').write_text('')
    master = 'a inet n - n - - smtpd' + ' -v' * 999 + '\n'
    (tmp_path / 'master.cf').write_text(master)
    done = ours('postconf', '-c', tmp_path, '-P', 'a/inet/x=y')
    assert done.returncode == 1 and 'more than 1000 arguments' in done.stderr
    done = ours('postconf', '-c', tmp_path, '-P', *[f'a/inet/x{i}=y' for i in range(257)])
    assert done.returncode == 1 and 'more than 256' in done.stderr
    done = ours('postconf', '-c', tmp_path, '-e', *[f'x{i}=y' for i in range(257)])
    assert done.returncode == 1 and 'more than 256' in done.stderr
    assert (tmp_path / 'master.cf').read_text() == master
    (tmp_path / 'master.cf').write_text('a inet n - n - - smtpd' + ' -v' * 1001 + '\n')
    assert ours('postconf', '-c', tmp_path, '-P', 'a/inet/x=y').returncode == 1
    (tmp_path / 'master.cf').write_bytes(b'#' * (17 << 20))
    done = ours('postconf', '-c', tmp_path, '-MX', 'a/inet')
    assert done.returncode == 1 and 'longer than 16 MiB' in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ['main.cf', 'master.cf']


def test_edits_at_once(ours, tmp_path):
    """Whoever changes the file waits for the other; who reads it sees it whole, and a link to it stays one."""
    kept = tmp_path / 'kept'
    kept.mkdir()
    (tmp_path / 'main.cf').write_text('')
    (kept / 'services').write_text('a inet n - n - - smtpd\n')
    (tmp_path / 'master.cf').symlink_to(kept / 'services')
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        changes = [pool.submit(ours, 'postconf', '-c', tmp_path, '-P', f'a/inet/x{i}=1') for i in range(24)]
        changes += [pool.submit(ours, 'postconf', '-c', tmp_path, '-e', f'x{i}=1') for i in range(24)]
        reads = [pool.submit(ours, 'postconf', '-c', tmp_path, '-F', 'a/inet/type') for _ in range(12)]
        assert all(done.result().returncode == 0 for done in changes)
        assert all(done.result().stdout == 'a/inet/type = inet\n' for done in reads)
    assert len(ours('postconf', '-c', tmp_path, '-P').stdout.splitlines()) == 24
    assert len((tmp_path / 'main.cf').read_text().splitlines()) == 24
    assert (tmp_path / 'master.cf').is_symlink() and [p.name for p in kept.iterdir()] == ['services']


# ---- what is built in, and templates ----

@pytest.mark.parametrize('options', ['aA', 'ab', 'bt', 'la', 'lM', 'lm', 'hH', 'hM', 'nM', 'dM', 'dn', 'ne', 'de', 'fe', 'xe',
                                     'he', 'me', 'eX', 'MF', 'MP'])
def test_options_that_do_not_go_together(ours, tmp_path, options):
    (tmp_path / 'main.cf').write_text(NAMED)
    (tmp_path / 'master.cf').write_text(MASTER)
    for program in (ours, real):
        done = program('postconf', '-c', tmp_path, f'-{options}', *(['a=b'] if 'e' in options else []))
        assert (done.returncode, done.stdout) == (1, ''), program
        assert 'specify' in done.stderr and all(f'-{o}' in done.stderr for o in options), done.stderr


def test_what_is_built_in(ours, tmp_path):
    (tmp_path / 'main.cf').write_text('')
    for option in ('-a', '-l'):     # nobody signs in, no mailbox is locked
        assert (ours('postconf', option).stdout, ours('postconf', option).returncode) == ('', 0)
    compare(ours, tmp_path, '-A')
    compare(ours, tmp_path, '-T', 'public-key-algorithms')
    compare(ours, tmp_path, '-T', 'bogus')
    for mode in ('compile-version', 'run-version'):
        assert ours('postconf', '-T', mode).stdout.startswith('OpenSSL 3.')


TEMPLATE = '''\
failure_template = <<EOF
Charset: us-ascii
From: MAILER-DAEMON (Mail Delivery System)
Subject: It did not work
Postmaster-Subject: Postmaster Copy: It did not work

This is $mail_name at $myhostname, $maximal_queue_lifetime_days days.
EOF

verify_template = <<XX
Charset: utf-8

Seen by ${myhostname}.
XX
'''


def test_templates(ours, tmp_path):
    (tmp_path / 'main.cf').write_text('myhostname = mx.example.com\nmydomain = example.com\nmail_name = X\n')
    (tmp_path / 'master.cf').write_text('')
    (tmp_path / 'templates').write_text(TEMPLATE)

    def blocks(text):
        return {b.split(' ')[0]: b for b in re.findall(r'^\w+ = <<EOF\n.*?^EOF$', text, re.S | re.M)}

    for option in ('-b', '-t'):
        both = [blocks(program('postconf', '-c', tmp_path, option, tmp_path / 'templates').stdout) for program in (ours, real)]
        assert list(both[0]) == list(both[1]) and len(both[0]) == 4
        failure, *_, verify = both[0]
        assert both[0][failure] == both[1][failure]
        assert both[0][verify].splitlines()[-3:] == both[1][verify].splitlines()[-3:]
    own = ours('postconf', '-c', tmp_path, '-t').stdout
    assert own == ours('postconf', '-c', tmp_path, '-t', '').stdout
    # what is printed can be named, and then says the same
    (tmp_path / 'own').write_text(own)
    expanded = ours('postconf', '-c', tmp_path, '-b').stdout
    assert 'This is the mail system of mx.example.com.' in expanded and '$' not in expanded
    (tmp_path / 'main.cf').open('a').write(f'bounce_template_file = {tmp_path}/own\n')
    assert ours('postconf', '-c', tmp_path, '-t').stdout == own
    assert ours('postconf', '-c', tmp_path, '-b').stdout == expanded
    for wrong in ('failure_template = <<EOF\nx\n', 'nothing_template = <<EOF\nx\nEOF\n', 'x' * 300000):
        (tmp_path / 'wrong').write_text(wrong)
        done = ours('postconf', '-c', tmp_path, '-b', tmp_path / 'wrong')
        assert done.returncode == 1 and done.stdout == '' and 'fatal' in done.stderr
    assert ours('postconf', '-c', tmp_path, '-t', '/nowhere').returncode == 1


def test_what_is_not_here_says_so(ours, tmp_path):
    (tmp_path / 'main.cf').write_text('')
    for name in set(NAMES) - {'mailq', 'newaliases', 'sendmail'}:
        assert ours(name, '-\x7f').returncode != 0, name
