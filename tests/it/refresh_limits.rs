//! What bounds a refresh token: its form, its scope, its times, and that only digests of it are kept.

use crate::harness::{
    Answer, ByToken, Caller as _, NOW, TestApp, Tokens, assert_refused_everywhere, database, decode, refresh,
    send, stored,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const FORM: &str = "application/x-www-form-urlencoded";
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

async fn with_scope(app: &TestApp, token: &str, scope: &str) -> Answer {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
    app.anonymous().post_form("/token", &fields).await
}

/// What reading and changing the profile answer to an access token.
async fn reading_and_changing(app: &TestApp, access: &str) -> (u16, u16) {
    let caller = ByToken { app, token: access.to_owned(), header: "authorization" };
    let changed = caller.send_json(Method::PATCH, "/user/profile", &json!({"name": "alice"})).await;
    (caller.get("/user/profile").await.status, changed.status)
}

#[tokio::test]
async fn checklist_44_a_scope_shrinks_for_one_access_token_alone() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let answer = with_scope(&app, &alice.refresh_token, "profile").await;
    let less = Tokens::of(&answer);
    assert_eq!(
        (&answer.json()["scope"], &decode(&less.access).1["scope"]),
        (&json!("profile"), &json!("profile"))
    );
    assert_eq!(reading_and_changing(&app, &less.access).await, (200, 403));
    // The retry is the same request; what it asks for is its own business.
    let retry = with_scope(&app, &alice.refresh_token, "profile account").await;
    assert_eq!(Tokens::of(&retry).refresh, less.refresh);
    assert_eq!(retry.json()["scope"], "account profile");
    let all = Tokens::of(&refresh(&app, &less.refresh).await);
    assert_eq!(reading_and_changing(&app, &all.access).await, (200, 200), "all that the login granted");
    assert_eq!(
        with_scope(&app, &all.refresh, "").await.json()["scope"],
        "account profile",
        "empty is omitted"
    );
}

#[tokio::test]
async fn checklist_44_a_scope_never_grows_and_asking_spends_nothing() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let narrow = "UPDATE sessions SET scope = 'profile'";
    assert_eq!(database(app.data_dir()).execute(narrow, []).unwrap(), 1);
    let more = ["account", "account profile", "profile account"];
    for scope in
        more.into_iter().chain(["admin", "profile admin", "openid", " ", "PROFILE", "pro\tfile", "é"])
    {
        with_scope(&app, &alice.refresh_token, scope).await.oauth_error(400, "invalid_scope");
    }
    app.advance(60 * SECOND);
    let answer = alice.refresh().await;
    assert_eq!(answer.json()["scope"], "profile", "what was granted, though none was asked for");
    assert_eq!(reading_and_changing(&app, &Tokens::of(&answer).access).await, (200, 403));
    with_scope(&app, &alice.refresh_token, "account").await.oauth_error(400, "invalid_scope");
    assert_eq!(with_scope(&app, &alice.refresh_token, "profile").await.status, 200);
}

#[tokio::test]
async fn checklist_67_forms_that_are_none_are_refused_as_oauth_has_it() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let good = alice.refresh_token.clone();
    let (grant, shown) = ("grant_type=refresh_token", format!("refresh_token={good}"));
    let cases = [
        (String::new(), 400, "invalid_request"),
        (grant.to_owned(), 400, "invalid_request"),
        (shown.clone(), 400, "invalid_request"),
        (format!("{grant}&refresh_token="), 400, "invalid_request"),
        (format!("grant_type=&{shown}"), 400, "invalid_request"),
        (format!("{grant}&{shown}&{shown}"), 400, "invalid_request"),
        (format!("{grant}&{grant}&{shown}"), 400, "invalid_request"),
        (format!("{grant}&{shown}&scope=profile&scope=profile"), 400, "invalid_request"),
        (format!("{grant}&{shown}&scope=&scope=profile"), 400, "invalid_request"),
        (format!("{grant}&refresh%5ftoken=x&{shown}"), 400, "invalid_request"),
        (format!("{grant}&{shown}%"), 400, "invalid_request"),
        (format!("{grant}&{shown}&%ff=1"), 400, "invalid_request"),
        (format!("grant_type=password&{shown}"), 400, "unsupported_grant_type"),
        (format!("grant_type=authorization_code&{shown}"), 400, "unsupported_grant_type"),
        (format!("grant_type=Refresh_Token&{shown}"), 400, "unsupported_grant_type"),
        (format!("grant_type=refresh_token+&{shown}"), 400, "unsupported_grant_type"),
        (format!("{grant}&{shown}&client_id=other"), 401, "invalid_client"),
        (format!("{grant}&{shown}&client_id=Claviger"), 401, "invalid_client"),
        (format!("{grant}&refresh_token=nonsense"), 400, "invalid_grant"),
    ];
    for (body, status, error) in cases {
        let answer = app.anonymous().post_raw("/token", FORM, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        let document = answer.oauth_error(status, error);
        assert_eq!(answer.header("www-authenticate").is_empty(), status != 401, "{body}");
        assert!(!document.to_string().contains(&good), "{document}");
    }
    let whole = format!("{grant}&{shown}");
    for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
        let answer = app.anonymous().post_raw("/token", content_type, whole.clone()).await;
        answer.oauth_error(415, "invalid_request");
    }
    let large = format!("{whole}&x={}", "x".repeat(65_536));
    app.anonymous().post_raw("/token", FORM, large).await.oauth_error(413, "invalid_request");
    let in_query = format!("/token?{shown}");
    app.anonymous().post_raw(&in_query, FORM, grant).await.problem(400, "token-in-query");

    app.advance(60 * SECOND);
    let unknown = format!("{whole}&client_id=claviger&client_secret=&redirect_uri=x&resource=y");
    let form = "Application/x-www-form-urlencoded; charset=utf-8";
    let answer = app.anonymous().post_raw("/token", form, unknown).await;
    assert_eq!(answer.status, 200, "none of it had spent the token");
}

#[tokio::test]
async fn checklist_40_what_is_no_token_of_ours_is_refused_and_harms_no_session() {
    let (app, elsewhere) = (TestApp::start().await, TestApp::start().await);
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let foreign = elsewhere.account("alice").await.refresh_token.clone();
    let good = alice.refresh_token.as_str();
    let bytes = URL_SAFE_NO_PAD.decode(&good[4..]).unwrap();
    assert_eq!(bytes.len(), 68, "the layout that the rest of this test alters");
    let of_bob = URL_SAFE_NO_PAD.decode(&bob.refresh_token[4..]).unwrap();
    let mut forged: Vec<Vec<u8>> = (0..bytes.len())
        .map(|at| {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            altered
        })
        .collect();
    // Parts of two good tokens.
    forged.extend([16, 20, 52].map(|at| [&bytes[..at], &of_bob[at..]].concat()));
    let mut texts: Vec<String> =
        forged.iter().map(|bytes| format!("cvr_{}", URL_SAFE_NO_PAD.encode(bytes))).collect();
    texts.extend([
        foreign,
        alice.token.clone(),
        good[4..].to_owned(),
        good.replace("cvr_", "cvk_"),
        good.replace("cvr_", "CVR_"),
        good[..94].to_owned(),
        format!("{good}="),
        format!("{good}A"),
        format!("{good} "),
        format!(" {good}"),
        "cvr_".to_owned(),
        "\0".to_owned(),
        "x".repeat(60_000),
    ]);
    for text in &texts {
        refresh(&app, text).await.oauth_error(400, "invalid_grant");
    }
    app.advance(60 * SECOND);
    for account in [&alice, &bob] {
        assert_eq!(account.refresh().await.status, 200);
    }
}

/// The names of the database's files or tables that hold `needle`.
fn holders(folder: &Path, needle: &[u8]) -> Vec<String> {
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|found| found == needle);
    stored(folder).into_iter().filter(|(_, bytes)| holds(bytes)).map(|(name, _)| name).collect()
}

#[tokio::test]
async fn checklist_40_only_digests_are_stored() {
    let app = TestApp::start().await;
    let mut latest = Tokens::from(&app.account("alice").await);
    let mut all = vec![latest.clone()];
    for _ in 0..3 {
        latest = Tokens::of(&refresh(&app, &latest.refresh).await);
        all.push(latest.clone());
    }
    let digest = claviger_crypto::sha256(latest.refresh.as_bytes());
    assert!(!holders(app.data_dir(), &digest).is_empty(), "the search finds what is there");
    for tokens in &all {
        let bytes = URL_SAFE_NO_PAD.decode(&tokens.refresh[4..]).unwrap();
        let signature = tokens.access.rsplit('.').next().unwrap();
        let hex: String = bytes[20..52].iter().map(|byte| format!("{byte:02x}")).collect();
        let needles: [&[u8]; 7] = [
            tokens.refresh.as_bytes(),
            &tokens.refresh.as_bytes()[32..64],
            &bytes[20..52],
            &bytes[52..],
            hex.as_bytes(),
            tokens.access.as_bytes(),
            signature.as_bytes(),
        ];
        for (number, needle) in needles.into_iter().enumerate() {
            assert_eq!(holders(app.data_dir(), needle), [""; 0], "needle {number}");
        }
        let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(holders(app.data_dir(), &raw), [""; 0]);
    }
}

#[tokio::test]
async fn checklist_45_and_50_a_session_ends_thirty_days_after_its_last_use() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    app.advance(30 * DAY - SECOND);
    let second = Tokens::of(&alice.refresh().await);
    // A retry is no use: it does not move the end.
    app.advance(5 * SECOND);
    assert_eq!(Tokens::of(&alice.refresh().await).refresh, second.refresh);
    app.advance(30 * DAY - 6 * SECOND);
    let third = Tokens::of(&refresh(&app, &second.refresh).await);
    app.advance(30 * DAY - 20 * SECOND);
    let fourth = Tokens::of(&refresh(&app, &third.refresh).await);
    assert_eq!(decode(&fourth.access).1["exp"].as_i64().unwrap(), NOW + 90 * 86_400, "the absolute limit");

    let bob = app.account("bob").await;
    app.advance(30 * DAY);
    for _ in 0..2 {
        bob.refresh().await.oauth_error(400, "invalid_grant");
    }
    assert_refused_everywhere(&app, &bob.token).await;
}

#[tokio::test]
async fn checklist_45_and_50_a_session_ends_ninety_days_after_its_login() {
    let app = TestApp::start().await;
    let mut latest = Tokens::from(&app.account("alice").await);
    for _ in 0..3 {
        app.advance(29 * DAY);
        latest = Tokens::of(&refresh(&app, &latest.refresh).await);
    }
    app.advance(3 * DAY - 100 * SECOND);
    let answer = refresh(&app, &latest.refresh).await;
    latest = Tokens::of(&answer);
    assert_eq!(answer.json()["expires_in"], 100, "an access token never outlives its session");
    assert_eq!(decode(&latest.access).1["exp"], NOW + 90 * 86_400);
    app.advance(99 * SECOND);
    let profile = app.anonymous().request(Method::GET, "/user/profile").bearer_auth(&latest.access);
    assert_eq!(send(profile).await.status, 200);
    let last = Tokens::of(&refresh(&app, &latest.refresh).await);
    app.advance(SECOND);
    for token in [&latest.refresh, &last.refresh] {
        refresh(&app, token).await.oauth_error(400, "invalid_grant");
    }
    for access in [&latest.access, &last.access] {
        assert_refused_everywhere(&app, access).await;
    }
}

#[tokio::test]
async fn checklist_45_the_limits_are_settings_and_bound_the_access_tokens() {
    let app = TestApp::with(&[("session_idle_ttl", "2m"), ("session_ttl", "5m")]).await;
    let alice = app.account("alice").await;
    let (_, claims) = decode(&alice.token);
    assert_eq!(claims["exp"], NOW + 120, "the idle limit bounds a token that the setting gives 15 minutes");
    let (mut latest, mut ends) = (Tokens::from(&alice), Vec::new());
    for _ in 0..3 {
        app.advance(90 * SECOND);
        latest = Tokens::of(&refresh(&app, &latest.refresh).await);
        ends.push(decode(&latest.access).1["exp"].as_i64().unwrap() - NOW);
    }
    assert_eq!(ends, [210, 300, 300]);
    app.advance(30 * SECOND);
    refresh(&app, &latest.refresh).await.oauth_error(400, "invalid_grant");
    assert_refused_everywhere(&app, &latest.access).await;
}

#[tokio::test]
async fn checklist_41_a_token_spent_long_ago_ends_a_session_in_use() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let mut latest = Tokens::from(&alice);
    for _ in 0..40 {
        app.advance(DAY);
        latest = Tokens::of(&refresh(&app, &latest.refresh).await);
    }
    alice.refresh().await.oauth_error(400, "invalid_grant");
    assert_refused_everywhere(&app, &latest.access).await;
    refresh(&app, &latest.refresh).await.oauth_error(400, "invalid_grant");
}
