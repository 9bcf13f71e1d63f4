//! Wraps a WASI preview 1 command as a component, which imports WASI 0.2: a tool of `build.sh`, and no runtime.
//!
//!     componentize module.wasm component.wasm

use std::error::Error;
use std::{env, fs};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [module, component] = arguments.as_slice() else {
        return Err("usage: componentize module.wasm component.wasm".into());
    };
    let encoder = ComponentEncoder::default().validate(true).module(&fs::read(module)?)?;
    let adapter = WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
    let bytes = encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)?.encode()?;
    Ok(fs::write(component, bytes)?)
}
