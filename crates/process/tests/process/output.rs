use std::time::Duration;

use waggoner_process::{Exit, Source};

use crate::{LONG, first_line, read, run, shell, start};

#[tokio::test]
async fn stdout_and_stderr_stay_apart_and_whole() {
    let script = "i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
    let (exit, stdout, stderr) = run(shell(script)).await;
    let lines = |word: &str| {
        (0..500).flat_map(|i| [word.to_owned(), format!(" {i}\n")]).collect::<String>()
    };
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(String::from_utf8(stdout).unwrap(), lines("out"));
    assert_eq!(String::from_utf8(stderr).unwrap(), lines("err"));
}

#[tokio::test]
async fn ten_megabytes_without_a_line_end_come_whole() {
    let (exit, stdout, stderr) = run(shell("head -c 10485760 /dev/zero | tr '\\0' x")).await;
    assert_eq!((exit, stderr.len()), (Exit::Code(0), 0));
    assert_eq!(stdout.len(), 10_485_760);
    assert!(stdout.iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn bytes_that_are_no_text_come_as_they_are() {
    let (_, stdout, _) = run(shell(r"printf '\377\376\000\001\r\n\200'")).await;
    assert_eq!(stdout, [0xff, 0xfe, 0, 1, b'\r', b'\n', 0x80]);
}

#[tokio::test]
async fn a_line_comes_while_the_child_goes_on() {
    let (child, _output, line) = start("echo begun; exec sleep 1000").await;
    assert_eq!((line.as_str(), child.exit()), ("begun", None));
    child.stop(LONG).await;
}

#[tokio::test]
async fn a_child_without_output_ends_it_at_once() {
    let (child, mut output) = shell("exit 4").start().await.unwrap();
    assert_eq!(output.next().await, None);
    assert_eq!(child.wait().await, Exit::Code(4));
    assert!(!output.is_cut());
}

#[tokio::test]
async fn a_reader_that_stops_holds_the_child_and_loses_nothing() {
    let (child, mut output) =
        shell("head -c 1000000 /dev/zero; echo done >&2").start().await.unwrap();
    let first = output.next().await.unwrap();
    // The pipe holds a quarter of what is to come, so the child cannot end before it is read.
    assert_eq!((first.source, child.exit()), (Source::Stdout, None));
    let (stdout, stderr) = read(&mut output).await;
    assert_eq!((first.bytes.len() + stdout.len(), stderr.as_slice()), (1_000_000, &b"done\n"[..]));
}

#[tokio::test]
async fn what_is_in_the_pipe_at_the_exit_comes_however_late_it_is_asked_for() {
    let mut spawn = shell("sleep 1000 & head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2");
    spawn.linger = Duration::ZERO;
    let (child, mut output) = spawn.start().await.unwrap();
    assert_eq!(child.wait().await, Exit::Code(0));
    let (stdout, stderr) = read(&mut output).await;
    assert_eq!((stdout.len(), stderr.len()), (60_000, 60_000));
    assert!(output.is_cut(), "the sleeper holds both pipes");
    child.stop(LONG).await;
}

#[tokio::test]
async fn a_descendant_that_keeps_the_pipe_is_heard_for_a_while_then_cut() {
    let mut spawn = shell("(while echo again; do sleep 0.01; done) & exit 7");
    spawn.linger = Duration::from_millis(300);
    let (child, mut output) = spawn.start().await.unwrap();
    let line = first_line(&mut output).await;
    assert!(line.starts_with("again"));
    let (stdout, _) = read(&mut output).await;
    assert!(stdout.starts_with(b"again\n"), "it is heard after the exit");
    assert!(output.is_cut());
    assert_eq!(child.wait().await, Exit::Code(7));
    child.stop(LONG).await;
}

#[tokio::test]
async fn a_descendant_that_finishes_in_time_is_heard_to_its_end() {
    let mut spawn = shell("(sleep 0.1; echo last) & exit 0");
    spawn.linger = LONG;
    let (_, stdout, _) = run(spawn).await;
    assert_eq!(stdout, b"last\n");
}
