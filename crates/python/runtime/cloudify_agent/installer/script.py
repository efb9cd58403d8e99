"""The script that installs an agent on a new host, as plugins put it into user data.

The names are Cloudify's: `ctx.agent.init_script()` imports this module.
"""

import json

from cloudify import ctx
from cloudify.exceptions import NonRecoverableError

from waggoner_runtime import agent


def init_script(cloudify_agent=None):
    """Returns the script's text."""
    return _ask(cloudify_agent, link=False)['script']


def install_script_download_link(cloudify_agent=None):
    """Returns the path that is to be removed after use, which is none, and the URL that the script
    is fetched from: it ends by itself."""
    return '', _ask(cloudify_agent, link=True)['url']


def _ask(cloudify_agent, link):
    answer = agent.call('CallRest', {
        'method': 'POST',
        'path': '/waggoner/init-script',
        'query': '',
        'bodyJson': json.dumps({
            'node_instance_id': ctx.instance.id,
            'cloudify_agent': cloudify_agent,
            'link': link,
        }, default=str),
    })
    body = json.loads(answer.get('bodyJson') or '{}')
    status = int(answer.get('status', 200))
    if status != 200:
        error = NonRecoverableError if status < 500 else RuntimeError
        raise error(
            'failed to get the script that installs an agent: {0}'.format(body.get('message')))
    if cloudify_agent and body.get('name', ctx.instance.id) != ctx.instance.id:
        # Later operations of the host look for its agent by this name.
        known = dict(ctx.instance.runtime_properties.get('cloudify_agent') or {})
        known.update({'name': body['name'], 'queue': body['name']})
        ctx.instance.runtime_properties['cloudify_agent'] = known
    return body
