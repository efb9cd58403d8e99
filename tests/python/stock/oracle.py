"""Runs every case under the stock dispatcher and says what came of it.

Usage: oracle.py FOLDER [MODULE...], with a Python that has cloudify-common==7.0.5. Prints one line of
JSON: the manager's address and the cases, each with its context, its inputs and what the stock
package made of it. Then it goes on answering as the manager, until its standard input ends.

Each operation is a fork of a process that has imported `cloudify.dispatch` already: the stock code
to the letter, without the cost of importing it again. How its end is told follows Cloudify's agent
(`cloudify_agent/worker.py`).
"""

import json
import os
import re
import sys
import tempfile
import threading
import traceback

FOLDER = os.path.dirname(os.path.abspath(__file__))

# The plugin is the one that is installed.
sys.path.remove(FOLDER)
sys.path.append(FOLDER)
import manager  # noqa: E402
from stock_plugin import errors, logs, nodes, scripts, world  # noqa: E402, F401
from stock_plugin.cases import CASES  # noqa: E402

CONTEXT = {
    '__cloudify_context': '0.3', 'type': 'operation', 'task_id': 't', 'execution_id': 'e',
    'workflow_id': 'install', 'workflow_parameters': {'force': False},
    'tenant': {'name': manager.TENANT}, 'node_id': 'web_1', 'node_name': 'web',
    'deployment_id': 'dep', 'deployment_display_name': 'Dep', 'deployment_creator': 'admin',
    'deployment_resource_tags': {'team': 'a'}, 'blueprint_id': 'bp', 'host_id': 'vm_1',
    'plugin': {
        'name': 'stock', 'package_name': 'stock-plugin', 'package_version': '1.0', 'source': None,
        'visibility': 'tenant', 'tenant_name': manager.TENANT,
        'properties': {'region': {'value': 'eu', 'type': 'string'}}},
    'operation': {'name': 'cloudify.interfaces.lifecycle.create', 'retry_number': 1, 'max_retries': 3},
    'task_target': 'agent-1', 'task_queue': 'agent-1', 'has_intrinsic_functions': False,
    'execution_creator_username': 'admin', 'executor': 'host_agent', 'local': False,
    'bypass_maintenance': False, 'resume': False,
}


def start(case):
    """The context and the inputs of a case."""
    context = dict(CONTEXT, task_name=case.task, **case.context)
    context = {key: value for key, value in context.items() if value is not None}
    return {'name': case.name, 'context': context, 'inputs': case.inputs, 'conflicts': case.conflicts}


def run(started, port, folder):
    """Runs a case and returns how it ended, as the stock agent tells it."""
    dispatch = os.path.join(folder, started['name'])
    os.makedirs(os.path.join(dispatch, 'tmp'))
    context = dict(started['context'], execution_token='stock-' + started['name'],
                   rest_host=['127.0.0.1'], rest_port=port)
    with open(os.path.join(dispatch, 'input.json'), 'w') as file:
        json.dump({'cloudify_context': context, 'args': [], 'kwargs': started['inputs']}, file)
    child = os.fork()
    if child == 0:
        operate(dispatch, context, port)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return ended(dispatch, code)


def operate(dispatch, context, port):
    """The life of an operation's process, up to where Python would end it."""
    from cloudify import dispatch as stock

    temporary = os.path.join(dispatch, 'tmp')
    out = os.open(os.path.join(dispatch, 'out'), os.O_CREAT | os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update({
        'AGENT_NAME': 'agent-1', 'AGENT_WORK_DIR': dispatch, 'AGENT_LOG_LEVEL': 'INFO',
        'CLOUDIFY_DISPATCH': 'true', 'CFY_EXEC_TEMP': temporary, 'TMPDIR': temporary,
        'REST_HOST': '127.0.0.1', 'REST_PORT': str(port), 'REST_PROTOCOL': 'http',
        'LOCAL_REST_CERT_FILE': os.path.abspath(__file__), 'PYTHONUNBUFFERED': '1',
    })
    os.chdir(dispatch)
    tempfile.tempdir = None
    sys.argv = ['dispatch', dispatch]
    code = 0
    try:
        stock.main()
    except BaseException:
        traceback.print_exc()
        code = 1
    # As the interpreter does at its end.
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    os._exit(code)


def ended(dispatch, code):
    """What Cloudify's agent makes of the end of an operation's process."""
    from cloudify import exceptions
    from cloudify.error_handling import deserialize_known_exception

    if code < 0:
        return {'error': told(exceptions.NonRecoverableError('Process terminated (rc={0})'.format(code)))}
    if code:
        return {'error': told(exceptions.NonRecoverableError(
            'Unhandled exception occurred in operation dispatch (rc={0})'.format(code)))}
    try:
        with open(os.path.join(dispatch, 'output.json')) as file:
            output = json.load(file)
    except OSError as error:
        return {'error': told(exceptions.RecoverableError(str(error)))}
    if output['type'] == 'result':
        return {'result': output['payload']}
    payload = output['payload']
    error = deserialize_known_exception(payload)
    error.causes.append({
        'message': payload['message'], 'type': payload['exception_type'],
        'traceback': payload.get('traceback')})
    return {'error': told(error, payload)}


def told(error, payload=None):
    payload = payload or {}
    return {
        'known': type(error).__name__,
        'type': payload.get('exception_type', type(error).__name__),
        'message': payload.get('message', str(error)),
        'retry_after': getattr(error, 'retry_after', None),
        'causes': [[cause.get('type'), cause.get('message')] for cause in error.causes],
        'traceback': (payload.get('traceback') or '').splitlines()[-1:],
    }


def plain(value):
    """A value as JSON can hold it."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return re.sub('[\ud800-\udfff]', '\ufffd', value)
    if isinstance(value, float) and abs(value) == float('inf'):
        return str(value)
    return value


def make_world(token, started):
    here = manager.Handler.worlds.setdefault(token, manager.world())
    here['conflicts'] = started['conflicts']


def main():
    folder, wanted = sys.argv[1], sys.argv[2:]
    # The address has to be known to the children, and the manager may have threads only after them.
    server = manager.serve()
    port = server.server_address[1]
    cases = [start(case) for case in CASES if not wanted or case.module in wanted]
    reading, writing = os.pipe()
    runner = os.fork()
    if runner == 0:
        os.close(reading)
        server.socket.close()
        import cloudify.dispatch  # noqa: F401
        import script_runner.tasks  # noqa: F401
        for case in cases:
            case['stock'] = run(case, port, folder)
        with os.fdopen(writing, 'w') as pipe:
            json.dump(plain(cases), pipe)
        os._exit(0)
    os.close(writing)
    for case in cases:
        for side in ('stock-', 'ours-'):
            make_world(side + case['name'], case)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with os.fdopen(reading) as pipe:
        finished = json.load(pipe)
    os.waitpid(runner, 0)
    print(json.dumps({'port': port, 'cases': finished}), flush=True)
    sys.stdin.read()


if __name__ == '__main__':
    main()
