//! The evaluation of nested functions: children first, then the value itself, again and again
//! until nothing changes, within a bound.

use serde_json::Value as Json;

use super::{call::Call, context::Spot};
use crate::{Kind, Refusal};

/// How deep values and functions may nest, and how many functions may lead to one value
/// (`dsl_parser` bounds the former only).
const MOST: usize = 50;

/// Evaluates single calls; the nesting is [`value`]'s.
pub(crate) trait Evaluate {
    /// Evaluates a call whose arguments are evaluated as far as they can be. `raw` is the value
    /// that calls. What the result holds is evaluated in `spot`, which may be changed.
    fn call(&mut self, call: &Call, raw: &Json, spot: &mut Spot) -> Result<Json, Refusal>;

    /// What the evaluation has cost so far.
    fn effort(&mut self) -> &mut Effort;
}

/// The cost of an evaluation: values that hold each other twice double with every step.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    depth: usize,
    /// About how many bytes the results of functions had.
    bytes: usize,
}

/// The most bytes of results in one evaluation: of a plan, or of a value at run time.
const MOST_BYTES: usize = 64 << 20;

/// Evaluates a value and all it holds.
pub(crate) fn value(
    evaluator: &mut dyn Evaluate,
    value: Json,
    spot: &Spot,
) -> Result<Json, Refusal> {
    if evaluator.effort().depth >= MOST {
        return Err(too_deep(spot));
    }
    evaluator.effort().depth += 1;
    let result = nested(evaluator, value, spot);
    evaluator.effort().depth -= 1;
    result
}

/// Evaluates the entries of a container, which is not a value itself.
pub(crate) fn children(
    evaluator: &mut dyn Evaluate,
    container: &mut Json,
    spot: &Spot,
) -> Result<(), Refusal> {
    match container {
        Json::Object(object) => {
            for (key, child) in object {
                if may_hold_function(child) {
                    *child = value(evaluator, child.take(), &spot.key(key))?;
                }
            }
        }
        Json::Array(items) => {
            for (index, child) in items.iter_mut().enumerate() {
                if may_hold_function(child) {
                    *child = value(evaluator, child.take(), &spot.index(index))?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn nested(evaluator: &mut dyn Evaluate, value: Json, spot: &Spot) -> Result<Json, Refusal> {
    let mut value = value;
    let mut spot = spot.clone();
    for turn in 0..=MOST {
        children(evaluator, &mut value, &spot)?;
        let Some(call) = Call::parse(&value)? else { return Ok(value) };
        let result = evaluator.call(&call, &value, &mut spot)?;
        evaluator.effort().bytes += size(&result);
        if evaluator.effort().bytes > MOST_BYTES {
            let message = format!("`{}` makes values of more than {MOST_BYTES} bytes", spot.path);
            return Err(Refusal::new(Kind::RecursionLimit, message));
        }
        if turn > 0 && result == value {
            return Ok(result);
        }
        value = result;
    }
    Err(too_deep(&spot))
}

/// About how many bytes a value has.
fn size(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(size).sum::<usize>() + 8,
        Json::Object(object) => {
            object.iter().map(|(key, value)| key.len() + size(value)).sum::<usize>() + 8
        }
        _ => 8,
    }
}

fn may_hold_function(value: &Json) -> bool {
    matches!(value, Json::Object(_) | Json::Array(_))
}

fn too_deep(spot: &Spot) -> Refusal {
    let message = format!("`{}` takes more than {MOST} steps to evaluate: a cycle?", spot.path);
    Refusal::new(Kind::RecursionLimit, message)
}
