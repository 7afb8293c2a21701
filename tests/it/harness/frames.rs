//! HTTP/2 by the frame (RFC 9113 §4), for clients that no library would be.

use super::secure::{Certificate, connect};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// The kinds of frames that tests know (RFC 9113 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Data = 0,
    Headers = 1,
    Reset = 3,
    Settings = 4,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

impl Kind {
    fn of(byte: u8) -> Self {
        use Kind::{Continuation, Data, GoAway, Headers, Ping, Reset, Settings, WindowUpdate};
        [Data, Headers, Reset, Settings, Ping, GoAway, WindowUpdate, Continuation]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .unwrap_or_else(|| panic!("a frame of kind {byte}"))
    }
}

/// A frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: Kind,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a RST_STREAM or GOAWAY (RFC 9113 §7).
    pub fn code(&self) -> u32 {
        assert!([Kind::GoAway, Kind::Reset].contains(&self.kind), "{self:?}");
        let at = if self.kind == Kind::GoAway { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

impl Frame {
    /// The status of an answer's first frame; 0 if it is not one of RFC 7541's table.
    pub fn status(&self) -> u16 {
        assert_eq!(self.kind, Kind::Headers, "{self:?}");
        match self.payload[0] {
            0x88 => 200,
            0x8c => 400,
            0x8d => 404,
            _ => 0,
        }
    }
}

/// Fields of a request for a page.
pub const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":path", "/health/live"), (":authority", "localhost")];

/// Fields of a login whose body is still to come.
pub const LOGIN: &[(&str, &str)] = &[
    (":method", "POST"),
    (":scheme", "https"),
    (":path", "/login"),
    (":authority", "localhost"),
    ("content-type", "application/json"),
];

/// A header block: each field as it stands, in no table (RFC 7541 §6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            // An integer of a 7-bit prefix (RFC 7541 §5.1).
            match text.len().checked_sub(127) {
                None => bytes.push(u8::try_from(text.len()).unwrap()),
                Some(mut rest) => {
                    bytes.push(127);
                    while rest >= 128 {
                        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                        rest /= 128;
                    }
                    bytes.push(u8::try_from(rest).unwrap());
                }
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// A connection that carries any frames.
pub struct Frames {
    stream: TlsStream<TcpStream>,
    /// What was read and is no whole frame yet: a test may give up waiting.
    heard: Vec<u8>,
}

impl Frames {
    /// After the preface, with these settings of the client (RFC 9113 §6.5.2).
    pub async fn to(address: SocketAddr, certificate: &Certificate, settings: &[(u16, u32)]) -> Self {
        let stream = connect(address, certificate.client(&["h2"])).await.unwrap();
        let mut new = Self { stream, heard: Vec::new() };
        new.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let pairs = settings.iter().map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
        new.send(Kind::Settings, 0, 0, &pairs.collect::<Vec<_>>().concat()).await;
        new
    }

    /// Sends bytes. That the server has closed the connection meanwhile is no fault of the test.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    pub async fn send(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind as u8, flags], &stream.to_be_bytes()].concat();
        self.raw(&[&head, payload].concat()).await;
    }

    /// A request without a body.
    pub async fn ask(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.send(Kind::Headers, 0x5, stream, &block(fields)).await;
    }

    /// The next frame; nothing after the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        timeout(Duration::from_secs(20), self.read()).await.expect("a frame or the end within 20 seconds")
    }

    async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(head) = self.heard.first_chunk::<9>() {
                let end = 9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                if self.heard.len() >= end {
                    let frame: Vec<u8> = self.heard.drain(..end).collect();
                    let stream = u32::from_be_bytes(frame[5..9].try_into().unwrap()) & 0x7fff_ffff;
                    let payload = frame[9..].to_vec();
                    return Some(Frame { kind: Kind::of(frame[3]), flags: frame[4], stream, payload });
                }
            }
            if self.stream.read_buf(&mut self.heard).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// The next frame that this is true of; nothing if the connection ends first. Settings and pings are acknowledged
    /// on the way, as any client does.
    pub async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            let is_asked = frame.flags & 1 == 0;
            match frame.kind {
                Kind::Settings if is_asked => self.send(Kind::Settings, 1, 0, &[]).await,
                Kind::Ping if is_asked => self.send(Kind::Ping, 1, 0, &frame.payload).await,
                _ => {}
            }
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }
}
