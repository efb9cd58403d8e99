"""The operations: the layer between `ctx` and `notes`.

An operation may be run a second time, after a failure or when an execution is resumed. Each is
written so that this does no harm.
"""

import os

from cloudify import ctx
from cloudify.decorators import operation
from cloudify.exceptions import NonRecoverableError

from note_plugin import notes


@operation(resumable=True)
def create(**_):
    """Writes the note."""
    path = ctx.node.properties['path']
    if not os.path.isabs(path):
        # Trying again would not help: the blueprint has to be mended.
        raise NonRecoverableError('the path of a note has to be absolute, not {0!r}'.format(path))
    ctx.instance.runtime_properties['path'] = path
    ctx.instance.runtime_properties['digest'] = notes.write(path, ctx.node.properties['text'])
    ctx.logger.info('wrote the note %s', path)


@operation(resumable=True)
def start(**_):
    """Waits until somebody has approved the note, if that was asked for."""
    approval = ctx.node.properties.get('approval')
    if approval and not os.path.exists(approval):
        # What takes long is asked about again later: no process waits meanwhile.
        return ctx.operation.retry('nobody has made {0} yet'.format(approval), retry_after=2)
    ctx.logger.info('the note is approved')
    return 'approved'


@operation(resumable=True)
def check_drift(**_):
    """Says how the note differs from what it should be; nothing where it does not."""
    text = notes.read(ctx.instance.runtime_properties['path'])
    if text is None:
        return 'the note is gone'
    if notes.digest(text) != ctx.instance.runtime_properties['digest']:
        return 'the note was changed by somebody else'
    return None


@operation(resumable=True)
def delete(**_):
    """Removes the note."""
    path = ctx.instance.runtime_properties.pop('path', None)
    ctx.instance.runtime_properties.pop('digest', None)
    if path:
        notes.remove(path)
        ctx.logger.info('removed the note %s', path)
