//! How ended sessions are learned of.

use super::*;
use crate::MissingStatus;

const LIST: &str = "/status/0";

/// The place of the tokens of these tests.
fn end(server: &Server) {
    server.change(|world| world.ended.insert(3));
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_is_refused_within_seconds() {
    let server = Server::new();
    let verifier = server.verifier();
    let token = server.token();
    assert_eq!(says(&verifier, &token).await, "good");
    server.change(|world| world.ended.insert(4));
    end(&server);
    let before = Instant::now();
    while says(&verifier, &token).await == "good" {
        pass(1).await;
    }
    assert_eq!(says(&verifier, &token).await, "ended");
    assert!(before.elapsed() <= Duration::from_secs(11), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_list_is_fetched_by_itself_at_half_its_time_and_mostly_is_the_same() {
    let server = Server::new();
    let verifier = server.verifier();
    let token = server.token();
    for _ in 0..60 {
        assert_eq!(says(&verifier, &token).await, "good");
        pass(10).await;
    }
    let asked = server.asked(LIST);
    assert!((58..=62).contains(&asked), "{asked} in 10 minutes, by ttl 20");
    assert!(server.change(|world| world.not_modified) >= asked - 2);
}

#[tokio::test(start_paused = true)]
async fn only_the_first_token_of_a_list_waits() {
    let server = Server::new();
    let verifier = server.verifier();
    verifier.ready().await.unwrap();
    let token = server.token();
    let both = tokio::join!(says(&verifier, &token), says(&verifier, &token));
    assert_eq!((both, server.asked(LIST)), (("good".into(), "good".into()), 1));
    for _ in 0..100 {
        pass(3).await;
        let before = Instant::now();
        assert_eq!(says(&verifier, &token).await, "good");
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_by_a_new_key_is_read() {
    let server = Server::new();
    let verifier = server.verifier();
    let (old, token) = (server.change(|world| world.keys[0].clone()), server.token());
    assert_eq!(says(&verifier, &token).await, "good");
    server.change(|world| world.keys = vec![key(), old]);
    end(&server);
    pass(11).await;
    assert_eq!(says(&verifier, &token).await, "ended");
}

#[tokio::test(start_paused = true)]
async fn while_no_list_can_be_had_tokens_are_taken_for_ten_minutes() {
    let server = Server::new();
    let verifier = server.verifier();
    let token = server.token();
    assert_eq!(says(&verifier, &token).await, "good");
    server.change(|world| world.mood = Mood::Away);
    pass(595).await;
    assert_eq!(says(&verifier, &token).await, "good");
    pass(10).await;
    assert_eq!(says(&verifier, &token).await, "no status: nobody is there");
    server.change(|world| world.mood = Mood::Up);
    pass(31).await;
    assert_eq!(says(&verifier, &token).await, "good");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_known_to_have_ended_stays_so_while_the_server_is_away() {
    let server = Server::new();
    let verifier = server.verifier();
    let token = server.token();
    end(&server);
    assert_eq!(says(&verifier, &token).await, "ended");
    server.change(|world| world.mood = Mood::Away);
    for _ in 0..50 {
        pass(60).await;
        assert_eq!(says(&verifier, &token).await, "ended");
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_list_takes_no_newer_ones_place() {
    let server = Server::new();
    let verifier = server.verifier();
    let token = server.token();
    let old = server.change(|world| server.list(world));
    pass(1).await;
    end(&server);
    assert_eq!(says(&verifier, &token).await, "ended");
    server.change(|world| world.replayed = Some(old));
    for _ in 0..50 {
        pass(10).await;
        assert_eq!(says(&verifier, &token).await, "ended");
        verifier.refresh().await.unwrap();
    }
    // One of the same second is as good.
    let same = server.change(|world| server.list(world));
    server.change(|world| world.replayed = Some(same));
    verifier.refresh().await.unwrap();
    server.change(|world| world.ended.insert(4));
    let same = server.change(|world| server.list(world));
    server.change(|world| world.replayed = Some(same));
    verifier.refresh().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lists_of_two_servers_take_turns() {
    let server = Server::new();
    let strict = server.builder().missing_status(MissingStatus::Refuse).build().unwrap();
    let token = server.token();
    // Each makes its list anew once a minute, half a minute after the other.
    let mut lists = [(); 2].map(|()| server.change(|world| server.list(world)));
    for seconds in 0..300_usize {
        if seconds % 30 == 0 {
            lists[seconds / 30 % 2] = server.change(|world| server.list(world));
        }
        // A balancer sends each request to the other one.
        let list = lists[seconds % 2].clone();
        server.change(|world| world.replayed = Some(list));
        assert_eq!(says(&strict, &token).await, "good", "{seconds}");
        strict.refresh().await.unwrap();
        pass(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_list_tokens_are_refused_unless_it_is_asked_for() {
    let server = Server::new();
    server.change(|world| world.lists_are_broken = Some("another key"));
    let lenient = MissingStatus::AcceptFromStartFor(Duration::from_secs(600));
    let (usual, lenient) = (server.verifier(), server.builder().missing_status(lenient).build().unwrap());
    let token = server.token();
    assert!(says(&usual, &token).await.starts_with("no status: "));
    assert_eq!(says(&lenient, &token).await, "good");
    pass(601).await;
    assert!(says(&lenient, &token).await.starts_with("no status: "));
    server.change(|world| world.lists_are_broken = None);
    // However long it was away.
    pass(5).await;
    assert_eq!((says(&usual, &token).await, says(&lenient, &token).await), ("good".into(), "good".into()));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_it_is_refused_as_soon_as_the_list_is_old() {
    let server = Server::new();
    let verifier = server.builder().missing_status(MissingStatus::Refuse).build().unwrap();
    let token = server.token();
    for _ in 0..100 {
        assert_eq!(says(&verifier, &token).await, "good");
        pass(1).await;
    }
    server.change(|world| world.mood = Mood::Away);
    pass(26).await;
    assert_eq!(says(&verifier, &token).await, "no status: nobody is there");
}

#[tokio::test(start_paused = true)]
async fn lists_that_break_a_rule_are_no_lists() {
    for (broken, why) in [
        ("another list", "the status list is refused: it is another list"),
        ("another issuer", "the status list is refused: another issuer made it"),
        ("another key", "the status list is refused: no key of this server has its key id"),
        ("expired", "the status list is refused: it has expired"),
        ("of the future", "the status list is refused: it is from the future. Set the clocks"),
        ("bomb", "the list is not compressed by ZLIB, or holds more than 1 MiB"),
    ] {
        let server = Server::new();
        server.change(|world| world.lists_are_broken = Some(broken));
        let strict = server.builder().missing_status(MissingStatus::Refuse).build().unwrap();
        assert_eq!(says(&strict, &server.token()).await, format!("no status: {why}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_asked_for_only_on_the_issuers_server() {
    let server = Server::new();
    let signer = server.change(|world| world.keys[0].clone());
    let verifier = server.verifier();
    for uri in [
        "https://evil.example/status/0",
        "https://auth.example.evil.example/status/0",
        "https://auth.example@evil.example/status/0",
        "https://auth.example:444/status/0",
        "http://auth.example/status/0",
        "https://auth.example",
        "/status/0",
        "",
    ] {
        let mut claims = server.claims();
        claims.status = StatusClaim::new(0, uri.to_owned());
        assert_eq!(says(&verifier, &claims.sign(&signer).unwrap()).await, "NoSuchStatus", "{uri}");
    }
    assert_eq!(server.change(|world| world.asked.len()), 1, "the keys");
    let mut claims = server.claims();
    claims.status = StatusClaim::new(8192, format!("{ISSUER}{LIST}"));
    assert_eq!(says(&verifier, &claims.sign(&signer).unwrap()).await, "NoSuchStatus", "past the list's end");
}

#[tokio::test(start_paused = true)]
async fn lists_that_nobody_names_any_more_are_let_go() {
    let server = Server::new();
    let signer = server.change(|world| world.keys[0].clone());
    let lenient = MissingStatus::AcceptFromStartFor(Duration::from_secs(600));
    let verifier = server.builder().missing_status(lenient).build().unwrap();
    let token = |list: usize| {
        let mut claims = server.claims();
        claims.status = StatusClaim::new(3, format!("{ISSUER}/status/{list}"));
        claims.sign(&signer).unwrap()
    };
    for list in 0..200 {
        assert_eq!(says(&verifier, &token(list)).await, "good", "there is none, and it is tolerated");
    }
    pass(31).await;
    let asked = |server: &Server| server.change(|world| std::mem::take(&mut world.asked));
    asked(&server);
    pass(31).await;
    let lists: BTreeSet<String> = asked(&server).into_iter().filter(|url| url.contains("status")).collect();
    assert_eq!(lists.len(), 64, "no more than this are kept");
    pass(600).await;
    assert_eq!(says(&verifier, &token(0)).await, "good");
    asked(&server);
    pass(31).await;
    let lists: BTreeSet<String> = asked(&server).into_iter().filter(|url| url.contains("status")).collect();
    assert_eq!(lists.len(), 1, "{lists:?}");
}
