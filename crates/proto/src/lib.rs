//! Generated messages and stubs from `proto/`, nothing by hand.
#![expect(clippy::all, clippy::pedantic, clippy::allow_attributes, reason = "generated code")]

/// The public API: what people's tools ask of a manager.
pub mod v1 {
    tonic::include_proto!("waggoner.v1");
}

/// What a manager asks of an agent.
pub mod agent {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("waggoner.agent.v1");
    }
}

/// What a plugin's process may ask of its agent.
pub mod plugin {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("waggoner.plugin.v1");
    }
}

/// What an agent's daemon asks of the supervisor of its host's operations.
pub mod supervisor {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("waggoner.supervisor.v1");
    }
}

/// The compiled descriptors of every package, a serialised `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
