"""Puts our endpoint where the stock package looks for its own."""

import contextlib
import os
import sys

from waggoner_runtime import compat, events

# What plugins import of a manager of Cloudify's, unless they bring it.
_BESIDE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'beside')


def install():
    """Replaces names of the stock package; has to run before `cloudify.dispatch` starts."""
    compat.mend()
    sys.path.append(_BESIDE)
    from cloudify import context, logs

    from waggoner_runtime.endpoint import AgentEndpoint

    context.ManagerEndpoint = AgentEndpoint
    # The defaults of whoever logs without an endpoint: by REST since 6.2, by AMQP before.
    for name in ('manager_log_out', 'amqp_log_out'):
        if hasattr(logs, name):
            setattr(logs, name, events.log_out)
    for name in ('manager_event_out', 'amqp_event_out'):
        if hasattr(logs, name):
            setattr(logs, name, events.event_out)
    _keep_from_amqp()
    _keep_from_bookkeeping()
    # `script_runner` sets it for its own runs; plugins that run scripts elsewhere read it too.
    if not hasattr(context.CloudifyContext, '_return_value'):
        context.CloudifyContext._return_value = None
    _flush_before_exit()


def _keep_from_amqp():
    """Before 6.2 the dispatcher itself connects to RabbitMQ around an operation, and every thread
    that a plugin makes of `AMQPWrappedThread` does."""
    try:
        from cloudify import amqp_client_utils
    except ImportError:
        return
    for name in ('init_events_publisher', 'close_amqp_client'):
        if hasattr(amqp_client_utils, name):
            setattr(amqp_client_utils, name, _nothing)
    publisher = getattr(amqp_client_utils, '_GlobalEventsPublisher', None)
    if publisher is not None:
        publisher.register_caller = lambda self: self.client_started.set()
        publisher.unregister_caller = _nothing
        publisher.close = _nothing
        publisher.publish_message = _publish


def _keep_from_bookkeeping():
    """Before 6.2 the dispatcher itself notes that an operation has started, and takes one that has
    for one that comes again. The agent has noted it already, and nothing comes again."""
    from cloudify import dispatch

    if hasattr(dispatch.OperationHandler, '_update_operation_state'):
        dispatch.OperationHandler._update_operation_state = _noted


@contextlib.contextmanager
def _noted(_):
    yield


def _nothing(*args, **kwargs):
    pass


def _publish(_, message, message_type):
    """Takes what was on its way to RabbitMQ."""
    if message_type == 'log':
        events.log_out(message)
    else:
        events.event_out(message)


def _flush_before_exit():
    """`os._exit` skips every exit handler, but it must not lose log lines."""
    exit_now = os._exit

    def flush_and_exit(status):
        try:
            events.flush()
        finally:
            exit_now(status)

    os._exit = flush_and_exit
