"""Installs a wagon as the stock package does, and prints how long that takes, in seconds of time and
of CPU.

    stock_wagon.py WAGON DIRECTORY

The virtual environment is made before: the stock agent's has what it needs through a link.
"""

import json
import logging
import os
import resource
import subprocess
import sys
import time

import wagon


def main(archive, directory):
    base = os.path.join(sys.base_prefix, 'bin', 'python{0}.{1}'.format(*sys.version_info))
    subprocess.check_call([base, '-m', 'venv', directory])
    logging.disable(logging.CRITICAL)
    start, before = time.monotonic(), cpu()
    wagon.install(archive, ignore_platform=True, venv=directory)
    seconds, used = time.monotonic() - start, cpu() - before
    subprocess.check_call([os.path.join(directory, 'bin', 'python'), '-c', 'import cloudify_aws'])
    print(json.dumps({'seconds': seconds, 'cpu': used}))


def cpu():
    ours, theirs = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return ours.ru_utime + ours.ru_stime + theirs.ru_utime + theirs.ru_stime


# What pip says goes where it disturbs nobody.
out = os.dup(1)
os.dup2(2, 1)
sys.stdout = os.fdopen(out, 'w')
main(*sys.argv[1:])
