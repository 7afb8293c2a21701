//! HTTP/2 as no library would speak it: what two readers could read in two ways is refused, and floods end the
//! connection that they come on.

use crate::harness::{Certificate, Frame, Frames, GET, Kind, LOGIN, Secure, TestApp, block};

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

async fn start() -> (Certificate, TestApp) {
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[]).await;
    (certificate, app)
}

/// Fields after those of `GET`.
fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [GET, more].concat()
}

/// Fields of `GET` in which one is another.
fn but<'a>(name: &str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let kept = GET.iter().filter_map(|(own, old)| match value {
        _ if *own != name => Some((*own, *old)),
        value => value.map(|value| (*own, value)),
    });
    kept.collect()
}

fn is_end(frame: &Frame) -> bool {
    matches!(frame.kind, Kind::Headers | Kind::Reset | Kind::GoAway)
}

#[tokio::test]
async fn checklist_89_what_could_be_read_in_two_ways_is_refused() {
    let (certificate, app) = start().await;
    let requests = [
        with(&[("transfer-encoding", "chunked")]),
        with(&[("connection", "close")]),
        with(&[("connection", "x-request-id")]),
        with(&[("keep-alive", "timeout=5")]),
        with(&[("proxy-connection", "keep-alive")]),
        with(&[("upgrade", "h2c")]),
        with(&[("te", "gzip")]),
        with(&[("X-Upper", "y")]),
        with(&[("x y", "z")]),
        with(&[("x:y", "z")]),
        with(&[("", "z")]),
        with(&[("x\r\ny", "z")]),
        with(&[("x", "y\r\ntransfer-encoding: chunked")]),
        with(&[("x", "y\ntoken: z")]),
        with(&[("x", "y\0z")]),
        with(&[("content-length", "5")]),
        with(&[("content-length", "0"), ("content-length", "5")]),
        with(&[("content-length", "-1")]),
        with(&[(":path", "/docs")]),
        with(&[(":authority", "localhost")]),
        with(&[("x", "y"), (":path", "/docs")]),
        with(&[(":status", "200")]),
        with(&[(":unknown", "x")]),
        but(":path", Some("")),
        but(":path", None),
        but(":method", None),
        but(":method", Some("GE T")),
        but(":scheme", None),
        but(":path", Some("/docs HTTP/1.1\r\nhost: x")),
        but(":authority", Some("local host")),
    ];
    for fields in requests {
        let mut client = Frames::to(app.address(), &certificate, &[]).await;
        client.ask(1, &fields).await;
        let end = client.until(is_end).await.unwrap_or_else(|| panic!("{fields:?}: nothing"));
        let is_refused = end.kind == Kind::Headers && end.status() == 400;
        assert!(
            is_refused || (end.kind != Kind::Headers && end.code() == PROTOCOL_ERROR),
            "{fields:?}: {end:?}"
        );
    }
    // A body that is not as long as was said.
    for (length, data) in [("1", "{}"), ("3", "{}")] {
        let mut client = Frames::to(app.address(), &certificate, &[]).await;
        let fields = [LOGIN, &[("content-length", length)]].concat();
        client.send(Kind::Headers, 4, 1, &block(&fields)).await;
        client.send(Kind::Data, 1, 1, data.as_bytes()).await;
        let end = client.until(is_end).await.unwrap();
        let is_refused = end.kind == Kind::Headers && end.status() == 400;
        assert!(
            is_refused || (end.kind != Kind::Headers && end.code() == PROTOCOL_ERROR),
            "{length}: {end:?}"
        );
    }
    let mut client = Frames::to(app.address(), &certificate, &[]).await;
    client.ask(1, &with(&[("te", "trailers"), ("content-length", "0")])).await;
    assert_eq!(client.until(is_end).await.unwrap().status(), 200, "what is clear is answered");
}

#[tokio::test]
async fn rfc9113_section_8_3_1_a_request_has_one_authority() {
    let (certificate, app) = start().await;
    for (fields, status) in [
        (with(&[]), 200),
        (with(&[("host", "localhost")]), 200),
        (with(&[("host", "LocalHost")]), 200),
        ([&but(":authority", None)[..], &[("host", "localhost")]].concat(), 200),
        (with(&[("host", "other")]), 400),
        (with(&[("host", "localhost:443")]), 400),
        (with(&[("host", "localhost"), ("host", "localhost")]), 400),
        (but(":authority", None), 400),
        (but(":authority", Some("someone@localhost")), 400),
    ] {
        for path in ["/health/live", "/.well-known/jwks.json"] {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (*name, if *name == ":path" { path } else { *value }))
                .collect();
            let mut client = Frames::to(app.address(), &certificate, &[]).await;
            client.ask(1, &fields).await;
            assert_eq!(client.until(is_end).await.unwrap().status(), status, "{fields:?}");
        }
    }
}

#[tokio::test]
async fn connect_and_other_methods_are_no_way_around() {
    let (certificate, app) = start().await;
    let connect = [(":method", "CONNECT"), (":authority", "example.org:443")];
    let asterisk =
        [(":method", "OPTIONS"), (":scheme", "https"), (":path", "*"), (":authority", "localhost")];
    let trace = but(":method", Some("TRACE"));
    for fields in [&connect[..], &asterisk, &trace] {
        let mut client = Frames::to(app.address(), &certificate, &[]).await;
        client.send(Kind::Headers, 4, 1, &block(fields)).await;
        let end = client.until(is_end).await.unwrap();
        assert!(end.kind != Kind::Headers || end.status() != 200, "{fields:?}: {end:?}");
    }
    let mut client = Secure::to(app.address(), &certificate).await;
    assert_eq!(client.get("/health/live").await.unwrap().status, 200);
}

#[tokio::test]
async fn the_limits_are_announced() {
    let (certificate, app) = start().await;
    let mut client = Frames::to(app.address(), &certificate, &[]).await;
    let settings = client.until(|frame| frame.kind == Kind::Settings).await.unwrap().payload;
    let of = |id: u16| {
        let found = settings.chunks(6).find(|pair| pair[..2] == id.to_be_bytes());
        found.map(|pair| u32::from_be_bytes(pair[2..].try_into().unwrap()))
    };
    // SETTINGS_MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE; and no extended CONNECT (RFC 8441).
    assert_eq!([3, 4, 6, 8].map(of), [Some(100), Some(65536), Some(16384), None]);
}

#[tokio::test]
async fn checklist_89_headers_have_bounds_over_http2() {
    let (certificate, app) = start().await;
    let many: Vec<(String, String)> = (0..600).map(|at| (format!("x-{at}"), "y".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (long, fitting) = ("y".repeat(20 * 1024), "y".repeat(12 * 1024));
    for (fields, status) in [(&[("x", long.as_str())][..], 431), (&many, 431), (&[("x", &fitting)], 200)] {
        let mut client = Secure::to(app.address(), &certificate).await;
        let answer = client.send("GET", "/health/live", fields, "").await.unwrap();
        assert_eq!(answer.status, status);
    }
    // A block that goes on and on. Nobody waits for its end, so that there is no answer when it comes.
    let mut client = Frames::to(app.address(), &certificate, &[]).await;
    client.send(Kind::Headers, 1, 1, &block(GET)).await;
    let piece = block(&[("x", "y".repeat(8000).as_str())]);
    for _ in 0..1000 {
        client.send(Kind::Continuation, 0, 1, &piece).await;
    }
    client.send(Kind::Continuation, 4, 1, &block(&[("x", "y")])).await;
    assert!(client.until(|frame| frame.kind == Kind::Headers).await.is_none(), "it is ended");
}

#[tokio::test]
async fn more_requests_at_once_than_the_limit_may_be_sent_again() {
    let (certificate, app) = start().await;
    let mut client = Frames::to(app.address(), &certificate, &[]).await;
    // The client knows the limit, and does not care.
    client.until(|frame| frame.kind == Kind::Settings && frame.flags & 1 == 1).await.unwrap();
    for stream in 0..101 {
        client.send(Kind::Headers, 4, 2 * stream + 1, &block(LOGIN)).await;
    }
    let refused = client.until(is_end).await.unwrap();
    assert_eq!((refused.kind, refused.stream, refused.code()), (Kind::Reset, 201, REFUSED_STREAM));
    client.send(Kind::Data, 1, 1, b"[]").await;
    let answer = client.until(is_end).await.unwrap();
    assert_eq!((answer.stream, answer.status()), (1, 400), "the others go on");
}

/// Asks and takes back, in heaps of so many. Before each heap is taken back it is awaited that the server has it, if
/// `seen`. How many requests it took until the connection was ended, or was found to be: nothing more is answered on it.
async fn rapid_reset(app: &TestApp, certificate: &Certificate, heap: u32, seen: bool) -> u32 {
    let mut client = Frames::to(app.address(), certificate, &[]).await;
    let mut stream = 1;
    while stream < 20_000 {
        let heap: Vec<u32> = (0..heap).map(|at| stream + 2 * at).collect();
        for id in &heap {
            client.send(Kind::Headers, 4, *id, &block(LOGIN)).await;
        }
        if seen {
            client.send(Kind::Ping, 0, 0, &[7; 8]).await;
            // The server's own ping, with which it asks to go, is left alone.
            loop {
                match client.next().await {
                    None => return stream / 2,
                    Some(frame) if frame.kind == Kind::Ping && frame.flags == 1 => break,
                    Some(_) => {}
                }
            }
        }
        for id in heap {
            client.send(Kind::Reset, 0, id, &CANCEL).await;
            stream = id + 2;
        }
    }
    client.ask(stream, GET).await;
    let answer = client.until(|frame| frame.kind == Kind::Headers && frame.stream == stream).await;
    assert!(answer.is_none(), "{} requests were taken back, and the next is answered", stream / 2);
    stream / 2
}

#[tokio::test]
async fn cve_2023_44487_who_takes_back_all_he_asks_is_cut_off() {
    let (certificate, app) = start().await;
    rapid_reset(&app, &certificate, 1, false).await;
    rapid_reset(&app, &certificate, 50, false).await;
    let taken = rapid_reset(&app, &certificate, 50, true).await;
    assert!((200..1000).contains(&taken), "{taken}");
    let mut other = Secure::to(app.address(), &certificate).await;
    assert_eq!(other.get("/health/live").await.unwrap().status, 200);
}

#[tokio::test]
async fn faults_in_great_number_end_the_connection() {
    let (certificate, app) = start().await;
    let mut client = Frames::to(app.address(), &certificate, &[]).await;
    let broken = block(&with(&[("transfer-encoding", "chunked")]));
    for stream in 0..2000 {
        client.send(Kind::Headers, 5, 2 * stream + 1, &broken).await;
    }
    let mut resets = 0;
    while let Some(frame) = client.next().await {
        resets += u32::from(frame.kind == Kind::Reset);
        assert!(frame.kind != Kind::Headers, "{frame:?}");
    }
    assert!(resets <= 200, "{resets}");
}
