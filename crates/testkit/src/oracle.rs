//! The Python that holds the real counterparts, and what is kept between runs.

use camino::Utf8PathBuf;

/// The Python of the tests, with what `tests/requirements.txt` names.
///
/// # Panics
///
/// If `WAGGONER_ORACLE_PYTHON` does not say where it is: `cargo xtask test` sets it.
pub fn python() -> Utf8PathBuf {
    let python = std::env::var("WAGGONER_ORACLE_PYTHON").map(Utf8PathBuf::from);
    python.unwrap_or_else(|_| {
        let usual = root().join("target/proof/python/bin/python");
        assert!(usual.is_file(), "no Python for the tests: run `cargo xtask setup` first");
        usual
    })
}

/// A directory that is kept between runs, for what takes long to fetch.
pub fn cache() -> Utf8PathBuf {
    let cache = root().join("target/proof/cache");
    fs_err::create_dir_all(&cache).expect("cargo's folder is ours");
    cache
}

fn root() -> Utf8PathBuf {
    let here = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the crate lies in crates/").to_owned()
}
