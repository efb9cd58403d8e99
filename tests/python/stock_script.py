"""Runs a script under the stock script runner, and prints the seconds that it took.

Usage: stock_script.py SOURCE COUNT, with a Python that has cloudify-common and its `ctx`. Prints a
list of seconds, one for each run.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'stock'))
import manager  # noqa: E402


def run(source, port):
    with tempfile.TemporaryDirectory() as directory:
        context = {
            'type': 'operation', 'task_id': 't', 'task_name': 'script_runner.tasks.run',
            'execution_id': 'e', 'workflow_id': 'bench', 'tenant': {'name': manager.TENANT},
            'node_id': 'web_1', 'node_name': 'web', 'deployment_id': 'dep', 'blueprint_id': 'bp',
            'plugin': {'name': 'script'}, 'execution_token': 'token', 'task_target': 'agent',
            'operation': {'name': 'create', 'retry_number': 0, 'max_retries': 0},
        }
        with open(os.path.join(directory, 'input.json'), 'w') as file:
            json.dump({'cloudify_context': context, 'args': [],
                       'kwargs': {'script_source': source}}, file)
        certificate = os.path.join(directory, 'ca.pem')
        open(certificate, 'w').close()
        env = {
            'PATH': os.path.dirname(sys.executable) + ':/usr/bin:/bin', 'HOME': directory,
            'TMPDIR': directory, 'REST_HOST': '127.0.0.1', 'REST_PORT': str(port),
            'REST_PROTOCOL': 'http', 'LOCAL_REST_CERT_FILE': certificate, 'AGENT_NAME': 'agent',
            'AGENT_LOG_LEVEL': 'INFO', 'AGENT_WORK_DIR': directory, 'CLOUDIFY_DISPATCH': 'true',
        }
        begun = time.perf_counter()
        subprocess.run([sys.executable, '-u', '-m', 'cloudify.dispatch', directory], env=env,
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        with open(os.path.join(directory, 'output.json')) as file:
            output = json.load(file)
    if output != {'type': 'result', 'payload': 'done'}:
        sys.exit('it went wrong: {0}'.format(output))
    return seconds


def main():
    source, count = sys.argv[1], int(sys.argv[2])
    server = manager.serve()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps([run(source, server.server_address[1]) for _ in range(count)]))


if __name__ == '__main__':
    main()
