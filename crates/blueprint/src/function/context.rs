//! Where a value stands, which decides what SELF, SOURCE and TARGET mean.

/// The part of a plan that holds the value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Part {
    #[default]
    Elsewhere,
    Node,
    Relationship,
    Outputs,
    Policies,
    ScalingGroups,
    Capabilities,
    Labels,
    DeploymentSettings,
}

/// What the words for "this one" stand for. At plan time these are nodes, at run time
/// instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    /// The node, or the source of the relationship.
    pub(crate) node: Option<String>,
    /// The target of the relationship.
    pub(crate) target_node: Option<String>,
    pub(crate) relationship_type: Option<String>,
    /// Whether the value is an input of an operation.
    pub(crate) in_operation: bool,
    pub(crate) self_instance: Option<String>,
    pub(crate) source_instance: Option<String>,
    pub(crate) target_instance: Option<String>,
    /// The instance to prefer where a node has several.
    pub(crate) preferred_instance: Option<String>,
    /// Whether a missing attribute is told in the value instead of refused.
    pub(crate) is_output: bool,
}

/// The place of a value: its part, its context, and the way to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spot {
    pub(crate) part: Part,
    pub(crate) context: Context,
    pub(crate) path: String,
}

// === impl Context ===

impl Context {
    /// The context of a value that belongs to a node.
    pub(crate) fn of_node(name: &str) -> Self {
        Self { node: Some(name.to_owned()), ..Self::default() }
    }
}

// === impl Spot ===

impl Spot {
    pub(crate) fn new(part: Part, context: Context, path: String) -> Self {
        Self { part, context, path }
    }

    /// The place of an entry of the value.
    pub(crate) fn key(&self, key: &str) -> Self {
        Self { path: format!("{}.{key}", self.path), ..self.clone() }
    }

    /// The place of an item of the value.
    pub(crate) fn index(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), ..self.clone() }
    }
}
