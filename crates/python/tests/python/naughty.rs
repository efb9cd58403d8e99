//! What a plugin does harms the operation that does it and no other, started or forked.

use serde_json::{Value, json};
use waggoner_types::ErrorKind;

use crate::{
    operations::Site,
    support::alive,
    ways::{Warm, Way},
};

/// Modules whose import does what only a process of its own may do, and how that is said.
pub(crate) const IMPORTS: [(&str, &str, &str); 9] = [
    (
        "naughty_thread",
        "import threading, time\n\
         threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n",
        "starts a thread",
    ),
    ("naughty_reader", "import os\nhome = os.environ.get('TMPDIR')\n", "reads TMPDIR"),
    (
        "naughty_follower",
        "import tempfile\nimport script_runner.tasks\nhome = tempfile.gettempdir()\n",
        "reads TMPDIR",
    ),
    ("naughty_copier", "import os\nall = dict(os.environ)\n", "reads the whole environment"),
    ("naughty_writer", "import os\nos.environ['X'] = '1'\n", "changes the environment"),
    ("naughty_opener", "kept = open('/dev/null')\n", "opens a file or a socket"),
    ("naughty_mover", "import os\nos.chdir('/usr')\n", "changes the working directory"),
    // These see that they are imported for all.
    (
        "naughty_crasher",
        "import os, signal\n\
         if 'CLOUDIFY_DISPATCH' in os.environ and 'TMPDIR' not in os.environ:\n    \
             os.kill(os.getpid(), signal.SIGSEGV)\n",
        "unexpected end of file",
    ),
    (
        "naughty_failer",
        "import os\nif 'TMPDIR' not in os.environ:\n    raise ValueError('not here')\n",
        "fails: ValueError('not here')",
    ),
];

/// A module that imports what keeps something of the environment, as Cloudify's SDK does, and says
/// whether it is the operation's own.
pub(crate) const KEEPERS: &str = "\
import os, tempfile
from wsgiref.handlers import BaseHandler
from script_runner import tasks

def run(**_):
    own = os.environ['TMPDIR']
    kept = [BaseHandler.os_environ.get('TMPDIR'), os.path.dirname(tasks.DEFAULT_TASK_LOG_DIR)]
    return [one == own for one in kept + [tempfile.gettempdir()]]
";

/// What the modules of [`IMPORTS`] have too.
pub(crate) const BODY: &str = "def run(**_):\n    return 'ran'\n";

#[tokio::test]
async fn what_an_operation_does_to_its_process_is_its_own_matter() {
    for mut site in Site::each_way().await {
        let directory = site.directory.path().to_string();
        let sane = json!([true, "agent", directory, false]);
        for (task, inputs, outcome) in [
            ("leak", json!({}), Ok(json!(0))),
            ("leak", json!({}), Ok(json!(0))),
            ("crash", json!({}), Err("Process terminated (rc=-11): SIGSEGV")),
            ("leave", json!({"code": 3}), Err("(rc=3)")),
            ("leave", json!({"code": 0}), Err("something in it called exit")),
            ("close_all", json!({}), Ok(json!("closed"))),
            ("silence", json!({}), Ok(json!("silent"))),
            ("threads", json!({}), Ok(json!(true))),
        ] {
            let ended = site.run(&format!("naughty.{task}"), &inputs).await.result;
            match outcome {
                Ok(expected) => assert_eq!(ended, Ok(expected), "{task}"),
                Err(words) => {
                    let error = ended.unwrap_err();
                    assert!(error.message.contains(words), "{task}: {}", error.message);
                    assert_eq!(error.kind, ErrorKind::NonRecoverable);
                }
            }
            let after = site.run("naughty.stream", &json!({})).await.result;
            assert_eq!(after, Ok(sane.clone()), "after {task}");
            assert_eq!(site.stdout, b"heard\n");
        }
        if let Way::Forked(warm) = &site.way {
            assert_eq!(warm.kept, ["naughty"], "{:?}", warm.unkept);
        }
    }
}

#[tokio::test]
async fn a_child_that_an_operation_leaves_behind_does_not_hold_it() {
    for mut site in Site::each_way().await {
        let child = site.run("naughty.leave_a_child", &json!({})).await.result.unwrap();
        let child = i32::try_from(child.as_i64().unwrap()).unwrap();
        assert!(alive(child));
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(child).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        assert!(site.run("naughty.stream", &json!({})).await.result.is_ok());
    }
}

#[tokio::test]
async fn what_an_import_does_to_its_process_keeps_it_from_being_shared() {
    let Some(mut site) = Site::new(Way::Forked(Box::<Warm>::default())).await else { return };
    for (module, _, reason) in IMPORTS {
        for _ in 0..2 {
            let ran = site.run(&format!("{module}.run"), &json!({})).await.result;
            assert_eq!(ran, Ok(Value::from("ran")), "{module}");
        }
        let Way::Forked(warm) = &site.way else { unreachable!("it was made so") };
        assert_eq!(warm.unkept.get(module).map(String::as_str), Some(reason), "{module}");
    }
}

#[tokio::test]
async fn what_stock_modules_keep_of_the_environment_is_each_operations_own() {
    for mut site in Site::each_way().await {
        for _ in 0..2 {
            let own = site.run("keepers.run", &json!({})).await.result;
            assert_eq!(own, Ok(json!([true, true, true])));
        }
        if let Way::Forked(warm) = &site.way {
            assert_eq!(warm.kept, ["keepers"], "{:?}", warm.unkept);
        }
    }
}
