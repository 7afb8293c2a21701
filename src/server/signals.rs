//! The operator's signals to stop: SIGTERM and SIGINT.

use tokio::signal::unix::{self, SignalKind, signal};

/// A signal to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, of a supervisor.
    Terminate,
    /// SIGINT, of a person.
    Interrupt,
}

/// Receives the signals from its making on, so that none is missed during the start.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    /// Begins to receive.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn receive() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}
