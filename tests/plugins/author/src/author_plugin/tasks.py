"""Operations that say what they see, for `wag plugins test`."""

import time

from cloudify import ctx
from cloudify.decorators import operation
from cloudify.exceptions import RecoverableError
from cloudify.manager import get_rest_client


@operation
def see(given=None, **_):
    print('printed')
    ctx.logger.warning('logged')
    ctx.instance.runtime_properties['seen'] = True
    return {
        'given': given,
        'properties': dict(ctx.node.properties),
        'before': ctx.instance.runtime_properties.get('before'),
        'resource': ctx.get_resource('folder/file.txt').decode(),
        'secret': get_rest_client().secrets.get('key').value,
        'operation': ctx.operation.name,
        'version': ctx.plugin.package_version,
    }


@operation
def connect(**_):
    ctx.source.instance.runtime_properties['port'] = ctx.target.node.properties['port']
    ctx.target.instance.runtime_properties['source'] = ctx.source.instance.id


@operation
def third_time(**_):
    ctx.instance.runtime_properties['tries'] = ctx.operation.retry_number + 1
    ctx.instance.update()
    if ctx.operation.retry_number < 2:
        raise RecoverableError('not yet', retry_after=0)
    return 'well'


@operation
def sleep(**_):
    ctx.instance.runtime_properties['slept'] = False
    ctx.instance.update()
    ctx.logger.info('sleeping')
    time.sleep(600)
