"""Serves a directory over HTTP with Python's own server."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from cloudify import ctx
from cloudify.decorators import operation
from cloudify.exceptions import NonRecoverableError


@operation(resumable=True)
def create(**_):
    """Makes the document root."""
    root = tempfile.mkdtemp(prefix='web-server-', dir='/var/tmp')
    ctx.instance.runtime_properties['document_root'] = root
    ctx.logger.info('the document root is %s', root)


@operation
def start(**_):
    """Starts the server and waits until it answers."""
    root = ctx.instance.runtime_properties['document_root']
    port = ctx.node.properties['port'] or free_port()
    server = subprocess.Popen(
        [sys.executable, '-m', 'http.server', str(port), '--bind', '127.0.0.1',
         '--directory', root],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd='/',
        start_new_session=True,
    )
    await_answer(server, port)
    ctx.instance.runtime_properties['port'] = port
    ctx.instance.runtime_properties['pid'] = server.pid
    ctx.logger.info('serving %s on port %d', root, port)


@operation(resumable=True)
def stop(**_):
    """Ends the server."""
    pid = ctx.instance.runtime_properties.pop('pid', None)
    if pid is not None:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            ctx.logger.warning('the server was not running any more')


@operation(resumable=True)
def delete(**_):
    """Removes the document root."""
    root = ctx.instance.runtime_properties.pop('document_root', None)
    if root is not None:
        shutil.rmtree(root, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def await_answer(server, port):
    for _ in range(100):
        if server.poll() is not None:
            raise NonRecoverableError(
                f'the server ended with code {server.returncode}: is port {port} taken?')
        try:
            socket.create_connection(('127.0.0.1', port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    server.kill()
    raise NonRecoverableError(f'the server did not listen on port {port} in time')
