"""What is run under both: which function, in which context, with which inputs."""

from collections import namedtuple

Case = namedtuple('Case', 'name module task context inputs conflicts')

# In the context of a host, of another instance, of no instance, and of the relationship web -> db.
# What is None is not in the context at all.
HOST = {'node_id': 'vm_1', 'node_name': 'vm'}
DEPLOYMENT = {'node_id': None, 'node_name': None}
SOURCE = {'related': {'node_id': 'db_1', 'node_name': 'db', 'is_target': True}}
TARGET = {'node_id': 'db_1', 'node_name': 'db',
          'related': {'node_id': 'web_1', 'node_name': 'web', 'is_target': False}}

CASES = []


def case(name=None, context=(), conflicts=0, task=None, **inputs):
    """Makes a case of a function; one function may be many."""
    def add(function):
        path = task or '{0}.{1}'.format(function.__module__, function.__name__)
        module = function.__module__.split('.')[-1]
        CASES.append(Case(
            name or function.__name__, module, path, dict(context), inputs, conflicts))
        return function
    return add


def fails(function, *args, **kwargs):
    """What a call raises: the name of its type and its text."""
    try:
        return {'returned': function(*args, **kwargs)}
    except Exception as error:
        return [type(error).__name__, str(error)]
