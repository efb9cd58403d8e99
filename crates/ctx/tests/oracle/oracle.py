"""Asks the stock cloudify-common what it makes of the cases, and prints its answers as JSON.

Usage: oracle.py CASES, with a Python that has cloudify-common==7.0.5.
"""
import contextlib
import io
import json
import logging
import sys

OUT, sys.stdout = sys.stdout, sys.stderr  # the stock code logs to stdout

from cloudify import context, manager  # noqa: E402
from cloudify.proxy import client, server  # noqa: E402
from cloudify.state import current_ctx  # noqa: E402
from cloudify_rest_client.exceptions import CloudifyClientError  # noqa: E402
from cloudify_rest_client.nodes import Node  # noqa: E402
from script_runner import tasks  # noqa: E402


class Endpoint:
    """What a manager would answer, out of the cases' data."""

    def __init__(self, ctx):
        self.ctx = ctx

    def get_node(self, node_id, instance_context=None):
        return Node(json.loads(json.dumps(DATA["nodes"][node_id])))

    def get_node_instance(self, node_instance_id):
        at = json.loads(json.dumps(DATA["instances"][node_instance_id]))
        return manager.NodeInstance(
            at["id"], at["node_id"], runtime_properties=at["runtime_properties"],
            state=at["state"], version=at["version"], host_id=at["host_id"],
            relationships=at["relationships"], index=at["index"],
            scaling_groups=at["scaling_groups"], system_properties=at["system_properties"])

    def update_node_instance(self, instance):
        EFFECTS.append(["update", instance.id, dict(instance.runtime_properties)])
        if instance.runtime_properties.get("conflict"):
            raise CloudifyClientError("Node instance update conflict", status_code=409)

    def _note(self, _call, **what):
        EFFECTS.append([_call, {k: v for k, v in what.items() if v is not None}])

    @staticmethod
    def _variables(variables):
        if variables is None:
            return None
        return {k: v for k, v in variables.items() if k != "ctx"}

    def get_resource(self, blueprint_id, deployment_id, resource_path, template_variables=None):
        self._note("resource", path=resource_path, render=self._variables(template_variables))
        return "text of {0}".format(resource_path)

    def download_resource(self, blueprint_id, deployment_id, resource_path, logger,
                          target_path=None, template_variables=None):
        self._note("download", path=resource_path, target=target_path,
                   render=self._variables(template_variables))
        return target_path or "/tmp/x/{0}".format(resource_path)

    def download_directory(self, blueprint_id, deployment_id, resource_path, logger,
                           target_path=None):
        self._note("download_directory", path=resource_path, target=target_path)
        return "/tmp/x"

    def get_config(self, name=None, scope=None):
        self._note("config", name=name, scope=scope)
        return [{"name": "max_retries", "value": 3}]

    def get_managers(self, network):
        self._note("managers", network=network)
        return []

    get_brokers = get_managers

    def get_provider_context(self):
        return DATA["provider_context"]

    def get_bootstrap_context(self):
        return DATA["bootstrap_context"]

    def get_operation(self, operation_id):
        self._note("operation", id=operation_id)
        return {"id": operation_id, "state": "started"}

    def get_execution(self, execution_id):
        self._note("execution", id=execution_id)
        return {"id": execution_id, "status": "started"}

    def update_operation(self, operation_id, state):
        self._note("update_operation", id=operation_id, state=state)

    def delete_deployment_file(self, deployment_id, file_path):
        self._note("delete_deployment_file", path=file_path)

    def upload_deployment_file(self, deployment_id, target_file_path, src_file, src_file_mtime=None):
        self._note("upload_deployment_file", target=target_file_path, source=src_file)

    def send_plugin_event(self, message=None, args=None, additional_context=None):
        EFFECTS.append(["event", message])

    def get_logging_handler(self):
        return Handler()

    get_host_node_instance_ip = context.ManagerEndpoint.get_host_node_instance_ip


class Handler(logging.Handler):
    def emit(self, record):
        try:
            EFFECTS.append(["log", record.levelname.lower(), record.getMessage()])
        except (TypeError, ValueError):
            EFFECTS.append(["log", "lost"])


def run_case(case):
    """Evaluates the command lines of one operation, and its end."""
    EFFECTS.clear()
    logging.Logger.manager.loggerDict.clear()
    ctx = context.CloudifyContext(json.loads(json.dumps(DATA["contexts"][case["context"]])))
    steps = []

    def script(_path, ctx, _process):
        proxy = server.CtxProxy(ctx, "")
        for args in case["steps"]:
            EFFECTS.clear()
            with current_ctx.push(ctx):
                reply = json.loads(proxy.process(json.dumps({"args": args})))
            if reply["type"] == "error":
                del reply["payload"]["traceback"]
            steps.append({"args": args, "reply": reply, "effects": list(EFFECTS)})

    end = {}
    try:
        result = tasks.process_execution(script, "", ctx, {})
        retry = ctx.operation._operation_retry
        if isinstance(result, RuntimeError):
            end["misused"] = str(result)
        elif retry is not None:
            after = retry.retry_after
            end["retry"] = [str(retry), None if after is None else float(after)]
        else:
            end["returned"] = result
    except Exception as error:
        end["aborted"] = str(error)
    contexts = {"node": lambda: [ctx.instance], "deployment": lambda: [],
                "relationship": lambda: [ctx.source.instance, ctx.target.instance]}
    end["updates"] = [
        [at.id, dict(at._node_instance.runtime_properties)]
        for at in contexts[DATA["contexts"][case["context"]]["test_kind"]]()
        if at._node_instance is not None and at._node_instance.dirty]
    return {"name": case["name"], "context": case["context"], "steps": steps, "end": end}


def run_client(case):
    """Runs the ctx command line against a proxy that gives one answer."""
    asked = {}

    def answer(url, request, timeout):
        asked.update(url=url, args=request["args"], timeout=timeout)
        return json.loads(json.dumps(case.get("reply", {"type": "result", "payload": None})))

    client.http_client_req = answer
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            client.main(case["argv"])
    except SystemExit as error:
        code = error.code
        if not isinstance(code, (int, type(None))):
            err.write("{0}\n".format(code))
            code = 1
    except Exception as error:
        code = 1
        err.write(type(error).__name__)
    return dict(case, asked=asked or None, stdout="" if code is None else out.getvalue(),
                complaint=err.getvalue().strip().split("\n")[-1], exit_code=code or 0)


EFFECTS = []
with open(sys.argv[1]) as cases:
    DATA = json.load(cases)
context.ManagerEndpoint = Endpoint
context.utils.get_tenant = lambda: DATA["tenant"]
answers = {"cases": [run_case(case) for case in DATA["cases"]],
           "commands": [run_client(case) for case in DATA["commands"]]}
print("{", file=OUT)
for at, (part, rows) in enumerate(answers.items()):
    print('"{0}": ['.format(part), file=OUT)
    print(",\n".join(json.dumps(row, ensure_ascii=False) for row in rows), file=OUT)
    print("]" if at else "],", file=OUT)
print("}", file=OUT)
