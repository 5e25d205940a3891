"""doc/examples: forepost check finds in each what its README says, and no more; what the READMEs promise of files and lines."""

import json
import re
import subprocess

import pytest

from harness import examples, places
from harness.server import parse_main_cf


@pytest.fixture(params=examples.NAMES)
def example(request):
    """(name, directory): put in place as its README says, for the user who runs the server."""
    directory = places.new_directory(request.param)
    examples.place(request.param, directory)
    for path in directory.rglob('*'):
        places.give(path)
    return request.param, directory


def check(directory, *options):
    owner = places.user()
    identity = {'user': owner.pw_uid, 'group': owner.pw_gid, 'extra_groups': []} if owner else {}
    done = subprocess.run([places.program(), 'check', '--json', '-c', directory, *options], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, cwd='/', **identity)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_what_check_finds(example):
    name, directory = example
    code, found = check(directory)
    assert sorted(f['code'] for f in found) == examples.findings(name), found
    assert code == 0 and all(f['severity'] != 'error' for f in found)


def test_what_forepost_has_beyond_postfix(example):
    """The lines that the README would have added are right."""
    name, directory = example
    more = parse_main_cf(examples.code(examples.section(name, 'Beyond Postfix')))
    assert more
    options = [word for line in more.items() for word in ('-o', '='.join(line))]
    code, found = check(directory, *options)
    assert sorted(f['code'] for f in found) == examples.findings(name), found
    assert code == 0


@pytest.mark.parametrize('name', examples.NAMES)
def test_each_file_is_told_of(name):
    readme = (examples.DIRECTORY / name / examples.README).read_text()
    named = set(re.findall(r'[\w./-]+', ' '.join(re.findall(r'^\| ([^|]+) \|', readme, re.M)))) - {'file', '---'}
    assert named == set(examples.files(name))
    assert f'({name}/README.md)' in (examples.DIRECTORY / examples.README).read_text()
    for title in ('What to change', 'How to try it'):
        assert examples.section(name, title).strip()


def test_none_names_what_is_somebodys():
    """Names of RFC 2606 and addresses of RFC 5737 and RFC 3849, but for those services that an example is about."""
    services = {'smtp.google.com', 'mx.google.com', 'aspmx.l.google.com', 'smtp-relay.gmail.com', 'zen.spamhaus.org',
                'dbl.spamhaus.org'}
    for name in examples.NAMES:
        for path, text in examples.files(name).items():
            for host in re.findall(r'\b(?:[a-z0-9-]+\.)+(?:com|net|org|de|io)\b', text):
                assert host in services or re.search(r'(^|\.)example\.(com|net|org)$', host), (name, path, host)
            for address in re.findall(r'(?<![\d.\[])\d+\.\d+\.\d+\.\d+(?![\d.])', text):
                assert re.match(r'127\.|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.', address), (name, path, address)


def test_google_recipients():
    """scripts/google-recipients takes the addresses of its domains out of anything, and wants the whole list."""
    def run(text, *domains):
        done = subprocess.run([examples.DIRECTORY / 'google-edge/scripts/google-recipients', *domains], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=places.patient(20))
        return done.returncode, done.stdout

    csv = ('Email Address [Required],Org Unit Path,Aliases\r\nAnna@Example.com,/,"a.b+c@example.com;anna@example.org"\r\n'
           'postmaster@example.com,/,\r\nx@examplexcom,/,x@example.com.test\r\n')
    assert run(csv, 'example.com') == (0, 'a.b+c@example.com\tx\nanna@example.com\tx\npostmaster@example.com\tx\n')
    assert run(csv, 'example.org')[0] == 1          # no postmaster@example.org
    assert run('', 'example.com')[0] == 1
    assert run(csv)[0] == 2
