//! The vocabulary: ids, names, states, records, outcomes, the plan.
