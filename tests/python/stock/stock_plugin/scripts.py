"""Scripts, by the stock script runner and by the agent."""

from stock_plugin.cases import SOURCE, case

SCRIPTS = {
    'script_returns': 'ctx returns done',
    'script_returns_json': 'ctx returns \'@{"a": [1, null]}\'',
    'script_reads': 'ctx logger info "port $(ctx node properties port)"\n'
                    'ctx logger warning "$(ctx -j instance runtime_properties)"',
    'script_writes': 'ctx instance runtime-properties a.b 1\n'
                     'ctx instance runtime_properties list \'@[1, 2]\'',
    'script_fails': 'echo out; echo err >&2; ctx instance runtime_properties a 1; exit 3',
    'script_aborts': 'ctx abort-operation "no way"',
    'script_retries': 'ctx retry-operation "later" @11',
    'script_returns_twice': 'ctx returns 1; ctx returns 2',
    'script_speaks': 'printf "one\\ntwo"; echo w\u00f6rld >&2',
    'script_sends_an_event': 'ctx send-event "half way"',
    'script_calls_badly': 'ctx no such thing || echo failed; ctx instance runtime_properties none || echo none',
    'script_gets_resources': 'echo "[$(ctx get-resource both.txt)]"\n'
                             'cat "$(ctx download-resource conf/own.conf)"; echo\n'
                             'cat "$(ctx download-resource-and-render conf/a.conf \'@{"template_variables": {"who": "sh"}}\')"',
    'script_keeps_files': 'printf "new text" > "$TMPDIR/up"\n'
                          'ctx upload-deployment-file "sub/new file.txt" "$TMPDIR/up"\n'
                          'cat "$(ctx download-resource "sub/new file.txt")"; echo\n'
                          'ctx delete-deployment-file both.txt\n'
                          'cat "$(ctx download-resource both.txt)"; echo\n'
                          'ctx delete-deployment-file none.txt 2>/dev/null || echo none',
    'script_updates': 'ctx instance runtime_properties a 1; ctx instance update; ctx instance runtime_properties a',
    'script_is_killed': 'kill -9 $$',
}


def never():
    pass


for name, source in SCRIPTS.items():
    case(name, task='script_runner.tasks.run', script_source='#!/bin/sh\n' + source)(never)

case('script_of_a_relationship', SOURCE, task='script_runner.tasks.run', script_source=(
    '#!/bin/sh\nctx source instance runtime_properties a 1; ctx target instance runtime_properties b 2\n'
    'ctx returns "$(ctx target node properties user)"'))(never)
case('script_of_the_blueprint', task='script_runner.tasks.run', script_path='script.sh', who='sh')(never)
case('script_in_python', task='script_runner.tasks.run', script_path='script.py', who='py')(never)
case('script_inputs', task='script_runner.tasks.run', number=1, flag=True, none=None, words='a b',
     nested={'a': [1]}, fraction=1.5, script_source=(
         '#!/bin/sh\necho "$number $flag $none $words $nested $fraction $mode $1 $2"'),
     process={'env': {'mode': 'x', 'number': '2'}, 'args': ['one', 'two']})(never)
case('script_that_is_missing', task='script_runner.tasks.run', script_path='no.sh')(never)
case('script_without_ctx', task='script_runner.tasks.run', process={'ctx_proxy_type': 'none'},
     script_source='#!/bin/sh\necho "[$CTX_SOCKET_URL]"')(never)
case('script_with_an_unknown_proxy', task='script_runner.tasks.run', process={'ctx_proxy_type': 'zmq'},
     script_source='#!/bin/sh\necho hello world')(never)
case('script_not_logged', task='script_runner.tasks.run', process={'log_stdout': False, 'log_stderr': False},
     script_source='#!/bin/sh\necho out; echo err >&2; exit 1')(never)
case('script_of_one_stream', task='script_runner.tasks.run', process={'stderr_to_stdout': True},
     script_source='#!/bin/sh\necho out; echo err >&2; exit 1')(never)
case('script_prefixed', task='script_runner.tasks.run', process={'command_prefix': '/bin/sh -e', 'cwd': '/'},
     script_source='#!/bin/false\npwd; false; echo never')(never)
case('script_of_nothing', task='script_runner.tasks.run')(never)
