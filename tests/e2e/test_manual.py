"""Manual pages and completion: well-formed, and complete."""

import re
import subprocess

import pytest

from harness import places
from harness.names import NAMES
from test_commands import forepost

PAGES = forepost('manual').stdout.split()


def test_which_there_are():
    assert PAGES == ['forepost.1', 'forepost.cf.5', *[f'{name}.1' for name in NAMES], 'completion']
    assert forepost('manual', 'nothing.1').returncode == 1
    assert forepost('manual', 'nothing').returncode == 1


@pytest.mark.parametrize('page', PAGES[:-1])
def test_well_formed(page):
    text = forepost('manual', page).stdout
    assert len(re.findall(r'^\.TH ', text, re.M)) == 1
    for section in ('NAME', 'DESCRIPTION', 'SEE ALSO'):
        assert re.search(rf'^\.SH "?{section}"?$', text, re.M), section
    done = subprocess.run(['groff', '-man', '-Tutf8', '-ww', '-rLL=100n'], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, errors='replace')
    assert done.returncode == 0 and done.stderr == ''
    shown = re.sub('\x1b\\[[0-9;]*m|.\x08', '', done.stdout)
    assert shown.count('\n') > 15


def test_all_commands_and_options():
    page = forepost('manual', 'forepost.1').stdout.replace('\\-', '-')
    overview = forepost('--help').stdout
    commands = re.findall(r'^  ([a-z]+(?: [a-z]+)?) ', overview, re.M)
    assert len(commands) > 10
    for command in commands:
        assert re.search(rf'^\.SS\n{command}\b', page, re.M), command
        for option in re.findall(r'^  (--[a-z-]+)', forepost(*command.split(), '--help').stdout, re.M):
            assert option in page, (command, option)


def test_all_parameters():
    page = forepost('manual', 'forepost.cf.5').stdout.replace('\\-', '-')
    names = re.findall(r'^### (\S+)$|^- (\S+)$', forepost('config', '--doc').stdout, re.M)
    assert len(names) > 500
    for honoured, noted in names:
        name = honoured or noted
        assert re.search(rf'^\.B "?{re.escape(name)}\b', page, re.M), name


def test_completion():
    script = forepost('manual', 'completion').stdout

    def complete(*words):
        line = ' '.join(f"'{w}'" for w in words)
        asked = (f'{script}\nforepost() {{ {places.program()} "$@"; }}\n'
                 f'COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _forepost; printf "%s\\n" "${{COMPREPLY[@]}}"')
        done = subprocess.run(['bash', '-c', asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=places.patient(20))
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout.split()

    assert set(complete('forepost', 'q')) == {'queue'}
    assert {'list', 'show', 'delete'} <= set(complete('forepost', 'queue', ''))
    assert '--json' in complete('forepost', 'queue', 'list', '--')
    assert '--json' in complete('forepost', 'check', '--j')
