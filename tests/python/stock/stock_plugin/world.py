"""The manager behind the context: resources, functions, configuration, and the REST client."""

import os
from hashlib import sha256

from cloudify.exceptions import HttpException
from cloudify.manager import get_rest_client
from cloudify_rest_client.exceptions import CloudifyClientError

from stock_plugin.cases import DEPLOYMENT, SOURCE, case, fails


def status(function, *args, **kwargs):
    """As `fails`, for errors whose text tells which way a request took."""
    try:
        return function(*args, **kwargs)
    except HttpException as error:
        return [type(error).__name__, error.code]
    except CloudifyClientError as error:
        return [type(error).__name__, error.status_code, error.error_code, str(error)]


def text(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


@case()
def get_resource(ctx, **_):
    return [ctx.get_resource(path).decode() for path in
            ('both.txt', 'conf/own.conf', 'conf/deep/b.conf', 'plain.txt', 'empty', 'global.txt',
             'wörld €.txt')]


@case()
def get_binary(ctx, **_):
    return [type(ctx.get_resource('binary')).__name__, sha256(ctx.get_resource('binary')).hexdigest()]


@case()
def get_missing(ctx, **_):
    return [status(ctx.get_resource, path) for path in ('missing', 'conf/missing', 'a b/ü')]


@case()
def get_missing_uncaught(ctx, **_):
    ctx.get_resource('missing')


@case()
def download_directory_that_is_missing(ctx, **_):
    ctx.download_directory('missing')


@case('get_resource_of_a_deployment', DEPLOYMENT)
@case('get_resource_of_a_relationship', SOURCE)
def get_one(ctx, **_):
    return ctx.get_resource('both.txt').decode()


@case()
def render(ctx, **_):
    return [
        ctx.get_resource_and_render('conf/a.conf', {'who': 'you'}).decode(),
        ctx.get_resource_and_render('empty', {'who': 'you'}).decode(),
        ctx.get_resource_and_render('wörld €.txt', template_variables={'who': 'you'}).decode(),
        fails(ctx.get_resource_and_render, 'conf/a.conf', {'ctx': 1}),
    ]


@case('render_without_variables')
def render_without_variables(ctx, **_):
    return ctx.get_resource_and_render('conf/a.conf').decode()


@case()
def broken_template(ctx, **_):
    return fails(ctx.get_resource_and_render, 'plain.txt', {'a': 1})


@case()
def render_binary(ctx, **_):
    return fails(ctx.get_resource_and_render, 'binary', {'x': 1})


@case()
def download(ctx, **_):
    path = ctx.download_resource('conf/a.conf')
    found = [os.path.basename(path), text(path), os.path.isabs(path)]
    os.remove(path)
    target = os.path.join(os.environ['TMPDIR'], 'target')
    found.append(ctx.download_resource('both.txt', target) == target)
    found.append(text(target))
    return found


@case('download_is_logged')
def download_is_logged(ctx, **_):
    ctx.logger.info('before')
    os.chdir(os.environ['TMPDIR'])
    return ctx.download_resource('both.txt', 'relative')


@case()
def download_and_render(ctx, **_):
    path = ctx.download_resource_and_render('conf/a.conf', template_variables={'who': 'me'})
    return [os.path.basename(path), text(path)]


@case()
def download_missing(ctx, **_):
    return status(ctx.download_resource, 'missing')


@case()
def download_to_nowhere(ctx, **_):
    return fails(ctx.download_resource, 'both.txt', '/no/such/folder/file')


@case()
def download_of_a_namespace(ctx, **_):
    return [text(ctx.download_resource('ns--c.conf')), status(ctx.download_resource, 'other--c.conf')]


def tree(folder):
    return sorted([os.path.relpath(os.path.join(at, name), folder), text(os.path.join(at, name))]
                  for at, _, names in os.walk(folder) for name in names)


@case()
def download_directory(ctx, **_):
    # The stock package downloads in an order by chance, and says so.
    ctx.logger.setLevel('ERROR')
    return tree(ctx.download_directory('conf'))


@case()
def download_directory_below(ctx, **_):
    return [tree(ctx.download_directory('conf/deep')), status(ctx.download_directory, 'missing')]


@case()
def temporary_files(ctx, **_):
    import tempfile
    from cloudify.utils import create_temp_folder, get_exec_tempdir
    temporary = os.environ['TMPDIR']
    return [path.startswith(temporary) for path in
            (create_temp_folder(), get_exec_tempdir(), tempfile.mkdtemp(), ctx.download_resource('empty'))]


@case()
def deployment_files(ctx, **_):
    path = os.path.join(os.environ['TMPDIR'], 'up')
    with open(path, 'w') as file:
        file.write('new text')
    ctx.upload_deployment_file('sub/new.txt', path)
    seen = ctx.get_resource('sub/new.txt').decode()
    ctx.delete_deployment_file('both.txt')
    return [seen, ctx.get_resource('both.txt').decode()]


FUNCTIONS = {'has_intrinsic_functions': True}


@case('functions', FUNCTIONS, a={'concat': ['x', {'get_secret': 'pin'}]}, b=[1, {'get_self': []}])
@case('functions_of_a_relationship', dict(FUNCTIONS, **SOURCE), a={'get_self': []})
@case('functions_that_are_none', {}, a={'concat': ['x', 'y']})
@case('functions_that_fail', FUNCTIONS, a={'fail': 1})
@case('functions_without_their_secret', FUNCTIONS, a={'get_secret': 'none'})
def inputs(ctx, **kwargs):
    return kwargs


@case()
def configuration(ctx, **_):
    return [[item.name, item.value, item.scope] for items in
            (ctx.get_config(), ctx.get_config(scope='workflow'), [ctx.get_config(name='min_workers')])
            for item in items]


@case()
def contexts_of_the_manager(ctx, **_):
    bootstrap = ctx.bootstrap_context
    return [ctx.provider_context, bootstrap.cloudify_agent.user, bootstrap.cloudify_agent.min_workers,
            bootstrap.policy_engine.start_timeout, bootstrap.resources_prefix,
            bootstrap._bootstrap_context['workflows']]


@case()
def tenant(ctx, **_):
    return ctx.tenant


@case()
def managers_and_brokers(ctx, **_):
    return [[each['private_ip'] for each in ctx.get_managers()],
            [each['private_ip'] for each in ctx.get_managers('other')],
            [each['host'] for each in ctx.get_brokers()], ctx.get_brokers('other')]


@case()
def execution(ctx, **_):
    return [ctx.get_execution().id, ctx.get_execution('other').id, ctx.get_execution().status]


@case()
def operation(ctx, **_):
    before = ctx.get_operation().state
    ctx.update_operation('started')
    return [before, ctx.get_operation().state]


@case()
def rest_client(ctx, **_):
    client = get_rest_client()
    return [
        [each.id for each in client.node_instances.list(node_id='web')],
        [each.id for each in client.nodes.list(_include=['id'])],
        client.secrets.get('pin').value,
        client.secrets.create('new', 'value').key,
        client.deployments.get('dep').blueprint_id,
        client.deployments.capabilities.get('dep')['capabilities'],
        client.manager.get_version()['version'],
        client.manager.get_status()['status'],
        client.node_instances.get('db_1').runtime_properties,
        client.executions.get('e').status,
    ]


@case()
def rest_client_refused(ctx, **_):
    client = get_rest_client()
    return [status(client.secrets.get, 'none'), status(client.node_instances.get, 'nobody'),
            status(client.node_instances.update, 'web_1', version=1, runtime_properties={}),
            status(client.secrets.create, 'pin', 'x')]


@case('rest_client_refused_uncaught')
def rest_client_refused_uncaught(ctx, **_):
    get_rest_client().secrets.get('none')


@case()
def a_client_of_a_child(ctx, **_):
    """As Ansible's modules do: a process of their own that opens a client of its own."""
    import subprocess
    import sys
    code = ('import os, sys\nfrom cloudify_rest_client import CloudifyClient\n'
            'client = CloudifyClient(host=os.environ["REST_HOST"], port=int(os.environ["REST_PORT"]),'
            ' protocol=os.environ["REST_PROTOCOL"], cert=os.environ["LOCAL_REST_CERT_FILE"],'
            ' headers={"Execution-Token": sys.argv[1]}, tenant="default_tenant")\n'
            'print(client.node_instances.get("db_1").runtime_properties["url"])\n'
            'print(client.manager.get_version()["version"])')
    return subprocess.check_output(
        [sys.executable, '-c', code, ctx.execution_token]).decode().split()


@case()
def environment(ctx, **_):
    return {name: os.environ.get(name) for name in ('AGENT_NAME', 'CLOUDIFY_DISPATCH')}


@case()
def files_of_the_manager_are_there(ctx, **_):
    from cloudify.utils import get_local_rest_certificate, get_manager_name
    return [os.path.isfile(get_local_rest_certificate()), fails(get_manager_name)]
