//! Calls that are profiled.

use super::profiler::Profiler;
use super::script_executor::{CallOptions, ScriptExecutor};
use crate::error::Result;
use crate::panics::catch;
use crate::protocol::{RuntimeInput, RuntimeOutput};

impl ScriptExecutor {
    /// Runs a runtime as [`execute_runtime_with`](Self::execute_runtime_with) does, and samples its guest's stack
    /// meanwhile. The samples are `profiler`'s, whatever the result is.
    ///
    /// The guest runs in a pool of its own, into which its module is loaded anew; other calls are as ever.
    ///
    /// # Errors
    /// Those of [`execute_runtime`](Self::execute_runtime).
    pub fn profile_runtime(
        &self,
        name: &str,
        input: &RuntimeInput<'_>,
        options: &CallOptions<'_>,
        profiler: &Profiler,
    ) -> Result<RuntimeOutput> {
        catch(|| self.execute(name, input, options, Some(profiler)))
    }
}
