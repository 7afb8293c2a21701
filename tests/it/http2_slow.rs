//! HTTP/2 clients that keep a connection for nothing: it is ended, and each other way of being slow has its limit too.

use crate::harness::{Certificate, Frames, GET, Kind, LOGIN, Secure, TestApp, block};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// SETTINGS_INITIAL_WINDOW_SIZE: how much of each answer the client takes unasked.
const WINDOW: u16 = 4;

/// Each way of being slow.
#[derive(Clone, Copy, Debug)]
enum Slow {
    /// Says nothing after the preface.
    Silent,
    /// Sends pings for ever.
    Pinging,
    /// Asks for something, then nothing.
    Idle,
    /// Begins a request and ends its headers never, piece by piece.
    Headers,
    /// Sends a body piece by piece.
    Body,
    /// Takes nothing of an answer, and says that it is there.
    Unread,
    /// The same, with each answer of many.
    AllUnread,
    /// The same, and is not there.
    Gone,
}

const ALL: [Slow; 8] = [
    Slow::Silent,
    Slow::Pinging,
    Slow::Idle,
    Slow::Headers,
    Slow::Body,
    Slow::Unread,
    Slow::AllUnread,
    Slow::Gone,
];

async fn begin(slow: Slow, app: &TestApp, certificate: &Certificate) -> Frames {
    let window = if matches!(slow, Slow::Unread | Slow::AllUnread | Slow::Gone) { 0 } else { 65535 };
    let mut client = Frames::to(app.address(), certificate, &[(WINDOW, window)]).await;
    match slow {
        Slow::Silent | Slow::Pinging => {}
        Slow::Idle | Slow::Unread | Slow::Gone => client.ask(1, GET).await,
        Slow::AllUnread => {
            for stream in 0..100 {
                client.ask(2 * stream + 1, GET).await;
            }
        }
        Slow::Headers => client.send(Kind::Headers, 1, 1, &block(GET)).await,
        Slow::Body => client.send(Kind::Headers, 4, 1, &block(LOGIN)).await,
    }
    client
}

/// What the client goes on with each half second.
async fn go_on(slow: Slow, client: &mut Frames) {
    match slow {
        Slow::Pinging => client.send(Kind::Ping, 0, 0, &[7; 8]).await,
        Slow::Headers => client.send(Kind::Continuation, 0, 1, &block(&[("x", "y")])).await,
        Slow::Body => client.send(Kind::Data, 0, 1, b"{").await,
        _ => {}
    }
}

/// Goes on until the connection is ended; the kinds of the frames that were heard.
async fn run(slow: Slow, mut client: Frames) -> Vec<Kind> {
    let mut heard = Vec::new();
    loop {
        let more = timeout(Duration::from_millis(500), async {
            match slow {
                // Reads and acknowledges nothing.
                Slow::Gone => client.next().await,
                _ => client.until(|_| true).await,
            }
        });
        match more.await {
            Ok(Some(frame)) => heard.push(frame.kind),
            Ok(None) => return heard,
            Err(_) => go_on(slow, &mut client).await,
        }
    }
}

#[tokio::test]
async fn checklist_89_slow_clients_of_http2_are_dropped_and_others_served() {
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[]).await;
    let mut clients = JoinSet::new();
    for slow in ALL {
        let client = begin(slow, &app, &certificate).await;
        clients.spawn(async move {
            let heard = timeout(Duration::from_secs(25), run(slow, client)).await;
            (slow, heard.unwrap_or_else(|_| panic!("{slow:?} is still there")))
        });
    }
    let mut other = Secure::to(app.address(), &certificate).await;
    loop {
        tokio::select! {
            done = clients.join_next() => match done {
                Some(done) => expect(done.unwrap()),
                None => break,
            },
            () = sleep(Duration::from_millis(250)) => {
                assert_eq!(other.get("/.well-known/jwks.json").await.unwrap().status, 200);
            }
        }
    }
}

#[tokio::test]
async fn who_reads_slowly_but_steadily_gets_all_of_a_long_answer() {
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[]).await;
    let whole = Secure::to(app.address(), &certificate).await.get("/openapi.json").await.unwrap().body.len();
    // As much at once as takes it 15 seconds in all: longer than any limit.
    let step = u32::try_from(whole / 30).unwrap();
    assert!(step > 1024, "{whole} bytes");
    let mut client = Frames::to(app.address(), &certificate, &[(WINDOW, step)]).await;
    let fields =
        [(":method", "GET"), (":scheme", "https"), (":path", "/openapi.json"), (":authority", "localhost")];
    client.ask(1, &fields).await;
    let (mut read, mut unpaid) = (0, 0);
    while read < whole {
        let frame = client.until(|frame| frame.kind == Kind::Data).await;
        let frame = frame.unwrap_or_else(|| panic!("cut after {read} of {whole} bytes"));
        (read, unpaid) = (read + frame.payload.len(), unpaid + u32::try_from(frame.payload.len()).unwrap());
        if unpaid >= step {
            sleep(Duration::from_millis(500)).await;
            for stream in [0, 1] {
                client.send(Kind::WindowUpdate, 0, stream, &unpaid.to_be_bytes()).await;
            }
            unpaid = 0;
        }
    }
    assert_eq!(read, whole);
}

/// Asserts what each was told before its end.
fn expect((slow, heard): (Slow, Vec<Kind>)) {
    let has = |kind| heard.contains(&kind);
    match slow {
        // Asked to go before it was dropped, so that no request could be lost.
        Slow::Silent | Slow::Pinging | Slow::Headers => {
            assert!(has(Kind::GoAway) && !has(Kind::Headers), "{slow:?}: {heard:?}");
        }
        Slow::Idle | Slow::Body => {
            assert!(has(Kind::GoAway) && has(Kind::Headers), "{slow:?}: {heard:?}");
        }
        Slow::Unread | Slow::AllUnread | Slow::Gone => {
            assert!(has(Kind::Headers) && has(Kind::Ping) && !has(Kind::Data), "{slow:?}: {heard:?}");
        }
    }
}
