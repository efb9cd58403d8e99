"""The script that installs an agent on a new host, as plugins put it into user data.

The names are Cloudify's: `ctx.agent.init_script()` imports this module.
"""

import json

from cloudify import ctx

from waggoner_runtime import agent


def init_script(cloudify_agent=None):
    """Returns the script's text."""
    return _ask(cloudify_agent, link=False)['script']


def install_script_download_link(cloudify_agent=None):
    """Returns where the script lies on the manager and the URL that it is fetched from."""
    answer = _ask(cloudify_agent, link=True)
    return answer.get('path', ''), answer['url']


def _ask(cloudify_agent, link):
    answer = agent.call('CallRest', {
        'method': 'POST',
        'path': '/waggoner/init-script',
        'query': '',
        'bodyJson': json.dumps({
            'node_instance_id': ctx.instance.id,
            'cloudify_agent': cloudify_agent,
            'link': link,
        }),
    })
    body = json.loads(answer.get('bodyJson') or '{}')
    if int(answer.get('status', 200)) != 200:
        raise RuntimeError(
            'failed to get the script that installs an agent: {0}'.format(body.get('message')))
    return body
