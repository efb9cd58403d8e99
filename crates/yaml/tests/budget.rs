//! What costs too much is refused with one sentence, and nothing panics.

use proptest::prelude::*;
use waggoner_yaml::{Budget, parse};

/// What is said about a text that is refused.
fn refused(text: &str) -> String {
    parse(text, Budget::default()).expect_err("the text is refused").to_string()
}

#[test]
fn aliases_count_as_what_they_stand_for() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        let nine = vec![format!("*a{before}"); 9].join(", ");
        bomb.extend([format!("a{level}: &a{level} [{nine}]\n")]);
    }
    assert!(refused(&bomb).contains("more than 500000 values"));
    let long = "x".repeat(1 << 20);
    let many = "- *long\n".repeat(100);
    assert!(refused(&format!("- &long {long}\n{many}")).contains("aliases repeat more than"));
}

#[test]
fn deep_nesting_and_long_texts_are_refused() {
    assert!(refused(&"[".repeat(100_000)).contains("nested deeper than 96 levels"));
    assert!(refused(&"- ".repeat(100_000)).contains("nested deeper than 96 levels"));
    assert!(refused(&"x".repeat(9 << 20)).contains("at most 8388608"));
}

#[test]
fn an_alias_inside_of_its_anchor_is_refused() {
    assert!(refused("a: &a [*a]\n").contains("stands inside of what it stands for"));
}

#[test]
fn a_refusal_shows_the_lines_around() {
    let error = parse("a: 1\nb: [2, 3\nc: 4\n", Budget::default()).unwrap_err();
    assert_eq!((error.mark.line, error.mark.column), (3, 2));
    assert_eq!(error.snippet, "1 | a: 1\n2 | b: [2, 3\n3 | c: 4\n  |  ^\n");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[ \\-:,\\[\\]{}#&*!|>'\"%@`a0\\n\\t?<~.]{0,80}") {
        drop(parse(&text, Budget::default()));
    }

    #[test]
    fn any_text_at_all_is_read_or_refused(text in any::<String>()) {
        drop(parse(&text, Budget::default()));
    }
}
