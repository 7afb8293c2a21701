//! The log of the real program: what stands in it, and what never does.

use crate::harness::{Answer, Program, send};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

const EMAIL: &str = "secretive@example.org";
const PASSWORD: &str = "a-walk-along-the-river";
const NEW_PASSWORD: &str = "a-swim-across-the-lake";

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

async fn post(program: &Program, path: &str, body: &Value) -> Answer {
    send(client().post(format!("{}{path}", program.url)).json(body)).await
}

/// The secrets that were given out.
struct Given {
    token: String,
    refresh_token: String,
    api_key: String,
}

/// Every way in which a secret travels, right and wrong.
async fn tell_secrets(program: &Program, data_dir: &Path) -> Given {
    let url = |path: &str| format!("{}{path}", program.url);
    let json = json!({"email": EMAIL, "name": "secretive", "password": PASSWORD});
    assert_eq!(post(program, "/user", &json).await.status, 201);
    let login = post(program, "/login", &json).await;
    let member = |name: &str| login.json()[name].as_str().unwrap().to_owned();
    let (token, refresh_token) = (member("token"), member("refresh_token"));
    let (id, api_key) = api_key(data_dir);
    let altered = format!("{}x", &token[..token.len() - 2]);
    let get = |path: &str| client().get(url(path));
    let put = |body: Value| client().put(url("/user/password")).bearer_auth(&token).json(&body);
    let delete = |body: Value| client().delete(url("/user")).bearer_auth(&token).json(&body);
    let send_text =
        |body: String| client().post(url("/login")).header("content-type", "application/json").body(body);
    let form = |path: &str, body: String| {
        let request = client().post(url(path)).body(body);
        request.header("content-type", "application/x-www-form-urlencoded")
    };
    let refresh = |token: &str| form("/token", format!("grant_type=refresh_token&refresh_token={token}"));
    let introspect = |token: &str| form("/introspect", format!("token={token}"));
    let requests = [
        (get("/login").basic_auth(EMAIL, Some(PASSWORD)), 200),
        (get("/login").basic_auth("nobody@example.org", Some(PASSWORD)), 401),
        (get("/login").bearer_auth(&token), 401),
        (get("/login").header("authorization", format!("Basic {}", STANDARD.encode(PASSWORD))), 400),
        (get("/user/profile").bearer_auth(&token), 200),
        (get("/user/profile").header("x-access-token", &token), 200),
        (get("/user/profile").header("token", &token), 200),
        (get("/jwks").header("token", &token), 200),
        (get("/user/profile").bearer_auth(&altered), 401),
        (get("/user/profile").bearer_auth(&refresh_token), 401),
        (get("/user/profile").basic_auth(EMAIL, Some(PASSWORD)), 401),
        (get(&format!("/user/profile?token={token}")), 400),
        (get(&format!("/token?refresh_token={refresh_token}")), 400),
        (get(&format!("/user/profile?q={PASSWORD}")), 401),
        (get(&format!("/user/{token}")), 404),
        (get(&format!("/status/{refresh_token}")), 404),
        (get(&format!("/login/{PASSWORD}")), 404),
        (client().delete(url(&format!("/user/sessions/{refresh_token}"))).bearer_auth(&token), 404),
        (client().post(url("/user")).json(&json), 409),
        (
            client().post(url("/user")).json(&json!({"email": PASSWORD, "name": "", "password": PASSWORD})),
            422,
        ),
        (client().post(url("/login")).json(&json!({"email": PASSWORD, "password": [PASSWORD]})), 422),
        (send_text(format!(r#"{{"password":"{PASSWORD}"#)), 400),
        (send_text(format!(r#"{{"{PASSWORD}":1,"{PASSWORD}":2}}"#)), 400),
        (client().put(url("/login")).body(PASSWORD), 405),
        (refresh(&refresh_token), 200),
        (refresh(&format!("{refresh_token}x")), 400),
        (refresh(&format!("{refresh_token}&scope={PASSWORD}")), 400),
        (refresh(&format!("{refresh_token}&{refresh_token}=x&{refresh_token}=x")), 400),
        (form("/token", format!("grant_type={refresh_token}&client_id={api_key}")), 400),
        (introspect(&token).bearer_auth(&api_key), 200),
        (introspect(&refresh_token).basic_auth(&id, Some(&api_key)), 200),
        (introspect(&format!("{token}&client_id={id}&client_secret={api_key}")), 200),
        (introspect(&token).bearer_auth(format!("{api_key}x")), 401),
        (introspect(&api_key).basic_auth(&api_key, Some(&api_key)), 401),
        (form("/revoke", format!("token={token}")).bearer_auth(&api_key), 403),
        (put(json!({"current_password": "another", "new_password": PASSWORD})), 403),
        (put(json!({"current_password": PASSWORD, "new_password": PASSWORD, "keep_other_sessions": 1})), 422),
        (put(json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD})), 204),
        (delete(json!({"password": PASSWORD})), 403),
        (delete(json!({"password": NEW_PASSWORD})), 204),
    ];
    for (number, (request, status)) in requests.into_iter().enumerate() {
        let answer = send(request).await;
        assert_eq!(answer.status, status, "request {number}: {}", answer.text());
    }
    Given { token, refresh_token, api_key }
}

/// The id and the text of a new API key, as the operator is told them.
fn api_key(data_dir: &Path) -> (String, String) {
    let arguments = ["api-key", "create", "--name", "x", "--scope", "introspect", "--data-dir"];
    let output =
        Program::command(&arguments).arg(data_dir).envs(Program::database(data_dir)).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let word = |name| said.lines().find_map(|line| line.strip_prefix(name)).expect(&said).trim().to_owned();
    (word("id "), word("key "))
}

#[tokio::test]
async fn checklist_90_no_secret_is_ever_logged() {
    for posture in [&["--dev"][..], &[]] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Program::command(&[]);
        command.env("CLAVIGER_LOG_LEVEL", "trace").env("RUST_LOG", "trace");
        let mut program = Program::serve_by(command, folder.path(), posture);
        let given = tell_secrets(&program, folder.path()).await;
        let master = std::fs::read_to_string(folder.path().join("master.key")).unwrap();
        let log = program.stop().join("\n");
        assert_eq!(
            log.matches("password-check").count(),
            2,
            "a wrong one before a change, and before the end"
        );
        assert!(log.matches("request_id").count() >= 42, "the requests are there: {log}");
        let parts: Vec<&str> = given.token.split('.').collect();
        let basic = STANDARD.encode(format!("{EMAIL}:{PASSWORD}"));
        for secret in [
            PASSWORD,
            NEW_PASSWORD,
            &basic,
            &basic[..20],
            &STANDARD.encode(PASSWORD),
            parts[0],
            parts[1],
            &parts[2][..20],
            &given.token[given.token.len() - 20..],
            &given.refresh_token,
            &given.refresh_token[..24],
            &given.refresh_token[given.refresh_token.len() - 20..],
            &given.api_key[..24],
            &given.api_key[given.api_key.len() - 20..],
            "cvr_",
            "Bearer ",
            "Basic ",
            "argon2id",
            master.trim(),
        ] {
            assert!(!log.contains(secret), "{posture:?}: {secret} stands in the log");
        }
    }
}

/// Requests to routes, with the route and the status that the log must show.
const REQUESTS: &[(&str, &str, &str, u16)] = &[
    ("GET", "/.well-known/jwks.json", "/.well-known/jwks.json", 200),
    ("GET", "/user/profile", "/user/profile", 401),
    ("GET", "/jwks?x=1", "/jwks", 401),
    ("GET", "/login", "/login", 401),
    ("POST", "/login", "/login", 415),
    ("POST", "/user", "/user", 415),
    ("DELETE", "/user", "/user", 401),
    ("DELETE", "/user/profile", "/user/profile", 405),
    ("GET", "/docs", "/docs", 200),
    ("GET", "/openapi.json", "/openapi.json", 200),
    ("GET", "/nothing/here?x=1", "-", 404),
    ("GET", "/user/profile?token=x", "/user/profile", 400),
    ("HEAD", "/docs", "/docs", 200),
];

#[tokio::test]
async fn checklist_90_each_request_has_one_line() {
    each_has_one_line(&["--log-level", "debug"], |_, _, _| true).await;
}

#[tokio::test]
async fn checklist_90_what_is_asked_all_the_time_and_is_well_is_no_news() {
    const ASKED: [&str; 3] = ["/.well-known/jwks.json", "/docs", "/openapi.json"];
    each_has_one_line(&[], |method, route, status| {
        !(method == "GET" && ASKED.contains(&route) && status == 200)
    })
    .await;
}

async fn each_has_one_line(settings: &[&str], is_said: impl Fn(&str, &str, u16) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), settings);
    let mut expected = Vec::new();
    for (method, path, route, status) in REQUESTS {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = send(client().request(method.clone(), format!("{}{path}", program.url))).await;
        assert_eq!(answer.status, *status, "{method} {path}");
        if is_said(method.as_str(), route, *status) {
            expected.push((method, *route, *status, answer.header("x-request-id").to_owned()));
        }
    }
    let lines: Vec<Value> =
        program.stop().iter().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{line}");
        assert!(line["level"].is_string(), "{line}");
    }
    let requests: Vec<&Value> = lines.iter().filter(|line| line["message"] == "request").collect();
    assert_eq!(requests.len(), expected.len());
    for (line, (method, route, status, id)) in requests.iter().zip(&expected) {
        let found = (line["method"].as_str().unwrap(), line["route"].as_str().unwrap());
        assert_eq!(found, (method.as_str(), *route), "{line}");
        assert_eq!((&line["status"], &line["request_id"]), (&json!(status), &json!(id)), "{line}");
        assert!(line["micros"].is_u64() && line["address"] == "127.0.0.1", "{line}");
    }
}

#[tokio::test]
async fn checklist_90_sign_ups_and_logins_are_told_with_who_and_how_it_went() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), &[]);
    let body = json!({"email": EMAIL, "name": "a", "password": PASSWORD});
    let made = post(&program, "/user", &body).await;
    let right = post(&program, "/login", &body).await;
    let wrong = post(&program, "/login", &json!({"email": EMAIL, "password": "another"})).await;
    let token = right.json()["token"].as_str().unwrap().to_owned();
    let own = |method, path: &str, body: Value| {
        send(client().request(method, format!("{}{path}", program.url)).bearer_auth(&token).json(&body))
    };
    let change = json!({"current_password": "another", "new_password": NEW_PASSWORD});
    let unchanged = own(Method::PUT, "/user/password", change).await;
    let kept = own(Method::DELETE, "/user", json!({"password": "another"})).await;
    let account = &made.json()["user"]["public_id"];
    let lines: Vec<Value> = program.stop().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (answer, event, outcome) in [
        (&made, "sign-up", "success"),
        (&right, "login", "success"),
        (&wrong, "login", "refused"),
        (&unchanged, "password-check", "refused"),
        (&kept, "password-check", "refused"),
    ] {
        let id = answer.header("x-request-id");
        let of = |line: &&Value| line["event"] == event && line["request_id"] == id;
        let line = lines.iter().find(of).unwrap_or_else(|| panic!("{event} {outcome}"));
        assert_eq!(line["account"], *account, "{line}");
        assert_eq!(line["address"], "127.0.0.1", "{line}");
        assert_eq!(line["outcome"], outcome, "{line}");
        let why = (outcome == "refused").then_some("wrong credentials");
        assert_eq!(line["detail"].as_str(), why, "{line}");
    }
}

/// Sends bytes as they are and waits for the end of the connection.
fn send_raw(program: &Program, bytes: &[u8]) {
    let mut stream = TcpStream::connect(program.address).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    // A reset is an answer too.
    let _ = stream.read_to_end(&mut Vec::new());
}

#[tokio::test]
async fn checklist_90_nobody_forges_a_line() {
    const FORGED: &str = r#"{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","event":"login","FORGED":1}"#;
    let percent = "%0d%0aFORGED%0a";
    for posture in [&["--dev"][..], &[]] {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Program::serve(folder.path(), &[posture, &["--log-level", "debug"]].concat());
        for head in [
            format!("GET /docs{percent}/{percent}?{percent} HTTP/1.1\r\nHost: x"),
            format!("GET /docs\r\n{FORGED}\r\n HTTP/1.1\r\nHost: x"),
            format!("GET /docs HTTP/1.1\r\nHost: x\n{FORGED}"),
            format!("GET /docs HTTP/1.1\r\nHost: x\r\nUser-Agent: a\r\n {FORGED}"),
            format!("GET /docs HTTP/1.1\r\nHost: x\r\nUser-Agent: {FORGED}\r\nX-Request-Id: FORGED"),
            "GET /docs HTTP/1.1\r\nHost: FORGED\r\nX-Forwarded-For: FORGED\r\nForwarded: for=FORGED"
                .to_owned(),
            "FORGED /docs HTTP/1.1\r\nHost: x".to_owned(),
            format!(
                "GET /login HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {}",
                STANDARD.encode("a\r\nFORGED:b")
            ),
        ] {
            send_raw(&program, format!("{head}\r\nConnection: close\r\n\r\n").as_bytes());
        }
        for text in [format!("a\r\n{FORGED}\n"), "\u{1b}[31mFORGED".to_owned(), "\u{2028}FORGED".to_owned()] {
            let body = json!({"email": text, "name": text, "password": format!("{PASSWORD}{text}")});
            for path in ["/user", "/login"] {
                let status = post(&program, path, &body).await.status;
                assert!((400..500).contains(&status), "{path} {text:?}");
            }
        }
        let log = program.stop();
        for line in &log {
            // The method is told as it was sent; it is a token (RFC 9110 §5.6.2) and stands where methods do.
            let line = line.replace("method=FORGED ", "").replace(r#""method":"FORGED""#, "");
            assert!(!line.contains("FORGED") && !line.contains('\u{1b}'), "{posture:?}: {line}");
            let whole = posture.is_empty() == serde_json::from_str::<Value>(&line.replace(",,", ",")).is_ok();
            assert!(whole, "{posture:?}: {line}");
        }
        assert!(log.iter().filter(|line| line.contains("request_id")).count() >= 10, "{log:?}");
    }
}

#[test]
fn checklist_90_a_caller_who_hangs_up_leaves_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), &[]);
    let mut stream = TcpStream::connect(program.address).unwrap();
    // The headers of a body that never comes.
    let head =
        "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    drop(stream);
    let told = |program: &Program| program.log().iter().filter(|line| line.contains("/login")).count();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while told(&program) == 0 {
        assert!(std::time::Instant::now() < until, "{:?}", program.log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    program.stop();
    assert_eq!(told(&program), 1);
}
