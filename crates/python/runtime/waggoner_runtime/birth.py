"""Forks a process into a cgroup.

Who is born there (clone3(2), `CLONE_INTO_CGROUP`) is there at once. Who moves there later waits until
the kernel has seen every processor come by (RCU), and so does whoever moves at the same time: some
milliseconds, of which an operation of Python lasts as many.

It does what `os.fork` does, but for the functions that C libraries have named to `pthread_atfork`:
they look after the locks of other threads, and a server has none.
"""

import array
import errno
import os
import signal

_SYS_CLONE3 = 435
_PR_GET_TID_ADDRESS = 40
_CLONE_CHILD_CLEARTID = 0x00200000
_CLONE_CHILD_SETTID = 0x01000000
_CLONE_INTO_CGROUP = 0x200000000

# What a kernel, or a guard before it, says that does not have the call. Any other error is about
# this one cgroup.
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.E2BIG, errno.EPERM)


class _Births:
    def __init__(self):
        import ctypes

        self._errno = ctypes.get_errno
        # Without letting go of the interpreter's lock, which nobody else wants.
        library = ctypes.PyDLL(None, use_errno=True)
        # Elsewhere a process keeps its number in another place, or in none.
        library.gnu_get_libc_version
        self._before, self._in_parent, self._in_child = (
            _function(library, 'PyOS_' + name)
            for name in ('BeforeFork', 'AfterFork_Parent', 'AfterFork_Child'))
        self._syscall = library.syscall
        self._syscall.restype = ctypes.c_long
        self._syscall.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t]
        # Where the C library keeps the number of its thread.
        tid = ctypes.c_void_p()
        if library.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(tid), 0, 0, 0) or not tid.value:
            raise OSError(ctypes.get_errno(), 'the address of the thread is not told')
        # `struct clone_args`; the last one is the cgroup.
        self._args = array.array('Q', [
            _CLONE_INTO_CGROUP | _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID, 0, tid.value, 0,
            signal.SIGCHLD, 0, 0, 0, 0, 0, 0])

    def fork(self, cgroup):
        """Returns as `os.fork` does; with an error there is no child."""
        descriptor = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._args[-1] = descriptor
            address, length = self._args.buffer_info()
            self._before()
            pid = self._syscall(_SYS_CLONE3, address, length * self._args.itemsize)
            error = self._errno()
            if pid:
                self._in_parent()
            else:
                self._in_child()
        finally:
            os.close(descriptor)
        if pid < 0:
            raise OSError(error, os.strerror(error), cgroup)
        return pid


def _function(library, name):
    function = getattr(library, name)
    function.restype = None
    function.argtypes = []
    return function


def _find():
    try:
        return _Births()
    except (ImportError, AttributeError, OSError):
        return None


_births = _find()


def fork(cgroup):
    """Forks. Returns the child's number, 0 in the child, and whether it was born in the cgroup."""
    global _births
    if cgroup and _births is not None:
        try:
            return _births.fork(cgroup), True
        except OSError as error:
            if error.errno in _UNKNOWN:
                _births = None
    return os.fork(), False
