"""Every way to fail, and every way to be called."""

import os
import sys

from cloudify.decorators import operation, serial_operation
from cloudify.exceptions import (
    HttpException, NonRecoverableError, OperationRetry, RecoverableError, StopAgent, WorkflowFailed)
from cloudify.utils import exception_to_error_cause

from stock_plugin.cases import HOST, case, fails


class Own(Exception):
    pass


class OwnFinal(NonRecoverableError):
    pass


class OwnLater(RecoverableError):
    def __init__(self, message):
        super().__init__(message, retry_after=9)


class Unspeakable(Exception):
    def __str__(self):
        raise ValueError('no text')


class Base(BaseException):
    pass


class WithCauses(Exception):
    causes = [{'message': 'm', 'type': 'T', 'traceback': 'tb'}]


def caused():
    try:
        raise KeyError('first')
    except KeyError as error:
        cause = exception_to_error_cause(error, sys.exc_info()[2])
    return NonRecoverableError('second', causes=[cause])


RAISED = {
    'non_recoverable': lambda: NonRecoverableError('no way'),
    'non_recoverable_without_text': lambda: NonRecoverableError(),
    'non_recoverable_of_its_own': lambda: OwnFinal('mine'),
    'recoverable': lambda: RecoverableError('soon'),
    'recoverable_after': lambda: RecoverableError('later', retry_after=7),
    'recoverable_at_once': lambda: RecoverableError('now', retry_after=0),
    'recoverable_of_its_own': lambda: OwnLater('mine'),
    'recoverable_with_causes': lambda: RecoverableError('caused', 0, [{'message': 'm'}]),
    'http': lambda: HttpException('http://x', 500, 'broken'),
    'http_404': lambda: HttpException('http://x', 404, 'missing'),
    'retry_raised': lambda: OperationRetry('again', retry_after=3),
    'stop_agent': lambda: StopAgent(),
    'workflow_failed': lambda: WorkflowFailed('it failed'),
    'key_error': lambda: KeyError('x'),
    'own_error': lambda: Own('a', 1),
    'own_error_without_text': lambda: Own(),
    'base_exception': lambda: Base('base'),
    'keyboard_interrupt': lambda: KeyboardInterrupt(),
    'system_exit': lambda: SystemExit(3),
    'system_exit_well': lambda: SystemExit(),
    'generator_exit': lambda: GeneratorExit(),
    'memory_error': lambda: MemoryError(),
    'unicode_error': lambda: Own('wörld \U0001f600'),
    'long_error': lambda: Own('x' * 20000),
    'error_with_lines': lambda: Own('one\ntwo'),
    'error_with_causes': lambda: WithCauses('c'),
    'error_with_a_cause': caused,
    'unspeakable_error': lambda: Unspeakable(),
    'os_error': lambda: FileNotFoundError(2, 'No such file', '/nowhere'),
    'half_a_pair': lambda: Own('half \udc80'),
}


def fail(ctx, how, **_):
    ctx.logger.info('about to fail')
    ctx.instance.runtime_properties['failed'] = how
    raise RAISED[how]()


for each in RAISED:
    case(each, how=each)(fail)


@case()
def chained(ctx, **_):
    try:
        raise KeyError('inner')
    except KeyError as error:
        raise RecoverableError('outer') from error


@case('retry', how='plain')
@case('retry_after', how='after')
@case('retry_without_text', how='no text')
@case('retry_with_text_for_seconds', how='text')
@case('retry_and_a_result', how='result')
@case('retry_and_an_error', how='error')
@case('retry_twice', how='twice')
def retry(ctx, how, **_):
    ctx.instance.runtime_properties['retried'] = ctx.operation.retry_number
    if how == 'no text':
        return ctx.operation.retry()
    after = {'after': 11, 'text': '12', 'twice': 1}.get(how)
    ctx.operation.retry(message='again', retry_after=after)
    if how == 'twice':
        ctx.operation.retry('once more', 2)
    if how == 'error':
        raise Own('instead')
    return 'a result'


@case('exit_well', code=0)
@case('exit_badly', code=3)
def leaves(ctx, code, **_):
    sys.exit(code)


@case('hard_exit', code=4)
@case('hard_exit_well', code=0, context={'task_id': 'hard'})
def leaves_at_once(ctx, code, **_):
    os._exit(code)


@case('terminated')
def terminated(ctx, **_):
    os.kill(os.getpid(), 15)


@case('missing_function', task='stock_plugin.errors.nothing')
@case('missing_module', task='no_such_module.run')
@case('missing_module_below', task='stock_plugin.no_such_module.run')
@case('no_function_at_all', task='nothing')
@case('broken_module', task='stock_plugin.broken.run')
@case('not_a_function', task='stock_plugin.errors.RAISED')
def never(**_):
    pass


@case('wanted_inputs', a=1, b=[2])
def wanted(ctx, a, b):
    return [a, b]


@case('unwanted_inputs', a=1)
def unwanted(ctx):
    pass


@case('missing_inputs')
def missing(ctx, a):
    pass


@case('no_ctx_argument')
def no_ctx(a=None):
    pass


@case('no_ctx_kwarg', {'no_ctx_kwarg': True}, a=1)
def no_ctx_kwarg(**kwargs):
    return kwargs


@case('decorated', a=1)
@operation
def decorated(ctx, a, **kwargs):
    return [a, sorted(kwargs)]


@case('resumable', {'resume': True})
@operation(resumable=True)
def resumable(ctx, **_):
    return ctx.resume


@case('not_resumable', {'resume': True})
def not_resumable(ctx, **_):
    return 'never'


@case('serial_first', {})
@case('serial_second', {'node_id': 'web_2'})
@case('serial_elsewhere', {'node_id': 'web_2', 'workflow_id': 'scale'})
@serial_operation()
def serial(ctx, **_):
    return ctx.instance.id


@case('local_inputs_are_copied', {'task_target': ''}, a=[1])
@case('remote_inputs', {}, a=[1])
def inputs_as_parameters(ctx, a, **_):
    from cloudify.state import ctx_parameters
    a.append(2)
    return [a, ctx_parameters['a']]


@case('returns_nothing', what='None')
@case('returns_text', what='"wörld \\U0001f600 \\x00"')
@case('returns_nested', what='{"a": [1, (2, None), {"b": True}]}')
@case('returns_a_number', what='2 ** 70')
@case('returns_a_fraction', what='[1.0, 1e400, 0.1]')
@case('returns_odd_keys', what='{1: 2, None: 3}')
@case('returns_a_set', what='{1}')
@case('returns_bytes', what='b"x"')
@case('returns_an_object', what='object()')
@case('returns_the_properties', what='ctx.instance.runtime_properties')
@case('returns_a_lot', what='"x" * 1000000')
def returns(ctx, what, **_):
    ctx.logger.info('returning')
    return eval(what)


@case()
def returns_itself(ctx, **_):
    result = []
    result.append(result)
    return result


@case('agent_of_no_host', {})
def agent(ctx, **_):
    return fails(lambda: ctx.agent)


@case('agent_of_a_host_without_script', dict(HOST, node_id='vm2_1', node_name='vm2'))
def no_init_script(ctx, **_):
    return ctx.agent.init_script()


@case()
def identities(ctx, **_):
    return [ctx.task_id, ctx.task_name, ctx.task_queue, ctx.task_target, ctx.task_type, ctx.type,
            ctx.execution_id, ctx.workflow_id, ctx.workflow_parameters, ctx.tenant_name,
            ctx.deployment.id, ctx.deployment.display_name, ctx.deployment.creator,
            ctx.deployment.resource_tags, ctx.deployment.tenant_name, ctx.blueprint.id,
            ctx.operation.name, ctx.operation.retry_number, ctx.operation.max_retries,
            ctx.timeout, ctx.timeout_recoverable, ctx.bypass_maintenance, ctx.resume,
            ctx.execution_creator_username, ctx.execution_env, ctx.rest_token]


@case('no_tags_at_all', {'deployment_resource_tags': {}})
def tags(ctx, **_):
    return ctx.deployment.resource_tags.update(None or {})


@case()
def plugin(ctx, **_):
    return [ctx.plugin, ctx.plugin == 'stock', ctx.plugin.name, ctx.plugin.package_name,
            ctx.plugin.package_version, ctx.plugin.source, ctx.plugin.properties,
            isinstance(ctx.plugin, str)]


@case()
def workdir(ctx, **_):
    with open(os.path.join(ctx.plugin.workdir, 'file'), 'w') as file:
        file.write('x')
    return ctx.plugin.workdir.startswith(os.environ['AGENT_WORK_DIR'])


def folders(ctx, **_):
    """Where a plugin finds itself, and what outlives its operations. Not compared: for the stock
    dispatcher nothing is installed here."""
    return [ctx.plugin.prefix, ctx.plugin.workdir, ctx.local_deployment_workdir()]
