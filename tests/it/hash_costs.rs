//! What checking a password costs, counted in hashes: nobody learns from it who has an account, nor that a password of
//! a disabled one is right.

use crate::harness::{Caller as _, TestApp, database};
use crate::operators::run;
use claviger::base::time::Timestamp;
use claviger::credentials::flow::learn_costs;
use claviger_crypto::mac::MacKey;
use claviger_crypto::password::{Computed, Engine, Hasher, Params, StoredHash};
use serde_json::{Value, json};
use std::time::Duration;

const OWN: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$dGFnIG9mIHRoaXJ0eS10d28gYnl0ZXMsIGFzIG91cnM";

const BCRYPT: &str = "$2b$04$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";

const SCRYPT: &str =
    "$scrypt$ln=4,r=8,p=2$as05B0CoNQZA6F2rFeI8Rw$Y13Rn2XRzgKgK5xApiALtWh5crBmNhqfLcyIm+NvX70";

/// With one thread that hashes, so that it has computed all that was.
async fn start() -> TestApp {
    TestApp::with(&[("hash_threads", "1"), ("limits", "false")]).await
}

async fn learn(app: &TestApp) {
    learn_costs(&app.app(), Duration::ZERO).await.unwrap();
}

/// What 256 identifiers that nobody has stand beside.
fn decoys(app: &TestApp) -> Vec<Option<String>> {
    let inside = app.app();
    let decoys = inside.passwords.decoys();
    (0..=255).map(|digest| decoys.of(&[digest; 32]).map(|hash| hash.to_string())).collect()
}

/// How many of them cost what hashes with this beginning do.
fn decoys_like(app: &TestApp, start: &str) -> usize {
    decoys(app).iter().filter(|decoy| decoy.as_ref().is_some_and(|text| text.starts_with(start))).count()
}

/// The status of a login, and how many hashes of ours and of others it took.
async fn login(app: &TestApp, email: &str, password: &str) -> (u16, u64, u64) {
    let inside = app.app();
    let computed = || inside.passwords.run(|hasher: &mut Hasher| hasher.computed());
    let before: Computed = computed().await.unwrap();
    let answer = app.anonymous().post("/login", &json!({"email": email, "password": password})).await;
    let after = computed().await.unwrap();
    (answer.status, after.own - before.own, after.foreign - before.foreign)
}

/// Has an account keep this hash.
fn store(app: &TestApp, email: &str, hash: &str) {
    let sql = "UPDATE passwords SET phc = $1 WHERE account_id = (SELECT id FROM accounts WHERE email = $2)";
    assert_eq!(database(app.data_dir()).execute(sql, [hash, email]).unwrap(), 1);
}

#[tokio::test]
async fn checklist_13_an_unknown_identifier_costs_what_some_account_does() {
    let app = start().await;
    for number in 0..4 {
        app.account(&format!("own{number}")).await;
    }
    learn(&app).await;
    assert!(decoys(&app).iter().all(Option::is_none), "all that is stored is our own");
    assert_eq!(login(&app, "nobody@example.org", "a wrong password").await, (401, 1, 0));

    let scrypt = StoredHash::read(SCRYPT).unwrap().to_string();
    store(&app, "own0@example.org", &scrypt);
    store(&app, "own1@example.org", &scrypt);
    learn(&app).await;
    let like = decoys(&app);
    learn(&app).await;
    let kinds = |decoys: &[Option<String>]| {
        let kind = |decoy: &Option<String>| decoy.as_ref().unwrap()[..20].to_owned();
        decoys.iter().map(kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&decoys(&app)), kinds(&like), "an identifier keeps its neighbour");
    assert!(
        decoys_like(&app, "$scrypt$ln=4,r=8,p=2$") > 40 && decoys_like(&app, &OWN[..30]) > 40,
        "{like:?}"
    );
    assert!(!like.contains(&Some(scrypt)), "none of them is one");

    // As the accounts do themselves.
    assert_eq!(login(&app, "own0@example.org", "a wrong password").await, (401, 1, 1));
    assert_eq!(login(&app, "own3@example.org", "a wrong password").await, (401, 1, 0));
    let mut costs = Vec::new();
    for number in 0..24 {
        let nobody = format!("nobody{number}@example.org");
        let cost = login(&app, &nobody, "a wrong password").await;
        assert_eq!(login(&app, &nobody, "another wrong one").await, cost, "always the same");
        costs.push(cost);
    }
    assert!(costs.contains(&(401, 1, 1)) && costs.contains(&(401, 1, 0)), "{costs:?}");
    assert!(costs.iter().all(|(_, own, foreign)| *own == 1 && *foreign <= 1), "{costs:?}");

    database(app.data_dir()).execute("DELETE FROM accounts", []).unwrap();
    learn(&app).await;
    assert!(decoys(&app).iter().all(Option::is_none));
}

/// Brings accounts in beside the server, all with this hash.
fn import(app: &TestApp, hash: &str, members: impl Iterator<Item = Value>) {
    let line = |(number, mut line): (usize, Value)| {
        line["name"] = json!("someone");
        line["email"] = json!(format!("{number}-{}@example.org", &hash[1..3]));
        line["password_hash"] = json!(hash);
        format!("{line}\n")
    };
    let lines: String = members.enumerate().map(line).collect();
    let (code, _, err) = run(app.data_dir(), &["import", "-"], &lines);
    assert_eq!(code, 0, "{err}");
}

/// One account an hour, with the ids of here.
fn hourly(count: i64) -> impl Iterator<Item = Value> {
    let moment = |hour: i64| Timestamp::from_seconds(1_700_000_000 + 3600 * (hour + 1)).to_string();
    (0..count).map(move |hour| json!({"created_at": moment(hour)}))
}

#[tokio::test]
async fn checklist_13_ids_of_one_moment_hide_no_costs() {
    let app = start().await;
    let at_once = || json!({"created_at": Timestamp::from_seconds(1_700_000_000).to_string()});
    import(&app, BCRYPT, std::iter::repeat_with(at_once).take(2400));
    import(&app, OWN, hourly(200));
    learn(&app).await;
    let like = decoys_like(&app, "$2b$04$");
    assert!(like > 200, "twelve of thirteen accounts have bcrypt, {like} of 256 identifiers cost as much");
}

#[tokio::test]
async fn checklist_13_ids_that_are_random_hide_no_costs() {
    let app = start().await;
    let id = |number: u32| {
        let tag = MacKey::new([3; 32]).tag(&[&number.to_be_bytes()]);
        uuid::Builder::from_random_bytes(tag[..16].try_into().unwrap()).into_uuid()
    };
    import(&app, SCRYPT, (0..800).map(|number| json!({"public_id": id(number).to_string()})));
    import(&app, OWN, hourly(1600));
    learn(&app).await;
    let (scrypt, own) = (decoys_like(&app, "$scrypt$ln=4"), decoys_like(&app, &OWN[..30]));
    assert!(scrypt > 40 && own > 90 && scrypt + own == 256, "a third and two thirds: {scrypt}, {own}");
}

/// In Unicode's form C, and as another keyboard gives it.
const FORMS: [&str; 2] = ["caf\u{e9} au lait", "cafe\u{301} au lait"];

#[tokio::test]
async fn checklist_13_a_right_password_of_a_disabled_account_costs_what_a_wrong_one_does() {
    let app = start().await;
    let own = |memory, password: &str| {
        let params = Params::new(memory, 2, 1).unwrap();
        let mut hasher = Hasher::new(Engine::Fast, params).unwrap();
        hasher.hash(password.as_bytes(), *b"somesaltsomesalt").unwrap().to_string()
    };
    // Werkzeug's salted SHA-256 of the second form.
    let foreign = "sha256$salt$41d0ee043eeb136df0b10dd3dd9b73d76ef38e4b19c48d9ab6a9edcbb44f850c";
    let foreign = StoredHash::read(foreign).unwrap().to_string();
    let [composed, typed] = FORMS;
    let cases = [
        ("present", own(19456, composed), composed, (1, 0)),
        ("present-too", own(19456, composed), typed, (2, 0)),
        ("present-as-typed", own(19456, typed), typed, (2, 0)),
        ("outdated", own(64, composed), composed, (2, 0)),
        ("outdated-too", own(64, composed), typed, (3, 0)),
        ("outdated-as-typed", own(64, typed), typed, (3, 0)),
        ("foreign", foreign.clone(), typed, (1, 2)),
    ];
    for (name, hash, ..) in &cases {
        let account = app.account(name).await;
        store(&app, &account.email, hash);
    }
    database(app.data_dir()).execute("UPDATE accounts SET disabled_at = created_at", []).unwrap();
    for (name, _, password, (own, foreign)) in &cases {
        let email = format!("{name}@example.org");
        let right = login(&app, &email, password).await;
        let wrong = login(&app, &email, &format!("{password}!")).await;
        assert_eq!((right, wrong), ((401, *own, *foreign), (401, *own, *foreign)), "{name}");
    }
    database(app.data_dir()).execute("UPDATE accounts SET disabled_at = NULL", []).unwrap();
    let email = "present-as-typed@example.org";
    assert_eq!(login(&app, email, composed).await.0, 401, "nobody knows how it was typed there");
    assert_eq!(login(&app, email, typed).await, (200, 3, 0), "it is hashed anew");
    assert_eq!(login(&app, email, composed).await, (200, 1, 0));
}
