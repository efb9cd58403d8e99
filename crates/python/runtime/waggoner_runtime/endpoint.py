"""Where `ctx` gets its data from: the stock endpoint, answered by the agent."""

import inspect
import json
import os
import shutil

from cloudify import endpoint, manager, utils
from cloudify.exceptions import HttpException
from cloudify.logs import CloudifyPluginLoggingHandler, send_plugin_event
from cloudify_rest_client.exceptions import ERROR_MAPPING, CloudifyClientError
from cloudify_rest_client.nodes import Node

from waggoner_runtime import agent, events
from waggoner_runtime.rest import rest_client

# `index`, `scaling_groups` and `system_properties` came one after the other.
_INSTANCE_ARGUMENTS = frozenset(inspect.signature(manager.NodeInstance).parameters)

_ERROR_CODES = {404: 'not_found_error', 409: 'conflict_error'}


class AgentEndpoint(endpoint.ManagerEndpoint):
    """Answers everything that `ctx` asks for. What only the stock endpoint knows goes its way:
    over REST."""

    def __init__(self, ctx):
        endpoint.Endpoint.__init__(self, ctx)
        self._client = None

    @property
    def rest_client(self):
        if self._client is None:
            self._client = rest_client()
        return self._client

    # Nodes and node instances.

    def get_node(self, node_id, instance_context=None):
        try:
            answer = _call('GetNode', {
                'nodeId': node_id,
                'instanceContext': instance_context or '',
            })
        except CloudifyClientError as error:
            if error.status_code == 404:
                return None  # As the stock client, which looks for it in a list.
            raise
        return Node(json.loads(answer['nodeJson']))

    def get_node_instance(self, node_instance_id):
        answer = _call('GetNodeInstance', {
            'nodeInstanceId': node_instance_id,
            'evaluateFunctions': True,
        })
        stored = json.loads(answer['nodeInstanceJson'])
        details = {
            name: stored.get(name)
            for name in ('runtime_properties', 'state', 'version', 'host_id', 'relationships',
                         'index', 'scaling_groups', 'system_properties')
            if name in _INSTANCE_ARGUMENTS
        }
        instance = manager.NodeInstance(node_instance_id, stored.get('node_id'), **details)
        instance._state_as_read = stored.get('state')
        return instance

    def update_node_instance(self, node_instance):
        message = {
            'nodeInstanceId': node_instance.id,
            'version': str(node_instance.version or 0),
            'runtimePropertiesJson': json.dumps(node_instance.runtime_properties),
        }
        # Sent back unchanged it could only undo what the workflow wrote meanwhile.
        if node_instance.state != getattr(node_instance, '_state_as_read', node_instance.state):
            message['state'] = node_instance.state
        events.flush()
        _call('UpdateNodeInstance', message)

    def evaluate_functions(self, payload):
        answer = _call('EvaluateFunctions', {'payloadJson': json.dumps(payload)})
        return json.loads(answer['payloadJson'])

    # Resources.

    def get_resource(self, blueprint_id, deployment_id, resource_path, template_variables=None):
        with open(self._resource(resource_path), 'rb') as resource:
            content = resource.read()
        return self._render_resource_if_needed(
            resource=content, template_variables=template_variables)

    def download_resource(self, blueprint_id, deployment_id, resource_path, logger,
                          target_path=None, template_variables=None):
        # A copy: who downloads a resource may change, move and remove it.
        source = self._resource(resource_path)
        # What comes from an imported blueprint loses the name of its namespace.
        resource_path = resource_path.rpartition('--')[2]
        if not target_path:
            target_path = os.path.join(
                utils.create_temp_folder(), os.path.basename(resource_path))
        shutil.copyfile(source, target_path)
        logger.info('Downloaded %s to %s' % (resource_path, target_path))
        return self._render_resource_if_needed(
            resource=target_path, template_variables=template_variables, download=True)

    def download_directory(self, blueprint_id, deployment_id, resource_path, logger,
                           target_path=None, preview_only=False):
        root = self._resource(resource_path, directory=True)
        files = []
        for directory, _, names in os.walk(root):
            below = os.path.relpath(directory, root)
            files.extend(os.path.normpath(os.path.join(below, name)) for name in names)
        files.sort()
        if not files:
            raise self._missing(resource_path, directory=True)
        paths = [os.path.join(resource_path, name) for name in files]
        logger.debug('>> Collected %s', paths)
        if preview_only:
            return paths
        # Below the first part of the path, as the stock endpoint lays it out.
        parts = os.path.normpath(resource_path).split(os.sep)
        target = utils.create_temp_folder()
        for name in files:
            path = os.path.join(target, *(parts[1:] + [name]))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copyfile(os.path.join(root, name), path)
            logger.info('Downloaded %s to %s' % (os.path.join(resource_path, name), path))
        return target

    def _resource(self, path, directory=False):
        """Brings a file or a directory onto this host and returns where it is."""
        try:
            answer = agent.call('GetResource', {'path': path, 'directory': directory})
        except agent.AgentError as error:
            if _status(error) != 404:
                raise HttpException(path, _status(error), error.message)
            raise self._missing(path, directory)
        return answer['localPath']

    def _missing(self, path, directory):
        what = 'No valid resource directory listing at found' if directory else 'Resource not found'
        tried = self._tried(path) + ([] if directory else [path])
        return HttpException(','.join(tried), 404, '{0}: {1}'.format(what, path))

    def _tried(self, path):
        """Where the stock package looks for a resource, in its own words."""
        folders = [('deployments', self.ctx.deployment.id), ('blueprints', self.ctx.blueprint.id)]
        return ['/'.join([folder, self.ctx.tenant_name, name, path])
                for folder, name in folders if name]

    # Logs and events.

    def get_logging_handler(self):
        return CloudifyPluginLoggingHandler(self.ctx, out_func=events.log_out)

    def send_plugin_event(self, message=None, args=None, additional_context=None):
        send_plugin_event(
            self.ctx, message, args, additional_context, out_func=events.event_out)

    # What is asked for rarely travels as a request of the REST API. Said here once more because
    # the stock endpoint opens a client of its own for each of these before 6.2.

    def get_provider_context(self):
        return self.rest_client.manager.get_context()['context']

    def get_bootstrap_context(self):
        context = self.get_provider_context().get('cloudify', {})
        workflows = context.setdefault('workflows', {})
        for config in self.rest_client.manager.get_config(scope='workflow'):
            workflows[config.name] = config.value
        return context

    def get_config(self, name=None, scope=None):
        return self.rest_client.manager.get_config(name=name, scope=scope)

    def get_execution(self, execution_id):
        return self.rest_client.executions.get(execution_id)

    def get_operation(self, operation_id):
        return self.rest_client.operations.get(operation_id)

    def get_managers(self, network='default'):
        return [item for item in self.rest_client.manager.get_managers()
                if network in item.networks]

    def get_brokers(self, network='default'):
        return [item for item in self.rest_client.manager.get_brokers()
                if network in item.networks]


def _call(method, message):
    """Calls the agent; a refusal becomes what the stock REST client would have raised."""
    try:
        return agent.call(method, message)
    except agent.AgentError as error:
        code = error.metadata.get('error_code') or _ERROR_CODES.get(error.status)
        raise ERROR_MAPPING.get(code, CloudifyClientError)(
            error.message, status_code=_status(error), error_code=code)


def _status(error):
    """The status that Cloudify's REST API would have answered with."""
    if error.reason == 'VERSION_CONFLICT':
        return 409
    status = error.metadata.get('status', '')
    return int(status) if status.isdigit() and int(status) >= 400 else error.status
