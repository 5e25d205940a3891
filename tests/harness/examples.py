"""examples.py - a directory of doc/examples as tests load it: every file as it stands, but for a few words that they list"""

import pathlib
import re

from harness import places

DIRECTORY = places.SOURCE / 'doc' / 'examples'
NAMES = sorted(path.name for path in DIRECTORY.iterdir() if path.is_dir())
README = 'README.md'


def files(name, substitutions=()):
    """{path in the example: text}, without its README. A substitution that changes nothing is a mistake."""
    top = DIRECTORY / name
    texts = {str(path.relative_to(top)): path.read_text('utf-8')
             for path in sorted(top.rglob('*')) if path.is_file() and path.name != README}
    for old, new in substitutions:
        assert any(old in text for text in texts.values()), f'{name}: no file says "{old}"'
        texts = {path: text.replace(old, new) for path, text in texts.items()}
    return texts


def brought(main_cf, authority=None):
    """What main.cf wants under tls/ and no example can hold: keys with their certificates, and as NAMEca.pem those of
    authorities."""
    certificate, key = (path.read_text() for path in places.certificate())
    return {f'tls/{name}': authority or certificate if name.endswith('ca.pem') else key + certificate
            for name in re.findall(r'^[^#\n]*\$config_directory/tls/([\w.-]+)', main_cf, re.M)}


def place(name, directory):
    """Puts the example, and what it wants brought, into a directory: as an administrator does who follows its README."""
    directory = pathlib.Path(directory)
    texts = files(name)
    for path, text in {**texts, **brought(texts['main.cf'])}.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, 'utf-8')
        # what holds a password or a key is for the mail system alone
        target.chmod(0o600 if re.search(r'^(password|bind_pw) =|:change-me$|PRIVATE KEY', text, re.M) else 0o644)
    return directory


def section(name, title):
    """The lines below "## title" of its README."""
    text = (DIRECTORY / name / README).read_text('utf-8')
    found = re.search(rf'^## {re.escape(title)}\n(.*?)(?=^## |\Z)', text, re.M | re.S)
    assert found, f'{name}: its README has no section "{title}"'
    return found.group(1)


def code(text):
    """What stands indented by four blanks in a section: lines to be copied."""
    return ''.join(line[4:] + '\n' for line in text.splitlines() if line.startswith('    '))


def findings(name):
    """The codes that its README says `forepost check` finds, in brackets as check shows them."""
    return sorted(re.findall(r'\[([a-z0-9-]+)\]', section(name, 'What forepost check says')))
