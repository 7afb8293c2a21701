//! A collector of traces in Python, as a child process.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running `tests/traces/receiver.py`; killed when dropped.
pub struct Collector {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub url: String,
}

impl Collector {
    /// One that answers with this status.
    pub fn answering(status: u16) -> Self {
        Self::start(&[&status.to_string()])
    }

    /// One for `https://localhost`, with `server.crt` and `server.key` of a folder.
    pub fn over_tls(keys: &Path) -> Self {
        let [certificate, key] =
            ["server.crt", "server.key"].map(|name| keys.join(name).display().to_string());
        let mut collector = Self::start(&["200", &certificate, &key]);
        collector.url = collector.url.replace("http://127.0.0.1", "https://localhost");
        collector
    }

    fn start(arguments: &[&str]) -> Self {
        let receiver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/receiver.py");
        let mut child = Command::new("python3")
            .arg(receiver)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap();
        Self { child, lines, url: format!("http://127.0.0.1:{port}") }
    }

    /// The next batch; waits for it.
    pub fn batch(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().expect("a batch").unwrap()).unwrap()
    }

    /// All that came, once its sender has ended.
    pub fn rest(mut self) -> Vec<Value> {
        let _ = self.child.kill();
        let lines: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
