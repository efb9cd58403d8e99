"""Installs node instances whose operations do nothing, by the stock local workflows.

    stock_install.py INSTANCES

Prints {"instances", "tasks", "seconds"}: the time of the workflow alone, in memory storage.
"""

import json
import os
import sys
import tempfile
import time
import types

answers = os.fdopen(os.dup(1), 'w')
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

from cloudify import logs  # noqa: E402
from cloudify.workflows import local  # noqa: E402

BLUEPRINT = """
tosca_definitions_version: cloudify_dsl_1_4
plugins: {{p: {{executor: central_deployment_agent, install: false}},
  default_workflows: {{executor: central_deployment_agent, install: false}}}}
workflows:
  install:
    mapping: default_workflows.cloudify.plugins.workflows.install
    parameters:
      node_ids: {{default: []}}
      node_instance_ids: {{default: []}}
      type_names: {{default: []}}
node_types:
  nothing:
    interfaces:
      cloudify.interfaces.lifecycle:
        create: p.nothing.nothing
        configure: p.nothing.nothing
        start: p.nothing.nothing
node_templates:
  app:
    type: nothing
    capabilities: {{scalable: {{properties: {{default_instances: {instances}}}}}}}
"""

ran = []
plugin = types.ModuleType('nothing')
plugin.nothing = lambda **_: ran.append(None)
sys.modules['nothing'] = plugin
# What is told of each task goes nowhere.
logs.stdout_event_out = lambda *_, **__: None
logs.stdout_log_out = lambda *_, **__: None

instances = int(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'blueprint.yaml')
    with open(path, 'w') as blueprint:
        blueprint.write(BLUEPRINT.format(instances=instances))
    environment = local.init_env(path)
    begin = time.monotonic()
    environment.execute('install', task_thread_pool_size=4)
    seconds = time.monotonic() - begin
json.dump({'instances': instances, 'tasks': len(ran), 'seconds': seconds}, answers)
