"""Calls every method that the manager has, without a token; prints what each answered.

    unauthenticated.py PROFILE

Health and reflection are open to all, and left out.
"""

import json
import sys

import grpc
from google.protobuf import message_factory
from reflected import Api, connect


def main(profile_path):
    channel, _ = connect(profile_path)
    api = Api(channel)
    answers = {}
    for service in api.services():
        if service.startswith('grpc.'):
            continue
        for method in api.methods(service):
            answers[f'{service}/{method.name}'] = answer(api, method)
    print(json.dumps(answers))


def answer(api, method):
    request = message_factory.GetMessageClass(method.input_type)()
    request = iter([request]) if method.client_streaming else request
    try:
        answered = api.open(method)(request, timeout=30)
        if method.server_streaming:
            next(iter(answered))
        return 'OK'
    except grpc.RpcError as error:
        return error.code().name


main(*sys.argv[1:])
