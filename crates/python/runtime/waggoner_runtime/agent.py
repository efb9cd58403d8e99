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
    return _answered(*_exchange(*_request(method, message)))


class Line:
    """A connection of its own for calls whose answer is waited for later, maybe by another thread:
    what a call carries is on its way when it is made, whatever becomes of the process."""

    def __init__(self):
        self._connection = None
        self._request = None

    def say(self, method, message):
        """Makes a call, which `hear` has to follow."""
        self._request = _request(method, message)
        for _ in range(2):
            try:
                self._connection = self._connection or _Connection(_path())
                self._connection.request('POST', *self._request)
                return
            except OSError:
                # The agent closed it while it was idle: once more on a new one.
                self._close()

    def hear(self):
        """Returns the answer. Where the call was lost, it is made again."""
        answer = None
        try:
            if self._connection is not None:
                response = self._connection.getresponse()
                answer = response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._close()
        return _answered(*(answer or _exchange(*self._request)))

    def _close(self):
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _request(method, message):
    # All tries are one call: what the first one did is not done again.
    return ('/waggoner.plugin.v1.ContextService/' + method, json.dumps(message).encode('ascii'),
            {'content-type': 'application/json', 'waggoner-call': uuid.uuid4().hex})


def _answered(status, answer):
    try:
        answer = json.loads(answer or b'{}')
    except ValueError:
        answer = {'message': answer.decode('utf-8', 'replace')}
    if status == 200:
        return answer
    raise AgentError(status, answer)


def _exchange(path, body, headers):
    deadline = None
    pause = 0.02
    while True:
        connection, fresh = _take_connection()
        try:
            connection.request('POST', path, body, headers)
            response = connection.getresponse()
            answer = response.status, response.read()
        except _AWAY:
            connection.close()
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
            connection.close()
            raise
        else:
            _local.connection, _local.pid = connection, os.getpid()
            return answer


def _take_connection():
    """The connection of this thread, and whether it is new. A forked child opens its own, and so
    does a signal handler that calls in the middle of a call."""
    connection, _local.connection = getattr(_local, 'connection', None), None
    if connection is not None and _local.pid == os.getpid():
        return connection, False
    return _Connection(_path()), True


def _path():
    path = os.environ.get('WAGGONER_SOCKET')
    if not path:
        raise RuntimeError(
            'WAGGONER_SOCKET is not set: operations are started by a Waggoner agent')
    return path
