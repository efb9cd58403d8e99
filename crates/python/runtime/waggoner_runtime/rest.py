"""The stock REST client, whose requests the agent makes in the operation's name."""

import os
from urllib.parse import urlencode

import requests
from cloudify import utils
from cloudify_rest_client import CloudifyClient
from cloudify_rest_client.client import HTTPClient

from waggoner_runtime import agent


class _AgentHTTPClient(HTTPClient):
    def _do_request(self, requests_method, request_url, body, params, headers,
                    expected_status_code, stream, verify, timeout):
        if request_url.startswith(self.url + '/') and not stream and (body is None or isinstance(body, str)):
            path = request_url[len(self.url):]
            verb = requests_method.__name__.upper()
            requests_method = _Relay(verb, path)
        # Files, and what lies beside the versioned API, take the way over the network.
        return super()._do_request(
            requests_method, request_url, body, params, headers, expected_status_code, stream,
            verify, timeout)


class _AgentClient(CloudifyClient):
    client_class = _AgentHTTPClient


class _Relay:
    """Stands for a function of `requests`: the agent makes the request."""

    def __init__(self, verb, path):
        self.__name__ = verb.lower()
        self._verb = verb
        self._path = path

    def __call__(self, url, data=None, params=None, headers=None, **_):
        query = {key: value for key, value in (params or {}).items() if value is not None}
        response = requests.Response()
        response.url = url
        response.encoding = 'utf-8'
        response.request = requests.Request(self._verb, url, headers=headers).prepare()
        answer = agent.call('CallRest', {
            'method': self._verb,
            'path': self._path,
            'query': urlencode(query, doseq=True),
            'bodyJson': data or '',
        })
        response.status_code = int(answer.get('status', 200))
        response.reason = requests.status_codes._codes.get(response.status_code, ('',))[0]
        response._content = answer.get('bodyJson', '').encode('utf-8')
        return response


def rest_client():
    """Returns a client for the operation's manager and tenant."""
    host = os.environ.get('REST_HOST', 'localhost').split(',')[0]
    protocol = os.environ.get('REST_PROTOCOL', 'https')
    token = utils.get_execution_token()
    return _AgentClient(
        host=host,
        port=int(os.environ.get('REST_PORT', 443)),
        protocol=protocol,
        headers={'Execution-Token': token} if token else {},
        cert=os.environ.get('LOCAL_REST_CERT_FILE'),
        tenant=utils.get_tenant_name(),
    )

