//! How the copy of the keys is kept.

use super::*;
use tokio::time::timeout;

const SET: &str = "/.well-known/jwks.json";

#[tokio::test(start_paused = true)]
async fn a_new_key_is_known_by_its_first_token_and_an_old_one_forgotten() {
    let server = Server::new();
    let verifier = server.verifier();
    let old = server.token();
    assert_eq!(says(&verifier, &old).await, "good");
    pass(10).await;
    server.rotate();
    assert_eq!(says(&verifier, &old).await, "good", "it has not looked yet");
    assert_eq!(says(&verifier, &server.token()).await, "good");
    assert_eq!(server.asked(SET), 2);
    assert_eq!(says(&verifier, &old).await, "UnknownKey", "its key was revoked");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_forgotten_before_the_set_runs_out() {
    let server = Server::new();
    let verifier = server.builder().check_status(false).build().unwrap();
    let old = server.token();
    assert_eq!(says(&verifier, &old).await, "good");
    server.rotate();
    pass(151).await;
    assert_eq!(server.asked(SET), 2, "fetched by itself");
    assert_eq!(says(&verifier, &old).await, "UnknownKey");
}

#[tokio::test(start_paused = true)]
async fn refresh_looks_at_once() {
    let server = Server::new();
    let verifier = server.verifier();
    let old = server.token();
    assert_eq!(says(&verifier, &old).await, "good");
    server.rotate();
    verifier.refresh().await.unwrap();
    assert_eq!(says(&verifier, &old).await, "UnknownKey");
    server.change(|world| world.mood = Mood::Away);
    assert!(verifier.refresh().await.is_err());
    assert_eq!(says(&verifier, &server.token()).await, "good", "what was there is still there");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_key_ids_is_one_fetch_in_five_seconds() {
    let server = Server::new();
    let verifier = server.verifier();
    let (good, strange) = (server.token(), server.claims().sign(&key()).unwrap());
    assert_eq!(says(&verifier, &good).await, "good");
    let lists = server.asked("/status/0");
    for _ in 0..600 {
        sleep(Duration::from_millis(100)).await;
        for _ in 0..10 {
            assert_eq!(says(&verifier, &strange).await, "UnknownKey");
        }
        assert_eq!(says(&verifier, &good).await, "good");
    }
    let asked = server.asked(SET);
    assert!((10..=14).contains(&asked), "{asked} fetches for 6,000 tokens in a minute");
    assert!(server.asked("/status/0") - lists <= 7, "their status is not asked for");
}

#[tokio::test(start_paused = true)]
async fn callers_at_once_share_one_fetch() {
    let server = Server::new();
    let verifier = server.verifier();
    assert_eq!(says(&verifier, &server.token()).await, "good");
    pass(10).await;
    server.rotate();
    let token: Arc<str> = server.token().into();
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (verifier, token) = (verifier.clone(), token.clone());
            tokio::spawn(async move { says(&verifier, &token).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "good");
    }
    assert_eq!(server.asked(SET), 2);
}

#[tokio::test(start_paused = true)]
async fn one_who_hangs_up_ends_no_fetch() {
    let server = Server::new();
    let verifier = server.verifier();
    assert_eq!(says(&verifier, &server.token()).await, "good");
    pass(10).await;
    server.rotate();
    let token = server.token();
    let hung_up = timeout(Duration::from_millis(5), verifier.verify(&token)).await;
    assert!(hung_up.is_err());
    assert_eq!(says(&verifier, &token).await, "good");
    assert_eq!(server.asked(SET), 2);
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_before_they_run_out_and_nobody_waits() {
    let server = Server::new();
    let verifier = server.builder().check_status(false).build().unwrap();
    verifier.ready().await.unwrap();
    let token = server.token();
    for minute in 1..=60 {
        pass(58).await;
        let before = Instant::now();
        assert_eq!(says(&verifier, &token).await, "good");
        assert_eq!(before.elapsed(), Duration::ZERO, "in minute {minute}");
    }
    let asked = server.asked(SET);
    assert!((23..=25).contains(&asked), "{asked} in an hour: half of max-age=300");
    assert_eq!(server.change(|world| world.not_modified), asked - 1);
    assert_eq!(server.asked("/status/0"), 0, "it was told not to");
}

#[tokio::test(start_paused = true)]
async fn while_the_server_is_away_the_last_keys_serve_for_an_hour() {
    let server = Server::new();
    let verifier = server.builder().check_status(false).build().unwrap();
    verifier.ready().await.unwrap();
    server.change(|world| world.mood = Mood::Away);
    pass(3595).await;
    assert_eq!(says(&verifier, &server.token()).await, "good");
    pass(10).await;
    assert_eq!(says(&verifier, &server.token()).await, "no keys: nobody is there");
    let asked = server.asked(SET);
    assert!(asked < 130, "{asked} tries in an hour");
    server.change(|world| world.mood = Mood::Up);
    pass(31).await;
    let before = Instant::now();
    assert_eq!(says(&verifier, &server.token()).await, "good");
    assert_eq!(before.elapsed(), Duration::ZERO, "it came back by itself");
}

#[tokio::test(start_paused = true)]
async fn a_service_may_start_before_its_server() {
    let server = Server::new();
    server.change(|world| world.mood = Mood::Away);
    let verifier = server.verifier();
    let error = verifier.verify(&server.token()).await.unwrap_err();
    assert!(!error.is_of_the_token(), "{error}");
    assert!(verifier.ready().await.is_err());
    server.change(|world| world.mood = Mood::Up);
    pass(5).await;
    assert_eq!(says(&verifier, &server.token()).await, "good");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_holds_nobody_up_for_longer_than_its_limit() {
    let server = Server::new();
    server.change(|world| world.mood = Mood::Silent);
    let verifier = server.verifier();
    let before = Instant::now();
    assert_eq!(says(&verifier, &server.token()).await, "no keys: it takes too long");
    assert!(before.elapsed() < Duration::from_millis(5500));
    let before = Instant::now();
    assert_eq!(says(&verifier, &server.token()).await, "no keys: it takes too long");
    assert_eq!(before.elapsed(), Duration::ZERO, "nor again and again");
}

#[tokio::test(start_paused = true)]
async fn a_set_without_a_time_is_looked_at_no_more_often_than_the_pause() {
    let server = Server::new();
    server.change(|world| world.max_age = 0);
    let verifier = server.builder().check_status(false).build().unwrap();
    verifier.ready().await.unwrap();
    pass(60).await;
    let asked = server.asked(SET);
    assert!((11..=13).contains(&asked), "{asked}");
    server.change(|world| world.max_age = 1);
    pass(61).await;
    let asked = server.asked(SET) - asked;
    assert!((100..=121).contains(&asked), "{asked}: keys that turn every 5 seconds ask for it");
}

#[tokio::test(start_paused = true)]
async fn with_the_last_clone_the_tasks_end() {
    let server = Server::new();
    let verifier = server.verifier();
    assert_eq!(says(&verifier.clone(), &server.token()).await, "good");
    drop(verifier);
    pass(1).await;
    let asked = server.change(|world| world.asked.len());
    pass(3600).await;
    assert_eq!(server.change(|world| world.asked.len()), asked);
}

#[tokio::test(start_paused = true)]
async fn the_keys_may_be_elsewhere() {
    let server = Server::new();
    let elsewhere = server.builder().server("http://127.0.0.1:5000/").build().unwrap();
    assert_eq!(says(&elsewhere, &server.token()).await, "good");
    let asked = server.change(|world| std::mem::take(&mut world.asked));
    assert_eq!(asked, ["http://127.0.0.1:5000/.well-known/jwks.json", "http://127.0.0.1:5000/status/0"]);
    let url = "https://cdn.example/.well-known/jwks.json";
    let copied = server.builder().jwks_url(url).build().unwrap();
    assert_eq!(says(&copied, &server.token()).await, "good");
    assert_eq!(server.change(|world| world.asked.clone()), [url, "https://auth.example/status/0"]);
}
