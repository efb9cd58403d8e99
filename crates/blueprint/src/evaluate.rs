//! The evaluation of functions at run time, against what the caller stores.

use serde_json::{Map as Object, Value as Json};

use crate::{
    Kind, Refusal,
    function::{
        self,
        context::{Context, Part, Spot},
        evaluate,
        runtime::RunTime,
        scan::{self, Visit},
    },
};

/// Brings what functions ask for.
///
/// A refusal is shown to the user as it is: [`Refusal::new`] makes one. What is not there is
/// refused with [`Kind::Key`], a secret with [`Kind::UnknownSecret`].
pub trait Storage {
    /// The value of an input of the deployment.
    fn input(&self, name: &str) -> Result<Json, Refusal>;

    /// A node as the deployment plan has it: `id`, `properties`, and `relationships` with their
    /// `type_hierarchy` and `target_id`.
    fn node(&self, id: &str) -> Result<Json, Refusal>;

    /// Every instance of a node.
    fn node_instances(&self, node: &str) -> Result<Vec<Json>, Refusal>;

    /// An instance: `id`, `node_id`, `index`, `runtime_properties`, `relationships` with their
    /// `target_name` and `target_id`, and `scaling_groups`.
    fn node_instance(&self, id: &str) -> Result<Json, Refusal>;

    /// The value of a secret.
    fn secret(&self, name: &str) -> Result<String, Refusal>;

    /// The value of `[deployment, capability, key…]`, evaluated.
    fn capability(&self, path: &[Json]) -> Result<Json, Refusal>;

    /// The value of `[group, capability, key…]`, evaluated, of every deployment of a group.
    fn group_capability(&self, _path: &[Json]) -> Result<Json, Refusal> {
        Err(unsupported("get_group_capability"))
    }

    /// The value of `[capability, key…]` of the parent deployment, evaluated.
    fn environment_capability(&self, _path: &[Json]) -> Result<Json, Refusal> {
        Err(unsupported("get_environment_capability"))
    }

    /// The values of a label of the deployment, or the one at an index.
    fn label(&self, _key: &str, _index: Option<usize>) -> Result<Json, Refusal> {
        Err(unsupported("get_label"))
    }

    /// `tenant name`, or `deployment id`, `name`, `blueprint` or `owner`.
    fn system(&self, _entity: &str, _property: &str) -> Result<Json, Refusal> {
        Err(unsupported("get_sys"))
    }

    /// The `ids`, the `names` or the `count` of the deployments that use this one.
    fn consumers(&self, _property: &str) -> Result<Json, Refusal> {
        Err(unsupported("get_consumers"))
    }
}

/// Where a value stands at run time: what SELF, SOURCE and TARGET mean. All are instance ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Outside of every node.
    #[default]
    Deployment,
    /// A property or an operation's input of an instance.
    Instance(String),
    /// An operation's input of a relationship between two instances.
    Relationship { source: String, target: String },
}

/// Evaluates every function in a value. `path` names the value in errors.
pub fn evaluate(
    value: Json,
    scope: &Scope,
    path: &str,
    storage: &dyn Storage,
) -> Result<Json, Refusal> {
    let spot = scope.spot(path);
    evaluate::value(&mut RunTime::new(storage), value, &spot)
}

/// Evaluates the values of some outputs: an attribute that cannot be found is told in its
/// value, and an output of a secret that is not there is left out.
///
/// `outputs` is the plan's section: name to `{value, description}`.
pub fn evaluate_outputs(
    outputs: &Json,
    storage: &dyn Storage,
) -> Result<Object<String, Json>, Refusal> {
    let context = Context { is_output: true, ..Context::default() };
    evaluate_values(outputs, storage, &Spot::new(Part::Elsewhere, context, "outputs".to_owned()))
}

/// Evaluates the values of some capabilities; one of a secret that is not there is left out.
pub fn evaluate_capabilities(
    capabilities: &Json,
    storage: &dyn Storage,
) -> Result<Object<String, Json>, Refusal> {
    let path = "capabilities".to_owned();
    evaluate_values(capabilities, storage, &Spot::new(Part::Elsewhere, Context::default(), path))
}

/// Evaluates the properties of a node. Where it has several instances, `instance` is meant.
pub fn evaluate_node(
    node: &mut Json,
    instance: Option<&str>,
    storage: &dyn Storage,
) -> Result<(), Refusal> {
    struct InPlace<'v, 's>(RunTime<'s>, Option<&'v str>);

    impl Visit for InPlace<'_, '_> {
        fn visit(&mut self, values: &mut Json, spot: &Spot) -> Result<bool, Refusal> {
            let mut spot = spot.clone();
            spot.context.preferred_instance = self.1.map(str::to_owned);
            evaluate::children(&mut self.0, values, &spot).map(|()| false)
        }
    }

    scan::node(node, &mut InPlace(RunTime::new(storage), instance))
}

/// Follows the keys of a capability's path, from the third on, into its value: what a
/// [`Storage::capability`] does with the value it found.
pub fn nested_value(value: &Json, keys: &[Json]) -> Result<Json, Refusal> {
    function::follow(value, keys)
}

fn evaluate_values(
    section: &Json,
    storage: &dyn Storage,
    spot: &Spot,
) -> Result<Object<String, Json>, Refusal> {
    let mut values = Object::new();
    let mut run = RunTime::new(storage);
    for (name, entry) in section.as_object().into_iter().flatten() {
        let value = &entry["value"];
        let secret = value.get("get_secret").map(|arguments| arguments.get(0).unwrap_or(arguments));
        if let Some(Err(refusal)) = secret.and_then(Json::as_str).map(|name| storage.secret(name)) {
            if refusal.kind == Kind::UnknownSecret {
                continue;
            }
            return Err(refusal);
        }
        values.insert(name.clone(), evaluate::value(&mut run, value.clone(), &spot.key(name))?);
    }
    Ok(values)
}

fn unsupported(function: &str) -> Refusal {
    let message = format!("`{function}` cannot be evaluated here");
    Refusal::new(Kind::FunctionEvaluation, message)
}

// === impl Scope ===

impl Scope {
    fn spot(&self, path: &str) -> Spot {
        let (part, context) = match self.clone() {
            Self::Deployment => (Part::Elsewhere, Context::default()),
            Self::Instance(id) => {
                (Part::Node, Context { self_instance: Some(id), ..Context::default() })
            }
            Self::Relationship { source, target } => {
                let (source_instance, target_instance) = (Some(source), Some(target));
                let context = Context { source_instance, target_instance, ..Context::default() };
                (Part::Relationship, context)
            }
        };
        Spot::new(part, context, path.to_owned())
    }
}
