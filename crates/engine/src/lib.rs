//! Plan, instances, event and time to state and effects: the task graphs of every workflow.
