"""A gRPC client made of nothing but what a server says of itself by reflection."""

import json

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc


def connect(profile_path):
    """Opens a channel to the manager of a profile; returns it with the profile."""
    with open(profile_path) as file:
        profile = json.load(file)
    credentials = grpc.ssl_channel_credentials(profile['ca_pem'].encode())
    # The manager is the same under any address: its certificate has this name.
    options = [('grpc.ssl_target_name_override', 'manager.waggoner')]
    return grpc.secure_channel(profile['address'], credentials, options), profile


class Api:
    """The services of a server."""

    def __init__(self, channel, metadata=()):
        self.channel = channel
        self.metadata = metadata
        self.stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        self.pool = descriptor_pool.DescriptorPool()
        self.known = set()

    def services(self):
        request = reflection_pb2.ServerReflectionRequest(list_services='')
        answer = self._ask(request).list_services_response
        return sorted(service.name for service in answer.service)

    def methods(self, service):
        """Returns the descriptors of a service's methods."""
        self._learn(reflection_pb2.ServerReflectionRequest(file_containing_symbol=service))
        return self.pool.FindServiceByName(service).methods

    def call(self, service, name, /, **fields):
        """Calls a method: the answer, or the stream of answers."""
        method = next(one for one in self.methods(service) if one.name == name)
        request = message_factory.GetMessageClass(method.input_type)(**fields)
        return self.open(method)(request, metadata=self.metadata, timeout=60)

    def open(self, method):
        """Returns what calls a method."""
        answer = message_factory.GetMessageClass(method.output_type)
        kind = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, False): self.channel.stream_unary,
            (True, True): self.channel.stream_stream,
        }[method.client_streaming, method.server_streaming]
        return kind(
            f'/{method.containing_service.full_name}/{method.name}',
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    def _ask(self, request):
        return next(self.stub.ServerReflectionInfo(iter([request]), timeout=60))

    def _learn(self, request):
        answer = self._ask(request)
        if answer.HasField('error_response'):
            raise LookupError(answer.error_response.error_message)
        files = map(
            descriptor_pb2.FileDescriptorProto.FromString,
            answer.file_descriptor_response.file_descriptor_proto)
        files = {file.name: file for file in files}
        for name in files:
            self._add(name, files)

    def _add(self, name, files):
        if name in self.known:
            return
        if name not in files:
            # A server may send files one at a time.
            self._learn(reflection_pb2.ServerReflectionRequest(file_by_filename=name))
            return
        self.known.add(name)
        for dependency in files[name].dependency:
            self._add(dependency, files)
        self.pool.Add(files[name])
