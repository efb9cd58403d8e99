//! The options of the `ctx` command, as Python 3.11's argparse reads them.

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) timeout: i64,
    pub(super) socket_url: Option<String>,
    pub(super) json_arg_prefix: String,
    pub(super) json_output: bool,
    pub(super) args: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Parsed {
    Options(Options),
    Help,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Help,
    Timeout,
    SocketUrl,
    JsonArgPrefix,
    JsonOutput,
}

/// Every spelling, in the order in which argparse learns them.
const SPELLINGS: [(&str, Name); 8] = [
    ("-h", Name::Help),
    ("--help", Name::Help),
    ("-t", Name::Timeout),
    ("--timeout", Name::Timeout),
    ("--socket-url", Name::SocketUrl),
    ("--json-arg-prefix", Name::JsonArgPrefix),
    ("-j", Name::JsonOutput),
    ("--json-output", Name::JsonOutput),
];

/// One word of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word<'a> {
    Argument(&'a str),
    /// `--`: only arguments follow.
    End,
    Option {
        name: Name,
        spelling: &'a str,
        value: Option<&'a str>,
    },
    Unknown(&'a str),
}

pub(super) fn parse(args: &[&str]) -> Result<Parsed, String> {
    let words = words(args)?;
    let mut options = Options {
        timeout: 30,
        socket_url: None,
        json_arg_prefix: "@".to_owned(),
        json_output: false,
        args: Vec::new(),
    };
    let mut unknown = Vec::new();
    // The arguments have to stand together: the first block of them is all there is.
    let mut is_block_over = false;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match word {
            Word::Argument(_) | Word::End => {
                let block = words[at..].iter().map_while(Word::argument);
                let block: Vec<&str> = block.collect();
                at += block.len();
                if is_block_over {
                    unknown.extend(block);
                } else {
                    options.args = without_end(&block);
                }
                is_block_over = true;
            }
            Word::Unknown(word) => {
                unknown.push(word);
                at += 1;
            }
            Word::Option { name, spelling, value } => {
                at += 1;
                let next = match words.get(at) {
                    Some(Word::Argument(argument)) => Some(*argument),
                    _ => None,
                };
                match options.take(*name, spelling, *value, next)? {
                    Taken::Help => return Ok(Parsed::Help),
                    Taken::Next => at += 1,
                    Taken::Alone => {}
                }
            }
        }
    }
    if unknown.is_empty() {
        Ok(Parsed::Options(options))
    } else {
        Err(format!("unrecognized arguments: {}", unknown.join(" ")))
    }
}

enum Taken {
    Alone,
    /// With the next word as its value.
    Next,
    Help,
}

// === impl Options ===

impl Options {
    fn take(
        &mut self,
        name: Name,
        spelling: &str,
        value: Option<&str>,
        next: Option<&str>,
    ) -> Result<Taken, String> {
        if let Name::Help | Name::JsonOutput = name {
            return self.take_flags(name, spelling, value, next);
        }
        let taken = if value.is_none() { Taken::Next } else { Taken::Alone };
        let title = name.title();
        let value =
            value.or(next).ok_or_else(|| format!("argument {title}: expected one argument"))?;
        match name {
            Name::Timeout => {
                self.timeout = value
                    .trim()
                    .replace('_', "")
                    .parse()
                    .map_err(|_| format!("argument {title}: invalid int value: '{value}'"))?;
            }
            Name::SocketUrl => self.socket_url = Some(value.to_owned()),
            Name::JsonArgPrefix => value.clone_into(&mut self.json_arg_prefix),
            Name::Help | Name::JsonOutput => {}
        }
        Ok(taken)
    }

    /// Takes an option without a value, and the single letters that hang on it.
    fn take_flags(
        &mut self,
        name: Name,
        spelling: &str,
        rest: Option<&str>,
        next: Option<&str>,
    ) -> Result<Taken, String> {
        let ignored = |rest: &str| {
            Err(format!("argument {}: ignored explicit argument '{rest}'", name.title()))
        };
        let followed = match rest {
            None => None,
            Some(rest) if spelling.starts_with("--") => return ignored(rest),
            Some(rest) => {
                let letter = rest.chars().next().map_or(0, char::len_utf8);
                let (letter, value) = rest.split_at(letter);
                let spelled = format!("-{letter}");
                match SPELLINGS.iter().find(|(known, _)| *known == spelled) {
                    Some((spelling, name)) => Some((*name, *spelling, value)),
                    None => return ignored(rest),
                }
            }
        };
        self.json_output |= name == Name::JsonOutput;
        match followed {
            _ if name == Name::Help => Ok(Taken::Help),
            None => Ok(Taken::Alone),
            Some((name, spelling, value)) => {
                self.take(name, spelling, Some(value).filter(|value| !value.is_empty()), next)
            }
        }
    }
}

// === impl Name ===

impl Name {
    /// Returns how argparse calls it in a complaint.
    fn title(self) -> &'static str {
        match self {
            Self::Help => "-h/--help",
            Self::Timeout => "-t/--timeout",
            Self::SocketUrl => "--socket-url",
            Self::JsonArgPrefix => "--json-arg-prefix",
            Self::JsonOutput => "-j/--json-output",
        }
    }
}

// === impl Word ===

impl<'a> Word<'a> {
    fn argument(&self) -> Option<&'a str> {
        match self {
            Self::Argument(argument) => Some(argument),
            Self::End => Some("--"),
            Self::Option { .. } | Self::Unknown(_) => None,
        }
    }
}

fn words<'a>(args: &[&'a str]) -> Result<Vec<Word<'a>>, String> {
    let mut words = Vec::new();
    let mut rest = args.iter();
    for arg in rest.by_ref() {
        if *arg == "--" {
            words.push(Word::End);
            break;
        }
        words.push(word(arg)?);
    }
    words.extend(rest.map(|arg| Word::Argument(arg)));
    Ok(words)
}

fn word(arg: &str) -> Result<Word<'_>, String> {
    if !arg.starts_with('-') || arg.len() == 1 {
        return Ok(Word::Argument(arg));
    }
    let exact = |given: &str| SPELLINGS.iter().find(|(known, _)| *known == given);
    if let Some((_, name)) = exact(arg) {
        return Ok(Word::Option { name: *name, spelling: arg, value: None });
    }
    if let Some((spelling, value)) = arg.split_once('=')
        && let Some((_, name)) = exact(spelling)
    {
        return Ok(Word::Option { name: *name, spelling, value: Some(value) });
    }
    let meant = meanings(arg);
    match meant[..] {
        [] if is_negative_number(arg) || arg.contains(' ') => Ok(Word::Argument(arg)),
        [] => Ok(Word::Unknown(arg)),
        [(spelling, name, value)] => Ok(Word::Option { name, spelling, value }),
        [..] => {
            let known: Vec<&str> = meant.iter().map(|(spelling, _, _)| *spelling).collect();
            Err(format!("ambiguous option: {arg} could match {}", known.join(", ")))
        }
    }
}

/// Lists the options that an abbreviation, or a letter with its value, may mean.
fn meanings(arg: &str) -> Vec<(&'static str, Name, Option<&str>)> {
    let known = SPELLINGS.iter();
    if arg.starts_with("--") {
        let (prefix, value) = arg.split_once('=').map_or((arg, None), |(p, v)| (p, Some(v)));
        let meant = known.filter(|(spelling, _)| spelling.starts_with(prefix));
        return meant.map(|(spelling, name)| (*spelling, *name, value)).collect();
    }
    let letter = arg.chars().nth(1).map_or(1, |letter| 1 + letter.len_utf8());
    let (letter, value) = arg.split_at(letter);
    known
        .filter_map(|(spelling, name)| {
            let is_letter = *spelling == letter;
            let value = is_letter.then_some(value);
            (is_letter || spelling.starts_with(arg)).then_some((*spelling, *name, value))
        })
        .collect()
}

/// Matches `^-\d+$|^-\d*\.\d+$`.
fn is_negative_number(arg: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = arg.strip_prefix('-') else { return false };
    match number.split_once('.') {
        None => !number.is_empty() && digits(number),
        Some((whole, part)) => digits(whole) && !part.is_empty() && digits(part),
    }
}

/// Takes the first `--` out.
fn without_end(block: &[&str]) -> Vec<String> {
    let end = block.iter().position(|word| *word == "--");
    let kept = block.iter().enumerate().filter(|(at, _)| Some(*at) != end);
    kept.map(|(_, word)| (*word).to_owned()).collect()
}
