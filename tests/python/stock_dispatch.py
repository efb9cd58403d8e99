"""Runs operations under the stock dispatcher, beside a small stub of the manager's REST API.

    stock_dispatch.py            for each line `FUNCTION`, runs it and prints {"wall": S, "cpu": S}
    stock_dispatch.py forks N    forks N times from a process that has imported what an operation
                                 needs, and prints {"wall": S, "cpu": S}
    stock_dispatch.py least N    the same, and each fork runs the stock dispatcher: what no way that
                                 forks for each operation can be below
"""

import gc
import http.server
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time

import bench_plugin  # noqa: F401
import cloudify.dispatch

NODE = {'id': 'host', 'deployment_id': 'bench', 'blueprint_id': 'bench', 'type': 't',
        'type_hierarchy': ['t'], 'properties': {}, 'relationships': [], 'plugins': []}
INSTANCE = {'id': 'host_aaaaaa', 'node_id': 'host', 'deployment_id': 'bench', 'state': 'started',
            'version': 1, 'runtime_properties': {}, 'relationships': [], 'scaling_groups': []}


class Stub(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def answer(self):
        self.rfile.read(int(self.headers.get('content-length') or 0))
        body = INSTANCE
        if '/events' in self.path:
            body = {}
        elif '/nodes' in self.path:
            body = {'items': [NODE],
                    'metadata': {'pagination': {'total': 1, 'size': 1000, 'offset': 0}}}
        body = json.dumps(body).encode('ascii')
        self.send_response(201 if '/events' in self.path else 200)
        self.send_header('content-type', 'application/json')
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = answer

    def log_message(self, *_):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Stub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def write_input(directory, function, port):
    context = {
        'type': 'operation', 'task_id': 't', 'task_name': 'bench_plugin.' + function,
        'execution_id': 'e', 'workflow_id': 'bench', 'tenant': {'name': 'default_tenant'},
        'node_id': 'host_aaaaaa', 'node_name': 'host', 'deployment_id': 'bench',
        'blueprint_id': 'bench', 'execution_token': 'token', 'task_target': 'agent',
        'plugin': {'name': 'bench', 'package_name': 'bench-plugin', 'package_version': '1.0'},
        'operation': {'name': 'create', 'retry_number': 0, 'max_retries': 0},
        'rest_host': '127.0.0.1', 'rest_port': port, 'has_intrinsic_functions': False,
    }
    with open(os.path.join(directory, 'input.json'), 'w') as file:
        json.dump({'cloudify_context': context, 'args': [], 'kwargs': {}}, file)


def read_output(directory):
    with open(os.path.join(directory, 'output.json')) as file:
        output = json.load(file)
    if output['type'] != 'result':
        sys.exit('it failed: {0}'.format(output))


def run(function, port):
    with tempfile.TemporaryDirectory() as directory:
        write_input(directory, function, port)
        certificate = os.path.join(directory, 'ca.pem')
        open(certificate, 'w').close()
        env = {
            'PATH': os.environ['PATH'], 'HOME': directory, 'TMPDIR': directory,
            'REST_HOST': '127.0.0.1', 'REST_PORT': str(port), 'REST_PROTOCOL': 'http',
            'LOCAL_REST_CERT_FILE': certificate, 'AGENT_LOG_LEVEL': 'INFO', 'AGENT_NAME': 'agent',
            'AGENT_WORK_DIR': directory, 'CLOUDIFY_DISPATCH': 'true',
        }
        before, begun = cpu(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, '-u', '-m', 'cloudify.dispatch', directory],
            env=env, stdout=subprocess.DEVNULL, check=True)
        wall = time.perf_counter() - begun
        read_output(directory)
        return {'wall': wall, 'cpu': cpu(resource.RUSAGE_CHILDREN) - before}


def cpu(*whose):
    """The seconds of CPU that were used."""
    usages = map(resource.getrusage, whose)
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def forks(count, work):
    """Forks one after the other, each to do some work."""
    gc.collect()
    gc.freeze()
    whose = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    before, begun = cpu(*whose), time.perf_counter()
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                work()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    return {'wall': time.perf_counter() - begun, 'cpu': cpu(*whose) - before}


def fork_and_dispatch(count):
    with tempfile.TemporaryDirectory() as directory:
        write_input(directory, 'noop', 0)
        os.environ.update({'AGENT_LOG_LEVEL': 'INFO', 'CLOUDIFY_DISPATCH': 'true'})
        sys.argv[1:] = [directory]
        spent = forks(count, cloudify.dispatch.main)
        read_output(directory)
        return spent


def main():
    if len(sys.argv) == 3:
        what, count = sys.argv[1], int(sys.argv[2])
        spent = forks(count, lambda: None) if what == 'forks' else fork_and_dispatch(count)
        print(json.dumps(spent))
        return
    port = serve()
    for line in sys.stdin:
        print(json.dumps(run(line.strip(), port)), flush=True)


if __name__ == '__main__':
    main()
