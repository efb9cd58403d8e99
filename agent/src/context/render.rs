//! Jinja2 templates in resources.

use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value};

/// Renders a template as Cloudify does (`cloudify/endpoint.py`): only when there are variables, and
/// only a text that has the marks of a template. `ctx` is what `{{ ctx }}` shows.
pub(super) fn render(
    text: String,
    variables: Option<Map<String, Value>>,
    ctx: Value,
) -> Result<String, minijinja::Error> {
    let marked = ["{{", "{#", "{%"].iter().any(|mark| text.contains(mark));
    let Some(mut variables) = variables.filter(|variables| marked && !variables.is_empty()) else {
        return Ok(text);
    };
    variables.insert("ctx".to_owned(), ctx);
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.render_str(&text, variables)
}

/// How many instructions a template may take: some seconds' worth.
const FUEL: u64 = 50_000_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(text: &str, variables: Value) -> String {
        let Value::Object(variables) = variables else { panic!("variables are an object") };
        let ctx = json!({"node": {"properties": {"port": 80}}});
        render(text.to_owned(), Some(variables), ctx).unwrap()
    }

    #[test]
    fn a_template_sees_its_variables_and_ctx() {
        let text =
            "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{{ ctx.node.properties.port }}";
        assert_eq!(rendered(text, json!({"d": {"a": 1, "b": 2}})), "a=1;b=2;80");
        assert_eq!(rendered("[{{ missing }}]", json!({"a": 1})), "[]");
    }

    #[test]
    fn what_is_no_template_or_has_no_variables_stays_as_it_is() {
        assert_eq!(rendered("a { b }\n", json!({"a": 1})), "a { b }\n");
        assert_eq!(rendered("{{ a }}", json!({})), "{{ a }}");
        assert_eq!(render("{{ a }}".to_owned(), None, Value::Null).unwrap(), "{{ a }}");
    }

    #[test]
    fn a_template_without_end_is_stopped() {
        let text = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
        let variables = json!({"a": 1}).as_object().cloned();
        assert!(render(text.to_owned(), variables, Value::Null).is_err());
    }
}
