"""What is read of the environment while modules are imported for all operations.

A module that keeps what differs from operation to operation is each operation's own. Some of those
that nearly every plugin imports do so (Cloudify's SDK imports all of them): what these keep is known,
and a child gets its own.
"""

import os
import sys
from importlib.machinery import PathFinder

# The names that were read; `*` if it was all of them.
read = set()

# Where temporary files go.
_PLACES = {'TMPDIR', 'TEMP', 'TMP'}

# What keeps something: the names that it reads, and how what it keeps is made anew.
_KEEPERS = {
    'tempfile': (_PLACES, lambda module: setattr(module, 'tempdir', None)),
    'wsgiref.handlers': ({'*'}, lambda module: setattr(
        module.BaseHandler, 'os_environ', module.read_environ())),
    'script_runner.tasks': (_PLACES, lambda module: setattr(
        module, 'DEFAULT_TASK_LOG_DIR', os.path.join(_temporary(), 'cloudify'))),
}


class _Watched(type(os.environ)):
    """Remembers what is read of the environment."""

    def __getitem__(self, name):
        read.add(name)
        return super().__getitem__(name)

    def __iter__(self):
        read.add('*')
        return super().__iter__()

    def copy(self):
        read.add('*')
        return super().copy()


class _Finder:
    """Finds the modules that are known to keep something, and forgets what they read.

    What modules that they import read besides is not forgotten.
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target) if name in _KEEPERS else None
        if spec:
            execute = spec.loader.exec_module

            def exec_module(module):
                before = set(read)
                execute(module)
                names = _KEEPERS[name][0]
                own = read if '*' in names else names
                read.difference_update(own - before)
                # Else nobody would see who asks for it next.
                _renew('tempfile')

            spec.loader.exec_module = exec_module
        return spec


def begin():
    """Watches from now on."""
    os.environ.__class__ = _Watched
    sys.meta_path.insert(0, _Finder)


def end():
    """Watches no more."""
    os.environ.__class__ = _Watched.__mro__[1]
    if _Finder in sys.meta_path:
        sys.meta_path.remove(_Finder)


def renew():
    """Gives a child what known modules keep of its environment."""
    for name in _KEEPERS:
        _renew(name)


def _renew(name):
    if name in sys.modules:
        _KEEPERS[name][1](sys.modules[name])


def _temporary():
    # `tempfile` writes a file to find it.
    return os.environ.get('TMPDIR') or sys.modules['tempfile'].gettempdir()
