//! What real libraries made verifies, is read again from its stored form, and nothing else is.

use super::super::{BadHash, Engine, Hasher, Params};
use super::*;
use proptest::prelude::*;

/// Lines of maker, password as JSON, and hash; `make.py` beside it says how they were made.
const VECTORS: &str = include_str!("../../../test-hashes/vectors.txt");

fn vectors() -> Vec<(&'static str, String, &'static str)> {
    let line = |line: &'static str| {
        let parts: Vec<_> = line.split('\t').collect();
        (parts[0], serde_json::from_str(parts[1]).unwrap(), parts[2])
    };
    VECTORS.lines().map(line).collect()
}

fn hasher() -> Hasher {
    Hasher::new(Engine::Fast, Params::new(64, 1, 1).unwrap()).unwrap()
}

#[test]
fn hashes_of_real_libraries_verify() {
    let (mut hasher, vectors) = (hasher(), vectors());
    assert!(vectors.len() > 100);
    let mut names = std::collections::BTreeSet::new();
    for (maker, password, text) in vectors {
        let hash = StoredHash::read(text).unwrap_or_else(|why| panic!("{maker}: {text} {why}"));
        assert!(hasher.verify_stored(password.as_bytes(), &hash).unwrap(), "{maker}: {password}");
        for wrong in [format!("{password}x"), format!(" {password}"), String::new()] {
            // bcrypt reads no more than 72 bytes.
            let same = text.starts_with("$2") && wrong.starts_with(&password[..72.min(password.len())]);
            if !(same && password.len() >= 72) {
                assert!(!hasher.verify_stored(wrong.as_bytes(), &hash).unwrap(), "{maker}: {wrong:?}");
            }
        }
        let stored = hash.to_string();
        assert_eq!(StoredHash::parse(&stored), Ok(hash.clone()), "{maker}: {stored}");
        assert!(stored.starts_with('$') && stored.len() < MAX_TEXT, "{stored}");
        if let StoredHash::Foreign(foreign) = &hash {
            assert!(hash.is_outdated(Params::new(64, 1, 1).unwrap()));
            names.insert(foreign.name());
            let shown = format!("{hash:?}");
            assert!(shown.len() < 40, "{shown}");
        }
    }
    let all = ["Argon2d", "Argon2i", "Argon2id 1.0", "Firebase scrypt", "HMAC", "PBKDF2", "bcrypt", "scrypt"];
    assert!(names.iter().eq(all.iter()), "{names:?}");
}

#[test]
fn bcrypt_reads_72_bytes_and_a_nul_opens_nothing() {
    let (mut hasher, vectors) = (hasher(), vectors());
    let long =
        vectors.iter().filter(|(maker, password, _)| maker.starts_with("bcrypt") && password.len() == 100);
    let mut seen = 0;
    for (_, password, text) in long {
        let hash = StoredHash::read(text).unwrap();
        let mut right = |password: &str| hasher.verify_stored(password.as_bytes(), &hash).unwrap();
        assert!(right(&password[..72]) && right(&format!("{}other", &password[..72])));
        assert!(!right(&password[..71]) && !right(&format!("{}q", &password[..71])));
        assert!(!right(&format!("{}\0", &password[..72])));
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn a_damaged_hash_is_refused_with_a_reason() {
    let read = |text: &str| StoredHash::read(text).unwrap_err().to_string();
    let hex = "ab".repeat(64);
    let short = &hex[..64];
    let damaged = [
        ("", "no format"),
        ("hunter2", "no format"),
        ("$", "no format"),
        ("a$b", "no format"),
        ("$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$dGFn", "Argon2, but"),
        ("$argon2i$v=20$m=64,t=1,p=1$c2FsdHNhbHQ$dGFnIG9mIHNpeHRlZW4u", "Argon2, but"),
        ("$argon2id$v=19$m=4,t=1,p=1$c2FsdHNhbHQ$dGFnIG9mIHNpeHRlZW4u", "Argon2, but"),
        ("$argon2id$v=19$m=2097152,t=1,p=1$c2FsdHNhbHQ$dGFnIG9mIHNpeHRlZW4u", "m=1048576"),
        ("$argon2id$v=19$m=99999999999,t=1,p=1$c2FsdHNhbHQ$dGFnIG9mIHNpeHRlZW4u", "m=1048576"),
        ("$2b$12$hunter2", "bcrypt, but"),
        ("$2b$16$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", "cost 15"),
        ("$2b$03$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", "bcrypt, but"),
        ("$2b$1$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", "bcrypt, but"),
        ("$2x$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", "wrongly"),
        ("$6$salt$hash", "not verified here"),
        ("bcrypt_sha256$$2b$04$k/5ApjOK.jRteEuVZ36BkOub5NHVk7muNh/D5juOJT61KudxY4u0S", "bcrypt of a SHA-256"),
        (
            "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
            "bcrypt of a SHA-256",
        ),
        ("bcrypt$hunter2", "no format"),
        ("bcrypt$$2b$04$hunter2", "bcrypt, but"),
        ("argon2$argon2id$v=19$hunter2", "Argon2, but"),
        ("scrypt$1024$salt$8$hunter2", "Django's scrypt, but"),
        (&format!("scrypt$1024$salt$8$1${hex}"), "Django's scrypt, but"),
        (&format!("scrypt:32768:8:1$salt${short}"), "Werkzeug's scrypt, but"),
        (&format!("scrypt:32767:8:1$salt${hex}"), "scrypt, but"),
        (&format!("scrypt:32768:8:0$salt${hex}"), "scrypt, but"),
        (&format!("scrypt:1048576:8:1$salt${hex}"), "N * r * p"),
        (&format!("scrypt:32768:8$salt${hex}"), "Werkzeug's scrypt, but"),
        ("$scrypt$ln=40,r=8,p=1$c2FsdHNhbHQ$dGFnIG9mIHNpeHRlZW4u", "N * r * p"),
        ("$scrypt$ln=15,r=4294967295,p=4294967295$c2FsdHNhbHQ$dGFnIG9mIHNpeHRlZW4u", "N * r * p"),
        (&format!("pbkdf2:sha256:10000001$salt${short}"), "10000000 rounds"),
        (&format!("pbkdf2:sha256:99999999999$salt${short}"), "10000000 rounds"),
        (&format!("pbkdf2:sha256:0$salt${short}"), "PBKDF2, but"),
        (&format!("pbkdf2:sha256:-1$salt${short}"), "PBKDF2, but"),
        (&format!("pbkdf2:sha256:1000$$ {short}"), "PBKDF2, but"),
        (&format!("pbkdf2:sha256:1000$${short}"), "PBKDF2, but"),
        (&format!("pbkdf2:md5:1000$salt${short}"), "another digest"),
        (&format!("sha256$salt${hex}"), "salted HMAC, but"),
        (&format!("sha256$${short}"), "salted HMAC, but"),
        (&format!("md5$salt${}", &hex[..32]), "MD5"),
        ("plain$$hunter2", "plain text"),
        ("$7$C6..../....salt$x", "scrypt, but"),
        ("$pbkdf2-sha256$i=1,l=31$c2FsdHNhbHQ$dGFnIG9mIHNpeHRlZW4u", "PBKDF2, but"),
        (&"$".repeat(5000), "no format"),
        ("$fbscrypt$v=1,n=14,r=8,p=1,sk=AAAA$c2FsdA==$dGFnIG9mIHNpeHRlZW4u", "Firebase's scrypt, but"),
    ];
    for (text, why) in damaged {
        let said = read(text);
        assert!(said.contains(why), "{text}: {said}");
        assert!(!said.contains("hunter2"));
        assert_eq!(StoredHash::parse(text), Err(BadHash));
    }
}

#[test]
fn rounds_are_bounded_by_block() {
    // Two blocks of SHA-256, as Keycloak once had.
    assert!(Foreign::pbkdf2(Digest::Sha256, 5_000_000, vec![1], vec![2; 64]).is_ok());
    assert!(Foreign::pbkdf2(Digest::Sha256, 5_000_001, vec![1], vec![2; 64]).is_err());
    assert!(Foreign::pbkdf2(Digest::Sha256, 0, vec![1], vec![2; 64]).is_err());
    // A round of SHA-512 takes as long as two of SHA-256.
    for (digest, most) in [(Digest::Sha1, 10_000_000), (Digest::Sha512, 5_000_000)] {
        assert!(Foreign::pbkdf2(digest, most, vec![1], vec![2; 20]).is_ok());
        let more = Foreign::pbkdf2(digest, most + 1, vec![1], vec![2; 20]).unwrap_err().to_string();
        assert!(more.contains(&format!("{most} rounds")), "{more}");
    }
}

#[test]
fn memory_and_passes_of_argon2_are_bounded_together() {
    for name in ["argon2id$v=19", "argon2id$v=16", "argon2i$v=19", "argon2d$v=19"] {
        let text = |cost: &str| format!("${name}${cost},p=1$c2FsdHNhbHQ$dGFnIG9mIHNpeHRlZW4uLg");
        for good in ["m=1048576,t=2", "m=65536,t=32", "m=32768,t=64"] {
            assert!(StoredHash::read(&text(good)).is_ok(), "{name} {good}");
        }
        for costly in ["m=1048576,t=3", "m=1048576,t=64", "m=65536,t=33"] {
            let said = StoredHash::read(&text(costly)).unwrap_err().to_string();
            assert!(said.contains("m * t = 2097152"), "{name} {costly}: {said}");
        }
    }
    // The settings of here may ask for more, and what they asked for is read again.
    let own = "$argon2id$v=19$m=1048576,t=64,p=1$c2FsdHNhbHQ$dGFnIG9mIHNpeHRlZW4uLg";
    assert!(StoredHash::parse(own).is_ok());
}

#[test]
fn a_decoy_costs_as_much_and_opens_nothing() {
    let mut hasher = hasher();
    for (maker, password, text) in vectors() {
        let hash = StoredHash::read(text).unwrap();
        let decoy = hash.decoy([7; 32]);
        assert_eq!(decoy, hash.decoy([7; 32]));
        assert_ne!(decoy, hash.decoy([8; 32]));
        assert!(!hasher.verify_stored(password.as_bytes(), &decoy).unwrap(), "{maker}");
        let (one, other) = (hash.to_string(), decoy.to_string());
        assert_eq!(one.len(), other.len());
        // The format and its cost are the same, the rest is not.
        let cost = if one.starts_with("$2") {
            7
        } else {
            one.rfind('$').map(|at| one[..at].rfind('$').unwrap()).unwrap()
        };
        assert!(one[..cost] == other[..cost] || one.starts_with("$fbscrypt"), "{one} {other}");
        assert_ne!(one[cost..], other[cost..]);
    }
    assert_eq!(StoredHash::Locked.decoy([7; 32]), StoredHash::Locked);
}

#[test]
fn locked_opens_to_nothing() {
    let locked = StoredHash::parse("!").unwrap();
    assert_eq!(locked, StoredHash::Locked);
    assert_eq!(locked.to_string(), "!");
    for password in ["", "!", "x"] {
        assert!(!hasher().verify_stored(password.as_bytes(), &locked).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(
        start in prop::sample::select(vec![
            "", "$argon2i$v=19$m=64,t=1,p=1$", "$argon2id$m=64,t=1,p=1$", "$2b$12$", "$scrypt$ln=4,r=8,p=1$",
            "$pbkdf2-sha256$", "$pbkdf2$", "$7$", "$hmac-sha1$", "$fbscrypt$v=1,n=14,r=8,p=1,", "scrypt:", "pbkdf2:",
            "pbkdf2:sha1:1$a$", "sha1$", "pbkdf2_sha256$", "bcrypt$", "argon2$argon2i$", "scrypt$16$a$1$1$",
        ]),
        tail in "[$a-zA-Z0-9=,+/.:]{0,90}|\\PC*",
    ) {
        if let Ok(hash) = StoredHash::read(&format!("{start}{tail}")) {
            let stored = hash.to_string();
            prop_assert_eq!(StoredHash::parse(&stored), Ok(hash));
        }
    }
}
