"""Waits for executions of other deployments, and for blueprints.

The names and what they do are Cloudify's.
"""

import functools
import logging
import time

from cloudify import ctx
from cloudify.exceptions import NonRecoverableError
from cloudify_rest_client.exceptions import CloudifyClientError

_ENDS = ('terminated', 'failed', 'cancelled')
# Of blueprints: `BlueprintUploadState` of `cloudify/models_states.py`, which older versions lack.
_UNUSABLE = (
    'failed_uploading', 'failed_extracting', 'failed_parsing',
    'failed_extracting_to_file_server', 'invalid')
_INTERVAL = 1
_PAGE = 1000


def poll_with_timeout(pollster, timeout, interval=_INTERVAL, expected_result=True):
    """Asks again and again, for so many seconds, or for ever if they are -1. Says whether what was
    expected has come."""
    began = time.time()
    while timeout == -1 or time.time() <= began + timeout:
        if pollster() == expected_result:
            return True
        time.sleep(interval)
    ctx.logger.error('Gave up: what was waited for has not come within %s seconds', timeout)
    return False


def _refusing(attempt):
    def decorator(function):
        @functools.wraps(function)
        def decorated(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except CloudifyClientError as error:
                raise NonRecoverableError('Failed to {0}: {1}'.format(attempt, error))
        return decorated
    return decorator


@_refusing('learn which executions still run')
def is_all_executions_finished(client, deployment_id=None):
    """Says whether all executions of the system, and of a deployment, have ended."""
    offset = 0
    while True:
        page = client.executions.list(
            include_system_workflows=True, _offset=offset, _size=_PAGE)
        for execution in page:
            is_of = deployment_id and execution.get('deployment_id') == deployment_id
            if execution.get('is_system_workflow') or is_of:
                if execution.get('status') not in _ENDS:
                    return False
        offset += len(page)
        if not len(page) or offset >= page.metadata.pagination.total:
            return True


@_refusing('fetch what another execution has logged')
def redirect_logs(client, execution_id, instance_ctx=None):
    """Logs what another execution has logged since the last time."""
    instance = instance_ctx or ctx.instance
    received = dict(instance.runtime_properties.get('received_events') or {})
    offset = int(received.get(execution_id, 0))
    while True:
        page = client.events.list(
            execution_id=execution_id, include_logs=True,
            _offset=offset, _size=_PAGE, _sort='timestamp')
        for event in page.items:
            _log(event)
        offset += len(page.items)
        if not page.items or offset >= page.metadata.pagination.total:
            break
    received[execution_id] = offset
    instance.runtime_properties['received_events'] = received


def _log(event):
    where = event.get('node_instance_id') or ''
    if where and event.get('operation'):
        where += '.' + event['operation'].split('.')[-1]
    level = logging.getLevelName((event.get('level') or 'info').upper())
    ctx.logger.log(level if isinstance(level, int) else logging.INFO, '%s %s%s',
                   event.get('reported_timestamp', ''),
                   '[{0}] '.format(where) if where else '',
                   event.get('message', ''))


@_refusing('learn how an execution of another deployment stands')
def is_deployment_execution_at_state(
        client, dep_id, state, execution_id, log_redirect=False, instance_ctx=None):
    """Says whether an execution is in a state. One that has failed is an error."""
    if not execution_id:
        raise NonRecoverableError(
            'Failed to wait for an execution of deployment `{0}`: '
            'it is not said which'.format(dep_id))
    execution = client.executions.get(
        execution_id=execution_id,
        _include=['status', 'workflow_id', 'created_at', 'ended_at', 'id'])
    if log_redirect:
        redirect_logs(client, execution_id, instance_ctx)
    status = execution.get('status')
    if status != state and status in ('failed', 'cancelled'):
        raise NonRecoverableError(
            'Failed to wait until execution `{0}` (`{1}`) of deployment `{2}` is {3}: '
            'it is {4}'.format(
                execution_id, execution.get('workflow_id'), dep_id, state, status))
    return status == state


def verify_execution_state(
        client, execution_id, deployment_id, redirect_log, workflow_state,
        timeout=1800, interval=_INTERVAL, instance_ctx=None):
    """Waits until an execution is in a state."""
    def is_there():
        return is_deployment_execution_at_state(
            client, deployment_id, workflow_state, execution_id, redirect_log, instance_ctx)

    if not poll_with_timeout(is_there, timeout, interval):
        raise NonRecoverableError(
            'Failed to wait until execution `{0}` of deployment `{1}` is {2}: '
            'it is not after {3} seconds'.format(
                execution_id, deployment_id, workflow_state, timeout))
    return True


def verify_blueprint_uploaded(blueprint_id, client):
    """Says whether a blueprint is there for use."""
    return client.blueprints.get(blueprint_id)['state'] == 'uploaded'


def wait_for_blueprint_to_upload(blueprint_id, client, timeout_seconds=30):
    """Waits until a blueprint is there for use. One that never will be is an error."""
    def is_uploaded():
        state = client.blueprints.get(blueprint_id)['state']
        if state in _UNUSABLE:
            raise NonRecoverableError(
                'Failed to wait until blueprint `{0}` is uploaded: it is {1}'.format(
                    blueprint_id, state))
        return state == 'uploaded'

    if not poll_with_timeout(is_uploaded, timeout_seconds):
        raise NonRecoverableError(
            'Failed to wait until blueprint `{0}` is uploaded: it is not after {1} seconds'.format(
                blueprint_id, timeout_seconds))
    return True
