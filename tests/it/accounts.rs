//! Signing up and the profile.

use crate::harness::{Caller as _, TestApp};
use serde_json::json;

#[tokio::test]
async fn the_starting_conversation() {
    let app = TestApp::dev().await;
    let body = json!({"email":"test1@eamil.com","name":"test1","password":"test1"});
    let made = app.anonymous().post("/user", &body).await;
    assert_eq!((made.status, made.header("location")), (201, "/user/profile"));
    let public_id = made.json()["user"]["public_id"].clone();
    assert_eq!(made.json(), json!({"user":{"public_id":public_id,"email":"test1@eamil.com","name":"test1"}}));
    app.anonymous().post("/user", &body).await.problem(409, "email-taken");
}
