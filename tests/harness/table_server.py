"""table_server.py - a server of socketmap: or tcp: tables (socketmap_table(5), tcp_table(5)) with a few entries

    server = TableServer('socketmap', {'name editor@relay.test': 'OK'})
    server.port; server.stop()

A request of socketmap is "NAME KEY", and so are the entries here; one of tcp is the key alone. A value that begins with
"!" is what the server answers in place of one: "!TEMP later", "!400 later".
"""

import socket
import threading
import urllib.parse

from harness import places


class TableServer:
    def __init__(self, kind, entries):
        self.answer = {'socketmap': self._answer_socketmap, 'tcp': self._answer_tcp}[kind]
        self.entries = entries
        self.port = places.free_port()
        self.listener = socket.create_server(('127.0.0.1', self.port), backlog=50)
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile('rwb') as stream:
            try:
                while self.answer(stream):
                    stream.flush()
            except (OSError, ValueError):
                return

    def _answer_socketmap(self, stream):
        length = b''
        while not length.endswith(b':'):
            byte = stream.read(1)
            if not byte:
                return False
            length += byte
        value = self.entries.get(stream.read(int(length[:-1]) + 1)[:-1].decode())
        text = 'NOTFOUND ' if value is None else value[1:] if value.startswith('!') else f'OK {value}'
        stream.write(b'%d:%s,' % (len(text.encode()), text.encode()))
        return True

    def _answer_tcp(self, stream):
        line = stream.readline().decode().rstrip('\r\n')
        if not line:
            return False
        value = self.entries.get(urllib.parse.unquote(line.removeprefix('get ')))
        text = '500 not found' if value is None else value[1:] if value.startswith('!') else f'200 {value}'
        code, _, rest = text.partition(' ')
        stream.write(f'{code} {urllib.parse.quote(rest)}\n'.encode())
        return True
