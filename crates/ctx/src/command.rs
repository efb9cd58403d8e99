//! The command line of the `ctx` executable (`cloudify/proxy/client.py`).
//!
//! The grammar is argparse's: options may be abbreviated and stand before or after the arguments,
//! which have to stand together; `--` ends the options; what looks like a negative number or
//! contains a space is an argument.

use serde_json::Value;

use crate::reply::{Format, Printed, describe};

mod options;

use options::{Options, Parsed};

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub args: Vec<Value>,
    /// How long to wait for the answer, in seconds.
    pub timeout: i64,
    /// Where the ctx proxy listens.
    pub socket_url: String,
    pub format: Format,
}

const HELP: &str = "\
usage: ctx [-h] [-t TIMEOUT] [--socket-url SOCKET_URL]
           [--json-arg-prefix JSON_ARG_PREFIX] [-j]
           [args ...]
";

const OPTIONS: &str = "
Talks to the operation that runs this script.

options:
  -h, --help            show this help message and exit
  -t, --timeout TIMEOUT
                        seconds to wait for the answer (30)
  --socket-url SOCKET_URL
                        where the operation listens ($CTX_SOCKET_URL)
  --json-arg-prefix JSON_ARG_PREFIX
                        what an argument in JSON starts with (@)
  -j, --json-output     print the answer as JSON

examples:
  ctx node properties port
  ctx instance runtime-properties url http://localhost:8080
  ctx logger info \"it runs\"
";

// === impl Request ===

impl Request {
    /// Reads a command line, without the program's name. `socket_url` is what `CTX_SOCKET_URL`
    /// holds.
    ///
    /// An error is what to print instead of asking: a usage error exits with 2, help with 0,
    /// anything else with 1.
    pub fn parse<A: AsRef<str>>(args: &[A], socket_url: Option<&str>) -> Result<Self, Printed> {
        let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        let options = match options::parse(&args) {
            Ok(Parsed::Options(options)) => options,
            Ok(Parsed::Help) => {
                return Err(Printed { stdout: format!("{HELP}{OPTIONS}"), ..Printed::default() });
            }
            Err(flaw) => {
                let stderr = format!("{HELP}ctx: error: {flaw}\n");
                return Err(Printed { stderr, exit_code: 2, ..Printed::default() });
            }
        };
        let Options { timeout, json_output, json_arg_prefix, args, .. } = &options;
        let socket_url = options.socket_url.as_deref().or(socket_url).filter(|url| !url.is_empty());
        let socket_url = socket_url.ok_or_else(|| {
            fail("Missing CTX_SOCKET_URL environment variable or socket_url command line argument")
        })?;
        let args =
            args.iter().map(|arg| argument(arg, json_arg_prefix)).collect::<Result<_, _>>()?;
        Ok(Self {
            args,
            timeout: *timeout,
            socket_url: socket_url.to_owned(),
            format: if *json_output { Format::Json } else { Format::Text },
        })
    }
}

/// Reads an argument: JSON after the prefix, of which one character is taken off whatever its
/// length, as the stock client does.
fn argument(arg: &str, prefix: &str) -> Result<Value, Printed> {
    if !arg.starts_with(prefix) {
        return Ok(Value::String(arg.to_owned()));
    }
    let mut letters = arg.chars();
    letters.next();
    let json = letters.as_str();
    let value = serde_json::from_str(json).map_err(|error| {
        fail(&format!("`{json}` is not JSON, as the prefix `{prefix}` says: {error}"))
    })?;
    Ok(describe(value))
}

fn fail(message: &str) -> Printed {
    Printed { stderr: format!("{message}\n"), exit_code: 1, ..Printed::default() }
}
