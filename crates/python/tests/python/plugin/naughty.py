"""Does what no plugin should, after its import."""

import os
import sys
import time

leaked = []


def leak(**_):
    before = len(leaked)
    leaked.append(bytearray(64 * 1024 * 1024))
    return before


def crash(**_):
    import ctypes

    ctypes.string_at(0)


def leave(code, **_):
    os._exit(code)


def close_all(**_):
    os.closerange(0, 1024)
    return 'closed'


def leave_a_child(**_):
    child = os.fork()
    if child == 0:
        os.closerange(0, 1024)
        time.sleep(1000)
    return child


def silence(**_):
    sys.stdout = sys.stderr = None
    sys.path[:] = []
    os.environ.clear()
    os.chdir('/')
    os.umask(0o777)
    return 'silent'


def stream(**_):
    print('heard')
    mask = os.umask(0)
    os.umask(mask)
    return [sys.stdout is not None, os.environ.get('AGENT_NAME'), os.getcwd(), mask == 0o777]


def threads(**_):
    import threading

    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    stop.set()
    return threading.active_count() > 0
