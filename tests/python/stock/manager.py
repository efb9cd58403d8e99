"""A manager small enough to be understood: the routes of Cloudify's REST API and file server that an
operation uses, over worlds of a few nodes.

Each `Execution-Token` is a world of its own, made when it is first seen, so that runs do not see
each other. `GET /world` shows what a run has left behind.
"""

import copy
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, unquote, urlsplit

TENANT = 'default_tenant'

RESOURCES = {
    'deployments/default_tenant/dep/both.txt': b'of the deployment',
    'deployments/default_tenant/dep/conf/own.conf': b'own',
    'blueprints/default_tenant/bp/both.txt': b'of the blueprint',
    'blueprints/default_tenant/bp/conf/a.conf': b'a {{ who }} {{ ctx.node.properties.port }}',
    'blueprints/default_tenant/bp/conf/deep/b.conf': b'b',
    'blueprints/default_tenant/bp/plain.txt': b'plain {{ text',
    'blueprints/default_tenant/bp/empty': b'',
    'blueprints/default_tenant/bp/binary': bytes(range(256)) + b'{{ x }}',
    'blueprints/default_tenant/bp/wörld €.txt':
        'wörld {{ who }}'.encode(),
    'blueprints/default_tenant/bp/script.sh': b'#!/bin/sh\nctx returns "$who from $(basename $0)"\n',
    'blueprints/default_tenant/bp/script.py':
        b'from cloudify import ctx\nfrom cloudify.state import ctx_parameters as p\n'
        b'ctx.logger.info("python %s", p["who"])\nctx.returns(p["who"])\n',
    'blueprints/default_tenant/imported/c.conf': b'c {{ who }}',
    'global.txt': b'of the manager',
}


def node(node_id, node_type, properties, relationships=(), hierarchy=()):
    return {
        'id': node_id, 'deployment_id': 'dep', 'blueprint_id': 'bp', 'tenant_name': TENANT,
        'type': node_type, 'type_hierarchy': ['cloudify.nodes.Root', *hierarchy, node_type],
        'properties': properties, 'number_of_instances': '1', 'plugins': [], 'operations': {},
        'host_id': 'vm',
        'relationships': [
            {'target_id': target, 'type': kind, 'type_hierarchy': ['cloudify.relationships.depends_on', kind],
             'properties': {'on': target}, 'source_operations': {}, 'target_operations': {}}
            for target, kind in relationships],
    }


def instance(instance_id, node_id, properties, host='vm_1', relationships=(), index=1, **more):
    return {
        'id': instance_id, 'node_id': node_id, 'deployment_id': 'dep', 'tenant_name': TENANT,
        'runtime_properties': properties, 'version': 3, 'state': 'creating', 'host_id': host,
        'index': index, 'system_properties': {},
        'scaling_groups': [{'id': 'group_1', 'name': 'group'}] if node_id == 'web' else [],
        'relationships': [
            {'target_id': target, 'target_name': target.split('_')[0], 'type': kind}
            for target, kind in relationships],
        **more,
    }


CONNECTED = ('db_1', 'cloudify.relationships.connected_to')
CONTAINED = ('vm_1', 'cloudify.relationships.contained_in')


def world():
    nodes = [
        node('web', 'test.Web', {
            'port': 8080, 'name': 'wörld', 'nested': {'list': [1, {'a': None}], 'on': True}},
            [('db', CONNECTED[1]), ('vm', CONTAINED[1])]),
        node('db', 'test.Database', {'user': 'admin'}, [('vm2', CONTAINED[1])]),
        node('vm', 'test.Host', {'ip': '192.0.2.1', 'install_method': 'init_script', 'agent_config': {
            'install_method': 'init_script'}}, hierarchy=['cloudify.nodes.Compute']),
        node('vm2', 'test.Host', {'ip': ''}, hierarchy=['cloudify.nodes.Compute']),
        node('lost', 'test.Host', {}, hierarchy=['cloudify.nodes.Compute']),
    ]
    instances = [
        instance('web_1', 'web', {'ip': '198.51.100.1', 'nested': {'a': [1, 2]}},
                 relationships=[CONNECTED, CONTAINED],
                 system_properties={'configuration_drift': {'ok': True, 'result': {'port': 1}}}),
        instance('web_2', 'web', {}, index=2),
        instance('db_1', 'db', {'url': 'db://1'}, 'vm2_1'),
        instance('vm_1', 'vm', {}, 'vm_1'),
        instance('vm2_1', 'vm2', {'ip': '192.0.2.2'}, 'vm2_1'),
        instance('lost_1', 'lost', {}, 'lost_1'),
        instance('free_1', 'db', {}, None),
    ]
    instances[1]['state'] = 'started'
    return {
        'nodes': {each['id']: each for each in nodes},
        'instances': {each['id']: each for each in instances},
        'records': [], 'files': dict(RESOURCES), 'operations': {'t': {'id': 't', 'state': 'sent'}},
        'secrets': {'pin': {'key': 'pin', 'value': '0000', 'tenant_name': TENANT}}, 'calls': [],
        # How many updates are refused, each after somebody else has written.
        'conflicts': 0,
        'lock': Lock(),
    }


class Refused(Exception):
    def __init__(self, status, code, message):
        self.status, self.code, self.message = status, code, message


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    worlds = {}
    making = Lock()

    def log_message(self, *_):
        pass

    def answer(self):
        url = urlsplit(self.path)
        length = int(self.headers.get('content-length') or 0)
        body = self.rfile.read(length)
        with self.making:
            here = self.worlds.setdefault(self.headers.get('Execution-Token'), world())
        path = unquote(url.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            with here['lock']:
                status, answer = self.route(here, path, query, body)
        except Refused as refused:
            status = refused.status
            answer = {'message': refused.message, 'error_code': refused.code, 'server_traceback': ''}
        if not isinstance(answer, bytes):
            answer = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header('content-length', str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

    def route(self, here, path, query, body):
        if path == '/world':
            shown = {key: here[key] for key in ('instances', 'records', 'operations', 'secrets', 'calls')}
            files = {name: data.decode('utf-8', 'replace') for name, data in here['files'].items()
                     if RESOURCES.get(name) != data}
            gone = sorted(set(RESOURCES) - set(here['files']))
            return 200, dict(shown, files=files, gone=gone)
        if path == '/conflicts':
            here['conflicts'] = int(query['count'])
            return 200, {}
        if path.startswith('/resources/'):
            return self.resource(here, path[len('/resources/'):], body)
        if path == '/api/version':
            return 200, {'version': '7.0.5', 'edition': 'premium', 'build': None, 'date': None, 'commit': None}
        path = re.sub('^/api/v3.1', '', path)
        if self.command not in ('GET', 'PATCH') and path not in ('/events', '/evaluate/functions'):
            here['calls'].append([self.command, path])
        for method, pattern, function in ROUTES:
            found = re.fullmatch(pattern, path)
            if method == self.command and found:
                return 200 if function is not events else 201, function(
                    here, query, json.loads(body or b'null'), *found.groups())
        raise Refused(404, 'not_found_error', '{0} {1} was not found'.format(self.command, path))

    def resource(self, here, path, body):
        files = here['files']
        if self.command == 'PUT':
            if self.headers.get('content-type', '').startswith('multipart/'):
                body = body.split(b'\r\n\r\n', 1)[1].split(b'\r\n--', 1)[0]
            files[path] = body
            return 200, {}
        if self.command == 'DELETE':
            if files.pop(path, None) is None:
                raise Refused(404, 'not_found_error', 'no such file')
            return 204, b''
        if path in files:
            return 200, files[path]
        below = path.rstrip('/') + '/'
        index = {name[len(below):]: '2026-01-01T00:00:00+00:00' for name in files if name.startswith(below)}
        if index:
            return 200, index
        raise Refused(404, 'not_found_error', 'Not Found')


def page(items):
    return {'items': items, 'metadata': {
        'pagination': {'total': len(items), 'size': 1000, 'offset': 0}}}


def selected(items, query):
    """The items of a list that have what the query names."""
    wanted = {key: value for key, value in query.items() if not key.startswith('_')}
    return [item for item in items if all(str(item.get(key)) == value for key, value in wanted.items())]


def nodes(here, query, _):
    return page(selected(here['nodes'].values(), query))


def instances(here, query, _):
    return page(sorted(selected(here['instances'].values(), query), key=lambda each: each['index']))


def get_instance(here, _query, _body, instance_id):
    if instance_id not in here['instances']:
        raise Refused(404, 'not_found_error', 'Requested `NodeInstance` with ID `{0}` was not found'.format(
            instance_id))
    return here['instances'][instance_id]


def patch_instance(here, query, body, instance_id):
    stored = get_instance(here, query, None, instance_id)
    if here['conflicts']:
        here['conflicts'] -= 1
        stored['version'] += 1
        stored['state'] = 'starting'
        stored['runtime_properties']['theirs'] = stored['version']
    if stored['version'] > body['version'] and query.get('force') != 'True':
        raise Refused(409, 'conflict_error', 'Node instance update conflict [current version={0}, update '
                      'version={1}]'.format(stored['version'], body['version']))
    before = copy.deepcopy(stored)
    for field in ('runtime_properties', 'system_properties'):
        if body.get(field) is not None:
            stored[field] = body[field]
    if before['runtime_properties'] != stored['runtime_properties']:
        stored['version'] += 1
    here['calls'].append(['PATCH', '/node-instances/' + instance_id])
    return stored


def events(here, _query, body):
    for log in body['logs'] or []:
        here['records'].append(['log', log['level'], log['logger'], log['message']['text'],
                                context_of(log, body)])
    for event in body['events'] or []:
        here['records'].append(['event', event['event_type'], '', event['message']['text'],
                                context_of(event, body)])
    return {}


def context_of(item, body):
    return {'agent': body['agent_name'], 'execution': body.get('execution_id'),
            'node': item['context'].get('node_id')}


def evaluate(here, _query, body):
    def value(part):
        if isinstance(part, list):
            return [value(each) for each in part]
        if not isinstance(part, dict):
            return part
        if 'get_secret' in part:
            if part['get_secret'] not in here['secrets']:
                raise Refused(404, 'not_found_error', 'Requested `Secret` with ID `{0}` was not found'.format(
                    part['get_secret']))
            return here['secrets'][part['get_secret']]['value']
        if 'concat' in part:
            return ''.join(str(value(each)) for each in part['concat'])
        if 'get_self' in part:
            return body['context']
        if 'fail' in part:
            raise Refused(400, 'functions_evaluation_error', 'it cannot be evaluated')
        return {key: value(each) for key, each in part.items()}

    return {'deployment_id': body['deployment_id'], 'payload': value(body['payload'])}


def secret(here, _query, _body, key):
    if key not in here['secrets']:
        raise Refused(404, 'not_found_error', 'Requested `Secret` with ID `{0}` was not found'.format(key))
    return here['secrets'][key]


def put_secret(here, query, body, key):
    if key in here['secrets'] and not body.get('update_if_exists'):
        raise Refused(409, 'conflict_error', 'Secret {0} exists'.format(key))
    here['secrets'][key] = {'key': key, 'value': body['value'], 'tenant_name': TENANT}
    return here['secrets'][key]


def operation(here, _query, _body, operation_id):
    return here['operations'][operation_id]


def patch_operation(here, _query, body, operation_id):
    here['operations'][operation_id].update(body)
    return here['operations'][operation_id]


CONFIG = [
    {'name': 'task_retries', 'value': 60, 'scope': ['workflow'], 'schema': None, 'is_editable': True},
    {'name': 'min_workers', 'value': 2, 'scope': ['agent'], 'schema': None, 'is_editable': True},
]
PROVIDER = {'name': 'provider', 'context': {'cloudify': {
    'cloudify_agent': {'user': 'centos', 'min_workers': 2, 'broker_ip': '192.0.2.9'},
    'policy_engine': {'start_timeout': 30}, 'resources_prefix': 'x-'}}}
MANAGERS = [
    {'id': 1, 'private_ip': '192.0.2.10', 'hostname': 'one', 'networks': {'default': '192.0.2.10'}},
    {'id': 2, 'private_ip': '192.0.2.11', 'hostname': 'two', 'networks': {'other': '192.0.2.11'}},
]
BROKERS = [{'name': 'rabbit', 'host': '192.0.2.12', 'port': 5671, 'networks': {'default': '192.0.2.12'}}]

ROUTES = [
    ('GET', '/nodes', nodes),
    ('GET', '/node-instances', instances),
    ('GET', '/node-instances/([^/]+)', get_instance),
    ('PATCH', '/node-instances/([^/]+)', patch_instance),
    ('POST', '/events', events),
    ('POST', '/evaluate/functions', evaluate),
    ('GET', '/config', lambda _here, query, _: page([
        item for item in CONFIG if query.get('scope', item['scope'][0]) in item['scope']
        and query.get('name', item['name']) == item['name']])),
    ('GET', '/config/([^/]+)', lambda *found: next(item for item in CONFIG if item['name'] == found[3])),
    ('GET', '/provider/context', lambda *_: PROVIDER),
    ('GET', '/tenants/([^/]+)', lambda *found: {'name': found[3], 'groups': 0, 'users': 1}),
    ('GET', '/managers', lambda *_: page(MANAGERS)),
    ('GET', '/brokers', lambda *_: page(BROKERS)),
    ('GET', '/executions/([^/]+)', lambda *found: {'id': found[3], 'status': 'started', 'workflow_id': 'install'}),
    ('GET', '/operations/([^/]+)', operation),
    ('PATCH', '/operations/([^/]+)', patch_operation),
    ('GET', '/secrets/([^/]+)', secret),
    ('PUT', '/secrets/([^/]+)', put_secret),
    ('GET', '/blueprints/([^/]+)', lambda *found: {
        'id': found[3], 'visibility': 'tenant', 'tenant_name': TENANT,
        'plan': {'namespaces_mapping': {'ns': 'imported'}}}),
    ('GET', '/deployments/([^/]+)', lambda *found: {'id': found[3], 'blueprint_id': 'bp'}),
    ('GET', '/deployments/([^/]+)/capabilities', lambda *found: {
        'deployment_id': found[3], 'capabilities': {'url': 'http://x'}}),
    ('GET', '/status', lambda *_: {'status': 'running', 'services': []}),
]


def serve():
    """Returns a server on a port of its own."""
    return ThreadingHTTPServer(('127.0.0.1', 0), Handler)
