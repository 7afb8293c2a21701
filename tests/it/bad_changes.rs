//! Bodies of the routes that change an account which no well-behaved client sends: each is refused by a
//! problem document, fast, and without effect.

use crate::harness::{Account, Answer, Caller as _, TestApp, assert_problem, quick};
use reqwest::Method;
use serde_json::{Value, json};

/// The routes, with a body that would work for `ann`.
const ROUTES: [(&str, &str, &str); 3] = [
    ("PATCH", "/user/profile", r#"{"name":"Eve"}"#),
    (
        "PUT",
        "/user/password",
        r#"{"current_password":"ann likes long walks","new_password":"eve likes long swims","keep_other_sessions":true}"#,
    ),
    ("DELETE", "/user", r#"{"password":"ann likes long walks"}"#),
];

async fn ask(ann: &Account<'_>, method: &str, path: &str, content_type: &str, body: &str) -> Answer {
    let request = ann.request(method.parse::<Method>().unwrap(), path).header("content-type", content_type);
    quick(request.body(body.to_owned())).await
}

/// She is who she was, and her session goes on.
async fn assert_no_effect(ann: &Account<'_>) {
    let profile = ann.get("/user/profile").await;
    assert_eq!(profile.json(), json!({"user": {"email": ann.email, "name": ann.name}}));
    assert_eq!(ann.by_password().get("/login").await.status, 200);
    assert_eq!(ann.refresh().await.status, 200);
}

#[tokio::test]
async fn checklist_89_what_is_not_one_json_object_changes_nothing() {
    let app = TestApp::start().await;
    let ann = app.account("ann").await;
    for (method, path, good) in ROUTES {
        let inner = good.trim_start_matches('{').trim_end_matches('}');
        let (member, _) = inner.split_once(',').unwrap_or((inner, ""));
        let broken = [
            "",
            "{",
            "[]",
            "null",
            "\"text\"",
            "password=x",
            &good[..good.len() - 1],
            &format!("{good}{good}"),
            &format!("[{good}]"),
            &format!("\0{good}"),
            &format!("{{{inner},{member}}}"),
            &format!("{{{member},{inner}}}"),
            &format!(r#"{{{inner},"x":1,"x":1}}"#),
            &format!(r#"{{{inner},"x":"\ud800"}}"#),
            &format!(r#"{{{inner},"x":1e400}}"#),
            &format!(r#"{{{inner},"x":{}}}"#, "[".repeat(60_000)),
            &format!("{{{inner},}}"),
        ];
        for body in broken {
            let what = format!("{method} {path} {body}");
            assert_problem(
                &ask(&ann, method, path, "application/json", body).await,
                400,
                "malformed-json",
                &what,
            );
        }
        let large = format!(r#"{{{inner},"x":"{}"}}"#, "y".repeat(64 * 1024));
        assert_problem(
            &ask(&ann, method, path, "application/json", &large).await,
            413,
            "body-too-large",
            path,
        );
        for content_type in
            ["text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json"]
        {
            let answer = ask(&ann, method, path, content_type, good).await;
            assert_problem(&answer, 415, "unsupported-media-type", &format!("{path} {content_type}"));
        }
        let bare = quick(ann.request(method.parse::<Method>().unwrap(), path)).await;
        assert_problem(&bare, 415, "unsupported-media-type", path);
    }
    assert_no_effect(&ann).await;
}

#[tokio::test]
async fn fields_of_another_type_or_missing_are_named_and_change_nothing() {
    let app = TestApp::start().await;
    let ann = app.account("ann").await;
    let others = [
        json!(424_242),
        json!(-1.5),
        json!([]),
        json!({}),
        json!(["hunter2"]),
        json!({"hunter2": "hunter2"}),
    ];
    for (method, path, good) in ROUTES {
        let good: Value = serde_json::from_str(good).unwrap();
        for field in good.as_object().unwrap().keys() {
            let wrong = if field == "keep_other_sessions" {
                [json!("true"), json!(1), json!(null)]
            } else {
                [json!(true), json!(false), json!(0)]
            };
            for value in others.iter().chain(&wrong) {
                let mut body = good.clone();
                body[field] = value.clone();
                let answer = ask(&ann, method, path, "application/json", &body.to_string()).await;
                assert_problem(&answer, 422, "invalid-fields", &format!("{method} {path} {body}"));
                let errors = answer.json()["errors"].clone();
                assert_eq!(errors.as_array().unwrap().len(), 1, "{errors}");
                assert_eq!(errors[0]["pointer"], format!("/{field}"), "{method} {path} {body}");
                for sent in ["hunter2", "4242", "likes long"] {
                    assert!(!answer.text().contains(sent), "{body}: {}", answer.text());
                }
            }
            if field.contains("password") {
                for missing in [json!(null), json!({})] {
                    let mut body = good.clone();
                    body[field] = missing.clone();
                    if missing.is_object() {
                        body.as_object_mut().unwrap().remove(field);
                        body[field.to_uppercase()] = "ann likes long walks".into();
                    }
                    let answer = ask(&ann, method, path, "application/json", &body.to_string()).await;
                    assert_problem(&answer, 422, "invalid-fields", &format!("{method} {path} {body}"));
                    assert_eq!(answer.json()["errors"][0]["pointer"], format!("/{field}"), "{body}");
                }
            }
        }
    }
    assert_no_effect(&ann).await;
}

#[tokio::test]
async fn checklist_83_and_88_unknown_members_change_nothing() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.account("ann").await, app.account("bob").await);
    let body = json!({
        "email": "eve@example.org", "public_id": bob.public_id, "id": bob.public_id, "sub": bob.public_id,
        "account": bob.public_id, "password": "eve likes long swims", "new_password": "eve likes long swims",
        "role": "admin", "scope": "admin", "disabled_at": 1, "user": {"name": "Eve", "public_id": bob.public_id},
        "__proto__": {"name": "Eve"},
    });
    let answer = ann.send_json(Method::PATCH, "/user/profile", &body).await;
    assert_eq!(answer.json(), json!({"user": {"email": ann.email, "name": ann.name}}));
    assert_no_effect(&ann).await;

    let whose = json!({"password": ann.password, "email": bob.email, "public_id": bob.public_id});
    assert_eq!(ann.send_json(Method::DELETE, "/user", &whose).await.status, 204);
    ann.get("/user/profile").await.problem(401, "invalid-token");
    assert_no_effect(&bob).await;
}
