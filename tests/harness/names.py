"""names.py - the program under the names that scripts call, and Debian's commands of these names beside it

    ours = Names(directory)             links in a directory of the test
    ours('postconf', '-n')              CompletedProcess, with -c's directory in $MAIL_CONFIG
    real('postconf', '-c', directory, '-n')

Debian's are run by the loader of the root that tests/peers makes: by anyone, from where they lie.
"""

import functools
import os
import pathlib
import subprocess

from harness import places

NAMES = ['sendmail', 'mailq', 'newaliases', 'postmap', 'postalias', 'postqueue', 'postsuper', 'postconf', 'postcat',
         'postlog']


class Names:
    def __init__(self, etc, user=None):
        self.etc = pathlib.Path(etc)
        self.links = places.new_directory('names')
        self.user = user
        for name in NAMES:
            (self.links / name).symlink_to(places.program())

    def __call__(self, name, *arguments, input=b'', timeout=20, user=None, **environment):
        user = user or self.user
        who = {'user': user.pw_uid, 'group': user.pw_gid, 'extra_groups': []} if user else {}
        if isinstance(input, str):
            input = input.encode('utf-8', 'surrogateescape')
        done = subprocess.run([self.links / name, *map(str, arguments)], input=input, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=places.patient(timeout), cwd='/',
                              env={**os.environ, 'LC_ALL': 'C.UTF-8', 'MAIL_CONFIG': str(self.etc), **environment},
                              **who)
        assert done.returncode >= 0, done.stderr
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode('utf-8', 'replace'),
                                           done.stderr.decode('utf-8', 'replace'))


@functools.lru_cache(maxsize=None)
def real_root():
    made = subprocess.run([places.SOURCE / 'tests' / 'peers'], check=True, text=True, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=300)
    return pathlib.Path(made.stdout.strip()) / 'root'


def real(name, *arguments, input=b'', timeout=20, **environment):
    root = real_root()
    if '-c' in arguments:
        for file in pathlib.Path(arguments[arguments.index('-c') + 1]).iterdir():
            places.date_back(file)
    loader = next(root.glob('lib/*-linux-gnu*/ld-linux-*.so.*'))
    libraries = [root / 'usr/lib/postfix', loader.parent, *root.glob('usr/lib/*-linux-gnu*')]
    if isinstance(input, str):
        input = input.encode('utf-8', 'surrogateescape')
    done = subprocess.run([loader, '--library-path', ':'.join(map(str, libraries)), '--argv0', name,
                           root / 'usr/sbin' / name, *map(str, arguments)], input=input, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=places.patient(timeout), env={**os.environ, 'LC_ALL': 'C.UTF-8', **environment})
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode('utf-8', 'replace'),
                                       done.stderr.decode('utf-8', 'replace'))
