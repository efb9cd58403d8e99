"""Calls of the agent's `waggoner.plugin.v1.ContextService`: JSON over HTTP/1.1 on a unix socket."""

import http.client
import json
import os
import socket
import threading
import time
import uuid

# How long an agent may be away, as while it is replaced by a newer one.
PATIENCE = 60.0

_AWAY = (ConnectionError, FileNotFoundError, http.client.RemoteDisconnected)
_local = threading.local()


class AgentError(Exception):
    """The agent refused a call."""

    def __init__(self, status, answer):
        self.status = status
        self.message = answer.get('message') or 'the agent answered with HTTP {0}'.format(status)
        self.reason = answer.get('reason') or ''
        self.metadata = answer.get('metadata') or {}
        super().__init__(self.message)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost')
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.connect(self._path)
        except BaseException:
            self.close()
            raise


def call(method, message):
    """Calls a method with a message as a dict and returns the answer as a dict."""
    body = json.dumps(message).encode('ascii')
    path = '/waggoner.plugin.v1.ContextService/' + method
    status, answer = _exchange(path, body)
    try:
        answer = json.loads(answer or b'{}')
    except ValueError:
        answer = {'message': answer.decode('utf-8', 'replace')}
    if status == 200:
        return answer
    raise AgentError(status, answer)


def _exchange(path, body):
    deadline = None
    pause = 0.02
    # All tries are one call: what the first one did is not done again.
    headers = {'content-type': 'application/json', 'waggoner-call': uuid.uuid4().hex}
    while True:
        connection, fresh = _connection()
        try:
            connection.request('POST', path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except _AWAY:
            _forget()
            if not fresh:
                # The agent closed a connection that was idle: once more on a new one.
                continue
            now = time.monotonic()
            deadline = deadline or now + PATIENCE
            if now > deadline:
                raise
            time.sleep(pause)
            pause = min(pause * 2, 1.0)
        except BaseException:
            _forget()
            raise


def _connection():
    """The connection of this thread, and whether it is new. A forked child opens its own."""
    connection = getattr(_local, 'connection', None)
    if connection is not None and _local.pid == os.getpid():
        return connection, False
    path = os.environ.get('WAGGONER_SOCKET')
    if not path:
        raise RuntimeError(
            'WAGGONER_SOCKET is not set: operations are started by a Waggoner agent')
    _local.connection = _Connection(path)
    _local.pid = os.getpid()
    return _local.connection, True


def _forget():
    connection, _local.connection = getattr(_local, 'connection', None), None
    if connection is not None:
        connection.close()
