//! The real program as a child process.

use super::postgres::{statement_notes, url_of};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// A running `claviger serve`; killed when dropped.
pub struct Program {
    pub child: Child,
    pub address: SocketAddr,
    pub url: String,
    /// A file, since a pipe that nobody empties would stop the server.
    log: NamedTempFile,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Program {
    /// `claviger` with these arguments, free of this process's own settings.
    pub fn command(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claviger"));
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("CLAVIGER_") || name.starts_with("OTEL_"))
        {
            command.env_remove(name);
        }
        command.env("NOTE_STATEMENTS", statement_notes());
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// The variable that names the database of a data folder, where it is not inside.
    pub fn database(data_dir: &Path) -> Option<(&'static str, String)> {
        url_of(data_dir).map(|url| ("CLAVIGER_DATABASE_URL", url))
    }

    /// Starts a server on `data_dir` and a free port; returns when it accepts connections.
    pub fn serve(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::serve_by(Self::command(&[]), data_dir, arguments)
    }

    /// The same by a prepared command, such as one with variables.
    pub fn serve_by(command: Command, data_dir: &Path, arguments: &[&str]) -> Self {
        let mut program = Self::spawn(command, data_dir, free_port(), arguments);
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(program.address).is_err() {
            let ended = program.child.try_wait().unwrap().is_some();
            assert!(!ended && Instant::now() < until, "the server does not start: {}", program.log_text());
            std::thread::sleep(Duration::from_millis(5));
        }
        program
    }

    /// A server that must refuse to start: its exit code and what it says.
    pub fn refusal(command: Command, data_dir: &Path, port: u16, arguments: &[&str]) -> (i32, String) {
        let mut program = Self::spawn(command, data_dir, port, arguments);
        let status = program.wait(Duration::from_secs(10));
        (status.code().unwrap(), program.log_text())
    }

    fn spawn(mut command: Command, data_dir: &Path, port: u16, arguments: &[&str]) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let log = NamedTempFile::new().unwrap();
        command.envs(Self::database(data_dir));
        let child = command
            .args(["serve", "--listen", &address.to_string(), "--data-dir", data_dir.to_str().unwrap()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        Self { child, address, url: format!("http://{address}"), log }
    }

    /// Sends a signal by its name, such as `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end; fails after `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the server does not end: {}", self.log_text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it as an operator does, and gives the lines of its log.
    pub fn stop(&mut self) -> Vec<String> {
        self.signal("TERM");
        assert!(self.wait(Duration::from_secs(10)).success(), "{}", self.log_text());
        self.log()
    }

    /// The lines of its log up to now.
    pub fn log(&self) -> Vec<String> {
        self.log_text().lines().map(str::to_owned).collect()
    }

    fn log_text(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
