"""What is logged and told, and in which order."""

import logging
import os
import sys
import threading

from cloudify import ctx as current
from cloudify.logs import CloudifyCtxLoggingHandler

from stock_plugin.cases import DEPLOYMENT, SOURCE, case


@case('log_levels', {})
@case('log_levels_of_a_relationship', SOURCE)
@case('log_levels_of_a_deployment', DEPLOYMENT)
def levels(ctx, **_):
    ctx.logger.debug('low')
    ctx.logger.info('plain')
    ctx.logger.warning('odd')
    ctx.logger.warn('old')
    ctx.logger.error('bad')
    ctx.logger.critical('worst')
    ctx.logger.fatal('last')
    return [ctx.logger.name, ctx.logger.level, ctx.logger.isEnabledFor(5)]


@case()
def arguments(ctx, **_):
    ctx.logger.info('%s and %d', 'text', 7)
    ctx.logger.info('%(name)s', {'name': 'by name'})
    ctx.logger.info('100%')
    ctx.logger.info({'a': 1})
    ctx.logger.info(None)
    ctx.logger.info(b'bytes')


@case()
def wrong_arguments(ctx, **_):
    ctx.logger.info('%d', 'no number')
    ctx.logger.info('after')


@case()
def exceptions(ctx, **_):
    try:
        {}['missing']
    except KeyError:
        ctx.logger.exception('it was %s', 'missing')
        ctx.logger.error('again', exc_info=True)
        ctx.logger.info('with the stack', exc_info=sys.exc_info())
    ctx.logger.exception('no exception')


@case()
def odd_texts(ctx, **_):
    for text in ('', ' ', '\n', 'two\nlines', 'wörld \U0001f600', 'tab\t\x1b[1m', 'x' * 30000):
        ctx.logger.info(text)


@case()
def odd_levels(ctx, **_):
    logging.addLevelName(25, 'NOTICE')
    ctx.logger.log(5, 'too low')
    ctx.logger.log(10, 'debug')
    ctx.logger.log(60, 'high')


@case()
def a_level_of_its_own(ctx, **_):
    ctx.logger.setLevel(logging.WARNING)
    ctx.logger.info('not to be seen')
    ctx.logger.warning('to be seen')


@case()
def loggers_beside_it(ctx, **_):
    ctx.logger.getChild('below').info('from below')
    logging.getLogger('ctx.t').info('by name')
    logging.getLogger('ctx').info('above')
    logging.getLogger('elsewhere').error('elsewhere')
    other = logging.getLogger('library')
    other.setLevel(logging.INFO)
    other.addHandler(CloudifyCtxLoggingHandler(ctx))
    other.info('through %s', 'a handler')


@case()
def events(ctx, **_):
    ctx.send_event('an event')
    ctx.logger.info('between')
    ctx.send_event('wörld')
    ctx.send_event('')


@case()
def many_lines_in_order(ctx, **_):
    for number in range(50):
        ctx.logger.info('line %d', number)
        if number % 10 == 0:
            ctx.send_event('event {0}'.format(number))


@case()
def threads(ctx, **_):
    def work():
        ctx.logger.info('from a thread')

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    ctx.logger.info('joined')


@case()
def a_thread_that_outlives_the_operation(ctx, **_):
    logger = ctx.logger
    done = threading.Event()

    def work():
        done.wait()
        logger.info('late')

    threading.Thread(target=work).start()
    threading.Timer(0.2, done.set).start()


@case()
def a_child(ctx, **_):
    ctx.logger.info('before')
    child = os.fork()
    if child == 0:
        ctx.logger.info('in the child')
        os._exit(0)
    os.waitpid(child, 0)
    ctx.logger.info('after')


@case()
def output_is_not_logged(ctx, **_):
    print('to stdout')
    sys.stderr.write('to stderr\n')
    ctx.logger.info('logged')


@case()
def the_current_context(**kwargs):
    from cloudify.state import ctx_parameters
    current.logger.info('%s %s', current.node.id, sorted(ctx_parameters))
    return [current.task_id, kwargs['ctx'] is current._get_current_object()]


@case()
def lines_around_an_update(ctx, **_):
    ctx.logger.info('before')
    ctx.instance.runtime_properties['a'] = 1
    ctx.instance.update()
    ctx.logger.info('after')


@case()
def lines_before_a_crash(ctx, **_):
    import signal
    ctx.logger.info('last words')
    os.kill(os.getpid(), signal.SIGKILL)


@case()
def lines_before_an_exit(ctx, **_):
    ctx.logger.info('last words')
    os._exit(7)
