"""tools/include-map on small trees made here: each rule broken once, and what must not count."""

import pathlib
import subprocess

import pytest

TOOL = pathlib.Path(__file__).resolve().parents[2] / 'tools' / 'include-map'


def check(root, *arguments):
    return subprocess.run([TOOL, '--root', root, *arguments], stdout=subprocess.PIPE, text=True)


def tree(root, files):
    for name, text in files.items():
        path = root / 'src' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


HEADERS = {
    'base/str.h': '', 'spool/spool.h': '', 'spool/spool_private.h': '', 'session/session.h': '',
}


@pytest.mark.parametrize('name, text, finding', [
    ('base/a.c', '#include "session/session.h"\n', 'src/base/a.c:1: upward include'),
    ('base/a.c', '\n\n  #  include\t"spool/spool.h"\n', 'src/base/a.c:3: upward include'),
    ('base/a.c', '#include "../spool/spool.h"\n', 'src/base/a.c:1: upward include'),
    ('session/a.c', '#include "spool/spool_private.h"\n', 'src/session/a.c:1: "spool/spool_private.h" is private'),
    ('session/a.c', '#include "base/str.c"\n', 'src/session/a.c:1: includes the source file'),
    ('session/a.c', '#include <base/str.c>\n', 'src/session/a.c:1: includes the source file'),
    ('attic/a.c', '', 'src/attic:1: room "attic" has no place'),
])
def test_a_broken_rule_is_named_with_its_place(tmp_path, name, text, finding):
    tree(tmp_path, {**HEADERS, name: text})
    result = check(tmp_path, '--check')
    assert result.returncode == 1
    assert result.stdout.startswith(finding)
    assert result.stdout.count('\n') == 1


@pytest.mark.parametrize('text', [
    '#include "base/str.h"\n#include "spool/spool.h"\n#include <stdio.h>\n',
    '#include "session.h"\n',
    '/*\n#include "bin/x.h"\n*/\n// #include "base/str.c"\n',
    'const char *s = "/*";\n#include "base/str.h"\n',
])
def test_what_is_allowed(tmp_path, text):
    tree(tmp_path, {**HEADERS, 'session/a.c': text})
    result = check(tmp_path, '--check')
    assert (result.returncode, result.stdout) == (0, '')


def test_the_map_goes_from_low_to_high(tmp_path):
    tree(tmp_path, {**HEADERS, 'session/a.c': '#include "spool/spool.h"\n#include "base/str.h"\n'})
    assert check(tmp_path).stdout == 'session: base spool\n'


def test_this_tree_keeps_the_rules():
    result = subprocess.run([TOOL, '--check'], stdout=subprocess.PIPE, text=True)
    assert (result.returncode, result.stdout) == (0, '')
