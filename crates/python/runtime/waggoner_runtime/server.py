"""Keeps the imports of an environment warm, and forks a process for each operation.

Started by the supervisor as `python -m waggoner_runtime.server NAME...`, with a socket as stdin:

    supervisor                      server               child
        fork, and descriptors ────────▶ fork ──────────────▶ cgroup
        ◀──────────────────── its pid ───┘
        the errand, on a pipe ──────────────────────────────▶ becomes the operation
        preload a module ─────────────▶ import
        reap a child ─────────────────▶ wait

A child that gets no whole errand ends without having run anything. One that gets it is what `python
-m waggoner_runtime` would be: the same environment, directory, arguments, streams, and end. It has
a process group of its own, and carries its mark where `/proc/<pid>/environ` shows it.

The names are those of the environment variables that differ from one operation to the next: what
reads one of them while it is imported is not the same for all, and is not kept.
"""

import array
import atexit
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
import threading
import traceback

from waggoner_runtime import birth, rehearsal, watch

# Of which `install` makes one that flushes the log first.
_exit = os._exit

_HEAD = struct.Struct('!cI')
_MARK = b'WAGGONER_FAMILY='

# How soon a child is looked at again that is to be reaped and has not ended.
_SOON = 0.1

# Whether a child may leave the processors to others and come back.
_may_step_aside = False


class _Channel:
    """Messages: a kind, a length, so many bytes; and descriptors beside them."""

    def __init__(self, connection):
        self._socket = connection

    def take(self):
        """Returns the kind, the text and the descriptors of the next message; None at the end."""
        descriptors = array.array('i')
        flags = getattr(socket, 'MSG_CMSG_CLOEXEC', 0)
        head, beside, _, _ = self._socket.recvmsg(
            _HEAD.size, socket.CMSG_SPACE(3 * descriptors.itemsize), flags)
        for level, kind, data in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(data[:len(data) - len(data) % descriptors.itemsize])
        if not head:
            return None
        kind, length = _HEAD.unpack(head + self._all(_HEAD.size - len(head)))
        return kind, os.fsdecode(self._all(length)), list(descriptors)

    def waits(self, seconds):
        """Says whether a message comes within so many seconds."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def put(self, kind, text=''):
        body = os.fsencode(text)
        self._socket.sendall(_HEAD.pack(kind, len(body)) + body)

    def close(self):
        os.close(self._socket.detach())

    def _all(self, length):
        parts = []
        while length:
            part = self._socket.recv(length)
            if not part:
                _exit(0)
            parts.append(part)
            length -= len(part)
        return b''.join(parts)


class _Mark:
    """The word in the memory of a process by which others know its family."""

    def __init__(self):
        environ = self._environ()
        with open('/proc/self/stat', 'rb') as file:
            fields = file.read().rsplit(b') ', 1)[1].split()
        at = (b'\0' + environ).index(b'\0' + _MARK) + len(_MARK)
        # `env_start` of proc_pid_stat(5).
        self._address = int(fields[47]) + at
        self._length = environ.index(b'\0', at) - at
        word = environ[at:at + self._length]
        # Not every kernel lets a process write there.
        for trial in (b'-' * self._length, word):
            self.set(trial)
            if self._environ()[at:at + self._length] != trial:
                raise OSError('the mark of a process cannot be changed here')

    @staticmethod
    def _environ():
        with open('/proc/self/environ', 'rb') as file:
            return file.read()

    def set(self, mark):
        if len(mark) != self._length:
            raise ValueError('a mark of {0} bytes does not fit'.format(len(mark)))
        memory = os.open('/proc/self/mem', os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(memory, mark, self._address)
        finally:
            os.close(memory)


def main(volatile):
    global _may_step_aside
    watch.begin()
    connection = socket.socket(fileno=os.dup(0))
    with open(os.devnull, 'rb') as nothing:
        os.dup2(nothing.fileno(), 0)
    channel, mark = _Channel(connection), _Mark()
    before = _state()
    _import_stock()
    reason = _difference(before, volatile)
    if reason:
        sys.exit('what is imported for every operation ' + reason)
    for _ in range(rehearsal.ROUNDS):
        rehearsal.rehearse()
    _may_step_aside = _try_to_step_aside()
    _freeze()
    channel.put(b'w')
    _serve(channel, mark, volatile)


def _import_stock():
    from waggoner_runtime import __main__, install

    install.install()
    importlib.import_module('cloudify.dispatch')
    sys.modules['__main__'] = __main__


def _serve(channel, mark, volatile):
    dead = []
    while True:
        if dead and not channel.waits(_SOON):
            dead = [pid for pid in dead if not _reap(pid)]
            continue
        message = channel.take()
        if message is None:
            _exit(0)
        kind, text, descriptors = message
        if kind == b'f':
            _fork(channel, mark, text, descriptors)
        elif kind == b'p':
            reason = _preload(text, volatile)
            channel.put(b'b' if reason else b'o', reason)
        elif kind == b'r':
            dead.append(int(text))
        dead = [pid for pid in dead if not _reap(pid)]


def _reap(pid):
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _fork(channel, mark, cgroup, descriptors):
    try:
        pid, is_inside = birth.fork(cgroup)
    except OSError as error:
        channel.put(b'e', str(error))
        pid = -1
    if pid == 0:
        try:
            _become(channel, mark, '' if is_inside else cgroup, descriptors)
        except BaseException:
            traceback.print_exc()
        _exit(127)
    if pid > 0:
        # By us, so that whoever is told of it may signal the group at once.
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # It has been killed.
        channel.put(b'c', str(pid))
    for descriptor in descriptors:
        os.close(descriptor)


def _become(channel, mark, cgroup, descriptors):
    """Becomes an operation, and does not return."""
    channel.close()
    if cgroup:
        _enter(cgroup)
    stdout, stderr, errand = descriptors
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    if not _waits(errand):
        # Nobody waits: what this costs it does not cost later.
        _set_environment([name + b'=' + value for name, value in os.environ._data.items()])
        _rehearse_aside(errand)
    fields = _read_errand(errand)
    os.close(errand)
    word, directory, count = fields[:3]
    arguments, variables = fields[3:3 + int(count)], fields[3 + int(count):]
    mark.set(word)
    os.chdir(directory)
    _set_environment(variables)
    # As `python -m waggoner_runtime` has it.
    program = sys.modules['__main__']
    arguments = [os.fsdecode(argument) for argument in arguments]
    sys.argv[:] = [program.__file__] + arguments[arguments.index('-m') + 2:]
    _end(_run(program))


def _waits(errand):
    """Says whether somebody waits for what is to become of a child."""
    return bool(select.select([errand], [], [], 0)[0])


def _try_to_step_aside():
    """Says whether a process may: not every one may come back (sched(7))."""
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    pid = os.fork()
    if pid == 0:
        try:
            _step_aside()
            _step_back()
            _exit(0)
        finally:
            _exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _rehearse_aside(errand):
    """Rehearses while no one else wants the processor. Who brings the errand puts an end to that."""
    if not _may_step_aside:
        rehearsal.rehearse()
        return
    _step_aside()
    # He looks after he has brought it: one of the two sees the other.
    if not _waits(errand):
        rehearsal.rehearse()
    _step_back()


def _step_aside():
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _step_back():
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _enter(cgroup):
    try:
        with open(os.path.join(cgroup, 'cgroup.procs'), 'w') as file:
            file.write('0')
    except OSError:
        pass  # Then it is known by its group and its mark, as where there are no cgroups.


def _read_errand(pipe):
    data = b''
    while True:
        part = os.read(pipe, 65536)
        data += part
        length, is_there, errand = data.partition(b'\n')
        if is_there and len(errand) == int(length):
            return errand.split(b'\0')
        if not part:
            _exit(0)


def _set_environment(variables):
    watch.end()
    wanted = dict(variable.partition(b'=')[::2] for variable in variables)
    # As bytes: most of it stays as it is, and is not decoded.
    there = dict(os.environ._data)
    for name in there:
        if name not in wanted:
            del os.environ[os.fsdecode(name)]
    for name, value in wanted.items():
        if there.get(name) != value:
            os.environ[os.fsdecode(name)] = os.fsdecode(value)
    # From Python 3.7 on, `random` sees to it that not all forks draw the same.
    if sys.version_info < (3, 7) and 'random' in sys.modules:
        sys.modules['random'].seed()
    watch.renew()


def _run(program):
    try:
        program.run()
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xff
        sys.stderr.write('{0}\n'.format(error.code))
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end(code):
    """Ends the process as the interpreter does, without taking down what the kernel frees."""
    for last in (threading._shutdown, atexit._run_exitfuncs, _flush):
        try:
            last()
        except BaseException:
            traceback.print_exc()
    _exit(code)


def _flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # A plugin has closed it, or put something else in its place.


def _preload(name, volatile):
    """Imports a module for all operations to come. Returns why that cannot be, or ''."""
    before = _state()
    watch.read.clear()
    try:
        importlib.import_module(name)
    except BaseException as error:
        return 'fails: {0!r}'.format(error)
    reason = _difference(before, volatile)
    if not reason:
        _freeze()
    return reason


def _freeze():
    """Keeps the collector from writing to memory that is shared with the children."""
    gc.collect()
    if hasattr(gc, 'freeze'):
        gc.freeze()


def _state():
    return {
        'starts a thread': len(os.listdir('/proc/self/task')),
        'opens a file or a socket': sorted(os.listdir('/proc/self/fd')),
        'changes the environment': dict(os.environ._data),
        'changes the working directory': os.getcwd(),
    }


def _difference(before, volatile):
    """Says what an import did that only a process of its own may do; '' for nothing."""
    after = _state()
    for what in before:
        if before[what] != after[what]:
            return what
    read = watch.read.intersection(volatile)
    if read:
        return 'reads ' + ', '.join(sorted(read))
    return 'reads the whole environment' if '*' in watch.read else ''


if __name__ == '__main__':
    main(sys.argv[1:])
