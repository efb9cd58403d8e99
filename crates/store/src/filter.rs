//! Queries with the conditions that are asked for and no others, so that each finds its index.

use rusqlite::types::Value;

/// A query in the making.
pub(crate) struct Filtered {
    text: String,
    parameters: Vec<Value>,
}

// === impl Filtered ===

impl Filtered {
    /// Begins with a query up to its first condition, which `parameters` fill.
    pub(crate) fn new<const N: usize>(query: &str, parameters: [Value; N]) -> Self {
        Self { text: query.to_owned(), parameters: parameters.into() }
    }

    /// Adds a condition.
    pub(crate) fn and(mut self, condition: &str) -> Self {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
        self
    }

    /// Adds a condition that `parameters` fill.
    pub(crate) fn and_with<const N: usize>(self, condition: &str, parameters: [Value; N]) -> Self {
        let mut more = self.and(condition);
        more.parameters.extend(parameters);
        more
    }

    /// Adds a condition if there is a text to fill it.
    pub(crate) fn and_if(self, condition: &str, parameter: Option<&impl ToString>) -> Self {
        match parameter {
            Some(parameter) => self.and_with(condition, [text(parameter)]),
            None => self,
        }
    }

    /// Ends with the order and the limit. Returns the text and what fills it.
    pub(crate) fn ordered(mut self, by: &str, limit: i64) -> (String, Vec<Value>) {
        self.text.push_str(" ORDER BY ");
        self.text.push_str(by);
        self.text.push_str(" LIMIT ?");
        self.parameters.push(limit.into());
        (self.text, self.parameters)
    }
}

/// A text to fill a condition.
pub(crate) fn text(value: &impl ToString) -> Value {
    Value::Text(value.to_string())
}
