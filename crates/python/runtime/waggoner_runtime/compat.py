"""What the libraries of an old cloudify-common miss in a newer Python.

Releases before 7.0 pin libraries of their time: requests-toolbelt 0.8, Jinja2 2.10, bottle 0.12.18,
pika 0.11. Beside a Python, an urllib3 and a MarkupSafe of today these cannot be imported for want of
a few names that have moved or gone. Here they are again; where nothing is missing, nothing is done,
and nothing is imported before somebody else does.
"""

import collections
import collections.abc
import importlib.machinery
import importlib.util
import inspect
import sys


def mend():
    """Gives the names back. Has to run before anything of `cloudify` is imported."""
    sys.meta_path.insert(0, _Unreadable())
    if sys.version_info < (3, 10):
        return
    for name in collections.abc.__all__:
        if not hasattr(collections, name):
            setattr(collections, name, getattr(collections.abc, name))
    if not hasattr(inspect, 'getargspec'):
        inspect.getargspec = _getargspec
    sys.meta_path.insert(0, _Renamed())
    sys.meta_path.append(_Gone())


def _getargspec(function):
    return inspect.getfullargspec(function)[:4]


class _Unreadable:
    """An adapter of pika 0.11 has a name that is a keyword since Python 3.7; without it, all is
    well."""

    def find_spec(self, name, path=None, target=None):
        if name == 'pika.adapters.libev_connection' and sys.version_info >= (3, 7):
            raise ImportError(name)
        return None


class _Renamed:
    """MarkupSafe 2.1 calls `soft_unicode` `soft_str`."""

    def find_spec(self, name, path=None, target=None):
        if name != 'markupsafe':
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                if not hasattr(module, 'soft_unicode'):
                    module.soft_unicode = module.soft_str

            spec.loader.exec_module = exec_module
        return spec


class _Gone:
    """urllib3 2 has no `contrib.appengine`, which is asked only whether this is App Engine."""

    def find_spec(self, name, path=None, target=None):
        if name == 'urllib3.contrib.appengine':
            return importlib.machinery.ModuleSpec(name, self)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.is_appengine_sandbox = lambda: False
        module.AppEngineManager = None
