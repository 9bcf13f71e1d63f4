//! Ctrl-C: the first cancels the run, the second ends the program at once.

use crate::exit::Exit;
use signal_hook::consts::SIGINT;
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Whether Ctrl-C was pressed.
#[derive(Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Has a thread call `cancel` after the first Ctrl-C, until it answers that it has cancelled the run: the run may not
    /// have begun yet.
    pub fn cancelling(cancel: impl Fn() -> bool + Send + 'static) -> io::Result<Self> {
        let is_pressed = Arc::new(AtomicBool::new(false));
        // The order matters: the first Ctrl-C finds the flag unset, and sets it.
        flag::register_conditional_shutdown(SIGINT, Exit::Interrupted as i32, is_pressed.clone())?;
        flag::register(SIGINT, is_pressed.clone())?;
        let mut signals = Signals::new([SIGINT])?;
        thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            if signals.forever().next().is_some() {
                while !cancel() {
                    thread::sleep(Duration::from_millis(5));
                }
            }
        })?;
        Ok(Interrupt(is_pressed))
    }

    /// One that nobody presses.
    #[cfg(test)]
    pub fn never() -> Self {
        Interrupt(Arc::default())
    }

    pub fn is_pressed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
