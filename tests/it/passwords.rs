//! The password policy through HTTP: what is taken, what is refused and why, and that every byte counts.

use crate::harness::{Account, Answer, ByPassword, Caller as _, TestApp};
use reqwest::Method;
use serde_json::json;

const EMAIL: &str = "Quentin.Marsh@example.org";
const NAME: &str = "Quentin Marsh";

async fn sign_up(app: &TestApp, email: &str, password: &str) -> Answer {
    app.anonymous().post("/user", &json!({"email": email, "name": NAME, "password": password})).await
}

/// The status of a login by HTTP Basic and by JSON, which must agree.
async fn log_in(app: &TestApp, email: &str, password: &str) -> u16 {
    let basic = ByPassword { app, username: email.to_owned(), password: password.to_owned() };
    let by_json = app.anonymous().post("/login", &json!({"email": email, "password": password})).await;
    assert_eq!(basic.get("/login").await.status, by_json.status, "{}", by_json.text());
    by_json.status
}

/// Asserts that the sign-up was refused for its password alone, and gives the reason.
#[track_caller]
fn reason(answer: &Answer) -> String {
    let errors = answer.problem(422, "invalid-fields")["errors"].clone();
    assert_eq!(errors.as_array().map(Vec::len), Some(1), "{errors}");
    assert_eq!(errors[0]["pointer"], "/password");
    errors[0]["detail"].as_str().unwrap().to_owned()
}

const TOO_SHORT: &str = "at least 8 characters";
const TOO_LONG: &str = "at most 1024 bytes";
const COMMON: &str = "tried first";
const PERSONAL: &str = "your e-mail address or name";
const CONTROL: &str = "control characters";

#[tokio::test]
async fn checklist_1_3_and_6_refused_passwords_and_the_reasons() {
    let app = TestApp::start().await;
    let long = "x".repeat(1025);
    let wide = "é".repeat(513);
    let refused = [
        ("", "must not be empty"),
        ("1", TOO_SHORT),
        ("seven77", TOO_SHORT),
        ("éèêëéèê", TOO_SHORT),
        ("🙂🙃🙂🙃🙂🙃🙂", TOO_SHORT),
        (&long, TOO_LONG),
        (&wide, TOO_LONG),
        ("12345678", COMMON),
        ("password1", COMMON),
        ("PASSWORD1", COMMON),
        ("PassWord1", COMMON),
        ("qwertyuiop", COMMON),
        ("QwErTyUiOp", COMMON),
        ("iLoveYou1", COMMON),
        (EMAIL, PERSONAL),
        ("quentin.marsh@EXAMPLE.org", PERSONAL),
        ("quentin.marsh", PERSONAL),
        ("QUENTIN.MARSH", PERSONAL),
        ("quentin marsh", PERSONAL),
        ("Quentin Marsh12", PERSONAL),
        ("1quentin.marsh!", PERSONAL),
        ("claviger", PERSONAL),
        ("Claviger1", PERSONAL),
        ("a nul\0inside", CONTROL),
        ("a line\nfeed in it", CONTROL),
    ];
    for (password, why) in refused {
        let answer = sign_up(&app, EMAIL, password).await;
        assert!(reason(&answer).contains(why), "{password:?}: {}", answer.text());
        assert!(password.len() < 8 || !answer.text().contains(password), "not repeated: {password:?}");
    }
    assert_eq!(sign_up(&app, EMAIL, "a walk along the river").await.status, 201, "nothing was made before");
}

#[tokio::test]
async fn checklist_2_and_4_passwords_that_are_taken() {
    let app = TestApp::start().await;
    let (x64, x128, x1024, wide) = ("x7".repeat(32), "x7".repeat(64), "x7".repeat(512), "é".repeat(512));
    let taken = [
        "eight ch",
        &x64,
        &x128,
        &x1024,
        &wide,
        "🙂🙃🙂🙃🙂🙃🙂🙃",
        "  spaces are kept  ",
        "        ",
        "длинный пароль",
        "a:colon:in it",
        "\"quotes\" \\ and {braces}",
        "only lower case letters",
        "quentin marsh rides a zebra",
    ];
    for (number, password) in taken.into_iter().enumerate() {
        let email = format!("p{number}@example.org");
        let made = sign_up(&app, &email, password).await;
        assert_eq!(made.status, 201, "{password:?}: {}", made.text());
        assert_eq!(log_in(&app, &email, password).await, 200, "{password:?}");
    }
}

#[tokio::test]
async fn checklist_2_every_byte_counts() {
    let app = TestApp::start().await;
    for (number, length) in [80, 1024].into_iter().enumerate() {
        let email = format!("p{number}@example.org");
        let password = "x7".repeat(length / 2);
        assert_eq!(sign_up(&app, &email, &password).await.status, 201);
        for changed in [1, 8, 64, 71, 72, 73, length] {
            let mut other = password.clone();
            other.replace_range(changed - 1..changed, "y");
            assert_eq!(log_in(&app, &email, &other).await, 401, "byte {changed} of {length}");
        }
        for kept in [0, 8, 71, 72, 73, length - 1] {
            assert_eq!(log_in(&app, &email, &password[..kept]).await, 401, "{kept} of {length}");
        }
        assert_eq!(log_in(&app, &email, &password).await, 200);
    }
}

#[tokio::test]
async fn checklist_4_unicode_forms_of_one_password_log_in() {
    let app = TestApp::start().await;
    let forms = [
        ("caf\u{e9} au lait", "cafe\u{301} au lait"),
        ("\u{212b}ngstr\u{f6}m unit", "A\u{30a}ngstro\u{308}m unit"),
        (
            "\u{d55c}\u{ad6d}\u{c5b4} words",
            "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165} words",
        ),
        ("wide\u{3000}space here", "wide space here"),
    ];
    for (number, (one, other)) in forms.into_iter().enumerate() {
        for (typed, again) in [(one, other), (other, one)] {
            let email = format!("p{number}.{}@example.org", typed.len());
            assert_eq!(sign_up(&app, &email, typed).await.status, 201, "{typed:?}");
            assert_eq!(log_in(&app, &email, typed).await, 200, "{typed:?}");
            assert_eq!(log_in(&app, &email, again).await, 200, "{typed:?} typed as {again:?}");
        }
    }
}

#[tokio::test]
async fn checklist_5_nothing_is_trimmed_folded_or_replaced() {
    let app = TestApp::start().await;
    let password = " Correct ﬁne Horse ";
    assert_eq!(sign_up(&app, EMAIL, password).await.status, 201);
    for other in [
        "Correct ﬁne Horse",
        " Correct ﬁne Horse",
        "Correct ﬁne Horse ",
        " correct ﬁne horse ",
        " CORRECT ﬁNE HORSE ",
        " Correct fine Horse ",
        " Correct  ﬁne Horse ",
    ] {
        assert_eq!(log_in(&app, EMAIL, other).await, 401, "{other:?}");
    }
    assert_eq!(log_in(&app, EMAIL, password).await, 200);
}

#[tokio::test]
async fn checklist_1_the_least_length_is_a_setting() {
    let app = TestApp::with(&[("password_min_length", "15")]).await;
    assert!(reason(&sign_up(&app, EMAIL, "fourteen chars").await).contains("at least 15 characters"));
    assert_eq!(sign_up(&app, EMAIL, "fifteen chars !").await.status, 201);
}

#[tokio::test]
async fn checklist_1_dev_takes_any_but_the_empty_one() {
    let app = TestApp::dev().await;
    for (number, password) in ["1", "password", "claviger", NAME, " "].into_iter().enumerate() {
        let email = format!("p{number}@example.org");
        assert_eq!(sign_up(&app, &email, password).await.status, 201, "{password:?}");
        assert_eq!(log_in(&app, &email, password).await, 200, "{password:?}");
    }
    assert_eq!(reason(&sign_up(&app, EMAIL, "").await), "must not be empty");
}

#[tokio::test]
async fn all_faults_of_a_sign_up_are_listed_at_once() {
    let app = TestApp::start().await;
    let body = json!({"email": "nope", "name": " ", "password": "short"});
    let document = app.anonymous().post("/user", &body).await.problem(422, "invalid-fields");
    let errors = document["errors"].as_array().unwrap();
    let pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/email", "/name", "/password"]);
    assert!(errors.iter().all(|error| error["detail"].as_str().is_some_and(|text| text.len() > 10)));
}

#[tokio::test]
async fn checklist_3_a_login_with_an_impossible_password_is_told_so() {
    let app = TestApp::start().await;
    for (password, why) in [("x".repeat(1025), TOO_LONG), ("nul\0".to_owned(), CONTROL)] {
        let body = json!({"email": "nobody@example.org", "password": password});
        assert!(reason(&app.anonymous().post("/login", &body).await).contains(why));
    }
}

/// Asks for another password for `ann`, who knows hers.
async fn change(ann: &Account<'_>, password: &str) -> Answer {
    let body = json!({"current_password": ann.password, "new_password": password});
    ann.send_json(Method::PUT, "/user/password", &body).await
}

#[tokio::test]
async fn checklist_1_to_6_a_new_password_keeps_to_the_same_policy() {
    let app = TestApp::start().await;
    let ann = app.account("annabel").await;
    let long = "x".repeat(1025);
    for (password, why) in [
        ("", "must not be empty"),
        ("seven77", TOO_SHORT),
        (&long, TOO_LONG),
        ("PassWord1", COMMON),
        ("ANNABEL@example.org", PERSONAL),
        ("annabel1", PERSONAL),
        ("claviger", PERSONAL),
        ("a nul\0inside", CONTROL),
    ] {
        let answer = change(&ann, password).await;
        let document = answer.problem(422, "invalid-fields");
        assert_eq!(document["errors"][0]["pointer"], "/new_password", "{password:?}");
        assert!(document["errors"][0]["detail"].as_str().unwrap().contains(why), "{password:?}: {document}");
        assert!(password.len() < 9 || !answer.text().contains(password), "not repeated: {password:?}");
    }
    assert_eq!(log_in(&app, &ann.email, &ann.password).await, 200, "nothing was changed");

    let x1024 = "x7".repeat(512);
    for password in ["  spaces are kept  ", "длинный пароль", "a:colon:in it", &x1024] {
        let ann = app.person("annabel");
        let other = app.account(&format!("p{}", password.len())).await;
        assert_eq!(change(&other, password).await.status, 204, "{password:?}");
        assert_eq!(log_in(&app, &other.email, password).await, 200, "{password:?}");
        assert_eq!(log_in(&app, &other.email, &other.password).await, 401, "the old one is over");
        assert_eq!(log_in(&app, &ann.email, password).await, 401, "it is no one else's");
        assert_eq!(other.get("/user/profile").await.status, 200, "the session goes on");
    }
}

#[tokio::test]
async fn the_present_password_is_wanted_and_a_wrong_one_is_no_401() {
    let app = TestApp::start().await;
    let ann = app.account("ann").await;
    let long = "x".repeat(1025);
    for wrong in ["", "a walk", "ANN LIKES LONG WALKS", "ann likes long walks ", "ann likes long walk"] {
        let body = json!({"current_password": wrong, "new_password": "ann likes long swims"});
        let changed = ann.send_json(Method::PUT, "/user/password", &body).await;
        changed.problem(403, "wrong-password");
        let deleted = ann.send_json(Method::DELETE, "/user", &json!({"password": wrong})).await;
        deleted.problem(403, "wrong-password");
        for answer in [changed, deleted] {
            assert_eq!(answer.header("www-authenticate"), "", "a client must not throw its token away");
        }
    }
    let body = json!({"current_password": long, "new_password": "ann likes long swims"});
    let answer = ann.send_json(Method::PUT, "/user/password", &body).await;
    assert_eq!(answer.problem(422, "invalid-fields")["errors"][0]["pointer"], "/current_password");
    let answer = ann.send_json(Method::DELETE, "/user", &json!({"password": long})).await;
    assert_eq!(answer.problem(422, "invalid-fields")["errors"][0]["pointer"], "/password");
    assert_eq!(log_in(&app, &ann.email, &ann.password).await, 200);
}
