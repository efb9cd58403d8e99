"""Runs operations under the stock dispatcher, beside a small stub of the manager's REST API.

    stock_dispatch.py            for each line `FUNCTION`, runs it and prints {"wall": S, "cpu": S}
    stock_dispatch.py forks N    forks N times from a process that has imported what an operation
                                 needs, and prints {"seconds": S}
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


def run(function, port):
    with tempfile.TemporaryDirectory() as directory:
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
        certificate = os.path.join(directory, 'ca.pem')
        open(certificate, 'w').close()
        env = {
            'PATH': os.environ['PATH'], 'HOME': directory, 'TMPDIR': directory,
            'REST_HOST': '127.0.0.1', 'REST_PORT': str(port), 'REST_PROTOCOL': 'http',
            'LOCAL_REST_CERT_FILE': certificate, 'AGENT_LOG_LEVEL': 'INFO', 'AGENT_NAME': 'agent',
            'AGENT_WORK_DIR': directory, 'CLOUDIFY_DISPATCH': 'true',
        }
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        ran = subprocess.run(
            [sys.executable, '-u', '-m', 'cloudify.dispatch', directory],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wall = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        with open(os.path.join(directory, 'output.json')) as file:
            output = json.load(file)
        if ran.returncode or output['type'] != 'result':
            sys.exit('it failed: {0} {1}'.format(output, ran.stdout))
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {'wall': wall, 'cpu': cpu}


def forks(count):
    import cloudify.dispatch
    import bench_plugin

    assert cloudify.dispatch and bench_plugin
    gc.collect()
    gc.freeze()
    begun = time.perf_counter()
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    return {'seconds': time.perf_counter() - begun}


def main():
    if sys.argv[1:2] == ['forks']:
        print(json.dumps(forks(int(sys.argv[2]))))
        return
    port = serve()
    for line in sys.stdin:
        print(json.dumps(run(line.strip(), port)), flush=True)


if __name__ == '__main__':
    main()
