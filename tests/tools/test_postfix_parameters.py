"""doc/postfix-parameters.md: rebuilt here, so that it cannot go stale; each parameter of Debian's Postfix has its fate."""

import importlib.machinery
import importlib.util
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'postfix-parameters'


def load():
    loader = importlib.machinery.SourceFileLoader('postfix_parameters', str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def test_each_has_its_fate():
    done = subprocess.run([TOOL], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r'^\| (\w+) \| .*? \| (honoured|noted|noted, with a warning|refused) \| (.+) \|$',
                      (ROOT / 'doc' / 'postfix-parameters.md').read_text(), re.M)
    names = [name for name, _, _ in rows]
    assert sorted(names) == sorted(name for name, _ in load().of_postfix())
    assert len(names) == len(set(names)) > 800
    assert all(why.strip() for _, _, why in rows)


def test_the_tables_are_read_whole():
    """What the tool reads of params.def and params_noted.def is all that stands there."""
    known = load().declared()
    for table, word in (('params.def', r'PARAM_(?:STR_AS\(\s*\w+,|(?:STR|RAW|INT|TIME|SIZE|BOOL|ENUM)\()'), ('params_noted.def', r'PARAM_NOTED\(')):
        text = (ROOT / 'src' / 'config' / table).read_text()
        for name in re.findall(rf'^{word}\s*(\w+),', text, re.M):
            assert name in known, name
