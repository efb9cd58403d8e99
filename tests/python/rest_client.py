"""What plugins do behind the back of `ctx`, by the stock `get_rest_client()`.

Run by an operation, with the name of what is to be done. The context comes from the agent's socket,
and where the REST API is from that context alone.
"""

import http.client
import io
import json
import os
import socket
import sys
import tarfile
import tempfile
import time
import zipfile

# Only the context says where the manager is.
for name in ('REST_HOST', 'REST_PORT'):
    os.environ.pop(name, None)

import requests  # noqa: E402
from cloudify.context import CloudifyContext  # noqa: E402
from cloudify.manager import get_rest_client, get_resource  # noqa: E402
from cloudify.state import current_ctx  # noqa: E402
from cloudify.utils import get_local_rest_certificate  # noqa: E402
from cloudify_rest_client.exceptions import (  # noqa: E402
    CloudifyClientError, ForbiddenError, UserUnauthorizedError)


class _Socket(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(os.environ['WAGGONER_SOCKET'])


def context():
    connection = _Socket('localhost')
    connection.request('POST', '/waggoner.plugin.v1.ContextService/GetContext', '{}',
                       {'Content-Type': 'application/json'})
    answer = json.loads(connection.getresponse().read())
    return json.loads(answer['contextJson'])


CONTEXT = context()
current_ctx.set(CloudifyContext(CONTEXT))
BLUEPRINT = """
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
inputs: {port: {type: integer, default: 80}}
node_templates:
  app: {type: cloudify.nodes.WebServer, properties: {port: {get_input: port}}}
outputs: {port: {value: {get_property: [app, port]}}}
capabilities: {port: {value: {get_property: [app, port]}}}
"""


def refused(call, error_code, status):
    try:
        call()
    except CloudifyClientError as error:
        assert (error.error_code, error.status_code) == (error_code, status), repr(error)
        return str(error)
    raise AssertionError('it was not refused')


def raw(path, **headers):
    """Plain `requests`, as resources are got."""
    url = 'https://{0}:{1}{2}'.format(CONTEXT['rest_host'][0], CONTEXT['rest_port'], path)
    return requests.get(url, headers=headers, verify=get_local_rest_certificate(), timeout=60)


def archive(files, top='top'):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode='w:gz') as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo('{0}/{1}'.format(top, name))
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def central(wagon, yaml):
    client = get_rest_client()
    own = CONTEXT['deployment_id']
    assert client.manager.get_version()['version'] == '7.0.5'
    assert client.manager.get_status()['status'] == 'OK'
    assert client.manager.get_context()['name'] == 'provider'
    assert [one['name'] for one in client.tenants.list()] == ['default_tenant']
    assert client.manager.get_config(scope='workflow', name='task_retries').value is not None

    # Nodes and node instances.
    node = client.nodes.get(own, CONTEXT['node_name'])
    assert node.type == 'cloudify.nodes.ApplicationModule', node
    instances = client.node_instances.list(deployment_id=own, node_id=node.id)
    assert [one.id for one in instances] == [CONTEXT['node_id']], instances
    instance = client.node_instances.get(CONTEXT['node_id'])
    changed = client.node_instances.update(
        instance.id, runtime_properties={'by': 'rest'}, version=instance.version)
    assert changed.version == instance.version + 1, changed
    refused(lambda: client.node_instances.update(
        instance.id, runtime_properties={'by': 'nobody'}, version=instance.version),
        'conflict_error', 409)
    forced = client.node_instances.update(
        instance.id, runtime_properties={'by': 'force'}, version=1, force=True)
    assert forced.runtime_properties == {'by': 'force'}, forced

    # Secrets.
    client.secrets.create('made', 'one')
    refused(lambda: client.secrets.create('made', 'two'), 'conflict_error', 409)
    client.secrets.update('made', 'two')
    assert client.secrets.get('made').value == 'two'
    listed = client.secrets.list(_include=['key'], sort='key', is_descending=True)
    assert listed[0] == {'key': 'made'}, listed.items
    assert client.secrets.delete('made') is None
    refused(lambda: client.secrets.get('made'), 'not_found_error', 404)

    # Blueprints, deployments, executions.
    directory = tempfile.mkdtemp()
    path = os.path.join(directory, 'main.yaml')
    with open(path, 'w') as blueprint:
        blueprint.write(BLUEPRINT)
    uploaded = client.blueprints.upload(path, 'other', labels=[{'team': 'net'}])
    assert uploaded.state == 'uploaded' and uploaded.main_file_name == 'main.yaml', uploaded
    whole = client.blueprints.get('other')
    assert [one['id'] for one in whole.plan['nodes']] == ['app'], whole
    packed = os.path.join(directory, 'packed.tar.gz')
    client.blueprints.download('other', packed)
    assert tarfile.is_tarfile(packed)
    made = client.deployments.create('other', 'other', inputs={'port': 8080}, labels=[{'a': 'b'}])
    assert made.inputs == {'port': 8080}, made
    refused(lambda: client.deployments.create('other', 'other'), 'conflict_error', 409)
    assert client.deployments.outputs.get('other').outputs == {'port': 8080}
    assert client.deployments.capabilities.get('other').capabilities == {'port': 8080}
    client.deployments.update_labels('other', [{'a': 'c'}, {'d': 'e'}])
    labels = client.deployments.get('other').labels
    assert [(one['key'], one['value']) for one in labels] == [('a', 'c'), ('d', 'e')], labels
    client.sites.create('oslo', location='59, 10')
    assert client.deployments.set_site('other', site_name='oslo')['site_name'] == 'oslo'
    client.deployments.set_site('other', detach_site=True)
    client.sites.delete('oslo')
    found = client.deployments.list(filter_rules=[
        {'key': 'd', 'values': ['e'], 'operator': 'any_of', 'type': 'label'}])
    assert [one.id for one in found] == ['other'], found.items
    every = client.deployments.list(_get_all_results=True, _include=['id'])
    assert [one.id for one in every] == [own, 'other'], every.items
    assert every.metadata.pagination.total == 2, every.metadata
    client.inter_deployment_dependencies.create('component.a', own, 'other')
    assert len(client.inter_deployment_dependencies.list()) == 1
    refused(lambda: client.deployments.delete('other'), 'dependent_exists_error', 400)
    client.inter_deployment_dependencies.delete('component.a', own, 'other')
    client.deployment_groups.put('group', blueprint_id='other')
    group = client.deployment_groups.add_deployments('group', deployment_ids=['other'])
    assert group.deployment_ids == ['other'], group

    started = client.executions.start('other', 'execute_operation', parameters={
        'operation': 'cloudify.interfaces.lifecycle.create'})
    while client.executions.get(started.id).status not in ('terminated', 'failed', 'cancelled'):
        time.sleep(0.1)
    assert client.executions.get(started.id).status == 'terminated'
    assert started.id in [one.id for one in client.executions.list(deployment_id='other')]
    refused(lambda: client.executions.start('other', 'none'), 'nonexistent_workflow_error', 400)
    types = {event['event_type'] for event in client.events.list(execution_id=started.id)}
    assert {'workflow_started', 'workflow_succeeded'} <= types, types
    update = client.deployment_updates.update_with_existing_blueprint(
        'other', inputs={'port': 81}, skip_install=True, skip_reinstall=True)
    while client.deployment_updates.get(update.id).state == 'updating':
        time.sleep(0.1)
    assert client.deployments.get('other').inputs == {'port': 81}

    # Plugins.
    zipped = os.path.join(directory, 'plugin.zip')
    with zipfile.ZipFile(zipped, 'w') as plugin:
        plugin.write(wagon, 'tiny.wgn')
        plugin.write(yaml, 'plugin.yaml')
    plugin = client.plugins.upload(zipped, plugin_title='Tiny')
    assert plugin.package_name == 'tiny-plugin' and plugin.title == 'Tiny', plugin
    refused(lambda: client.plugins.upload(zipped), 'conflict_error', 409)
    assert [one.id for one in client.plugins.list(package_name='tiny-plugin')] == [plugin.id]
    copy = os.path.join(directory, 'copy.wgn')
    client.plugins.download(plugin.id, copy)
    with open(copy, 'rb') as copied, open(wagon, 'rb') as original:
        assert copied.read() == original.read()
    client.plugins.delete(plugin.id)

    # Files.
    resource = get_resource(
        CONTEXT['blueprint_id'], own, 'default_tenant', 'scripts/create.sh')
    assert b'rest_client' in resource, resource
    text = os.path.join(directory, 'text.json')
    with open(text, 'w') as file:
        file.write('{"a":   1}')
    client.resources.upload_deployment_file(own, 'dir/text.json', text)
    client.resources.upload_deployment_file(own, 'dir/timed.json', text, '2026-01-01T00:00:00')
    target = tempfile.mkdtemp()
    client.resources.download_deployment_workdir(own, target)
    with open(os.path.join(target, 'dir', 'text.json')) as file:
        assert file.read() == '{"a":   1}'
    assert get_resource(None, own, 'default_tenant', 'dir/text.json') == b'{"a":   1}'
    client.resources.delete_deployment_file(own, 'dir/text.json')
    assert raw('/resources/deployments/default_tenant/{0}/dir/text.json'.format(own), **{
        'Execution-Token': CONTEXT['execution_token']}).status_code == 404

    # Cleaned up, as plugins do.
    client.deployment_groups.delete('group')
    assert client.deployments.delete('other') is None
    client.blueprints.delete('other')
    refused(lambda: client.deployments.get('other'), 'not_found_error', 404)


def host():
    client = get_rest_client()
    assert [one.id for one in client.deployments.list()] == [CONTEXT['deployment_id']]
    assert client.secrets.get('named').value == 'it'
    for call in (
            client.secrets.list,
            lambda: client.secrets.create('made', 'one'),
            lambda: client.executions.start(CONTEXT['deployment_id'], 'uninstall'),
            lambda: client.deployments.delete(CONTEXT['deployment_id'])):
        why = refused(call, 'illegal_action_error', 400)
        assert 'central_deployment_agent' in why, why
    refused(lambda: client.deployments.get('another'), 'not_found_error', 404)
    node = client.nodes.get(CONTEXT['deployment_id'], CONTEXT['node_name'],
                            evaluate_functions=True, instance_context=CONTEXT['node_id'])
    assert node.id == CONTEXT['node_name'], node
    # Strangers, and tenants of others.
    stranger = raw('/api/v3.1/nodes', **{'Execution-Token': 'x'})
    assert stranger.status_code == 401, stranger.text
    assert stranger.json()['error_code'] == UserUnauthorizedError.ERROR_CODE, stranger.text
    other = raw('/api/v3.1/nodes', Tenant='other', **{
        'Execution-Token': CONTEXT['execution_token']})
    assert other.status_code == 403, other.text
    assert other.json()['error_code'] == ForbiddenError.ERROR_CODE, other.text


def patient(ready, go):
    """Asks on and on, whatever becomes of the agent."""
    client = get_rest_client()
    asked = 0
    while not os.path.exists(go):
        assert client.executions.get(CONTEXT['execution_id']).status == 'started'
        client.events.create(logs=[{
            'level': 'info', 'logger': 'patient', 'message': {'text': 'ask {0}'.format(asked)}}])
        asked += 1
        with open(ready, 'w') as file:
            file.write(str(asked))
    instance = client.node_instances.get(CONTEXT['node_id'])
    client.node_instances.update(
        instance.id, version=instance.version, runtime_properties={'asked': asked})


if __name__ == '__main__':
    {'central': central, 'host': host, 'patient': patient}[sys.argv[1]](*sys.argv[2:])
    print('all is well')
