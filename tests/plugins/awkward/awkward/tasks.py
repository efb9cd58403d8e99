"""Operations that behave badly, and one that does not."""

import os
import signal
import subprocess
import sys

from cloudify import ctx
from cloudify.decorators import operation
from cloudify.exceptions import NonRecoverableError


@operation
def fine(number, **_):
    ctx.logger.info('the number is %s', number)
    ctx.instance.runtime_properties['number'] = number
    return number


@operation
def binary(**_):
    sys.stdout.buffer.write(bytes(range(256)) * 400)
    sys.stdout.buffer.flush()
    os.write(2, b'\xff\xfe\x00\n')


@operation
def long_line(**_):
    sys.stdout.write('x' * 10_000_000)
    sys.stdout.flush()


@operation
def daemon(**_):
    """Leaves a process behind that holds our output."""
    child = subprocess.Popen(['sleep', '300'], start_new_session=True)
    ctx.instance.runtime_properties['pid'] = child.pid


@operation
def an_object(**_):
    return object()


@operation
def a_set_in_a_property(**_):
    ctx.instance.runtime_properties['given'] = {1, 2}


@operation
def killed(**_):
    os.kill(os.getpid(), signal.SIGKILL)


@operation
def exits(**_):
    os._exit(7)


class Strange(NonRecoverableError):
    def __str__(self):
        return 'strange \udcff things'


@operation
def raises(**_):
    raise Strange()
