"""postconf, and with it how main.cf and master.cf are read: Debian's own beside ours, on written and made-up files."""

import random

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


def test_what_is_not_here_says_so(ours, tmp_path):
    (tmp_path / 'main.cf').write_text('')
    for arguments in (['-b'], ['-a'], ['-Me', 'x/y=z'], ['-T', 'compile-version']):
        done = ours('postconf', '-c', tmp_path, *arguments)
        assert done.returncode != 0 and 'fatal' in done.stderr
    for name in set(NAMES) - {'mailq', 'newaliases', 'sendmail'}:
        assert ours(name, '-\x7f').returncode != 0, name
