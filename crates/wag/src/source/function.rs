//! Whether a source tree has the function that is to be run, before anything is made of it.
//!
//! Nothing is imported: a module is a file, and a function is a word in it. What may come from
//! elsewhere is believed.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::{SourceError, calls::has_word};

/// What is no part of a package, wherever it lies.
const LEFT_OUT: [&str; 4] = ["build", "dist", "node_modules", "__pycache__"];

/// How deep packages are looked for.
const DEPTH: usize = 4;

/// How many functions are told.
const TOLD: usize = 8;

/// Refuses a function that cannot be: `package.module.function` of the tree in a directory.
pub(crate) fn check_function(directory: &Utf8Path, function: &str) -> Result<(), SourceError> {
    match flaw(directory, function).map_err(SourceError::Read)? {
        Some(flaw) => Err(SourceError::Function(flaw)),
        None => Ok(()),
    }
}

fn flaw(directory: &Utf8Path, function: &str) -> io::Result<Option<String>> {
    let is_name = |part: &str| {
        part.chars().all(|c| c.is_alphanumeric() || c == '_')
            && part.starts_with(|c: char| c.is_alphabetic() || c == '_')
    };
    let Some((module, name)) =
        function.rsplit_once('.').filter(|_| function.split('.').all(is_name))
    else {
        return Ok(Some(format!(
            "`{function}` is no function: name one as `package.module.function`, a script by its \
             path, or an operation of the type that `--node-type` names"
        )));
    };
    let (top, below) = module.split_once('.').unwrap_or((module, ""));
    let mut homes = Vec::new();
    find(directory, top, DEPTH, &mut homes)?;
    if homes.is_empty() {
        // One that it asks for.
        return Ok(None);
    }
    let below = below.replace('.', "/");
    let files = homes.iter().filter_map(|home| module_file(home, &below)).collect::<Vec<_>>();
    if files.is_empty() {
        return Ok(Some(format!("the plugin has no module `{module}`")));
    }
    for file in &files {
        if file.extension() != Some("py") {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&fs_err::read(file)?).into_owned();
        if text.contains("import *") || has_word(&text, name) {
            return Ok(None);
        }
        let there: Vec<_> = functions(&text).take(TOLD).map(|it| format!("`{it}`")).collect();
        if !there.is_empty() {
            let there = there.join(", ");
            return Ok(Some(format!("`{module}` has no `{name}`: it has {there}")));
        }
    }
    Ok(Some(format!("`{module}` has no `{name}`")))
}

/// Finds the places that have a package or a module of this name.
fn find(
    directory: &Utf8Path,
    top: &str,
    depth: usize,
    found: &mut Vec<Utf8PathBuf>,
) -> io::Result<()> {
    if directory.join(format!("{top}.py")).is_file() || holds_python(&directory.join(top)) {
        found.push(directory.join(top));
    }
    if depth == 0 {
        return Ok(());
    }
    for entry in directory.read_dir_utf8()? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_other =
            name.starts_with('.') || LEFT_OUT.contains(&name) || path.join("pyvenv.cfg").is_file();
        if entry.file_type()?.is_dir() && !is_other {
            find(path, top, depth - 1, found)?;
        }
    }
    Ok(())
}

fn holds_python(directory: &Utf8Path) -> bool {
    let entries = directory.read_dir_utf8().into_iter().flatten().flatten();
    let mut kinds = entries.map(|entry| entry.path().extension().map(str::to_owned));
    kinds.any(|kind| kind.as_deref() == Some("py"))
}

/// The file of a module, given by the path of its package and what of it is below that.
fn module_file(home: &Utf8Path, below: &str) -> Option<Utf8PathBuf> {
    let path = if below.is_empty() { home.to_owned() } else { home.join(below) };
    let plain = [Utf8PathBuf::from(format!("{path}.py")), path.join("__init__.py")];
    plain.into_iter().find(|file| file.is_file()).or_else(|| {
        // A compiled one, or one that is made from something else.
        let name = format!("{}.", path.file_name()?);
        let mut beside = path.parent()?.read_dir_utf8().ok()?.flatten();
        beside.find(|entry| entry.file_name().starts_with(&name)).map(|it| it.path().to_owned())
    })
}

fn functions(text: &str) -> impl Iterator<Item = &str> {
    let defined = text.lines().filter_map(|line| line.strip_prefix("def ")?.split('(').next());
    defined.map(str::trim).filter(|name| !name.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_cannot_be_is_refused_and_what_may_be_is_believed() {
        let tree = camino_tempfile::tempdir().unwrap();
        for (path, text) in [
            ("src/note/__init__.py", "from note.tasks import *\n"),
            ("src/note/tasks.py", "def create(**_):\n    pass\n\n\ndef _own():\n    pass\n"),
            ("src/note/fast.cpython-311-x86_64-linux-gnu.so", ""),
            ("flat.py", "run = None\n"),
            (".venv/lib/other/__init__.py", ""),
        ] {
            let path = tree.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        let no_function = "is no function: name one as `package.module.function`";
        for (function, flaw_of_it) in [
            ("note.tasks.create", None),
            ("note.anything", None),
            ("note.fast.anything", None),
            ("flat.run", None),
            ("flat.walk", Some("`flat` has no `walk`")),
            ("script_runner.tasks.run", None),
            ("other.anything", None),
            ("note.task.create", Some("the plugin has no module `note.task`")),
            ("note.tasks.creat", Some("`note.tasks` has no `creat`: it has `create`")),
            ("nonsense", Some(no_function)),
            ("non sense.at.all", Some(no_function)),
            ("note..create", Some(no_function)),
            ("", Some(no_function)),
        ] {
            let said = flaw(tree.path(), function).unwrap();
            match flaw_of_it {
                None => assert_eq!(said, None, "{function}"),
                Some(words) => assert!(said.as_ref().unwrap().contains(words), "{said:?}"),
            }
        }
    }
}
