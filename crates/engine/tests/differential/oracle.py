"""Runs blueprints under the stock local workflows of cloudify-common and says what they did.

Reads one case a line from stdin and writes one answer a line to stdout:

    {"blueprint": {...}, "runs": [{"workflow", "parameters", "fail": [...], "retries"}]}
    {"runs": [{"plan", "before", "calls", "events", "graphs", "after", "modification", "error"}]}

A failure is {"node", "operation", "times", "kind"}: the first `times` calls of the operation on
each instance of the node fail. "@node:n" in parameters stands for the nth instance of a node. A graph is what stood in the task graph when it was executed: the operations, and for each
the operations that it depends on, directly or not.
"""

import copy
import json
import os
import sys
import tempfile
import threading
import types

answers = os.fdopen(os.dup(1), 'w')
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

from cloudify import logs, state  # noqa: E402
from cloudify.exceptions import NonRecoverableError, OperationRetry, RecoverableError  # noqa: E402
from cloudify.workflows import local, tasks_graph, workflow_context  # noqa: E402
from dsl_parser import multi_instance  # noqa: E402

lock = threading.Lock()
run = {}


def key(cloudify_context):
    """One operation on one side of one relationship, as a word."""
    operation = cloudify_context['operation']
    related = cloudify_context.get('related')
    word = '{} {}'.format(cloudify_context['node_id'], operation['name'])
    if related:
        word += ' {} {}'.format(operation['relationship'], related['node_id'])
    return word


def record(**kwargs):
    """The plugin: notes the call, fails when the case says so."""
    ctx = state.current_ctx.get_ctx()
    word = key(ctx._context)
    with lock:
        run['calls'].append([word, ctx.operation.retry_number])
        for at, failure in enumerate(run['fail']):
            if [failure['node'], failure['operation']] != [
                ctx._context['node_name'],
                ctx.operation.name,
            ]:
                continue
            run['failed'][at, word] = run['failed'].get((at, word), 0) + 1
            if run['failed'][at, word] <= failure['times']:
                raise {
                    'recoverable': RecoverableError,
                    'non_recoverable': NonRecoverableError,
                    'retry': OperationRetry,
                }[failure['kind']]('it broke')
        return run['results'].get(ctx.operation.name, True)


plugin = types.ModuleType('recorder')
plugin.record = record
sys.modules['recorder'] = plugin

def note_event(event, *args, **kwargs):
    with lock:
        run.setdefault('events', []).append([event['event_type'], event['message']['text']])


logs.stdout_event_out = note_event

stock_execute = tasks_graph.TaskDependencyGraph.execute


def execute(graph):
    run['graphs'].append(order(graph))
    return stock_execute(graph)


tasks_graph.TaskDependencyGraph.execute = execute


def order(graph):
    """The operations of a graph and, for each, those that come before it."""
    before = {}  # (task, end) -> {(task, end)}
    for task in graph.tasks:
        begin = before.setdefault((task.id, False), set())
        end = before.setdefault((task.id, True), {(task.id, False)})
        for dependency in graph._dependencies.get(task, ()):
            own = dependency is task.containing_subgraph
            begin.add((dependency.id, not own))
        if task.is_subgraph:
            end.update((inner.id, True) for inner in task.tasks.values())

    def word(task_id):
        task = graph.get_task(task_id)
        if isinstance(task, tasks_graph.tasks.LocalWorkflowTask) and task.cloudify_context:
            return key(task.cloudify_context)

    found = {}
    pending = [(point, iter(sorted(points))) for point, points in sorted(before.items())]
    for root, _ in list(pending):
        stack = [root]
        while stack:
            point = stack[-1]
            missing = [other for other in before[point] if other not in found]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            words = set()
            for other in before[point]:
                words |= found[other]
                if other[1] and word(other[0]):
                    words.add(word(other[0]))
            found[point] = words
    return {
        word(task.id): sorted(found[(task.id, False)])
        for task in graph.tasks
        if word(task.id)
    }


class Modification(object):
    """What a manager's deployment modification is, for the local storage."""

    id = 'modification'

    def __init__(self, context, plan, changes):
        self.plan = plan
        self.changes = changes
        self.storage = context.internal.handler.storage
        changed = multi_instance.modify_deployment(
            nodes=copy.deepcopy(plan['nodes']),
            previous_nodes=copy.deepcopy(plan['nodes']),
            previous_node_instances=[
                dict(instance, name=instance['node_id'])
                for instance in self.storage.get_node_instances()
            ],
            modified_nodes=changes,
            scaling_groups=plan['scaling_groups'],
        )
        self.added = self.those(changed['added_and_related'])
        self.removed = self.those(changed['removed_and_related'])
        for instance in changed['added_and_related']:
            self.add(instance)
        run['modification'] = {
            'added': ids(self.added, 'added'),
            'removed': ids(self.removed, 'removed'),
        }
        run['before'] = plainly(self.storage.get_node_instances())
        run['plan'] = plainly(plan)

    def those(self, instances):
        named = [
            types.SimpleNamespace(id=i['id'], modification=i.get('modification'))
            for i in instances
        ]
        return types.SimpleNamespace(node_instances=named)

    def add(self, instance):
        if instance.get('modification') == 'added':
            new = dict(instance, node_id=instance['name'], version=0, runtime_properties={},
                       system_properties={}, state='uninitialized')
            new.setdefault('relationships', [])
            self.storage.store_instance(local.NodeInstance(new))
        else:
            known = self.storage.get_node_instance(instance['id'])
            known['relationships'] = known['relationships'] + instance.get('relationships', [])
            self.storage.store_instance(known)

    def finish(self):
        self.forget(self.removed, 'removed')
        for name, change in self.changes.items():
            group = self.plan['scaling_groups'].get(name)
            if group:
                group['properties']['current_instances'] = change['instances']
                group['properties']['planned_instances'] = change['instances']
                continue
            node = next(node for node in self.plan['nodes'] if node['id'] == name)
            node['capabilities']['scalable']['properties']['current_instances'] = change['instances']
            node['capabilities']['scalable']['properties']['planned_instances'] = change['instances']
            self.storage.update_node(
                self.storage.name, name, number_of_instances=change['instances'])

    def rollback(self):
        self.forget(self.added, 'added')

    def forget(self, those, which):
        gone = set(ids(those, which))
        instances = self.storage._storage._node_instances[self.storage.name]
        for instance_id in gone:
            del instances[instance_id]
        for instance in self.storage.get_node_instances():
            instance['relationships'] = [
                relationship for relationship in instance['relationships']
                if relationship['target_id'] not in gone
            ]
            self.storage.store_instance(instance)


def ids(those, which):
    return [i.id for i in those.node_instances if i.modification == which]


def plainly(value):
    return json.loads(json.dumps(value, default=str))


def resolved(value, instances):
    if isinstance(value, dict):
        return {name: resolved(item, instances) for name, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, instances) for item in value]
    if isinstance(value, str) and value.startswith('@'):
        node, _, place = value[1:].partition(':')
        return sorted(instances[node])[int(place)]
    return value


def answer(case):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'blueprint.yaml')
        with open(path, 'w') as blueprint:
            json.dump(case['blueprint'], blueprint)
        environment = local.init_env(path, ignored_modules=['cloudify.plugins.workflows'])
    # A manager's instances begin like this, the local storage's without a state.
    for instance in environment.storage.get_node_instances():
        instance['state'] = 'uninitialized'
        environment.storage.store_instance(instance)

    handler = workflow_context.LocalCloudifyWorkflowContextHandler
    handler.start_deployment_modification = lambda self, changes: Modification(
        self.workflow_ctx, environment.plan, changes)
    handler.list_deployment_modifications = lambda self, status: []
    handler.scaling_groups = property(lambda self: environment.plan['scaling_groups'])

    answers = []
    for wanted in case['runs']:
        instances = {}
        for instance in environment.storage.get_node_instances():
            instances.setdefault(instance['node_id'], []).append(instance['id'])
        run.clear()
        run.update(
            calls=[], events=[], graphs=[], fail=wanted['fail'], failed={},
            results=wanted['results'], modification=None, plan=plainly(environment.plan),
            before=plainly(environment.storage.get_node_instances()))
        error = None
        try:
            environment.execute(
                wanted['workflow'],
                parameters=resolved(wanted['parameters'], instances),
                allow_custom_parameters=True,
                task_retries=wanted['retries'],
                task_retry_interval=0,
                subgraph_retries=0,
            )
        except Exception as failed:
            error = str(failed)
        answers.append({
            'calls': run['calls'],
            'events': run['events'],
            'graphs': run['graphs'],
            'before': run['before'],
            'plan': run['plan'],
            'after': environment.storage.get_node_instances(),
            'modification': run['modification'],
            'error': error,
        })
    return {'runs': answers}


for line in sys.stdin:
    answers.write(json.dumps(answer(json.loads(line)), default=str) + '\n')
    answers.flush()
