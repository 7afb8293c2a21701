//! HTTP that two readers could read in two ways, or that is none: it is refused, and nothing after it
//! is read.

use crate::harness::{TestApp, exchange, statuses};

/// The head of a login, but for its last lines.
const HEAD: &str = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

/// A second request, hidden where a lax reader would see the end of the first.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Asserts that the server refuses the request, not a route, and reads nothing after it.
async fn assert_refused(app: &TestApp, request: &str) {
    let said = exchange(&app.url, format!("{request}{HIDDEN}")).await;
    assert!([vec![], vec![400]].contains(&statuses(&said)), "{request:?}: {said:?}");
}

#[tokio::test]
async fn checklist_89_the_length_of_a_body_is_never_in_doubt() {
    let app = TestApp::start().await;
    let lengths = [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 2\r\n",
        "Content-Length: 2, 3\r\n",
        "Content-Length: 2,2\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: -2\r\n",
        "Content-Length: 0x2\r\n",
        "Content-Length: 2 2\r\n",
        "Content-Length: two\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551618\r\n",
        "Content-Length: 2\r\nContent-Length: x\r\n",
    ];
    for length in lengths {
        assert_refused(&app, &format!("{HEAD}{length}\r\n{{}}")).await;
    }
    let encodings = [
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked;x=y\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
    ];
    for encoding in encodings {
        assert_refused(&app, &format!("{HEAD}{encoding}\r\n2\r\n{{}}\r\n0\r\n\r\n")).await;
    }
    let old = HEAD.replace("HTTP/1.1", "HTTP/1.0");
    assert_refused(&app, &format!("{old}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n")).await;
}

#[tokio::test]
async fn checklist_89_a_length_beside_chunks_ends_the_connection() {
    let app = TestApp::start().await;
    let (length, chunked) = ("Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n");
    for both in [[length, chunked], [chunked, length]].map(|lines| lines.concat()) {
        let request = format!("{HEAD}{both}\r\n2\r\n{{}}\r\n0\r\n\r\n{HIDDEN}");
        let said = exchange(&app.url, request).await;
        // Refused, or read by its chunks; nothing more is read then (RFC 9112 §6.1).
        assert!([vec![], vec![400], vec![422]].contains(&statuses(&said)), "{both:?}: {said:?}");
    }
    // One length said twice can be read in one way only (RFC 9110 §8.6).
    let said = exchange(&app.url, format!("{HEAD}{length}{length}\r\n{{}}{HIDDEN}")).await;
    assert!([vec![], vec![400], vec![422, 404]].contains(&statuses(&said)), "{said:?}");
}

#[tokio::test]
async fn checklist_89_broken_chunks_are_refused() {
    let app = TestApp::start().await;
    let bodies = [
        "x\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}x\r\n0\r\n\r\n",
        "2\n{}\n0\n\n",
        "2\r{}\r\n0\r\n\r\n",
        "\r\n2\r\n{}\r\n0\r\n\r\n",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        "2;\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
    ];
    for body in bodies {
        assert_refused(&app, &format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{body}")).await;
    }
}

#[tokio::test]
async fn checklist_89_header_lines_are_never_in_doubt() {
    let app = TestApp::start().await;
    let lines = [
        "X: y\r\n folded: z",
        "X: y\r\n\tfolded",
        " X: y",
        "X : y",
        "X\t: y",
        "X y",
        ": y",
        "X: y\rToken: z",
        "X: y\0z",
        "X\0: y",
        "X\u{1}: y",
        "X: \u{1b}[31m",
        "X: \u{7f}",
        "(X): y",
        "X,Y: z",
        "\u{e9}: y",
    ];
    for line in lines {
        assert_refused(&app, &format!("GET /user/profile HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n")).await;
    }
    // A bare line feed may end a line (RFC 9112 §2.2): then it must be one request, and one answer.
    let said = exchange(&app.url, "GET /user/profile HTTP/1.1\nHost: x\nConnection: close\n\n").await;
    assert!([vec![401], vec![400], vec![]].contains(&statuses(&said)), "{said}");
}

#[tokio::test]
async fn checklist_89_what_is_not_http_is_refused() {
    let app = TestApp::start().await;
    let garbage = [
        "GET /\r\n\r\n",
        "GET\r\n\r\n",
        "hello\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "GET / HTTP/3.0\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET / HTTPS/1.1\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 x\r\n\r\n",
        "G\u{e9}T / HTTP/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        "GET /\0 HTTP/1.1\r\n\r\n",
        "GET /\u{1}x HTTP/1.1\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "EHLO example.org\r\n",
        "USER root\r\n\r\n",
        "*1\r\n$4\r\nPING\r\n",
    ];
    for bytes in garbage {
        assert_refused(&app, bytes).await;
    }
}

#[tokio::test]
async fn checklist_89_headers_have_bounds() {
    let app = TestApp::start().await;
    let many = (0..2000).map(|at| format!("X-{at}: y\r\n")).collect::<String>();
    let heads = [
        (format!("GET /docs HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(20 * 1024)), [431, 431]),
        (format!("GET /docs HTTP/1.1\r\nHost: x\r\n{many}\r\n"), [431, 431]),
        (format!("GET /docs HTTP/1.1\r\n{}: y\r\n\r\n", "X".repeat(70_000)), [431, 400]),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(20 * 1024)), [431, 414]),
        (format!("GET /docs?{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(1024 * 1024)), [431, 414]),
        (format!("{} / HTTP/1.1\r\nHost: x\r\n\r\n", "Y".repeat(20 * 1024)), [431, 400]),
        ("\r\n".repeat(20 * 1024), [431, 400]),
    ];
    for (head, expected) in heads {
        let said = exchange(&app.url, &head).await;
        let heard = statuses(&said);
        assert!(heard.len() == 1 && expected.contains(&heard[0]), "{:.60}: {said:?}", head);
    }
    // Long, but within the bound.
    let long = format!(
        "GET /docs/style.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {}\r\n\r\n",
        "y".repeat(12 * 1024)
    );
    assert_eq!(statuses(&exchange(&app.url, long).await), [200]);
}

#[tokio::test]
async fn requests_in_one_go_are_answered_in_their_order() {
    let app = TestApp::start().await;
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
    let body = "{\"email\":\"a@example.org\",\"password\":\"wrong password\"}";
    let login = format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len());
    let requests = [
        get("/docs", ""),
        login,
        get("/nothing", ""),
        get("/user/profile", ""),
        get("/docs/style.css", "Connection: close\r\n"),
    ];
    let said = exchange(&app.url, requests.concat()).await;
    assert_eq!(statuses(&said), [200, 401, 404, 401, 200], "{said}");
    let ids = said.lines().filter(|line| line.starts_with("x-request-id: "));
    assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), 5);
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let app = TestApp::start().await;
    let said = exchange(&app.url, "GET /docs/style.css HTTP/1.0\r\n\r\n").await;
    assert_eq!(statuses(&said), [200]);
}

#[tokio::test]
async fn rfc9112_section_3_2_a_request_has_one_host() {
    let app = TestApp::start().await;
    for (line, hosts, status) in [
        ("HTTP/1.1", "", 400),
        ("HTTP/1.1", "Host: x\r\nHost: y\r\n", 400),
        ("HTTP/1.1", "Host: x\r\nHost: x\r\n", 400),
        ("HTTP/1.0", "", 200),
        ("HTTP/1.1", "Host: x\r\n", 200),
    ] {
        let request = format!("GET /.well-known/jwks.json {line}\r\n{hosts}Connection: close\r\n\r\n");
        let said = exchange(&app.url, request).await;
        assert_eq!(statuses(&said), [status], "{line} {hosts}");
        assert_eq!(said.contains("/docs#malformed-request"), status == 400);
    }
}
