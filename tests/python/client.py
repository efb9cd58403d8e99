"""Lists plugins, installs a deployment and follows its events to the end.

    client.py PROFILE DEPLOYMENT
"""

import json
import sys

from reflected import Api, connect


def main(profile_path, deployment):
    channel, profile = connect(profile_path)
    api = Api(channel, [('authorization', f'Bearer {profile["token"]}')])
    services = api.services()

    health = api.call('grpc.health.v1.Health', 'Check', service='waggoner.v1.PluginService')
    plugins = api.call('waggoner.v1.PluginService', 'ListPlugins').plugins

    started = api.call(
        'waggoner.v1.ExecutionService', 'StartExecution',
        deployment_id=deployment, workflow_id='install', parameters_json='{}').execution
    events = api.call(
        'waggoner.v1.EventService', 'FollowEvents', filter={'execution_id': started.id})
    messages = [event.message for page in events for event in page.events]
    ended = api.call('waggoner.v1.ExecutionService', 'GetExecution', id=started.id).execution

    print(json.dumps({
        'services': services,
        'health': enum_name(health, 'status'),
        'plugins': [f'{plugin.package_name} {plugin.package_version}' for plugin in plugins],
        'messages': messages,
        'status': enum_name(ended, 'status'),
    }))


def enum_name(message, field):
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    return values[getattr(message, field)].name


main(*sys.argv[1:])
