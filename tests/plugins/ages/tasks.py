"""What a plugin does that was made for a Cloudify of its own age."""

import sys

from cloudify import ctx
from cloudify.decorators import operation
from cloudify.exceptions import OperationRetry, RecoverableError
import pkg_resources


@operation
def create(word, **kwargs):
    """Logs, remembers, and asks to be run again, once each way."""
    if ctx.operation.retry_number == 0:
        ctx.instance.runtime_properties['begun'] = True
        raise RecoverableError('not yet')
    if ctx.operation.retry_number == 1:
        return ctx.operation.retry('once more', retry_after=0)
    properties = ctx.instance.runtime_properties
    properties['common'] = pkg_resources.get_distribution('cloudify-common').version
    properties['python'] = '{0}.{1}'.format(*sys.version_info)
    properties['word'] = word
    properties['greeting'] = ctx.node.properties['greeting']
    ctx.logger.info('made with %s', properties['common'])
    ctx.send_event('an event of {0}'.format(properties['common']))


@operation
def link(**kwargs):
    """Reads one side and writes the other."""
    target = ctx.target.instance.runtime_properties['common']
    ctx.source.instance.runtime_properties['linked_to'] = target


@operation
def refuse(**kwargs):
    raise OperationRetry('never', retry_after=0)
