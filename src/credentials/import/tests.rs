//! What a line may say, and what is said of one that is refused.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=1$AQEBAQEBAQEBAQEBAQEBAQ$AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
const ID: &str = "6f0c8b1e-9d8a-4c57-8f6e-0a1b2c3d4e5f";

fn parse(line: &str) -> Result<ImportedAccount, Refused> {
    ImportedAccount::parse(line.as_bytes(), NOW, [7; 10])
}

/// A good line with other members.
fn with(members: &Value) -> String {
    let mut line = json!({"email": "Alice@example.org", "name": "Alice", "password_hash": HASH});
    for (name, value) in members.as_object().unwrap() {
        line[name] = value.clone();
    }
    line.to_string()
}

fn refusal(members: &Value) -> String {
    parse(&with(members)).err().map(|why| why.to_string()).unwrap_or_default()
}

#[test]
fn a_line_is_an_account() {
    let line =
        parse(&with(&json!({"public_id": ID, "created_at": "2023-11-14T23:13:20+01:00"}))).ok().unwrap();
    let account = line.account();
    assert_eq!((account.email.as_typed(), account.name.as_str()), ("Alice@example.org", "Alice"));
    assert_eq!((account.id.to_string().as_str(), line.phc()), (ID, HASH));
    assert_eq!(account.created_at, Timestamp::from_seconds(1_700_000_000));

    let bare = parse(&with(&json!({"public_id": null, "created_at": null, "role": "admin"}))).ok().unwrap();
    assert_eq!(bare.account().id.0, id::uuid_v7(NOW, [7; 10]));
    assert_eq!(bare.account().created_at, NOW);
    let old = parse(&with(&json!({"created_at": "1999-12-31T23:59:59Z"}))).ok().unwrap();
    assert!(old.account().id.0 < bare.account().id.0, "ids are in the order of when accounts were made");
}

#[test]
fn the_key_stands_for_all_that_a_line_says_and_no_more() {
    let key = |members: &Value| parse(&with(members)).ok().unwrap().account().idempotency_key;
    let plain = key(&json!({}));
    let later = ImportedAccount::parse(
        with(&json!({})).as_bytes(),
        NOW.plus(std::time::Duration::from_secs(9)),
        [8; 10],
    );
    assert_eq!(later.ok().unwrap().account().idempotency_key, plain, "neither the time nor chance");
    assert_eq!(key(&json!({"role": "admin"})), plain);
    let mut keys = HashSet::from([plain]);
    for members in [
        json!({"email": "alice@example.org"}),
        json!({"name": "alice"}),
        json!({"password_hash": HASH.replace("t=1", "t=2")}),
        json!({"public_id": ID}),
        json!({"created_at": "2023-11-14T22:13:20Z"}),
        json!({"disabled": true}),
        json!({"password_hash": "!"}),
    ] {
        assert!(key(&json!({"disabled": false})) == plain);
        assert!(keys.insert(key(&members)), "{members}");
    }
}

#[test]
fn a_local_time_from_the_east_is_taken_and_known_again() {
    let of = |moment: &str, now: Timestamp| {
        let mut row = Row::default();
        for (role, text) in [(Role::Email, "a@b.org"), (Role::Password, HASH), (Role::CreatedAt, moment)] {
            row.add(role, text.to_owned());
        }
        ImportedAccount::new(&row.record()?, Wanted::default(), now, [7; 10])
    };
    // Nine hours after NOW if it were UTC.
    let (first, later) = ("2027-01-15 17:00:00", NOW.plus(std::time::Duration::from_hours(30)));
    let made = of(first, NOW).ok().unwrap();
    assert_eq!((made.account().created_at, made.account().id.0), (NOW, id::uuid_v7(NOW, [7; 10])));
    let again = of(first, later).ok().unwrap();
    assert_eq!(again.account().created_at, Timestamp::from_seconds(1_800_032_400), "nothing to correct");
    assert_eq!(again.account().idempotency_key, made.account().idempotency_key);
    for moment in ["2027-01-16 08:00:00", "2027-01-15T17:00:00Z"] {
        assert_eq!(of(moment, NOW).err(), Some(Refused::Future), "{moment}");
    }
}

#[test]
fn a_moment_is_refused_by_its_own_name() {
    let user = json!({"email": "a@b.org", "encrypted_password": HASH, "banned_until": "hunter2"}).to_string();
    let why = Format::Supabase.object(user.as_bytes(), None).err().unwrap().to_string();
    assert!(why.starts_with("banned_until must be a moment"), "{why}");
}

#[test]
fn what_is_wrong_is_said_and_not_repeated() {
    for (members, why) in [
        (json!({"email": "hunter2"}), "email must have the form name@example.org"),
        (json!({"email": null}), "email must be a string"),
        (json!({"name": " "}), "name must not be empty"),
        (json!({"name": "hunter2\u{0}"}), "name must not hold control characters"),
        (json!({"name": ["hunter2"]}), "name must be a string"),
        (json!({"password_hash": null}), "it has no password; --keep-without-password"),
        (json!({"password_hash": 7}), "password_hash must be a string"),
        (json!({"password_hash": ""}), "it has no password; --keep-without-password"),
        (json!({"password_hash": "hunter2"}), "password_hash is of no format that is known here"),
        (json!({"password_hash": "$2b$12$hunter2"}), "password_hash looks like bcrypt, but"),
        (json!({"password_hash": HASH.replace("v=19", "v=20")}), "password_hash looks like Argon2, but"),
        (
            json!({"password_hash": HASH.replace("m=64", "m=1048577")}),
            "password_hash asks for more than m=1048576",
        ),
        (json!({"public_id": "hunter2"}), "public_id must be a UUID"),
        (json!({"public_id": ID.to_uppercase()}), "public_id must be a UUID, in lower case"),
        (json!({"public_id": ID.replace('-', "")}), "public_id must be a UUID"),
        (json!({"public_id": Uuid::nil().to_string()}), "public_id must be a UUID"),
        (json!({"public_id": Uuid::max().to_string()}), "public_id must be a UUID"),
        (json!({"public_id": 7}), "public_id must be a string"),
        (json!({"created_at": "yesterday"}), "created_at must be a moment"),
        (json!({"created_at": "2023-11-14T22:13:20"}), "created_at must be a moment"),
        (json!({"created_at": 1_700_000_000}), "created_at must be a string"),
        (json!({"created_at": "2027-01-15T08:00:01Z"}), "created_at is still to come"),
    ] {
        let said = refusal(&members);
        assert!(said.starts_with(why) && !said.contains("hunter2"), "{members}: {said}");
    }
    for (line, why) in [
        ("", "it is not JSON, column 0"),
        ("[]", "it is not a JSON object"),
        ("{}", "email is missing"),
        (r#"{"email":"a@b.org"}"#, "name is missing"),
        (r#"{"email":"a@b.org","name":"a"}"#, "it has no password"),
        (r#"{"email":"a@b.org","email":"a@b.org"}"#, "a name stands twice"),
        ("{} {}", "it is not JSON"),
        ("\u{feff}{}", "it is not JSON"),
    ] {
        let said = parse(line).err().unwrap().to_string();
        assert!(said.starts_with(why), "{line}: {said}");
    }
    let long = with(&json!({"more": "x".repeat(MAX_LINE)}));
    assert_eq!(parse(&long).err(), Some(Refused::TooLong));
    let room = MAX_LINE - with(&json!({"more": ""})).len();
    assert!(parse(&with(&json!({"more": "x".repeat(room)}))).is_ok());
    assert_eq!(parse(&with(&json!({"more": "x".repeat(room + 1)}))).err(), Some(Refused::TooLong));
}

#[test]
fn a_trial_remembers_what_it_has_seen() {
    let mut trial = Trial::default();
    let other = "6f0c8b1e-9d8a-4c57-8f6e-0a1b2c3d4e50";
    for (members, in_database, expected) in [
        (json!({"public_id": ID}), Made::Now, Made::Now),
        (json!({"public_id": ID}), Made::Now, Made::Before),
        (json!({"public_id": ID, "email": "ALICE@example.org"}), Made::Now, Made::EmailTaken),
        (json!({"public_id": ID, "email": "bob@example.org"}), Made::Now, Made::IdTaken),
        (json!({"public_id": other, "email": "bob@example.org"}), Made::EmailTaken, Made::EmailTaken),
        (json!({"public_id": other, "email": "bob@example.org"}), Made::Now, Made::Now),
        (json!({"email": "carol@example.org"}), Made::Now, Made::Now),
        (json!({"email": "dave@example.org"}), Made::Now, Made::Now),
    ] {
        let line = parse(&with(&members)).ok().unwrap();
        assert_eq!(trial.judge(&line, in_database), expected, "{members}");
    }
}

proptest! {
    #[test]
    fn any_line_is_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        texts in proptest::collection::vec("\\PC{0,40}", 5),
        changed in 0usize..5,
    ) {
        drop(ImportedAccount::parse(&bytes, NOW, [0; 10]));
        let names = ["email", "name", "password_hash", "public_id", "created_at"];
        let whole: Value = names.iter().zip(&texts).map(|(name, text)| (*name, text.as_str())).collect();
        prop_assert!(parse(&whole.to_string()).is_err(), "no such text is a hash");
        if let Ok(line) = parse(&with(&json!({names[changed]: texts[changed]}))) {
            prop_assert!(Email::parse(line.account().email.key()).is_ok());
            prop_assert!(StoredHash::parse(line.phc()).is_ok());
        }
    }
}
