//! The contracts only grow, and every item says what it is.

use crate::{contracts, rules::sources::files};

#[test]
fn contracts_only_grow() {
    let (locked, current) = (contracts::locked().unwrap(), contracts::current().unwrap());
    let gone: Vec<_> = locked.difference(&current).collect();
    assert!(gone.is_empty(), "a peer of today would not understand: {gone:#?}");
    let new: Vec<_> = current.difference(&locked).collect();
    assert!(new.is_empty(), "run `cargo xtask lock-contracts` and commit: {new:#?}");
}

#[test]
fn every_item_of_a_contract_has_a_comment() {
    let mut bare = vec![];
    for (path, text) in files("proto", "proto") {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let line = line.trim();
            let item = ["service ", "rpc ", "message ", "enum ", "oneof "]
                .iter()
                .any(|word| line.starts_with(word))
                || line.contains(" = ") && line.ends_with(';') && !is_option(line);
            if item && at > 0 && !lines[at - 1].trim().starts_with("//") {
                bare.push(format!("{path}:{}: {line}", at + 1));
            }
        }
    }
    assert!(bare.is_empty(), "without a comment: {bare:#?}");
}

#[test]
fn every_reason_is_documented() {
    let root = crate::shell::root();
    let reasons = fs_err::read_to_string(root.join("crates/wire/src/refusal.rs")).unwrap();
    let document = fs_err::read_to_string(root.join("docs/errors.md")).unwrap();
    let words = reasons.lines().filter_map(|line| {
        let (_, rest) = line.trim().split_once(" = \"")?;
        rest.split_once("\",").map(|(word, _)| word)
    });
    let silent: Vec<_> = words.filter(|word| !document.contains(&format!("`{word}`"))).collect();
    assert!(silent.is_empty(), "not in docs/errors.md: {silent:?}");
    assert!(reasons.contains("\"INVALID_FIELD\","), "the reasons have moved");
}

#[test]
fn decisions_are_numbered_without_holes() {
    let mut numbers: Vec<usize> = files("docs/adr", "md")
        .iter()
        .filter_map(|(path, _)| path.rsplit('/').next()?.split('-').next()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

fn is_option(line: &str) -> bool {
    line.starts_with("option ") || line.starts_with("syntax ")
}
