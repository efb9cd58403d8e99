//! Whether a script is one in Python, as Cloudify's script runner decides it
//! (`script_runner/tasks.py`).

use std::{process::Stdio, time::Duration};

use camino::Utf8Path;
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};
use tracing::debug;
use waggoner_python::Environments;

use crate::start::ScriptText;

/// Says whether a script is evaluated as Python. `wanted` is what its input `eval_python` says.
pub(super) async fn is_python(
    environments: &Environments,
    text: &ScriptText,
    wanted: Option<bool>,
) -> bool {
    match (text, wanted) {
        (_, Some(true)) => true,
        (_, Some(false)) => false,
        (ScriptText::Path(path), None) => has_python_name(path),
        (ScriptText::Source(source), None) => match shebang(source) {
            Some(line) => line.contains("python"),
            None => parses(environments, source).await,
        },
    }
}

fn has_python_name(path: &str) -> bool {
    Utf8Path::new(path).extension().is_some_and(|end| end.eq_ignore_ascii_case("py"))
}

/// Returns the first line of a script that names its interpreter.
///
/// Cloudify takes it for a comment, and would evaluate a shell script as Python whose lines happen to
/// be Python as well.
fn shebang(source: &str) -> Option<&str> {
    source.trim_start().lines().next()?.strip_prefix("#!")
}

/// Asks an interpreter of this host whether a text is Python. Without one, nothing is.
async fn parses(environments: &Environments, source: &str) -> bool {
    let Some(interpreter) = environments.interpreters().await.first() else { return false };
    let spawned = Command::new(&interpreter.path)
        .args(["-I", "-c", PARSE])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let answered = timeout(PATIENCE, async {
        let mut child = spawned?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(source.as_bytes()).await?;
        }
        child.wait().await
    });
    match answered.await {
        Ok(Ok(status)) => status.success(),
        Ok(Err(error)) => {
            debug!(%error, "nobody could say whether a script is Python");
            false
        }
        Err(_) => false,
    }
}

const PARSE: &str = "import ast, sys, textwrap; ast.parse(textwrap.dedent(sys.stdin.read()))";

/// How long an interpreter may take to read a script.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_script_is_python_by_its_name_its_text_or_by_wish() {
        let directory = camino_tempfile::Utf8TempDir::new().unwrap();
        let environments = Environments::new(directory.path(), None);
        let path = |path: &str| ScriptText::Path(path.to_owned());
        let source = |text: &str| ScriptText::Source(text.to_owned());
        let cases = [
            (path("a/b.py"), None, true),
            (path("a/b.PY"), None, true),
            (path("a/b.py"), Some(false), false),
            (path("a/b.sh"), None, false),
            (path("a/b.sh"), Some(true), true),
            (source("  from cloudify import ctx\n  ctx.logger.info('x')\n"), None, true),
            (source("echo hello world\n"), None, false),
            (source("#!/bin/sh\nls\n"), None, false),
            (source("#!/usr/bin/env python3\nx = 1\n"), None, true),
            (source("x = 1"), Some(false), false),
        ];
        for (text, wanted, expected) in cases {
            assert_eq!(is_python(&environments, &text, wanted).await, expected, "{text:?}");
        }
    }
}
