//! Texts that are nearly blueprints.

use serde_json::{Value, json};

use super::seeds::Seed;

/// Makes inputs without end, the same for the same beginning.
pub(super) struct Mutator<'s> {
    state: u64,
    seeds: &'s [Seed],
}

/// What means something somewhere.
const WORDS: &str = include_str!("words.txt");

/// Signs that structure a text, and some that may not be in one.
const SIGNS: &[&str] = &[
    ":",
    ": ",
    "- ",
    "? ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "<<: *a",
    "!",
    "!!str ",
    "|\n",
    ">-\n",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "'",
    "\"",
    "\\x41",
    "#",
    "\t",
    "\r",
    "\n",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "é",
    "😀",
    "~",
    "=",
    "--",
    "ns--",
    "0x1f",
    "0b1",
    "1:30:60",
    ".inf",
    ".nan",
    "1e999",
    "-9223372036854775809",
    "18446744073709551616",
    "2001-02-30",
    "99999999999999999999999",
];

// === impl Mutator ===

impl<'s> Mutator<'s> {
    pub(super) fn new(start: u64, seeds: &'s [Seed]) -> Self {
        Self { state: start.wrapping_mul(0x9e37_79b9_7f4a_7c15), seeds }
    }

    /// Makes the next request.
    pub(super) fn next(&mut self) -> Value {
        let seed = self.seeds[self.below(self.seeds.len())].clone();
        let (mut text, mut imports) = (seed.text, seed.imports);
        for _ in 0..=self.below(4) {
            // An import is as good a place as the main text.
            let names: Vec<String> = imports
                .iter()
                .filter(|(_, it)| it.is_string())
                .map(|(name, _)| name.clone())
                .collect();
            if !names.is_empty() && self.below(4) == 0 {
                let name = &names[self.below(names.len())];
                let old = imports[name].as_str().unwrap_or_default().to_owned();
                imports[name] = Value::String(self.mutated(&old));
            } else {
                text = self.mutated(&text);
            }
        }
        json!({ "dsl": text, "imports": imports })
    }

    fn mutated(&mut self, text: &str) -> String {
        match self.below(20) {
            0..=5 => self.other_word(text),
            6..=9 => self.lines(text),
            10..=13 => self.inserted(text),
            14..=15 => self.spliced(text),
            16 => self.cut(text),
            17..=18 => self.repeated(text),
            _ => self.bomb(text),
        }
    }

    /// Puts another word in the place of one.
    fn other_word(&mut self, text: &str) -> String {
        let is_word = |letter: char| letter.is_alphanumeric() || "_.-".contains(letter);
        let starts: Vec<usize> = text
            .char_indices()
            .filter(|(at, letter)| is_word(*letter) && !text[..*at].ends_with(is_word))
            .map(|(at, _)| at)
            .collect();
        if starts.is_empty() {
            return self.inserted(text);
        }
        let start = starts[self.below(starts.len())];
        let end = text[start..].find(|it| !is_word(it)).map_or(text.len(), |length| start + length);
        let word = self.word();
        format!("{}{word}{}", &text[..start], &text[end..])
    }

    /// Doubles, drops, swaps, or moves lines to the right or the left.
    fn lines(&mut self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            return self.inserted(text);
        }
        let (at, other) = (self.below(lines.len()), self.below(lines.len()));
        let count = 1 + self.below(8.min(lines.len() - at));
        match self.below(5) {
            0 => {
                let copied = lines[at..at + count].to_vec();
                lines.splice(other..other, copied);
            }
            1 => drop(lines.drain(at..at + count)),
            2 => lines.swap(at, other),
            3 => lines[at..at + count].iter_mut().for_each(|line| line.insert_str(0, "  ")),
            _ => {
                for line in &mut lines[at..at + count] {
                    *line = line.strip_prefix("  ").unwrap_or(line).to_owned();
                }
            }
        }
        lines.join("\n") + "\n"
    }

    fn inserted(&mut self, text: &str) -> String {
        let at = self.place(text);
        let new = match self.below(3) {
            0 => self.word().to_owned(),
            1 => format!("{{{}: [{}, {}]}}", self.word(), self.word(), self.word()),
            _ => SIGNS[self.below(SIGNS.len())].to_owned(),
        };
        format!("{}{new}{}", &text[..at], &text[at..])
    }

    /// Goes on as another text does from one of its lines on.
    fn spliced(&mut self, text: &str) -> String {
        let other = &self.seeds[self.below(self.seeds.len())].text;
        let lines: Vec<&str> = other.lines().collect();
        let from = self.below(lines.len().max(1));
        let kept: Vec<&str> = text.lines().collect();
        let upto = self.below(kept.len().max(1));
        [&kept[..upto.min(kept.len())], &lines[from.min(lines.len())..]].concat().join("\n")
    }

    fn cut(&mut self, text: &str) -> String {
        let (one, two) = (self.place(text), self.place(text));
        format!("{}{}", &text[..one.min(two)], &text[one.max(two)..])
    }

    /// Repeats a piece many times.
    fn repeated(&mut self, text: &str) -> String {
        let (at, end) = (self.place(text), self.place(text));
        let length = end.abs_diff(at);
        let piece = match self.below(3) {
            0 => SIGNS[self.below(SIGNS.len())],
            _ if length < 4000 => &text[at.min(end)..at.max(end)],
            _ => "a",
        };
        let times = [3, 30, 300, 3000, 30_000][self.below(5)];
        let times = times.min(2_000_000 / piece.len().max(1));
        format!("{}{}{}", &text[..at], piece.repeat(times), &text[at..])
    }

    /// Appends what is small and means much.
    fn bomb(&mut self, text: &str) -> String {
        let count = 4 + self.below(40);
        let size = [10, 1000, 30_000][self.below(3)];
        let rows =
            |row: &dyn Fn(usize) -> String, count: usize| (0..count).map(row).collect::<String>();
        let bomb = match self.below(9) {
            0 => {
                rows(&|at| format!("  a{at}: &b{at} [*b{0}, *b{0}, *b{0}]\n", at.max(1) - 1), count)
            }
            1 => rows(
                &|at| format!("  a{at}: &b{at} {{<<: [*b{0}, *b{0}], k{at}: 1}}\n", at.max(1) - 1),
                count,
            ),
            2 => format!("  a: {}1{}\n", "[".repeat(size), "]".repeat(size)),
            3 => rows(&|at| format!("{}k:\n", " ".repeat(at + 2)), size.min(1500)),
            4 => format!("  a: '{}'\n", "x".repeat(size * 60)),
            5 => rows(&|at| format!("  t{at}: {{derived_from: t{}}}\n", at + 1), size),
            6 => rows(
                &|at| {
                    format!(
                        "  n{at}: {{type: t, relationships: [{{type: cloudify.relationships.contained_in, target: n{}}}]}}\n",
                        at + 1
                    )
                },
                size,
            ),
            7 => {
                let members = rows(&|at| format!("n{at}, "), size);
                format!("  g: {{members: [{members}]}}\n")
            }
            _ => {
                let calls = "{concat: [a, ".repeat(size.min(90));
                format!("  o: {{value: {calls}b{}}}\n", "]}".repeat(size.min(90)))
            }
        };
        let sections = [
            "node_types",
            "node_templates",
            "outputs",
            "inputs",
            "groups",
            "dsl_definitions",
            "data_types",
        ];
        format!("{text}\n{}:\n{bomb}", sections[self.below(sections.len())])
    }

    /// A place between two letters.
    fn place(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn word(&mut self) -> &'static str {
        let words: Vec<&str> = WORDS.lines().collect();
        words[self.below(words.len())]
    }

    /// A number below a bound (splitmix64); zero for none.
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap_or(0);
        number.checked_rem(bound).unwrap_or(0)
    }
}
