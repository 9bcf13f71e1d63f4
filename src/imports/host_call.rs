//! The imports by which a guest calls host functions.
//!
//! - A module has two: `arawn.host_call` sends the request and returns the length of the reply, and `arawn.host_reply`
//!   copies the reply into the guest's memory.
//! - A component has the interface of `runtimes/wit/host.wit`.

use crate::deadline::Stop;
use crate::error::{Error, printable};
use crate::host_functions::Question;
use crate::memory;
use crate::reply::error_reply;
use crate::sandbox::{Guest, Sandbox};
use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use wasmtime::{Caller, Linker, Result, Trap};

const MODULE: &str = "arawn";
#[cfg(feature = "components")]
pub(super) const INTERFACE: &str = "arawn:host/functions";

/// The most bytes of a name. No granted name is longer.
const MOST_NAME_BYTES: usize = 128;
const NAME_TOO_LONG: &str = "its name has more than 128 bytes";
const REQUEST_TOO_LONG: &str = "the request is longer than `output_bytes`";

/// What `host_reply` returns if there is no reply to copy.
const NOTHING: i32 = -1;

impl Sandbox {
    /// Calls a host function and returns the text of the reply, which also reports failures. The call may wait for the
    /// host without holding a thread. `Err` only says that the call must end.
    pub(crate) fn host_call(
        &mut self,
        (name, request): NamedRequest,
    ) -> impl Future<Output = Result<String, Stop>> + Send + 'static {
        let (policy, deadline, question) = (self.policy.clone(), self.deadline.clone(), Question::new(name));
        self.question = Some(question.clone());
        async move { policy.functions.call(&question, request, &deadline).await }
    }

    /// Why a name or a request of this length is refused before it is copied.
    fn too_long(&self, name: &[u8], request: &[u8]) -> Option<&'static str> {
        if name.len() > MOST_NAME_BYTES {
            return Some(NAME_TOO_LONG);
        }
        (request.len() > self.host_request_bytes).then_some(REQUEST_TOO_LONG)
    }

    /// Keeps a reply for `host_reply`, and returns its length.
    fn keep_reply(&mut self, reply: String) -> i32 {
        self.question = None;
        let reply = match i32::try_from(reply.len()) {
            Ok(_) => reply,
            Err(_) => refused("", "the reply has more than 2 GiB"),
        };
        let len = reply.len() as i32;
        self.host_reply = Some(reply);
        len
    }
}

fn refused(name: &str, message: &str) -> String {
    error_reply(&Error::HostFunctionFailed { name: name.to_owned(), message: message.to_owned() })
}

/// The imports for guests to which no function is granted. Every call gets an error reply.
pub(crate) fn add_to_linker(linker: &mut Linker<Sandbox>) -> Result<()> {
    linker.func_wrap(MODULE, "host_reply", host_reply)?;
    linker.func_wrap(
        MODULE,
        "host_call",
        |mut caller: Caller<'_, Sandbox>, name: u32, name_len: u32, request: u32, request_len: u32| {
            let asked = asked(&mut caller, name, name_len, request, request_len)?;
            let sandbox = caller.data_mut();
            let reply = match asked {
                Ok((name, request)) => match sandbox.policy.functions.check(&name, &request) {
                    Ok(()) => refused(&name, "it cannot be called from here"),
                    Err(error) => error_reply(&error),
                },
                Err(reply) => reply,
            };
            Ok(sandbox.keep_reply(reply))
        },
    )?;
    Ok(())
}

/// The imports for guests whose host calls may wait.
pub(crate) fn let_wait(linker: &mut Linker<Sandbox>) -> Result<()> {
    linker.func_wrap(MODULE, "host_reply", host_reply)?;
    linker.func_wrap_async(
        MODULE,
        "host_call",
        |mut caller: Caller<'_, Sandbox>, (name, name_len, request, request_len): (u32, u32, u32, u32)| {
            Box::new(async move {
                let reply = match asked(&mut caller, name, name_len, request, request_len)? {
                    Ok(asked) => caller.data_mut().host_call(asked).await?,
                    Err(reply) => reply,
                };
                Ok(caller.data_mut().keep_reply(reply))
            })
        },
    )?;
    Ok(())
}

/// The imports for components.
#[cfg(feature = "components")]
pub(super) fn add_to_component_linker(linker: &mut wasmtime::component::Linker<Sandbox>) -> Result<()> {
    use wasmtime::component::WasmStr;
    linker.instance(INTERFACE)?.func_wrap_async("call", |mut store, (name, request): (WasmStr, WasmStr)| {
        Box::new(async move {
            store.data_mut().begin_host_call()?;
            let asked = {
                let (name, request) = (name.to_str(&store)?, request.to_str(&store)?);
                match store.data().too_long(name.as_bytes(), request.as_bytes()) {
                    Some(NAME_TOO_LONG) => Err(refused("", NAME_TOO_LONG)),
                    Some(why) => Err(refused(&name, why)),
                    None => named(&name, request),
                }
            };
            match asked {
                Ok(asked) => {
                    let reply = store.data_mut().host_call(asked).await?;
                    store.data_mut().question = None;
                    Ok((reply,))
                }
                Err(reply) => Ok((reply,)),
            }
        })
    })
}

/// The name of a host function, and the request to it.
type NamedRequest = (String, Arc<String>);

/// The name and a copy of the request, or an error reply if the system has no memory for the copy.
fn named(name: &str, request: Cow<'_, str>) -> Result<NamedRequest, String> {
    let request = memory::owned("a request to a host function", request).map_err(|error| error_reply(&error))?;
    Ok((name.to_owned(), Arc::new(request)))
}

/// Reads the name and the request from the guest's memory, or returns an error reply if they are too long or not UTF-8.
/// A range outside the memory is a trap.
fn asked(
    caller: &mut Caller<'_, Sandbox>,
    name: u32,
    name_len: u32,
    request: u32,
    request_len: u32,
) -> Result<Result<NamedRequest, String>> {
    let Guest { memory, sandbox } = Guest::of(caller)?;
    sandbox.refuse_in_snapshot("has called a host function")?;
    let bytes = |at: u32, len: u32| memory.get(at as usize..at as usize + len as usize).ok_or(Trap::MemoryOutOfBounds);
    let (name, request) = (bytes(name, name_len)?, bytes(request, request_len)?);
    let too_long = sandbox.too_long(name, request);
    if too_long == Some(NAME_TOO_LONG) {
        return Ok(Err(refused("", NAME_TOO_LONG)));
    }
    let Ok(name) = simdutf8::basic::from_utf8(name) else {
        return Ok(Err(refused(&printable(&String::from_utf8_lossy(name)), "its name is not UTF-8")));
    };
    if let Some(why) = too_long {
        return Ok(Err(refused(name, why)));
    }
    sandbox.spend(request.len())?;
    match simdutf8::basic::from_utf8(request) {
        Ok(request) => Ok(named(name, Cow::Borrowed(request))),
        Err(_) => Ok(Err(refused(name, "the request is not UTF-8"))),
    }
}

/// Copies the reply to the guest and forgets it, if it fits into the buffer. Returns the reply's length in either case.
fn host_reply(mut caller: Caller<'_, Sandbox>, buffer: u32, capacity: u32) -> Result<i32> {
    let Guest { memory, sandbox } = Guest::of(&mut caller)?;
    let Some(len) = sandbox.host_reply.as_ref().map(String::len) else { return Ok(NOTHING) };
    if len <= capacity as usize {
        sandbox.spend(len)?;
        let place = memory.get_mut(buffer as usize..buffer as usize + len).ok_or(Trap::MemoryOutOfBounds)?;
        place.copy_from_slice(sandbox.host_reply.take().unwrap_or_default().as_bytes());
    }
    Ok(len as i32)
}
