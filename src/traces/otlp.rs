//! A batch of spans as collectors take it: OTLP 1.x, `ExportTraceServiceRequest`, in Protocol Buffers or JSON.
//! Written by hand: few messages, none of them read.

use super::{Span, Value};
use serde_json::json;

/// The scope of all spans.
const SCOPE: &str = env!("CARGO_PKG_NAME");

/// `Status.STATUS_CODE_ERROR`.
const FAILED: u64 = 2;

/// In JSON.
pub fn json(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let attribute = |(key, value): &(&'static str, Value)| match value {
        Value::Text(value) => text(key, value),
        Value::Number(number) => json!({"key": key, "value": {"intValue": number.to_string()}}),
    };
    let span = |span: &Span| {
        json!({
            "traceId": span.trace.to_string(),
            "spanId": span.id.to_string(),
            "parentSpanId": span.parent.map(|id| id.to_string()).unwrap_or_default(),
            "traceState": span.state,
            "flags": flags(span),
            "name": span.name,
            "kind": span.kind as u8,
            "startTimeUnixNano": span.began.to_string(),
            "endTimeUnixNano": span.ended.to_string(),
            "attributes": span.attributes.iter().map(attribute).collect::<Vec<_>>(),
            "status": if span.failed { json!({"code": FAILED}) } else { json!({}) },
        })
    };
    let resource: Vec<_> = resource.iter().map(|(key, value)| text(key, value)).collect();
    let batch = json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": SCOPE, "version": env!("CARGO_PKG_VERSION")},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]});
    batch.to_string().into_bytes()
}

/// In Protocol Buffers; numbers are those of `opentelemetry/proto/trace/v1/trace.proto`.
pub fn protobuf(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let mut scoped = Message::default();
    let scope = Message::default().text(1, SCOPE).text(2, env!("CARGO_PKG_VERSION"));
    scoped = scoped.message(1, &scope);
    for span in spans {
        scoped = scoped.message(2, &message(span));
    }
    let resource = resource.iter().fold(Message::default(), |resource, (key, value)| {
        resource.message(1, &pair(key, &Value::Text(value.clone())))
    });
    let spans = Message::default().message(1, &resource).message(2, &scoped);
    Message::default().message(1, &spans).0
}

fn message(span: &Span) -> Message {
    let parent = span.parent.map(|id| id.0);
    let mut message = Message::default()
        .bytes(1, &span.trace.0)
        .bytes(2, &span.id.0)
        .text(3, &span.state)
        .bytes(4, parent.as_ref().map_or(&[], |id| id.as_slice()))
        .text(5, &span.name)
        .number(6, span.kind as u64)
        .fixed64(7, span.began)
        .fixed64(8, span.ended);
    for (key, value) in &span.attributes {
        message = message.message(9, &pair(key, value));
    }
    if span.failed {
        message = message.message(15, &Message::default().number(3, FAILED));
    }
    message.fixed32(16, flags(span))
}

fn pair(key: &str, value: &Value) -> Message {
    let value = match value {
        Value::Text(text) => Message::default().bytes_even_empty(1, text.as_bytes()),
        Value::Number(number) => Message::default().number_even_zero(3, number.cast_unsigned()),
    };
    Message::default().text(1, key).message(2, &value)
}

/// Sampled, and whether it is known where the parent is (`SpanFlags`).
fn flags(span: &Span) -> u32 {
    let remote = if span.parent_is_remote { 0x200 } else { 0 };
    0x101 | remote
}

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, mut number: u64) -> Self {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                self.0.push(low & 0x7f);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }

    fn key(self, field: u64, wire: u64) -> Self {
        self.varint(field << 3 | wire)
    }

    fn bytes_even_empty(self, field: u64, bytes: &[u8]) -> Self {
        let mut written = self.key(field, 2).varint(u64::try_from(bytes.len()).unwrap_or(0));
        written.0.extend_from_slice(bytes);
        written
    }

    /// What is empty is left out.
    fn bytes(self, field: u64, bytes: &[u8]) -> Self {
        if bytes.is_empty() { self } else { self.bytes_even_empty(field, bytes) }
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes_even_empty(field, &message.0)
    }

    fn number_even_zero(self, field: u64, number: u64) -> Self {
        self.key(field, 0).varint(number)
    }

    fn number(self, field: u64, number: u64) -> Self {
        if number == 0 { self } else { self.number_even_zero(field, number) }
    }

    fn fixed64(self, field: u64, number: u64) -> Self {
        let mut written = self.key(field, 1);
        written.0.extend_from_slice(&number.to_le_bytes());
        written
    }

    fn fixed32(self, field: u64, number: u32) -> Self {
        let mut written = self.key(field, 5);
        written.0.extend_from_slice(&number.to_le_bytes());
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_the_format_has_them() {
        assert_eq!(Message::default().varint(0).0, [0]);
        assert_eq!(Message::default().varint(300).0, [0xac, 0x02]);
        assert_eq!(Message::default().varint(u64::MAX).0.len(), 10);
        assert_eq!(Message::default().number(3, 150).0, [0x18, 0x96, 0x01]);
        assert_eq!(Message::default().text(2, "testing").0, b"\x12\x07testing");
        assert_eq!(Message::default().fixed32(16, 1).0, [0x85, 0x01, 1, 0, 0, 0]);
    }
}
