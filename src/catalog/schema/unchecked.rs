//! The schemas of a build without the feature `schema`. It cannot check a config, so it does not run a runtime that has
//! a schema.

use super::failure::unsupported;
use crate::deadline::Deadline;
use crate::error::{Error, Failure, Result};
use crate::fair::Tenant;
use serde_json::Value;
use std::sync::Arc;

/// Counts nothing, since nothing is compiled.
pub(crate) struct StepBudget {
    pub refused: Option<Error>,
}

impl StepBudget {
    pub fn of_a_catalog() -> Self {
        StepBudget { refused: None }
    }

    pub fn of_an_entry() -> Self {
        StepBudget { refused: None }
    }
}

/// A schema as it was written.
#[derive(Debug)]
pub(crate) struct ConfigSchema(Value);

impl ConfigSchema {
    pub fn compile(json: Value, _steps: &mut StepBudget) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(ConfigSchema(json)))
    }

    pub async fn check(
        self: &Arc<Self>,
        _tenant: Tenant,
        runtime: &str,
        _config: &str,
        _deadline: &Deadline,
    ) -> Result<()> {
        Err(unsupported(runtime))
    }

    pub fn json(&self) -> &Value {
        &self.0
    }
}
