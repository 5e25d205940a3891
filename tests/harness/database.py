"""Real PostgreSQL, MariaDB and OpenLDAP on 127.0.0.1, from tests/peer, as an ordinary user

    database = Postgres({'users': {'editor@relay.test': 'OK'}})
    database.start(); database.settings('users'); database.stop()

Each has tables of `k` and `v`, a user `mail` with the password PASSWORD, and is for lookups alone. With `has_tls` it lets
nobody in who does not speak TLS; `certificate` is its own, for 127.0.0.1, and `tls_settings()` are the lines for it.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import urllib.parse

from harness import places
from harness.peer import Peer
from harness.places import await_true

PASSWORD = 'look-up 4 me'


class Database:
    """`tables`: name -> {key: value}; `text`: a schema and entries, in the server's own language, beside them. As root
    all runs in a chroot, so the root may be where only root may go."""

    name = None

    def __init__(self, tables=None, has_tls=False, text=''):
        self.tables, self.has_tls, self.text = tables or {}, has_tls, text
        self.root = Peer(self.name).root
        self.port = places.free_port()
        self.process, self.log_begin = None, 0
        base = self.root / 'tmp' if os.geteuid() == 0 else places.base()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=self.name + '-', dir=base))
        passwd = self.root / 'etc' / 'passwd'
        if os.geteuid() == 0:
            os.chown(self.directory, 65534, 65534)
            if not passwd.exists():     # in place whole: another test may be here at once
                new = self.directory / 'passwd'
                new.write_text('root:x:0:0::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n')
                new.rename(passwd)
        self.certificate = self.make_certificate('tls') if has_tls else None
        self.make()

    def make_certificate(self, name):
        """The path of a self-signed certificate for 127.0.0.1, its key beside it as NAME.key."""
        certificate, key = self.directory / f'{name}.crt', self.directory / f'{name}.key'
        subprocess.run(
            ['openssl', 'req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
             '-days', '30', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:127.0.0.1',
             '-out', certificate, '-keyout', key],
            check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        key.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(key, 65534, 65534)
        return certificate

    def key_and_certificate(self):
        return self.inside(self.directory / 'tls.key'), self.inside(self.directory / 'tls.crt')

    def inside(self, path):
        """How the database itself names a file: of the root (a str), or of its directory (a Path)."""
        path = pathlib.Path(path)
        if os.geteuid() == 0:
            return '/' + str(path.relative_to(self.root) if path.is_absolute() else path)
        return str(path if path.is_absolute() else self.root / path)

    def popen(self, program, *args, **options):
        env = dict(os.environ, LC_ALL='C')
        command = [self.inside(program), *args]
        if os.geteuid() == 0:
            command = ['chroot', '--userspec=65534:65534', str(self.root), *command]
        else:
            env['LD_LIBRARY_PATH'] = ':'.join(
                str(d) for p in ('lib/*-linux-gnu*', 'usr/lib/*-linux-gnu*')
                for d in self.root.glob(p))
        return subprocess.Popen(command, env=env, stderr=subprocess.STDOUT, **options)

    def run(self, program, *args, text=''):
        process = self.popen(program, *args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said, _ = process.communicate(text, timeout=places.patient(60))
        assert process.returncode == 0, f'{program}: {said[-2000:]}'

    def log(self):
        return (self.directory / 'log').read_text(errors='replace')

    def start(self):
        with open(self.directory / 'log', 'ab') as log:
            self.log_begin = log.tell()
            self.process = self.popen(*self.server(), stdin=subprocess.DEVNULL, stdout=log)
        await_true(self.answers, 30, lambda: f'{self.name} listens: {self.log()[-1000:]}')
        return self

    def answers(self):
        assert self.process.poll() is None, self.log()[-2000:]
        try:
            socket.create_connection(('127.0.0.1', self.port), 5).close()
            return True
        except OSError:
            return False

    def stop(self, how=signal.SIGKILL):
        if self.process:
            self.signal_all(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(places.patient(30))
            self.process = None

    def signal_all(self, which):
        """To it, and to the processes that it has started for its clients."""
        pid = self.process.pid
        children = pathlib.Path(f'/proc/{pid}/task/{pid}/children')
        for each in [pid, *map(int, children.read_text().split() if children.exists() else ())]:
            try:
                os.kill(each, which)
            except ProcessLookupError:
                pass        # ended meanwhile

    def hang(self):
        """Its port is open, and nobody answers."""
        self.signal_all(signal.SIGSTOP)

    def done(self):
        self.stop(signal.SIGTERM)
        shutil.rmtree(self.directory, ignore_errors=True)


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def sql_of(tables, text=''):
    """Statements, each on a line of its own."""
    plain = re.sub(r'--.*', '', text)
    yield from (' '.join(statement.split()) + ';' for statement in plain.split(';') if statement.strip())
    for table, rows in tables.items():
        yield f'create table {table} (k varchar(250) primary key, v varchar(250));'
        if rows:
            values = ', '.join(f'({quote(k)}, {quote(v)})' for k, v in rows.items())
            yield f'insert into {table} values {values};'


def make_sqlite(path, text):
    """sqlite: has no server, only a file."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(text)


class Postgres(Database):
    name, type, bin = 'postgres', 'pgsql', 'usr/lib/postgresql/15/bin/'

    def make(self):
        data = self.inside(self.directory / 'data')
        self.run(self.bin + 'initdb', '-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '--no-sync',
                 '--pwfile', self.inside(self.write('pw', 'unused\n')), '-E', 'UTF8', '--locale', 'C')
        lines = [f'create user mail password {quote(PASSWORD)};', *sql_of(self.tables, self.text),
                 'grant select on all tables in schema public to mail;']
        self.run(self.bin + 'postgres', '--single', '-D', data, 'postgres', text='\n'.join(lines) + '\n')

        if self.has_tls:
            (self.directory / 'data/pg_hba.conf').write_text('hostssl all all 127.0.0.1/32 scram-sha-256\n')

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path

    def tls_options(self):
        if not self.has_tls:
            return ()
        key, certificate = self.key_and_certificate()
        return '-c', 'ssl=on', '-c', f'ssl_cert_file={certificate}', '-c', f'ssl_key_file={key}'

    def server(self):
        return (self.bin + 'postgres', *self.tls_options(), '-D', self.inside(self.directory / 'data'), '-h', '127.0.0.1',
                '-p', str(self.port), '-c', 'unix_socket_directories=', '-c', 'fsync=off',
                '-c', 'dynamic_shared_memory_type=mmap', '-c', 'max_connections=40')

    def answers(self):
        # Its port is open before it takes questions.
        return super().answers() and 'ready to accept connections' in self.log()[self.log_begin:]

    def stop(self, how=signal.SIGQUIT):
        # (SIGKILL would leave its children, and shared memory.)
        super().stop(signal.SIGQUIT if how == signal.SIGKILL else signal.SIGINT)

    def tls_settings(self, table, authority):
        """As in Postfix, libpq is told of TLS by a URI alone."""
        who = 'mail:' + urllib.parse.quote(PASSWORD)
        own = 'sslcert=/nonexistent&sslkey=/nonexistent'    # else those of the user's home
        uri = f'postgresql://{who}@127.0.0.1:{self.port}/postgres?sslmode=verify-full&sslrootcert={authority}&{own}'
        return self.settings(table).replace(f'127.0.0.1:{self.port}', uri, 1)

    def settings(self, table):
        return (f'hosts = 127.0.0.1:{self.port}\nuser = mail\npassword = {PASSWORD}\ndbname = postgres\n'
                f"query = SELECT v FROM {table} WHERE k = '%s'\n")


class MariaDB(Database):
    name, type = 'mariadb', 'mysql'

    def make(self):
        share = self.root / 'usr/share/mysql'
        (self.directory / 'data').mkdir()
        if os.geteuid() == 0:
            os.chown(self.directory / 'data', 65534, 65534)
        system = ''.join((share / f'mysql_system_tables{part}.sql').read_text()
                         for part in ('', '_data'))
        lines = ['create database mysql;', 'use mysql;', system, 'flush privileges;',
                 'create database mail;', 'use mail;', *sql_of(self.tables, self.text),
                 f"grant select on mail.* to mail@'127.0.0.1' identified by {quote(PASSWORD)};",
                 f"grant select on mail.* to mail@localhost identified by {quote(PASSWORD)};"]
        self.run('usr/sbin/mariadbd', *self.options(), '--bootstrap', text='\n'.join(lines) + '\n')

    def options(self):
        return ('--no-defaults', '--basedir=' + self.inside('usr'),
                '--lc-messages-dir=' + self.inside('usr/share/mysql'),
                '--plugin-dir=' + self.inside('usr/lib/mysql/plugin'),
                '--datadir=' + self.inside(self.directory / 'data'), '--skip-log-bin',
                # Its own: one that starts takes away the temporary tables that it finds.
                '--tmpdir=' + self.inside(self.directory),
                '--innodb-log-file-size=4M', '--innodb-buffer-pool-size=8M',
                '--innodb-use-native-aio=0', '--innodb-flush-log-at-trx-commit=0')

    def server(self):
        secure = ()
        if self.has_tls:
            key, certificate = self.key_and_certificate()
            secure = '--require-secure-transport=on', f'--ssl-cert={certificate}', f'--ssl-key={key}'
        return ('usr/sbin/mariadbd', *self.options(), *secure, '--bind-address=127.0.0.1', f'--port={self.port}',
                '--skip-name-resolve', '--socket=' + self.inside(self.directory / 'socket'),
                '--pid-file=' + self.inside(self.directory / 'pid'))

    def tls_settings(self, table, authority):
        return self.settings(table) + f'tls_CAfile = {authority}\ntls_verify_cert = yes\n'

    def settings(self, table):
        return (f'hosts = 127.0.0.1:{self.port}\nuser = mail\npassword = {PASSWORD}\ndbname = mail\n'
                f"query = SELECT v FROM {table} WHERE k = '%s'\n")


class Slapd(Database):
    name, type = 'slapd', 'ldap'
    suffix, manager = 'dc=test', 'cn=mail,dc=test'
    schema = ''     # definitions beside those of inetOrgPerson
    extra = ()      # more entries, as LDIF

    def make(self):
        (self.directory / 'data').mkdir()
        schema = ''.join(f'include {self.inside("etc/ldap/schema")}/{name}.schema\n'
                         for name in ('core', 'cosine', 'inetorgperson'))
        (self.directory / 'slapd.conf').write_text(
            f'{schema}{self.schema}modulepath {self.inside("usr/lib/ldap")}\nmoduleload back_mdb\n'
            f'pidfile {self.inside(self.directory / "pid")}\n{self.tls_lines()}database mdb\nmaxsize 16777216\nsuffix "{self.suffix}"\n'
            f'rootdn "{self.manager}"\nrootpw "{PASSWORD}"\n'
            f'directory {self.inside(self.directory / "data")}\nindex mail eq\n'
            'access to * by anonymous auth by users read\n')
        (self.directory / 'ldif').write_text(self.text or '\n'.join([*self.entries(), *self.extra]))
        if os.geteuid() == 0:
            os.chown(self.directory / 'data', 65534, 65534)
        self.run('usr/sbin/slapadd', '-q', '-f', self.inside(self.directory / 'slapd.conf'), '-l',
                 self.inside(self.directory / 'ldif'))

    def entries(self):
        yield 'dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\no: test\ndc: test\n'
        for table, rows in self.tables.items():
            yield f'dn: ou={table},dc=test\nobjectClass: organizationalUnit\nou: {table}\n'
            for number, (key, value) in enumerate(rows.items()):
                yield (f'dn: uid={number},ou={table},dc=test\nobjectClass: inetOrgPerson\n'
                       f'uid: {number}\nsn: x\ncn: x\nmail: {key}\nemployeeType: {value}\n')

    def tls_lines(self):
        if not self.has_tls:
            return ''
        key, certificate = self.key_and_certificate()
        return f'TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\nsecurity simple_bind=128\n'

    def tls_settings(self, table, authority):
        return self.settings(table) + f'start_tls = yes\ntls_ca_cert_file = {authority}\ntls_require_cert = yes\n'

    def server(self):
        return ('usr/sbin/slapd', '-d', '0', '-f', self.inside(self.directory / 'slapd.conf'), '-h',
                f'ldap://127.0.0.1:{self.port}')

    def settings(self, table):
        return (f'server_host = ldap://127.0.0.1:{self.port}\nsearch_base = ou={table},dc=test\n'
                'query_filter = (mail=%s)\nresult_attribute = employeeType\nbind = yes\n'
                f'bind_dn = cn=mail,dc=test\nbind_pw = {PASSWORD}\nversion = 3\n')


class ActiveDirectory(Slapd):
    """OpenLDAP with what queries of mail relays use of Active Directory: `text` is its content, as LDIF of "user" and
    "group" below dc=example,dc=com. Numbers, syntaxes and matching rules are those of Microsoft's schema."""
    suffix, manager = 'dc=example,dc=com', 'cn=mail lookup,ou=service accounts,dc=example,dc=com'
    schema = (
        'attributetype ( 1.2.840.113556.1.2.210 NAME \'proxyAddresses\' EQUALITY caseIgnoreMatch '
        'SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n'
        'attributetype ( 1.2.840.113556.1.4.7000.102.5061 NAME \'msExchRequireAuthToSendTo\' EQUALITY booleanMatch '
        'SYNTAX 1.3.6.1.4.1.1466.115.121.1.7 SINGLE-VALUE )\n'
        'objectclass ( 1.2.840.113556.1.5.9 NAME \'user\' SUP top STRUCTURAL MUST cn '
        'MAY ( mail $ proxyAddresses $ msExchRequireAuthToSendTo ) )\n'
        'objectclass ( 1.2.840.113556.1.5.8 NAME \'group\' SUP top STRUCTURAL MUST cn '
        'MAY ( mail $ proxyAddresses $ msExchRequireAuthToSendTo $ member ) )\n')
