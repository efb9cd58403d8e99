//! Runs the tools that build environments: uv, pip, an interpreter.

use std::{collections::BTreeMap, fmt, io, process::Stdio, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use tokio::{process::Command, time::timeout};

/// A tool that is to be run to its end.
pub(crate) struct Tool<'a> {
    /// The program's path.
    pub(crate) program: &'a Utf8Path,
    pub(crate) arguments: Vec<String>,
    /// What is set; everything else is cleared unless `inherits`.
    pub(crate) environment: BTreeMap<String, String>,
    /// Whether it gets our own environment as well.
    pub(crate) inherits: bool,
    pub(crate) directory: &'a Utf8Path,
    pub(crate) deadline: Duration,
}

/// Why a tool did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolFailure {
    /// It could not be started.
    #[error("failed to start `{program}`")]
    Start {
        /// Its path.
        program: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took too long and was killed.
    #[error("`{program}` did not end within {seconds} seconds")]
    Overdue {
        /// Its path.
        program: Utf8PathBuf,
        /// How long it had.
        seconds: u64,
    },
    /// Nobody waited for it any more, and it was ended.
    #[error("`{program}` was ended, as nobody waits for it any more")]
    GivenUp {
        /// Its path.
        program: Utf8PathBuf,
    },
    /// It said why it failed.
    #[error("{words}")]
    Failed {
        /// Its own words, condensed.
        words: String,
    },
}

/// How much of a tool's words is repeated.
const WORDS: usize = 800;

// === impl Tool ===

impl Tool<'_> {
    /// Runs it and returns what it wrote to its standard output.
    pub(crate) async fn run(self) -> Result<Vec<u8>, ToolFailure> {
        let program = self.program.to_owned();
        let mut command = Command::new(program.as_std_path());
        if !self.inherits {
            command.env_clear();
        }
        command
            .args(&self.arguments)
            .envs(&self.environment)
            .current_dir(self.directory)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match timeout(self.deadline, command.output()).await {
            Err(_) => Err(ToolFailure::Overdue { program, seconds: self.deadline.as_secs() }),
            Ok(Err(source)) => Err(ToolFailure::Start { program, source }),
            Ok(Ok(output)) if output.status.success() => Ok(output.stdout),
            Ok(Ok(output)) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let end = format_args!("ended with {}", output.status);
                Err(ToolFailure::Failed { words: words(&program, &end, &said) })
            }
        }
    }
}

/// What a tool says of its failure, or else how it ended.
pub(crate) fn words(program: &Utf8Path, end: &dyn fmt::Display, said: &str) -> String {
    let words = condense(said);
    if words.is_empty() {
        let name = program.file_name().unwrap_or(program.as_str());
        return format!("`{name}` {end} and said nothing");
    }
    words
}

/// Makes one line of what pip or uv says of a failure.
fn condense(stderr: &str) -> String {
    let decoration = |c: char| c.is_whitespace() || "×│├╰─▶>".contains(c);
    let lines: Vec<&str> = stderr
        .lines()
        .map(|line| line.trim_matches(decoration))
        .filter(|line| !line.is_empty())
        .collect();
    if let Some(said) = of_build(&lines) {
        return shorten(&said);
    }
    // pip marks what matters, and what it repeats of a build begins with a mark; uv says little
    // else.
    let of_pip: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("ERROR:")).collect();
    let build = lines.iter().position(|line| line.starts_with("error:"));
    let said = match (of_pip.first().map(|line| line.trim()), build) {
        // A traceback of pip's own, of which the last line says what happened.
        (Some("Exception:"), _) => lines.last().copied().unwrap_or_default().to_owned(),
        (_, Some(first)) => lines[first..].join(" ").trim_start_matches("error:").to_owned(),
        (Some(_), None) => of_pip.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "),
        (None, None) => lines.join(" "),
    };
    shorten(said.trim())
}

/// What stopped a build, of all that pip repeats of it: the last error to the end, and before it
/// what a compiler could not do without.
fn of_build(lines: &[&str]) -> Option<String> {
    let begin = lines.iter().position(|line| line.ends_with("lines of output]"))?;
    let output = &lines[begin + 1..];
    let end = output.iter().position(|line| *line == "[end of output]").unwrap_or(output.len());
    let output = &output[..end];
    let is_error = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        let is_python = name.ends_with("Error") || name.ends_with("Exception");
        name == "error" || is_python && !name.contains(' ')
    };
    let last = output.iter().rposition(is_error)?;
    let compiler = output[..last].iter().find(|line| line.contains("fatal error:"));
    let said = output[last..].join(" ");
    let said = said.trim_start_matches("error:").trim_start();
    // Of what cannot be read Python says last what is wrong, and before that where.
    let is_unread =
        ["SyntaxError", "IndentationError", "TabError"].iter().any(|name| said.starts_with(name));
    let place = output[..last].iter().rev().find_map(|line| place(line)).filter(|_| is_unread);
    let said = match (compiler, place) {
        (Some(compiler), _) => format!("{compiler}: {said}"),
        (None, Some(place)) => format!("{place}: {said}"),
        (None, None) => said.to_owned(),
    };
    Some(match output.iter().find_map(|line| package(line)) {
        Some(package) => format!("`{package}` does not build: {said}"),
        None => said,
    })
}

/// The package whose sources are being built, by the directory that pip has made for them:
/// `/tmp/pip-wheel-x/NAME_<32 hexadecimal digits>/setup.py`.
fn package(line: &str) -> Option<&str> {
    let path = line.strip_prefix("File \"")?.split('"').next()?;
    path.split('/').find_map(|part| {
        let (name, digits) = part.rsplit_once('_')?;
        let is_pips = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_pips.then_some(name)
    })
}

/// The file's name and the line of `File "/a/setup.py", line 3, in …`.
fn place(line: &str) -> Option<String> {
    let (path, rest) = line.strip_prefix("File \"")?.split_once("\", line ")?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("{} line {number}", Utf8Path::new(path).file_name()?))
}

/// Keeps the beginning, which says what failed, and the end, which says why.
fn shorten(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= WORDS {
        return text.to_owned();
    }
    let (head, tail) = (WORDS / 3, WORDS - WORDS / 3);
    let begin: String = characters[..head].iter().collect();
    let end: String = characters[characters.len() - tail..].iter().collect();
    format!("{begin} … {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pip_and_uv_say_becomes_one_line() {
        let pip = "Looking in links: /a\nERROR: Could not find a version that satisfies x (from versions: none)\nERROR: No matching distribution found for x\n";
        assert_eq!(
            condense(pip),
            "Could not find a version that satisfies x (from versions: none) No matching distribution found for x"
        );
        let uv = "  × No solution found when resolving dependencies:\n  ╰─▶ Because x was not found in\n      the provided package locations, we can conclude\n";
        assert_eq!(
            condense(uv),
            "No solution found when resolving dependencies: Because x was not found in the provided package locations, we can conclude"
        );
        let crash =
            "ERROR: Exception:\nTraceback (most recent call last):\n  File x\nValueError: bad\n";
        assert_eq!(condense(crash), "ValueError: bad");
        let build = "  error: subprocess-exited-with-error\n  × Building failed.\n  ╰─> [2 lines of output]\n      no compiler\n";
        assert_eq!(
            condense(build),
            "subprocess-exited-with-error Building failed. [2 lines of output] no compiler"
        );
        let python = "  error: subprocess-exited-with-error\n  ╰─> [4 lines of output]\n      Traceback (most recent call last):\n        raise ValueError(text)\n      ValueError: invalid version\n      it is not PEP 440\n      [end of output]\n  note: not a problem with pip.\nerror: subprocess-exited-with-error\n";
        assert_eq!(condense(python), "ValueError: invalid version it is not PEP 440");
        let syntax = "  ╰─> [3 lines of output]\n        File \"/a/setup.py\", line 3\n          def f(:\n      SyntaxError: invalid syntax\n      [end of output]\n";
        assert_eq!(condense(syntax), "setup.py line 3: SyntaxError: invalid syntax");
        let other = "  ╰─> [3 lines of output]\n        File \"/tmp/pip-wheel-o/old_one_91b79e30250242d4acb047f2e3ea8953/setup.py\", line 9, in <module>\n          execfile('x')\n      NameError: name 'execfile' is not defined\n      [end of output]\n";
        assert_eq!(
            condense(other),
            "`old_one` does not build: NameError: name 'execfile' is not defined"
        );
        let compiler = "  ╰─> [3 lines of output]\n      a.c:1:10: fatal error: Python.h: No such file\n      compilation terminated.\n      error: command 'gcc' failed\n      [end of output]\n";
        assert_eq!(
            condense(compiler),
            "a.c:1:10: fatal error: Python.h: No such file: command 'gcc' failed"
        );
        let long = condense(&format!("first {}last", "long ".repeat(1000)));
        assert!(long.chars().count() <= WORDS + 3);
        assert!(long.starts_with("first") && long.ends_with("last"));
    }
}
