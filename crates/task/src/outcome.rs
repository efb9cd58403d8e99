//! What a task may end with: nothing, or a result without a value.

use std::{convert::Infallible, error::Error};

/// Any failure of a task, with its causes.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// How a task ended. `()` is a task that cannot fail, [`Infallible`] one that never ends by itself.
pub trait Outcome: Send + 'static {
    fn into_result(self) -> Result<(), BoxError>;
}

// === impl Outcome ===

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl Outcome for Infallible {
    fn into_result(self) -> Result<(), BoxError> {
        match self {}
    }
}

impl<E> Outcome for Result<(), E>
where
    E: Into<BoxError> + Send + 'static,
{
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}
