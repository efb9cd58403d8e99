//! What each source file has to keep.

use camino::Utf8Path;
use fs_err as fs;

use crate::shell::root;

/// A file longer than this does two things. Tests do not count.
const MOST_LINES: usize = 400;

/// The files with an ending under a folder of the project, with their texts.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    files_in(&root().join(folder), ending)
}

/// The files with an ending under a folder, with their texts.
pub(crate) fn files_in(folder: &Utf8Path, ending: &str) -> Vec<(String, String)> {
    let mut found = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = folder.read_dir_utf8() else { continue };
        for entry in entries.map(|entry| entry.expect("a folder of the project is readable")) {
            let path = entry.path().to_owned();
            if path.is_dir() && path.file_name() != Some("target") {
                folders.push(path);
            } else if path.extension() == Some(ending) {
                let text = fs::read_to_string(&path).expect("a source file is readable");
                found.push((path.to_string(), text));
            }
        }
    }
    found.sort();
    found
}

fn rust() -> Vec<(String, String)> {
    ["crates", "agent", "manager", "tests", "xtask"]
        .iter()
        .flat_map(|folder| files(folder, "rs"))
        .collect()
}

#[test]
fn files_do_one_thing() {
    let mut long = vec![];
    for (path, text) in rust() {
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        if lines > MOST_LINES && !is_test(&path) {
            long.push(format!("{path}: {lines}"));
        }
    }
    assert!(long.is_empty(), "files over {MOST_LINES} lines: {long:#?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> = rust()
        .into_iter()
        .filter(|(path, text)| !is_test(path) && !text.starts_with("//!"))
        .map(|file| file.0)
        .collect();
    assert!(silent.is_empty(), "without `//!`: {silent:#?}");
}

#[test]
fn nothing_is_left_for_later_in_silence() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimple", "mented!(")];
    let mut left = vec![];
    for (path, text) in rust() {
        for (at, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                left.push(format!("{path}:{}: {line}", at + 1));
            }
        }
    }
    assert!(left.is_empty(), "{left:#?}");
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}
