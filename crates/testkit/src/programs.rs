//! Where our programs are.

use camino::Utf8PathBuf;

/// Returns the path of one of our programs.
///
/// `WAGGONER_BIN_DIR` says where they are; else they lie where cargo builds them: beside a program
/// of ours, or beside a test's own folder.
///
/// # Panics
///
/// If the program is not there: build it first, as `cargo xtask test` does.
pub fn program(name: &str) -> Utf8PathBuf {
    let folder = std::env::var("WAGGONER_BIN_DIR").map_or_else(|_| built(), Utf8PathBuf::from);
    let program = folder.join(name);
    assert!(program.is_file(), "`{program}` is not there: run `cargo build --bins` first");
    program
}

fn built() -> Utf8PathBuf {
    let own = std::env::current_exe().expect("a process knows its own file");
    let own = Utf8PathBuf::from_path_buf(own).expect("cargo's paths are UTF-8");
    let folder = own.parent().expect("a file lies in a folder");
    match (folder.file_name(), folder.parent()) {
        (Some("deps"), Some(parent)) => parent.to_owned(),
        _ => folder.to_owned(),
    }
}
