"""Runs an operation that does nothing, for what it leaves behind: the interpreter's caches are warm,
what is made when it is first needed is made, and, in a fork, memory that will be written to is its
own already.

It leaves no other trace: it opens no socket, writes no file, and leaves the loggers as every operation
finds them.
"""

import json
import logging
import os

# How often an interpreter sees a function before it has done all for it that it will.
ROUNDS = 20

# What a context needs at the least. The function does nothing.
_CONTEXT = json.dumps({
    'type': 'operation', 'task_name': 'gc.isenabled', 'no_ctx_kwarg': True, 'task_id': '-',
    'task_target': '-', 'execution_id': '-', 'workflow_id': '-', 'tenant': {'name': '-'},
    'deployment_id': '-', 'blueprint_id': '-', 'node_id': '-', 'node_name': '-', 'plugin': {},
    'operation': {'name': '-', 'retry_number': 0, 'max_retries': 0}, 'rest_host': [],
    'has_intrinsic_functions': False, 'deployment_resource_tags': {},
})


def rehearse():
    """Rehearses an operation. What the `cloudify` here does otherwise stays unrehearsed."""
    try:
        _rehearse()
    except Exception:
        pass


def _rehearse():
    from cloudify import dispatch, state

    from waggoner_runtime import events

    _set_up_logging()
    # As `dispatch.main` has it.
    with open(os.devnull) as file:
        context = json.loads(file.read() or _CONTEXT)
    handler = dispatch.TASK_HANDLERS['operation'](cloudify_context=context, args=[], kwargs={})
    try:
        payload = handler.handle()
    finally:
        state.current_ctx.clear()
    with open(os.devnull, 'w') as file:
        json.dump({'type': 'result', 'payload': payload}, file)
    events.flush()


def _set_up_logging():
    """Has `cloudify.logs` do what it does for every operation, and takes its handlers off again."""
    from cloudify import logs

    root = logging.getLogger()
    level, before = root.level, root.handlers[:]
    try:
        logs.setup_logger_base('INFO')
    finally:
        root.setLevel(level)
        for handler in root.handlers[:]:
            if handler not in before:
                root.removeHandler(handler)
                handler.close()
