"""A plugin that does what plugins do."""

import os
import sys

from cloudify import ctx as current
from cloudify.conflict_handlers import simple_merge_handler
from cloudify.decorators import operation
from cloudify.exceptions import HttpException, NonRecoverableError, RecoverableError


def create(ctx, name, **_):
    ctx.logger.info('hello %s', name)
    ctx.logger.debug('low')
    ctx.send_event('an event')
    ctx.instance.runtime_properties['name'] = name
    ctx.instance.runtime_properties['port'] = ctx.node.properties['port']
    ctx.instance.update()
    ctx.logger.warning('after the update')
    ctx.instance.runtime_properties['again'] = True
    return {'id': ctx.instance.id, 'ip': ctx.instance.host_ip, 'agent': os.environ['AGENT_NAME']}


@operation
def inputs(**kwargs):
    kwargs.pop('ctx')
    return kwargs


def prefix(ctx, **_):
    import pkg_resources  # Nobody requires it, and everybody has it.

    assert pkg_resources
    return ctx.plugin.prefix


def rehearse(**_):
    """Rehearses as a warm server does, and returns what that changed."""
    import gc
    import logging
    import threading

    from waggoner_runtime import rehearsal

    def state():
        gc.collect()
        loggers = logging.root.manager.loggerDict
        return {
            'loggers': {name: getattr(it, 'level', None) for name, it in loggers.items()},
            'root': [logging.root.level] + [str(it) for it in logging.root.handlers],
            'handlers': len(logging._handlerList),
            'environment': dict(os.environ),
            'modules': sorted(sys.modules),
            'files': len(os.listdir('/proc/self/fd')),
            'threads': [thread.name for thread in threading.enumerate()],
        }

    before = state()
    rehearsal._rehearse()
    after = state()
    return [what for what in before if before[what] != after[what]]


def fail(ctx, how, **_):
    ctx.logger.error('failing')
    ctx.instance.runtime_properties['failed'] = how
    if how == 'never':
        raise NonRecoverableError('no way')
    if how == 'later':
        raise RecoverableError('wait', retry_after=7)
    if how == 'http':
        raise HttpException('http://x', 500, 'broken')
    if how == 'retry':
        return ctx.operation.retry('again', retry_after=3)
    if how == 'any':
        raise KeyError('x')
    if how == 'exit':
        sys.exit(3)
    if how == 'hard':
        os._exit(4)
    if how == 'unserializable':
        return object()
    raise AssertionError(how)


def conflict(ctx, handled, **_):
    ctx.instance.runtime_properties['mine'] = 1
    if handled:
        ctx.instance.update(on_conflict=simple_merge_handler)
        return dict(ctx.instance.runtime_properties)
    ctx.instance.update()


def resources(ctx, **_):
    found = {
        'content': ctx.get_resource('files/a.txt').decode('utf-8'),
        'rendered': ctx.get_resource_and_render('files/a.txt', {'who': 'you'}).decode('utf-8'),
    }
    path = ctx.download_resource('files/a.txt')
    os.remove(path)
    found['name'] = os.path.basename(path)
    path = ctx.download_resource_and_render('files/a.txt', template_variables={'who': 'me'})
    with open(path) as downloaded:
        found['downloaded'] = downloaded.read()
    if hasattr(ctx, 'download_directory'):
        target = ctx.download_directory('files/more')
        found['directory'] = sorted(
            os.path.relpath(os.path.join(directory, name), target)
            for directory, _, names in os.walk(target) for name in names)
    try:
        ctx.get_resource('missing')
    except HttpException as error:
        found['missing'] = error.code
    return found


def rest(ctx, **_):
    from cloudify_agent.installer import script

    return {
        'config': [item.value for item in ctx.get_config(scope='workflow')],
        'provider': ctx.provider_context,
        'retries': ctx.bootstrap_context.cloudify_agent.user,
        'execution': ctx.get_execution().status,
        'script': script.init_script({'user': 'me'}),
        'link': script.install_script_download_link(),
    }


def chatter(ctx, lines, **_):
    for number in range(lines):
        ctx.logger.info('line %d', number)


def odd_lines(ctx, **_):
    ctx.logger.info('x' * 200000)
    ctx.logger.info('')
    ctx.logger.info('half \udc80')
    ctx.logger.log(5, 'too low')
    ctx.logger.log(25, 'between')


def refused(ctx, how, **_):
    if how == 'unknown':
        ctx._endpoint.get_node_instance('nobody')
    ctx._endpoint.evaluate_functions({how: True})


def fork(ctx, **_):
    ctx.logger.info('parent before')
    child = os.fork()
    if child == 0:
        ctx.logger.info('child')
        os._exit(0)
    os.waitpid(child, 0)
    ctx.logger.info('parent after')


def crash(ctx, **_):
    import signal
    import time

    ctx.logger.info('last words')
    deadline = time.time() + 20
    while time.time() < deadline and not os.path.exists(os.environ['HEARD']):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


def ring(ctx, times, **_):
    import signal

    rung = []

    def handler(*_):
        ctx.logger.info('ring %d', len(rung))
        rung.append(True)
        ctx.instance.runtime_properties['rung'] = len(rung)
        ctx.instance.update()
        if len(rung) < times:
            signal.setitimer(signal.ITIMER_REAL, 0.001)

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    while len(rung) < times:
        ctx.logger.info('between')
        ctx.get_resource('files/a.txt')
    return len(rung)


def relationship(ctx, **_):
    current.source.instance.runtime_properties['to'] = ctx.target.instance.id
    ctx.target.instance.runtime_properties['from'] = ctx.source.node.properties['port']
    return ctx.type
