//! The arguments of a Python function, and its complaints about them.

use serde_json::{Map, Value};

use crate::reply::Error;

/// The parameters of a Python function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature {
    /// The class, or the function it is made in.
    scope: &'static str,
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    /// Whether it has a `self`, which Python counts.
    is_method: bool,
}

/// The values of the parameters, in their order; null for what was left out.
#[derive(Debug)]
pub(super) struct Bound(Vec<Value>);

// === impl Signature ===

impl Signature {
    pub(super) const fn method(
        scope: &'static str,
        name: &'static str,
        required: &'static [&'static str],
        optional: &'static [&'static str],
    ) -> Self {
        Self { scope, name, required, optional, is_method: true }
    }

    pub(super) const fn function(
        scope: &'static str,
        name: &'static str,
        required: &'static [&'static str],
        optional: &'static [&'static str],
    ) -> Self {
        Self { scope, name, required, optional, is_method: false }
    }

    /// Gives each parameter its value, with Python's complaints in Python's order.
    pub(super) fn bind(&self, args: &[Value], kwargs: Map<String, Value>) -> Result<Bound, Error> {
        let names: Vec<&str> = self.required.iter().chain(self.optional).copied().collect();
        let mut values: Vec<Option<Value>> =
            args.iter().take(names.len()).cloned().map(Some).collect();
        values.resize(names.len(), None);
        for (name, value) in kwargs {
            let slot = names.iter().position(|known| *known == name);
            match slot.and_then(|at| values.get_mut(at)) {
                None => return self.fail(&format!("got an unexpected keyword argument '{name}'")),
                Some(Some(_)) => {
                    return self.fail(&format!("got multiple values for argument '{name}'"));
                }
                Some(slot) => *slot = Some(value),
            }
        }
        if args.len() > names.len() {
            return self.fail(&self.too_many(args.len()));
        }
        let missing: Vec<String> = self
            .required
            .iter()
            .zip(&values)
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| format!("'{name}'"))
            .collect();
        if !missing.is_empty() {
            let plural = if missing.len() == 1 { "" } else { "s" };
            let (count, names) = (missing.len(), enumerated(&missing));
            return self
                .fail(&format!("missing {count} required positional argument{plural}: {names}"));
        }
        Ok(Bound(values.into_iter().map(Option::unwrap_or_default).collect()))
    }

    pub(super) fn fail<T>(&self, complaint: &str) -> Result<T, Error> {
        Err(Error::type_error(format!("{}.{}() {complaint}", self.scope, self.name)))
    }

    fn too_many(&self, given: usize) -> String {
        let own = usize::from(self.is_method);
        let (most, given) = (self.required.len() + self.optional.len() + own, given + own);
        let least = self.required.len() + own;
        let verb = if given == 1 { "was" } else { "were" };
        let count = match (least, most) {
            (1, 1) => "1 positional argument".to_owned(),
            (least, most) if least == most => format!("{most} positional arguments"),
            _ => format!("from {least} to {most} positional arguments"),
        };
        format!("takes {count} but {given} {verb} given")
    }
}

// === impl Bound ===

impl Bound {
    /// Takes the first values.
    pub(super) fn take<const N: usize>(self) -> [Value; N] {
        let mut values = self.0.into_iter();
        std::array::from_fn(|_| values.next().unwrap_or_default())
    }
}

/// Binds the arguments of a method that is written in C: one or two, by their places alone.
pub(super) fn builtin(
    class: &str,
    name: &str,
    args: &[Value],
    kwargs: &Map<String, Value>,
) -> Result<[Value; 2], Error> {
    let count = args.len();
    Err(Error::type_error(match args {
        _ if !kwargs.is_empty() => format!("{class}.{name}() takes no keyword arguments"),
        [first] => return Ok([first.clone(), Value::Null]),
        [first, second] => return Ok([first.clone(), second.clone()]),
        [] => format!("{name} expected at least 1 argument, got 0"),
        [..] => format!("{name} expected at most 2 arguments, got {count}"),
    }))
}

/// Joins as Python does: `a`, `a and b`, `a, b, and c`.
fn enumerated(names: &[String]) -> String {
    match names {
        [first, second] => format!("{first} and {second}"),
        [names @ .., last] if !names.is_empty() => format!("{}, and {last}", names.join(", ")),
        names => names.concat(),
    }
}
