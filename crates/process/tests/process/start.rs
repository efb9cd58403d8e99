use std::{error::Error, os::unix::fs::PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::Utf8TempDir;
use waggoner_process::{Exit, MARK, Spawn};

use crate::{run, shell};

#[tokio::test]
async fn the_exit_says_the_code_or_the_signal() {
    for (script, exit, words) in [
        ("exit 0", Exit::Code(0), "exited with code 0"),
        ("exit 3", Exit::Code(3), "exited with code 3"),
        ("exit 255", Exit::Code(255), "exited with code 255"),
        ("kill -9 $$", Exit::Signal(9), "ended by signal 9 (SIGKILL)"),
        ("kill -SEGV $$", Exit::Signal(11), "ended by signal 11 (SIGSEGV)"),
        ("kill -USR1 $$", Exit::Signal(10), "ended by signal 10"),
    ] {
        let (ended, _, _) = run(shell(script)).await;
        assert_eq!(ended, exit, "{script}");
        assert_eq!(ended.to_string(), words);
    }
}

#[tokio::test]
async fn nothing_is_inherited_but_what_was_given() {
    let mut spawn = Spawn::new("env", "/tmp");
    spawn.env.insert("PATH".into(), "/nonexistent::/usr/bin:/bin".into());
    spawn.env.insert("GREETING".into(), "grüß dich".into());
    let (exit, stdout, _) = run(spawn).await;
    let stdout = String::from_utf8(stdout).unwrap();
    let names: Vec<_> = stdout.lines().map(|line| line.split('=').next().unwrap()).collect();
    assert_eq!((exit, names), (Exit::Code(0), vec!["GREETING", "PATH", MARK]));

    let (_, stdout, _) =
        run(shell("pwd; cat; ls /proc/self/fd | wc -l; trap; kill -PIPE $$")).await;
    // The fourth descriptor is the one by which `ls` reads the directory.
    assert_eq!(String::from_utf8(stdout).unwrap(), "/\n4\n");
}

#[tokio::test]
async fn a_relative_program_is_found_from_the_working_directory() {
    let dir = Utf8TempDir::new().unwrap();
    script(&dir.path().join("greet"), "#!/bin/sh\necho \"hello $1\"\n", 0o755);
    let mut spawn = Spawn::new("./greet", dir.path());
    spawn.args.push("you".into());
    assert_eq!(run(spawn).await.1, b"hello you\n");
}

#[tokio::test]
async fn what_does_not_start_says_why_in_one_sentence() {
    let dir = Utf8TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    script(&at("plain"), "#!/bin/sh\n", 0o644);
    script(&at("lost"), "#!/opt/no/python3 -u\n", 0o755);
    script(&at("closed"), "#! /etc/passwd\n", 0o755);
    script(&at("dos"), "#!/bin/sh\r\necho\r\n", 0o755);
    script(&at("text"), "echo hello\n", 0o755);

    let d = dir.path();
    for (spawn, sentence) in [
        (Spawn::new(at("gone"), d), format!("`{d}/gone` does not exist: check the path")),
        (Spawn::new("/etc/passwd/x", d), "`/etc/passwd/x` does not exist: check the path".into()),
        (Spawn::new(d, d), format!("`{d}` is not a file: name the program inside it")),
        (
            Spawn::new(at("plain"), d),
            format!("`{d}/plain` is not executable: run `chmod +x` on it, or check the modes of its directories"),
        ),
        (
            Spawn::new(at("lost"), d),
            format!("the first line of `{d}/lost` asks for `/opt/no/python3`, which does not exist: install it, or change the line"),
        ),
        (
            Spawn::new(at("closed"), d),
            format!("the first line of `{d}/closed` asks for `/etc/passwd`, which is not executable: change the line"),
        ),
        (
            Spawn::new(at("dos"), d),
            format!("the first line of `{d}/dos` ends with a carriage return, so that `/bin/sh` is not found: save it with Unix line ends"),
        ),
        (
            Spawn::new(at("text"), d),
            format!("`{d}/text` is neither a program for this machine nor a script whose first line starts with `#!`"),
        ),
        (
            Spawn::new("no-such-tool", d),
            "no directory of PATH (``) has an executable of that name: install it there, or give its full path".into(),
        ),
        (
            Spawn::new("/bin/true", at("nowhere")),
            format!("the working directory `{d}/nowhere` does not exist: create it, or name another"),
        ),
        (
            shell("true\0"),
            "its arguments or environment contain a NUL character: remove it".into(),
        ),
        (
            shell(&"x".repeat(1 << 22)),
            "its arguments and environment are longer than the kernel takes: pass large values in a file".into(),
        ),
    ] {
        let error = spawn.start().await.unwrap_err();
        assert_eq!(error.to_string(), format!("failed to start `{}`", spawn.program));
        assert_eq!(error.source().unwrap().to_string(), sentence);
    }
}

#[tokio::test]
async fn a_file_that_is_still_written_is_tried_again() {
    let dir = Utf8TempDir::new().unwrap();
    let path = dir.path().join("late");
    script(&path, "#!/bin/sh\necho ran\n", 0o755);
    let writer = fs_err::OpenOptions::new().append(true).open(&path).unwrap();
    let spawn = Spawn::new(path, dir.path());
    let (started, ()) = tokio::join!(spawn.start(), async {
        tokio::task::yield_now().await;
        drop(writer);
    });
    let (_child, mut output) = started.unwrap();
    assert_eq!(crate::read(&mut output).await.0, b"ran\n");
}

fn script(path: &Utf8PathBuf, text: &str, mode: u32) {
    fs_err::write(path, text).unwrap();
    let path: &Utf8Path = path;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
