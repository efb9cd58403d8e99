use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};

use crate::Cli;

/// The help of every command, one below the other.
fn help(command: &mut Command, path: &str, pages: &mut String) {
    let page = command.clone().term_width(100).render_long_help().to_string();
    // What is the same for every command is shown with the first one.
    let own = page.split("Global options:").next().filter(|_| path != "wag").unwrap_or(&page);
    let _ = writeln!(pages, "===== {path}\n{own}");
    let names: Vec<_> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    for name in names {
        let child = command.find_subcommand_mut(&name).unwrap();
        if !child.is_hide_set() && name != "help" {
            help(child, &format!("{path} {name}"), pages);
        }
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_explains_itself() {
    let mut command = Cli::command();
    command.build();
    let mut pages = String::new();
    help(&mut command, "wag", &mut pages);
    insta::assert_snapshot!(pages);
}

#[test]
fn names_are_not_guessed_from_their_beginnings() {
    use clap::Parser as _;
    assert!(Cli::try_parse_from(["wag", "plug", "list"]).is_err());
}
